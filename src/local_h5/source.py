"""The source dataset: a PolicyEngine period-grouped H5 (a group per variable, a dataset per period).

Reads and checks what does not need the model: the file's year, its id columns, and who belongs to whom.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from local_h5.errors import SourceError
from local_h5.files import sha256_of
from local_h5.membership import HOUSEHOLD, PERSON, Membership, join_on_ids

SUB_ENTITIES = ("tax_unit", "spm_unit", "family", "marital_unit")
ENTITIES = (HOUSEHOLD, PERSON, *SUB_ENTITIES)

ETERNITY = "ETERNITY"
_YEAR = re.compile(r"\d{4}")
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class SourceDataset:
    """A checked source.

    Attributes:
        path: the file.
        year: the one year that the file holds.
        periods: variable → its period keys, ascending.
        ids: entity → integer ids by source row, int64.
        membership: joined on ids.
        notes: the file's own root attributes that are text; they go with every file made from it.
    """

    path: Path
    year: int
    periods: Mapping[str, tuple[str, ...]]
    ids: Mapping[str, np.ndarray]
    membership: Membership
    notes: Mapping[str, str]

    def read(self, variable: str) -> dict[str, np.ndarray]:
        """All stored periods of ``variable``: period key → values by source row.

        Raises:
            SourceError: the bytes cannot be read.
        """
        with _opened(self.path) as file:
            return {key: _values(self.path, file, variable, key) for key in self.periods[variable]}


def read_source(path: Path, *, sha256: str | None = None) -> SourceDataset:
    """Open and check a source dataset.

    Args:
        path: period-grouped H5.
        sha256: the digest that the bytes must have, when one is configured.

    Raises:
        SourceError: missing, truncated or empty file; another digest; no groups; no unambiguous year; a missing,
            non-integer, duplicate or dangling id; a household without persons; a unit shared by two households.
    """
    if sha256 is not None and path.is_file() and (found := sha256_of(path)) != sha256:
        raise SourceError(
            path,
            field="sha256",
            expected=sha256,
            found=found,
            remedy="Fetch the dataset again, or correct the configured digest.",
        )
    with _opened(path) as file:
        periods = _periods(path, file)
        year = _year(path, periods)
        notes = {name: value for name, value in file.attrs.items() if isinstance(value, str)}
        ids = {entity: _ids(path, file, f"{entity}_id", periods) for entity in ENTITIES}
        links = {entity: _ids(path, file, f"person_{entity}_id", periods) for entity in ENTITIES if entity != PERSON}
    for entity, link in links.items():
        if len(link) != len(ids[PERSON]):
            raise SourceError(
                path,
                field=f"person_{entity}_id",
                expected=f"{len(ids[PERSON]):,} values, one a person",
                found=f"{len(link):,}",
                remedy="Give every person one link.",
            )
    membership = join_on_ids(path, ids=ids, person_links=links)
    return SourceDataset(path, year, periods, ids, membership, notes)


def _opened(path: Path) -> h5py.File:
    if not path.is_file():
        raise SourceError(
            path,
            expected="a period-grouped H5 file",
            found="no file",
            remedy="Set inputs.dataset to the source dataset.",
        )
    try:
        return h5py.File(path, "r")
    except OSError as error:
        size = path.stat().st_size
        raise SourceError(
            path,
            expected="a readable HDF5 file",
            found=f"{size:,} bytes that HDF5 refuses ({error})",
            remedy="The file is truncated or not HDF5; fetch it again.",
        ) from error


def _periods(path: Path, file: h5py.File) -> dict[str, tuple[str, ...]]:
    periods = {name: tuple(sorted(item)) for name, item in file.items() if isinstance(item, h5py.Group)}
    flat = [name for name, item in file.items() if isinstance(item, h5py.Dataset)]
    if flat or not periods:
        found = f"datasets without a group, first {flat[0]!r}" if flat else "no group"
        raise SourceError(
            path,
            field="layout",
            expected="a group per variable with a dataset per period",
            found=found,
            remedy="Convert the file to the period-grouped form.",
        )
    for name, keys in periods.items():
        wrong = [key for key in keys if key != ETERNITY and not _YEAR.fullmatch(key) and not _MONTH.fullmatch(key)]
        if wrong or not keys:
            raise SourceError(
                path,
                field=name,
                expected="periods such as 2024, 2024-01 or ETERNITY",
                found=repr(wrong[0]) if wrong else "no period",
                remedy="Rename the period, or leave the variable out.",
            )
    return periods


def _year(path: Path, periods: Mapping[str, tuple[str, ...]]) -> int:
    """The file's year. The model takes the first group's first period for it, so that one must be a plain year."""
    first = min(periods)
    year = periods[first][0]
    if not _YEAR.fullmatch(year):
        raise SourceError(
            path,
            field=f"{first} (alphabetically the first group)",
            expected="a yearly period, because the model reads the file's year there",
            found=year,
            remedy="Store that variable per year, or leave it out.",
        )
    for name in sorted(periods):
        for key in periods[name]:
            if key != ETERNITY and key[:4] != year:
                raise SourceError(
                    path,
                    field="period",
                    expected=f"one year in every group; {first} has {year}",
                    found=f"{name} has {key}",
                    remedy="Keep one year per file.",
                )
    return int(year)


def _values(path: Path, file: h5py.File, variable: str, period: str) -> np.ndarray:
    item = file[variable][period]
    if not isinstance(item, h5py.Dataset) or item.ndim != 1:
        shape = getattr(item, "shape", "a group")
        raise SourceError(
            path,
            field=f"{variable}/{period}",
            expected="a vector",
            found=f"{shape}",
            remedy="Store one value per row of the variable's entity.",
        )
    try:
        values = item.asstr("utf-8")[()] if h5py.check_string_dtype(item.dtype) else item[()]
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            path,
            field=f"{variable}/{period}",
            expected="readable values",
            found=str(error),
            remedy="The file is damaged; fetch it again.",
        ) from error
    return np.asarray(values)


def _ids(path: Path, file: h5py.File, variable: str, periods: Mapping[str, tuple[str, ...]]) -> np.ndarray:
    if variable not in periods:
        raise SourceError(
            path,
            field=variable,
            expected="this id column",
            found="no such group",
            remedy="Every entity needs its ids, and every person the ids of its units.",
        )
    values = _values(path, file, variable, periods[variable][0])
    if values.dtype.kind not in "iuf":
        raise SourceError(
            path,
            field=variable,
            expected="integers",
            found=f"dtype {values.dtype}",
            remedy="Store the ids as integers.",
        )
    if values.dtype.kind == "f":
        wrong = np.flatnonzero(~np.isfinite(values) | (values != np.round(values)))
        if len(wrong):
            raise SourceError(
                path,
                field=variable,
                expected="whole numbers",
                found=f"{len(wrong)} that are not, first {values[wrong[0]]} in row {wrong[0]}",
                remedy="Fill the missing ids.",
            )
    if not len(values):
        raise SourceError(
            path,
            field=variable,
            expected="at least one row",
            found="none",
            remedy="Give a source that is not empty.",
        )
    return values.astype(np.int64)


def count_households(path: Path) -> int:
    """Number of households of a source dataset, without reading the rest of it.

    Raises:
        SourceError: missing or unreadable file, no household ids.
    """
    with _opened(path) as file:
        return len(_ids(path, file, f"{HOUSEHOLD}_id", _periods(path, file)))
