"""The source dataset: a PolicyEngine period-grouped H5 (a group per variable, a dataset per period), or tables of
entities as pandas writes them (:mod:`local_h5.inputs.entity_tables`). The content decides which.

This module reads and checks what does not need the model: the file's year, its id columns, and who belongs to whom.
:mod:`local_h5.inputs.columns` reads the values of all columns, ids too.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from local_h5.errors import ConfigError, InputError, SourceError
from local_h5.files.atomic import sha256_of
from local_h5.files.hdf5 import H5_ERRORS, outside
from local_h5.inputs.columns import ETERNITY, ColumnKind, read_column
from local_h5.inputs.entity_tables import EntityTables, MadeUnits, made_units, open_tables
from local_h5.inputs.membership import ENTITIES, HOUSEHOLD, PERSON, SUB_ENTITIES, Membership, join_on_ids
from local_h5.inputs.missing import MissingRules
from local_h5.inputs.stored import Stored, declared_column, h5_errors

STRUCTURAL = frozenset(
    {f"{entity}_id" for entity in ENTITIES} | {f"person_{entity}_id" for entity in (HOUSEHOLD, *SUB_ENTITIES)}
)
"""Ids and links. Every file gets new ones."""

_PYTABLES = frozenset({"CLASS", "TITLE", "VERSION", "PYTABLES_FORMAT_VERSION"})

_YEAR = re.compile(r"\d{4}")
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class SourceDataset:
    """A checked source.

    Attributes:
        path: the file.
        year: the one year that the file holds.
        periods: variable → its stored periods, ascending.
        ids: entity → integer ids by source row, int64.
        membership: joined on ids.
        notes: the file's root attributes that are text. Every file made from it gets them.
        missing: values for codes that mean "missing", for every reader of a column.
        tables: where the columns are in a file of tables; None for the period-grouped form.
        other_keys: keys of a file of tables that are no entity's.
    """

    path: Path
    year: int
    periods: Mapping[str, tuple[str, ...]]
    ids: Mapping[str, np.ndarray]
    membership: Membership
    notes: Mapping[str, str]
    missing: MissingRules = field(default_factory=MissingRules)
    tables: EntityTables | None = None
    other_keys: tuple[str, ...] = ()

    def stored(self, *names: str) -> dict[str, Stored]:
        """Columns as the file declares them, those of a year; for codes, whose form the model does not decide.

        Raises:
            SourceError: a column cannot be read, or has more than one period.
        """
        with _opened(self.path) as file:
            if self.tables is not None:
                return self.tables.read(file, names)
            return {name: declared_column(self.path, file, name, self.periods[name]) for name in names}

    def read(self, *kinds: ColumnKind) -> dict[str, dict[str, np.ndarray]]:
        """The values of variables of this file: variable → period → values by source row.

        Types and periods are those of :func:`local_h5.inputs.columns.read_column`.

        Raises:
            SourceError: what a column holds cannot be kept exactly.
            ConfigError: a rule for a missing value does not fit the variable.
        """
        with _opened(self.path) as file:
            # A table is read in one pass. What has been narrowed need not stay in memory.
            stored = None if self.tables is None else self.tables.read(file, [kind.name for kind in kinds])
            return {
                kind.name: read_column(
                    self.path,
                    file if stored is None else {kind.name: stored.pop(kind.name)},
                    kind,
                    self.periods[kind.name],
                    year=self.year,
                    n_rows=len(self.ids[kind.entity]),
                    missing=self.missing.rules.get(kind.name),
                )
                for kind in kinds
            }


def read_source(
    path: Path,
    *,
    sha256: str | None = None,
    missing: MissingRules | None = None,
    year: int | None = None,
    units: Mapping[Any, MadeUnits] | None = None,
) -> SourceDataset:
    """Open and check a source dataset.

    Args:
        path: period-grouped H5, or tables of entities.
        sha256: the digest that the bytes must have, when one is configured.
        missing: values for codes that mean "missing".
        year: which one of a file of several; None for the one that the file has.
        units: entity → how its units are made, for a file of tables without that entity's.

    Raises:
        SourceError: missing, truncated or empty file; another digest; no groups; no unambiguous year; a missing,
            non-integer, duplicate or dangling id; a household without persons; a unit shared by two households; a
            missing table without a rule, a column in two tables.
        ConfigError: a rule for a missing value is about a column that the file does not have, or about ids.
    """
    if sha256 is not None and path.is_file() and (found := _digest(path)) != sha256:
        raise SourceError(
            f"{path}: sha256: expected {sha256}, found {found}. Fetch the dataset again, or correct the "
            "configured digest."
        )
    missing = MissingRules() if missing is None else missing
    with _opened(path) as file:
        tables = open_tables(path, file, year)
        if tables is not None:
            periods: dict[str, tuple[str, ...]] = {name: (str(tables.year),) for name in tables.entity_of}
            found_year = tables.year
        else:
            periods = _periods(path, file)
            found_year = _year(path, periods)
            if year is not None and year != found_year:
                raise SourceError(
                    f"{path}: year: expected {year}, as inputs.year says, found {found_year}. Correct inputs.year, or "
                    "give the dataset of that year."
                )
        _check_rules(path, missing, periods)
        with h5_errors(path, "root attributes"):
            notes = _notes(file)
        columns: h5py.File | Mapping[str, Stored] = file
        if tables is not None:
            columns = tables.read(file, [name for name in tables.entity_of if name in STRUCTURAL])
        made = made_units(path, tables, units or {})

        def ids_of(variable: str) -> np.ndarray:
            return _ids(path, columns, variable, periods, found_year)

        links = {
            entity: ids_of(f"person_{entity}_id") for entity in ENTITIES if entity != PERSON and entity not in made
        }
        ids = {entity: ids_of(f"{entity}_id") for entity in ENTITIES if entity not in made}
        for entity, rule in made.items():
            links[entity] = ids_of(rule.of_person)
            ids[entity] = np.unique(links[entity])
    for entity, link in links.items():
        if len(link) != len(ids[PERSON]):
            raise SourceError(
                f"{path}: person_{entity}_id: expected {len(ids[PERSON]):,} values, one for each person, found "
                f"{len(link):,}. Give every person one link."
            )
    ids = {entity: ids[entity] for entity in ENTITIES}
    links = {entity: links[entity] for entity in ENTITIES if entity != PERSON}
    membership = join_on_ids(path, ids=ids, person_links=links)
    other = () if tables is None else tables.other_keys
    return SourceDataset(path, found_year, periods, ids, membership, notes, missing, tables, other)


def _notes(file: h5py.File) -> dict[str, str]:
    """Root attributes that are text, without those of PyTables itself."""
    texts = {
        name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        for name, value in file.attrs.items()
        if isinstance(value, str | bytes)
    }
    return {name: text for name, text in texts.items() if name not in _PYTABLES}


def _digest(path: Path) -> str:
    try:
        return sha256_of(path)
    except InputError as error:
        raise SourceError(str(error)) from error


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    if not path.is_file():
        raise SourceError(
            f"{path}: expected the H5 file of the source, found no file. Set inputs.dataset to the source dataset."
        )
    try:
        file = h5py.File(path, "r")
    except H5_ERRORS as error:
        size = path.stat().st_size
        raise SourceError(
            f"{path}: expected a readable HDF5 file, found {size:,} bytes that HDF5 refuses ({error}). The file "
            "is truncated or not HDF5; fetch it again."
        ) from error
    with file:
        with h5_errors(path, "links"):
            found = outside(file)
        if found is not None:
            raise SourceError(
                f"{path}: expected a file that holds all of its data, found {found}. Copy what it refers to into "
                "the file."
            )
        yield file


def _check_rules(path: Path, missing: MissingRules, periods: Mapping[str, tuple[str, ...]]) -> None:
    for name in sorted(missing.rules):
        if name in STRUCTURAL or name not in periods:
            raise ConfigError(
                f"{missing.where}: {name}: expected a column of the source that is no id, found "
                f"{'an id' if name in STRUCTURAL else f'no such column in {path}'}. "
                f"{'Fill the ids in the source.' if name in STRUCTURAL else 'Correct the name, or drop the rule.'}"
            )


def _periods(path: Path, file: h5py.File) -> dict[str, tuple[str, ...]]:
    periods: dict[str, tuple[str, ...]] = {}
    flat: list[str] = []
    with h5_errors(path, "layout"):
        names = list(file)
    for name in names:
        with h5_errors(path, str(name)):
            item = file[name]
            if isinstance(item, h5py.Group):
                keys = tuple(item)
                # h5py gives names that are not UTF-8 as bytes.
                strange = next((key for key in (name, *keys) if not isinstance(key, str)), None)
                if strange is not None:
                    raise SourceError(
                        f"{path}: names: expected names of variables and periods in UTF-8, found {strange!r}. The "
                        "file is damaged, or was made with names in another encoding; write it again."
                    )
                periods[name] = tuple(sorted(keys))
            elif isinstance(item, h5py.Dataset):
                flat.append(name)
    if flat or not periods:
        found = f"datasets without a group, first {flat[0]!r}" if flat else "no group"
        raise SourceError(
            f"{path}: layout: expected a group per variable with a dataset per period, found {found}. Convert the "
            "file to the period-grouped form."
        )
    for name, keys in periods.items():
        wrong = [key for key in keys if key != ETERNITY and not _YEAR.fullmatch(key) and not _MONTH.fullmatch(key)]
        if wrong or not keys:
            raise SourceError(
                f"{path}: {name}: expected periods such as 2024, 2024-01 or ETERNITY, found "
                f"{repr(wrong[0]) if wrong else 'no period'}. Rename the period, or leave the variable out."
            )
    return periods


def _year(path: Path, periods: Mapping[str, tuple[str, ...]]) -> int:
    """The file's year. The model reads it from the first group's first period, so that one must be a year."""
    first = min(periods)
    year = periods[first][0]
    if not _YEAR.fullmatch(year):
        raise SourceError(
            f"{path}: {first} (alphabetically the first group): expected a yearly period, because the model reads "
            f"the file's year there, found {year}. Store that variable per year, or leave it out."
        )
    for name in sorted(periods):
        for key in periods[name]:
            if key != ETERNITY and key[:4] != year:
                raise SourceError(
                    f"{path}: period: expected one year in every group; {first} has {year}, found {name} has {key}"
                    ". Keep one year per file."
                )
    return int(year)


def _ids(
    path: Path,
    file: h5py.File | Mapping[str, Stored],
    variable: str,
    periods: Mapping[str, tuple[str, ...]],
    year: int,
) -> np.ndarray:
    if variable not in periods:
        raise SourceError(
            f"{path}: {variable}: expected this id column, found no such "
            f"{'group' if isinstance(file, h5py.File) else 'column'}. Every entity needs its ids, and every person the "
            "ids of its units."
        )
    kind = ColumnKind(variable, PERSON, "id")
    values = read_column(path, file, kind, periods[variable], year=year, n_rows=None)[str(year)]
    if not len(values):
        raise SourceError(
            f"{path}: {variable}: expected at least one row, found none. Give a source that is not empty."
        )
    return values


def count_households(path: Path) -> int:
    """Number of households of a source dataset, without reading the rest of it.

    Raises:
        SourceError: missing or unreadable file, no household ids.
    """
    with _opened(path) as file:
        tables = open_tables(path, file, None)
        if tables is not None:
            return tables.n_rows(file, HOUSEHOLD)
        periods = _periods(path, file)
        return len(_ids(path, file, f"{HOUSEHOLD}_id", periods, _year(path, periods)))
