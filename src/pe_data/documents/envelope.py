"""Signed documents: a body, what kind of document it is, and signatures over both.

Every signed document of a store (pointer, tombstone, audit checkpoint, in-toto statement) is a DSSE
envelope. A signature covers the bytes of the body and its payload type, so that it can be checked
before the body is parsed, and a signature that was made for one kind of document never counts for
another. Reading an envelope verifies nothing: that is what `pe_data.trust.policy` does.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pe_data.documents.fields import Described, Fields
from pe_data.documents.signing_libraries import need_libraries
from pe_data.errors import InvalidDocumentError, SignatureError
from pe_data.names.digests import canonical_json, first_twice, strict_json

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

POINTER_TYPE = "application/vnd.policyengine.pe-data.pointer+json"
TOMBSTONE_TYPE = "application/vnd.policyengine.pe-data.tombstone+json"
CHECKPOINT_TYPE = "application/vnd.policyengine.pe-data.audit-checkpoint+json"
STATEMENT_TYPE = "application/vnd.in-toto+json"

ENVELOPE_LIMIT = 4 * 1024 * 1024
"""Largest envelope that is read, in bytes; callers with smaller documents read less."""
MOST_SIGNATURES = 32
_KEY_ID_LIMIT = 256
_SIGNATURE_LIMIT = 16 * 1024


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature over the body and the payload type."""

    key_id: str
    """Which key is said to have made it; a hint, never trusted by itself."""
    signature: str
    """Base64, as in the envelope."""


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """A body with signatures that nobody has checked yet."""

    payload_type: str
    body: bytes
    signatures: tuple[Signature, ...]

    def to_bytes(self) -> bytes:
        """The envelope as canonical JSON."""
        rows = [{"keyid": one.key_id, "sig": one.signature} for one in self.signatures]
        return canonical_json(
            {"payloadType": self.payload_type, "payload": _encode(self.body), "signatures": rows},
        )


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
    fields = Fields.of(strict_json(raw, what=what), what)
    kind = fields.text("payloadType")
    if kind != payload_type:
        raise fields.fail("payloadType", payload_type, kind)
    body = _decode(fields, "payload")
    rows = list(fields.rows("signatures"))
    if not 0 < len(rows) <= MOST_SIGNATURES:
        raise fields.fail("signatures", f"1 to {MOST_SIGNATURES} signatures", Described(str(len(rows))))
    signatures = tuple(_signature(row) for row in rows)
    twice = first_twice(one.key_id for one in signatures)
    if twice is not None:
        raise fields.fail("signatures", "one signature per key", Described(f"two of key {twice[:80]}"))
    return SignedDocument(kind, body, signatures)


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
    made = signer.sign(signed_bytes(document))
    if any(one.key_id == made.keyid for one in document.signatures):
        raise SignatureError(
            f"key {made.keyid} has signed this document already: expected another person's key. "
            "A threshold counts different keys"
        )
    added = Signature(made.keyid, _encode(bytes.fromhex(made.signature)))
    return replace(document, signatures=(*document.signatures, added))


def signed_bytes(document: SignedDocument) -> bytes:
    """What the signatures are over: DSSE's encoding of payload type and body."""
    need_libraries()
    from securesystemslib.dsse import Envelope

    return Envelope(document.body, document.payload_type, {}).pae()


def signature_bytes(signature: Signature) -> bytes:
    """The signature itself, decoded."""
    return base64.b64decode(signature.signature)


def _signature(row: Fields) -> Signature:
    key_id = row.text("keyid")
    if len(key_id) > _KEY_ID_LIMIT:
        raise row.fail("keyid", f"at most {_KEY_ID_LIMIT} characters", Described(str(len(key_id))))
    if len(_decode(row, "sig")) > _SIGNATURE_LIMIT:
        raise row.fail("sig", f"at most {_SIGNATURE_LIMIT} bytes", Described("more"))
    return Signature(key_id, row.text("sig"))


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(fields: Fields, name: str) -> bytes:
    """Base64 in its one canonical form, so that one document has one envelope."""
    text = fields.text(name)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise fields.fail(name, "base64", text) from None
    if _encode(data) != text:
        raise fields.fail(name, "base64 in canonical form", text)
    return data
