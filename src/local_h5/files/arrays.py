"""A structure of arrays as one HDF5 file, which is memory-mapped when it is read.

All prepared inputs (source snapshot, geography, clone index, take-up table) have this form. Arrays are contiguous,
aligned, uncompressed datasets, so that all processes on a node share one copy in the page cache, and any HDF5 tool can
read them. Everything else is in a JSON header, where the name of the dataset stands for the array.

The ``stored_as`` of a class gives the kind of its files and the version of their form. If you change the fields, raise
the version. Fields may be numbers, texts, arrays, other structures, tuples of these, mappings from texts to them, and
unions of kinds that differ in JSON. ``not_stored`` of a class lists the fields that a file does not have.
"""

import hashlib
import json
import mmap
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Protocol, TypeVar, Union, get_args, get_origin

import h5py
import msgspec
import numpy as np

from local_h5.errors import PreparedError
from local_h5.files.atomic import atomic_output
from local_h5.files.hdf5 import H5_ERRORS, create_h5

_HEADER = "header"
_ALIGNMENT = 64


class Stored(Protocol):
    """A structure with the kind of its files and the version of their form."""

    stored_as: ClassVar[tuple[str, int]]


S = TypeVar("S", bound=Stored)

_Read = Callable[[Any, Callable[[str], np.ndarray]], Any]
"""Makes a value from its JSON and from what gives an array by its name."""


def write_arrays(path: Path, value: Stored) -> None:
    """Write ``value`` under ``path`` in one step; equal content in equal order gives equal bytes.

    Raises:
        WriteError: the file cannot be written.
    """
    kind, version = value.stored_as
    arrays: dict[str, np.ndarray] = {}
    content = _taken_apart(value, "arrays", arrays)
    places: dict[str, tuple[int | None, str, tuple[int, ...]]] = {}
    with (
        atomic_output(path) as temporary,
        create_h5(temporary, alignment_threshold=1, alignment_interval=_ALIGNMENT) as file,
    ):
        for name in sorted(arrays):
            stored = file.create_dataset(name, data=np.ascontiguousarray(arrays[name]))
            places[name] = (stored.id.get_offset(), arrays[name].dtype.str, arrays[name].shape)
        header = json.dumps({"kind": kind, "version": version, "content": content, "places": places})
        file.create_dataset(_HEADER, data=np.frombuffer(header.encode(), dtype=np.uint8))


def content_sha256(value: Stored) -> str:
    """Digest of what a file of :func:`write_arrays` would hold."""
    arrays: dict[str, np.ndarray] = {}
    content = _taken_apart(value, "arrays", arrays)
    sha = hashlib.sha256(json.dumps([*value.stored_as, content]).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        sha.update(f"{name}{array.dtype.str}{array.shape}".encode())
        sha.update(array.view(np.uint8).data if array.size else b"")
    return sha.hexdigest()


def open_arrays(path: Path, cls: type[S]) -> S:
    """Open a file of :func:`write_arrays`. The arrays are memory-mapped and read-only.

    Raises:
        PreparedError: the file is missing, damaged, or of another kind or version.
    """
    kind, version = cls.stored_as
    remedy = "Delete it and run the workflow again; the prepare step makes it."
    try:
        with h5py.File(path, "r") as file:
            header = json.loads(bytes(file[_HEADER][()]))
            # The header has the place of each array: asking HDF5 for a hundred of them costs an area job 10 ms.
            places = header["places"]
            last = max(places, key=lambda name: places[name][0] or 0, default=None)
            if last is not None and file[last].id.get_offset() != places[last][0]:
                raise ValueError("rewritten by another program: its arrays have moved")
        if (header["kind"], header["version"]) == (kind, version):
            with path.open("rb") as stream:
                mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)

            def array(name: str) -> np.ndarray:
                offset, dtype, shape = places[name]
                return np.empty(shape, dtype) if offset is None else np.ndarray(shape, dtype, mapped, offset)

            value: S = _reader(cls)(header["content"], array)
            return value
    except FileNotFoundError as error:
        raise PreparedError(f"{path}: expected a prepared {kind} file, found no file. {remedy}") from error
    except H5_ERRORS as error:
        raise PreparedError(
            f"{path}: expected a prepared {kind} file, found an unreadable file ({error}). {remedy}"
        ) from error
    raise PreparedError(
        f"{path}: format: expected {kind} version {version}, found {header['kind']} version {header['version']}. "
        f"{remedy}"
    )


def _taken_apart(value: Any, place: str, arrays: dict[str, np.ndarray]) -> Any:
    """The JSON of a value. Its arrays are added to ``arrays`` under names below ``place``."""
    if isinstance(value, np.ndarray):
        arrays[place] = value
        return place
    if isinstance(value, msgspec.Struct):
        value = {name: getattr(value, name) for name in _stored(type(value))}
    if isinstance(value, Mapping):
        return {name: _taken_apart(item, f"{place}/{name}", arrays) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_taken_apart(item, f"{place}/{number}", arrays) for number, item in enumerate(value)]
    return value


def _stored(cls: type[msgspec.Struct]) -> tuple[str, ...]:
    """Names of the fields that a file has."""
    return tuple(name for name in cls.__struct_fields__ if name not in getattr(cls, "not_stored", ()))


def _is_structure(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


@cache
def _reader(kind: Any) -> _Read:
    """A function that makes a value of that kind from its JSON."""
    origin, of = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, UnionType):
        kinds = {_json_type(one): _reader(one) for one in of}
        return lambda data, array: kinds.get(type(data), _as_it_is)(data, array)
    if origin is np.ndarray:
        return lambda data, array: array(data)
    if _is_structure(origin):
        return _structure_reader(origin)
    if origin is Mapping:
        read = _reader(of[1])
        return lambda data, array: {name: read(item, array) for name, item in data.items()}
    if origin is tuple and of[1:] == (...,):
        read = _reader(of[0])
        return lambda data, array: tuple([read(item, array) for item in data])
    if origin is tuple:
        each = [_reader(one) for one in of]
        return lambda data, array: tuple([read(item, array) for read, item in zip(each, data, strict=True)])
    return _as_it_is


def _structure_reader(cls: type[msgspec.Struct]) -> _Read:
    readers = {name: _reader(cls.__annotations__[name]) for name in _stored(cls)}

    def read(data: Any, array: Callable[[str], np.ndarray]) -> Any:
        if data.keys() != readers.keys():
            raise ValueError(f"{cls.__name__} with the fields {', '.join(data)}")
        return cls(**{name: readers[name](item, array) for name, item in data.items()})

    return read


def _json_type(kind: Any) -> Any:
    origin = get_origin(kind) or kind
    return str if origin is np.ndarray else dict if _is_structure(origin) else origin


def _as_it_is(data: Any, array: Callable[[str], np.ndarray]) -> Any:
    return data
