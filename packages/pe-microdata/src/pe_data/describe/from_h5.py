"""Read names, dtypes and lengths from an H5 file with h5py; no data.

Three forms are known. *Period-grouped*: a group per variable with a dataset per period
(`/age/2024`). *Flat*: a dataset per variable. *pandas HDFStore*: a table per entity, or per
entity and year, in pandas' `fixed` or `table` form. Pandas pickles some attributes; they are
read with an unpickler that can build lists, texts and arrays only.
"""

import bz2
import io
import pickle
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np

from pe_data.describe.columns import (
    Column,
    Content,
    entity_names,
    normal_dtype,
    period_kind,
    years_of,
)
from pe_data.describe.self_contained import open_h5
from pe_data.documents.dictionary import DICTIONARY_LIMIT, Dictionary, Variable
from pe_data.errors import InputError

_PERIOD = re.compile(r"\d{4}(-\d{2})?|ETERNITY", re.IGNORECASE)
_YEAR_KEY = re.compile(r"_?(\d{4})")
_TIME = ("time_period", "_time_period")
DICTIONARY = "pe_data.dictionary"
"""Attribute of the root: a dictionary document of the file's variables, compressed by bzip2."""


def read_h5(path: Path) -> Content:
    """Columns, rows and years of `path`. Raises InputError.

    A column whose entity neither the file's dictionary nor the row counts tell stands under both names
    (`family|household`).
    """
    try:
        with open_h5(path) as file:
            said = _dictionary(file, path)
            if is_hdfstore(file):
                return replace(_hdfstore(file, path), dictionary=said)
            return replace(_arrays(file, path, {one.name: one.entity for one in said}), dictionary=said)
    except (OSError, KeyError, RuntimeError) as error:
        raise InputError(f"{path}: not readable as H5: {error}") from error


def said_in(path: Path) -> tuple[Variable, ...]:
    """What a file says of its variables; raises as `read_h5`."""
    try:
        with open_h5(path) as file:
            return _dictionary(file, path)
    except (OSError, KeyError, RuntimeError) as error:
        raise InputError(f"{path}: not readable as H5: {error}") from error


def _dictionary(file: h5py.File, path: Path) -> tuple[Variable, ...]:
    """What the file says of its variables; nothing if it does not have that attribute."""
    if DICTIONARY not in file.attrs:
        return ()
    what = f"{path}: attribute {DICTIONARY}"
    found = file.attrs[DICTIONARY]
    if not isinstance(found, np.void):
        raise InputError(f"{what}: expected bytes, found {type(found).__name__}")
    engine = bz2.BZ2Decompressor()
    try:
        raw = engine.decompress(found.tobytes(), DICTIONARY_LIMIT)
    except OSError as error:
        raise InputError(f"{what}: expected a dictionary compressed by bzip2, found {error}") from error
    if not engine.eof:
        raise InputError(f"{what}: expected at most {DICTIONARY_LIMIT} bytes, whole, found more, or an end that is cut")
    return Dictionary.from_bytes(raw, what).variables


# --- period-grouped and flat ------------------------------------------------------------------


def _arrays(file: h5py.File, path: Path, entity_of: Mapping[str, str]) -> Content:
    lengths: dict[str, int] = {}
    dtypes: dict[str, str] = {}
    periods: dict[str, tuple[str, ...]] = {}
    for name, node in file.items():
        if isinstance(node, h5py.Dataset):
            keys: tuple[str, ...] = ()
            datasets = [node]
        else:
            keys = tuple(key for key in node if _PERIOD.fullmatch(key))
            datasets = [node[key] for key in keys]
        arrays = [d for d in datasets if isinstance(d, h5py.Dataset) and d.ndim == 1]
        if not arrays:
            continue
        if len({len(array) for array in arrays}) > 1:
            raise InputError(
                f"{path}: variable {name}: expected one length for all periods, found "
                f"{sorted({len(array) for array in arrays})}"
            )
        lengths[name], dtypes[name], periods[name] = len(arrays[0]), _dtype(arrays[0]), keys
    if not lengths:
        raise InputError(f"{path}: expected variables (groups with a dataset per period, or 1-D datasets), found none")
    sizes = {name: lengths[f"{name}_id"] for name in entity_names(lengths)}
    for name, entity in entity_of.items():
        if name in lengths and entity in sizes and lengths[name] != sizes[entity]:
            raise InputError(
                f"{path}: variable {name}: expected {sizes[entity]} values, one for each {entity}, "
                f"found {lengths[name]}"
            )
    columns = tuple(
        Column(
            name,
            entity_of.get(name) or _entity_by_length(name, length, sizes),
            dtypes[name],
            period_kind(periods[name]),
        )
        for name, length in lengths.items()
    )
    rows = sizes | {column.entity: lengths[column.name] for column in columns}
    years = sorted(set().union(*(years_of(keys) for keys in periods.values())))
    return Content(columns, rows, tuple(years))


def _entity_by_length(name: str, length: int, sizes: Mapping[str, int]) -> str:
    """The entity with that many rows; names decide a tie, and what stays open is said."""
    candidates = [entity for entity, size in sizes.items() if size == length]
    if not candidates:
        return f"rows_{length}"
    named = [entity for entity in candidates if name.startswith(f"{entity}_")]
    if named:
        return max(named, key=len)
    return "|".join(sorted(candidates))


