"""The tombstone: what was revoked, why, when, by whom, under which licence.

The document is signed as it is (see `verify`). One tombstone may cover a whole collection with its
members: the same signed bytes then lie under the key of each of them, so that one signature per
person is enough for any number of artifacts.
"""

from collections.abc import Mapping
from typing import ClassVar

from pe_data.documents.document import (
    Country,
    Dataset,
    Digest,
    Document,
    Refused,
    Text,
    Time,
    check_lines,
    check_times,
    is_line,
)
from pe_data.errors import InvalidTombstoneError

TOMBSTONE_LIMIT = 4 * 1024 * 1024
"""Largest tombstone that is read, in bytes (about 40,000 members)."""
REASON_LIMIT = 1000
"""Characters of a reason."""
NAME_LIMIT = 200
"""Characters of a licence and of a name."""


class Tombstone(Document, frozen=True):
    """The end of an artifact.

    Attributes:
        reason: For those who are refused: one line, no control characters.
        revoked_by: Who decided: a person or an office.
        licence: The licence that ended, as the manifest names it.
        members: Of a collection: the payloads that end with it, ascending. Empty: only the artifact itself.
    """

    HEAD: ClassVar[Mapping[str, int | str]] = {"schema_version": 1, "kind": "tombstone"}
    ERROR = InvalidTombstoneError
    country: Country
    dataset: Dataset
    artifact_sha256: Digest
    reason: Text
    date: Time
    revoked_by: Text
    licence: Text
    members: tuple[Digest, ...] = ()

    def __post_init__(self) -> None:
        check_times(self, "date")
        check_lines(self, REASON_LIMIT, "reason")
        check_lines(self, NAME_LIMIT, "revoked_by", "licence")
        if list(self.members) != sorted(set(self.members)):
            raise Refused("members", "distinct digests in ascending order", "another order, or one twice")

    @property
    def covered(self) -> tuple[Digest, ...]:
        """Every artifact that this tombstone ends, its own first."""
        return (self.artifact_sha256, *(one for one in self.members if one != self.artifact_sha256))

    def covers(self, country: str, sha256: str) -> bool:
        """Whether it ends that artifact."""
        return country == self.country and (sha256 == self.artifact_sha256 or sha256 in self.members)


def check_line(text: str, what: str, limit: int) -> str:
    """`text` if it is one printable line. Raises InvalidTombstoneError."""
    if not is_line(text, limit):
        raise InvalidTombstoneError(
            f"{what}: expected one line of 1 to {limit} printable characters, found {text[:80]!r} ({len(text)})"
        )
    return text
