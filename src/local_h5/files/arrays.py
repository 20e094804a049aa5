"""Named arrays and a JSON header in one HDF5 file that is memory-mapped when read.

All prepared inputs (source snapshot, geography, clone index, take-up table) have this form: contiguous, aligned,
uncompressed datasets, so that every process on a node shares one copy in the page cache, and any HDF5 tool can look
inside.
"""

import json
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from local_h5.errors import PreparedError
from local_h5.files.atomic import atomic_output
from local_h5.files.hdf5 import H5_ERRORS, create_h5

_HEADER = "header"
_ALIGNMENT = 64


def write_array_file(
    path: Path,
    *,
    kind: str,
    version: int,
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
) -> None:
    """Write ``arrays`` and ``metadata`` under ``path`` in one step; equal content gives equal bytes.

    Args:
        path: the final file.
        kind: what the file holds, for example ``source_snapshot``; checked by the reader.
        version: format version of that kind; checked by the reader.
        arrays: any fixed-width dtypes (numbers, bool, bytes).
        metadata: JSON-serialisable.
    """
    places: dict[str, tuple[int | None, str, tuple[int, ...]]] = {}
    with (
        atomic_output(path) as temporary,
        create_h5(temporary, alignment_threshold=1, alignment_interval=_ALIGNMENT) as file,
    ):
        for name in sorted(arrays):
            stored = file.create_dataset(f"arrays/{name}", data=np.ascontiguousarray(arrays[name]))
            places[name] = (stored.id.get_offset(), arrays[name].dtype.str, arrays[name].shape)
        content = {"kind": kind, "version": version, "metadata": metadata, "places": places}
        header = json.dumps(content, sort_keys=True, ensure_ascii=True)
        file.create_dataset(_HEADER, data=np.frombuffer(header.encode(), dtype=np.uint8))


class ArrayFile(Mapping[str, np.ndarray]):
    """A read-only view of a file that :func:`write_array_file` wrote; arrays are memory-mapped.

    Attributes:
        path: the file.
        metadata: the JSON header's metadata.

    Raises:
        PreparedError: the file is missing, damaged, or of another kind or version.
    """

    def __init__(self, path: Path, *, kind: str, version: int) -> None:
        self.path = path
        remedy = "Delete it and run the workflow again; the prepare step makes it."
        try:
            with h5py.File(path, "r") as file:
                header = json.loads(bytes(file[_HEADER][()]))
                self.metadata: dict[str, Any] = header["metadata"]
                # Where each array lies is in the header: asking HDF5 about a hundred of them costs an area job 10 ms.
                self._places: dict[str, tuple[int | None, str, list[int]]] = header["places"]
                last = max(self._places, key=lambda name: self._places[name][0] or 0, default=None)
                if last is not None and file[f"arrays/{last}"].id.get_offset() != self._places[last][0]:
                    raise ValueError("rewritten by another program: its arrays have moved")
            with path.open("rb") as stream:
                self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError as error:
            raise PreparedError(f"{path}: expected a prepared {kind} file, found no file. {remedy}") from error
        except H5_ERRORS as error:
            raise PreparedError(
                f"{path}: expected a prepared {kind} file, found an unreadable file ({error}). {remedy}"
            ) from error
        found = (header["kind"], header["version"])
        if found != (kind, version):
            raise PreparedError(
                f"{path}: format: expected {kind} version {version}, found {found[0]} version {found[1]}. {remedy}"
            )

    def __getitem__(self, name: str) -> np.ndarray:
        try:
            offset, dtype, shape = self._places[name]
        except KeyError as error:
            raise PreparedError(
                f"{self.path}: {name}: expected an array of that name, found {', '.join(sorted(self._places))}. "
                "Delete the file and run the workflow again."
            ) from error
        if offset is None:
            return np.empty(shape, dtype)
        return np.ndarray(shape, dtype, buffer=self._map, offset=offset)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._places))

    def __len__(self) -> int:
        return len(self._places)
