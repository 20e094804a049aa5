"""Writing columns as a table for each entity, in the layout of pandas' ``HDFStore.put(…, format="table",
data_columns=True)``, which ``USSingleYearDataset`` of the country model reads and writes.

h5py writes it, because area jobs import neither pandas nor PyTables. What pandas adds and no reader needs is left out:
the times of creation, which would make the bytes of equal files differ, and the search indexes. Attributes have the
values that pandas gives them; a test compares.
"""

import pickle
from collections.abc import Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from local_h5.errors import WriteError
from local_h5.inputs.membership import YEAR_KEY

_INDEX = "index"
"""The column with the number of each row, which pandas reads as the index of the frame."""

_NONE = np.bytes_(pickle.dumps(None, 0))
_CHUNK_BYTES = 1 << 20
_GZIP = 4
"""The level that h5py takes by default."""

_H5_ERRORS = (ValueError, RuntimeError, KeyError)


def put_root(file: h5py.File) -> None:
    """Mark a new file as one of PyTables."""
    _put_texts(file, CLASS="GROUP", PYTABLES_FORMAT_VERSION="2.1", TITLE="", VERSION="1.0")


def put_table(path: Path, file: h5py.File, key: str, columns: Mapping[str, np.ndarray], compression: str) -> None:
    """Write a table, its columns in the given order.

    Args:
        path: of the file, for errors.
        file: open for writing.
        key: of the table: the entity.
        columns: (n,) each: numbers, bool, or text as fixed-width bytes.
        compression: ``none`` or ``gzip``.

    Raises:
        WriteError: another compression, or more columns than HDF5 can hold in one table.
    """
    if compression not in ("none", "gzip"):
        raise WriteError(
            f"{path}: compression: expected none or gzip, which pandas reads in tables, found {compression}. "
            "Choose one of these."
        )
    widest = max((values.dtype.itemsize for values in columns.values() if values.dtype.kind == "S"), default=0)
    names = list(columns)
    group = _group(file, key, "frame_table", "appendable_frame", names)
    # pandas reads this text as a missing one. It is longer than any in the table.
    _put_texts(group, nan_rep="nan".ljust(widest + 1, "_"))
    _put_records(path, group, columns, compression)


def put_year(path: Path, file: h5py.File, year: int) -> None:
    """Write the year as ``USSingleYearDataset`` does: a series with one number."""
    group = _group(file, YEAR_KEY, "series_table", "appendable_series", ["values"])
    group.attrs["nan_rep"] = _NONE
    _put_records(path, group, {"values": np.array([year], np.int64)}, "none")


def _group(file: h5py.File, key: str, kind: str, table: str, names: Sequence[str]) -> h5py.Group:
    group = file.create_group(key)
    _put_texts(
        group, CLASS="GROUP", TITLE="", VERSION="1.0", encoding="UTF-8", errors="strict", pandas_type=kind,
        table_type=table,
    )  # fmt: skip
    info: dict[int | str, Any] = {1: {"names": [None], "type": "Index"}, _INDEX: {}, **{name: {} for name in names}}
    for name, value in {
        "data_columns": names,
        "index_cols": [(0, _INDEX)],
        "info": info,
        "non_index_axes": [(1, names)],
        "values_cols": names,
    }.items():
        group.attrs[name] = _pickled(value)
    group.attrs["levels"] = 1
    group.attrs["data_col_nan_rep"] = np.uint8(True)
    group.attrs["mi_level_nan_rep"] = np.uint8(False)
    return group


def _put_records(path: Path, group: h5py.Group, columns: Mapping[str, np.ndarray], compression: str) -> None:
    n_rows = len(next(iter(columns.values())))
    fields = {_INDEX: np.dtype(np.int64), **{name: values.dtype for name, values in columns.items()}}
    # HDF5 has no truth values: PyTables stores them as bit fields of a byte.
    memory = np.dtype([(name, _in_memory(kind)) for name, kind in fields.items()])
    stored = h5py.h5t.create(h5py.h5t.COMPOUND, memory.itemsize)
    for name, kind in fields.items():
        offset = memory.fields[name][1]  # type: ignore[index]
        stored.insert(name.encode(), offset, h5py.h5t.STD_B8LE if kind.kind == "b" else h5py.h5t.py_create(kind))
    step = max(1, _CHUNK_BYTES // memory.itemsize)
    options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    options.set_obj_track_times(False)
    options.set_chunk((min(step, n_rows),))
    if compression == "gzip":
        options.set_shuffle()
        options.set_deflate(_GZIP)
    space = h5py.h5s.create_simple((n_rows,), (h5py.h5s.UNLIMITED,))
    with _header_of(path, group, columns):
        dataset = h5py.h5d.create(group.id, b"table", stored, space, options)
    for start in range(0, n_rows, step):
        rows = np.zeros(min(step, n_rows - start), memory)
        rows[_INDEX] = np.arange(start, start + len(rows))
        for name, values in columns.items():
            rows[name] = values[start : start + len(rows)]
        space.select_hyperslab((start,), (len(rows),))
        dataset.write(h5py.h5s.create_simple(rows.shape), space, rows, mtype=stored)
    with _header_of(path, group, columns):
        _describe(h5py.Dataset(dataset), fields, n_rows)


@contextmanager
def _header_of(path: Path, group: h5py.Group, columns: Sized) -> Iterator[None]:
    """HDF5 keeps the names of all columns in a header, whose size has a limit."""
    try:
        yield
    except _H5_ERRORS as error:
        raise WriteError(
            f"{path}: {group.name[1:]}: expected as many columns as the header of an HDF5 table can hold, found "
            f"{len(columns):,} ({error}). Set output.form: periods."
        ) from error


def _in_memory(kind: np.dtype) -> np.dtype:
    return np.dtype(np.uint8) if kind.kind == "b" else kind


def _describe(table: h5py.Dataset, fields: Mapping[str, np.dtype], n_rows: int) -> None:
    _put_texts(table, CLASS="TABLE", TITLE="", VERSION="2.7", **{f"{_INDEX}_kind": "integer"})
    table.attrs["NROWS"] = np.int64(n_rows)
    for number, (name, kind) in enumerate(fields.items()):
        text = kind.kind == "S"
        _put_texts(table, **{f"FIELD_{number}_NAME": name})
        fill: Any = np.bytes_(b"") if text else np.zeros((), _in_memory(kind))[()]
        table.attrs[f"FIELD_{number}_FILL"] = fill
        if name != _INDEX:
            table.attrs[f"{name}_kind"] = _pickled([name])
            table.attrs[f"{name}_meta"] = _NONE
            _put_texts(table, **{f"{name}_dtype": f"bytes{8 * kind.itemsize}" if text else kind.name})


def _put_texts(item: h5py.Group | h5py.Dataset, **texts: str) -> None:
    for name, text in texts.items():
        data = text.encode()
        # PyTables reads texts of this character set as str, and others as bytes: pickles, for example.
        kind = h5py.string_dtype("utf-8", max(1, len(data)))
        item.attrs.create(name, data if data else h5py.Empty(kind), dtype=kind)


def _pickled(value: Any) -> np.bytes_:
    """As PyTables stores what is no number or text."""
    return np.bytes_(pickle.dumps(value, 0))
