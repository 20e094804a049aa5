"""A source as tables, one for each entity: the file that ``USSingleYearDataset`` and ``USMultiYearDataset`` of the
country model read and write.

Keys are ``person``, ``household``, … with the year under ``_time_period``, or ``person/2024``, ``person/2025``, …. The
person table has the id of each unit that a person is in. Other keys are not read, and are recorded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from local_h5.errors import SourceError
from local_h5.inputs.membership import ENTITIES, HOUSEHOLD, PERSON, SUB_ENTITIES, YEAR_KEY
from local_h5.inputs.pandas_tables import Frame, frames, read_series
from local_h5.inputs.stored import Stored

MadeUnits = Literal["links", "household", "person"]
"""How the units of an entity without a table are made: those that the persons' ids name, one in each household, or one
of each person."""

YEARS_KEY = "time_period"


@dataclass(frozen=True, slots=True)
class EntityTables:
    """Where the columns of a file of tables are.

    Attributes:
        path: the file.
        year: of the tables.
        keys: entity → key of its table.
        entity_of: column → entity of the table that has it.
        other_keys: keys of the file that are no entity's.
    """

    path: Path
    year: int
    keys: Mapping[str, str]
    entity_of: Mapping[str, str]
    other_keys: tuple[str, ...]

    def read(self, file: h5py.File, names: Sequence[str]) -> dict[str, Stored]:
        """Columns by name, each table in one pass.

        Raises:
            SourceError: a column cannot be read.
        """
        stored: dict[str, Stored] = {}
        for entity, key in self.keys.items():
            here = [name for name in names if self.entity_of[name] == entity]
            if here:
                stored |= Frame(self.path, key, file[key]).read(here, entity)
        return stored

    def plain(self, file: h5py.File, entity: str, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Columns of a table in the types that it has; all of them by default. See :meth:`Frame.plain`."""
        key = self.keys[entity]
        return Frame(self.path, key, file[key]).plain(names)

    def n_rows(self, file: h5py.File, entity: str) -> int:
        """Rows of an entity's table."""
        return Frame(self.path, self.keys[entity], file[self.keys[entity]]).n_rows


@dataclass(frozen=True, slots=True)
class Made:
    """The units of an entity without a table.

    Attributes:
        of_person: column of the person table whose values are the units' ids.
    """

    of_person: str


def open_tables(path: Path, file: h5py.File, year: int | None) -> EntityTables | None:
    """The tables of a year.

    Args:
        path: the file, for errors.
        file: the same, open.
        year: which one of several; None for the one that there is.

    Returns:
        None for a file that pandas did not write.

    Raises:
        SourceError: persons or households are missing or empty, the year is not clear, a column is in two tables.
    """
    found = frames(path, file)
    if not found:
        return None
    chosen, suffix = _chosen(path, found, year)
    keys = {entity: f"{entity}{suffix}" for entity in ENTITIES if f"{entity}{suffix}" in found}
    for entity in (PERSON, HOUSEHOLD):
        if entity not in keys:
            raise SourceError(
                f"{path}: {entity}{suffix}: expected the table of every entity, found the keys "
                f"{', '.join(sorted(found))[:200]}. Write the file again with this table."
            )
    entity_of: dict[str, str] = {}
    for entity, key in keys.items():
        frame = Frame(path, key, found[key])
        if not frame.n_rows:
            raise SourceError(f"{path}: {key}: expected at least one row, found none. Give a source that is not empty.")
        for name in frame.columns:
            if name in entity_of:
                raise SourceError(
                    f"{path}: {name}: expected every column in one table, found it in {entity_of[name]} and {entity}. "
                    "Keep it in the table of the entity that the model gives it."
                )
            entity_of[name] = entity
    read = {*keys.values(), YEAR_KEY, f"{YEARS_KEY}{suffix}"}
    return EntityTables(path, chosen, keys, entity_of, tuple(sorted(found.keys() - read)))


def made_units(path: Path, tables: EntityTables | None, rules: Mapping[str, MadeUnits]) -> dict[str, Made]:
    """The entities whose units are made by a rule.

    Raises:
        SourceError: a table is missing and no rule says how its units are made; the rule is for a table that is there.
    """
    present = ENTITIES if tables is None else tuple(tables.keys)
    for entity in rules:
        if entity in present:
            raise SourceError(
                f"{path}: {entity}: expected no table, because inputs.units says how its units are made, found one. "
                "Leave the rule out."
            )
    made: dict[str, Made] = {}
    for entity in SUB_ENTITIES:
        if entity in present:
            continue
        if entity not in rules:
            raise SourceError(
                f"{path}: {entity}: expected the table of every entity, which the model's loader asks for, found none. "
                f"Write the table, or say how its units are made: inputs: {{units: {{{entity}: household}}}} (one in "
                "each household; or 'person', one of each person; or 'links', those that "
                f"person_{entity}_id names)."
            )
        columns: Mapping[MadeUnits, str] = {
            "links": f"person_{entity}_id", "household": "person_household_id", "person": "person_id",
        }  # fmt: skip
        made[entity] = Made(columns[rules[entity]])
    return made


def _chosen(path: Path, found: Mapping[str, h5py.Group], year: int | None) -> tuple[int, str]:
    """The year, and what follows an entity's name in its key."""
    years = sorted(int(key.partition("/")[2]) for key in found if _is_of_year(key))
    if not any(key in found for key in ENTITIES) and years:
        listed = sorted(set(years))
        if year is None and len(listed) > 1:
            raise SourceError(
                f"{path}: year: expected one, or the choice of one, found {', '.join(map(str, listed))}. Set "
                f"inputs.year, for example {listed[0]}."
            )
        chosen = listed[0] if year is None else year
        if chosen not in listed:
            raise SourceError(
                f"{path}: year: expected {chosen}, as inputs.year says, found {', '.join(map(str, listed))}. Choose "
                "one of these."
            )
        return chosen, f"/{chosen}"
    if YEAR_KEY not in found:
        if year is None:
            raise SourceError(
                f"{path}: {YEAR_KEY}: expected the year of the tables, found no such key. Write it, or set inputs.year."
            )
        return year, ""
    stored = read_series(path, YEAR_KEY, found[YEAR_KEY])
    whole = stored.dtype.kind in "iuf" and len(stored) == 1 and np.all(stored == np.trunc(stored))
    if not whole or not 1900 <= int(stored[0]) <= 2999:
        raise SourceError(
            f"{path}: {YEAR_KEY}: expected one year, found {str(stored.tolist())[:60]}. Write the year as one number."
        )
    if year is not None and year != int(stored[0]):
        raise SourceError(
            f"{path}: year: expected {year}, as inputs.year says, found {int(stored[0])} under {YEAR_KEY}. Correct "
            "inputs.year, or give the dataset of that year."
        )
    return int(stored[0]), ""


def _is_of_year(key: str) -> bool:
    name, _, year = key.partition("/")
    return name in ENTITIES and len(year) == 4 and year.isdigit()
