"""The example's target database: ACS ages (S0101) and SNAP households (S2201), in the production schema."""

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path

from local_h5.errors import InputError
from local_h5.files.atomic import atomic_output
from local_h5_example.acs import DISTRICT, STATE, read_acs

YEAR = 2024
AGE_SOURCE, SNAP_SOURCE = "Census ACS S0101", "Census ACS S2201"

_AGE_COLUMNS = tuple(f"S0101_C01_{number:03d}E" for number in range(2, 20))
"""Persons under 5, of 5 to 9, …, of 85 and more."""
_SNAP_COLUMN = "S2201_C03_001E"
"""Households that received SNAP."""
_OLDEST = 1000
_STATE, _DISTRICT = "state_fips", "congressional_district_geoid"
_CONSTRAINTS = (_STATE, _DISTRICT, "age", "snap")
_OPERATIONS = {"==": "Equals", ">": "Greater than", "<": "Less than"}

Counts = Mapping[int, tuple[int, ...]]
"""Area code → counts."""
Constraint = tuple[str, str, str]


def write_targets(path: Path, age_by_state: Path, age_by_district: Path, snap_by_district: Path) -> int:
    """Write the database, and return its number of targets.

    The nation is the sum of its states (ages) and districts (SNAP); a state's SNAP is the sum of its districts.

    Args:
        path: to write.
        age_by_state, age_by_district: S0101 as the Census Bureau's API gives it.
        snap_by_district: S2201.

    Raises:
        InputError: a table lacks a column, or holds something that is no count.
    """
    ages = {_STATE: _read(age_by_state, STATE, _AGE_COLUMNS), _DISTRICT: _read(age_by_district, DISTRICT, _AGE_COLUMNS)}
    snap: dict[str, Counts] = {_DISTRICT: _read(snap_by_district, DISTRICT, (_SNAP_COLUMN,))}
    snap[_STATE] = _sum_by(snap[_DISTRICT], lambda code: code // 100)
    with atomic_output(path) as temporary, contextlib.closing(sqlite3.connect(temporary)) as connection:
        connection.executescript(files("local_h5_example").joinpath("targets_schema.sql").read_text(encoding="utf-8"))
        writer = _Writer(connection)
        root = writer.stratum(None, (), "United States")
        for row, (bounds, label) in enumerate(_bands()):
            total = sum(counts[row] for counts in ages[_STATE].values())
            writer.target("person_count", writer.stratum(root, bounds, f"Age: {label}"), total, AGE_SOURCE)
        total = sum(counts[0] for counts in snap[_STATE].values())
        received: tuple[Constraint, ...] = (("snap", ">", "0"),)
        writer.target("household_count", writer.stratum(root, received, "Received SNAP"), total, SNAP_SOURCE)
        for variable in (_STATE, _DISTRICT):
            for code, counts in sorted(ages[variable].items()):
                where: Constraint = (variable, "==", str(code))
                area = writer.stratum(root, (where,), f"{variable} {code}")
                for row, (bounds, label) in enumerate(_bands()):
                    stratum = writer.stratum(area, (where, *bounds), f"Age: {label}, {variable} {code}")
                    writer.target("person_count", stratum, counts[row], AGE_SOURCE)
                stratum = writer.stratum(area, (where, *received), f"Received SNAP, {variable} {code}")
                writer.target("household_count", stratum, snap[variable][code][0], SNAP_SOURCE)
        connection.commit()
        return writer.n_targets


class _Writer:
    """Numbers strata and targets as they come."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._n_strata = 0
        self.n_targets = 0
        valid = {
            "constraint_variable": dict.fromkeys(_CONSTRAINTS, ""),
            "operation": _OPERATIONS,
            "variable": {"person_count": "", "household_count": ""},
            "period": {str(YEAR): ""},
            "active": {"0": "", "1": ""},
            "source": {AGE_SOURCE: "", SNAP_SOURCE: ""},
        }
        rows = [(name, value, text) for name, values in valid.items() for value, text in values.items()]
        connection.executemany("INSERT INTO field_valid_values VALUES (?, ?, ?)", rows)

    def stratum(self, parent: int | None, constraints: Iterable[Constraint], notes: str) -> int:
        ordered = sorted(constraints)
        digest = hashlib.sha256("\n".join("|".join(item) for item in ordered).encode()).hexdigest()
        self._n_strata += 1
        self._connection.execute("INSERT INTO strata VALUES (?, ?, ?, ?)", (self._n_strata, digest, parent, notes))
        self._connection.executemany(
            "INSERT INTO stratum_constraints VALUES (?, ?, ?, ?, NULL)",
            [(self._n_strata, *item) for item in ordered],
        )
        return self._n_strata

    def target(self, variable: str, stratum: int, value: float, source: str) -> None:
        self.n_targets += 1
        self._connection.execute(
            "INSERT INTO targets VALUES (?, ?, ?, ?, 0, ?, 1, NULL, ?, NULL)",
            (self.n_targets, variable, YEAR, stratum, float(value), source),
        )


def _bands() -> Iterable[tuple[tuple[Constraint, ...], str]]:
    for lower in range(0, 5 * len(_AGE_COLUMNS), 5):
        upper = lower + 5 if lower < 85 else _OLDEST
        yield (("age", ">", str(lower - 1)), ("age", "<", str(upper))), f"{lower}-{upper - 1}"


def _read(path: Path, area_type: str, columns: tuple[str, ...]) -> Counts:
    counts = {code: tuple(values) for code, *values in read_acs(path, area_type, columns)}
    if min(map(min, counts.values())) < 0:
        raise InputError(
            f"{path}: {', '.join(columns[:2])}: expected counts, found a negative one. Fetch the table again with "
            "scripts/fetch_public_file.py."
        )
    return counts


def _sum_by(counts: Counts, group: Callable[[int], int]) -> Counts:
    sums: dict[int, tuple[int, ...]] = {}
    for code, values in counts.items():
        key = group(code)
        sums[key] = tuple(map(sum, zip(sums[key], values, strict=True))) if key in sums else values
    return sums
