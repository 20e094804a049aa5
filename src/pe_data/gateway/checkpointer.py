"""Checkpoints while the gateway runs: after so many records, or so many seconds, and at the end.

They are made in a thread of their own, because a signature can take long (a key in the cloud). One
that cannot be made is told to the operator and tried again; records go on, since each is on the disk
by itself. If the log does not lie in the store already, checkpoints and finished files are copied there.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pe_data.audit.checkpoints import Checkpoint, to_bytes
from pe_data.digests import sha256_file
from pe_data.errors import ObjectExistsError, PeDataError
from pe_data.gateway.audit_log import AuditLog
from pe_data.gateway.logs import LOGGER
from pe_data.layout import audit_prefix, checkpoint_key
from pe_data.store.base import Store
from pe_data.store.folder import FolderStore

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

EVERY_RECORDS = 1000
EVERY_SECONDS = 300.0


class Checkpointer:
    """Watches the heads of some logs."""

    def __init__(
        self,
        logs: Mapping[str, AuditLog],
        *,
        signers: "Sequence[Signer]" = (),
        every_records: int = EVERY_RECORDS,
        every_seconds: float = EVERY_SECONDS,
        archive: Store | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Args:
        signers: Whose signatures every checkpoint gets; none makes unsigned ones.
        archive: A store to copy checkpoints and finished files to.
        """
        self._logs, self._signers, self._archive, self._clock = logs, signers, archive, clock
        self._records, self._seconds = every_records, every_seconds
        self._done = {country: log.head.seq for country, log in logs.items()}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pe-data-checkpoints", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Write the last checkpoints and end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.write_all()

    def write_all(self) -> None:
        """A checkpoint of every log that has moved since its last one."""
        for country, log in self._logs.items():
            if log.head.seq > self._done[country] or not self._has_any(log):
                self._write(country, log)

    def _run(self) -> None:
        waited = 0.0
        pause = min(1.0, self._seconds)
        while not self._stop.wait(pause):
            waited += pause
            if waited >= self._seconds:
                waited = 0.0
                self.write_all()
                continue
            for country, log in self._logs.items():
                if log.head.seq - self._done[country] >= self._records:
                    self._write(country, log)

    def _write(self, country: str, log: AuditLog) -> None:
        head = log.head
        name = Path(checkpoint_key(country, head.seq)).name
        try:
            raw = to_bytes(Checkpoint(country, head, self._clock()), self._signers)
            with suppress(ObjectExistsError):
                FolderStore(log.root).put_create(f"{audit_prefix(country)}{name}", raw)
            self._done[country] = head.seq
            self._copy(country, log)
        except PeDataError as error:
            LOGGER.error("no checkpoint of %s after record %s: %s", country, head.seq, error)

    def _copy(self, country: str, log: AuditLog) -> None:
        """Bring what is finished to the archive, where it is created once and never changed."""
        if self._archive is None:
            return
        finished = [*sorted(log.folder.glob("*.jsonl"))[:-1], *log.folder.glob("*.checkpoint.json")]
        for path in finished:
            key = f"{audit_prefix(country)}{path.name}"
            if not self._archive.exists(key):
                with suppress(ObjectExistsError):
                    self._archive.put_create_file(key, path, sha256_file(path))

    @staticmethod
    def _has_any(log: AuditLog) -> bool:
        return any(log.folder.glob("*.checkpoint.json"))
