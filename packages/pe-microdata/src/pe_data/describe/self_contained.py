"""Open an H5 file, and refuse one whose data are in other files.

HDF5 lets a file point at others: a dataset whose bytes lie in another file, a link into another H5, a virtual
dataset put together from several. Whoever wrote such a file chooses what is read on the machine of whoever
opens it, and a copy, an export or a manifest would carry it on. The digest of a file does not cover it either.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
from h5py import h5d, h5l, h5o

from pe_data.errors import InputError


@contextmanager
def open_h5(path: Path) -> Iterator[h5py.File]:
    """The file, open to be read.

    Raises:
        InputError: something in it lies in another file.
        OSError: as `h5py.File`.
    """
    with h5py.File(path, "r") as file:
        found = outside(file)
        if found is not None:
            raise InputError(
                f"{path}: {found}. Expected a file that holds all of its data. Ask whoever made it for one"
            )
        yield file


def outside(file: h5py.File) -> str | None:
    """What in the file lies in another one, in words; None if nothing does. Follows no link out of the file."""

    def look(name: bytes, info: h5l.LinkInfo) -> str | None:
        where = name.decode("utf-8", "replace")
        if info.type == h5l.TYPE_SOFT:
            return None
        if info.type != h5l.TYPE_HARD:
            return f"{where!r} is a link into another file"
        node = h5o.open(file.id, name)
        if not isinstance(node, h5d.DatasetID):
            return None
        how = node.get_create_plist()
        if how.get_external_count():
            return f"the values of {where!r} lie in another file"
        if how.get_layout() == h5d.VIRTUAL and any(
            how.get_virtual_filename(part) != "." for part in range(how.get_virtual_count())
        ):
            return f"the values of {where!r} are put together from other files"
        return None

    found: str | None = file.id.links.visit(look, info=True)
    return found
