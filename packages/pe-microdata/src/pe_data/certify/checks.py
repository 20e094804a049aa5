"""Checks of a nominated artifact before it is certified.

Every check reads what the signed pointer binds, and nothing else: pointer → collection → manifests →
payloads. Each failure is an error of its own kind.
"""

from dataclasses import dataclass

from pe_data.documents.validation import Validation
from pe_data.errors import (
    CertificationError,
    DigestMismatchError,
    InputError,
    InvalidDocumentError,
    ObjectNotFoundError,
)
from pe_data.names.digests import Sha256
from pe_data.names.uri import StoreUri
from pe_data.read.revocations import Revocations
from pe_data.store.artifacts import Depth, File
from pe_data.store.base import Store
from pe_data.trust.nominations import VerifiedPointer
from pe_data.write.nominate import candidate


@dataclass(frozen=True, slots=True)
class Nominated:
    """One dataset, after every check."""

    pointer: VerifiedPointer
    run_id: str | None
    """Of a collection."""
    validation: Validation
    files: tuple[File, ...]
    """By name."""


def check_nomination(pointer: VerifiedPointer, store: Store, revocations: Revocations, *, depth: Depth) -> Nominated:
    """Check everything that a verified nomination leads to.

    Args:
        pointer: Verified; anything else is refused, whatever it says.
        store: Must have all of it.
        revocations: What is known of the country for this call, from the store and its mirrors.
        depth: `full` hashes every payload as it lies in the store; `presence` compares sizes.

    Raises:
        CertificationError: `pointer` is not a verified nomination, the collection leaves out a digest, bytes in the
            store are not what is bound or not there, or there is no validation record that passed.
        InvalidDocumentError: a document does not fit its schema.
    """
    if not isinstance(pointer, VerifiedPointer):
        raise CertificationError(
            f"certification: expected a nomination whose signatures were verified, found {type(pointer).__name__}. "
            "Nominate it with `pe-data promote`"
        )
    body = pointer.body
    pin = StoreUri(body.country, body.dataset, None, None, body.artifact_sha256)

    def refuse_revoked(sha256: Sha256, _: str) -> None:
        revoked = revocations.find((sha256,), cached=False)
        if revoked is not None:
            raise revoked.error(pin)

    try:
        found = candidate(
            store,
            body.country,
            body.dataset,
            body.artifact_sha256,
            manifest=body.manifest_sha256,
            depth=depth,
            refuse_revoked=refuse_revoked,
        )
    except (DigestMismatchError, InputError, InvalidDocumentError, ObjectNotFoundError) as error:
        raise CertificationError(f"{pin}: cannot be certified: {error}") from error
    collection = found.contents.collection
    return Nominated(pointer, collection.run_id if collection else None, found.validation, found.contents.files)
