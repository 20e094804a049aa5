"""Reading data frames that pandas wrote to HDF5 (``HDFStore.put``), in both of its forms, ``table`` and ``fixed``.

h5py reads the layout itself. Objects that pandas pickled are read by :mod:`foreign_pickle`, so that no code of the
file runs, as ``HDFStore`` would let it. Columns come out as :class:`~local_h5.inputs.columns.Stored`, in one pass for
all that are asked for.
"""

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np

import foreign_pickle
from local_h5.errors import InputError, SourceError
from local_h5.inputs.pickles import pickle_errors
from local_h5.inputs.stored import Stored, decoded, h5_errors

_CHUNK_BYTES = 1 << 26
_FLOAT_EXACT = 2**53
MISSING = "NaN"
"""Stands for a text that is missing."""


def frames(path: Path, file: h5py.File) -> dict[str, h5py.Group]:
    """Frames and series of a file by key: ``person``, or ``person/2024``; none in a file that pandas did not write."""
    found: dict[str, h5py.Group] = {}
    with h5_errors(path, "layout"):
        for name, item in file.items():
            if not isinstance(item, h5py.Group):
                continue
            if "pandas_type" in item.attrs:
                found[str(name)] = item
                continue
            for below, inner in item.items():
                if isinstance(inner, h5py.Group) and "pandas_type" in inner.attrs:
                    found[f"{name}/{below}"] = inner
    return found


