"""What the files that come in one call share: the mode of a file, and one sync of each folder in the end.

A file gets its name after its bytes are durable, as everywhere. So a power cut before the sync of its folder takes its
name away and nothing else.
"""

from pathlib import Path

from pe_data.errors import CacheError
from pe_data.files.atomic import READ_ONLY, local_errors, permitted, sync_folder

_AT_ONCE = 8
"""Folders: the disk makes the names of several durable in the time of one."""


class Batch:
    """Of one call; for any number of threads."""

    def __init__(self) -> None:
        self._mode: int | None = None
        self._folders: set[Path] = set()

    def mode(self, folder: Path) -> int:
        """Of a payload that everybody may read; the folders of digests inherit what decides it."""
        if self._mode is None:
            self._mode = permitted(folder, READ_ONLY)
        return self._mode

    def renamed(self, folder: Path) -> None:
        """A file in it got its name."""
        self._folders.add(folder)

    def sync(self) -> None:
        """Make the names durable. Raises CacheError, of one folder that fails, when all were tried."""
        folders, self._folders = self._folders, set()
        if len(folders) < 2:  # a thread would cost more than it saves
            failed = [_failure(folder) for folder in folders]
        else:
            from concurrent.futures import ThreadPoolExecutor  # slow to import, and a hit in the cache needs none

            with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="pe-data-sync") as pool:
                failed = list(pool.map(_failure, folders))
        for error in failed:
            if error is not None:
                raise error


def _failure(folder: Path) -> CacheError | None:
    """Sync a folder; what went wrong, if anything did."""
    try:
        with local_errors(folder):
            sync_folder(folder)
    except CacheError as error:
        return error
    return None
