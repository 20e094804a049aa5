"""Is the log the one that was written? The chain from the first record, and every checkpoint.

What is found is told by kind, so that a person knows what to look for:

    edited      a line does not fit its own hash, or is no record
    dropped     records are missing between two others
    reordered   a record stands behind a later one
    rewritten   a record fits its own hash, but not the chain or a checkpoint
    truncated   the log ends before a record that a checkpoint has seen
    forged      a checkpoint that was not signed by whom it takes, or cannot be read
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pe_data.audit.checkpoints import CHECKPOINT_LIMIT, Checkpoint, is_signed, read_signed, read_unchecked
from pe_data.audit.records import Head, Record, parse_record
from pe_data.audit.segments import checkpoint_keys, lines, segment_keys
from pe_data.digests import Sha256
from pe_data.errors import AuditError, InvalidDocumentError, PeDataError
from pe_data.layout import audit_prefix
from pe_data.store.base import Store

if TYPE_CHECKING:
    from pe_data.trust.policy import TrustPolicy

Kind = Literal["edited", "dropped", "reordered", "rewritten", "truncated", "forged"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    kind: Kind
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found."""

    country: str
    records: int
    files: int
    head: Head
    """Of the last good record."""
    signed: int
    """Checkpoints whose signatures were checked."""
    unsigned: int
    """Checkpoints that nobody's signature stands behind: unsigned ones, or no trust root to check with."""
    covered: int
    """The last record that a checkpoint covers."""
    torn: bool
    """The last line has no newline: the gateway was killed, or is writing it just now. No damage."""
    problems: tuple[Problem, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify_log(
    store: Store,
    country: str,
    *,
    policy: "TrustPolicy | None" = None,
    kept: Mapping[str, bytes] | None = None,
    now: datetime,
) -> Verdict:
    """Check the whole log of `country`.

    Args:
        store: Where `audit/{country}/` is.
        policy: Whose signatures count on checkpoints; None checks what they say, not who says it.
        kept: Further checkpoints that were kept elsewhere, by name.
        now: UTC; for the dates in the trust root.

    Raises:
        AuditError: there is neither a log nor a checkpoint, or it cannot be read.
    """
    files = segment_keys(store, country)
    keys = checkpoint_keys(store, country)
    if not files and not keys and not kept:
        raise AuditError(f"{store.url}: expected an audit log under {audit_prefix(country)}, found none")
    documents = {key: store.get(key, max_bytes=CHECKPOINT_LIMIT).data for key in keys} | dict(kept or {})
    checkpoints, problems, signed = _read_checkpoints(documents, country, policy, now)
    walk = _Walk(country, {one.head.seq for one in checkpoints.values()})
    walk.all(store)
    return Verdict(
        country=country,
        records=walk.count,
        files=len(files),
        head=walk.head,
        signed=signed,
        unsigned=len(checkpoints) - signed,
        covered=max((one.head.seq for one in checkpoints.values()), default=0),
        torn=walk.torn,
        problems=(*walk.problems, *_compare(checkpoints, walk), *problems),
    )


def _read_checkpoints(
    documents: Mapping[str, bytes], country: str, policy: "TrustPolicy | None", now: datetime
) -> tuple[dict[str, Checkpoint], list[Problem], int]:
    """Checkpoints by name, what is wrong with others, and how many signatures were checked."""
    good: dict[str, Checkpoint] = {}
    problems: list[Problem] = []
    signed = 0
    for name, raw in documents.items():
        try:
            if policy is not None and is_signed(raw, what=name):
                good[name] = read_signed(raw, country, policy, what=name, now=now)
                signed += 1
            else:
                good[name] = read_unchecked(raw, country, what=name)
        except PeDataError as error:
            problems.append(Problem("forged", name, str(error)))
    return good, problems, signed


@dataclass(slots=True)
class _Walk:
    """One pass over the log; goes on behind what is wrong, to name all of it."""

    country: str
    wanted: set[int]
    """Records whose hash a checkpoint names."""
    head: Head = field(default_factory=Head)
    count: int = 0
    torn: bool = False
    problems: list[Problem] = field(default_factory=list)
    seen: dict[int, Sha256] = field(default_factory=dict)
    _gaps: list[range] = field(default_factory=list)
    _lost: bool = False
    """The hash of the record before is not known."""

    def all(self, store: Store) -> None:
        for line in lines(store, self.country):
            if self.torn:  # it was the end of a file, but not of the log
                self.problems.append(Problem("edited", line.where, "the line before has no newline"))
            self.torn = not line.whole
            if not line.whole:
                continue
            try:
                record = parse_record(line.data, what=line.where)
            except InvalidDocumentError as error:
                self.problems.append(Problem("edited", line.where, str(error).removeprefix(f"{line.where}: ")))
                # What it was cannot be known; the next record is judged by its number alone.
                self.head, self._lost = Head(self.head.seq + 1), True
                continue
            self._step(record, line.where)

    def _step(self, record: Record, where: str) -> None:
        self.count += 1
        expected = self.head.seq + 1
        if record.entry.country != self.country:
            text = f"expected a record of {self.country}, found one of {record.entry.country}"
            self.problems.append(Problem("rewritten", where, text))
        if record.seq > expected:
            self._gaps.append(range(expected, record.seq))
            text = f"expected record {expected}, found record {record.seq}: {record.seq - expected} missing"
            self.problems.append(Problem("dropped", where, text))
        elif record.seq < expected:
            moved = any(record.seq in gap for gap in self._gaps)
            text = f"expected record {expected}, found record {record.seq}" + (
                ", which is missing at its place" if moved else " a second time"
            )
            self.problems.append(Problem("reordered", where, text))
            return
        elif not self._lost and record.prev != self.head.hash:
            text = f"record {record.seq}: expected it to follow {self.head.hash}, found {record.prev}"
            self.problems.append(Problem("rewritten", where, text))
        self.head, self._lost = Head(record.seq, record.hash), False
        if record.seq in self.wanted:
            self.seen[record.seq] = record.hash


def _compare(checkpoints: Mapping[str, Checkpoint], walk: _Walk) -> Iterable[Problem]:
    for name, one in sorted(checkpoints.items()):
        seq, expected = one.head.seq, one.head.hash
        found = walk.seen.get(seq)
        if found is None and seq > walk.head.seq:
            text = f"expected {seq} records, as it says of {one.time:%Y-%m-%d %H:%M:%S} UTC, found {walk.head.seq}"
            yield Problem("truncated", name, text)
        elif found is not None and found != expected:
            text = f"record {seq}: expected {expected}, found {found}: records up to it were written again"
            yield Problem("rewritten", name, text)
