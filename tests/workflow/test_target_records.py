"""Validation against targets in real runs: what is checked again, by content, and a broken file that fails alone."""

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from joins import unit_rows
from msgspec.structs import replace
from small_project import ALL, DISTRICTS, Project, district_of_rows
from test_rebuild_table import everything_but_bytes
from validation_world import write_database

from local_h5.config.layout import Layout
from local_h5.contracts.records import of_sidecar, read_record, write_record
from local_h5.contracts.results import (
    OutputFile,
    WeightSummary,
    read_sidecar,
    sidecar_path,
    sidecar_text,
    write_sidecar,
)
from local_h5.files.atomic import sha256_of

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

YEARS_AGO = 1_600_000_000
STAND_IN = '''"""The age that a file holds, without the country model; says when it was started."""
from pathlib import Path
import h5py


class CountryModel:
    def __init__(self):
        with Path("started").open("a") as stream:
            stream.write("x")

    def entity_of(self, variable):
        return "person" if variable == "age" else None

    def in_order(self, variables):
        return tuple(variables)

    def calculate(self, path, variables, year):
        with h5py.File(path) as file:
            return {name: file[f"{name}/{year}"][()] for name in variables}
'''
AREAS = {"districts": "congressional_district_geoid", "states": "state_fips"}


def persons_by_area(project: Project) -> dict[tuple[str, str], float]:
    """Weighted persons of each district and state, and of the nation, from the built files."""
    found = {}
    for name, code in DISTRICTS.items():
        for field, value, area in (
            ("congressional_district_geoid", str(code), f"districts/{name}"),
            ("state_fips", str(code // 100), f"states/{name[:2]}"),
            ("", "", "national/US"),
        ):
            with h5py.File(project.h5(area)) as file:
                weight = file["household_weight/2024"][()].astype(float)
                found[field, value] = float(weight[unit_rows(file, "household")].sum())
    return found


def write_targets(project: Project, factor: float = 1.0) -> None:
    adults = ("age", ">=", "0")
    rows = [
        ("person_count", [*([(field, "==", value)] if field else []), adults], persons * factor)
        for (field, value), persons in persons_by_area(project).items()
    ]
    write_database(project.path("inputs/targets.db"), rows)


def write_reference(project: Project) -> None:
    """Let the table of districts say how many persons the files have."""
    persons = persons_by_area(project)
    lines = ["district,code,state,state_fips,population_2024"]
    for name, code in DISTRICTS.items():
        count = round(persons["congressional_district_geoid", str(code)])
        lines.append(f"{name},{code},{name[:2]},{code // 100},{count}")
    project.path("inputs/districts.csv").write_text("\n".join(lines) + "\n")


def without_the_model(project: Project) -> None:
    """Let what a file holds stand in for what the model calculates."""
    simulate = project.path("scripts/simulate_targets.py")
    project.path("scripts/stand_in.py").write_text(STAND_IN)
    imported = "from local_h5.validation.targets.country_model import CountryModel\n"
    assert imported in simulate.read_text()
    simulate.write_text(simulate.read_text().replace(imported, "from stand_in import CountryModel\n"))


@pytest.fixture(scope="module")
def checked_once(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small project after a run at the level of targets; the population is the one that its weights give."""
    project = built.copy(tmp_path_factory.mktemp("checked") / "project")
    without_the_model(project)
    write_targets(project)
    write_reference(project)
    project.configure(
        inputs__targets="inputs/targets.db",
        validation__enabled=True,
        validation__level="targets",
        validation__on_failure={"structural": "fail", "sanity": "fail", "targets": "fail"},
        validation__population={"max_rel_error": 0.2, "table": None},
        validation__max_rel_abs_error=0.01,
        validation__max_share_failing=0.0,
    )
    outcome = project.run()
    assert jobs(outcome.text)["validate_targets"] == len(ALL)
    assert project.path("started").read_text() == "xx"  # once in each process
    return project


@pytest.fixture
def checked(checked_once: Project, tmp_path: Path) -> Project:
    """A copy of the checked project."""
    return checked_once.copy(tmp_path / "project")


def jobs(text: str) -> Counter[str]:
    """Rule → jobs that ended."""
    lines = (line for line in text.splitlines() if line.startswith("Finished jobid"))
    return Counter(line.partition("(Rule: ")[2].rstrip(")") for line in lines)


def approved(project: Project) -> set[str]:
    folder = project.path("results/published")
    return {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.json")}


def multiply_weights_of_the_file(project: Project, area: str, factor: float) -> None:
    """Make a built file what a faulty builder would have made: sidecar and record of structural checks vouch for it."""
    path = project.h5(area)
    with h5py.File(path, "r+") as file:
        file["household_weight/2024"][...] *= factor
        weight = file["household_weight/2024"][()].astype(np.float64)
        persons = float(weight[unit_rows(file, "household")].sum())
    result = read_sidecar(sidecar_path(path))
    output = OutputFile(result.output.path, sha256_of(path), path.stat().st_size)
    weights = WeightSummary(
        float(weight.sum()), persons, float(weight.sum() ** 2 / (weight**2).sum()), float(weight.max() / weight.sum())
    )
    result = replace(result, output=output, weights=weights)
    write_sidecar(path, result)
    checks = Layout(project.path("results")).record("structural", result.output.path)
    record = read_record(checks)
    record = replace(record, area=replace(record.area, sha256=output.sha256))
    write_record(checks, of_sidecar(record, sidecar_text(result)))


def test_what_is_checked_again(checked: Project) -> None:
    assert "Nothing to be done" in checked.run().text

    everything_but_bytes(checked)  # touched, rewritten, metadata lost
    outcome = checked.run()
    assert "Nothing to be done" in outcome.text, outcome.text

    write_targets(checked, 1.005)  # within the tolerance, under an older time
    os.utime(checked.path("inputs/targets.db"), (YEARS_AGO, YEARS_AGO))
    assert checked.plan()["checked"][0]["reason"] == "targets changed"
    outcome = checked.run()
    assert not outcome.built
    assert jobs(outcome.text)["validate_targets"] == len(ALL)
    assert checked.path("started").read_text() == "xx"  # the same variables of the same households
    assert "Nothing to be done" in checked.run().text

    checked.edit("config/config.yaml", "max_rel_abs_error: 0.01", "max_rel_abs_error: 0.001")
    outcome = checked.run(check=False)
    assert not outcome.built
    assert outcome.status
    assert approved(checked) == {"cities/NYC", "custom/durham"}  # areas without targets
    checked.edit("config/config.yaml", "max_rel_abs_error: 0.001", "max_rel_abs_error: 0.01")
    checked.run()
    assert approved(checked) == ALL

    checked.change_weights(["VA-02"])
    checked.edit("config/config.yaml", "max_rel_abs_error: 0.01", "max_rel_abs_error: 0.5")
    checked.run()
    weights = np.load(checked.path("inputs/weights.npy"))
    weights[np.flatnonzero(district_of_rows() == DISTRICTS["VA-02"])[0]] += 0.25
    np.save(checked.path("inputs/weights.npy"), weights)
    outcome = checked.run()
    assert outcome.built == {"districts/VA-02", "states/VA", "national/US"}
    assert jobs(outcome.text)["validate_targets"] == 3
    assert checked.path("started").read_text() == "xx"  # weights move no value


def test_a_broken_file_fails_alone_and_is_kept(checked: Project) -> None:
    multiply_weights_of_the_file(checked, "districts/NC-04", 10)
    kept = checked.bytes_of_results()["districts/NC-04.h5"]
    outcome = checked.run(check=False)
    assert outcome.status
    assert not outcome.built  # sidecar and record vouch for it: it is checked, not built again
    assert approved(checked) == ALL - {"districts/NC-04"}
    assert checked.bytes_of_results()["districts/NC-04.h5"] == kept
    log = checked.path("results/logs/published/districts/NC-04.log").read_text()
    assert "person_count" in log
    summary = report(checked)
    assert list(summary["not_releasable"]) == ["districts/NC-04"]
    assert summary["shared_causes"] == []

    checked.h5("districts/NC-04").unlink()  # what the documentation says: delete it and run again
    assert checked.run().built == {"districts/NC-04"}
    assert approved(checked) == ALL


def test_wrong_inputs_of_a_district_are_a_shared_cause(checked: Project) -> None:
    path = checked.path("inputs/weights.npy")
    weights = np.load(path)
    weights[district_of_rows() == DISTRICTS["NC-04"]] *= 10
    np.save(path, weights)
    outcome = checked.run(check=False)
    assert outcome.status
    assert outcome.built == {"districts/NC-04", "states/NC", "national/US", "custom/durham"}
    assert approved(checked) == ALL - {"districts/NC-04", "states/NC", "national/US"}
    causes = report(checked)["shared_causes"]
    assert [(cause["districts"], cause["areas"]) for cause in causes] == [(["NC-04"], ["NC", "US"])]


def test_values_lost_and_records_kept(checked: Project) -> None:
    shutil.rmtree(checked.path("results/validation/values"))
    assert "Nothing to be done" in checked.run().text
    checked.edit("config/config.yaml", "max_rel_abs_error: 0.01", "max_rel_abs_error: 0.02")
    checked.run()
    assert checked.path("started").read_text() == "xxxx"  # calculated again, because a check needs them
    assert approved(checked) == ALL


def report(project: Project) -> dict:
    project.local_h5("report", "--results", "results")
    return json.loads(Path(project.folder, "results/validation/summary.json").read_text())
