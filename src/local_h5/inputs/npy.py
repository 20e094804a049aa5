"""Reading ``.npy`` and ``.npz`` files that somebody else made.

numpy's own loader either refuses object arrays or runs whatever pickle is inside them, and allocates whatever shape a
header claims. Here a header is believed only as far as the bytes behind it reach, object arrays go through
:mod:`~foreign_pickle.reader`, and fixed-width columns can be read in chunks.
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
from types import TracebackType
from typing import IO, Self

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from foreign_pickle import reader
from local_h5.errors import InputError
from local_h5.inputs.geography import codes
from local_h5.inputs.pickles import pickle_errors

MAGIC = npy_format.MAGIC_PREFIX

_PICKLED_BYTES_PER_ITEM = 128
"""A pickled code takes about 25 bytes; a member that takes far more holds something else."""

_MAX_SCALAR_BYTES = 4096

Failure = type[InputError]


@dataclass(frozen=True, slots=True)
class Header:
    """What the head of a ``.npy`` stream says, checked against the number of bytes that follow."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    fortran: bool
    data_bytes: int

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def read_header(stream: IO[bytes], total_bytes: int, where: str, field: str, failure: Failure) -> Header:
    """Read and check the header at the start of ``stream``.

    Args:
        stream: positioned at the start of the ``.npy`` data.
        total_bytes: length of the whole ``.npy`` data.
        where: file, for errors.
        field: array, for errors.
        failure: class of the error to raise.
    """
    try:
        version = npy_format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = npy_format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, dtype = npy_format.read_array_header_2_0(stream)
        else:
            raise ValueError(f"unsupported format version {version}")
    except (ValueError, EOFError, SyntaxError, TypeError, MemoryError, RecursionError, tokenize.TokenError) as error:
        # numpy takes the header for a Python literal, and gives what Python's own reader says of it.
        raise _unreadable(failure, where, field, str(error)) from error
    data_bytes = total_bytes - stream.tell()
    size = math.prod(shape)
    if dtype.hasobject:
        plausible = dtype.kind == "O" and data_bytes <= (size + 1024) * _PICKLED_BYTES_PER_ITEM
        claimed = f"{size:,} objects"
    else:
        plausible = data_bytes == size * dtype.itemsize
        claimed = f"{size * dtype.itemsize:,} bytes of {dtype.str}"
    if not plausible:
        found = f"shape {shape}, that is {claimed}, and {data_bytes:,} bytes of data"
        raise _unreadable(failure, where, field, found)
    return Header(shape, dtype, fortran, data_bytes)


def iter_rows(stream: IO[bytes], header: Header, where: str, field: str) -> Iterator[NDArray[np.generic]]:
    """The rows of a one-dimensional array in chunks; ``stream`` stands behind the header.

    Raises:
        InputError: the data end early.
        InputError: an object array holds more than text and numbers.
    """
    if header.dtype.hasobject:
        yield from codes.chunks_of(_read_objects(stream, header, where, field))
        return
    rows_left = header.size
    while rows_left:
        rows = min(rows_left, codes.CHUNK_ROWS)
        data = _read_exactly(stream, rows * header.dtype.itemsize, where, field, InputError)
        yield np.frombuffer(data, dtype=header.dtype)
        rows_left -= rows


def read_npy(path: Path, failure: Failure, *, field: str) -> NDArray[np.generic]:
    """A whole ``.npy`` file of numbers or fixed-width text; never an object array.

    Raises:
        InputError: (as ``failure``) missing, not a ``.npy``, truncated, or an object array.
    """
    with open_file(path, failure) as stream:
        total = os.fstat(stream.fileno()).st_size
        header = read_header(stream, total, str(path), field, failure)
        if header.dtype.hasobject or header.dtype.names is not None:
            raise failure(
                f"{path}: {field}: expected an array of numbers, found dtype {header.dtype}. Save it with "
                "numpy.save(path, array, allow_pickle=False)."
            )
        data = _read_exactly(stream, header.data_bytes, str(path), field, failure)
    array: NDArray[np.generic] = np.frombuffer(data, dtype=header.dtype)
    return array.reshape(header.shape, order="F" if header.fortran else "C")


@contextmanager
def open_file(path: Path, failure: Failure) -> Iterator[io.BufferedReader]:
    """``path`` opened for reading; a missing or unreadable file is an error of our own."""
    try:
        stream = path.open("rb")
    except OSError as error:
        raise failure(
            f"{path}: expected a readable file, found {error.strerror or type(error).__name__}. Check the path in "
            "the configuration, or run the step that makes this file."
        ) from error
    with stream:
        yield stream


class NpzFile:
    """The members of an ``.npz``, read one at a time and only when asked for."""

    def __init__(self, path: Path) -> None:
        self._where = str(path)
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise _unreadable(InputError, self._where, None, str(error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._zip.close()

    @property
    def fields(self) -> frozenset[str]:
        names = self._zip.namelist()
        return frozenset(name.removesuffix(".npy") for name in names if name.endswith(".npy"))

    @contextmanager
    def member(self, field: str) -> Iterator[tuple[IO[bytes], Header]]:
        """The stream of one array, behind its header, and the header."""
        info = self._zip.getinfo(f"{field}.npy")
        try:
            with self._zip.open(info) as stream:
                header = read_header(stream, info.file_size, self._where, field, InputError)
                yield stream, header
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError, ValueError) as error:
            # zipfile says RuntimeError for an encrypted member, and a subclass of it for an unknown compression.
            raise _unreadable(InputError, self._where, field, str(error)) from error

    def scalar(self, field: str) -> NDArray[np.generic]:
        """A tiny array, such as a count."""
        with self.member(field) as (stream, header):
            if header.dtype.hasobject or header.data_bytes > _MAX_SCALAR_BYTES:
                found = f"shape {header.shape} of {header.dtype}"
                raise _unreadable(InputError, self._where, field, found)
            data = _read_exactly(stream, header.data_bytes, self._where, field, InputError)
            return np.frombuffer(data, dtype=header.dtype)


def _read_objects(stream: IO[bytes], header: Header, where: str, field: str) -> NDArray[np.generic]:
    with pickle_errors():
        loaded = reader.load(stream, f"{where}: {field}")
    if not isinstance(loaded, np.ndarray) or loaded.shape != header.shape:
        found = f"a pickled {type(loaded).__name__} that does not have the shape {header.shape} of its header"
        raise _unreadable(InputError, where, field, found)
    return loaded


def _read_exactly(stream: IO[bytes], size: int, where: str, field: str, failure: Failure) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise _unreadable(failure, where, field, f"the data end after {len(data):,} of {size:,} bytes")
    return data


def _unreadable(failure: Failure, where: str, field: str | None, found: str) -> InputError:
    return failure(
        f"{where}:{f' {field}:' if field else ''} expected a complete numpy array, found {found or 'unreadable data'}. "
        "The file is damaged or something else; make or copy it again."
    )
