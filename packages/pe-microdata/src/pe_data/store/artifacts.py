"""An artifact as it lies in one store: its documents, held against the digests that name them, and its payloads.

Whoever must know that an artifact is whole asks here: publishing, moving a channel, nominating, certifying, mirroring
and the check of a whole store.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Literal, TypeVar

from pe_data.documents.collection import COLLECTION_LIMIT, Collection, Member, licensed
from pe_data.documents.encoding import READ_LIMIT, unpack
from pe_data.documents.manifest import Artifact, Manifest
from pe_data.documents.validation import Validation
from pe_data.errors import DigestMismatchError, InvalidDocumentError, ObjectNotFoundError
from pe_data.names.digests import Sha256, check_bytes, check_digest, sha256_bytes, sha256_pieces
from pe_data.names.keys import collection_key, manifest_key, payload_key
from pe_data.names.uri import StoreUri
from pe_data.store.base import ObjectMeta, Store
from pe_data.store.byte_source import Body

WORKERS = 8
DAMAGED = "The store holds a damaged object: run pe-data fsck, remove what it names, publish again."
Depth = Literal["full", "presence"]
"""Of the look at a payload: `full` hashes it, `presence` compares its size."""
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest as a store has it."""

    manifest: Manifest
    stored: bytes
    """As it lies in the store, plain or compressed."""
    plain: bytes
    """Its JSON."""
    sha256: Sha256
    """Of the plain JSON."""

    @property
    def member(self) -> Member:
        """The payload, as a collection would list it."""
        artifact = self.manifest.artifact
        return Member(artifact.sha256, self.sha256, artifact.size_bytes, artifact.extension)


@dataclass(frozen=True, slots=True)
class File:
    """One file of an artifact, described."""

    name: str | None
    """In the collection; None for a single file."""
    member: Member
    manifest: Manifest
    """With the licence in force: that of the row of a collection, if it says one."""
    address: StoreUri
    """Pinned to the artifact that it is of."""

    @property
    def full_name(self) -> str:
        """`dataset`, or `dataset/member` of a collection."""
        return f"{self.address.dataset}/{self.name}" if self.name else self.address.dataset


@dataclass(frozen=True, slots=True)
class Contents:
    """An artifact with everything that belongs to it but the payloads."""

    country: str
    dataset: str
    sha256: Sha256
    manifest_sha256: Sha256
    """Again `sha256` for a collection."""
    collection: Collection | None
    files: tuple[File, ...]
    """By name."""
    validation: Validation | None

    @property
    def artifacts(self) -> tuple[Sha256, ...]:
        """Its own digest and those of its members, each once."""
        return tuple(dict.fromkeys((self.sha256, *(file.member.artifact_sha256 for file in self.files))))


def parse_collection(raw: bytes, country: str, sha256: Sha256, *, what: str, advice: str = DAMAGED) -> Collection:
    """The collection with that digest.

    Raises:
        DigestMismatchError: other bytes.
        InvalidDocumentError: no collection, or one of another country.
    """
    collection = Collection.from_bytes(check_bytes(raw, sha256, what=what, advice=advice), what)
    if collection.country != country:
        raise InvalidDocumentError(f"{what}: expected a collection of {country}, found {collection.country}. {advice}")
    return collection


def parse_manifest(
    stored: bytes, country: str, sha256: Sha256, bound: Sha256 | None = None, *, what: str, advice: str = DAMAGED
) -> StoredManifest:
    """The manifest of the artifact `sha256`, plain or compressed.

    Args:
        bound: Digest of its plain JSON, if something says it.

    Raises:
        DigestMismatchError: not the one that is bound.
        InvalidDocumentError: no manifest, or one of another artifact or country.
    """
    plain = unpack(stored, what)
    if bound is not None:
        check_bytes(plain, bound, what=what, advice=advice)
    manifest = Manifest.from_bytes(plain, what)
    found = manifest.artifact.sha256
    if (manifest.country, found) != (country, sha256):
        other = "" if manifest.country == country else f" of country {manifest.country}"
        raise InvalidDocumentError(
            f"{what}: expected the manifest of sha256:{sha256}, found one of sha256:{found}{other}. {advice}"
        )
    return StoredManifest(manifest, stored, plain, sha256_bytes(plain) if bound is None else bound)


