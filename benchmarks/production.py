"""The whole workflow at production size: 12,000 households x 430 clones, every area; and the least that it can cost.

    python benchmarks/production.py [--folder .cache/production] [--fraction 0.03 0.6] [--quick]

For each share of positive weights: makes the input (``production_input.py``, fixed seed), copies the project beside it
and runs ``snakemake --cores 2 all`` there, as a user would, model and Snakemake included. Then, in the same run, the
two yardsticks: copying and hashing the largest files (nobody writes and checks them for less), and the plain loops of
``loop_baseline.py``. Writes tables and plot to ``benchmarks/README.md``, the figures to ``benchmarks/production.json``.

At 60 % it needs 25 GB of disk, which it frees again unless told ``--keep``. ``--quick`` is a smoke test of a minute or
two, with 600 households x 40 clones; it prints its tables and leaves the README alone.
"""

import argparse
import csv
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from area_job import compare
from measure import best_of, run
from process_tree import Finished, read_log, run_tree
from production_report import as_text, write_production

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"
FIGURES = BENCHMARKS / "production.json"
COPIED = ("Snakefile", "rules", "scripts", "config", "profiles", "src")
"""What the workflow reads of the project: a copy, so that nobody's edits move what is measured."""

CONFIGURATION = "benchmark.json"
"""On top of the defaults, in the copied project."""

WEIGHTS = {0.03: "3", 0.6: "60"}
FULL, QUICK = (12_000, 430), (600, 40)
"""Households and clones."""
N_LARGEST = 11
"""Areas whose cost is held against copying and hashing: the nation and ten states."""
REPEATED = 3
SETTLE = 5.0
"""Seconds after which free memory is the host's again."""
PREPARE = "prepare_"
AREA_JOB = "python scripts/build_area.py "
"""How the command of an area job begins, as ``--printshellcmds`` shows it."""


@dataclass(frozen=True)
class Place:
    """Folders of one measurement."""

    root: Path

    @property
    def input(self) -> Path:
        return self.root / "input"

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def results(self) -> Path:
        return self.project / "results"

    @property
    def log(self) -> Path:
        return self.root / "processes.tsv"


@dataclass(frozen=True)
class Area:
    """One area job of the run, in a process that stays."""

    name: str
    clones: int
    persons: int
    bytes: int
    cpu: float
    wall: float
    peak_mb: float


def copy_project(place: Place, weights: str, downloads: Path) -> None:
    """The project as it is now, compiled as an installation is, with a configuration for the input."""
    place.project.mkdir(parents=True)
    for name in COPIED:
        source, target = ROOT / name, place.project / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    subprocess.run([sys.executable, "-m", "compileall", "-q", "src", "scripts"], cwd=place.project, check=True)
    tables = {
        "block_districts": "block_cd_distributions.csv.gz",
        "block_crosswalk": "block_crosswalk.csv.gz",
        "county_cbsa": "msa_definitions.csv",
    }
    config = {
        "inputs": {
            "weights": str(place.input / f"weights_{weights}.npy"),
            "geography": str(place.input / "geography_assignment.npz"),
            "dataset": str(place.input / "source.h5"),
            "tables": {name: str(downloads / file) for name, file in tables.items()},
        }
    }
    (place.project / CONFIGURATION).write_text(json.dumps(config, indent=1), encoding="utf-8")


def environment(place: Place) -> dict[str, str]:
    """As for a user of an installed project; every Python process writes what it used to the log."""
    paths = f"{place.project / 'src'}{os.pathsep}{BENCHMARKS / 'hook'}"
    without = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
    kept = {name: value for name, value in os.environ.items() if name not in without}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "PYTHONPATH": paths, "PROCESS_LOG": str(place.log)}


def snakemake(place: Place, *arguments: str) -> dict[str, Any]:
    """Run Snakemake in the copied project; cost of its process tree."""
    command = [sys.executable, "-m", "snakemake", *arguments, "--configfile", CONFIGURATION]
    return run_tree(command, place.project, environment(place), place.root / "snakemake.log")


