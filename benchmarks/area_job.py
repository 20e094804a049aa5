"""What preparing, planning and building areas costs at production size, and against the plain way.

    python benchmarks/area_job.py [--folder .cache/benchmark] [--runs 7]

Makes the input when it is not there (see ``production_input.py``; the downloads of an example run are needed), prepares
it and plans all areas with the workflow's own scripts, then runs area jobs and the loop baseline as whole processes in
turn, and writes tables and plot to ``benchmarks/README.md``. Every figure is the least of its runs.
"""

import argparse
import csv
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml
from measure import best_of, measure, run
from report import write_report

from local_h5.contracts.results import sidecar_path
from local_h5.files.arrays import open_arrays
from local_h5.prepared.clones import CloneIndex
from local_h5.requests import AreaBuildRequest

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = Path("benchmarks")

SCALE = (10_000, 30_000, 100_000, 300_000, 1_000_000)
"""Household clones of the areas that the exponent is fitted on."""
EXPECTED_DIFFERENCES = frozenset(
    {
        "takes_up_aca_if_eligible",
        "takes_up_medicaid_if_eligible",
        "takes_up_housing_assistance_if_eligible",
        "would_file_taxes_voluntarily",
    }
)
"""Programmes whose rates the baseline simplifies; every other column that both write has to be equal."""


@dataclass(frozen=True)
class Inputs:
    """The folder of the benchmark, relative to the project."""

    folder: Path
    downloads: Path

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def config(self) -> Path:
        return self.folder / "config.json"

    def prepared(self, name: str) -> Path:
        return self.results / "prepared" / "regional" / f"{name}.h5"

    @property
    def snapshot(self) -> Path:
        return self.results / "prepared" / "source_snapshot.h5"


@dataclass(frozen=True)
class AreaCost:
    """One area job: what it was, its size, its cost."""

    name: str
    clones: int
    persons: int
    bytes: int
    cost: dict[str, float]
    cpu_allowed: float | None = None
    mb_allowed: float | None = None


def write_config(inputs: Inputs) -> None:
    """The workflow's configuration with this input."""
    config = yaml.safe_load(Path("config/config.yaml").read_text(encoding="utf-8"))
    config["results"] = str(inputs.results)
    config["inputs"] |= {
        "weights": str(inputs.folder / "weights_3.npy"),
        "geography": str(inputs.folder / "geography_assignment.npz"),
        "dataset": str(inputs.folder / "source.h5"),
    }
    config["inputs"]["tables"] = {
        "block_districts": str(inputs.downloads / "block_cd_distributions.csv.gz"),
        "block_crosswalk": str(inputs.downloads / "block_crosswalk.csv.gz"),
        "county_cbsa": str(inputs.downloads / "msa_definitions.csv"),
    }
    inputs.config.write_text(json.dumps(config, indent=1), encoding="utf-8")


def prepare(inputs: Inputs) -> dict[str, dict[str, float]]:
    """Run the prepare steps and the plan; what each cost."""
    tables = json.loads(inputs.config.read_text(encoding="utf-8"))["inputs"]["tables"]
    inputs.prepared("geography").parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(inputs.folder / "source_snapshot.h5", inputs.snapshot)
    geography = [
        "scripts/prepare_geography.py",
        f"--geography={inputs.folder / 'geography_assignment.npz'}",
        f"--dataset={inputs.folder / 'source.h5'}",
        *(f"--{name.replace('_', '-')}={path}" for name, path in tables.items()),
        "--districts=config/districts_119.csv",
        f"--output-geography={inputs.prepared('geography')}",
        f"--output-blocks={inputs.prepared('blocks')}",
    ]
    takeup = [
        "scripts/prepare_takeup.py",
        f"--snapshot={inputs.snapshot}",
        f"--geography={inputs.prepared('geography')}",
        "--programmes=config/takeup/programmes.yaml",
        f"--output={inputs.prepared('takeup')}",
    ]
    costs = {
        "geography and block table": run(geography),
        "clone index, 3 % of the weights positive": run(clone_step(inputs, "3", "clones")),
        "clone index, 60 %": run(clone_step(inputs, "60", "clones_60")),
        "take-up table": run(takeup),
    }
    run(clone_step(inputs, "national", "clones_national"))
    shutil.rmtree(inputs.results / "prepared" / "requests", ignore_errors=True)
    costs["plan: fingerprints of all areas, 3 %"] = run(
        [
            "scripts/plan_areas.py",
            f"--config={inputs.config}",
            f"--catalog={inputs.results / 'prepared' / 'catalog.json'}",
            f"--dictionary={inputs.results / 'prepared' / 'dictionary.json'}",
            f"--plan={inputs.results / 'prepared' / 'plan.json'}",
        ]
    )
    return costs


