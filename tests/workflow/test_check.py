"""``local-h5 check``: what is wrong with the inputs, before a run; the run's own words, all faults at once."""

import gzip
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from small_project import N_CLONES, N_HOUSEHOLDS, Project, make_project, write_coded

from local_h5 import cli

N = N_CLONES * N_HOUSEHOLDS


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The small project with a calibration package. Nothing has run in it."""
    project = make_project(tmp_path / "project", tmp_path)
    monkeypatch.chdir(project.folder)
    return project


@pytest.fixture
def coded(package: Project) -> Project:
    """The small project with one area-coded file and nothing else."""
    write_coded(package.path("inputs/coded.h5"))
    package.configure(inputs__weights=None, inputs__geography=None, inputs__dataset="inputs/coded.h5")
    return package


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    """Exit status and the lines that begin with a verdict."""
    status = 0
    try:
        cli.main(["check", *arguments])
    except SystemExit as end:
        status = int(end.code or 0)
    printed = capsys.readouterr()
    assert printed.err == ""
    return status, printed.out.splitlines()


def faults(lines: list[str]) -> list[str]:
    return [line.removeprefix("fault  ") for line in lines if line.startswith("fault")]


def test_good_inputs_of_a_package(package: Project, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = check(capsys)
    assert (status, faults(lines)) == (0, [])
    assert lines[-1].startswith("No fault; ")
    text = "\n".join(lines)
    assert "right  config/config.yaml: 14 areas (1 nation, 5 states, 6 districts, 1 city, 1 custom)" in text
    assert "inputs/source.h5: 6 households and 12 persons of 2024" in text
    assert "inputs/source.h5: the values of " in text
    assert f"inputs/weights.npy: {N} weights, {N} above 0" in text
    assert "inputs/geography.npz: 6 clones of 6 households" in text
    assert "inputs/geography.npz: 11 different blocks" in text
    assert "areas: 14 areas have households" in text
    assert not package.path("results").exists()


def test_good_inputs_with_places_of_their_own(coded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = check(capsys)
    assert (status, faults(lines)) == (0, [])
    text = "\n".join(lines)
    assert "inputs/coded.h5: 13 households and 13 persons of 2024" in text
    assert "inputs/coded.h5: 13 weights, 13 above 0" in text
    assert "areas: 14 areas have households" in text


def spoil_weights(change: Callable[[np.ndarray], Any]) -> Callable[[Project], None]:
    def spoil(project: Project) -> None:
        path = project.path("inputs/weights.npy")
        np.save(path, change(np.load(path)))

    return spoil


def put(row: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values = values.copy()
        values[row] = value
        return values

    return change


def spoil_column(name: str, change: Callable[[np.ndarray], Any], file: str = "source.h5") -> Callable[[Project], None]:
    def spoil(project: Project) -> None:
        with h5py.File(project.path(f"inputs/{file}"), "a") as source:
            values = source[f"{name}/2024"][()]
            del source[f"{name}/2024"]
            source[f"{name}/2024"] = change(values)

    return spoil


def spoil_geography(**changes: Callable[[np.ndarray], Any]) -> Callable[[Project], None]:
    def spoil(project: Project) -> None:
        path = project.path("inputs/geography.npz")
        with np.load(path) as given:
            fields = {name: changes.get(name, lambda values: values)(given[name]) for name in given.files}
        np.savez(path, **fields)

    return spoil


def spoil_bytes(name: str, data: bytes) -> Callable[[Project], None]:
    return lambda project: project.path(name).write_bytes(data) and None


PACKAGE_FAULTS = {
    "weights with NaN": (spoil_weights(put(3, np.nan)), "inputs/weights.npy: weights: expected finite numbers"),
    "weights below 0": (spoil_weights(put(3, -1)), "inputs/weights.npy: weights: expected finite numbers"),
    "weights all 0": (spoil_weights(np.zeros_like), "inputs/weights.npy: weights: expected at least one"),
    "weights as a matrix": (
        spoil_weights(lambda values: values.reshape(6, 6)), "inputs/weights.npy: weights: expected a one-dimensional",
    ),
    "weights as text": (spoil_weights(lambda values: values.astype("U8")), "weights: expected floats"),
    "weights of other households": (spoil_weights(lambda v: v[:-1]), "expected a multiple of the 6 households"),
    "weights of fewer clones": (spoil_weights(lambda v: v[:-6]), "expected 6 households x 6 clones"),
    "no weights file at all": (spoil_bytes("inputs/weights.npy", b"hello"), "inputs/weights.npy: "),
    "a dataset that is no HDF5": (spoil_bytes("inputs/source.h5", b"hello"), "inputs/source.h5: expected a readable"),
    "a NaN income": (
        spoil_column("employment_income", put(2, np.nan)), "inputs/source.h5: employment_income/2024: expected float",
    ),
    "a negative age": (spoil_column("age", lambda v: v.astype(float) * np.nan), "age/2024: expected float"),
    "a yes or no of 7": (
        spoil_column("is_female", lambda values: values.astype(int) + 6), "is_female/2024: expected yes",
    ),
    "a column of another entity": (
        spoil_column("age", lambda values: values[:-1]), "inputs/source.h5: age/2024: expected 12 values, one for each",
    ),
    "an unknown member": (
        spoil_column("spm_unit_tenure_type", lambda v: np.full(len(v), b"CASTLE")),
        "inputs/source.h5: spm_unit_tenure_type/2024: expected members of the model's enum (OWNER_WITH_MORTGAGE, ",
    ),
    "a dangling link": (
        spoil_column("person_household_id", put(0, 12345)), "inputs/source.h5: person_household_id: ",
    ),
    "a repeated id": (spoil_column("household_id", put(0, 7)), "inputs/source.h5: household_id: "),
    "a geography of other households": (spoil_geography(n_records=lambda _: 5), "inputs/geography.npz: n_records"),
    "a district of another state": (
        spoil_geography(cd_geoid=put(0, "3701")), "inputs/geography.npz: ",
    ),
    "a letter in a block": (spoil_geography(block_geoid=put(0, "02013000100100X")), "npz: block_geoid"),
    "a block of no table": (
        spoil_geography(block_geoid=put(0, "020130001009999")), "inputs/geography.npz: ",
    ),
    "a geography of a text": (spoil_bytes("inputs/geography.npz", b"hello"), "npz: expected a geography"),
}  # fmt: skip


def only_fault(capsys: pytest.CaptureFixture[str]) -> str:
    status, lines = check(capsys)
    assert status == 1
    assert lines[-1].startswith("1 fault; ")
    (fault,) = faults(lines)
    return fault


@pytest.mark.parametrize("name", PACKAGE_FAULTS)
def test_a_fault_in_a_package(name: str, package: Project, capsys: pytest.CaptureFixture[str]) -> None:
    spoil, said = PACKAGE_FAULTS[name]
    spoil(package)
    assert said in only_fault(capsys)


CODED_FAULTS = {
    "a weight of NaN": (spoil_column("household_weight", put(1, np.nan), "coded.h5"), "household_weight"),
    "a state that does not exist": (spoil_column("state_fips", put(0, 99), "coded.h5"), "state_fips"),
    "a county of another state": (spoil_column("county_fips", put(0, b"37001"), "coded.h5"), "county_fips"),
    "a district of another Congress": (
        spoil_column("congressional_district_geoid", put(7, 3714), "coded.h5"), "congressional_district_geoid",
    ),
    "a NaN income": (spoil_column("employment_income", put(2, np.nan), "coded.h5"), "employment_income/2024"),
    "a letter in a PUMA": (spoil_column("puma", lambda v: np.full(len(v), "é".encode()), "coded.h5"), "puma"),
}  # fmt: skip


@pytest.mark.parametrize("name", CODED_FAULTS)
def test_a_fault_in_an_area_coded_file(name: str, coded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    spoil, said = CODED_FAULTS[name]
    spoil(coded)
    assert only_fault(capsys).startswith(f"inputs/coded.h5: {said}: ")


def test_all_faults_are_said_at_once(package: Project, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("weights with NaN", "a NaN income", "a yes or no of 7", "a letter in a block"):
        PACKAGE_FAULTS[name][0](package)
    status, lines = check(capsys)
    assert status == 1
    assert [line.split(": ")[1] for line in faults(lines)] == [
        "employment_income/2024", "is_female/2024", "weights", "block_geoid",
    ]  # fmt: skip
    assert lines[-1].startswith("4 faults; ")


def test_files_that_are_not_there_are_said_one_by_one(package: Project, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("weights.npy", "county_cbsa.csv"):
        package.path(f"inputs/{name}").unlink()
    status, lines = check(capsys)
    assert status == 1
    assert [line.split(": ")[1] for line in faults(lines)] == ["inputs.weights", "inputs.tables.county_cbsa"]


def test_an_area_without_households(package: Project, capsys: pytest.CaptureFixture[str]) -> None:
    area = {"id": "nowhere", "filters": [{"field": "county", "op": "eq", "value": "48001"}]}
    package.configure(areas__custom=[area])
    status, lines = check(capsys)
    assert status == 1
    assert len(faults(lines)) == 1
    assert "custom nowhere: " in faults(lines)[0]


def test_a_missing_value_with_a_rule_is_right(package: Project, capsys: pytest.CaptureFixture[str]) -> None:
    PACKAGE_FAULTS["a NaN income"][0](package)
    package.configure(inputs__missing={"employment_income": {"NaN": 0}})
    assert check(capsys)[0] == 0


def test_columns_that_no_file_gets_are_not_judged(package: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File(package.path("inputs/source.h5"), "a") as source:
        source["unheard_of/2024"] = np.full(12, np.nan)  # the model does not know it
        source["savers_credit/2024"] = np.full(12, np.nan)  # config/variables.yaml: the model calculates it
    assert check(capsys)[0] == 0


def test_a_database_of_targets(package: Project, capsys: pytest.CaptureFixture[str]) -> None:
    path = package.path("inputs/targets.db")
    path.write_bytes(b"hello")
    package.configure(inputs__targets="inputs/targets.db")
    assert "inputs/targets.db: inputs.targets: expected a target database" in faults(check(capsys)[1])[0]
    path.unlink()
    sqlite3.connect(path).close()
    assert check(capsys)[0] == 1


def test_a_damaged_table(package: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with gzip.open(package.path("inputs/block_districts.csv.gz"), "wt") as stream:
        stream.write("a,b\n1,2\n")
    status, lines = check(capsys)
    assert status == 1
    assert "inputs/block_districts.csv.gz" in faults(lines)[0]


def test_a_wrong_configuration(package: Project, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = check(capsys, "--config", "inputs={weigths: x}")
    assert status == 1
    assert "Did you mean weights?" in faults(lines)[0]


def test_what_the_run_makes_is_not_a_fault(package: Project, capsys: pytest.CaptureFixture[str]) -> None:
    none = {"block_districts": None, "block_crosswalk": None, "county_cbsa": None}
    package.configure(inputs__weights=None, inputs__geography=None, inputs__dataset=None, inputs__tables=none)
    status, lines = check(capsys)
    assert status == 0
    assert sum(line.startswith("later") for line in lines) == 3


def test_as_json(package: Project, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = check(capsys, "--json")
    said = json.loads("\n".join(lines))
    assert status == 0
    assert said["good"]
    PACKAGE_FAULTS["weights with NaN"][0](package)
    status, lines = check(capsys, "--json")
    said = json.loads("\n".join(lines))
    assert (status, said["good"]) == (1, False)
    assert [one["what"] for one in said["findings"] if one["verdict"] == "fault"] == ["inputs/weights.npy"]


@pytest.mark.parametrize("arguments", [["check"], ["check", "--fast"]])
def test_it_cannot_be_made(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder without a configuration, or with an option that does not exist."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2


def test_the_model_is_not_loaded(package: Project) -> None:
    code = (
        "import sys; from local_h5.cli import main; main(['check']);"
        "sys.exit(any(name.split('.')[0].startswith('policyengine') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=package.folder, env=dict(os.environ), capture_output=True)
    assert done.returncode == 0, done
