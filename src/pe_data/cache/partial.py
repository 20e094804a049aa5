"""A download that is under way: its bytes, which parts are there, and their running hash.

The bytes are written to `….part` by one or more threads; one byte per part in `….parts` says that
the part is complete. A killed download goes on with the parts that it has. The hash is computed by
one thread that follows the unbroken prefix of complete parts and reads what was written back from
the file. A complete part is never written again, whoever sends it once more: otherwise the hash
could cover right bytes that wrong ones replace afterwards.
"""

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from pe_data.errors import CacheError
from pe_data.files.atomic import PLAIN, local_errors, open_own

PART_BYTES = 1024 * 1024
"""What a killed download loses at most per connection."""
_BUFFER_BYTES = 512 * 1024
"""Small enough to stay in the processor's cache."""


class Partial:
    """One partial file; use as a context manager, by one process at a time (it is locked)."""

    def __init__(self, path: Path, size: int, mode: int = PLAIN) -> None:
        """Open or create; `size` (bytes) is that of the whole, `mode` that of new files before the umask."""
        self.path, self.size = path, size
        self._parts_path = path.with_suffix(".parts")
        with local_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open_own(path, mode)
            self._parts = open_own(self._parts_path, mode)
            self._done = self._known_parts()
        self._lock = threading.Lock()
        self._unbroken = 0
        self._hasher = _PrefixHasher(self._file)
        self._hasher.advance(self.prefix)

    def _known_parts(self) -> set[int]:
        """Parts that are marked and that the file is long enough for."""
        marks = os.pread(self._parts, self.count, 0)
        length = os.fstat(self._file).st_size
        return {part for part, mark in enumerate(marks) if mark == 1 and self.part_end(part) <= length <= self.size}

    def __enter__(self) -> "Partial":
        return self

    def __exit__(self, *_: object) -> None:
        self._hasher.stop()
        os.close(self._file)
        os.close(self._parts)

    @property
    def resumed(self) -> bool:
        """Whether there are parts already."""
        return bool(self._done)

    @property
    def count(self) -> int:
        """Number of parts of the whole."""
        return -(-self.size // PART_BYTES)

    def part_end(self, part: int) -> int:
        """Offset after the last byte of `part`."""
        return min((part + 1) * PART_BYTES, self.size)

    @property
    def prefix(self) -> int:
        """Bytes from the beginning that are complete, in whole parts."""
        part = self._unbroken
        while part in self._done:
            part += 1
        self._unbroken = part
        return self.part_end(part - 1) if part else 0

    @property
    def remaining(self) -> int:
        """Bytes that are not there yet."""
        there = len(self._done) * PART_BYTES
        if self.count - 1 in self._done:
            there -= self.count * PART_BYTES - self.size
        return self.size - there

    def missing(self, longest: int) -> list[tuple[int, int]]:
        """Spans (start, end) that are not there, in order, each of at most `longest` parts."""
        return list(self.spans(longest))

    def spans(self, longest: int) -> Iterator[tuple[int, int]]:
        """As `missing`, made one by one: what a size costs in memory is not for a server to say."""
        done, part = frozenset(self._done), 0
        while part < self.count:
            if part in done:
                part += 1
                continue
            first = part
            while part < self.count and part - first < longest and part not in done:
                part += 1
            yield first * PART_BYTES, self.part_end(part - 1)

    def write(self, data: memoryview, offset: int) -> None:
        """Write `data` at `offset`, within one part; nothing happens if that part is complete."""
        if offset // PART_BYTES in self._done:
            return
        with local_errors(self.path):
            while data:
                count = os.pwrite(self._file, data, offset)
                data, offset = data[count:], offset + count

    def complete(self, part: int) -> None:
        """Mark `part` as there; from now on it stays as it is."""
        with self._lock, local_errors(self.path):
            os.pwrite(self._parts, b"\1", part)
            self._done.add(part)
            self._hasher.advance(self.prefix)

    def digest(self, size: int) -> str:
        """Sha256 of the whole file, which is `size` bytes long; waits for the hash to finish."""
        self._hasher.advance(size)
        return self._hasher.finish(size)

    def sync(self) -> None:
        """Make the bytes durable."""
        with local_errors(self.path):
            os.fsync(self._file)

    def clear(self) -> None:
        """Forget everything that was received and start over."""
        self._hasher.stop()
        with local_errors(self.path):
            os.ftruncate(self._parts, 0)
            os.ftruncate(self._file, 0)
        self._done.clear()
        self._unbroken = 0
        self._hasher = _PrefixHasher(self._file)

    def discard(self) -> None:
        """Remove the files; the object is of no use afterwards."""
        with local_errors(self.path):
            self.path.unlink(missing_ok=True)
            self._parts_path.unlink(missing_ok=True)

    def forget_parts(self) -> None:
        """Remove the list of parts, after the file itself was moved away."""
        with local_errors(self.path):
            self._parts_path.unlink(missing_ok=True)


class _PrefixHasher:
    """A thread that hashes a growing file up to the mark that it is told."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._position = self._mark = 0
        self._stopped = False
        self._error: OSError | None = None
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="pe-data-hash", daemon=True)
        self._thread.start()

    def advance(self, mark: int) -> None:
        with self._change:
            if mark > self._mark:
                self._mark = mark
                self._change.notify_all()

    def finish(self, size: int) -> str:
        with self._change:
            self._change.wait_for(lambda: self._position >= size or self._error is not None)
        self.stop()
        if self._error is not None:
            raise CacheError(f"cache: cannot read back what was written: {self._error}")
        return self._hash.hexdigest()

    def stop(self) -> None:
        with self._change:
            self._stopped = True
            self._change.notify_all()
        self._thread.join()

    def _run(self) -> None:
        buffer = memoryview(bytearray(_BUFFER_BYTES))
        while True:
            with self._change:
                self._change.wait_for(lambda: self._stopped or self._mark > self._position)
                if self._stopped:
                    return
                mark = self._mark
            while self._position < mark and not self._stopped:
                want = min(len(buffer), mark - self._position)
                try:
                    count = os.preadv(self._file, [buffer[:want]], self._position)
                    if count == 0:
                        raise OSError(f"the file ends at {self._position}, expected {mark}")
                except OSError as error:
                    with self._change:
                        self._error = error
                        self._change.notify_all()
                    return
                self._hash.update(buffer[:count])
                with self._change:
                    self._position += count
                    self._change.notify_all()
