"""Built for the model that policyengine.py pins: `make all LOCK=requirements-bundle.lock` on a small input.

The environment is made once, in `.venv-bundle`; the model is used there, in processes of their own.
"""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from tiny_world import OWNER, source_columns
from validation_world import write_database

from local_h5.contracts.records import read_record
from local_h5.contracts.results import AreaResult, read_sidecar

pytestmark = pytest.mark.bundle

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/workflow"))

from small_project import ALL, small_config, write_inputs  # noqa: E402

NEWER = {
    "tax_unit_role_input": np.full(len(OWNER), b"UNSPECIFIED"),
    "parent_1_id": np.zeros(len(OWNER), np.int64),
    "never_heard_of": np.zeros(len(OWNER), np.float32),
}
"""Columns of persons: two that the bundle's model lacks and the newest has, and one that none has."""

NC, NC_01 = ("state_fips", "==", "37"), ("congressional_district_geoid", "==", "3701")
TARGETS: list[tuple[str, list[tuple[str, str, str]], float]] = [
    ("person_count", [NC], 10.0),
    ("snap", [NC], 1000.0),
    ("aca_ptc", [NC], 1000.0),
    ("income_tax", [NC_01], 1000.0),
    ("household_income_decile", [NC_01], 5.0),
]
"""Far off, which only warns. The last one is a rank among the rows of a file."""

COMPUTE = """
import json, sys
import numpy as np
from policyengine_us import Microsimulation
from policyengine_us.system import system
found = {}
for path in sys.argv[1:]:
    simulation = Microsimulation(dataset=path)
    needed = ("household_net_income", "income_tax", "snap", "spm_unit_spm_threshold")
    values = {name: np.asarray(simulation.calculate(name, 2024, use_weights=False), float) for name in needed}
    assert all(np.isfinite(one).all() and len(one) for one in values.values()), path
    districts = np.asarray(simulation.calculate("congressional_district_geoid", 2024, use_weights=False))
    found[path] = {"districts": sorted(set(districts.tolist())), "net": float(values["household_net_income"].sum())}
print(json.dumps({"files": found, "known": sorted(system.variables)}))
"""


@pytest.fixture(scope="module")
def folder() -> Path:
    """A run on the small input, with the packages of the bundle's lock."""
    folder = ROOT / "build/bundle"
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    folder.mkdir(parents=True)
    columns = source_columns() | {name: {"2024": values} for name, values in NEWER.items()}
    write_inputs(folder / "inputs", columns)
    config = {"results": "build/bundle/results", **small_config("build/bundle/inputs")}
    config["inputs"]["targets"] = str(write_database(folder / "inputs/targets.db", TARGETS))
    config["validation"] = {
        "level": "targets",
        "processes": 1,
        "population": {"max_rel_error": 1e6, "table": None},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    done = subprocess.run(
        ["make", "all", "LOCK=requirements-bundle.lock", "CONFIG=build/bundle/config.yaml", "JOBS=2"],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="module")
def sidecars(folder: Path) -> dict[str, AreaResult]:
    results = folder / "results"
    paths = results.glob("*/*.h5.result.json")
    return {path.relative_to(results).as_posix().split(".")[0]: read_sidecar(path) for path in paths}


@pytest.fixture(scope="module")
def computed(folder: Path) -> dict:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    files = [str(folder / "results" / f"{name}.h5") for name in ("national/US", "districts/AK-01")]
    done = subprocess.run(
        [ROOT / ".venv-bundle/bin/python", "-c", COMPUTE, *files],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_file_says_for_which_model_and_core_it_was_built(sidecars: dict[str, AreaResult]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pair = dict(text.split("==") for text in project["optional-dependencies"]["bundle"])
    assert sidecars.keys() == ALL
    for result in sidecars.values():
        assert result.versions.items() >= pair.items()
        assert result.validation.status == "passed"


def test_columns_that_the_model_lacks_are_left_out_and_named(
    sidecars: dict[str, AreaResult], computed: dict, folder: Path
) -> None:
    known = set(computed["known"])
    assert not set(NEWER) & known
    for name, result in sidecars.items():
        reasons = {item.variable: item.reason for item in result.excluded}
        assert {column: reasons.get(column) for column in NEWER} == dict.fromkeys(NEWER, "unknown to the model")
        with h5py.File(folder / "results" / f"{name}.h5") as file:
            written = set(file)
        assert written <= known
        assert written == {column.variable for column in result.columns}


def test_the_model_computes_on_the_files(computed: dict, folder: Path) -> None:
    districts = {Path(path).stem: found["districts"] for path, found in computed["files"].items()}
    assert districts["AK-01"] == [200]
    assert {200, 1100, 3701} < set(districts["US"])
    assert all(found["net"] for found in computed["files"].values())


def test_targets_are_checked_by_the_table_of_that_model(sidecars: dict[str, AreaResult], folder: Path) -> None:
    records = {area: read_record(folder / f"results/validation/targets/{area}.json") for area in sidecars}
    rows = {area: {row.variable: row for row in record.targets} for area, record in records.items()}
    assert {"person_count", "snap", "aca_ptc"} <= rows["states/NC"].keys()
    for row in (*rows["states/NC"].values(), rows["districts/NC-01"]["income_tax"]):
        assert row.value is not None
        assert np.isfinite(row.value)
        assert row.sane
    assert "used_aca_ptc" in rows["states/NC"]["aca_ptc"].reason
    decile = rows["districts/NC-01"]["household_income_decile"]
    assert decile.value is None
    assert "is a rank among the rows of the file" in decile.reason
