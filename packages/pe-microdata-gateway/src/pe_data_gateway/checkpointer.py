"""Write checkpoints while the gateway runs: after so many records or seconds, and at the end.

They are made in a thread of their own, because a signature can take long (a key in the cloud). One
that cannot be made is told to the operator and tried again; records go on, since each is on the disk
by itself. If the log does not lie in the store already, checkpoints and finished files are copied there.
"""

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from pe_data.errors import AuditError, ObjectExistsError, PeDataError
from pe_data.names import times
from pe_data.names.digests import sha256_file
from pe_data.names.keys import audit_prefix, checkpoint_key
from pe_data.store.base import LocalFile, Store
from pe_data.store.folder import FolderStore
from pe_data_gateway.audit.checkpoints import Checkpoint, binding, to_bytes
from pe_data_gateway.audit_log import AuditLog
from pe_data_gateway.logs import LOGGER
from pe_data_gateway.settings import EVERY_RECORDS, EVERY_SECONDS

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

    from pe_data.trust.policy import TrustPolicy


def check_signers(policy: "TrustPolicy | None", country: str, signers: "Sequence[Signer]") -> None:
    """Raise AuditError unless checkpoints by these signers count for the role `audit-{country}`, if there is one.

    Raises:
        ExpiredError: the role is past its date.
    """
    what = f"checkpoints of {country}"
    bound = binding(policy, country, what=what)
    if bound is None:
        return
    from pe_data.trust.policy import Role, public_bytes

    role = Role("audit", country)
    if not signers:
        LOGGER.warning("%s: the trust root has a role %r, and no --signer is named: unsigned", what, role.name)
        return
    authority = bound.authority(role, what=what)
    ids = {signer.public_key.keyid for signer in signers}
    held = {public_bytes(authority.keys[one]) for one in ids if one in authority.keys}
    if len(held) < authority.threshold:
        raise AuditError(
            f"{what}: expected {authority.threshold} key(s) of role {role.name} of trust root version {bound.version}, "
            f"found {len(held)} among {', '.join(sorted(ids))}: what they sign would count as forged. Name other keys "
            "(--signer), or give them the role with `pe-data root rotate`"
        )


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
    ) -> None:
        """Args:
        signers: Whose signatures every checkpoint gets; none makes unsigned ones.
        archive: A store to copy checkpoints and finished files to.
        """
        self._logs, self._signers, self._archive = logs, signers, archive
        self._records, self._seconds = every_records, every_seconds
        self._done = dict.fromkeys(logs, 0)
        self._copied: set[str] = set()
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
            if log.head.seq > self._done[country]:
                self._write(country, log)

    def _run(self) -> None:
        self.write_all()  # what a killed gateway left uncovered is not left so
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
        try:
            raw = to_bytes(Checkpoint(country, head, times.now()), self._signers)
            self._put(FolderStore(log.root), checkpoint_key(country, head.seq), raw)
            self._done[country] = head.seq
            self._copy(country, log)
        except PeDataError as error:
            LOGGER.error("no checkpoint of %r after record %r: %r", country, head.seq, str(error))

    @staticmethod
    def _put(store: FolderStore, key: str, raw: bytes) -> None:
        """Create a checkpoint; one that is there already was not made here, since a log has each head once."""
        try:
            store.put_create(key, raw)
        except ObjectExistsError:
            LOGGER.error("somebody else made the checkpoint %r in %r: run pe-data audit verify", key, store.url)

    def _copy(self, country: str, log: AuditLog) -> None:
        """Bring what is finished to the archive, where it is created once and never changed."""
        if self._archive is None:
            return
        finished = [*sorted(log.folder.glob("*.jsonl"))[:-1], *log.folder.glob("*.checkpoint.json")]
        for path in finished:
            key = f"{audit_prefix(country)}{path.name}"
            if key not in self._copied:
                if not self._archive.exists(key):
                    with suppress(ObjectExistsError):
                        self._archive.put_create(key, LocalFile(path, sha256_file(path)))
                self._copied.add(key)
