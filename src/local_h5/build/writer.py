"""Writing an area file. Equal content gives equal bytes, and a file under its final name is complete."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from msgspec import Struct

from local_h5.build.payload import PayloadColumn
from local_h5.build.tables import put_root, put_table, put_year
from local_h5.contracts.results import WrittenColumn
from local_h5.errors import WriteError
from local_h5.files.atomic import atomic_output, sha256_of
from local_h5.files.hdf5 import Datasets, create_h5
from local_h5.inputs.area_columns import area_columns_of

Compression = Literal["none", "gzip", "lzf"]
Form = Literal["periods", "tables"]
DICTIONARY = "pe_data.dictionary"
"""Root attribute with what the file's variables mean; ``pe-data variables`` reads it."""


class WrittenFile(Struct, frozen=True):
    """Digest, size and columns of the written file."""

    sha256: str
    size_bytes: int
    columns: tuple[WrittenColumn, ...]


_ENDS = ("household_id", "person_id")
"""Columns of which number and last value are read back."""


def write_h5(
    path: Path,
    columns: Iterable[PayloadColumn],
    *,
    year: int,
    notes: Mapping[str, str] | None = None,
    labels: np.ndarray | None = None,
    compression: Compression = "none",
    form: Form = "periods",
) -> WrittenFile:
    """Write ``columns`` (sorted by variable) as an H5, re-read its key facts, then rename it to ``path``.

    Args:
        path: the final file.
        columns: see :func:`local_h5.build.payload.area_columns`; for tables each of the year.
        year: the file's year.
        notes: root attributes.
        labels: uint8, see :func:`local_h5.prepared.dictionary.attribute`; nothing is written of an empty one.
        compression: of every dataset; ``lzf`` not for tables.
        form: a dataset for each variable and period, or a table for each entity.

    Raises:
        WriteError: the disk is full, the folder cannot be written, the first group does not hold ``year`` (the model
            reads the period there), a table has too many columns, or the file does not read back as written.
    """
    put = _put_tables if form == "tables" else _put_periods
    with atomic_output(path) as temporary:
        with create_h5(temporary) as file:
            file.attrs.update(notes or {})
            if labels is not None and labels.size:
                file.attrs[DICTIONARY] = np.void(labels.tobytes())
            written, ends = put(path, file, columns, year, compression)
        if form == "periods":
            _check_first_group(path, written, year)
        _read_back(path, temporary, written, ends)
        return WrittenFile(sha256_of(temporary), temporary.stat().st_size, tuple(written.values()))


_Written = tuple[dict[str, WrittenColumn], dict[str, tuple[int, int]]]
"""Columns by variable, and the ends of ids."""


def _put_periods(
    path: Path, file: h5py.File, columns: Iterable[PayloadColumn], year: int, compression: Compression
) -> _Written:
    options = {} if compression == "none" else {"compression": compression, "shuffle": True}
    datasets = Datasets(file, **options)
    seen: dict[str, WrittenColumn] = {}
    ends: dict[str, tuple[int, int]] = {}
    for column in columns:
        values = column.values()
        if column.variable not in seen:
            group = datasets.group(column.variable)
            seen[column.variable] = WrittenColumn(column.variable, column.entity, dtype_name(values.dtype), ())
        datasets.put(group, column.period, values)
        done = seen[column.variable]
        seen[column.variable] = WrittenColumn(done.variable, done.entity, done.dtype, (*done.periods, column.period))
        if column.variable in _ENDS:
            ends[column.variable] = len(values), int(values[-1])
    return seen, ends


def _put_tables(
    path: Path, file: h5py.File, columns: Iterable[PayloadColumn], year: int, compression: Compression
) -> _Written:
    tables: dict[str, dict[str, np.ndarray]] = {}
    seen: dict[str, WrittenColumn] = {}
    for column in columns:
        # A row has all columns, so they are in memory together. Gathered columns share one buffer, so each is copied.
        values = column.values().copy()
        tables.setdefault(column.entity, {})[column.variable] = values
        seen[column.variable] = WrittenColumn(
            column.variable, column.entity, dtype_name(values.dtype), (column.period,)
        )
    ends = {name: (len(ids), int(ids[-1])) for name in _ENDS for ids in [tables[seen[name].entity][name]]}
    put_root(file)
    for entity in sorted(tables):
        put_table(path, file, entity, tables.pop(entity), compression)
    put_year(path, file, year)
    return seen, ends


def dtype_name(dtype: np.dtype) -> str:
    """Name of a dtype as the sidecar has it: ``float32``, ``bool``, ``S15``."""
    return f"S{dtype.itemsize}" if dtype.kind == "S" else dtype.name


def _check_first_group(path: Path, seen: dict[str, WrittenColumn], year: int) -> None:
    first = seen[min(seen)]
    if first.periods[0] != str(year):
        raise WriteError(
            f"{path}: {first.variable} (alphabetically the first group): expected period {year}, because the "
            f"model reads the file's year there, found {first.periods[0]}. Leave that variable out of the source, "
            "or store it per year."
        )


def _read_back(
    path: Path, temporary: Path, seen: dict[str, WrittenColumn], last_ids: Mapping[str, tuple[int, int]]
) -> None:
    with h5py.File(temporary, "r") as file:
        columns = area_columns_of(path, file)
        if sorted(columns.periods) != sorted(seen):
            raise WriteError(f"{path}: columns: expected {len(seen)}, found {len(columns.periods)} when read back")
        for name, (count, last) in last_ids.items():
            found = columns.end_of(name, seen[name].periods[0])
            if found != (count, last):
                raise WriteError(
                    f"{path}: {name}: expected {count} ids, the last {last}, found {found[0]}, the last {found[1]}, "
                    "when read back"
                )