def phases(processes: list[Finished], areas: list[Area], started: float, ended: float) -> list[dict[str, Any]]:
    """CPU by kind of process; the wall time until the last prepare step ended, and from there."""
    kinds: dict[str, list[Finished]] = {}
    for process in processes:
        kinds.setdefault(process.kind, []).append(process)
    prepared = max(process.ended for process in processes if process.kind.startswith(PREPARE))
    rows = [
        {
            "name": kind,
            "processes": len(found),
            "cpu": sum(process.cpu for process in found),
            "wall": max(process.ended - process.started for process in found),
            "peak_mb": max(process.peak_mb for process in found),
        }
        for kind, found in kinds.items()
    ]
    rows.append(
        {
            "name": "build_area",
            "processes": len(areas),
            "cpu": sum(area.cpu for area in areas),
            "wall": max(area.wall for area in areas),
            "peak_mb": max(area.peak_mb for area in areas),
        }
    )
    return [
        {"name": "prepare", "wall": prepared - started},
        {"name": "areas", "wall": ended - prepared},
        *sorted(rows, key=lambda row: -row["cpu"]),
    ]


def areas_of(place: Place) -> list[Area]:
    """What each area job of the run cost, largest first: from its sidecar and its benchmark file."""
    found = []
    for sidecar in place.results.glob("*/*.h5.result.json"):
        result = json.loads(sidecar.read_text(encoding="utf-8"))
        name = result["output"]["path"].removesuffix(".h5")
        with (place.results / "benchmarks" / f"{name}.tsv").open(encoding="utf-8", newline="") as stream:
            cost = next(csv.DictReader(stream, delimiter="\t"))
        found.append(
            Area(
                name,
                result["rows"]["household"],
                result["rows"]["person"],
                result["output"]["bytes"],
                float(cost["cpu_time"]),
                float(cost["s"]),
                float(cost["max_rss"]),
            )
        )
    return sorted(found, key=lambda area: (-area.clones, area.name))


def area_commands(place: Place) -> dict[str, list[str]]:
    """The command of each area job, as the run printed it, by area."""
    found = {}
    for line in (place.root / "snakemake.log").read_text(encoding="utf-8").splitlines():
        before, is_one, _ = line.partition(AREA_JOB)
        if is_one:
            command = shlex.split(line.removeprefix(before).partition(" 2> ")[0])[1:]
            output = Path(command[command.index("--output") + 1])
            found[f"{output.parent.name}/{output.stem}"] = command
    return found


