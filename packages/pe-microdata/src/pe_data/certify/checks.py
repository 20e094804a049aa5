"""What must hold of a nominated artifact before it is certified.

Every check reads what the signed pointer binds, and nothing else: pointer → collection → manifests →
payloads. Each failure is an error of its own kind.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from pe_data.certify.schemas import check_schema
from pe_data.documents.collection import Member
from pe_data.documents.manifest import Manifest
from pe_data.documents.pointer import PointerBody
from pe_data.documents.validation import Validation
from pe_data.errors import CertificationError, DigestMismatchError, InvalidDocumentError, ObjectNotFoundError
from pe_data.names.digests import HashingStream, Sha256, sha256_bytes, strict_json
from pe_data.names.keys import payload_key
from pe_data.names.uri import StoreUri
from pe_data.read.locate import Described, Located, collection_bytes, describe, follow
from pe_data.read.places import Places
from pe_data.read.revocations import find_revoked
from pe_data.store.base import Store
from pe_data.trust.nominations import VerifiedPointer

WORKERS = 8
DIGESTS = ("artifact_sha256", "manifest_sha256")
Depth = Literal["full", "presence"]
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Checked:
    """One file of a nominated dataset, after every check."""

    name: str
    """`dataset`, or `dataset/member` of a collection."""
    uri: StoreUri
    """Pinned."""
    member: Member
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Nominated:
    """One dataset, after every check."""

    pointer: VerifiedPointer
    run_id: str | None
    """Of a collection."""
    validation: Validation
    files: tuple[Checked, ...]
    """By name."""


def check_nomination(pointer: VerifiedPointer, places: Places, *, depth: Depth = "full") -> Nominated:
    """Check everything that a verified nomination leads to.

    Args:
        pointer: Verified; anything else is refused, whatever it says.
        places: Of its country; the payloads are looked at in the store itself.
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
    # What was verified is what is used, not what stands there a moment later.
    try:
        located = _located(StoreUri(body.country, body.dataset, None, "next", None), places, body)
        if located.collection is not None:
            found = _members(located, pin, places)
            run_id, validation = located.collection.run_id, located.collection.validation
        else:
            found, run_id = [_single(located, pin, places)], None
            validation = found[0].manifest.validation
    except DigestMismatchError as error:
        raise CertificationError(str(error)) from error
    digests = [body.artifact_sha256, *(one.member.artifact_sha256 for one in found)]
    _refuse_revoked(pin, digests, places)
    store = places.main()
    _each(lambda one: _check_payload(store, one, depth), found)
    return Nominated(pointer, run_id, _passed(validation, pin), tuple(found))


def diagnose(error: InvalidDocumentError, raw: bytes, what: str) -> None:
    """Raise CertificationError if `raw`, which was refused with `error`, leaves out a digest."""
    document = strict_json(raw, what=what)
    rows = [document]
    members = document.get("members")
    if isinstance(members, dict):
        rows = [row for row in members.values() if isinstance(row, dict)]
    for row in rows:
        for name in DIGESTS:
            if row.get(name) is None:
                raise CertificationError(
                    f"{what}: field {name}: expected a sha256, found none. Without it nothing is pinned, and nothing "
                    "is certified"
                ) from error


def _located(uri: StoreUri, places: Places, body: PointerBody) -> Located:
    """What the pointer leads to; a collection fits its schema."""
    try:
        located = follow(uri, places, body)
    except InvalidDocumentError as error:
        if body.is_collection:
            raw, _ = collection_bytes(uri, body.artifact_sha256, places)
            diagnose(error, raw, f"{uri}: collection")
        raise
    if located.collection is not None:
        what = f"{uri}: collection"
        check_schema("collection", strict_json(located.raw, what=what), what=what)
    return located


def _members(located: Located, pin: StoreUri, places: Places) -> list[Checked]:
    def one(item: tuple[str, Member]) -> Checked:
        name, member = item
        uri = replace(pin, member=name)
        return Checked(f"{pin.dataset}/{name}", uri, member, _described(located.member(name), places).manifest)

    assert located.collection is not None, "of a collection"
    return _each(one, sorted(located.collection.members.items()))


def _single(located: Located, pin: StoreUri, places: Places) -> Checked:
    described = _described(located, places)
    manifest, artifact = described.manifest, described.manifest.artifact
    if manifest.dataset != pin.dataset:
        raise CertificationError(f"{pin}: manifest: expected dataset {pin.dataset!r}, found {manifest.dataset!r}")
    member = Member(artifact.sha256, sha256_bytes(described.raw), artifact.size_bytes, artifact.extension)
    return Checked(pin.dataset, pin, member, manifest)


def _described(located: Located, places: Places) -> Described:
    what = f"{located.uri}: manifest"
    described = describe(located, places)
    check_schema("manifest", strict_json(described.raw, what=what), what=what)
    return described


def _refuse_revoked(pin: StoreUri, digests: Sequence[Sha256], places: Places) -> None:
    def ask(sha256: Sha256) -> None:
        revoked = find_revoked(pin, (sha256,), places.options, fresh=True, places=places)
        if revoked is not None:
            raise revoked.error(pin)

    _each(ask, list(dict.fromkeys(digests)))


def _check_payload(store: Store, one: Checked, depth: Depth) -> None:
    """The payload as it lies in the store has the size and, at full depth, the digest of its name."""
    member = one.member
    key = payload_key(one.uri.country, member.artifact_sha256, member.extension)
    what = f"{store.url}: {key}"
    try:
        if depth == "presence":
            size = store.head(key).size
            if size != member.size_bytes:
                raise CertificationError(f"{what}: expected {member.size_bytes} bytes, found {size}. Run pe-data fsck")
            return
        stream = HashingStream(store.open(key).pieces(), what=what, max_bytes=member.size_bytes)
        for _ in stream:
            pass
    except (ObjectNotFoundError, DigestMismatchError) as error:
        raise CertificationError(
            f"{one.uri}: the payload is not what it should be: {error}. Run pe-data fsck"
        ) from error
    if (stream.digest, stream.size) != (member.artifact_sha256, member.size_bytes):
        raise CertificationError(
            f"{what}: expected sha256 {member.artifact_sha256} over {member.size_bytes} bytes, found "
            f"{stream.digest} over {stream.size}. Run pe-data fsck"
        )


def _passed(validation: Validation | None, pin: StoreUri) -> Validation:
    if validation is None:
        raise CertificationError(
            f"{pin}: validation: expected a record that passed, found none. Publish it with its validation records, "
            "then nominate that"
        )
    if validation.status != "passed":
        raise CertificationError(f"{pin}: validation: expected a record that passed, found {validation.summary()}")
    return validation


def _each(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`work` on every item, some at a time; the first error stops the rest and is raised."""
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
