"""A verified file of the cache under a name of the user's, whole or not at all."""

import os
from pathlib import Path
from typing import BinaryIO

from pe_data.errors import CacheError
from pe_data.files.atomic import NEW, PLAIN, SECRET, beside
from pe_data.files.private import close_to_others
from pe_data.names.digests import Sha256, copy_checked, sha256_file

FICLONE = 0x40049409
"""Linux: share the blocks of another file until one of the two is written to (btrfs, XFS, bcachefs)."""


def place(source: Path, sha256: Sha256, target: Path, *, private: bool = False, link: bool = False) -> Path:
    """Put the bytes of `source` at `target`, unless they are there; another file there is replaced.

    The file shares its blocks with the cache where the file system can do that, else it is a copy, which is hashed on
    the way. Either may be edited without changing the other.

    Args:
        source: In the cache, found right a moment ago.
        private: Nobody but this user may read the copy.
        link: A hard link instead, where both are on one file system: no bytes are moved, but who edits one edits both.

    Raises:
        CacheError: `target` cannot be written.
        DigestMismatchError: `source` changed.
    """
    try:
        if target.is_file():
            if _is_there(source, sha256, target, link):
                if private:
                    close_to_others(target)
                return target
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            if link and _linked(source, target):
                return target
        temporary = beside(target)
        try:
            if not (link and _linked(source, temporary)):
                _copy(source, sha256, temporary, SECRET if private else PLAIN)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)  # a rename onto another link of the same file leaves it
    except OSError as error:
        raise CacheError(f"{target}: cannot be written: {error.strerror or error}") from error
    return target


def _is_there(source: Path, sha256: Sha256, target: Path, link: bool) -> bool:
    there, ours = target.stat(), source.stat()
    if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
        return link  # a link where a copy is wanted is replaced: it could be edited
    return not target.is_symlink() and there.st_size == ours.st_size and sha256_file(target) == sha256


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        return False
    return True


def _copy(source: Path, sha256: Sha256, target: Path, mode: int) -> None:
    made = os.open(target, NEW, mode)
    with os.fdopen(made, "wb") as copy, source.open("rb") as original:
        if not _shared(original, copy):
            advice = "The file changed in the cache; run `pe-data cache verify`."
            copy_checked(original, copy, sha256, what=str(source), advice=advice)
        copy.flush()
        os.fsync(copy.fileno())


def _shared(original: BinaryIO, copy: BinaryIO) -> bool:
    try:
        import fcntl

        fcntl.ioctl(copy.fileno(), FICLONE, original.fileno())
    except (ImportError, OSError):  # another system, or a file system that shares no blocks
        return False
    return True
