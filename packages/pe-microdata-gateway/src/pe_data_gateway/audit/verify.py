"""Verify an audit log: the chain from the first record, and every checkpoint.

What is found is told by kind, so that a person knows what to look for:

    edited      a line does not fit its own hash, or is no record
    dropped     records are missing between two others
    reordered   a record stands behind a later one, or in a file of another name
    rewritten   a record fits its own hash, but not the chain or a checkpoint
    truncated   the log ends before a record that a checkpoint has seen
    forged      a checkpoint that nobody made as it is, or records that contradict a signed one

Where the trust root has a role `audit-{country}`, a checkpoint that it signed binds: whoever cannot
sign can neither contradict it nor put an unsigned one after it. Checkpoints from before the first
signed one are reported as unsigned. Those by keys that the role does not have any more, or not yet
then, are no fault if they say what the log says and a signed one comes after them.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pe_data.errors import AuditError, InvalidDocumentError, PeDataError
from pe_data.names.digests import Sha256
from pe_data.names.keys import audit_prefix
from pe_data.store.base import Store
from pe_data_gateway.audit.checkpoints import Found, Raw, binding, read
from pe_data_gateway.audit.records import Head, Record, parse_record
from pe_data_gateway.audit.segments import Line, checkpoint_keys, lines, read_checkpoints, segment_keys

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
    """Checkpoints that nobody's signature stands behind: unsigned ones, by keys without the role, or no trust root
    with that role to check with."""
    covered: int
    """The last record that a checkpoint covers."""
    covered_signed: int
    """The last record that a checkpoint with a checked signature covers."""
    binding: bool
    """Whether there was a trust root with a role that signs checkpoints."""
    torn: bool
    """The last line has no newline: the gateway was killed, or is writing it just now. No damage."""
    problems: tuple[Problem, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def is_signed(self, lag: int = 0) -> bool:
        """Whether a signed checkpoint stands at the end of the log, or at most `lag` records before it."""
        return self.covered_signed > 0 and 0 <= self.head.seq - self.covered_signed <= lag


def verify_log(
    store: Store,
    country: str,
    *,
    policy: "TrustPolicy | None" = None,
    copies: Mapping[str, Raw] | None = None,
    kept: Mapping[str, bytes] | None = None,
) -> Verdict:
    """Check the whole log of `country`.

    Args:
        store: Where `audit/{country}/` is.
        policy: Whose signatures count on checkpoints; None checks what they say, not who says it.
        copies: Checkpoints that the gateway copied to another store, by place; the log has to agree with them too.
        kept: Further checkpoints that were kept elsewhere, by name.

    Raises:
        AuditError: there is neither a log nor a checkpoint, or it cannot be read.
        ExpiredError: the role that signs checkpoints is past its date.
    """
    bound = binding(policy, country, what=f"{store.url}: {audit_prefix(country)}")
    files = segment_keys(store, country)
    keys = checkpoint_keys(store, country)
    if not files and not keys and not kept:
        raise AuditError(
            f"{store.url}: expected an audit log under {audit_prefix(country)}, found none. Name the folder that "
            "the gateway writes to (--log)"
        )
    documents: dict[str, Raw] = {**read_checkpoints(store, keys), **(copies or {}), **(kept or {})}
    checkpoints, damaged = _read(documents, country, bound)
    walk = Walk(country, {one.checkpoint.head.seq for one in checkpoints})
    walk.follow(lines(store, files))
    good, forged = _judge(checkpoints, walk, bound is not None)
    signed = [one for one in good if one.binds]
    return Verdict(
        country=country,
        records=walk.count,
        files=len(files),
        head=walk.head,
        signed=len(signed),
        unsigned=len(good) - len(signed),
        covered=max((one.checkpoint.head.seq for one in good), default=0),
        covered_signed=max((one.checkpoint.head.seq for one in signed), default=0),
        binding=bound is not None,
        torn=walk.torn,
        problems=(*walk.problems, *compare(good, walk), *forged, *damaged),
    )


def _read(
    documents: Mapping[str, Raw], country: str, policy: "TrustPolicy | None"
) -> tuple[list[Found], list[Problem]]:
    """The checkpoints in order of their records, and the documents that are none."""
    found: list[Found] = []
    problems: list[Problem] = []
    for where, raw in documents.items():
        try:
            found.append(read(where, raw, country, policy))
        except PeDataError as error:
            problems.append(Problem("forged", where, str(error).removeprefix(f"{where}: ")))
    return sorted(found, key=lambda one: (one.checkpoint.head.seq, one.where)), problems


def _judge(checkpoints: Sequence[Found], walk: "Walk", bound: bool) -> tuple[list[Found], list[Problem]]:
    """Those that somebody may have made, and those that nobody who may has made, by the signed ones among them."""
    binds = [one.checkpoint.head.seq for one in checkpoints if one.binds]
    good: list[Found] = []
    problems: list[Problem] = []
    for one in checkpoints:
        head = one.checkpoint.head
        if one.stranger and not (binds and head.seq < binds[-1] and walk.seen.get(head.seq) == head.hash):
            problems.append(Problem("forged", one.where, one.stranger.removeprefix(f"{one.where}: ")))
        elif bound and not one.marked and binds and head.seq >= binds[0]:
            text = f"expected a signed checkpoint, as all are since record {binds[0]}, found an unsigned one"
            problems.append(Problem("forged", one.where, text))
        else:
            good.append(one)
    return good, problems


@dataclass(slots=True)
class Walk:
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
    lost: bool = False
    """The hash of the record before is not known."""

    def follow(self, log: Iterable[Line]) -> None:
        """Go along some more lines."""
        for line in log:
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
                self.head, self.lost = Head(self.head.seq + 1), True
                continue
            if line.first is not None and line.first != record.seq:
                text = f"expected record {line.first}, as the file's name says, found record {record.seq}"
                self.problems.append(Problem("reordered", line.where, text))
            self.step(record, line.where)

    def step(self, record: Record, where: str) -> None:
        """One record further."""
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
            moved = self._is_missing(record.seq)
            text = f"expected record {expected}, found record {record.seq}" + (
                ", which is missing at its place" if moved else " a second time"
            )
            self.problems.append(Problem("reordered", where, text))
            return
        elif not self.lost and record.prev != self.head.hash:
            text = f"record {record.seq}: expected it to follow {self.head.hash}, found {record.prev}"
            self.problems.append(Problem("rewritten", where, text))
        self.head, self.lost = Head(record.seq, record.hash), False
        if record.seq in self.wanted:
            self.seen[record.seq] = record.hash

    def _is_missing(self, seq: int) -> bool:
        """Whether a record was passed over before; gaps are in ascending order."""
        at = bisect_right(self._gaps, seq, key=lambda gap: gap.start) - 1
        return at >= 0 and seq in self._gaps[at]


def compare(checkpoints: Iterable[Found], walk: Walk) -> Iterator[Problem]:
    """Where the log is not what checkpoints say."""
    for one in checkpoints:
        seq, expected = one.checkpoint.head.seq, one.checkpoint.head.hash
        found = walk.seen.get(seq)
        if found is None and seq > walk.head.seq:
            when = f"{one.checkpoint.time:%Y-%m-%d %H:%M:%S} UTC"
            text = f"expected {seq} records, as it says of {when}, found {walk.head.seq}"
            yield Problem("truncated", one.where, text)
        elif found is not None and found != expected:
            text = f"record {seq}: expected {expected}, found {found}: records up to it were written again"
            yield Problem("forged" if one.binds else "rewritten", one.where, text)
