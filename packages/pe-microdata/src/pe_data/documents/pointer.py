"""Channel pointers: small documents that name the current artifact of a channel.

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
from typing import Annotated

from pe_data.documents.document import (
    Country,
    Dataset,
    Digest,
    Document,
    Refused,
    Text,
    Time,
    Version,
    check_lines,
    check_times,
    is_line,
    matching,
)
from pe_data.documents.envelope import POINTER_TYPE, SignedDocument, parse_envelope
from pe_data.errors import (
    InputError,
    InvalidDocumentError,
    PointerMismatchError,
)
from pe_data.names.digests import Sha256, sha256_bytes, strict_json
from pe_data.names.keys import ChannelName

POINTER_LIMIT = 64 * 1024
"""Largest pointer document that is read, in bytes."""
DEFAULT_NAMESPACE = "local"
"""Of channels whose publisher chose none."""
LINE_LIMIT = 500
"""Longest reason and name, in characters."""
NAMESPACE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Said:
    """Why a channel is moved, and by whom; both are for people and decide nothing.

    Raises:
        InputError: one is not a printable line.
    """

    reason: str | None = None
    by: str | None = None

    def __post_init__(self) -> None:
        for name, text in (("reason", self.reason), ("by", self.by)):
            if text is not None and not is_line(text, LINE_LIMIT):
                raise InputError(
                    f"{name}: expected one printable line of at most {LINE_LIMIT} characters, found {text[:80]!r}"
                )


NOTHING_SAID = Said()


class PointerBody(Document, frozen=True):
    """What a pointer says, signed or not.

    Attributes:
        namespace: Whose channels these are; a mirror with channels of its own has its own namespace.
        version: 1 for the first, then one more each time.
        prev: Digest of the body before this one; null only at version 1.
        manifest_sha256: Digest of the plain JSON of the manifest; a collection is its own manifest.
        publication_id: 32 random hexadecimal digits: tells two writers apart who say the same thing.
        expires: Required on `next`.
        reason: Why the channel was moved, in one line.
        by: Who moved it: a person or an office.
    """

    namespace: Annotated[str, matching(NAMESPACE.pattern, "a namespace")]
    country: Country
    dataset: Dataset
    channel: ChannelName
    version: Version
    prev: Digest | None
    artifact_sha256: Digest
    manifest_sha256: Digest
    published_at: Time
    publication_id: Annotated[str, matching("[0-9a-f]{32}", "32 hexadecimal digits")]
    expires: Time | None = None
    reason: Text | None = None
    by: Text | None = None

    def __post_init__(self) -> None:
        check_lines(self, LINE_LIMIT, "reason", "by")
        check_times(self, "published_at", "expires")
        if (self.version == 1) != (self.prev is None):
            found = f"{self.prev or 'nothing'} on version {self.version}"
            raise Refused("prev", "a sha256 on every version but the first", found)

    @property
    def is_collection(self) -> bool:
        """Whether the artifact is a collection (which has no manifest beside it)."""
        return self.artifact_sha256 == self.manifest_sha256


@dataclass(frozen=True, slots=True)
class UnsignedPointer:
    """A pointer whose signatures, if it has any, nobody checked: enough for `latest`, never for certification."""

    body: PointerBody
    sha256: Sha256
    """Digest of the body as it was read or will be written."""
    document: SignedDocument | None = None
    """With its signatures, where the trust root has `latest` signed."""

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
        body = PointerBody.from_bytes(self.document.body, self.what)
        if body.channel != "next":
            raise InvalidDocumentError(f"{self.what}: field channel: expected next, found {body.channel!r}")
        if body.expires is None:
            raise InvalidDocumentError(f"{self.what}: a signed pointer needs the field expires")
        return body


def body_of(raw: bytes, *, what: str) -> bytes:
    """The body of a pointer of `latest` as it was signed, or as it stands there bare. Raises InvalidDocumentError."""
    document = _envelope(raw, what)
    return document.body if document else raw


def parse_unsigned(raw: bytes, *, what: str) -> UnsignedPointer:
    """Read the pointer of `latest`, bare or in an envelope, and check no signature.

    Args:
        raw: The bytes as stored.
        what: Store and key, for messages.

    Raises:
        InvalidDocumentError: naming the field that is wrong.
    """
    document = _envelope(raw, what)
    body = PointerBody.from_bytes(document.body if document else raw, what)
    if body.channel == "next":
        raise InvalidDocumentError(f"{what}: channel next needs a signed pointer, found a bare one")
    return UnsignedPointer(body, sha256_bytes(document.body if document else raw), document)


def _envelope(raw: bytes, what: str) -> SignedDocument | None:
    """The envelope that a pointer of `latest` is in; None for a bare one."""
    return parse_signed(raw, what=what).document if "payloadType" in strict_json(raw, what=what) else None


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
