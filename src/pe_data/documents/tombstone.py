"""The tombstone: what was revoked, why, when, by whom, under which licence.

The document is signed as it is (see `verify`). One tombstone may cover a whole collection with its
members: the same signed bytes then lie under the key of each of them, so that one signature per
person is enough for any number of artifacts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pe_data.documents.fields import Described, Fields
from pe_data.errors import InvalidNameError, InvalidTombstoneError
from pe_data.names.digests import Sha256, canonical_json, parse_sha256, strict_json
from pe_data.names.keys import check_country, check_dataset
from pe_data.names.times import parse_time

SCHEMA_VERSION = 1
TOMBSTONE_LIMIT = 4 * 1024 * 1024
"""Largest tombstone that is read, in bytes (about 40,000 members)."""
REASON_LIMIT = 1000
"""Characters of a reason."""
NAME_LIMIT = 200
"""Characters of a licence and of a name."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The end of an artifact. `from_bytes` and `to_bytes` are inverse."""

    country: str
    dataset: str
    artifact_sha256: Sha256
    reason: str
    """For those who are refused: one line, no control characters."""
    date: str
    """UTC, `2026-01-31T12:00:00.000000Z`."""
    revoked_by: str
    """Who decided: a person or an office."""
    licence: str
    """The licence that ended, as the manifest names it."""
    members: tuple[Sha256, ...] = ()
    """Of a collection: the payloads that end with it, ascending. Empty: only the artifact itself."""

    @property
    def covered(self) -> tuple[Sha256, ...]:
        """Every artifact that this tombstone ends, its own first."""
        return (self.artifact_sha256, *(one for one in self.members if one != self.artifact_sha256))

    def covers(self, country: str, sha256: str) -> bool:
        """Whether it ends that artifact."""
        return country == self.country and (sha256 == self.artifact_sha256 or sha256 in self.members)

    def to_bytes(self) -> bytes:
        """Canonical JSON; the bytes that are signed."""
        document: dict[str, object] = {
            "schema_version": SCHEMA_VERSION,
            "kind": "tombstone",
            "country": self.country,
            "dataset": self.dataset,
            "artifact_sha256": self.artifact_sha256,
            "reason": self.reason,
            "date": self.date,
            "revoked_by": self.revoked_by,
            "licence": self.licence,
        }
        if self.members:
            document["members"] = list(self.members)
        return canonical_json(document)

    @classmethod
    def from_bytes(cls, raw: bytes, *, what: str) -> "Tombstone":
        """Read the document, without its signatures.

        Raises:
            InvalidDocumentError: naming the field that is wrong.
        """
        return cls.from_mapping(strict_json(raw, what=what), what=what)

    @classmethod
    def from_mapping(cls, document: Mapping[str, object], *, what: str) -> "Tombstone":
        """Read a document that is parsed already. Raises as `from_bytes`."""
        fields = Fields.of(document, what)
        schema = fields.integer("schema_version", minimum=1)
        if schema > SCHEMA_VERSION:
            raise InvalidTombstoneError(
                f"{what}: tombstone schema {schema} is newer than the {SCHEMA_VERSION} that this version of pe-data "
                "reads; upgrade it"
            )
        fields.one_of("kind", ("tombstone",))
        try:
            country, dataset = check_country(fields.text("country")), check_dataset(fields.text("dataset"))
            members = tuple(parse_sha256(one, what="members") for one in fields.texts("members"))
        except InvalidNameError as error:
            raise InvalidTombstoneError(f"{what}: {error}") from None
        if list(members) != sorted(members):
            raise fields.fail("members", "digests in ascending order", Described("another order"))
        return cls(
            country=country,
            dataset=dataset,
            artifact_sha256=fields.sha256("artifact_sha256"),
            reason=_line(fields, "reason", REASON_LIMIT),
            date=_time(fields, "date"),
            revoked_by=_line(fields, "revoked_by", NAME_LIMIT),
            licence=_line(fields, "licence", NAME_LIMIT),
            members=members,
        )


def check_line(text: str, what: str, limit: int) -> str:
    """`text` if it is one printable line. Raises InvalidTombstoneError."""
    if not text.strip() or len(text) > limit or not text.isprintable():
        raise InvalidTombstoneError(
            f"{what}: expected one line of 1 to {limit} printable characters, found {text[:80]!r} ({len(text)})"
        )
    return text


def _line(fields: Fields, name: str, limit: int) -> str:
    text = fields.text(name)
    if not text.strip() or len(text) > limit or not text.isprintable():
        raise fields.fail(name, f"one line of at most {limit} printable characters", text)
    return text


def _time(fields: Fields, name: str) -> str:
    expected = "a UTC time such as 2026-01-31T12:00:00Z"
    text = fields.text(name)
    try:
        moment: datetime = parse_time(text)
    except ValueError as error:
        raise fields.fail(name, expected, text) from error
    if not text.endswith("Z") or moment.tzinfo is None:
        raise fields.fail(name, expected, text)
    return text
