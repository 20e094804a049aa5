"""What is wrong with a source by what the model says of its variables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from sentence import parts_of
from tiny_world import World, source_columns, write_source

import local_h5
from local_h5.errors import ModelError, SourceError
from local_h5.inputs.missing import MissingRules
from local_h5.inputs.source import read_source
from local_h5.prepared import model
from local_h5.prepared.given import VariableRules
from local_h5.prepared.snapshot import SourceSnapshot
from local_h5.prepared.steps import load_variable_rules, prepare_snapshot
from local_h5.takeup.programmes import load_programmes
from local_h5.validation.targets.country_model import CountryModel

pytestmark = pytest.mark.model

RULES = Path(__file__).parents[2] / "config" / "variables.yaml"

Columns = dict[str, dict[str, Any]]


def snapshot_of(path: Path) -> SourceSnapshot:
    return prepare_snapshot(read_source(path), load_variable_rules(RULES), load_programmes())


def put(name: str, values: Any, period: str = "2024") -> Callable[[Columns], None]:
    return lambda columns: columns.update({name: {period: values}})


CASES = {
    "too short": (put("age", np.ones(11)), "age/2024", "expected 12 values, one for each person, found 11"),
    "of another entity": (put("age", np.ones(6)), "age/2024", "expected 12 values, one for each person, found 6"),
    "unknown member": (
        put("spm_unit_tenure_type", np.array([b"RENTER"] * 5 + [b"SQUATTER"])),
        "spm_unit_tenure_type/2024",
        "found 'SQUATTER'",
    ),
    "a number for a member": (
        put("spm_unit_tenure_type", np.full(6, 1)),
        "spm_unit_tenure_type/2024",
        'inputs: {missing: {spm_unit_tenure_type: {"1": "OWNER_WITHOUT_MORTGAGE"}}}',
    ),
    "a missing report": (
        put("has_medicaid_health_coverage_at_interview", np.array([0, 1, -1] * 4)),
        "has_medicaid_health_coverage_at_interview/2024",
        "-1 in row 2 (4 of 12 values)",
    ),
    "a missing report that only the file has": (
        put("reported_has_subsidized_marketplace_health_coverage_at_interview", np.array([0, 1, np.nan] * 4)),
        "reported_has_subsidized_marketplace_health_coverage_at_interview/2024",
        "nan in row 2 (4 of 12 values)",
    ),
    "an amount that moves": (
        put("employment_income", np.full(12, 1e39)),
        "employment_income/2024",
        "1e+39 in row 0",
    ),
    "hours by month": (
        put("weekly_hours_worked", np.full(12, 40.0), "2024-07"),
        "weekly_hours_worked",
        "found 2024-07",
    ),
    "text for a number": (put("age", np.array([b"old"] * 12)), "age/2024", "found text"),
    "contradiction": (
        put("employment_income_before_lsr", np.ones(12, np.float32)),
        "employment_income/2024",
        "12 that differ, first row 0",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_columns_are_one_line(tmp_path: Path, case: str) -> None:
    change, field, said = CASES[case]
    columns = source_columns()
    change(columns)
    path = write_source(tmp_path / "source.h5", columns)
    with pytest.raises(SourceError) as caught:
        snapshot_of(path)
    error = caught.value
    assert (parts_of(error).where, parts_of(error).field) == (str(path), field)
    assert said in str(error)
    assert "\n" not in str(error)
    assert parts_of(error).remedy
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_left_out_is_recorded_with_the_reason(tmp_path: Path) -> None:
    columns = source_columns()
    columns["employment_income_before_lsr"] = columns[
        "employment_income"
    ]  # a copy of what moves there: no contradiction
    columns["made_up_variable"] = {"2024": np.ones(12)}
    columns["person_weight"] = {"2024": np.full(12, 3.0)}
    columns["spm_unit_spm_threshold"] = {"2024": np.ones(6)}
    columns["recapture_of_investment_credit"] = {"2024": np.ones(len(columns["tax_unit_id"]["2024"]))}
    snapshot = snapshot_of(write_source(tmp_path / "source.h5", columns))
    reasons = {item.variable: item.reason for item in snapshot.excluded}
    assert reasons["made_up_variable"] == "unknown to the model"
    assert reasons["spm_unit_spm_threshold"] == "refused by the model as a dataset input"
    assert reasons["recapture_of_investment_credit"] == "calculated by the model"
    assert reasons["state_fips"] == "written from the calibration package"
    assert reasons["person_weight"] == "a weight that the model derives from household_weight"
    assert "household_weight" not in reasons
    held = {column.variable for column in snapshot.columns}
    assert not held & set(reasons)
    assert "employment_income_before_lsr" in held
    assert "employment_income" not in held


def test_a_column_that_the_loader_drops_is_an_error(tmp_path: Path) -> None:
    """Were it not known that the loader moves ``employment_income``, its absence after loading would be an error."""
    path = write_source(tmp_path / "source.h5", source_columns())
    rules = load_variable_rules(RULES)
    with pytest.raises(SourceError, match="its loader dropped") as caught:
        prepare_snapshot(read_source(path), VariableRules(rules.calculated, {}), load_programmes())
    assert parts_of(caught.value).field == "employment_income"
    assert parts_of(caught.value).remedy


def values_of(snapshot: SourceSnapshot, name: str) -> dict[str, list[Any]]:
    """Period → values of a column of a snapshot."""
    found = {}
    for column in snapshot.columns:
        if column.variable == name:
            values = snapshot.matrices[column.matrix][column.row]
            found[column.period] = (snapshot.vocabularies[name][values] if column.coded else values).tolist()
    return found


def test_what_a_column_means_is_what_the_files_get(tmp_path: Path) -> None:
    """A source with many legal ways to store a column: by the month, by name, as codes with a rule, in a new format."""
    columns = source_columns()
    income = columns.pop("employment_income")["2024"]
    tenure = columns.pop("spm_unit_tenure_type")["2024"]
    columns["is_female"]["2024"] = np.where(columns["is_female"]["2024"], 1.0, np.nan)
    reports = columns["has_medicaid_health_coverage_at_interview"]["2024"]
    columns["has_medicaid_health_coverage_at_interview"]["2024"] = np.where(reports, 1, -1)
    columns["snap_reported"] = {"2024": np.zeros(6)}  # unknown to the model: nobody reads it
    columns["or_ssp_care_liability"] = {"2024": np.arange(12.0)}  # the model has it by the month
    big = np.array([2**40 + 7, 2**40 + 9, 2**40, 5, 6, 7])
    renamed = dict(zip(columns["household_id"]["2024"].tolist(), big.tolist(), strict=True))
    columns["person_household_id"]["2024"] = np.array(
        [renamed[owner] for owner in columns["person_household_id"]["2024"].tolist()]
    )
    columns["household_id"]["2024"] = big  # beyond the model's integers
    columns["ss_calculator_source_basis"] = {"ETERNITY": np.array(["Doña Ana".encode(), b""] * 6)}
    path = tmp_path / "cps_2023.hdf5"  # a name by which the model would go
    with h5py.File(path, "w", libver="latest") as file:
        for name, periods in columns.items():
            for period, values in periods.items():
                file[f"{name}/{period}"] = values
        for month in range(1, 13):
            file[f"employment_income/2024-{month:02d}"] = income / 12
        declared = h5py.enum_dtype({"OWNER_WITH_MORTGAGE": 0, "RENTER": 1}, basetype="i2")
        file.create_dataset("spm_unit_tenure_type/2024", data=(tenure == b"RENTER").astype("i2"), dtype=declared)
        swapped = h5py.enum_dtype({"TRUE": 0, "FALSE": 1}, basetype="i1")
        del file["is_household_head/2024"]
        file.create_dataset("is_household_head/2024", data=np.array([0, 1] * 6, "i1"), dtype=swapped)
    missing = MissingRules.from_config(
        {"is_female": {"NaN": False}, "has_medicaid_health_coverage_at_interview": {-1: False}}
    )
    snapshot = prepare_snapshot(read_source(path, missing=missing), load_variable_rules(RULES), load_programmes())
    (earned,) = values_of(snapshot, "employment_income_before_lsr").values()
    np.testing.assert_allclose(earned, income, rtol=1e-7)
    assert values_of(snapshot, "spm_unit_tenure_type") == {"2024": tenure.tolist()}
    assert values_of(snapshot, "is_household_head") == {"ETERNITY": [True, False] * 6}
    assert values_of(snapshot, "is_female") == {"2024": source_columns()["is_female"]["2024"].tolist()}
    assert values_of(snapshot, "has_medicaid_health_coverage_at_interview") == {"2024": reports.tolist()}
    assert snapshot.values["has_medicaid_health_coverage_at_interview"].tolist() == reports.tolist()
    assert snapshot.household_id.tolist() == big.tolist()
    assert values_of(snapshot, "ss_calculator_source_basis") == {"ETERNITY": ["Doña Ana".encode(), b""] * 6}
    fee = values_of(snapshot, "or_ssp_care_liability")
    assert list(fee) == [f"2024-{month:02d}" for month in range(1, 13)]
    assert {tuple(values) for values in fee.values()} == {tuple((np.arange(12, dtype=np.float32) / 12).tolist())}


def test_a_year_that_the_model_does_not_know_is_one_line(tmp_path: Path) -> None:
    columns = {name: {"1999": periods["2024"]} for name, periods in source_columns().items()}
    path = write_source(tmp_path / "source.h5", columns)
    with pytest.raises(ModelError) as caught:
        snapshot_of(path)
    assert "1999" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_that_holds_other_values_than_it_was_given_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = model.write_columns

    def other(path: Path, columns: Any) -> None:
        original(path, {**columns, "is_female": {"2024": ~columns["is_female"]["2024"]}})

    monkeypatch.setattr(model, "write_columns", other)
    with pytest.raises(ModelError, match="the values that it was given") as caught:
        snapshot_of(write_source(tmp_path / "source.h5", source_columns()))
    assert parts_of(caught.value).field == "is_female"


def test_three_faults_at_once_never_become_a_file(tmp_path: Path) -> None:
    """A missing value, an income by month and a state of the source: nothing is built from such a file."""
    world = World(tmp_path)
    income = world.columns.pop("employment_income")["2024"]
    world.columns["employment_income"] = {f"2024-{month:02d}": income / 12 for month in range(1, 13)}
    world.columns["is_female"]["2024"] = np.where(np.arange(12) == 3, np.nan, world.columns["is_female"]["2024"])
    world.columns["state_code_str"] = {"2024": np.array([b"CA"] * 6)}
    with pytest.raises(SourceError, match=r"is_female/2024: .*nan in row 3"):
        local_h5.build_h5(**world.write())
    assert not list(tmp_path.rglob("area.h5*"))


def test_whatever_the_model_raises_is_one_line(tmp_path: Path) -> None:
    class Cycle(Exception):
        """Of the model's own, like those for cycles and unknown variables."""

    def fail(dataset: str) -> None:
        raise Cycle("snap\ndepends on snap")

    country = object.__new__(CountryModel)
    country._simulation = fail
    with pytest.raises(ModelError, match="Cycle: snap depends on snap"):
        country.calculate(tmp_path / "area.h5", ["snap"], 2024)