def clone_step(inputs: Inputs, weights: str, name: str) -> list[str]:
    return [
        "scripts/prepare_clones.py",
        f"--weights={inputs.folder / f'weights_{weights}.npy'}",
        f"--geography={inputs.prepared('geography')}",
        f"--blocks={inputs.prepared('blocks')}",
        f"--output={inputs.prepared(name)}",
    ]


def build_command(inputs: Inputs, planned: Path, clones: str) -> tuple[list[str], Path]:
    """An area job as the workflow runs it, and the file that it writes below :attr:`Inputs.out`."""
    request = AreaBuildRequest.from_json(json.loads(planned.read_text(encoding="utf-8"))["request"])
    output = inputs.out / request.relative_path
    command = [
        "scripts/build_area.py",
        f"--request={planned}",
        f"--snapshot={inputs.snapshot}",
        f"--blocks={inputs.prepared('blocks')}",
        f"--clones={inputs.prepared(clones)}",
        f"--takeup={inputs.prepared('takeup')}",
        f"--output={output}",
        f"--config={inputs.config}",
        f"--record={inputs.out / 'record.json'}",
    ]
    return command, output


def order_of(inputs: Inputs, codes: Sequence[int]) -> Path:
    """The order of an area that consists of some districts."""
    filters = [{"field": "district", "op": "in", "value": [f"{code:04d}" for code in codes]}]
    name = f"scale-{len(codes)}"
    request = {
        "area_type": "custom",
        "area_id": name,
        "display_name": name,
        "filters": filters,
        "package": "regional",
    }
    path = inputs.folder / f"{name}.json"
    path.write_text(json.dumps({"request": request, "fingerprint": {"digest": "0" * 64, "components": {}}}))
    return path


def area(
    inputs: Inputs, name: str, order: Path, clones: str, runs: int, allowed: tuple[float, float] | None = None
) -> AreaCost:
    """Measure one area job."""
    command, output = build_command(inputs, order, clones)
    cost = measure(command, runs)
    rows = json.loads(sidecar_path(output).read_text(encoding="utf-8"))["rows"]
    size = output.stat().st_size
    shutil.rmtree(inputs.out)
    return AreaCost(name, rows["household"], rows["person"], size, cost, *(allowed or (None, None)))


def baseline(inputs: Inputs, name: str, order: Path, codes: Sequence[str], runs: int) -> dict[str, Any]:
    """The area job and the loop baseline of one area in turn, and whether their files agree."""
    (command, built), plain = build_command(inputs, order, "clones"), inputs.folder / "baseline.h5"
    loop = [
        "benchmarks/loop_baseline.py",
        f"--inputs={inputs.folder}",
        f"--tables={inputs.downloads}",
        f"--output={plain}",
        "--districts",
        *codes,
    ]
    jobs, loops = [], []
    for _ in range(runs):
        jobs.append(run(command))
        loops.append(run(loop))
    compared = compare(built, plain)
    shutil.rmtree(inputs.out)
    plain.unlink()
    return {"name": name, "job": best_of(jobs), "loop": best_of(loops), "equal_columns": compared}


def compare(built: Path, plain: Path) -> int:
    """Number of columns that both files have, all equal.

    Raises:
        RuntimeError: a column differs that should not.
    """
    with h5py.File(built) as one, h5py.File(plain) as other:
        common = sorted((set(one) & set(other)) - EXPECTED_DIFFERENCES)
        # The loops know periods of one variable only; all that the workflow writes of a variable must be their value.
        plain_values = {name: next(iter(other[name].values()))[()] for name in common}
        different = [
            name
            for name in common
            if any(not np.array_equal(values[()], plain_values[name]) for values in one[name].values())
        ]
    if different:
        raise RuntimeError(f"{built} and {plain} differ in {', '.join(different)}")
    return len(common)


