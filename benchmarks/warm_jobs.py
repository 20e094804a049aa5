"""What a process for each job costs: area jobs and approvals of one run, done in four ways in the same hour.

    python benchmarks/warm_jobs.py [--folder .cache/warm] [--repeat 3] [--quick]

Makes the input of ``production.py``, prepares it once, and then builds all areas in turn

- with jobs in processes that stay (``--executor warm``, what ``profiles/default`` says),
- with a process for each job (``--executor local``),
- in one process without Snakemake (``scripts/run_worker.py``, which writes no approvals),
- barely: ``bare_files.py`` gathers and writes the same datasets of the same files in one process, and checks nothing.

All files of the first three must have the same bytes. Prints a table with the least CPU and wall time of each way, and
their ratios to the worker and to the bare files; with a production-size input it also writes ``warm_jobs.json``.
"""

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bare_files import describe
from measure import run
from production import BENCHMARKS, FULL, QUICK, ROOT, WEIGHTS, Place, copy_project, environment, snakemake

AREAS = ("national", "states", "districts", "cities", "custom")
WAYS = {
    "warm": "jobs in processes that stay",
    "local": "a process for each job",
    "worker": "one process, no Snakemake",
    "bare": "bare gather and write, one process",
}


def clear(place: Place) -> None:
    """Leave of the results what areas are built from."""
    for below in (".", "benchmarks", "logs"):
        for name in (*AREAS, "published", "validation"):
            shutil.rmtree(place.results / below / name, ignore_errors=True)
    shutil.rmtree(place.project / "own", ignore_errors=True)


def digest(folder: Path) -> str:
    """sha256 over names and bytes of all H5 files and sidecars."""
    total = hashlib.sha256()
    for path in sorted(path for name in AREAS for path in folder.glob(f"{name}/*.h5*")):
        with path.open("rb") as stream:
            total.update(f"{path.relative_to(folder)} {hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def python(place: Place, *command: str) -> dict[str, float]:
    """Cost of one process in the project's folder."""
    return run(list(command), str(place.project), environment(place) | {"PROCESS_LOG": ""})


def measure(place: Place, cores: int, repeat: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Cost of each way, the least of several turns."""
    costs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    digests: dict[str, str] = {}
    for turn in range(repeat):
        for way in ("local", "warm"):
            say(f"{turn + 1}/{repeat}: {WAYS[way]}")
            clear(place)
            costs[way].append(snakemake(place, "--cores", str(cores), "--executor", way, "all"))
            digests[way] = digest(place.results)
        if turn == 0:
            code = (
                "import json, pathlib; from local_h5.worker import write_items;"
                "from local_h5.runs.work_items import planned_items;"
                "items = write_items(planned_items(pathlib.Path('results')));"
                "pathlib.Path('items.json').write_text(json.dumps(items))"
            )
            python(place, "-c", code)
            describe(place.results, place.root / "layout.json")
        say(f"{turn + 1}/{repeat}: {WAYS['worker']}")
        worker = ("scripts/run_worker.py", "--requests", "items.json", "--output", "own", "--result", "own.json")
        costs["worker"].append(python(place, *worker))
        digests["worker"] = digest(place.project / "own")
        shutil.rmtree(place.project / "own")
        say(f"{turn + 1}/{repeat}: {WAYS['bare']}")
        bare = place.root / "bare"
        costs["bare"].append(
            python(place, str(BENCHMARKS / "bare_files.py"), str(place.root / "layout.json"), str(bare))
        )
        shutil.rmtree(bare)
    if len(set(digests.values())) != 1:
        sys.exit(f"the files differ: {digests}")
    files = [path for name in AREAS for path in (place.results / name).glob("*.h5")]
    least = {
        way: {"cpu": min(cost["cpu"] for cost in found), "wall": min(cost["wall"] for cost in found)}
        for way, found in costs.items()
    }
    size = sum(path.stat().st_size for path in files)
    return {
        "files": len(files),
        "bytes": size,
        "cores": cores,
        "repeat": repeat,
        "sha256": digests["warm"],
        "ways": least,
    }


def as_table(figures: dict[str, Any]) -> str:
    """Markdown."""
    ways = figures["ways"]
    lines = [
        f"{figures['files']} areas, {figures['bytes'] / 1e9:.2f} GB, {figures['cores']} cores, the least of "
        f"{figures['repeat']}; H5 files and sidecars of the first three have the same bytes.",
        "",
        "| after prepare | CPU-s | wall s | CPU, to the worker | wall, to the worker | CPU, to the bare files |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for way, text in WAYS.items():
        cost, worker, bare = ways[way], ways["worker"], ways["bare"]
        ratios = (cost["cpu"] / worker["cpu"], cost["wall"] / worker["wall"], cost["cpu"] / bare["cpu"])
        shown = " | ".join(f"{ratio:.2f}" for ratio in ratios)
        lines.append(f"| {text} | {cost['cpu']:.1f} | {cost['wall']:.1f} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache" / "warm", help="is made and deleted")
    parser.add_argument("--downloads", type=Path, default=ROOT / "results" / "downloads", help="block tables")
    parser.add_argument("--fraction", type=float, choices=list(WEIGHTS), help="3 %%; 60 %% of a small input")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a small input")
    parser.add_argument("--keep", action="store_true", help="leave input and results in the folder")
    args = parser.parse_args()
    # Of a small input with 3 % some districts have nothing.
    place, weights = Place(args.folder.resolve()), WEIGHTS[args.fraction or (0.6 if args.quick else 0.03)]
    downloads, size = args.downloads.resolve(), QUICK if args.quick else FULL
    shutil.rmtree(place.root, ignore_errors=True)
    run(
        [
            str(BENCHMARKS / "production_input.py"),
            f"--folder={place.input}",
            f"--downloads={downloads}",
            f"--households={size[0]}",
            f"--clones={size[1]}",
            f"--only={weights}",
        ]
    )
    copy_project(place, weights, downloads)
    snakemake(place, "--cores", str(args.cores), "results/prepared/plan.json")
    figures = measure(place, args.cores, args.repeat, lambda text: print(text, flush=True))
    print(as_table(figures))
    if not args.quick:
        (BENCHMARKS / "warm_jobs.json").write_text(json.dumps(figures, sort_keys=True) + "\n", encoding="utf-8")
    if not args.keep:
        shutil.rmtree(place.root)


if __name__ == "__main__":
    main()
