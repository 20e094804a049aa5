"""One line of an audit log, and how the lines are chained.

A record is canonical JSON on one line. `hash` is the sha256 of the record without that key, and
`prev` is the `hash` of the record before, so that no line can be changed, dropped, inserted or moved
without breaking the chain behind it. The chain alone does not stop somebody who writes all of it
again: that is what signed checkpoints are for (`pe_data_gateway.audit.checkpoints`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from pe_data.documents.fields import Described, Fields
from pe_data.errors import InvalidDocumentError
from pe_data.names.digests import Sha256, canonical_json, sha256_bytes, strict_json
from pe_data.names.times import format_time, parse_time

SCHEMA_VERSION = 1
START = Sha256("0" * 64)
"""What the first record of a log names as the one before it."""
LINE_LIMIT = 1024 * 1024
"""Longest line that is read, in bytes."""

Action = Literal["manifest", "collection", "payload", "opened"]
"""What was released: a manifest (with its list of columns), a collection (a list of members), a link to
a payload; or `opened`: a gateway began to write."""
ACTIONS: tuple[Action, ...] = get_args(Action)


@dataclass(frozen=True, slots=True)
class NamedInput:
    """A file that an artifact was built from."""

    name: str
    sha256: Sha256


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened, before it has a place in the chain."""

    action: Action
    country: str
    request: str
    """Id of the request, which its answer carries too."""
    user: str = ""
    token: str = ""
    """Id of the token, which is not the token."""
    dataset: str = ""
    artifact: Sha256 | None = None
    manifest: Sha256 | None = None
    """Digest of the plain manifest, or of the collection."""
    client: str = ""
    """Network address."""
    agent: str = ""
    """What the client says it is; not to be believed."""
    inputs: tuple[NamedInput, ...] = ()
    """What the artifact was built from, by its manifest."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """An entry in its place."""

    seq: int
    """1 for the first record of a log."""
    prev: Sha256
    time: datetime
    """UTC, by the gateway's clock."""
    entry: Entry
    hash: Sha256


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain stands."""

    seq: int = 0
    hash: Sha256 = START


def chain(entry: Entry, head: Head, now: datetime) -> tuple[Record, bytes]:
    """The record that follows `head`, and its line with the newline."""
    # Canonical order puts "hash" between these two, so that each is encoded once, for the digest and for the line.
    before = {
        "action": entry.action,
        "agent": entry.agent,
        "artifact": entry.artifact,
        "client": entry.client,
        "country": entry.country,
        "dataset": entry.dataset,
    }
    after = {
        "inputs": [{"name": one.name, "sha256": one.sha256} for one in entry.inputs],
        "manifest": entry.manifest,
        "note": entry.note,
        "prev": head.hash,
        "request": entry.request,
        "seq": head.seq + 1,
        "time": format_time(now),
        "token": entry.token,
        "user": entry.user,
        "v": SCHEMA_VERSION,
    }
    first = canonical_json({key: value for key, value in before.items() if value})[:-1]
    last = canonical_json({key: value for key, value in after.items() if value})[1:]
    digest = sha256_bytes(b"%b,%b" % (first, last))
    line = b'%b,"hash":"%b",%b\n' % (first, digest.encode(), last)
    return Record(head.seq + 1, head.hash, now, entry, digest), line


def parse_record(line: bytes, *, what: str) -> Record:
    """Read one line (without its newline) and check its own hash.

    Raises:
        InvalidDocumentError: not canonical JSON of a record, or its `hash` does not fit.
    """
    if len(line) > LINE_LIMIT:
        raise InvalidDocumentError(f"{what}: expected a line of at most {LINE_LIMIT} bytes, found a longer one")
    document = strict_json(line, what=what)
    fields = Fields.of(document, what)
    digest = fields.sha256("hash")
    rest = {key: value for key, value in document.items() if key != "hash"}
    if canonical_json(document) != line:
        raise InvalidDocumentError(f"{what}: expected canonical JSON, found another spelling: it was edited")
    found = sha256_bytes(canonical_json(rest))
    if found != digest:
        raise fields.fail("hash", f"{found}, which fits the record", Described(f"{digest}: the record was edited"))
    version = fields.integer("v")
    if version != SCHEMA_VERSION:
        raise fields.fail("v", f"{SCHEMA_VERSION} (a newer log needs a newer pe-data: upgrade it)", version)
    moment = fields.text("time")
    try:
        time = parse_time(moment)
    except ValueError:
        raise fields.fail("time", "a UTC time", moment) from None
    return Record(fields.integer("seq", minimum=1), fields.sha256("prev"), time, _entry(fields), digest)


def _entry(fields: Fields) -> Entry:
    action = fields.one_of("action", ACTIONS)
    return Entry(
        action=next(one for one in ACTIONS if one == action),
        country=fields.text("country"),
        request=fields.text("request"),
        user=fields.optional_text("user") or "",
        token=fields.optional_text("token") or "",
        dataset=fields.optional_text("dataset") or "",
        artifact=fields.sha256("artifact") if fields.has("artifact") else None,
        manifest=fields.sha256("manifest") if fields.has("manifest") else None,
        client=fields.optional_text("client") or "",
        agent=fields.optional_text("agent") or "",
        inputs=tuple(NamedInput(row.text("name"), row.sha256("sha256")) for row in fields.rows("inputs")),
        note=fields.optional_text("note") or "",
    )
