"""Signed documents (DSSE): a body, its type, and signatures over both.

Every signed document of a store (pointer, tombstone, audit checkpoint, in-toto statement) is a DSSE
envelope. A signature covers the bytes of the body and its payload type, so that it can be checked
before the body is parsed, and a signature that was made for one kind of document never counts for
another. Reading an envelope verifies nothing: that is what `pe_data.trust.policy` does.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

import msgspec

from pe_data.documents.document import Document, Part, Refused, Text, describe, shown
from pe_data.documents.signing_libraries import need_libraries
from pe_data.errors import InvalidDocumentError, SignatureError
from pe_data.names.digests import first_twice, strict_json

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

POINTER_TYPE = "application/vnd.policyengine.pe-data.pointer+json"
TOMBSTONE_TYPE = "application/vnd.policyengine.pe-data.tombstone+json"
REVOCATIONS_TYPE = "application/vnd.policyengine.pe-data.revocations+json"
CHECKPOINT_TYPE = "application/vnd.policyengine.pe-data.audit-checkpoint+json"
STATEMENT_TYPE = "application/vnd.in-toto+json"

ENVELOPE_LIMIT = 4 * 1024 * 1024
"""Largest envelope that is read, in bytes; callers with smaller documents read less."""
MOST_SIGNATURES = 32
_SIGNATURE_LIMIT = 16 * 1024
_SIGNATURES = msgspec.Meta(
    min_length=1, max_length=MOST_SIGNATURES, description=f"a list of 1 to {MOST_SIGNATURES} signatures"
)
KeyId = Annotated[str, msgspec.Meta(min_length=1, max_length=256, description="text of at most 256 characters")]


class Signature(Part, frozen=True, rename={"key_id": "keyid", "signature": "sig"}):
    """One signature over the body and the payload type.

    Attributes:
        key_id: Which key is said to have made it; a hint, never trusted by itself.
        signature: Base64.
    """

    key_id: KeyId
    signature: Text

    def __post_init__(self) -> None:
        if len(_decode(self.signature, "sig")) > _SIGNATURE_LIMIT:
            raise Refused("sig", f"at most {_SIGNATURE_LIMIT} bytes", "more")


class SignedDocument(Document, frozen=True, rename={"payload_type": "payloadType", "body": "payload"}):
    """A body with signatures that nobody has checked yet."""

    HEAD: ClassVar[Mapping[str, int | str]] = {}
    payload_type: Text
    body: bytes
    signatures: Annotated[tuple[Signature, ...], _SIGNATURES]


def parse_envelope(raw: bytes, *, payload_type: str, what: str) -> SignedDocument:
    """Read an envelope without checking its signatures.

    Args:
        raw: The bytes as stored.
        payload_type: The kind of document that is expected; any other is refused.
        what: Where the bytes come from, for messages.

    Raises:
        InvalidDocumentError: too large, not strict JSON, another kind of document, no signature
            or too many, a key id twice, or something that is not canonical base64.
    """
    if len(raw) > ENVELOPE_LIMIT:
        raise InvalidDocumentError(f"{what}: expected at most {ENVELOPE_LIMIT} bytes, found {len(raw)}")
    parsed = strict_json(raw, what=what)
    if (kind := parsed.get("payloadType")) != payload_type:
        found = "nothing: the document carries no signatures" if kind is None else describe(kind)
        raise InvalidDocumentError(f"{what}: field payloadType: expected {payload_type}, found {found}")
    document = SignedDocument.from_json(parsed, what)
    if _encode(document.body) != parsed["payload"]:
        raise InvalidDocumentError(f"{what}: field payload: expected base64 in canonical form, found another spelling")
    twice = first_twice(one.key_id for one in document.signatures)
    if twice is not None:
        raise InvalidDocumentError(
            f"{what}: field signatures: expected one signature per key, found two of key {shown(twice)}"
        )
    return document


def sign(body: bytes, payload_type: str, signers: "Sequence[Signer]") -> SignedDocument:
    """Sign `body` with every signer.

    Raises:
        SignatureError: if two signers have the same key.
    """
    document = SignedDocument(payload_type, body, ())
    for signer in signers:
        document = add_signature(document, signer)
    return document


def add_signature(document: SignedDocument, signer: "Signer") -> SignedDocument:
    """`document` with one more signature over the same bytes.

    Raises:
        SignatureError: if that key has signed already.
    """
    need_libraries()
    from securesystemslib.dsse import Envelope

    made = Envelope(document.body, document.payload_type, {}).sign(signer)
    if any(one.key_id == made.keyid for one in document.signatures):
        raise SignatureError(
            f"key {made.keyid} has signed this document already: expected another person's key. "
            "A threshold counts different keys"
        )
    added = Signature(made.keyid, _encode(bytes.fromhex(made.signature)))
    return msgspec.structs.replace(document, signatures=(*document.signatures, added))


def signature_bytes(signature: Signature) -> bytes:
    """The signature itself, decoded."""
    return base64.b64decode(signature.signature)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str, name: str) -> bytes:
    """Base64 in its one canonical form, so that one document has one envelope."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(name, "base64", describe(text)) from None
    if _encode(data) != text:
        raise Refused(name, "base64 in canonical form", describe(text))
    return data
