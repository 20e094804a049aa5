"""How planning and the catalog behave with 50,000 areas: all state legislative districts, counties and places.

    python benchmarks/fifty_thousand_areas.py [--folder .cache/areas] [--areas 50000] [--prepared]

Makes the production input with 60 % of the weights positive (``production_input.py``), prepares it in a copy of the
project, and lists the areas that have a household clone there: the 489 of every run, state legislative districts,
counties, places, and ZIP code areas up to the number asked for. Then measures, as whole processes, ``local-h5 plan``,
the job that plans, ``snakemake -n all``, and a store that holds a collection with as many members. No area is built:
for the commands that find all or nearly all areas built, every area gets a file of a few bytes with the sidecar, record
and approval that a run would leave. The source snapshot is the generator's stand-in, so that the model is not loaded.
A quarter of an hour, 3 GB of disk. ``--prepared`` takes up a folder in which an earlier start was stopped.
"""

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measure import run
from process_tree import run_tree
from production import CONFIGURATION, FULL, QUICK, Place, copy_project, environment, snakemake
from report import machine, replace_part, table

from local_h5.files.arrays import open_arrays
from local_h5.inputs.geography.block_table import BlockTable
from local_h5.prepared.clones import CloneIndex
from local_h5.us import STATE_POSTAL

ROOT = Path(__file__).resolve().parents[1]
SCALE = ROOT / "docs" / "scale.md"
PART = "areas"
PLAN = "results/prepared/plan.json"
FEW = 10
"""Areas that are built anew where nearly all hold."""
ALWAYS = 489
TABLE_KINDS = (("sldu", "sldu"), ("sldl", "sldl"), ("place", "place_fips"))
LAST = ("zcta", "zcta")
STAND_IN = '''"""The generator's snapshot in place of the model's."""
import argparse, shutil

parser = argparse.ArgumentParser()
parser.add_argument("--output")
args, _ = parser.parse_known_args()
shutil.copyfile({snapshot!r}, args.output)
'''


