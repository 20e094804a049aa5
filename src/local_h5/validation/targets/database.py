"""Read the target database: a SQLite file in the production schema, opened read-only.

Targets are read through the view ``target_overview``, which has the geographic level and id of each. A target may be
stored for several periods. The latest that is not after the validated year counts; without one, the earliest.
"""

import contextlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self

from local_h5 import us
from local_h5.errors import InputError
from local_h5.requests import AreaBuildRequest

GeoLevel = Literal["national", "state", "district"]
Operation = Literal["==", "!=", ">", ">=", "<", "<=", "in"]

GEOGRAPHIC = frozenset({"state_fips", "congressional_district_geoid", "ucgid_str"})
"""Constraints that say where; the others say who."""

_OPERATIONS = frozenset({"==", "!=", ">", ">=", "<", "<=", "in"})


@dataclass(frozen=True, slots=True)
class Constraint:
    """``variable operation value``, the value as the database has it: a number, a word, or ``a|b|c`` for ``in``."""

    variable: str
    operation: Operation
    value: str

    def __str__(self) -> str:
        return f"{self.variable} {self.operation} {self.value}"


@dataclass(frozen=True, slots=True)
class Target:
    """One active target in its best period.

    Attributes:
        target_id, stratum, period, value: as stored; the value may be missing.
        variable: a variable, ``a+b`` for a sum, or ``<entity>_count``.
        reform: 0, or the id of the reform; then the value is what income tax gains when the variable is neutralised.
        level: national, state or district.
        place: ``US``, a postal code, or a district's friendly name, like an area's id.
        constraints: of the stratum, without geography, sorted.
        meaning: variable of the database → the one of the installed model that means the same; the rest is unmoved.
    """

    target_id: int
    stratum: int
    variable: str
    period: int
    reform: int
    value: float | None
    level: GeoLevel
    place: str
    constraints: tuple[Constraint, ...]
    meaning: Mapping[str, str] = field(default_factory=dict)

    @property
    def measured(self) -> str:
        """The variable, or sum of variables, that is measured. A reform neutralises what the database names."""
        return self.variable if self.reform else "+".join(self.meaning.get(name, name) for name in parts(self.variable))

    @property
    def conditions(self) -> tuple[Constraint, ...]:
        """The constraints that are evaluated."""
        return tuple(
            replace(item, variable=self.meaning.get(item.variable, item.variable)) for item in self.constraints
        )

    @property
    def moved(self) -> str:
        """Which variables are measured in place of those that the database names; empty if none."""
        named = {*parts(self.variable), *(item.variable for item in self.constraints)}
        return ", ".join(f"{name} is measured as {self.meaning[name]}" for name in sorted(named & self.meaning.keys()))

    @property
    def family(self) -> str:
        """The variable, and the variables that define the stratum: one family differs only in bands and places."""
        names = sorted({constraint.variable for constraint in self.constraints})
        return f"{self.variable}{' by ' + ', '.join(names) if names else ''}{' (reform)' if self.reform else ''}"

    @property
    def condition(self) -> str:
        """The constraints in words."""
        return ", ".join(map(str, self.constraints))


@dataclass(frozen=True, slots=True)
class TargetDatabase:
    """The targets of a year, by area."""

    path: Path
    year: int
    by_area: Mapping[tuple[str, str], tuple[Target, ...]]

    @classmethod
    def read(cls, path: Path, year: int, meaning: Mapping[str, str] = MappingProxyType({})) -> Self:
        """Read all active targets.

        Args:
            path: the SQLite file; it is not written, not even a journal beside it.
            year: the year that is validated.
            meaning: see :class:`Target`.

        Raises:
            InputError: missing, no SQLite file, other tables, an unknown operation, level or place.
        """
        if not path.is_file():
            raise _malformed(path, "no such file")
        try:
            with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
                rows = connection.execute(
                    "SELECT target_id, stratum_id, variable, period, reform_id, value, geo_level, geographic_id"
                    " FROM target_overview WHERE active = 1 ORDER BY target_id"
                ).fetchall()
                conditions = connection.execute(
                    "SELECT stratum_id, constraint_variable, operation, value FROM stratum_constraints"
                    " ORDER BY stratum_id, constraint_variable, operation, value"
                ).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise _malformed(path, str(error)) from error
        constraints: dict[int, list[Constraint]] = {}
        for stratum, variable, operation, value in conditions:
            if operation not in _OPERATIONS:
                raise _malformed(path, f"operation {operation!r} in stratum {stratum}")
            if variable not in GEOGRAPHIC:
                constraints.setdefault(stratum, []).append(Constraint(variable, operation, str(value)))
        best: dict[tuple[str, int, int], tuple[object, ...]] = {}
        for row in rows:
            _, stratum, variable, period, reform, *_ = row
            if not all(isinstance(number, int) for number in (row[0], stratum, period, reform)):
                raise _malformed(path, f"target {row[0]!r}: its stratum, period or reform is no whole number")
            key = variable, stratum, reform
            if key not in best or _rank(period, year) > _rank(int(str(best[key][3])), year):
                best[key] = row
        by_area: dict[tuple[str, str], list[Target]] = {}
        for row in sorted(best.values(), key=lambda found: int(str(found[0]))):
            target = replace(_target(path, row, constraints), meaning=meaning)
            by_area.setdefault((target.level, target.place), []).append(target)
        return cls(path, year, {key: tuple(targets) for key, targets in by_area.items()})

    def of(self, request: AreaBuildRequest) -> tuple[Target, ...]:
        """Targets of an area; cities and custom areas have none."""
        return self.by_area.get((request.area_type, request.area_id), ())


def parts(variable: str) -> tuple[str, ...]:
    """The variables of a sum such as ``taxable_interest_income+dividend_income``."""
    return tuple(part.strip() for part in variable.split("+"))


def _rank(period: int, year: int) -> tuple[bool, int]:
    """Order of periods: any that is not after the year beats any that is; then the nearest to it."""
    return (True, period) if period <= year else (False, -period)


def _target(path: Path, row: tuple[object, ...], constraints: Mapping[int, list[Constraint]]) -> Target:
    target_id, stratum, variable, period, reform, value, level, geographic_id = row
    try:
        place_level, place = _place(str(level), str(geographic_id))
        return Target(
            int(str(target_id)),
            int(str(stratum)),
            str(variable),
            int(str(period)),
            int(str(reform)),
            None if value is None else float(str(value)),
            place_level,
            place,
            tuple(constraints.get(int(str(stratum)), ())),
        )
    except (ValueError, KeyError) as error:
        raise _malformed(path, f"target {target_id}: {level} {geographic_id!r}: {error!r}") from error


def _place(level: str, geographic_id: str) -> tuple[GeoLevel, str]:
    if level == "national":
        return "national", us.NATIONAL_ID
    if "US" in geographic_id:  # a ucgid: 0400000US37, or 5001900US3701
        geographic_id = geographic_id.partition("US")[2]
    if level == "state":
        return "state", us.STATE_POSTAL[int(geographic_id)]
    if level == "district":
        return "district", us.district_name(us.normalise_district(int(geographic_id)))
    raise ValueError("an unknown geographic level")


def _malformed(path: Path, found: str) -> InputError:
    return InputError(
        f"{path}: inputs.targets: expected a target database: SQLite with the tables strata, stratum_constraints, "
        f"targets and the view target_overview, found {found}. Give the policy_data.db that the calibration used, "
        "or null for the example's own."
    )
