"""The production schema, read as it is: a trimmed copy of a real target database, and a few made-up ones."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from validation_world import write_database

from local_h5.errors import InputError
from local_h5.requests import AreaBuildRequest, AreaFilter
from local_h5.validation.targets.constraints import People, counted_entity, holds
from local_h5.validation.targets.database import Constraint, TargetDatabase

REAL = Path(__file__).parents[2] / "data" / "validation" / "policy_data.db"


@pytest.fixture(scope="module")
def real() -> TargetDatabase:
    return TargetDatabase.read(REAL, 2024)


def request(area_type: str, area_id: str) -> AreaBuildRequest:
    filters = {"district": (AreaFilter("district", "eq", ("5601",)),)}.get(area_type, ())
    return AreaBuildRequest(area_type, area_id, area_id, filters)  # type: ignore[arg-type]


def test_areas_have_their_targets(real: TargetDatabase) -> None:
    assert len(real.of(request("district", "WY-01"))) == 19
    assert {target.place for target in real.of(request("state", "NC"))} == {"NC"}
    assert real.of(request("city", "NYC")) == ()
    total = sum(len(targets) for targets in real.by_area.values())
    with sqlite3.connect(REAL) as connection:
        query = "SELECT count(*), count(DISTINCT variable || stratum_id || '/' || reform_id) FROM targets WHERE active"
        stored, different = connection.execute(query).fetchone()
    assert total == different < stored  # some are stored for several periods


def test_the_geographic_level_is_the_views(real: TargetDatabase) -> None:
    with sqlite3.connect(REAL) as connection:
        view = dict(connection.execute("SELECT target_id, geo_level FROM target_overview"))
    assert all(view[t.target_id] == t.level for targets in real.by_area.values() for t in targets)


@pytest.mark.parametrize(("year", "period"), [(2024, 2024), (2023, 2023), (2022, 2022), (2026, 2025), (2020, 2022)])
def test_the_best_period_is_the_latest_before_else_the_earliest(year: int, period: int) -> None:
    database = TargetDatabase.read(REAL, year)
    (found,) = [
        target
        for target in database.of(request("national", "US"))
        if target.constraints == (Constraint("ssn_card_type", "==", "NONE"),)
    ]
    assert found.period == period


def test_reform_targets_are_known_as_such(real: TargetDatabase) -> None:
    reforms = {t.variable for t in real.of(request("national", "US")) if t.reform}
    assert reforms >= {"salt_deduction", "charitable_deduction"}


def test_ages_of_a_district_have_their_band_and_no_geography(real: TargetDatabase) -> None:
    first = min(real.of(request("district", "WY-01")), key=lambda target: target.target_id)
    assert (first.variable, first.value, first.condition) == ("person_count", 28344.0, "age < 5, age > -1")
    assert first.family == "person_count by age"


def test_inactive_targets_are_left_out(tmp_path: Path) -> None:
    path = write_database(tmp_path / "t.db", [("person_count", [], 1.0), ("snap", [], 2.0)])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE targets SET active = 0 WHERE variable = 'snap'")
    connection.close()
    assert [t.variable for t in TargetDatabase.read(path, 2024).of(request("national", "US"))] == ["person_count"]


def test_district_fifty_oh_one_is_vermont_and_no_ucgid(tmp_path: Path) -> None:
    places = [("congressional_district_geoid", "5001"), ("congressional_district_geoid", "1198")]
    places += [("ucgid_str", "5001900US3701"), ("ucgid_str", "0400000US37"), ("ucgid_str", "0100000US")]
    rows = [("person_count", [(name, "==", value)], 1.0) for name, value in places]
    database = TargetDatabase.read(write_database(tmp_path / "t.db", rows), 2024)
    assert set(database.by_area) == {
        ("district", "VT-01"), ("district", "DC-01"), ("district", "NC-01"), ("state", "NC"), ("national", "US"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        ("DROP VIEW target_overview", "no such table: target_overview"),
        ("UPDATE stratum_constraints SET operation = '~'", "operation '~'"),
        ("UPDATE stratum_constraints SET value = '9999'", "9999"),
    ],
)
def test_another_form_is_refused(tmp_path: Path, spoil: str, found: str) -> None:
    path = write_database(tmp_path / "t.db", [("snap", [("state_fips", "==", "37")], 2.0)])
    with sqlite3.connect(path) as connection:
        connection.execute(spoil)
    connection.close()
    with pytest.raises(InputError, match=r"inputs\.targets.*" + found):
        TargetDatabase.read(path, 2024)


def test_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at")
    for path in (tmp_path / "missing.db", tmp_path / "text.db"):
        with pytest.raises(InputError, match=r"inputs\.targets"):
            TargetDatabase.read(path, 2024)
    assert not (tmp_path / "missing.db").exists()


def test_the_database_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    path.write_bytes(REAL.read_bytes())
    path.chmod(0o400)
    TargetDatabase.read(path, 2024)
    assert path.read_bytes() == REAL.read_bytes()
    assert [item.name for item in tmp_path.iterdir()] == ["t.db"]


NUMBERS = np.array([-1.0, 0.0, 4.0, 5.0, np.inf])


@pytest.mark.parametrize(
    ("operation", "value", "expected"),
    [
        ("==", "5", [0, 0, 0, 1, 0]),
        ("!=", "5.0", [1, 1, 1, 0, 1]),
        (">", "4", [0, 0, 0, 1, 1]),
        (">=", "4", [0, 0, 1, 1, 1]),
        ("<", "inf", [1, 1, 1, 1, 0]),
        ("<=", "-inf", [0, 0, 0, 0, 0]),
        ("in", "4|5", [0, 0, 1, 1, 0]),
    ],
)
def test_numbers_are_compared(operation: str, value: str, expected: list[int]) -> None:
    assert holds(Constraint("x", operation, value), NUMBERS).tolist() == [bool(v) for v in expected]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "expected"), [("True", [True, False]), ("1", [True, False]), ("False", [False, True])]
)
def test_truth_values_are_compared_with_words_and_numbers(value: str, expected: list[bool]) -> None:
    assert holds(Constraint("x", "==", value), np.array([True, False])).tolist() == expected


def test_words_are_compared_by_equality_alone() -> None:
    words = np.array([b"NONE", b"CITIZEN", b"OTHER"])
    assert holds(Constraint("x", "==", "NONE"), words).tolist() == [True, False, False]
    assert holds(Constraint("x", "in", "NONE|OTHER"), words).tolist() == [True, False, True]
    assert holds(Constraint("x", "!=", "NONE"), words).tolist() == [False, True, True]
    with pytest.raises(InputError, match="words"):
        holds(Constraint("x", ">", "NONE"), words)
    with pytest.raises(InputError, match="a number"):
        holds(Constraint("x", "==", "NONE"), NUMBERS)


def test_constraints_hold_per_person_and_are_mapped_to_units() -> None:
    """Persons 0, 1 | 2, 3 | 4 in three households; 2 and 3 in tax units of their own."""
    people = People(
        {"household": np.array([0, 0, 1, 1, 2]), "tax_unit": np.array([0, 0, 1, 2, 3])},
        {"person": 5, "household": 3, "tax_unit": 4},
        {"age": ("person", np.array([40, 8, 9, 70, 6])), "aca_ptc": ("tax_unit", np.array([5.0, 0.0, 1.0, 0.0]))},
    )
    child, credit = Constraint("age", "<", "18"), Constraint("aca_ptc", ">", "0")
    assert people.meeting((child,)).tolist() == [False, True, True, False, True]
    assert people.meeting((credit,)).tolist() == [True, True, False, True, False]
    both = people.meeting((child, credit))
    assert both.tolist() == [False, True, False, False, False]
    assert people.units("tax_unit", both).tolist() == [True, False, False, False]
    # household 1 has a child and somebody with a credit, but nobody who is both
    assert people.units("household", both).tolist() == [True, False, False]


def test_count_variables_count_an_entity() -> None:
    entities = {"person": 1, "household": 1, "tax_unit": 1}
    assert counted_entity("tax_unit_count", entities) == "tax_unit"
    assert counted_entity("dog_count", entities) is None
    assert counted_entity("snap", entities) is None
