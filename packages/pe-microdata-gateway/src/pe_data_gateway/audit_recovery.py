"""Continue an audit log after a restart or a crash, if it is the log that was left.

What the log is compared with are checkpoints: the last one in its folder, the last one that was copied
to the store, and those that the operator hands in. Where the trust root has a role `audit-{country}`,
the last *signed* one counts, and none that is unsigned may come after it. From the file that has the
record of the earliest of them on, the chain is followed to its end: it has to go through each of them,
by number and hash. So nothing that a checkpoint covers can be changed and then signed again.

A last line without its newline was never flushed whole, hence never answered: it is set aside in a file of its
own, and mentioned in the record of the next opening. If all but the newline is there and it follows in
the chain, the newline is put back instead.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pe_data.errors import (
    AuditChainError,
    AuditError,
    ExpiredError,
    InvalidDocumentError,
    PeDataError,
    SignatureError,
)
from pe_data.files.atomic import sync_folder
from pe_data.names.digests import sha256_bytes
from pe_data.names.keys import audit_prefix, segment_key
from pe_data.store.base import Store
from pe_data.store.folder import FolderStore
from pe_data_gateway.audit.checkpoints import Found, binding, read
from pe_data_gateway.audit.records import Head, Record, parse_record
from pe_data_gateway.audit.segments import checkpoint_keys, first_of, lines, read_checkpoints, segment_keys
from pe_data_gateway.audit.verify import Problem, Walk, compare

if TYPE_CHECKING:
    from pe_data.trust.policy import TrustPolicy

_READ_AT_ONCE = 64
_STOP = "Nothing is served; run `pe-data audit verify`"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a log is compared with before it is continued."""

    policy: "TrustPolicy | None" = None
    """Whose signatures count on checkpoints."""
    archive: Store | None = None
    """Another store that checkpoints and finished files were copied to."""
    kept: Mapping[str, bytes] = field(default_factory=dict)
    """Checkpoints that the operator hands in, by name, and vouches for."""
    new: bool = False
    """Go on after what the archive has, in an empty folder."""
    signs: bool | None = None
    """Whether the gateway will sign checkpoints; None if that is not for this run to say."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """Where a log goes on."""

    path: Path
    """The file to append to."""
    head: Head
    note: str
    """What has to be said about it."""


@contextmanager
def disk_errors(folder: Path, doing: str) -> Iterator[None]:
    """Trouble with the disk while the log in `folder` is opened, as AuditError."""
    try:
        yield
    except OSError as error:
        raise AuditError(
            f"{folder}: cannot {doing} the audit log: {error.strerror or error}; nothing is served "
            "without it. Give the gateway a folder that it may write"
        ) from error


def recover(root: Path, country: str, evidence: Evidence) -> Recovered:
    """The file to go on with and where the chain stands, once the log was found to be the one that was left.

    Args:
        root: Folder of a store, which has the log in `audit/{country}/`.

    Raises:
        AuditError: the folder cannot be written, or the archive cannot be read.
        AuditChainError: the log is not as it was written, or it is another one than the archive's.
    """
    folder = root / audit_prefix(country)
    segments = segment_keys(FolderStore(root), country)
    with _refusing(folder):
        bound = binding(evidence.policy, country, what=str(folder))
        kept = [read(where, raw, country, bound) for where, raw in evidence.kept.items()]
        vouched = max((one.checkpoint.head.seq for one in kept), default=0)
        places = [FolderStore(root), *([evidence.archive] if evidence.archive else [])]
        last = [_last_of_place(place, country, bound, vouched) for place in places]
        known = [one for one in last if one is not None]
        _check_alike(known)
    if evidence.signs is False and any(one.marked for one in (*known, *kept)):
        raise AuditError(
            f"{folder}: expected a key to sign checkpoints with, as the last one is signed, found none: an unsigned "
            "one after it would count as forged. Name the key (--signer)"
        )
    if not segments and last[0] is None and evidence.archive is not None:
        begun = _begin_after(folder, country, evidence, known)
        if begun is not None:
            return begun
    if evidence.new and (segments or last[0]):
        raise AuditError(
            f"{folder}: expected an empty folder for a new log (--new-log), found one that has a log already. Leave "
            "the option out to go on with it, or name another folder"
        )
    head, note = _follow(root, country, segments, [*known, *kept])
    return Recovered(root / (segments[-1] if segments else segment_key(country, 1)), head, note)


# --- checkpoints ----------------------------------------------------------------------------------


def _last_of_place(place: Store, country: str, bound: "TrustPolicy | None", vouched: int) -> Found | None:
    """The last checkpoint of a place that counts: the last signed one if some bind, else the last of all.

    Raises:
        InvalidDocumentError, AuditChainError: above it is one that nobody made, or an unsigned one.
    """
    keys = checkpoint_keys(place, country)[::-1]
    newest: Found | None = None
    for some in _in_parts(keys if bound is not None else keys[:1]):
        for where, raw in read_checkpoints(place, some).items():
            one = read(where, raw, country, bound)
            if one.binds:
                if newest is not None:
                    raise AuditChainError(
                        f"{newest.where}: expected a signed checkpoint after the signed {where}, found an unsigned one"
                    )
                return one
            if one.stranger and one.checkpoint.head.seq > vouched:
                raise AuditChainError(
                    f"{one.stranger}. If that key was replaced in the trust root, hand in a copy of a checkpoint "
                    "that you know to be right (--checkpoint)"
                )
            newest = newest or (None if one.stranger else one)
    return newest


def _in_parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """The first by itself, because it mostly suffices; then many at once."""
    yield keys[:1]
    for start in range(1, len(keys), _READ_AT_ONCE):
        yield keys[start : start + _READ_AT_ONCE]


def _check_alike(known: Sequence[Found]) -> None:
    """Raise AuditChainError if one place has an unsigned checkpoint where, or after, another has a signed one."""
    signed = max((one for one in known if one.binds), key=lambda one: one.checkpoint.head.seq, default=None)
    for one in known:
        if signed is not None and not one.marked and one.checkpoint.head.seq >= signed.checkpoint.head.seq:
            raise AuditChainError(
                f"{one.where}: expected a signed checkpoint, as {signed.where} is, found an unsigned one"
            )


def _begin_after(folder: Path, country: str, evidence: Evidence, known: Sequence[Found]) -> Recovered | None:
    """Where a log begins in an empty folder if the archive has one already; None if it has none."""
    assert evidence.archive is not None, "asked only with an archive"
    heads = [one.checkpoint.head for one in known]
    finished = segment_keys(evidence.archive, country)
    if not heads and not finished:
        return None
    if not evidence.new:
        found = f"a checkpoint after record {heads[0].seq}" if heads else finished[-1]
        raise AuditChainError(
            f"{folder}: expected the access log that {evidence.archive.url} has copies of ({found}), found an empty "
            "folder. A second log beside it would look like a forged one. Name the folder that has it, restore that "
            "folder, or, if it is lost, go on after its last copy with --new-log. Nothing is served"
        )
    if finished:
        data = evidence.archive.get(finished[-1], max_bytes=2**40).data
        heads.append(_last_line(data, f"{evidence.archive.url}: {finished[-1]}"))
    head = max(heads, key=lambda one: one.seq)
    note = f"begun anew after record {head.seq}, the last one that the store knows of: the log's folder was empty"
    return Recovered(folder.parents[1] / segment_key(country, head.seq + 1), head, note)


# --- the chain ------------------------------------------------------------------------------------


def _follow(root: Path, country: str, keys: Sequence[str], wanted: Sequence[Found]) -> tuple[Head, str]:
    """Follow the chain from the earliest of `wanted` to the end; where that is, and what was found there."""
    folder = root / audit_prefix(country)
    if not keys:
        _check_reached(folder, Head(), wanted)
        return Head(), ""
    earliest = min((one.checkpoint.head.seq for one in wanted), default=None)
    begin = max(0, len(keys) - 1) if earliest is None else _file_with(keys, earliest)
    first, start = first_of(keys[begin]), _before(root, keys, begin)
    walk = Walk(country, {one.checkpoint.head.seq for one in wanted}, Head(first - 1) if start is None else start)
    walk.lost = start is None  # only a checkpoint further on says that the first record here is the right one
    if start is None and earliest in (None, first - 1):
        # The first record here follows a checkpoint, as after --new-log; or nothing says what it follows.
        walk.head, walk.lost = (
            next((one.checkpoint.head for one in wanted if one.checkpoint.head.seq == earliest), Head()),
            False,
        )
        walk.seen[walk.head.seq] = walk.head.hash
    walk.follow(lines(FolderStore(root), keys[begin:]))
    _check(walk.problems)
    note, record = _mend_torn_line(root / keys[-1], None if walk.lost else walk.head)
    if record is not None:
        walk.step(record, str(root / keys[-1]))
    _check_reached(folder, walk.head, wanted)
    _check([*walk.problems, *compare(wanted, walk)])
    missing = [one for one in wanted if one.checkpoint.head.seq not in walk.seen]
    if missing:
        one = missing[0]
        raise AuditChainError(
            f"{folder}: expected record {one.checkpoint.head.seq}, which {one.where} is about, found none before "
            f"record {first}: files of the log are missing. Restore them. {_STOP}"
        )
    return walk.head, note


def _check(problems: Sequence[Problem]) -> None:
    """Raise AuditChainError for the first problem."""
    if problems:
        raise AuditChainError(f"{problems[0].where}: {problems[0].text}. {_STOP}")


def _file_with(keys: Sequence[str], seq: int) -> int:
    """Which file has record `seq`, by the names of the files."""
    earlier = [number for number, key in enumerate(keys) if first_of(key) <= seq]
    return earlier[-1] if earlier else 0


def _before(root: Path, keys: Sequence[str], begin: int) -> Head | None:
    """Where the chain stands before a file; None if the files before it are not here."""
    if begin > 0:
        before = root / keys[begin - 1]
        return _last_line(before.read_bytes(), f"{before}")
    return Head() if first_of(keys[0]) == 1 else None


def _check_reached(folder: Path, head: Head, wanted: Sequence[Found]) -> None:
    for one in wanted:
        if one.checkpoint.head.seq > head.seq:
            raise AuditChainError(
                f"{folder}: expected at least {one.checkpoint.head.seq} records, as checkpoint {one.where} says, found "
                f"{head.seq}: the end of the log is missing. {_STOP}"
            )


def _mend_torn_line(path: Path, head: Head | None) -> tuple[str, Record | None]:
    """What was done about the end of the log, and the record that it has then, if it was whole."""
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    torn = data[whole:]
    if not torn:
        return "", None
    record = _next(torn, head)
    if record is not None:
        with disk_errors(path.parent, "mend"), path.open("ab") as handle:
            handle.write(b"\n")
            handle.flush()
            os.fsync(handle.fileno())
        return "the last line was whole but for its newline, which was put back", record
    digest = sha256_bytes(torn)
    aside = path.with_name(f"{path.stem}.{digest[:16]}.torn")
    with disk_errors(path.parent, "mend"):
        aside.write_bytes(torn)
        with aside.open("rb") as handle:
            os.fsync(handle.fileno())
        with path.open("rb+") as handle:
            handle.truncate(whole)
            handle.flush()
            os.fsync(handle.fileno())
        sync_folder(path.parent)
    return f"a torn last line of {len(torn)} bytes (sha256 {digest}) was never served; set aside as {aside.name}", None


def _next(line: bytes, head: Head | None) -> Record | None:
    """The record in a line, if it is one that follows."""
    try:
        record = parse_record(line, what="the last line")
    except InvalidDocumentError:
        return None
    return record if head is not None and (record.seq, record.prev) == (head.seq + 1, head.hash) else None


def _last_line(data: bytes, what: str) -> Head:
    line = data[:-1].rpartition(b"\n")[2] if data.endswith(b"\n") else b""
    record = _parse(line, f"{what}: last line")
    return Head(record.seq, record.hash)


def _parse(line: bytes, what: str) -> Record:
    try:
        return parse_record(line, what=what)
    except InvalidDocumentError as error:
        raise AuditChainError(f"{error}. {_STOP}") from error


@contextmanager
def _refusing(folder: Path) -> Iterator[None]:
    """What is wrong with checkpoints, and with reading them, as AuditError."""
    try:
        yield
    except AuditChainError as error:
        raise AuditChainError(f"{error}. {_STOP}") from error
    except AuditError:
        raise
    except PeDataError as error:
        if isinstance(error, InvalidDocumentError | SignatureError) and not isinstance(error, ExpiredError):
            raise AuditChainError(f"{error}. {_STOP}") from error
        raise AuditError(f"{folder}: its checkpoints cannot be checked: {error}. Nothing is served") from error
