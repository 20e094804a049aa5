"""What is wrong with a source by what the model says of its variables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_world import source_columns, write_source

from local_h5.errors import SourceError
from local_h5.model import VariableRules
from local_h5.prepare import load_variable_rules, prepare_snapshot
from local_h5.snapshot import SourceSnapshot
from local_h5.source import read_source
from local_h5.takeup.programmes import load_programmes

pytestmark = pytest.mark.model

RULES = Path(__file__).parents[2] / "config" / "variables.yaml"

Columns = dict[str, dict[str, Any]]


def snapshot_of(path: Path) -> SourceSnapshot:
    return prepare_snapshot(read_source(path), load_variable_rules(RULES), load_programmes())


def put(name: str, values: Any, period: str = "2024") -> Callable[[Columns], None]:
    return lambda columns: columns.update({name: {period: values}})


CASES = {
    "too short": (put("age", np.ones(11)), "age/2024", "expected 12 values, one a person, found 11"),
    "of another entity": (put("age", np.ones(6)), "age/2024", "expected 12 values, one a person, found 6"),
    "unknown member": (
        put("spm_unit_tenure_type", np.array([b"RENTER"] * 5 + [b"SQUATTER"])),
        "spm_unit_tenure_type/2024",
        "found 'SQUATTER'",
    ),
    "unknown index": (put("spm_unit_tenure_type", np.full(6, 99)), "spm_unit_tenure_type/2024", "found 99…99"),
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
    assert (error.where, error.field) == (str(path), field)
    assert said in str(error)
    assert "\n" not in str(error)
    assert error.remedy
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
    assert caught.value.field == "employment_income"
    assert caught.value.remedy
