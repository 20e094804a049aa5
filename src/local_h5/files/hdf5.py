"""Writing HDF5 so that a full disk is an error, and finding data that lies in other files.

When a write fails, HDF5 cannot close the file any more and the process dies with a segmentation fault (tested with a
file size limit). So HDF5 writes to a file object that never fails. It keeps the first error and drops all later writes.
The error is raised when the file has been closed.
"""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

H5_ERRORS = (OSError, RuntimeError, ValueError, KeyError, TypeError, SystemError, MemoryError)
"""What h5py raises for a damaged file, an unknown type or filter, or another form."""

FORMAT_BOUNDS = ("v110", "v110")
"""Version 1.10 of the format. Any HDF5 of the last ten years reads it, and it stores no creation times."""


@contextlib.contextmanager
def create_h5(path: Path, **options: Any) -> Iterator[h5py.File]:
    """Yield a new HDF5 file at ``path``, which may exist.

    Args:
        path: the file.
        options: further ones of :class:`h5py.File`.

    Raises:
        OSError: the first write that failed, once the file is closed.
    """
    with _Stream(path) as stream:
        try:
            with h5py.File(stream, "w", libver=FORMAT_BOUNDS, **options) as file:
                yield file
        finally:
            if stream.error is not None:
                raise stream.error


class Datasets:
    """Puts arrays into a new file as ``Group.create_dataset`` does, byte for byte, in about half its time.

    h5py makes a type, a dataspace and a property list for every dataset. Here those of one type and length share
    theirs, and groups share one list.

    Args:
        file: open for writing.
        options: of ``Group.create_dataset``; compressed datasets are left to it.
    """

    def __init__(self, file: h5py.File, **options: Any) -> None:
        self._file = file
        self._options = options
        self._alike: dict[tuple[np.dtype, tuple[int, ...]], tuple[Any, ...]] = {}
        self._of_groups = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
        self._of_groups.set_obj_track_times(False)

    def group(self, name: str) -> h5py.h5g.GroupID:
        """Create a group at the root."""
        if not name.isascii():  # the link says in which character set its name is
            return self._file.create_group(name).id
        return h5py.h5g.create(self._file.id, name.encode(), gcpl=self._of_groups)

    def put(self, group: h5py.h5g.GroupID, name: str, values: np.ndarray) -> None:
        """Create a dataset with all its values.

        Args:
            group: it goes into.
            name: ASCII.
            values: of a fixed-width type.
        """
        values = np.ascontiguousarray(values)
        kind = values.dtype, values.shape
        if kind in self._alike:
            dataset = h5py.h5d.create(group, name.encode("ascii"), *self._alike[kind])
            dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, values)
            return
        dataset = h5py.Group(group).create_dataset(name, data=values, **self._options).id
        if not self._options:
            self._alike[kind] = dataset.get_type(), dataset.get_space(), dataset.get_create_plist()


def outside(file: h5py.File) -> str | None:
    """The first part of a file whose data lies in another file, in words; None if there is none.

    A dataset can have its bytes in another file, a link can lead into another H5, and a virtual dataset consists of
    parts of others. The file's digest does not cover such data. No link out of the file is followed.
    """

    def look(name: bytes, info: h5py.h5l.LinkInfo) -> str | None:
        where = name.decode("utf-8", "replace")
        if info.type == h5py.h5l.TYPE_SOFT:
            return None
        if info.type != h5py.h5l.TYPE_HARD:
            return f"{where!r}, a link into another file"
        node = h5py.h5o.open(file.id, name)
        if not isinstance(node, h5py.h5d.DatasetID):
            return None
        how = node.get_create_plist()
        if how.get_external_count():
            return f"{where!r}, whose values lie in another file"
        parts = range(how.get_virtual_count() if how.get_layout() == h5py.h5d.VIRTUAL else 0)
        if any(how.get_virtual_filename(part) != "." for part in parts):
            return f"{where!r}, put together from other files"
        return None

    found: str | None = file.id.links.visit(look, info=True)
    return found


class _Stream(io.RawIOBase):
    """A file that keeps its first failure in ``error`` and raises nothing."""

    def __init__(self, path: Path) -> None:
        self.error: OSError | None = None
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        self._place = 0
        self._size = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        return self._place

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = os.pread(self._handle, len(view), self._place)
        view[: len(data)] = data
        view[len(data) :] = bytes(len(view) - len(data))
        self._place += len(view)
        return len(view)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while self.error is None and done < len(view):
            try:
                done += os.pwrite(self._handle, view[done:], self._place + done)
            except OSError as error:
                self.error = error
        self._place += len(view)
        self._size = max(self._size, self._place)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        self._size = self._place if size is None else size
        if self.error is None:
            try:
                os.ftruncate(self._handle, self._size)
            except OSError as error:
                self.error = error
        return self._size

    def close(self) -> None:
        if not self.closed:
            os.close(self._handle)
        super().close()
