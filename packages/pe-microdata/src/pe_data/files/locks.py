"""Locks between processes; in a module of its own, because a cache hit needs none.

A file that one process writes at a time is its own lock, where the file system can lock an open file. Elsewhere there
is a lock file beside it.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pe_data.files.atomic import is_still, local_errors

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # a system without
    flock = None  # type: ignore[assignment]


class NoLocksError(Exception):
    """Open files cannot be locked there, as on some file systems of clusters: then a lock file does it."""


def lock_open(descriptor: int, path: Path, *, wait: bool = True) -> bool:
    """Lock an open file, once nobody else has locked it; closing it, or the end of the process, frees it.

    Returns:
        Whether `path` is still that file: whoever had it may have moved it away meanwhile.

    Raises:
        NoLocksError: use `exclusive`. BlockingIOError: somebody has it, and we do not `wait`. OSError: as the system
            says.
    """
    if flock is None:
        raise NoLocksError
    try:
        flock(descriptor, LOCK_EX if wait else LOCK_EX | LOCK_NB)
    except OSError as error:
        if error.errno == errno.ENOSYS:
            raise NoLocksError from error
        raise
    return is_still(path, os.fstat(descriptor))


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, waiting for whoever has it; the system frees it if we die."""
    from filelock import FileLock  # slow to import, and hardly ever needed

    with local_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