def areas_of(blocks: BlockTable, clones: CloneIndex, count: int) -> Iterator[dict[str, Any]]:
    """Custom areas with at least one household clone."""
    used = np.unique(clones.block)
    geoid = blocks.geoid[used]
    state = geoid // 10**13
    made = 0
    for kind, column in (*TABLE_KINDS, ("county", None), LAST):
        if column is None:
            pairs = [(f"{code:05d}", code // 1000) for code in np.unique(geoid // 10**10).tolist()]
        else:
            field = blocks.fields[column]
            codes = field.codes[used]
            found = np.unique(np.stack([state[codes > 0], codes[codes > 0]]), axis=1)
            pairs = [(field.values[code].decode(), fips) for fips, code in found.T.tolist()]
        for code, fips in pairs:
            if made == count:
                return
            made += 1
            filters = [{"field": kind, "op": "eq", "value": code}]
            if column is not None:
                filters.insert(0, {"field": "state", "op": "eq", "value": f"{fips:02d}"})
            name = f"{STATE_POSTAL[fips]}-{kind}-{code}"
            yield {"id": name, "name": name, "filters": filters}


def prepare(place: Place, downloads: Path, size: tuple[int, int]) -> None:
    """Input, project and prepared files; ends with the plan of the 489."""
    shutil.rmtree(place.root, ignore_errors=True)
    run(
        [
            "benchmarks/production_input.py",
            f"--folder={place.input}",
            f"--downloads={downloads}",
            f"--households={size[0]}",
            f"--clones={size[1]}",
            "--only=60",
        ]
    )
    copy_project(place, "60", downloads)
    stand_in = STAND_IN.format(snapshot=str(place.input / "source_snapshot.h5"))
    (place.project / "scripts" / "prepare_snapshot.py").write_text(stand_in, encoding="utf-8")
    snakemake(place, "--cores", "2", PLAN)


def configure(place: Place, count: int) -> dict[str, int]:
    """Add areas to the configuration; how many of each kind."""
    folder = place.results / "prepared" / "regional"
    blocks = open_arrays(folder / "blocks.h5", BlockTable)
    clones = open_arrays(folder / "clones.h5", CloneIndex)
    listed = list(areas_of(blocks, clones, count - ALWAYS))
    path = place.project / CONFIGURATION
    config = json.loads(path.read_text(encoding="utf-8"))
    config["areas"] = {"custom": listed}
    path.write_text(json.dumps(config), encoding="utf-8")
    kinds: dict[str, int] = {"of every run": ALWAYS}
    for area in listed:
        kind = area["id"].split("-")[1]
        kinds[kind] = kinds.get(kind, 0) + 1
    return kinds


def plan(place: Place) -> dict[str, Any]:
    """``local-h5 plan``; cost of its process."""
    code = "from local_h5.cli import main; main()"
    command = [sys.executable, "-c", code, "plan", "--configfile", CONFIGURATION]
    return run_tree(command, place.project, environment(place), place.root / "plan.log")


def pretend_built(place: Place) -> list[Path]:
    """What a run leaves of each area, with a few bytes in place of its H5; paths of the H5 files."""
    expected = json.loads((place.project / PLAN).read_text(encoding="utf-8"))
    made = []
    for relative, fingerprint in expected.items():
        h5 = place.results / relative
        data = relative.encode()
        sha256 = hashlib.sha256(data).hexdigest()
        output = {"path": relative, "sha256": sha256, "bytes": len(data)}
        beside = Path(relative).with_suffix(".json")
        sidecar = json.dumps({"status": "completed", "output": output, "fingerprint": fingerprint})
        of_file = {"sha256": sha256, "sidecar_sha256": hashlib.sha256(sidecar.encode()).hexdigest()}
        record = json.dumps({"area": of_file})
        approval = {**of_file, "records": {"structural": hashlib.sha256(record.encode()).hexdigest()}}
        left = {
            h5.with_name(f"{h5.name}.result.json"): sidecar,
            place.results / "validation" / "structural" / beside: record,
            place.results / "published" / beside: json.dumps(approval),
        }
        h5.parent.mkdir(parents=True, exist_ok=True)
        h5.write_bytes(data)
        for path, content in left.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        made.append(h5)
    return made


def store(place: Place, members: int) -> dict[str, Any]:
    """Publish a collection, list the store, resolve one member; cost of each process."""
    folder = place.root / "store"
    address = folder.as_uri()
    member = f"pe-data://us/areas/custom/area-{members // 2:06d}@latest"
    publish = [
        "benchmarks/publish_members.py",
        f"--members={members}",
        f"--files={place.root / 'files'}",
        f"--store={folder}",
    ]
    client = ["-c", "from pe_data.cli import main; main()"]
    costs = Costs()
    costs[f"publish {members:,} small files"] = run(publish)
    costs["publish again: nothing to do"] = run([*publish, "--again"])
    costs["`pe-data list`"] = run([*client, "list", "--store", address])
    costs["`pe-data list --members`"] = run([*client, "list", "--members", "--store", address])
    costs["`pe-data resolve` one member"] = run([*client, "resolve", member, "--store", address])
    documents = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    shutil.rmtree(folder)
    shutil.rmtree(place.root / "files")
    return {"costs": costs, "collection_bytes": max(documents), "objects": len(documents)}


def start_again(place: Place) -> None:
    """What :func:`prepare` ends with, in a folder that it has made before."""
    kept = place.results / "prepared"
    for path in (*place.results.iterdir(), *(kept / "requests").iterdir()):
        if path.is_dir() and path != kept:
            shutil.rmtree(path)
    path = place.project / CONFIGURATION
    config = json.loads(path.read_text(encoding="utf-8"))
    config.pop("areas", None)
    path.write_text(json.dumps(config), encoding="utf-8")
    snakemake(place, "--cores", "2", PLAN)


class Costs(dict[str, dict[str, Any]]):
    """What each command cost; says so at once."""

    def __setitem__(self, name: str, cost: dict[str, Any]) -> None:
        print(f"{name}: {' / '.join(cells(cost))} (CPU-s, wall s, MB)", flush=True)
        super().__setitem__(name, cost)


def measure_all(place: Place, count: int) -> dict[str, Any]:
    """Everything that the table shows."""
    few, many = Costs(), Costs()
    few["`local-h5 plan`, nothing built"] = plan(place)
    few["`snakemake -n all`, nothing built"] = snakemake(place, "-n", "all")
    kinds = configure(place, count)
    print(f"{sum(kinds.values()):,} areas: {kinds}", flush=True)
    # The plan holds for the 489 only: the first command works out the fingerprints of all.
    many["`local-h5 plan`, areas new"] = plan(place)
    many["`snakemake plan.json`: the job that plans"] = snakemake(place, "--cores", "2", PLAN)
    many["`local-h5 plan`, nothing built"] = plan(place)
    many["`snakemake -n all`, nothing built"] = snakemake(place, "-n", "all")
    print("as if built", flush=True)
    built = pretend_built(place)
    many["`local-h5 plan`, all built, digests new"] = plan(place)
    many["`local-h5 plan`, all built"] = plan(place)
    many["`snakemake -n all`, all built"] = snakemake(place, "-n", "all")
    many["`snakemake all`, all built: nothing to be done"] = snakemake(place, "--cores", "2", "all")
    for h5 in built[-FEW:]:
        h5.unlink()
    many[f"`snakemake -n all`, {FEW} files lost"] = snakemake(place, "-n", "all")
    print("store", flush=True)
    return {"kinds": kinds, "few": few, "many": many, "store": store(place, count)}


def as_text(figures: dict[str, Any]) -> str:
    """The tables."""
    kinds = figures["kinds"]
    total = sum(kinds.values())
    listed = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
    rows = [
        *((name, f"{ALWAYS}", *cells(cost)) for name, cost in figures["few"].items()),
        *((name, f"{total:,}", *cells(cost)) for name, cost in figures["many"].items()),
        *((name, f"{total:,}", *cells(cost)) for name, cost in figures["store"]["costs"].items()),
    ]
    return "\n\n".join(
        [
            f"{machine()} Areas: {listed}.",
            table(("process", "areas", "CPU-s", "wall s", "peak MB"), rows),
            f"The collection document has {figures['store']['collection_bytes'] / 1e6:.1f} MB, the store "
            f"{figures['store']['objects']:,} objects.",
        ]
    )


def cells(cost: dict[str, Any]) -> tuple[str, str, str]:
    peak = cost["peak_mb"] if "peak_mb" in cost else cost["private_mb"]
    # Memory is looked at every second: a shorter process has none.
    return f"{cost['cpu']:.1f}", f"{cost['wall']:.1f}", f"{peak:,.0f}" if peak else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache" / "areas", help="is made and deleted")
    parser.add_argument("--downloads", type=Path, default=ROOT / "results" / "downloads", help="block tables")
    parser.add_argument("--areas", type=int, default=50_000)
    parser.add_argument("--prepared", action="store_true", help="the folder has input, project and prepared files")
    parser.add_argument("--quick", action="store_true", help="a small input; prints instead of writing the page")
    args = parser.parse_args()
    place = Place(args.folder.resolve())
    size = QUICK if args.quick else FULL
    print("input and prepared files", flush=True)
    if args.prepared:
        start_again(place)
    else:
        prepare(place, args.downloads.resolve(), size)
    text = as_text(measure_all(place, args.areas))
    shutil.rmtree(place.root)
    if args.quick:
        print(text)
    else:
        replace_part(SCALE, PART, text)
        print(f"written: {SCALE}")


if __name__ == "__main__":
    main()
