"""The columns of an area file, in either of its forms: a dataset for each variable and period, or tables of entities.

Whatever reads area files reads them here, so that checks, validation, the report and ``verify`` know both forms.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import h5py
import numpy as np

from local_h5.errors import InputError
from local_h5.inputs.membership import YEAR_KEY

if TYPE_CHECKING:
    from local_h5.inputs.entity_tables import EntityTables


class AreaColumns(Protocol):
    """The columns of an open area file. What is not there is a KeyError.

    Attributes:
        in_tables: whether the file is one of tables, in which every column has one period, the year.
        periods: variable → its periods, ascending.
    """

    in_tables: bool
    periods: Mapping[str, tuple[str, ...]]

    def type_of(self, name: str, period: str) -> tuple[np.dtype, tuple[int, ...]]:
        """Type and shape of a column."""

    def read(self, name: str, period: str) -> np.ndarray:
        """Values of a column; text as fixed-width bytes."""

    def end_of(self, name: str, period: str) -> tuple[int, int]:
        """Number and last value of a column of ids, at the cost of this column alone."""


def area_columns_of(path: Path, file: h5py.File) -> AreaColumns:
    """The columns of an area file; its content says which form it has.

    Args:
        path: the file, for errors.
        file: the same, open.

    Raises:
        InputError: the tables are not those of one year, or a column is in two of them.
    """
    if YEAR_KEY not in file:
        return _Periods(file)
    from local_h5.inputs.entity_tables import open_tables  # jobs of the other form do without

    tables = open_tables(path, file, None)
    if tables is None:
        raise InputError(f"{path}: expected tables of entities beside {YEAR_KEY}, found none. Build the file again.")
    return _Tables(file, tables)


class _Periods:
    """Datasets, read when they are asked for."""

    in_tables = False

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self._open: dict[tuple[str, str], h5py.h5d.DatasetID] = {}
        # The low-level calls cost a tenth of File.__getitem__, and a file has about 90 datasets.
        names = [name.decode() for name in file.id]
        groups = ((name, h5py.h5g.open(file.id, name.encode())) for name in names)
        self.periods: Mapping[str, tuple[str, ...]] = {
            name: tuple(period.decode() for period in group) for name, group in groups
        }

    def type_of(self, name: str, period: str) -> tuple[np.dtype, tuple[int, ...]]:
        dataset = self._dataset(name, period)
        return dataset.dtype, dataset.shape

    def read(self, name: str, period: str) -> np.ndarray:
        dataset = self._dataset(name, period)
        values = np.empty(dataset.shape, dataset.dtype)
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
        return values

    def end_of(self, name: str, period: str) -> tuple[int, int]:
        values = self.read(name, period)
        return len(values), int(values[-1])

    def _dataset(self, name: str, period: str) -> h5py.h5d.DatasetID:
        key = name, period
        if key not in self._open:
            self._open[key] = h5py.h5d.open(self._file.id, f"{name}/{period}".encode())
        return self._open[key]


class _Tables:
    """Tables, each read whole when one of its columns is asked for: a row has all columns."""

    in_tables = True

    def __init__(self, file: h5py.File, tables: "EntityTables") -> None:
        self._file, self._tables = file, tables
        self._columns: dict[str, np.ndarray] = {}
        self.periods: Mapping[str, tuple[str, ...]] = dict.fromkeys(sorted(tables.entity_of), (str(tables.year),))

    def type_of(self, name: str, period: str) -> tuple[np.dtype, tuple[int, ...]]:
        values = self.read(name, period)
        return values.dtype, values.shape

    def read(self, name: str, period: str) -> np.ndarray:
        entity = self._entity_of(name, period)
        if name not in self._columns:
            self._columns |= self._tables.plain(self._file, entity)
        return self._columns[name]

    def end_of(self, name: str, period: str) -> tuple[int, int]:
        values = self._tables.plain(self._file, self._entity_of(name, period), (name,))[name]
        return len(values), int(values[-1])

    def _entity_of(self, name: str, period: str) -> str:
        if period not in self.periods.get(name, ()):
            raise KeyError(f"{name}/{period}")
        return self._tables.entity_of[name]