def read_series(path: Path, key: str, group: h5py.Group) -> np.ndarray:
    """The values of a series of numbers or text, as stored."""
    with h5_errors(path, key):
        if "table" in group:
            values: np.ndarray = group["table"].fields("values")[()]
        else:
            values = group["values"][()]
    return values


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a column is: a dataset, the field of its records if it has some, and the position in there."""

    dataset: str
    field: str | None
    position: int | None


class Frame:
    """One data frame.

    Attributes:
        path: the file, for errors.
        key: of the frame.
        n_rows: of the frame.
        columns: names, in the frame's order.

    Raises:
        SourceError: the layout is not one of pandas, a name is no text, or a column is there twice.
    """

    def __init__(self, path: Path, key: str, group: h5py.Group) -> None:
        self.path, self.key, self._group = path, key, group
        with h5_errors(path, key):
            kind = _text(group.attrs["pandas_type"])
            if kind == "frame_table":
                places, self.n_rows = self._of_table(), int(group["table"].shape[0])
            elif kind == "frame":
                # Of a frame without rows pandas writes one row, and an attribute that says so.
                self.n_rows = 0 if "shape" in group["axis1"].attrs else int(group["axis1"].shape[0])
                places = self._of_blocks()
            else:
                self._refuse(None, "a table of rows and columns", f"pandas' {kind}", "Store a DataFrame.")
        names = [name for name, _ in places]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            self._refuse(twice[0], "every column once", "it twice", "Keep one of the two.")
        self._places: Mapping[str, _Place] = dict(places)
        self.columns = tuple(names)

    def read(self, names: Sequence[str], entity: str | None = None) -> dict[str, Stored]:
        """Columns by name.

        Args:
            names: columns of the frame.
            entity: of the rows, for the result.

        Raises:
            SourceError: a type that is no number, truth value or text; objects of several kinds.
        """
        wanted = {name: self._places[name] for name in names}
        stored: dict[str, Stored] = {}
        for dataset in dict.fromkeys(place.dataset for place in wanted.values()):
            here = {name: place for name, place in wanted.items() if place.dataset == dataset}
            with h5_errors(self.path, f"{self.key}/{dataset}"):
                item = self._group[dataset]
                pickled = _text(item.attrs.get("PSEUDOATOM", b"")) == "object"
                read = self._objects(item, here) if pickled else self._plain(item, here)
                for name, values in read:
                    form, array, missing = self._formed(name, here[name], item, values)
                    stored[name] = Stored(form, array, missing, entity)
        return stored

    def plain(self, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Columns in the types that they have in the file: numbers, bool, and text as fixed-width bytes.

        Args:
            names: columns of the frame; None for all.

        Raises:
            SourceError: a column is pickled, or cannot be read.
        """
        wanted = self._places if names is None else {name: self._places[name] for name in names}
        found: dict[str, np.ndarray] = {}
        for dataset in dict.fromkeys(place.dataset for place in wanted.values()):
            here = {name: place for name, place in wanted.items() if place.dataset == dataset}
            with h5_errors(self.path, f"{self.key}/{dataset}"):
                item = self._group[dataset]
                if item.dtype.kind == "O":
                    self._refuse(next(iter(here)), "plain values", "objects that Python pickled", "Build it again.")
                for name, values in self._plain(item, here):
                    found[name] = values.view(np.bool_) if _is_truth(item, here[name].field) else values
        return found

    def _refuse(self, column: str | None, expected: str, found: str, remedy: str) -> NoReturn:
        where = self.key if column is None else f"{self.key}: {column}"
        raise SourceError(f"{self.path}: {where}: expected {expected}, found {found}. {remedy}")

    # --- where the columns are

    def _of_table(self) -> list[tuple[str, _Place]]:
        table = self._group["table"]
        places: list[tuple[str, _Place]] = []
        for field in table.dtype.names:
            if field == "index":
                continue
            if field.startswith("values_block_"):
                names = self._unpickled(bytes(table.attrs[f"{field}_kind"]), f"{field}_kind")
                places += [(str(name), _Place("table", field, number)) for number, name in enumerate(names)]
            else:
                places.append((field, _Place("table", field, None)))
        return places

    def _of_blocks(self) -> list[tuple[str, _Place]]:
        places: list[tuple[str, _Place]] = []
        for number in range(int(self._group.attrs["nblocks"])):
            if f"block{number}_values" not in self._group:
                self._refuse(
                    None,
                    "the values of every column",
                    f"none for block {number}: the writing of the file was broken off",
                    "Write the file again.",
                )
            names = self._group[f"block{number}_items"][()].tolist()
            values = self._group[f"block{number}_values"]
            shape = (self.n_rows, len(names))
            if self.n_rows and _text(values.attrs.get("PSEUDOATOM", b"")) != "object" and values.shape != shape:
                self._refuse(None, f"{shape} values in block {number}", f"{values.shape}", "Write the file again.")
            places += [
                (_text(name), _Place(f"block{number}_values", None, position)) for position, name in enumerate(names)
            ]
        return places

    # --- values

    def _plain(self, item: h5py.Dataset, places: Mapping[str, _Place]) -> Iterator[tuple[str, np.ndarray]]:
        """Columns of numbers, truth values and fixed-width text, in one pass over the rows."""
        fields = list(dict.fromkeys(place.field for place in places.values() if place.field is not None))
        columns: dict[str, np.ndarray] = {}
        step = max(1, _CHUNK_BYTES // max(1, item.dtype.itemsize * math.prod(item.shape[1:])))
        source = item.fields(fields) if fields else item
        for start in range(0, self.n_rows, step):
            part = source[start : start + step]
            for name, place in places.items():
                values = part[place.field] if place.field is not None else part
                if place.position is not None and values.ndim > 1:
                    values = values[:, place.position]
                if name not in columns:
                    columns[name] = np.empty(self.n_rows, values.dtype)
                columns[name][start : start + len(values)] = values
        for name in places:
            yield name, columns.pop(name) if name in columns else np.empty(0)

    def _objects(self, item: h5py.Dataset, places: Mapping[str, _Place]) -> Iterator[tuple[str, np.ndarray]]:
        objects = np.asarray(self._unpickled(bytes(item[0]), "objects"), dtype=object)
        if objects.shape[:1] != (self.n_rows,) or objects.ndim > 2:
            self._refuse(None, f"{self.n_rows} rows of objects", f"shape {objects.shape}", "Write the file again.")
        for name, place in places.items():
            yield name, objects[:, place.position] if objects.ndim > 1 else objects

    def _unpickled(self, pickled: bytes, where: str) -> Any:
        try:
            with pickle_errors():
                return foreign_pickle.load(io.BytesIO(pickled), f"{self.path}: {self.key}: {where}")
        except InputError as error:
            raise SourceError(str(error)) from error

    def _formed(self, name: str, place: _Place, item: h5py.Dataset, values: np.ndarray) -> Any:
        attributes = item.attrs
        declared = _text(attributes.get(f"{place.field}_dtype" if place.field else "value_type", b""))
        if declared.startswith(("datetime", "timedelta")) or values.dtype.kind in "mM":
            self._refuse(name, "numbers, yes and no, or text", declared, "Leave the column out.")
        if place.field is not None and _text(attributes.get(f"{place.field}_meta", b"")) == "category":
            return self._categories(name, place.field, values)
        if values.dtype.kind == "O":
            return self._of_objects(name, values.tolist())
        if values.dtype.kind in "SU":
            return self._texts(name, values, self._nan_rep())
        if values.dtype.kind in "iuf":
            return ("truth", values != 0, None) if _is_truth(item, place.field) else ("number", values, None)
        self._refuse(name, "numbers, yes and no, or text", f"{values.dtype}", "Store plain values.")

    def _nan_rep(self) -> str:
        """How a table writes a text that is missing."""
        given = _text(self._group.attrs.get("nan_rep", b""))
        return "nan" if given in ("", "N.") else given

    def _texts(self, name: str, values: np.ndarray, nan: str | None) -> Any:
        text = decoded(values)
        if isinstance(text, int):
            self._refuse(name, "text in UTF-8", f"other bytes in row {text}", "Write the file again.")
        missing = np.asarray(text == nan) if nan is not None else np.zeros(len(text), bool)
        if not missing.any():
            return "text", text, None
        return "text", np.where(missing, MISSING, text), missing

    def _categories(self, name: str, field: str, codes: np.ndarray) -> Any:
        words = self._group[f"meta/{field}/meta/table"].fields("values")[()]
        form, known, _ = self._texts(name, words, None) if words.dtype.kind in "SU" else ("number", words, None)
        missing = codes < 0
        if form == "number":
            numbers = known[np.where(missing, 0, codes)].astype(np.float64)
            numbers[missing] = np.nan
            return form, numbers, None
        text = np.append(known, MISSING)[codes]
        return "text", text, missing if missing.any() else None

    def _of_objects(self, name: str, items: list[Any]) -> Any:
        """Python objects: truth values, numbers or text, each of which may be missing."""
        missing = np.array([_is_missing(item) for item in items], bool)
        kinds = {type(item) for item, gone in zip(items, missing.tolist(), strict=True) if not gone}
        if kinds <= {bool, np.bool_}:
            if kinds and not missing.any():
                return "truth", np.array(items, bool), None
            return "number", np.array([np.nan if m else float(v) for v, m in zip(items, missing, strict=True)]), None
        if kinds <= {str, bytes}:
            text = [MISSING if m else v for v, m in zip(items, missing.tolist(), strict=True)]
            form, array, _ = self._texts(name, np.array(text, dtype=object), None)
            return form, array, missing if missing.any() else None
        if all(issubclass(kind, int | float | np.integer | np.floating) and kind is not bool for kind in kinds):
            whole = all(issubclass(kind, int | np.integer) for kind in kinds)
            largest = max(abs(item) for item, gone in zip(items, missing.tolist(), strict=True) if not gone)
            if whole and not missing.any() and largest < 2**63:
                return "number", np.array(items, np.int64), None
            if whole and largest >= _FLOAT_EXACT:
                self._refuse(name, "whole numbers below 2**53 beside missing ones", f"{largest}", "Fill the missing.")
            return "number", np.array([np.nan if m else float(v) for v, m in zip(items, missing, strict=True)]), None
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        self._refuse(
            name, "truth values, numbers or text, of one kind", f"Python objects: {names}", "Store plain values."
        )


def _is_missing(item: Any) -> bool:
    if item is None or (isinstance(item, float | np.floating) and math.isnan(item)):
        return True
    called = item if isinstance(item, type) else type(item)
    return issubclass(called, foreign_pickle.Placeholder) and called.name in ("NA", "NaTType", "_nat_unpickle")


def _is_truth(item: h5py.Dataset, field: str | None) -> bool:
    """Whether PyTables stored truth values, which are bit fields in HDF5."""
    declared = item.id.get_type()
    if field is not None:
        declared = declared.get_member_type(declared.get_member_index(field.encode()))
        if declared.get_class() == h5py.h5t.ARRAY:
            declared = declared.get_super()
    return bool(declared.get_class() == h5py.h5t.BITFIELD)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if isinstance(value, h5py.Empty) else str(value)
