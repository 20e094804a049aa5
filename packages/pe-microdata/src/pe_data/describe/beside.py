"""The data files of a folder, and the result sidecars beside them.

A file `NC-01.h5` that the workflow has built has a sidecar `NC-01.h5.result.json`. It says what is in the file, so
that nobody has to open it. The name of a file in a folder is its relative path without the extension.
"""

from pathlib import Path

from pe_data.describe.from_sidecar import Sidecar, read_sidecar
from pe_data.errors import InputError
from pe_data.names.digests import strict_json
from pe_data.names.keys import EXTENSIONS

SIDECAR_SUFFIX = ".result.json"
INDEX_NAME = "index"
"""Last part of the name of an index of ranges; the files beside it have the names of their entities."""


def sidecar_beside(path: Path) -> Sidecar | None:
    """What the sidecar of a file says; None if it has none. Raises InvalidDocumentError for one that is none."""
    sidecar = path.with_name(path.name + SIDECAR_SUFFIX)
    if not sidecar.is_file():
        return None
    return read_sidecar(strict_json(sidecar.read_bytes(), what=str(sidecar)), where=str(sidecar))


def index_beside(path: Path) -> Path:
    """Where the index of ranges would be, if `path` is of a file that was split by area."""
    return path.with_name(f"{INDEX_NAME}.parquet")


def is_split(path: Path) -> bool:
    """Whether a file is of one that was split by area: the index beside it is what a sidecar is to others."""
    return path.suffix == ".parquet" and index_beside(path).is_file()


def files_in(folder: Path) -> dict[str, Path]:
    """Every H5 and Parquet file below `folder`, by relative name without extension, in order of name.

    Raises:
        InputError: if there is none, or two files differ only in their extension.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.removeprefix(".") not in EXTENSIONS or not path.is_file():
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise InputError(
                f"{path}: another file of the same name differs only in its extension "
                f"({found[name].name}); a member has one"
            )
        found[name] = path
    if not found:
        raise InputError(f"{folder}: expected .h5 or .parquet files in it, found none")
    return found
