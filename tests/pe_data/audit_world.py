"""An access log that may be signed, with or without copies in a store, for those who change it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from storage_helpers import at_time, replace

from pe_data.errors import AuditChainError
from pe_data.names.digests import Sha256
from pe_data.store.folder import FolderStore
from pe_data.trust.policy import TrustPolicy
from pe_data_gateway.audit.checkpoints import Checkpoint, to_bytes
from pe_data_gateway.audit.records import Entry, Head, chain, parse_record
from pe_data_gateway.audit.segments import checkpoint_keys, read_checkpoints
from pe_data_gateway.audit.verify import Verdict, verify_log
from pe_data_gateway.audit_log import AuditLog
from pe_data_gateway.audit_recovery import Evidence
from pe_data_gateway.checkpointer import Checkpointer

NOW = datetime.now(UTC)


@dataclass
class World:
    """A log, perhaps with a store that has copies, and a gateway that can be started again and again."""

    root: Path
    policy: TrustPolicy | None
    signer: CryptoSigner
    archived: bool = False

    @property
    def folder(self) -> Path:
        return self.root / "log/audit/uk"

    @property
    def log(self) -> FolderStore:
        return FolderStore(self.root / "log")

    @property
    def archive(self) -> FolderStore | None:
        return FolderStore(self.root / "archive") if self.archived else None

    def evidence(self, signed: bool, **more: object) -> Evidence:
        return Evidence(self.policy, self.archive, signs=signed, **more)  # type: ignore[arg-type]

    def write(self, count: int, *, signed: bool = True, checkpoint: bool = True, **more: object) -> int:
        """Start a gateway, release `count` manifests, stop it; where the chain stands."""
        rotate = int(str(more.pop("rotate_bytes", 10**6)))
        log = AuditLog(self.root / "log", "uk", rotate_bytes=rotate, evidence=self.evidence(signed, **more))
        try:
            for number in range(count):
                artifact = Sha256(f"{number:064x}")
                log.append(Entry("manifest", "uk", f"r{number}", user="ada", artifact=artifact)).result(30)
            if checkpoint:
                signers = [self.signer] if signed else []
                Checkpointer({"uk": log}, signers=signers, archive=self.archive).write_all()
        finally:
            log.close()
        return log.head.seq

    def verdict(self, *, policy: bool = True) -> Verdict:
        archive = self.archive
        copies = read_checkpoints(archive, checkpoint_keys(archive, "uk")) if archive else None
        return at_time(NOW, verify_log, self.log, "uk", policy=self.policy if policy else None, copies=copies)

    def kinds(self) -> set[str]:
        return {problem.kind for problem in self.verdict().problems}

    def lines(self) -> list[bytes]:
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("*.jsonl"))).splitlines(keepends=True)

    def put_lines(self, lines: Sequence[bytes]) -> None:
        (only,) = self.folder.glob("*.jsonl")
        only.write_bytes(b"".join(lines))

    def checkpoint(self, seq: int) -> Path:
        return self.folder / f"{seq:012d}.checkpoint.json"

    def put_checkpoint(self, seq: int, *signers: CryptoSigner) -> None:
        """As of the log that lies there now."""
        record = parse_record(self.lines()[seq - 1][:-1], what="line")
        self.checkpoint(seq).unlink(missing_ok=True)
        self.checkpoint(seq).write_bytes(to_bytes(Checkpoint("uk", Head(seq, record.hash), NOW), signers))

    def rewrite(self, seq: int, user: str = "eve") -> None:
        """All of the log again, with right hashes and another user in one record."""
        head, result = Head(), []
        for line in self.lines():
            record = parse_record(line[:-1], what="line")
            changed = replace(record.entry, user=user) if record.seq == seq else record.entry
            again, new = at_time(record.time, chain, changed, head)
            head = Head(again.seq, again.hash)
            result.append(new)
        self.put_lines(result)

    def goes_on(self, *, signed: bool = True, **more: object) -> bool:
        try:
            self.write(0, signed=signed, checkpoint=False, **more)
        except AuditChainError as error:
            return "Nothing is served" not in str(error)
        return True
