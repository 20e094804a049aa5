"""One line of an audit log, and how the lines are chained.

A record is canonical JSON on one line. `hash` is the sha256 of the record without that key, and
`prev` is the `hash` of the record before, so that no line can be changed, dropped, inserted or moved
without breaking the chain behind it. The chain alone does not stop somebody who writes all of it
again: that is what signed checkpoints are for (`pe_data_gateway.audit.checkpoints`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

import msgspec

from pe_data.documents.document import Digest, Document, Part, Text, Time, Version, check_times
from pe_data.errors import InvalidDocumentError
from pe_data.names import times
from pe_data.names.digests import Sha256, canonical_json, sha256_bytes, strict_json
from pe_data.names.times import format_time, parse_time

START = Sha256("0" * 64)
"""What the first record of a log names as the one before it."""
LINE_LIMIT = 1024 * 1024
"""Longest line that is read, in bytes."""

Action = Literal["manifest", "collection", "payload", "opened"]
"""What was released: a manifest (with its list of columns), a collection (a list of members), a link to
a payload; or `opened`: a gateway began to write."""


class NamedInput(Part, frozen=True):
    """A file that an artifact was built from."""

    name: Text
    sha256: Digest


class Entry(Document, frozen=True):
    """What happened, before it has a place in the chain.

    Attributes:
        request: Id of the request, which its answer carries too.
        token: Id of the token, which is not the token.
        manifest: Digest of the plain manifest, or of the collection.
        client: Network address.
        agent: What the client says it is; not verified.
        inputs: What the artifact was built from, by its manifest.
    """

    HEAD: ClassVar[Mapping[str, int | str]] = {"v": 1}
    action: Action
    country: Text
    request: Text
    user: str = ""
    token: str = ""
    dataset: str = ""
    artifact: Digest | None = None
    manifest: Digest | None = None
    client: str = ""
    agent: str = ""
    inputs: tuple[NamedInput, ...] = ()
    note: str = ""


class Line(Entry, frozen=True, kw_only=True):
    """An entry and where it stands in the chain: one line of a log.

    Attributes:
        seq: 1 for the first record of a log.
        prev: The `hash` of the record before.
        time: By the gateway's clock.
        hash: Of the record without this key.
    """

    seq: Version
    prev: Digest
    time: Time
    hash: Digest

    def __post_init__(self) -> None:
        check_times(self, "time")


@dataclass(frozen=True, slots=True)
class Record:
    """An entry in its place."""

    seq: int
    prev: Sha256
    time: datetime
    """UTC."""
    entry: Entry
    hash: Sha256


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain stands."""

    seq: int = 0
    hash: Sha256 = START


def chain(entry: Entry, head: Head) -> tuple[Record, bytes]:
    """The record that follows `head` now, and its line with the newline."""
    now = times.now()
    place = {"seq": head.seq + 1, "prev": head.hash, "time": format_time(now)}
    document = {**Entry.HEAD, **msgspec.to_builtins(entry), **place}
    digest = sha256_bytes(canonical_json(document))
    line = canonical_json({**document, "hash": digest}) + b"\n"
    return Record(head.seq + 1, head.hash, now, entry, digest), line


def parse_record(line: bytes, *, what: str) -> Record:
    """Read one line (without its newline) and check its own hash.

    Raises:
        InvalidDocumentError: not canonical JSON of a record, or its `hash` does not fit.
    """
    if len(line) > LINE_LIMIT:
        raise InvalidDocumentError(f"{what}: expected a line of at most {LINE_LIMIT} bytes, found a longer one")
    document = strict_json(line, what=what)
    if canonical_json(document) != line:
        raise InvalidDocumentError(f"{what}: expected canonical JSON, found another spelling: it was edited")
    place = Line.from_json(document, what)
    entry = Entry(*(getattr(place, name) for name in Entry.__struct_fields__))
    found = sha256_bytes(canonical_json({key: value for key, value in document.items() if key != "hash"}))
    if found != place.hash:
        raise InvalidDocumentError(
            f"{what}: field hash: expected {found}, which fits the record, found {place.hash}: the record was edited"
        )
    return Record(place.seq, place.prev, parse_time(place.time), entry, place.hash)
