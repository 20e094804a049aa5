"""Targets of values that depend on who else is in the file: calculated where they hold, or refused with the reason."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import pytest
from joins import unit_rows
from validation_world import FakeModel, Run, copy_of, with_validation, write_database

from local_h5.contracts.records import ValidationRecord
from local_h5.errors import ModelError
from local_h5.prepared.model import MEDICAID_COST
from local_h5.validation.targets import run as validation_run
from local_h5.validation.targets.run import TargetRun

STATES = ("AK", "CA", "DC", "NC")
FIPS = {"AK": "2", "CA": "6", "DC": "11", "NC": "37"}
SPENDING = 1_000_000.0
"""Of every state, in the stand-in model."""
PLACES: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "NC-01": (("congressional_district_geoid", "==", "3701"),),
    **{state: (("state_fips", "==", fips),) for state, fips in FIPS.items()},
    "US": (),
}


class WholeFileModel(FakeModel):
    """Shares a state's spending among the rows that were loaded, and ranks them, as the country model does."""

    ENTITIES: ClassVar[Mapping[str, str]] = {
        **FakeModel.ENTITIES,
        "medicaid": "person",
        "used_aca_ptc": "tax_unit",
        "household_income_decile": "household",
    }

    def calculate(self, path: Path, variables: Iterable[str], year: int) -> Mapping[str, np.ndarray]:
        asked = set(variables)
        values = dict(super().calculate(path, asked & FakeModel.ENTITIES.keys(), year))
        with h5py.File(path) as file:
            read = {name: file[name][str(year)][()] for name in file if str(year) in file[name]}
            link, tax_unit = unit_rows(file, "household"), unit_rows(file, "tax_unit")
        weight = read["household_weight"].astype(float)
        enrolled = read["age"] < 65
        state = read["state_fips"][link]
        loaded = np.bincount(state, weight[link] * enrolled, 100)
        with np.errstate(divide="ignore"):
            cost = read.get(MEDICAID_COST, (SPENDING / loaded)[state])
        values["medicaid"] = np.where(enrolled, cost, 0)
        values["used_aca_ptc"] = 3.0 * np.bincount(tax_unit, enrolled)
        income = np.bincount(link, read["employment_income"], len(weight))
        order = np.argsort(income, kind="stable")
        rank = np.cumsum(weight[order]) / weight.sum()
        values["household_income_decile"] = np.zeros(len(weight))
        values["household_income_decile"][order] = np.ceil(10 * rank - 1e-9)
        return {name: values[name] for name in asked}


def target_run(run: Run, variable: str = "medicaid", who: Any = (), **policy: Any) -> TargetRun:
    targets = [(variable, [*place, *who], 1000.0) for place in PLACES.values()]
    path = write_database(run.folder / "targets.db", targets)
    return TargetRun.open(with_validation(run, level="targets", **policy).settings, path)


def simulate(target_run: TargetRun) -> WholeFileModel:
    model = WholeFileModel()
    for part in range(target_run.settings.config.validation.processes):
        assert target_run.simulate_part(part, lambda: model).problems == {}
    return model


def row(run: Run, target_run: TargetRun, area: str) -> Any:
    record: ValidationRecord = target_run.validate(run.request(area))
    record.to_json()
    assert record.status != "error", record.issues
    return record.targets[0]


def by_hand(run: Run, area: str) -> float:
    """Medicaid of a file, from what it stores."""
    with h5py.File(run.path(area)) as file:
        link, weight = unit_rows(file, "household"), file["household_weight/2024"][()].astype(float)
        cost, enrolled = file[MEDICAID_COST]["2024"][()].astype(float), file["age/2024"][()] < 65
    return float((weight[link] * cost * enrolled).sum())