def scale_areas(inputs: Inputs) -> list[list[int]]:
    """District codes, fewest clones first, that add up to each size of :data:`SCALE` as nearly as they can."""
    clones = open_arrays(inputs.prepared("clones_60"), CloneIndex)
    counts = np.diff(clones.indptr)
    order = np.argsort(counts, kind="stable")
    total = np.cumsum(counts[order])
    return [clones.districts[order[: 1 + int(np.argmin(np.abs(total - size)))]].tolist() for size in SCALE]


def measure_all(inputs: Inputs, runs: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Everything that the report shows."""
    say("preparing and planning")
    write_config(inputs)
    steps = prepare(inputs)
    planned = inputs.results / "prepared" / "requests"
    counts = np.diff(open_arrays(inputs.prepared("clones"), CloneIndex).indptr)
    with Path("config/districts_119.csv").open(encoding="utf-8", newline="") as stream:
        districts = list(csv.DictReader(stream))
    typical = districts[int(np.argsort(counts, kind="stable")[len(counts) // 2])]
    district, state, nation = (
        planned / f"districts/{typical['district']}.json",
        planned / "states/CA.json",
        planned / "national/US.json",
    )
    few = max(2, runs // 2)
    say("start-up")
    start = {
        "importing numpy and h5py": measure(["-c", "import numpy, h5py"], 2 * runs),
        "importing all that an area job imports": measure(
            ["-c", "import sys; sys.path.insert(0, 'scripts'); import build_area"], 2 * runs
        ),
    }
    say("areas")
    areas = [
        area(inputs, f"district ({typical['district']}), 3 %", district, "clones", 2 * runs, (0.5, 300)),
        area(inputs, "state (CA), 3 %", state, "clones", runs, (0.9, 1500)),
        area(inputs, "nation with weights of its own", nation, "clones_national", few, (4.0, 1500)),
        area(inputs, "nation, 3 %", nation, "clones", few),
        area(inputs, f"district ({typical['district']}), 60 %", district, "clones_60", runs),
        area(inputs, "state (CA), 60 %", state, "clones_60", few),
        area(inputs, "nation, 60 %", nation, "clones_60", 1),
    ]
    scale = []
    for codes in scale_areas(inputs):
        say(f"scale: {len(codes)} districts")
        repeat = runs if len(scale) < len(SCALE) // 2 else few
        scale.append(area(inputs, f"{len(codes)} districts", order_of(inputs, codes), "clones_60", repeat))
    say("baseline")
    californian = [f"{int(row['code']):04d}" for row in districts if row["state"] == "CA"]
    plain = [
        baseline(inputs, f"district ({typical['district']})", district, [f"{int(typical['code']):04d}"], 3),
        baseline(inputs, "state (CA)", state, californian, 2),
    ]
    return {
        "input": json.loads((inputs.folder / "input.json").read_text(encoding="utf-8")),
        "runs": runs,
        "start": start,
        "steps": steps,
        "areas": [asdict(item) for item in areas],
        "scale": [asdict(item) for item in scale],
        "baseline": plain,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(".cache/benchmark"), help="input and results (8 GB)")
    parser.add_argument("--downloads", type=Path, default=Path("results/downloads"), help="block tables")
    parser.add_argument("--runs", type=int, default=7, help="of a district; larger areas run less often")
    parser.add_argument("--report-only", action="store_true", help="write the report of the last measurement again")
    args = parser.parse_args()
    figures = args.folder / "figures.json"
    if not args.report_only:
        if not (args.folder / "input.json").exists():
            print("making the input")
            run(["benchmarks/production_input.py", f"--folder={args.folder}", f"--downloads={args.downloads}"])
        found = measure_all(Inputs(args.folder, args.downloads), args.runs, print)
        figures.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    write_report(BENCHMARKS, json.loads(figures.read_text(encoding="utf-8")))
    print(f"written: {BENCHMARKS / 'README.md'}")


if __name__ == "__main__":
    main()
