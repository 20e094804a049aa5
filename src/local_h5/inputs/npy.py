"""Reading ``.npy`` and ``.npz`` files from elsewhere without trusting them.

numpy's own loader either refuses object arrays or runs the pickle inside them, and allocates any shape that a header
claims. Here the shape of a header must agree with the number of bytes after it, object arrays are read by
:mod:`foreign_pickle`, and columns are read in chunks.
"""

import io
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from foreign_pickle import load
from local_h5.errors import InputError
from local_h5.inputs.chunks import chunks
from local_h5.inputs.pickles import pickle_errors

MAGIC = npy_format.MAGIC_PREFIX

_PICKLED_BYTES_PER_ITEM = 128
"""A pickled code takes about 25 bytes. A member with many more bytes an item is something else."""

_HEADERS = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}

_DAMAGE = (
    ValueError, EOFError, OSError, MemoryError, RuntimeError,  # RuntimeError: encrypted, or of an unknown compression
    SyntaxError, TypeError, RecursionError, tokenize.TokenError,  # numpy takes a header for a Python literal
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy and the standard library raise on damaged or hostile bytes."""


@dataclass(frozen=True, slots=True)
class Column:
    """An array of an open file. Its header agrees with the number of bytes after it."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    _stream: IO[bytes]
    _where: str
    _field: str

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def chunks(self) -> Iterator[NDArray[np.generic]]:
        """The entries in chunks, once.

        Raises:
            InputError: the data are damaged, or an object array holds more than text and numbers.
        """
        with _damage(self._where, self._field):
            items = self._objects() if self.dtype.hasobject else None
            for part in chunks(self.size):
                rows = part.stop - part.start
                if items is None:
                    yield np.frombuffer(self._stream.read(rows * self.dtype.itemsize), self.dtype, rows)
                else:
                    yield items[part]

    def _objects(self) -> NDArray[np.generic]:
        with pickle_errors():
            loaded = load(self._stream, f"{self._where}: {self._field}")
        if not isinstance(loaded, np.ndarray) or loaded.shape != self.shape:
            kind = type(loaded).__name__
            raise ValueError(f"a pickled {kind} that does not have the shape {self.shape} of its header")
        return loaded


def _column(stream: IO[bytes], total_bytes: int, where: str, field: str) -> Column:
    """The array at the start of ``stream``, which has so many bytes with its header."""
    with _damage(where, field):
        version = npy_format.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"unsupported format version {version}")
        shape, _, dtype = _HEADERS[version](stream)
        size, left = math.prod(shape), total_bytes - stream.tell()
        if dtype.hasobject:
            plausible = dtype.kind == "O" and left <= (size + 1024) * _PICKLED_BYTES_PER_ITEM
            claimed = f"{size:,} objects"
        else:
            plausible = left == size * dtype.itemsize
            claimed = f"{size * dtype.itemsize:,} bytes of {dtype.str}"
        if not plausible:
            raise ValueError(f"shape {shape}, that is {claimed}, and {left:,} bytes of data")
    return Column(shape, dtype, stream, where, field)


@contextmanager
def open_npy(path: Path, field: str) -> Iterator[Column]:
    """The array of a ``.npy`` file.

    Args:
        path: the file.
        field: what the array is, for errors.

    Raises:
        InputError: missing, not a ``.npy``, or truncated.
    """
    with open_file(path) as stream:
        yield _column(stream, os.fstat(stream.fileno()).st_size, str(path), field)


def read_npy(path: Path, field: str) -> NDArray[np.generic]:
    """A whole ``.npy`` file of numbers or fixed-width text; never an object array.

    Raises:
        InputError: missing, not a ``.npy``, truncated, or an object array.
    """
    with open_npy(path, field) as column:
        if column.dtype.hasobject or column.dtype.names is not None:
            raise InputError(
                f"{path}: {field}: expected an array of numbers, found dtype {column.dtype}. Save it with "
                "numpy.save(path, array, allow_pickle=False)."
            )
    with _damage(str(path), field):
        array: NDArray[np.generic] = np.load(path, allow_pickle=False)
    return array


@contextmanager
def open_npz(path: Path) -> Iterator[zipfile.ZipFile]:
    """An open ``.npz``. :func:`column_of` reads its arrays one at a time.

    Raises:
        InputError: it is none, or damaged.
    """
    with _damage(str(path)):
        file = zipfile.ZipFile(path)
    with file:
        yield file


@contextmanager
def column_of(file: zipfile.ZipFile, field: str) -> Iterator[Column]:
    """One array of an ``.npz``; as :func:`open_npy`."""
    where = str(file.filename)
    with _damage(where, field):
        stream = file.open(f"{field}.npy")
    with stream:
        yield _column(stream, file.getinfo(f"{field}.npy").file_size, where, field)


@contextmanager
def open_file(path: Path) -> Iterator[io.BufferedReader]:
    """``path`` opened for reading. A missing or unreadable file is an :class:`InputError`."""
    try:
        stream = path.open("rb")
    except OSError as error:
        raise InputError(
            f"{path}: expected a readable file, found {error.strerror or type(error).__name__}. Check the path in "
            "the configuration, or run the step that makes this file."
        ) from error
    with stream:
        yield stream


@contextmanager
def _damage(where: str, field: str = "") -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise _unreadable(where, field, str(error)) from error


def _unreadable(where: str, field: str, found: str) -> InputError:
    return InputError(
        f"{where}:{f' {field}:' if field else ''} expected a complete numpy array, found {found or 'unreadable data'}. "
        "The file is damaged or something else; make or copy it again."
    )