@pytest.mark.parametrize("persons_per_run", [1, 3, 7, 25_000])
def test_the_nation_is_the_sum_of_its_states(
    finished: Run, tmp_path: Path, persons_per_run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of states that are cut into several runs; a configuration says at least 1,000."""
    monkeypatch.setattr(TargetRun, "_persons_per_run", persons_per_run)
    run = copy_of(finished, tmp_path)
    opened = target_run(run)
    assert (simulate(opened).runs > len(STATES)) == (persons_per_run < 8)
    values = {area: row(run, opened, area).value for area in PLACES}
    assert values == pytest.approx({area: by_hand(run, area) for area in PLACES}, rel=1e-6)
    assert values["US"] == pytest.approx(sum(values[state] for state in STATES), rel=1e-6)


def test_left_to_the_model_it_is_said_only_of_whole_states(left_to_the_model: Run, tmp_path: Path) -> None:
    run = copy_of(left_to_the_model, tmp_path)
    opened = target_run(run)
    model = simulate(opened)
    for state in STATES:
        assert row(run, opened, state).value == pytest.approx(SPENDING, rel=1e-6)
    assert row(run, opened, "US").value == pytest.approx(len(STATES) * SPENDING, rel=1e-6)
    district = row(run, opened, "NC-01")
    assert (district.value, district.verdict) == (None, "not_evaluated")
    assert district.reason.startswith("medicaid holds only in a file of whole states: medicaid_slcsp_")
    runs = model.runs
    assert simulate(opened).runs == 0 < runs  # kept


def test_left_to_the_model_a_file_that_fits_no_run_is_refused(
    left_to_the_model: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copy_of(left_to_the_model, tmp_path)
    monkeypatch.setattr(TargetRun, "_persons_per_run", 3)
    opened = target_run(run)
    simulate(opened)
    nation = row(run, opened, "US")
    assert (nation.value, nation.verdict) == (None, "not_evaluated")
    assert "persons are more than validation.persons_per_run, 3" in nation.reason
    assert opened.validate(run.request("US")).facts["persons_per_run"] == 3
    assert "1 that the file cannot say" in opened.validate(run.request("US")).summary.text


def test_values_of_the_whole_file_follow_its_weights(left_to_the_model: Run, tmp_path: Path) -> None:
    """A household's own values are kept when weights change; these are not."""
    run = copy_of(left_to_the_model, tmp_path)
    opened = target_run(run)
    simulate(opened)

    def uneven(weight: np.ndarray) -> np.ndarray:
        return weight * np.linspace(1, 9, len(weight), dtype=np.float32)

    run.edit("NC", "household_weight", uneven)
    assert opened.validate(run.request("NC")).status == "error"  # of the old weights
    simulate(opened)
    assert row(run, opened, "NC").value == pytest.approx(SPENDING, rel=1e-6)


@pytest.mark.parametrize("who", [(), [("household_income_decile", "==", "10")]])
def test_ranks_are_said_of_the_nation_only(finished: Run, tmp_path: Path, who: Any) -> None:
    run = copy_of(finished, tmp_path)
    opened = target_run(run, "household_count" if who else "household_income_decile", who)
    simulate(opened)
    for area in ("NC-01", *STATES):
        found = row(run, opened, area)
        assert (found.value, found.verdict) == (None, "not_evaluated")
        assert "household_income_decile holds only in a file of the nation" in found.reason
    with h5py.File(run.path("US")) as file:
        link, weight = unit_rows(file, "household"), file["household_weight/2024"][()].astype(float)
        income = np.bincount(link, file["employment_income/2024"][()], len(weight))
    order = np.argsort(income, kind="stable")
    decile = np.ceil(10 * np.cumsum(weight[order]) / weight.sum() - 1e-9)
    expected = weight[order][decile == 10].sum() if who else weight[order] @ decile
    assert row(run, opened, "US").value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("variable", ["household_weight", "person_weight"])
def test_weights_are_never_kept_without_themselves(finished: Run, tmp_path: Path, variable: str) -> None:
    opened = target_run(copy_of(finished, tmp_path), "household_count", [(variable, ">", "5")])
    assert variable not in opened.wanted.variables
    assert all(variable in opened.whole_of(finished.request(area)).variables for area in PLACES)  # type: ignore[union-attr]


def test_a_target_whose_name_moved_is_measured_by_the_new_one(finished: Run, tmp_path: Path) -> None:
    run = copy_of(finished, tmp_path)
    for variable, who in (
        ("aca_ptc", ()),
        ("snap+aca_ptc", ()),
        ("tax_unit_count", [("aca_ptc", ">", "0")]),
        ("used_aca_ptc", ()),
    ):
        opened = target_run(run, variable, who)
        assert "aca_ptc" not in opened.wanted.variables
        simulate(opened)
        found = row(run, opened, "NC")
        assert found.value > 0
        assert found.variable == variable
        assert ("aca_ptc is measured as used_aca_ptc" in found.reason) == (variable != "used_aca_ptc")


def test_rules_ask_for_what_the_database_names(finished: Run, tmp_path: Path) -> None:
    opened = target_run(copy_of(finished, tmp_path), "aca_ptc", exclude=[{"variable": "aca_ptc"}])
    assert opened.wanted.variables == ()


def test_an_unknown_version_of_the_model_is_refused(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        validation_run, "model_versions", lambda: {"policyengine-us": "9.9.9", "policyengine-core": "1"}
    )
    with pytest.raises(ModelError, match=r"policyengine-us 9\.9\.9.*2\.68\.0.*no table of it"):
        target_run(copy_of(finished, tmp_path))
