"""Write small files atomically, with the right permissions.

What is written here follows the umask, so that a folder which several people share stays readable to
those whom its owner lets in. Payloads of gated countries do not (`pe_data.files.private.Circle`).
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pe_data.errors import CacheError

READ_ONLY, PLAIN, SECRET = 0o444, 0o666, 0o600
"""Modes before the umask takes its part."""
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
_NO_PERMISSION = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NO_SPACE = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})


def write_atomic(path: Path, data: bytes, *, sync: bool = True, mode: int = PLAIN) -> None:
    """`replace_file` for what belongs to the cache. Raises CacheError."""
    with local_errors(path):
        replace_file(path, data, sync=sync, mode=mode)


def replace_file(path: Path, data: bytes, *, sync: bool = True, mode: int = PLAIN) -> None:
    """Write `data` under a temporary name beside `path`, sync it, rename it; its folder is made. Raises OSError.

    Args:
        sync: False where a power cut may leave anything, because whoever reads the file notices and asks again.
        mode: Of the file, from which the umask takes its part.
    """
    temporary = beside(path)
    descriptor = in_folder(temporary, lambda: os.open(temporary, NEW, mode))
    try:
        try:
            write_all(descriptor, memoryview(data))
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def in_folder(path: Path, opened: Callable[[], int]) -> int:
    """What `opened` gives; only where that fails for it, the folder of `path` is made."""
    try:
        return opened()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return opened()


def write_all(descriptor: int, data: memoryview) -> None:
    """Write all of `data`, however much of it the system takes at a time."""
    done = 0
    while done < len(data):
        done += os.write(descriptor, data[done:])


def permitted(folder: Path, mode: int) -> int:
    """What the umask (or the default access list of `folder`) leaves of `mode` for a new file there.

    Asking the system for the umask sets it for all threads at once, so a file is made and looked at.
    """
    probe = beside(folder / "mode")
    descriptor = os.open(probe, NEW, mode)
    try:
        return os.fstat(descriptor).st_mode & mode
    finally:
        os.close(descriptor)
        probe.unlink(missing_ok=True)


def readable(path: Path) -> bool:
    """Whether this user may read the file; raises no error."""
    try:
        os.close(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)))
    except OSError:
        return False
    return True


def open_own(path: Path, mode: int) -> int:
    """Open or make a plain file that is nowhere else: no link that somebody put there is followed or written to."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
    careful = flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    while True:
        try:
            found = os.open(path, careful, mode)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENXIO):
                raise
        else:
            about = os.fstat(found)
            if stat.S_ISREG(about.st_mode) and about.st_nlink == 1:
                return found
            os.close(found)
            if not is_still(path, about):
                continue  # its owner has moved or removed it since; what is there now is somebody else's
        path.unlink(missing_ok=True)
        try:
            return os.open(path, careful | os.O_EXCL, mode)
        except FileExistsError:
            continue


def is_still(path: Path, about: os.stat_result) -> bool:
    """Whether `path` is the file that was opened, and no other that has its name now."""
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (about.st_dev, about.st_ino)


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable; does nothing where folders cannot be opened."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def local_errors(path: Path) -> Iterator[None]:
    """Turn trouble with the local disk into CacheError, which no other mirror can help with."""
    try:
        yield
    except OSError as error:
        what = error.strerror or str(error)
        raise CacheError(f"cache {path}: {what}. {_advice(error.errno)} with PE_DATA_CACHE") from error


def _advice(number: int | None) -> str:
    if number in _NO_PERMISSION:
        return "You have no permission to write or read there: have its owner give it, or choose another folder"
    if number in _NO_SPACE:
        return "Free some space or choose another folder"
    return "Look at that disk, or choose another folder"


def beside(path: Path) -> Path:
    """A name that nobody else takes, in the folder of `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(6).hex()}")
