"""A proposed version of the trust root: a file that people sign, pass on and publish.

The file holds the four documents of the version and what the signers before it are needed for: a
root after the first one takes a threshold of the keys before it and of its own. So do the other
three documents, so that a client which stands on either root believes them while the version is
being published.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from securesystemslib.signer import Signer
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from pe_data.documents.document import Document
from pe_data.errors import (
    BelowThresholdError,
    ConflictError,
    InvalidDocumentError,
    ObjectExistsError,
    ObjectNotFoundError,
    SignatureError,
    TrustRootError,
    VersionMismatchError,
)
from pe_data.names.digests import canonical_json
from pe_data.names.keys import TRUST_PREFIX
from pe_data.store.base import Store
from pe_data.trust.client import METADATA_LIMIT, TOP_LEVEL, Version, check_metadata

KIND = "pe-data trust root proposal"
TIMESTAMP_KEY = f"{TRUST_PREFIX}timestamp.json"


class ProposalFile(Document, frozen=True):
    """What the file holds: documents in The Update Framework's form, by name."""

    HEAD: ClassVar[Mapping[str, int | str]] = {"kind": KIND}
    documents: Mapping[str, dict[str, Any]]
    previous: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A version that is collecting signatures."""

    version: Version
    previous: Metadata[Root] | None
    """The root before it; None for the first."""

    def to_bytes(self) -> bytes:
        """The file, as canonical JSON."""
        documents = {name: document.to_dict() for name, document in self.version.documents.items()}
        return ProposalFile(documents, self.previous.to_dict() if self.previous else None).to_bytes()

    @classmethod
    def from_bytes(cls, raw: bytes, *, what: str) -> "Proposal":
        """Read the file. Raises InvalidDocumentError, TrustRootError."""
        found = ProposalFile.from_bytes(raw, what)
        for name in TOP_LEVEL:
            if name not in found.documents:
                raise InvalidDocumentError(f"{what}: field documents.{name}: expected an object, found nothing")
            check_metadata(canonical_json(found.documents[name]), what=f"{what}: {name}")
        try:
            version = Version(
                Metadata[Root].from_dict(found.documents[Root.type]),
                Metadata[Timestamp].from_dict(found.documents[Timestamp.type]),
                Metadata[Snapshot].from_dict(found.documents[Snapshot.type]),
                Metadata[Targets].from_dict(found.documents[Targets.type]),
            )
            previous = Metadata[Root].from_dict(found.previous) if found.previous is not None else None
        except (KeyError, TypeError, ValueError, AttributeError, RepositoryError) as error:
            raise InvalidDocumentError(f"{what}: not a version of a trust root: {error!r}") from error
        for name, document in version.documents.items():
            if document.signed.type != name or document.signed.version != version.number:
                raise InvalidDocumentError(
                    f"{what}: expected {name} of version {version.number}, found {document.signed.type} of version "
                    f"{document.signed.version}"
                )
        return cls(version, previous)

    def sign(self, signer: Signer) -> None:
        """Add a person's signature to all four documents. Raises SignatureError."""
        key_id = signer.public_key.keyid
        roots = [self.version.root.signed, *([self.previous.signed] if self.previous else [])]
        if not any(key_id in root.roles[Root.type].keyids for root in roots):
            raise SignatureError(
                f"key {key_id} belongs neither to the root of version {self.version.number} nor to the one before: "
                "its signature would not count"
            )
        if key_id in self.version.root.signatures:
            raise SignatureError(f"key {key_id} has signed this version already: expected another person's key")
        for document in self.version.documents.values():
            document.sign(signer, append=True)

    def missing(self) -> list[str]:
        """What the documents still need, for a person; empty when they can be published."""
        return [
            f"{found} of the {needed} signatures that the {whose} root's keys have to make"
            for whose, found, needed in self._counts()
            if found < needed
        ]

    def check_signed(self) -> None:
        """Raise BelowThresholdError unless every document has its signatures."""
        for whose, found, needed in self._counts():
            if found < needed:
                raise BelowThresholdError(
                    f"trust root version {self.version.number}: expected {needed} signature(s) by keys of the {whose} "
                    f"root, found {found}. Have another person sign the file with `pe-data sign`",
                    counted=found,
                    threshold=needed,
                )

    def _counts(self) -> Iterator[tuple[str, int, int]]:
        """(whose keys, fewest good signatures on any of the documents, how many it takes)."""
        roots = {"new": self.version.root.signed}
        if self.previous is not None:
            roots = {"old": self.previous.signed, **roots}
        for whose, root in roots.items():
            found = [
                len(root.get_verification_result(Root.type, document.signed_bytes, document.signatures).signed)
                for document in self.version.documents.values()
            ]
            yield whose, min(found), root.roles[Root.type].threshold


def publish(store: Store, proposal: Proposal) -> None:
    """Put a signed version into the store: targets, snapshot, timestamp, and the root last.

    A crash between any two leaves a state that clients believe, and publishing again completes it.

    Raises:
        BelowThresholdError: signatures are missing.
        ConflictError: another version with this number is there.
    """
    proposal.check_signed()
    version, number = proposal.version, proposal.version.number
    _check_follows(store, proposal)
    _create(store, f"{TRUST_PREFIX}{number}.targets.json", version.targets)
    _create(store, f"{TRUST_PREFIX}{number}.snapshot.json", version.snapshot)
    _swap_timestamp(store, version)
    _create(store, f"{TRUST_PREFIX}{number}.root.json", version.root)


def _check_follows(store: Store, proposal: Proposal) -> None:
    """The root before it, in this store, is the one that the proposal was made from."""
    if proposal.previous is None:
        if proposal.version.number != 1:
            raise TrustRootError(
                f"trust root version {proposal.version.number}: expected the root before it in the proposal, found none"
            )
        return
    key = f"{TRUST_PREFIX}{proposal.version.number - 1}.root.json"
    there = Metadata[Root].from_bytes(store.get(key, max_bytes=METADATA_LIMIT).data)
    if there.signed != proposal.previous.signed:
        raise TrustRootError(f"{store.url}: {key}: is not the root that this proposal was made from. Make it again")


def _create(store: Store, key: str, document: Metadata[Any]) -> None:
    data = document.to_bytes()
    try:
        store.put_create(key, data)
    except ObjectExistsError as error:
        there = Metadata[Any].from_bytes(store.get(key, max_bytes=METADATA_LIMIT).data)
        if there.signed != document.signed:
            raise _taken(store, key) from error


def _swap_timestamp(store: Store, version: Version) -> None:
    data = version.timestamp.to_bytes()
    current = None
    with suppress(ObjectNotFoundError):
        current = store.get(TIMESTAMP_KEY, max_bytes=METADATA_LIMIT)
    try:
        if current is None:
            store.put_create(TIMESTAMP_KEY, data)
            return
        there = Metadata[Timestamp].from_bytes(current.data).signed
        if there == version.timestamp.signed:
            return
        if there.version >= version.number:
            raise _taken(store, TIMESTAMP_KEY)
        store.put_swap(TIMESTAMP_KEY, data, current.meta.token)
    except (ObjectExistsError, VersionMismatchError) as error:
        raise _taken(store, TIMESTAMP_KEY) from error


def _taken(store: Store, key: str) -> ConflictError:
    return ConflictError(
        f"{store.url}: {key}: another person published a version with this number first. Look at it with "
        "`pe-data root show`, and make yours again from there"
    )
