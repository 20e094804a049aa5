"""A file of documents that people sign one after the other until there are enough signatures.

One document is its envelope. Several that belong together, a tombstone and the list that names it, are signed in one
go and lie in one file.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pe_data.documents.envelope import SignedDocument, add_signature, parse_envelope
from pe_data.errors import InvalidDocumentError
from pe_data.names.digests import canonical_json, strict_json

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

KIND = "pe-data documents to sign"


class Papers:
    """Documents that the same people sign."""

    def __init__(self, *documents: SignedDocument) -> None:
        self.documents = documents

    @classmethod
    def of(cls, *bodies: tuple[str, bytes]) -> "Papers":
        """Nobody has signed these yet; each is a payload type and a body."""
        return cls(*(SignedDocument(kind, body, ()) for kind, body in bodies))

    @classmethod
    def from_bytes(cls, raw: bytes, *, what: str, kinds: Sequence[str]) -> "Papers":
        """Read such a file, without believing anything in it.

        Args:
            kinds: The payload types that may be in it.

        Raises:
            InvalidDocumentError: it is another file, or has a document of another kind, or one kind twice.
        """
        found = strict_json(raw, what=what)
        several = found.get("envelopes") if found.get("kind") == KIND else [found]
        if not isinstance(several, list) or not several:
            raise InvalidDocumentError(f"{what}: field envelopes: expected a list of documents")
        documents: list[SignedDocument] = []
        for one in several:
            kind = one.get("payloadType") if isinstance(one, dict) else None
            if kind not in kinds or kind in {document.payload_type for document in documents}:
                raise InvalidDocumentError(
                    f"{what}: field payloadType: expected one of {', '.join(kinds)}, once each, found "
                    f"{str(kind)[:80]!r}"
                )
            documents.append(parse_envelope(canonical_json(one), payload_type=str(kind), what=what))
        return cls(*documents)

    def to_bytes(self) -> bytes:
        """The file, as canonical JSON."""
        if len(self.documents) == 1:
            return self.documents[0].to_bytes()
        envelopes = [json.loads(document.to_bytes()) for document in self.documents]
        return canonical_json({"kind": KIND, "envelopes": envelopes})

    def sign(self, signer: "Signer") -> None:
        """Add a person's signature to each document. Raises SignatureError if that key has signed already."""
        self.documents = tuple(add_signature(document, signer) for document in self.documents)

    def missing(self) -> list[str]:
        """What is still needed, as far as the file tells: nothing, since only the trust root knows."""
        return []

    def get(self, kind: str) -> SignedDocument | None:
        """The document of that payload type."""
        return next((one for one in self.documents if one.payload_type == kind), None)
