"""An area-coded dataset against the calibration package of the same rows: preparing, planning, and all 489 areas.

    python benchmarks/area_coded.py [--folder .cache/area_coded] [--downloads results/downloads] [--quick]

A package of 12,000 households x 430 clones (``production_input.py``, fixed seed) of which 500,000 have a weight is
prepared with the model, as in a run. Its nation, as tables and without the places finer than a county, is the
area-coded dataset. Then both are prepared, planned, and built, each as whole processes; all areas by one worker, which
is what the files cost without Snakemake. It prints its tables. ``--quick`` is a smoke test with 1,200 households x 60
clones. The whole takes a quarter of an hour, 6 GB of memory and 8 GB of disk, which are freed again.
"""

import argparse
import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import yaml
from measure import run
from production_input import make_input
from report import input_rows, machine, table

from local_h5.build.payload import PayloadColumn
from local_h5.build.writer import write_h5
from local_h5.config.layout import Layout
from local_h5.contracts.results import read_sidecar, sidecar_path
from local_h5.contracts.work_items import write_items
from local_h5.inputs.area_columns import area_columns_of
from local_h5.runs.work_items import planned_items
from local_h5_example.area_coded import FINER

WEIGHTS = "coded"
FULL, QUICK = (12_000, 430), (1_200, 60)
"""Households and clones; the share with a weight is the same, so --quick has about 7,000 rows."""
PREPARE_SECONDS, PREPARE_MB = 120.0, 6_000.0
"""What preparing may take."""
AREAS = 489

Cost = dict[str, float]


def write_config(root: Path, inputs: dict[str, Any]) -> Layout:
    """The defaults with other inputs, where scripts and worker look for them."""
    config = yaml.safe_load(Path("config/config.yaml").read_text(encoding="utf-8"))
    config["results"] = str(root)
    config["inputs"] |= inputs
    config["validation"]["population"]["max_rel_error"] = 1.0  # drawn weights of few rows
    layout = Layout(root)
    layout.prepared.mkdir(parents=True)
    layout.config.write_text(json.dumps(config, indent=1), encoding="utf-8")
    return layout


def snapshot_step(layout: Layout, *options: str) -> list[str]:
    dataset = json.loads(layout.config.read_text(encoding="utf-8"))["inputs"]["dataset"]
    return [
        "scripts/prepare_snapshot.py", f"--dataset={dataset}", "--variables=config/variables.yaml",
        "--programmes=config/takeup/programmes.yaml", f"--output={layout.snapshot}", *options,
    ]  # fmt: skip


def prepare_package(layout: Layout) -> dict[str, Cost]:
    """The steps of a package."""
    inputs = json.loads(layout.config.read_text(encoding="utf-8"))["inputs"]
    files = layout.package("regional")
    files.clones.parent.mkdir()
    tables = (f"--{name.replace('_', '-')}={path}" for name, path in inputs["tables"].items())
    return {
        "snapshot": run(snapshot_step(layout)),
        "geography": run([
            "scripts/prepare_geography.py", f"--geography={inputs['geography']}", f"--dataset={inputs['dataset']}",
            *tables, "--districts=config/districts_119.csv", f"--output-geography={files.geography}",
            f"--output-blocks={files.blocks}",
        ]),
        "clones": run([
            "scripts/prepare_clones.py", f"--weights={inputs['weights']}", f"--geography={files.geography}",
            f"--blocks={files.blocks}", f"--output={files.clones}",
        ]),
        "take-up": run([
            "scripts/prepare_takeup.py", f"--snapshot={layout.snapshot}", f"--geography={files.geography}",
            "--programmes=config/takeup/programmes.yaml", f"--output={files.takeup}",
        ]),
    }  # fmt: skip


def prepare_dataset(layout: Layout) -> dict[str, Cost]:
    """The steps of an area-coded dataset."""
    inputs = json.loads(layout.config.read_text(encoding="utf-8"))["inputs"]
    files = layout.package("dataset")
    files.clones.parent.mkdir()
    return {
        "snapshot": run(snapshot_step(layout, "--own-places")),
        "places and weights": run([
            "scripts/prepare_own_places.py", f"--dataset={inputs['dataset']}",
            "--programmes=config/takeup/programmes.yaml", "--districts=config/districts_119.csv",
            f"--output-blocks={files.blocks}", f"--output-clones={files.clones}", f"--output-takeup={files.takeup}",
        ]),
    }  # fmt: skip


def plan(layout: Layout) -> Cost:
    return run([
        "scripts/plan_areas.py", f"--config={layout.config}", f"--catalog={layout.catalog}",
        f"--dictionary={layout.dictionary}", f"--plan={layout.plan}",
    ])  # fmt: skip


