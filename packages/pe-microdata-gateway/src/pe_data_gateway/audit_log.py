"""Write one country's audit log: chained, append-only, on the disk before a request is answered.

One thread writes. It takes whatever entries wait, appends them with one write and one fsync, and only
then answers all of them, so that many concurrent requests share the cost of one flush. What it
promises:

* An answer means that the record is on the disk. A record may be there without an answer (the
  process died in between), never the other way round.
* A write that fails part of the way is taken back. A flush that fails, or a file that somebody else
  touched, ends the log until a person has looked: nothing more is answered.
* One process writes a log at a time. The lock goes with the process, however it ends.

How an existing log is taken up again is in `audit_recovery`.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from pe_data.errors import AuditChainError, AuditError
from pe_data.files.atomic import sync_folder
from pe_data.names.keys import audit_prefix, segment_key
from pe_data_gateway.audit.records import Entry, Head, Record, chain
from pe_data_gateway.audit_recovery import Evidence, disk_errors, recover

ROTATE_BYTES = 64 * 1024 * 1024

Answer = Callable[[Record | AuditError], None]
Deliver = Callable[[Callable[[], None]], object]
"""Runs a function that gives many answers at once: in the event loop, for example."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    entry: Entry
    answer: Answer


class AuditLog:
    """The log of one country, open for writing; close it, or kill the process."""

    def __init__(
        self,
        root: Path,
        country: str,
        *,
        rotate_bytes: int = ROTATE_BYTES,
        evidence: Evidence | None = None,
    ) -> None:
        """Take the lock, check that the log is the one that was left, and write the record of the opening.

        Args:
            root: Folder of a store; the log goes to `audit/{country}/` in it.
            country: Whose log it is.
            rotate_bytes: A file this long, in bytes, is followed by a new one.
            evidence: What the log is compared with; by default the checkpoints in its folder, signed or not.

        Raises:
            AuditError: the folder cannot be written, or another process writes this log.
            AuditChainError: the log is not as it was written.
        """
        self.root, self.country = root, country
        self.folder = root / audit_prefix(country)
        self._rotate_bytes = rotate_bytes
        self.deliver: Deliver = _at_once
        """Gives the answers of a flush in one call; by default in the writing thread.

        One call for each (a future) was measured: a quarter fewer requests per second.
        """
        self._waiting: list[_Waiting] = []
        self._change = threading.Condition()
        self._closing = False
        self._broken: str | None = None
        self._file, self._size = -1, 0
        self._lock = self._take_lock()
        try:
            with disk_errors(self.folder, "open"):
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = recover(root, country, evidence or Evidence())
            self._path, self._head = found.path, found.head
            self._open_file()
            self._thread = threading.Thread(target=self._run, name=f"pe-data-audit-{country}", daemon=True)
            self._thread.start()
            self.append(Entry("opened", country, "-", note=found.note)).result()
        except BaseException:
            self.close()
            raise

    # --- what callers use ---------------------------------------------------------------------

    @property
    def head(self) -> Head:
        """Where the chain stands on the disk."""
        return self._head

    @property
    def broken(self) -> str | None:
        """Why nothing more can be written until a person has looked; None if all is well."""
        return self._broken

    def submit(self, entry: Entry, answer: Answer) -> None:
        """Have `entry` written; `answer` gets its record once that is on the disk, or the error."""
        with self._change:
            if not self._closing:
                self._waiting.append(_Waiting(entry, answer))
                self._change.notify()
                return
        answer(AuditError(f"{self.folder}: the audit log is closed"))

    def append(self, entry: Entry) -> "Future[Record]":
        """`submit` for callers without an event loop."""
        future: Future[Record] = Future()

        def answer(result: Record | AuditError) -> None:
            if isinstance(result, AuditError):
                future.set_exception(result)
            else:
                future.set_result(result)

        self.submit(entry, answer)
        return future

    def close(self) -> None:
        """Write what waits, and let the log go."""
        with self._change:
            self._closing = True
            self._change.notify()
        if hasattr(self, "_thread"):
            self._thread.join()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._lock.release()

    # --- the writing thread -------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._closing)
                batch, self._waiting = self._waiting, []
                if not batch:
                    return
            try:
                results: Sequence[Record | AuditError] = self._commit([one.entry for one in batch])
            except AuditError as error:
                results = [error] * len(batch)
            with suppress(RuntimeError):  # the event loop has ended, and with it whoever asked
                self.deliver(partial(_answer, batch, results))

    def _commit(self, entries: Sequence[Entry]) -> list[Record]:
        """Append and flush; all or nothing. Raises AuditError."""
        if self._broken:
            raise AuditChainError(self._broken)
        if self._size >= self._rotate_bytes:
            self._rotate()
        self._check_untouched()
        head, records, lines = self._head, list[Record](), list[bytes]()
        for entry in entries:
            record, line = chain(entry, head)
            head = Head(record.seq, record.hash)
            records.append(record)
            lines.append(line)
        data = b"".join(lines)
        self._write(data)
        try:
            os.fsync(self._file)
        except OSError as error:
            # After a failed flush nobody knows what the disk has, and a second one may lie.
            raise self._end(f"the flush failed ({error.strerror}); look at the disk, then start again") from error
        self._size += len(data)
        self._head = head
        return records

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            try:
                os.ftruncate(self._file, self._size)
                os.fsync(self._file)
            except OSError as second:
                raise self._end(f"a partial write could not be taken back ({second.strerror})") from second
            raise AuditError(
                f"{self._path}: the audit record cannot be written: {error.strerror}; nothing is served. "
                "Free space on that disk"
            ) from error

    def _check_untouched(self) -> None:
        """Check that the file was not replaced or changed since our last write."""
        try:
            ours, named = os.fstat(self._file), self._path.stat()
        except OSError as error:
            raise self._end(f"the file is gone ({error.strerror})") from error
        if (ours.st_dev, ours.st_ino) != (named.st_dev, named.st_ino) or ours.st_size != self._size:
            raise self._end(f"expected {self._size} bytes, found {ours.st_size} or another file of that name")

    def _end(self, reason: str) -> AuditChainError:
        self._broken = (
            f"{self._path}: {reason}. Nothing is served until `pe-data audit verify` was run and the gateway "
            "started again"
        )
        return AuditChainError(self._broken)

    def _rotate(self) -> None:
        """Go on in a new file, whose first record names the last one of this."""
        before = self._file, self._path, self._size
        self._path = self.root / segment_key(self.country, self._head.seq + 1)
        try:
            self._open_file()
        except AuditError:
            self._file, self._path, self._size = before
            raise
        os.close(before[0])

    def _open_file(self) -> None:
        with disk_errors(self.folder, "open"):
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
            self._file = os.open(self._path, flags, 0o600)
            self._size = os.fstat(self._file).st_size
            sync_folder(self.folder)

    def _take_lock(self) -> FileLock:
        path = self.root / ".locks" / f"audit-{self.country}.lock"
        with disk_errors(self.folder, "lock"):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path, timeout=0, thread_local=False)
            try:
                lock.acquire()
            except Timeout as error:
                raise AuditError(
                    f"{self.folder}: another process writes this audit log (lock {path}). One gateway runs per log; "
                    "stop that one first"
                ) from error
        return lock


def _at_once(give: Callable[[], None]) -> None:
    give()


def _answer(batch: Sequence[_Waiting], results: Sequence[Record | AuditError]) -> None:
    for one, result in zip(batch, results, strict=True):
        one.answer(result)