def read_collection(
    store: Store, country: str, sha256: Sha256, *, advice: str = DAMAGED
) -> tuple[Collection, bytes] | None:
    """The collection `sha256` and its bytes; None if the store has none of that digest. Raises as the parser."""
    key = collection_key(country, sha256)
    try:
        raw = store.get(key, max_bytes=COLLECTION_LIMIT).data
    except ObjectNotFoundError:
        return None
    return parse_collection(raw, country, sha256, what=f"{store.url}: {key}", advice=advice), raw


def read_manifest(
    store: Store, country: str, sha256: Sha256, bound: Sha256 | None = None, *, advice: str = DAMAGED
) -> StoredManifest:
    """The manifest of the artifact `sha256`. Raises ObjectNotFoundError, and as the parser."""
    key = manifest_key(country, sha256)
    stored = store.get(key, max_bytes=READ_LIMIT).data
    return parse_manifest(stored, country, sha256, bound, what=f"{store.url}: {key}", advice=advice)


def read_contents(store: Store, country: str, sha256: Sha256, bound: Sha256 | None = None) -> Contents:
    """The documents of an artifact, with those of its members.

    Args:
        bound: Digest of its manifest, if something says it; `sha256` itself for a collection.

    Raises:
        ObjectNotFoundError: one of the documents is not there.
        DigestMismatchError, InvalidDocumentError: one of them is not what names it, or contradicts another one.
    """
    found = read_collection(store, country, sha256) if bound in (None, sha256) else None
    if found is None and bound == sha256:
        raise ObjectNotFoundError(f"{store.url}: {collection_key(country, sha256)}: expected a collection, found none")
    if found is None:
        one = read_manifest(store, country, sha256, bound)
        manifest = one.manifest
        files = (File(None, one.member, manifest, StoreUri(country, manifest.dataset, None, None, sha256)),)
        return Contents(country, manifest.dataset, sha256, one.sha256, None, files, manifest.validation)

    collection = found[0]

    def described(row: tuple[str, Member]) -> File:
        name, member = row
        described = read_manifest(store, country, member.artifact_sha256, member.manifest_sha256)
        if described.member != member.bare:
            raise InvalidDocumentError(
                f"{store.url}: {collection_key(country, sha256)}: field members.{name}: expected {member.size_bytes} "
                f"bytes of {member.extension}, found {described.member.size_bytes} of {described.member.extension} in "
                f"the manifest. {DAMAGED}"
            )
        address = StoreUri(country, collection.dataset, name, None, sha256)
        return File(name, member, licensed(described.manifest, member), address)

    members = tuple(each(described, sorted(collection.members.items())))
    return Contents(country, collection.dataset, sha256, sha256, collection, members, collection.validation)


def check_payload(
    store: Store, country: str, artifact: Artifact, depth: Depth = "presence", *, advice: str = DAMAGED
) -> ObjectMeta:
    """What the store says of a payload that has the size and, at full depth, the digest of its manifest.

    Raises:
        ObjectNotFoundError: it is not there.
        DigestMismatchError: it is another one.
    """
    key = payload_key(country, artifact.sha256, artifact.extension)
    what = f"{store.url}: {key}"
    size, there = artifact.size_bytes, store.head(key)
    expected, found = f"{size} bytes", f"{there.size} bytes"
    if found == expected and depth == "full":
        whole = store.open(key)  # no range: a server may refuse one that goes beyond the end
        cut = Body(whole.readinto, whole.close, total=whole.total, length=size + 1)  # shows that a body is longer
        digest, read = sha256_pieces(cut.pieces())
        if read > size:
            found = f"more than {size} bytes"
        else:
            check_digest(digest, artifact.sha256, what=what, advice=advice)
    if found != expected:
        raise DigestMismatchError(what, expected=expected, found=found, advice=advice)
    return there


def each(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`work` on every item, some at a time; the first error stops the rest and is raised."""
    return list(as_done(work, items, WORKERS, lambda futures: futures))


def as_done(
    work: Callable[[T], R],
    items: Sequence[T],
    workers: int,
    order: Callable[[list[Future[R]]], Iterable[Future[R]]] = as_completed,
) -> Generator[R, None, None]:
    """The same, with each outcome when it is there, or in another `order`.

    Whoever may leave before the last outcome closes it (`contextlib.closing`): that waits for what has begun and
    cancels the rest. A traceback would else keep it, and its workers, at work.
    """
    with ThreadPoolExecutor(max_workers=workers) as pool:
        try:
            yield from (future.result() for future in order([pool.submit(work, item) for item in items]))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
