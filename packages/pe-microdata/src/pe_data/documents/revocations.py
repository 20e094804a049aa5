"""The revocation list of a country: every revoked artifact, with its tombstone.

One small document answers "was this revoked?" for all artifacts of a country. It is signed as it is, by the
role that signs tombstones. It names each tombstone by the digest of its signed body, so that whoever believes
the list needs no other signature to believe the reason. It ends (`expires`), so that a store cannot show an
old one for ever, and it only grows.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from pe_data.documents.document import Country, Digest, Document, Part, Refused, Time, Version, check_times
from pe_data.documents.envelope import ENVELOPE_LIMIT, REVOCATIONS_TYPE, SignedDocument, parse_envelope
from pe_data.errors import InvalidDocumentError, InvalidTombstoneError
from pe_data.names.digests import Sha256, sha256_bytes
from pe_data.names.times import parse_time

LIST_LIMIT = ENVELOPE_LIMIT
"""Largest list that is read, in bytes, with its signatures (about 16,000 artifacts)."""


class Ended(Part, frozen=True, omit_defaults=True):
    """The end of one artifact."""

    tombstone: Digest
    """Digest of the tombstone's body, as it was signed."""
    date: Time

    def __post_init__(self) -> None:
        check_times(self, "date")


class RevocationList(Document, frozen=True, omit_defaults=True):
    """One version of the list. `from_bytes` and `to_bytes` are inverse."""

    HEAD: ClassVar[Mapping[str, int | str]] = {"schema_version": 1, "kind": "revocations"}
    ERROR: ClassVar[type[InvalidDocumentError]] = InvalidTombstoneError

    country: Country
    version: Version
    """1 for the first, then one more each time."""
    issued: Time
    expires: Time
    revoked: Mapping[Digest, Ended]
    """By digest of the artifact."""
    prev: Digest | None = None
    """Digest of the body before this one; None only at version 1."""

    def __post_init__(self) -> None:
        check_times(self, "issued", "expires")
        if (self.version == 1) != (self.prev is None):
            raise Refused("prev", "a sha256 on every version but the first", f"{self.prev} on version {self.version}")

    @property
    def sha256(self) -> Sha256:
        """Digest of the body as this version of pe-data writes it."""
        return sha256_bytes(self.to_bytes())

    def ends(self) -> datetime:
        """When it stops being believed to be the newest."""
        return parse_time(self.expires)


def parse_list(raw: bytes, *, what: str) -> SignedDocument:
    """The envelope of a list, whose signatures nobody has checked. Raises InvalidDocumentError."""
    return parse_envelope(raw, payload_type=REVOCATIONS_TYPE, what=what)