def least(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The cheapest of three runs: other programs only ever add."""
    return min((measure() for _ in range(REPEATED)), key=lambda cost: cost["cpu"])


def area_job(place: Place, area: Area, commands: dict[str, list[str]]) -> dict[str, Any]:
    """The cost of an area job as a process of its own; its file stays in the folder ``again``."""
    again = place.root / "again"
    shutil.rmtree(again, ignore_errors=True)
    time.sleep(SETTLE)
    command = commands[area.name].copy()
    for option, path in {"--output": again / f"{area.name}.h5", "--record": again / "record.json"}.items():
        command[command.index(option) + 1] = str(path)
    return run(command, str(place.project), environment(place) | {"PROCESS_LOG": ""})


def job_and_floor(place: Place, area: Area, commands: dict[str, list[str]]) -> dict[str, Any]:
    """An area job, and copying its file and hashing the copy, in turn and alone; the least of each.

    Both are whole processes. Either begins some seconds after its old output was deleted: a virtual machine gives free
    memory back to its host within seconds, and a process that gets it anew pays ten times as much for writing a page
    as one that finds it still there.
    """
    built, copy = place.root / "again" / f"{area.name}.h5", place.root / "floor.h5"
    code = (
        "import hashlib, shutil, sys; source, copy = sys.argv[1:];"
        "shutil.copyfile(source, copy); hashlib.file_digest(open(copy, 'rb'), 'sha256')"
    )
    jobs, floors = [], []
    for _ in range(REPEATED):
        jobs.append(area_job(place, area, commands))
        copy.unlink(missing_ok=True)
        time.sleep(SETTLE)
        floors.append(run(["-c", code, str(built), str(copy)]))
    copy.unlink()
    shutil.rmtree(place.root / "again")
    start = min(run(["-c", "import hashlib, shutil, sys"])["cpu"] for _ in range(REPEATED))
    pairs = [[job["cpu"], floor["cpu"]] for job, floor in zip(jobs, floors, strict=True)]
    return {"job": best_of(jobs), "floor": best_of(floors), "floor_start": start, "pairs": pairs}


def loops(place: Place, weights: str, downloads: Path, area: Area, commands: dict[str, list[str]]) -> dict[str, Any]:
    """The plain build of an area, as a process; its columns must be those of the workflow's file."""
    planned = place.results / "prepared" / "requests" / f"{area.name}.json"
    codes = json.loads(planned.read_text(encoding="utf-8"))["request"]["filters"][0]["value"]
    plain = place.root / "plain.h5"
    cost = run(
        [
            str(BENCHMARKS / "loop_baseline.py"),
            f"--inputs={place.input}",
            f"--weights=weights_{weights}.npy",
            f"--tables={downloads}",
            f"--output={plain}",
            "--districts",
            *([codes] if isinstance(codes, str) else codes),
        ]
    )
    equal = compare(place.results / f"{area.name}.h5", plain)
    plain.unlink()
    return {"area": area.name, **cost, "equal_columns": equal, "job": area_job(place, area, commands)}


def middle(areas: list[Area], folder: str) -> Area:
    """The area of a folder with the median number of clones."""
    chosen = [area for area in areas if area.name.startswith(f"{folder}/")]
    return chosen[len(chosen) // 2]


def measure_fraction(
    place: Place, weights: str, downloads: Path, size: tuple[int, int], cores: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Everything that the report shows of one share of positive weights."""
    shutil.rmtree(place.root, ignore_errors=True)
    say("making the input")
    made = run(
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
    say("snakemake all")
    total = snakemake(place, "--cores", str(cores), "--printshellcmds", "all")
    processes = read_log(place.log)
    areas, commands = areas_of(place), area_commands(place)
    say("start-up")
    scripts = place.project / "scripts"
    start = min(
        run(["-c", f"import sys; sys.path.insert(0, {str(scripts)!r}); import build_area"])["cpu"] for _ in range(5)
    )
    say("copying and hashing")
    floors = {area.name: job_and_floor(place, area, commands) for area in areas[:N_LARGEST]}
    say("plain loops")
    plain = [loops(place, weights, downloads, middle(areas, folder), commands) for folder in ("districts", "states")]
    say("dry runs")
    nothing = least(lambda: snakemake(place, "-n", "all"))
    everything = least(lambda: snakemake(place, "-n", "all", "--config", "output={compression: lzf}"))
    return {
        "input": json.loads((place.input / "input.json").read_text(encoding="utf-8")),
        "weights": weights,
        "cores": cores,
        "generator": made,
        "total": total,
        "phases": phases(processes, areas, total["started"], total["ended"]),
        "dry_run": {"nothing to do": nothing, "all stale": everything},
        "start": start,
        "areas": [list(asdict(area).values()) for area in areas],
        "floors": floors,
        "loops": plain,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache" / "production", help="is made and deleted")
    parser.add_argument("--downloads", type=Path, default=ROOT / "results" / "downloads", help="block tables")
    parser.add_argument("--fraction", type=float, nargs="+", choices=list(WEIGHTS), help="default: both; quick, 0.6")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a small input; prints instead of writing the README")
    parser.add_argument("--keep", action="store_true", help="leave input and results in the folder")
    parser.add_argument("--report-only", action="store_true", help="write the report of the last figures again")
    args = parser.parse_args()
    folder, downloads = args.folder.resolve(), args.downloads.resolve()
    known = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() and not args.quick else {}
    fractions = args.fraction or ([0.6] if args.quick else list(WEIGHTS))  # few clones at 3 % leave districts empty
    for fraction in [] if args.report_only else fractions:
        weights = WEIGHTS[fraction]
        place = Place(folder / weights)
        known[weights] = measure_fraction(
            place, weights, downloads, QUICK if args.quick else FULL, args.cores, lambda text: print(text, flush=True)
        )
        if not args.keep:
            shutil.rmtree(place.root)
        if not args.quick:
            FIGURES.write_text(json.dumps(known, sort_keys=True) + "\n", encoding="utf-8")
    if args.quick:
        print(as_text(known))
    else:
        write_production(BENCHMARKS, known)
        print(f"written: {BENCHMARKS / 'README.md'}")


if __name__ == "__main__":
    main()
