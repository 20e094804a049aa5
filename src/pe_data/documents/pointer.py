"""Channel pointers: small documents that say which artifact a channel stands at.

A pointer binds the manifest as well as the artifact: with the artifact's digest alone somebody
who can write to the bucket could still swap the manifest and what it says about the inputs.
`version` grows by one with every move and `prev` is the sha256 of the body before, so that a
pointer that goes A → B → A is three different documents.

Three types keep the trust levels apart. `UnsignedPointer` is what `latest` holds. `SignedPointer` is
what `next` holds: an envelope whose body has not even been parsed. `VerifiedPointer` is what
`pe_data.trust.nominations.verify` makes of it, and nothing else can make one.
"""

import re
from dataclasses import dataclass

from pe_data.documents.envelope import POINTER_TYPE, SignedDocument, parse_envelope
from pe_data.documents.fields import Fields
from pe_data.errors import (
    InvalidDocumentError,
    PointerMismatchError,
)
from pe_data.names.digests import Sha256, canonical_json, sha256_bytes, strict_json
from pe_data.names.keys import ChannelName, check_channel, check_country, check_dataset
from pe_data.names.times import parse_time

SCHEMA_VERSION = 1
POINTER_LIMIT = 64 * 1024
"""Largest pointer document that is read, in bytes."""
DEFAULT_NAMESPACE = "local"
"""Of channels whose publisher chose none."""
NAMESPACE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
_IDENTIFIER = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class PointerBody:
    """What a pointer says, signed or not."""

    namespace: str
    """Whose channels these are; a mirror with channels of its own has its own namespace."""
    country: str
    dataset: str
    channel: ChannelName
    version: int
    """1 for the first, then one more each time."""
    prev: Sha256 | None
    """Digest of the body before this one; None only at version 1."""
    artifact_sha256: Sha256
    manifest_sha256: Sha256
    """Digest of the plain JSON of the manifest; a collection is its own manifest."""
    published_at: str
    """UTC, `2026-01-31T12:00:00.000000Z`."""
    publication_id: str
    """32 random hexadecimal digits: tells two writers apart who say the same thing."""
    expires: str | None = None
    """UTC; required on `next`."""

    @property
    def is_collection(self) -> bool:
        """Whether the artifact is a collection (which has no manifest beside it)."""
        return self.artifact_sha256 == self.manifest_sha256

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        document: dict[str, object] = {
            "schema_version": SCHEMA_VERSION,
            "namespace": self.namespace,
            "country": self.country,
            "dataset": self.dataset,
            "channel": self.channel,
            "version": self.version,
            "prev": self.prev,
            "artifact_sha256": self.artifact_sha256,
            "manifest_sha256": self.manifest_sha256,
            "published_at": self.published_at,
            "publication_id": self.publication_id,
        }
        if self.expires is not None:
            document["expires"] = self.expires
        return canonical_json(document)


@dataclass(frozen=True, slots=True)
class UnsignedPointer:
    """A pointer without signatures: enough for `latest`, never for certification."""

    body: PointerBody
    sha256: Sha256
    """Digest of the bytes as they were read or will be written."""

    @classmethod
    def of(cls, body: PointerBody) -> "UnsignedPointer":
        """The pointer that is about to be written."""
        return cls(body, sha256_bytes(body.to_bytes()))


@dataclass(frozen=True, slots=True)
class SignedPointer:
    """A pointer with signatures that nobody has checked yet, and a body that nobody has parsed."""

    document: SignedDocument
    what: str
    """Store and key, for messages."""

    @property
    def sha256(self) -> Sha256:
        """Digest of the body: what the next version calls `prev`."""
        return sha256_bytes(self.document.body)

    def claimed(self) -> PointerBody:
        """What the body says, for those who must look without believing (fsck, gc, a next version).

        Raises:
            InvalidDocumentError: naming the field that is wrong.
        """
        body = parse_body(self.document.body, what=self.what)
        if body.channel != "next":
            raise InvalidDocumentError(f"{self.what}: field channel: expected next, found {body.channel!r}")
        if body.expires is None:
            raise InvalidDocumentError(f"{self.what}: a signed pointer needs the field expires")
        return body


def parse_unsigned(raw: bytes, *, what: str) -> UnsignedPointer:
    """Read an unsigned pointer.

    Args:
        raw: The bytes as stored.
        what: Store and key, for messages.

    Raises:
        InvalidDocumentError: naming the field that is wrong.
    """
    body = parse_body(raw, what=what)
    if body.channel == "next":
        raise InvalidDocumentError(f"{what}: channel next needs a signed pointer, found a bare one")
    return UnsignedPointer(body, sha256_bytes(raw))


def parse_signed(raw: bytes, *, what: str) -> SignedPointer:
    """Read a signed pointer without checking its signatures or looking into its body.

    Raises:
        InvalidDocumentError: it is no envelope of a pointer (see `pe_data.documents.envelope`).
    """
    return SignedPointer(parse_envelope(raw, payload_type=POINTER_TYPE, what=what), what)


def check_place(
    body: PointerBody,
    *,
    country: str,
    dataset: str,
    channel: str,
    namespace: str | None,
    what: str,
) -> None:
    """Refuse a pointer that was copied from another place.

    Args:
        namespace: The expected one; None accepts any.

    Raises:
        PointerMismatchError: naming the field, what was expected and what was found.
    """
    expected = {"country": country, "dataset": dataset, "channel": channel}
    if namespace is not None:
        expected["namespace"] = namespace
    for name, value in expected.items():
        found = getattr(body, name)
        if found != value:
            raise PointerMismatchError(
                f"{what}: this pointer was made for another {name}: expected {value!r}, found "
                f"{found!r}. Somebody copied it here; publish again to replace it, or ask the "
                "operator of the store"
            )


def parse_body(raw: bytes, *, what: str) -> PointerBody:
    """Read the body of a pointer; believes nothing. Raises InvalidDocumentError, naming the field."""
    fields = Fields.of(strict_json(raw, what=what), what)
    schema = fields.integer("schema_version", minimum=1)
    if schema > SCHEMA_VERSION:
        raise InvalidDocumentError(
            f"{what}: pointer schema {schema} is newer than the {SCHEMA_VERSION} that this "
            "version of pe-data reads; upgrade it"
        )
    version = fields.integer("version", minimum=1)
    prev = fields.sha256("prev") if fields.has("prev") else None
    if (version == 1) != (prev is None):
        raise InvalidDocumentError(
            f"{what}: field prev: expected a sha256 on every version but the first, "
            f"found {prev or 'nothing'} on version {version}"
        )
    expires = _time(fields, "expires") if fields.has("expires") else None
    return PointerBody(
        namespace=fields.text("namespace", pattern=NAMESPACE, what="a namespace"),
        country=check_country(fields.text("country")),
        dataset=check_dataset(fields.text("dataset")),
        channel=check_channel(fields.text("channel")),
        version=version,
        prev=prev,
        artifact_sha256=fields.sha256("artifact_sha256"),
        manifest_sha256=fields.sha256("manifest_sha256"),
        published_at=_time(fields, "published_at"),
        publication_id=fields.text("publication_id", pattern=_IDENTIFIER, what="32 hexadecimal digits"),
        expires=expires,
    )


def _time(fields: Fields, name: str) -> str:
    text = fields.text(name, pattern=_TIME, what="a UTC time such as 2026-01-31T12:00:00Z")
    try:
        parse_time(text)
    except ValueError as error:
        raise fields.fail(name, "a UTC time such as 2026-01-31T12:00:00Z", text) from error
    return text
