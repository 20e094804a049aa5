"""A partly downloaded file: appended to as bytes arrive, hashed on the way.

Nothing but its bytes says how far it came: a download that was killed goes on at the end of the file. If what
is there turns out wrong, the digest says so, and it is begun anew.
"""

import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

from pe_data.files.atomic import PLAIN, in_folder, local_errors, open_own, write_all
from pe_data.files.locks import lock_open
from pe_data.names.digests import CHUNK_BYTES, Sha256

INLINE_BYTES = 4 * 1024 * 1024
"""So much of a file is hashed at once: for a small one, a thread would cost more than it saves."""


class Part(AbstractContextManager["Part"]):
    """One such file; for one process and one thread at a time."""

    def __init__(self, path: Path, mode: int = PLAIN, *, most: int | None = None, lock: bool = False) -> None:
        """Open or create.

        Args:
            path: The file; its folder is made.
            mode: Of a new file, before the umask.
            most: A file with more bytes than this is begun anew.
            lock: Lock it, waiting for whoever holds the lock.

        Raises:
            NoLocksError: it cannot be locked.
        """
        self.path = path
        self.size = 0
        """Bytes that are there."""
        self.whole = False
        """Whether it was found right; an empty file that was not is removed in the end."""
        self._worker: ThreadPoolExecutor | None = None
        self._hashing: Future[None] | None = None
        with local_errors(path):
            self._file = _open(path, mode, lock)
            try:
                self._hash = hashlib.sha256()
                self.left = os.fstat(self._file).st_size
                """Bytes that an earlier download left."""
                if most is not None and self.left > most:
                    os.ftruncate(self._file, 0)
                while self.left and (piece := os.read(self._file, CHUNK_BYTES)):
                    self._hash.update(piece)
                    self.size += len(piece)
            except BaseException:  # an interruption, too: the lock lasts as long as the file is open
                os.close(self._file)
                raise

    def append(self, data: memoryview) -> None:
        """Write `data` and hash it, the latter perhaps until the next call: `data` must not change before."""
        with local_errors(self.path):
            write_all(self._file, data)
        self.size += len(data)
        self.wait()  # what came before is hashed while this is written
        if self.size <= INLINE_BYTES:
            self._hash.update(data)
        else:
            self._worker = self._worker or ThreadPoolExecutor(1, thread_name_prefix="pe-data-hash")
            self._hashing = self._worker.submit(self._hash.update, data)

    def digest(self) -> Sha256:
        """Sha256 of what is there."""
        self.wait()
        return Sha256(self._hash.hexdigest())

    def sync(self) -> None:
        """Make the bytes durable."""
        with local_errors(self.path):
            os.fsync(self._file)

    def clear(self) -> None:
        """Begin anew."""
        self.wait()
        with local_errors(self.path):
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
        self._hash, self.size = hashlib.sha256(), 0

    def wait(self) -> None:
        """Until all that was appended is hashed, and its buffers may change."""
        hashing, self._hashing = self._hashing, None
        if hashing is not None:
            hashing.result()

    def __exit__(self, *_: object) -> None:
        if self._worker is not None:
            self._worker.shutdown()
        try:
            if not self.whole and not self.size:
                with local_errors(self.path):
                    self.path.unlink(missing_ok=True)
        finally:
            os.close(self._file)  # which frees it for whoever waits


def _open(path: Path, mode: int, lock: bool) -> int:
    while True:
        found = in_folder(path, lambda: open_own(path, mode))
        try:
            if not lock or lock_open(found, path):
                return found
        except BaseException:
            os.close(found)
            raise
        os.close(found)  # whoever had it completed it, or gave it up
