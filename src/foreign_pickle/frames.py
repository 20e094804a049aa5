"""Sparse matrices and data frames of a safely loaded package, read without scipy or pandas.

:func:`~foreign_pickle.reader.load` makes placeholders for such objects. The functions here read them in the form that
scipy and pandas (2 and 3) write, and return plain arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foreign_pickle.reader import ForeignPickleError, Placeholder

_BACKED = frozenset({"Categorical", "StringArray", "StringArrayNumpySemantics", "DatetimeArray", "TimedeltaArray"})
"""Pandas arrays around a numpy array with their values (or, for categories, their codes)."""


@dataclass(frozen=True, slots=True)
class SparseMatrix:
    """A sparse matrix in compressed form: by row, or by column for CSC."""

    shape: tuple[int, int]
    by_row: bool
    data: NDArray[Any]
    indices: NDArray[np.integer]
    """Column of each entry (row, for CSC)."""
    indptr: NDArray[np.integer]
    """Where each row (column, for CSC) begins in ``data``; one more than there are rows."""

    def triplets(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
        """Row, column and value of every stored entry."""
        outer = np.repeat(np.arange(self.indptr.size - 1), np.diff(self.indptr)).astype(np.int64)
        inner = self.indices.astype(np.int64)
        return (outer, inner, self.data) if self.by_row else (inner, outer, self.data)

    def times(self, vector: NDArray[np.floating]) -> NDArray[np.float64]:
        """The matrix times a vector of ``shape[1]`` numbers."""
        rows, columns, values = self.triplets()
        sums = np.bincount(rows, values * vector[columns], minlength=self.shape[0])
        return sums.astype(np.float64, copy=False)


def read_sparse(value: object, where: str) -> SparseMatrix:
    """The CSR, CSC or COO matrix behind a placeholder.

    Args:
        value: what the package holds, e.g. ``package["X_sparse"]``.
        where: file and field, for errors.

    Raises:
        ForeignPickleError: it is something else, or its parts do not fit together.
    """
    if not isinstance(value, Placeholder) or not isinstance(value.state, dict):
        raise _unexpected(where, "a scipy sparse matrix", _kind(value))
    state = value.state
    layout = value.name[:3]
    try:
        n_rows, n_columns = (int(size) for size in state["_shape"])
        data = _vector(state["data"])
        if layout == "coo":
            rows, columns = (_vector(part) for part in state.get("coords") or (state["row"], state["col"]))
            order = np.argsort(rows, kind="stable")
            indices, data = columns[order], data[order]
            indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_rows))])
            matrix = SparseMatrix((n_rows, n_columns), True, data, indices, indptr)
        elif layout in ("csr", "csc"):
            indices, indptr = _vector(state["indices"]), _vector(state["indptr"])
            matrix = SparseMatrix((n_rows, n_columns), layout == "csr", data, indices, indptr)
        else:
            raise _unexpected(where, "a CSR, CSC or COO matrix", value.origin)
        fits = _fits(matrix)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise _unexpected(where, "the parts of a sparse matrix", f"{error!r}") from error
    if not fits:
        raise _unexpected(where, "a sparse matrix", "one whose indices, pointers and shape do not fit")
    return matrix


def _fits(matrix: SparseMatrix) -> bool:
    outer, inner = matrix.shape if matrix.by_row else matrix.shape[::-1]
    pointers, indices = matrix.indptr, matrix.indices
    return bool(
        pointers.size == outer + 1
        and pointers[0] == 0
        and pointers[-1] == indices.size == matrix.data.size
        and (np.diff(pointers) >= 0).all()
        and (indices.size == 0 or (indices.min() >= 0 and indices.max() < inner))
    )


def _vector(value: object) -> NDArray[Any]:
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "biuf":
        return value
    raise TypeError(f"expected a vector of numbers, found {_kind(value)}")


def read_frame(value: object, where: str, columns: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """The columns of the pandas frame behind a placeholder.

    Args:
        value: what the package holds, e.g. ``package["targets_df"]``.
        where: file and field, for errors.
        columns: the columns wanted, all by default. Only these are decoded.

    Returns:
        Name → array, in the order asked for: numbers as stored; text as an object array of ``str`` and ``None``;
        categories as the values they stand for; nullable numbers as floats with NaN.

    Raises:
        ForeignPickleError: it is no data frame, lacks a column, or has a wanted column of a kind that is not read here.
    """
    try:
        blocks, names = _manager(value)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise _unexpected(where, "a pandas DataFrame", f"{_kind(value)}: {error}") from error
    missing = [name for name in columns or () if name not in names]
    if missing:
        raise _unexpected(where, f"the columns {', '.join(columns or ())}", f"no {', '.join(missing)}")
    wanted = list(names) if columns is None else list(columns)
    place: dict[int, tuple[object, int]] = {}
    try:
        for values, placement in blocks:
            for offset, column in enumerate(_positions(placement, len(names))):
                place[column] = values, offset
        return {name: _column(*place[names.index(name)]) for name in wanted}
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise _unexpected(where, "columns of numbers or text", f"{error}") from error


def _manager(value: object) -> tuple[list[tuple[object, object]], list[str]]:
    """Blocks (values, columns) and column names of a frame."""
    if not isinstance(value, Placeholder) or value.name != "DataFrame":
        raise TypeError("not a DataFrame")
    state = value.state
    manager = state["_mgr"] if isinstance(state, dict) else None
    if not isinstance(manager, Placeholder) or manager.name != "BlockManager":
        raise TypeError("not written by pandas 2 or 3")
    blocks, axes = manager.args
    names = [str(name) for name in _values(axes[0]).tolist()]  # type: ignore[index]
    return [(block.args[0], block.args[1]) for block in blocks], names  # type: ignore[attr-defined]


def _positions(placement: object, n_columns: int) -> list[int]:
    if isinstance(placement, slice):
        return list(range(n_columns)[placement])
    return [int(position) for position in np.asarray(placement)]


def _column(values: object, offset: int) -> NDArray[Any]:
    if isinstance(values, np.ndarray) and values.ndim == 2:
        row: NDArray[Any] = values[offset]
        return row
    return _values(values)


def _values(value: object) -> NDArray[Any]:
    """One column, or the labels of an index, as a plain array."""
    if isinstance(value, np.ndarray):
        return value[0] if value.ndim == 2 else value
    if not isinstance(value, Placeholder):
        raise TypeError(f"column of kind {_kind(value)}")
    if value.name == "_new_Index":
        return _index(value)
    if value.name in ("_restore_array", "chunked_array"):
        return _arrow(value)
    if isinstance(value.state, dict):
        if "_pa_array" in value.state:
            return _arrow(value.state["_pa_array"])
        if "_mask" in value.state:
            data, mask = _values(value.state["_data"]), _values(value.state["_mask"])
            return np.where(mask.astype(np.bool_), np.nan, data.astype(np.float64))
    if value.name.startswith("__pyx_unpickle_NDArrayBacked"):
        return _backed(value)
    raise TypeError(f"column of kind {value.origin}")


def _index(value: Placeholder) -> NDArray[Any]:
    _, parts = value.args
    if not isinstance(parts, dict):
        raise TypeError("an index without parts")
    if "data" in parts:
        return _values(parts["data"])
    return np.arange(*(int(parts[part]) for part in ("start", "stop", "step")))


def _backed(value: Placeholder) -> NDArray[Any]:
    """A pandas array around a numpy array: categories, text or dates."""
    kind = getattr(value.args[0], "name", "") if value.args else ""
    state = value.state if isinstance(value.state, tuple) else ()
    arrays = [part for part in state if isinstance(part, np.ndarray)]
    dtypes = [part for part in state if isinstance(part, Placeholder)]
    if kind not in _BACKED or len(arrays) != 1:
        raise TypeError(f"column of kind {kind or value.origin}")
    data = arrays[0].reshape(-1)
    if kind == "Categorical":
        parts = dtypes[0].state
        categories = _values(parts["categories"]) if isinstance(parts, dict) else np.empty(0)
        return np.append(categories.astype(np.object_), [None])[data]
    if data.dtype.kind == "O":
        items = [item if isinstance(item, str) else None for item in data.tolist()]
        return np.array(items, dtype=np.object_)
    return data


def _arrow(value: Any) -> NDArray[Any]:
    """Arrow text: offsets, bytes and validity bits."""
    if not isinstance(value, Placeholder):
        raise TypeError(f"Arrow data of kind {_kind(value)}")
    if value.name == "chunked_array":
        chunks: Sequence[object] = value.args[0]  # type: ignore[assignment]
        return np.concatenate([np.empty(0, np.object_), *map(_arrow, chunks)])
    kind, length, _, start, buffers = value.args[0][:5]  # type: ignore[index]
    alias = kind.args[0] if isinstance(kind, Placeholder) and kind.args else None
    widths = {"string": np.int32, "large_string": np.int64}
    if alias not in widths:
        raise TypeError(f"Arrow data of type {alias}")
    validity, offsets, text = (_buffer(part) for part in buffers)
    ends = np.frombuffer(offsets, dtype=widths[alias])[start : start + length + 1]
    valid = np.ones(length, dtype=np.bool_)
    if validity:
        bits = np.unpackbits(np.frombuffer(validity, dtype=np.uint8), bitorder="little")
        valid = bits[start : start + length].astype(np.bool_)
    items = [
        text[low:high].decode("utf-8") if known else None
        for low, high, known in zip(ends[:-1].tolist(), ends[1:].tolist(), valid, strict=True)
    ]
    return np.array(items, dtype=np.object_)


def _buffer(value: object) -> bytes:
    """The bytes of an Arrow buffer; none for one that Arrow left out."""
    if value is None:
        return b""
    data = value.args[0] if isinstance(value, Placeholder) else value
    if isinstance(data, bytes | bytearray):
        return bytes(data)
    raise TypeError(f"Arrow buffer of kind {_kind(value)}")


def _kind(value: object) -> str:
    return value.origin if isinstance(value, Placeholder) else type(value).__name__


def _unexpected(where: str, expected: str, found: str) -> ForeignPickleError:
    return ForeignPickleError(
        f"{where}: expected {expected}, found {found[:200]}. Save the package again with the calibration's own code."
    )