def _dtype(dataset: h5py.Dataset) -> str:
    if h5py.check_string_dtype(dataset.dtype) is not None and dataset.dtype.kind == "O":
        return "text"
    return normal_dtype(dataset.dtype.str)


# --- pandas HDFStore --------------------------------------------------------------------------


def _hdfstore(file: h5py.File, path: Path) -> Content:
    columns: dict[tuple[str, str], Column] = {}
    rows: dict[str, int] = {}
    years: set[int] = set()
    for group in _groups(file):
        kind = _text(group.attrs.get("pandas_type", b""))
        entity, year = _entity_and_year(group.name)
        years |= {year} if year else set()
        if kind in ("series", "series_table"):
            if entity in _TIME:
                years |= years_of(_series_texts(group))
            continue
        if kind not in ("frame", "frame_table"):
            continue
        fixed = kind == "frame"
        count = len(group["axis1" if fixed else "table"])
        if rows.setdefault(entity, count) != count:
            raise InputError(
                f"{path}: table {group.name}: expected {rows[entity]} rows as in another year, "
                f"found {count}. Describe such years in files of their own."
            )
        for name, dtype in _fixed_columns(group) if fixed else _table_columns(group):
            columns.setdefault((entity, name), Column(name, entity, dtype))
    if not rows:
        raise InputError(f"{path}: expected tables of pandas, found none")
    return Content(tuple(columns.values()), rows, tuple(sorted(years)))


def _entity_and_year(name: str) -> tuple[str, int | None]:
    """`/person` → person, none; `/person/2024` and `/person/_2024` → person, 2024."""
    *above, last = name.strip("/").split("/")
    year = _YEAR_KEY.fullmatch(last)
    if year and above:
        return "/".join(above), int(year[1])
    return name.strip("/"), None


def _fixed_columns(group: h5py.Group) -> Iterator[tuple[str, str]]:
    for block in range(int(group.attrs["nblocks"])):
        values = group[f"block{block}_values"]
        dtype = "text" if h5py.check_vlen_dtype(values.dtype) else _plain_dtype(values.dtype, values.id.get_type())
        for name in group[f"block{block}_items"][()]:
            yield _text(name), dtype


def _table_columns(group: h5py.Group) -> Iterator[tuple[str, str]]:
    table = group["table"]
    stored = table.id.get_type()
    for number, name in enumerate(table.dtype.names):
        if name == "index":
            continue
        dtype = _plain_dtype(table.dtype[name].base, stored.get_member_type(number))
        if not name.startswith("values_block_"):
            yield name, dtype
            continue
        for column in _unpickled_texts(table.attrs[f"{name}_kind"]):
            yield column, dtype


def _plain_dtype(dtype: np.dtype[Any], stored: Any) -> str:
    """A dtype's one spelling. PyTables stores truth values as bit fields, which h5py reads as bytes."""
    if stored.get_class() == h5py.h5t.ARRAY:
        stored = stored.get_super()
    return "bool" if stored.get_class() == h5py.h5t.BITFIELD else normal_dtype(dtype.str)


def _series_texts(group: h5py.Group) -> list[str]:
    values = group["values"] if "values" in group else group["table"]["values"]
    if h5py.check_vlen_dtype(values.dtype):
        return [text for row in values[()] for text in _unpickled_texts(row.tobytes())]
    return [_text(value) for value in values[()]]


class _TextUnpickler(pickle.Unpickler):
    """Builds lists, texts and numpy arrays; refuses every other import."""

    _ALLOWED: ClassVar[dict[tuple[str, str], Any]] = {
        (module, name): target
        for module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
        for name, target in (
            ("_reconstruct", np._core.multiarray._reconstruct),  # type: ignore[attr-defined]
            ("ndarray", np.ndarray),
            ("dtype", np.dtype),
        )
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"refused {module}.{name}") from None


def _unpickled_texts(data: Any) -> list[str]:
    raw = data if isinstance(data, bytes) else bytes(data)
    try:
        value = _TextUnpickler(io.BytesIO(raw)).load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, IndexError) as error:
        raise InputError(f"a pickled attribute of the file: expected a list of texts, found {error}") from error
    return [str(item) for item in (value if isinstance(value, list | tuple | np.ndarray) else [value])]


def is_hdfstore(file: h5py.File) -> bool:
    """Whether tables of pandas are in the file, on the first two levels.

    Its root does not say so where the groups were copied from another file. Asking by name is several times faster
    than opening every group.
    """

    def said(name: str) -> bool | None:
        raw = name.encode(errors="surrogateescape")
        return (name.count("/") < 2 and h5py.h5a.exists(file.id, b"pandas_type", obj_name=raw)) or None

    return bool(file.visit(said))


def _groups(file: h5py.File) -> list[h5py.Group]:
    """Groups of the first two levels."""
    top = [node for node in file.values() if isinstance(node, h5py.Group)]
    below = [n for group in top for n in group.values() if isinstance(n, h5py.Group)]
    return top + below


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