def write_area_coded(layout: Layout, root: Path) -> tuple[Path, dict[str, Any]]:
    """The nation of a package as tables, without its finer places; what its job cost."""
    files, folder = layout.package("regional"), root / "nation"
    nation = folder / "national" / "US.h5"
    cost = run([
        "scripts/build_area.py", f"--request={layout.request('national/US.h5')}", f"--snapshot={layout.snapshot}",
        f"--blocks={files.blocks}", f"--clones={files.clones}", f"--takeup={files.takeup}", f"--output={nation}",
        f"--config={layout.config}", f"--record={folder / 'record.json'}", "--form=tables",
    ])  # fmt: skip
    result = read_sidecar(sidecar_path(nation))
    path = root / "area_coded.h5"
    with h5py.File(nation) as file:
        stored = area_columns_of(nation, file)
        year = str(result.period)
        columns: Iterator[PayloadColumn] = (
            PayloadColumn(column.variable, year, column.entity, partial(stored.read, column.variable, year))
            for column in result.columns
            if column.variable not in FINER
        )
        written = write_h5(path, columns, year=result.period, notes=result.notes, form="tables")
    shutil.rmtree(folder)
    return path, {"cost": cost, "rows": result.rows, "columns": len(written.columns), "bytes": written.size_bytes}


def build_all(layout: Layout, root: Path) -> Cost:
    """All areas, by one worker."""
    items, done = root / "items.json", root / "done.json"
    items.write_text(json.dumps(write_items(planned_items(layout.results))), encoding="utf-8")
    cost = run([
        "scripts/run_worker.py", f"--requests={items}", f"--result={done}", f"--results={layout.results}",
        f"--output={root / 'areas'}",
    ])  # fmt: skip
    counts = json.loads(done.read_text(encoding="utf-8"))["counts"]
    if counts["completed"] != AREAS:
        raise SystemExit(f"expected {AREAS} areas, found {counts}")
    shutil.rmtree(root / "areas")
    return cost


def total(costs: dict[str, Cost]) -> Cost:
    """Steps one after the other: their sums, and the most memory."""
    sums = {name: sum(cost[name] for cost in costs.values()) for name in ("cpu", "wall")}
    return {**sums, "peak_mb": max(cost["peak_mb"] for cost in costs.values())}


def row(name: str, cost: Cost) -> list[str]:
    return [name, f"{cost['cpu']:.1f}", f"{cost['wall']:.1f}", f"{cost['peak_mb']:,.0f}"]


def judged(name: str, found: float, allowed: float, unit: str) -> list[str]:
    mark = "" if found <= allowed else " (more than allowed)"
    return [name, f"{found:,.2f}{mark}", f"{allowed:,.2f}", unit]


def measure_both(root: Path, downloads: Path, sizes: tuple[int, int]) -> str:
    """Measure, and say it in Markdown."""
    make_input(root / "input", downloads, *sizes, only=WEIGHTS)
    given = root / "input"
    facts = json.loads((given / "input.json").read_text(encoding="utf-8"))
    (given / "source_snapshot.h5").unlink()  # a stand-in; here the model makes it
    package = write_config(
        root / "package",
        {
            "weights": str(given / f"weights_{WEIGHTS}.npy"),
            "geography": str(given / "geography_assignment.npz"),
            "dataset": str(given / "source.h5"),
            "tables": {
                "block_districts": str(downloads / "block_cd_distributions.csv.gz"),
                "block_crosswalk": str(downloads / "block_crosswalk.csv.gz"),
                "county_cbsa": str(downloads / "msa_definitions.csv"),
            },
        },
    )
    of_package = prepare_package(package)
    planned = plan(package)
    dataset, nation = write_area_coded(package, root)
    built = build_all(package, root)
    coded = write_config(root / "coded", {"dataset": str(dataset)})
    of_dataset = prepare_dataset(coded)
    planned_coded = plan(coded)
    built_coded = build_all(coded, root)
    whole = total(of_dataset)
    rows = nation["rows"]
    return "\n\n".join(
        [
            machine(),
            f"Package: {input_rows(facts)}, {facts['active'][WEIGHTS]:,} with a weight. Area-coded: "
            f"{rows['household']:,} households ({rows['person']:,} persons) x {nation['columns']} columns, "
            f"{nation['bytes'] / 1e6:,.0f} MB.",
            table(
                ("process", "CPU-s", "wall s", "peak MB"),
                [
                    *(row(f"package: {name}", cost) for name, cost in of_package.items()),
                    row("package: plan", planned),
                    row(f"package: {AREAS} areas", built),
                    row("package: the nation alone, as tables", nation["cost"]),
                    *(row(f"area-coded: {name}", cost) for name, cost in of_dataset.items()),
                    row("area-coded: plan", planned_coded),
                    row(f"area-coded: {AREAS} areas", built_coded),
                ],
            ),
            table(
                ("area-coded", "found", "allowed", ""),
                [
                    judged("prepare", whole["wall"], PREPARE_SECONDS, "s"),
                    judged("prepare", whole["peak_mb"], PREPARE_MB, "MB"),
                    judged("all areas, to the package's", built_coded["cpu"] / built["cpu"], 1.0, "of its CPU"),
                    judged("prepare, to the package's", whole["cpu"] / total(of_package)["cpu"], 1.0, "of its CPU"),
                ],
            ),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(".cache/area_coded"), help="made, and freed")
    parser.add_argument("--downloads", type=Path, default=Path("results/downloads"), help="block tables")
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    args = parser.parse_args()
    args.folder.mkdir(parents=True)
    try:
        print(measure_both(args.folder, args.downloads, QUICK if args.quick else FULL))
    finally:
        shutil.rmtree(args.folder)


if __name__ == "__main__":
    main()
