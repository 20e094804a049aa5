"""Take up an audit log where its last writer left it, however that ended.

The chain of the last file is followed to its end, which no checkpoint may go beyond. A last line
without its newline was never flushed whole, hence never answered: it is set aside in a file of its
own, and mentioned in the record of the next opening.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pe_data.audit.records import Head, Record, parse_record
from pe_data.cache.files import sync_folder
from pe_data.digests import sha256_bytes
from pe_data.errors import AuditChainError, AuditError, InvalidDocumentError
from pe_data.layout import segment_key

_SEGMENT = re.compile(r"(\d{12})\.jsonl")


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


def recover(folder: Path, country: str) -> tuple[Path, Head, str]:
    """The file to go on with, where the chain stands, and what has to be said about it.

    Raises:
        AuditError: the folder cannot be written.
        AuditChainError: the end of the log is not as it was written.
    """
    names = sorted(path.name for path in folder.iterdir() if _SEGMENT.fullmatch(path.name))
    checkpoints = sorted(path.name for path in folder.glob("*.checkpoint.json"))
    covered = int(checkpoints[-1].partition(".")[0]) if checkpoints else 0
    path = folder / (names[-1] if names else Path(segment_key(country, 1)).name)
    note = _set_aside_torn_line(path) if names else ""
    before = _last_of(folder / names[-2]) if len(names) > 1 else Head()
    head = _check_segment(path, before) if names else Head()
    if head.seq < covered:
        raise AuditChainError(
            f"{folder}: expected at least {covered} records, as checkpoint {checkpoints[-1]} says, found {head.seq}: "
            "the end of the log is missing. Nothing is served; run `pe-data audit verify`"
        )
    return path, head, note


def _set_aside_torn_line(path: Path) -> str:
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    torn = data[whole:]
    if not torn:
        return ""
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
    return f"a torn last line of {len(torn)} bytes (sha256 {digest}) was never served; set aside as {aside.name}"


def _last_of(path: Path) -> Head:
    data = path.read_bytes()
    line = data[:-1].rpartition(b"\n")[2] if data.endswith(b"\n") else b""
    record = _parse(line, f"{path}: last line")
    return Head(record.seq, record.hash)


def _check_segment(path: Path, head: Head) -> Head:
    """Follow the chain through one file; returns where it ends. Raises AuditChainError."""
    with path.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            what = f"{path}: line {number}"
            record = _parse(line.removesuffix(b"\n"), what)
            if (record.seq, record.prev) != (head.seq + 1, head.hash):
                raise AuditChainError(
                    f"{what}: expected record {head.seq + 1} after {head.hash}, found record {record.seq} after "
                    f"{record.prev}: the log was changed. Nothing is served; run `pe-data audit verify`"
                )
            head = Head(record.seq, record.hash)
    return head


def _parse(line: bytes, what: str) -> Record:
    try:
        return parse_record(line, what=what)
    except InvalidDocumentError as error:
        raise AuditChainError(f"{error}. Nothing is served; run `pe-data audit verify`") from error
