"""What the files that come in one call share: the mode of a file, and one sync of each folder in the end.

A file gets its name after its bytes are durable, as everywhere. So a power cut before the sync of its folder takes its
name away and nothing else.
"""

from pathlib import Path

from pe_data.errors import CacheError
from pe_data.files.atomic import READ_ONLY, local_errors, permitted, sync_folder


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
        """Make the names durable. Raises CacheError, of the first folder that fails, when all were tried."""
        failed: list[CacheError] = []
        while self._folders:
            folder = self._folders.pop()
            try:
                with local_errors(folder):
                    sync_folder(folder)
            except CacheError as error:
                failed.append(error)
        if failed:
            raise failed[0]
