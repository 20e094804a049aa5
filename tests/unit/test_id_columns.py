"""Columns that hold ids: read by the source's ids, written with the file's, and refused where they name nobody."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plain_model import snapshot_without_model
from sentence import parts_of
from tiny_world import OWNER, World, source_columns, write_source

import local_h5
from local_h5 import facade
from local_h5.errors import SourceError
from local_h5.inputs.id_columns import named_rows
from local_h5.inputs.missing import MissingRules
from local_h5.inputs.source import read_source

PERSONS = 100 + 3 * np.arange(len(OWNER))
TAX_UNITS = source_columns()["person_tax_unit_id"]["2024"]


def parents(*pairs: tuple[int, int]) -> np.ndarray:
    """Each (child, parent) by row."""
    column = np.zeros(len(OWNER), np.int64)
    for child, parent in pairs:
        column[child] = PERSONS[parent]
    return column


def read(folder: Path, variable: str, values: Any, target: str, **others: Any) -> dict[str, np.ndarray]:
    columns = source_columns() | {variable: {"2024": values}}
    columns |= {name: {"2024": column} for name, column in others.items()}
    source = read_source(write_source(folder / "source.h5", columns))
    return named_rows(source, variable, "person", target)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint64, np.float32, np.float64])
def test_ids_become_source_rows(tmp_path: Path, dtype: type) -> None:
    found = read(tmp_path, "parent_1_id", parents((5, 3), (8, 7), (11, 2)).astype(dtype), "person")
    assert found["2024"].tolist() == [0, 0, 0, 0, 0, 4, 0, 0, 8, 0, 0, 3]
    assert found["2024"].dtype == np.int32


def test_ids_of_another_entity(tmp_path: Path) -> None:
    columns = source_columns()
    order = columns["tax_unit_id"]["2024"].tolist()
    found = read(tmp_path, "medicaid_claiming_tax_unit_id", np.where(np.arange(12) == 5, TAX_UNITS[3], 0), "tax_unit")
    assert found["2024"].tolist() == [0] * 5 + [order.index(TAX_UNITS[3]) + 1] + [0] * 6


def test_a_source_with_an_id_0_may_say_none_everywhere(tmp_path: Path) -> None:
    found = read(tmp_path, "parent_1_id", np.zeros(12, int), "person", person_id=np.arange(12))
    assert not found["2024"].any()


LARGE = np.where(np.arange(12) == 5, 2**24, 0).astype(np.float32)
WRONG = {
    "unknown": (parents((5, 3)) + (np.arange(12) == 4) * 999, "1 that it does not, first 999 in row 4"),
    "-1 for none": (np.full(12, -1), "12 that it does not, first -1 in row 0"),
    "another household": (parents((5, 3), (8, 9)), f"1 of others, first {PERSONS[9]} in row 8"),
    "half": (parents((5, 3)) + 0.5, "0.5 in row 0"),
    "missing": (np.where(np.arange(12) == 2, np.nan, 0), "nan in row 2"),
    "text": (np.array([b"109"] * 12), "found text"),
    "float that may be its neighbour": (LARGE, "16777216.0 in row 5"),
    "beyond 64 bits": (np.full(12, 2**63, np.uint64), "in row 0 (12 of 12 values)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_names_nobody_of_the_household_is_one_line(tmp_path: Path, case: str) -> None:
    values, said = WRONG[case]
    with pytest.raises(SourceError) as caught:
        read(tmp_path, "parent_1_id", values, "person")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (parts_of(caught.value).field, parts_of(caught.value).where) == ("parent_1_id", str(tmp_path / "source.h5"))
    assert parts_of(caught.value).remedy


def test_an_id_0_that_could_be_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="person_id: expected no id 0, because 0 in parent_1_id means none"):
        read(tmp_path, "parent_1_id", np.where(np.arange(12) == 5, 3, 0), "person", person_id=np.arange(12))


def test_a_rule_for_a_missing_value_holds(tmp_path: Path) -> None:
    rules = MissingRules({"parent_1_id": {"-1": 0}})
    columns = source_columns() | {"parent_1_id": {"2024": np.where(np.arange(12) == 5, PERSONS[3], -1)}}
    source = read_source(write_source(tmp_path / "source.h5", columns), missing=rules)
    assert named_rows(source, "parent_1_id", "person", "person")["2024"].tolist() == [0] * 5 + [4] + [0] * 6


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(st.data())
def test_files_name_the_same_unit(tmp_path: Path, data: st.DataObject) -> None:
    """Whoever a person names in the source, each file that holds the person names that unit's id there."""
    members = {home: np.flatnonzero(home == OWNER) for home in OWNER}
    parent = [data.draw(st.sampled_from([-1, *members[home].tolist()])) for home in OWNER]
    claimer = [data.draw(st.sampled_from([-1, *members[home].tolist()])) for home in OWNER]
    world = World(tmp_path)
    world.columns["parent_1_id"] = {"2024": np.array([PERSONS[row] if row >= 0 else 0 for row in parent])}
    world.columns["medicaid_claiming_tax_unit_id"] = {
        "2024": np.array([TAX_UNITS[row] if row >= 0 else 0 for row in claimer])
    }
    arguments = world.write()
    written: dict[int, tuple[int, int]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(facade, "prepare_snapshot", snapshot_without_model)
        for districts in (None, ["3701", "634"]):
            local_h5.build_h5(**arguments, cd_subset=districts)
            with h5py.File(world.output) as file:
                person, unit, first, claimed = (
                    file[f"{name}/2024"][()].tolist()
                    for name in ("person_id", "person_tax_unit_id", "parent_1_id", "medicaid_claiming_tax_unit_id")
                )
                assert {file[f"{name}/2024"].dtype for name in ("parent_1_id", "medicaid_claiming_tax_unit_id")} == {
                    np.dtype(np.int32)
                }
            tax_unit_of = dict(zip(person, unit, strict=True))
            for each, of_parent, of_claimer in zip(person, first, claimed, strict=True):
                clone, row = divmod(each - 1, len(OWNER))
                of_row = {-1: 0} | {other: 1 + clone * len(OWNER) + other for other in members[OWNER[row]].tolist()}
                assert of_parent == of_row[parent[row]]
                assert of_claimer == (0 if claimer[row] < 0 else tax_unit_of[of_row[claimer[row]]])
                assert written.setdefault(each, (of_parent, of_claimer)) == (of_parent, of_claimer)
