"""What was read of files, kept in a process for as long as they are the same files.

A process that stays does one job after the other (docs/warm-jobs.md), and many of them read the same files.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

Identity = tuple[str] | tuple[str, int, int, int, int, int]


def identity(path: Path) -> Identity:
    """Tells a file from any other: one that was written anew has another inode, size or time."""
    try:
        stat = path.stat()
    except OSError:  # reading it says what is wrong
        return (str(path),)
    return str(path), stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def kept(most: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Let a function of paths answer from memory when it is asked for the same files again.

    Args:
        most: answers that are kept; the one that was asked for least recently is let go.
    """

    def decorate(read: Callable[..., T]) -> Callable[..., T]:
        @lru_cache(maxsize=most)
        def answer(files: tuple[Identity, ...]) -> T:
            return read(*(Path(file[0]) for file in files))

        @wraps(read)
        def ask(*paths: Path) -> T:
            return answer(tuple(map(identity, paths)))

        return ask

    return decorate
