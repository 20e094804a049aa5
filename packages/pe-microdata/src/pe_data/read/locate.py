"""From an address to what it stands for: pointer, collection, member, manifest; one function per step.

What the cache holds is not asked for again; only a channel always is, because that is what a
channel is for. Channels are read from the store alone, everything else from the store and its
mirrors in order.

A pointer, a collection or `#manifest=` in an address binds a manifest by its digest. Nothing binds the one of a
single file that was pinned without: whoever serves it can write what they like. Such a manifest is shown, marked as
not bound, and never kept under the artifact's name. Of what it says, size and media type are hints for the place that
it came from; the digest of the payload decides, and status and access are not taken from it.
"""

from contextlib import suppress
from dataclasses import dataclass, replace

import msgspec

from pe_data.cache.entries import Suffix
from pe_data.documents.collection import COLLECTION_LIMIT, NOTHING, About, Area, Collection, licensed
from pe_data.documents.encoding import READ_LIMIT
from pe_data.documents.manifest import Manifest, Status
from pe_data.documents.notice import is_gated
from pe_data.documents.pointer import PointerBody
from pe_data.errors import (
    CacheError,
    DigestMismatchError,
    FetchError,
    InputError,
    InvalidDocumentError,
    InvalidNameError,
    ObjectNotFoundError,
    PointerMismatchError,
)
from pe_data.names.digests import Sha256, check_bytes
from pe_data.names.keys import Extension, collection_key, manifest_key
from pe_data.names.uri import StoreUri
from pe_data.read.places import Places
from pe_data.read.revocations import Revocations
from pe_data.read.revoked import Revoked
from pe_data.read.standing import read_latest, read_nomination
from pe_data.store.artifacts import StoredManifest, parse_manifest

SWAPPED = "It was changed or damaged, and was not kept. Tell whoever runs the store."


@dataclass(frozen=True, slots=True)
class Located:
    """The artifact that an address leads to."""

    uri: StoreUri
    root: Sha256
    """What the part of the address before the member stands for."""
    sha256: Sha256
    """The artifact: `root`, or the payload of the member."""
    bound: Sha256 | None
    """Digest of its manifest, if a pointer or a collection says it; a collection is its own manifest."""
    collection: Collection | None = None
    """The collection that it is or comes out of."""
    raw: bytes = b""
    """The collection's document."""
    pointer: PointerBody | None = None
    """Of the channel; None for a pin."""
    stale: bool = False
    """The channel could not be read, and this is what was used last."""

    @property
    def is_collection(self) -> bool:
        """Whether the address names a whole collection; not known of a pin that nobody looked at yet."""
        return self.collection is not None and self.uri.member is None

    @property
    def about(self) -> About:
        """What its publication says of a member."""
        if self.collection is None or self.uri.member is None:
            return NOTHING
        return self.collection.member(self.uri.member).about

    @property
    def digests(self) -> tuple[Sha256, ...]:
        """The artifact and what it was reached through: if one of these is revoked, the artifact is."""
        return tuple(dict.fromkeys((self.root, self.sha256)))

    def member(self, name: str) -> "Located":
        """The same for a member of the collection. Raises InputError."""
        uri = replace(self.uri, member=name)
        if self.collection is None:
            raise InputError(
                f"{uri}: member: expected a collection, found a single artifact (sha256:{self.root}). Leave the "
                "member out"
            )
        try:
            row = self.collection.member(name)
        except InvalidNameError as error:
            raise InputError(f"{uri}: {error}") from None
        return replace(self, uri=uri, sha256=row.artifact_sha256, bound=row.manifest_sha256)


@dataclass(frozen=True, slots=True)
class Target:
    """What an address stands for."""

    uri: str
    pinned: str
    """The same thing by digest: what to write down for a result that others repeat."""
    pinned_with_manifest: str | None
    """The same with the digest of its manifest, for a single file whose manifest something binds."""
    country: str
    dataset: str
    member: str | None
    is_collection: bool
    artifact_sha256: Sha256
    manifest_sha256: Sha256
    """Of the plain JSON; a collection is its own manifest."""
    size_bytes: int
    extension: Extension | None
    """None for a collection."""
    version: int | None
    """Of the channel; None for a pin."""
    published_at: str | None
    stale: bool
    """True if the channel could not be read, and this is what was seen last."""
    status: Status = "active"
    revoked: str | None = None
    """Why, when and by whom, if it was."""
    bound: bool = True
    """False if nothing ties size and extension to the artifact: see the module."""
    area: Area | None = None
    title: str | None = None
    licence: str | None = None
    """In force: as the publication says of a member, else as the manifest says; None for a collection."""
    notes: tuple[str, ...] = ()
    citation: str | None = None


def locate(uri: StoreUri, places: Places, pointer: PointerBody | None = None) -> Located:
    """What an address leads to: through its channel, and through the collection that its member is of.

    Args:
        pointer: Leads there, if the caller has one: an earlier version of the channel, with `uri` pinned to it.

    Raises:
        ObjectNotFoundError, StoreUnavailableError, OfflineError: as `read_latest`.
        InputError: there is no such member.
    """
    stale = False
    if pointer is None:
        pointer, stale = read_pointer(uri, places)
    root = uri.sha256 if pointer is None else pointer.artifact_sha256
    assert root is not None, "a StoreUri has a channel or a digest"
    known = places.cache.lookup(root, "collection.json") is not None
    if pointer is not None and not pointer.is_collection:
        single = Located(uri, root, root, pointer.manifest_sha256, pointer=pointer, stale=stale)
        return single if uri.member is None else single.member(uri.member)
    if uri.manifest is not None and known:
        raise InputError(f"{uri}: manifest: expected a single file, found a collection. Leave #manifest= out")
    if pointer is None and uri.member is None and not known:
        return Located(uri, root, root, uri.manifest)  # of a pin nobody else says what it is
    return with_collection(Located(uri, root, root, root, pointer=pointer, stale=stale), places)


def read_pointer(uri: StoreUri, places: Places) -> tuple[PointerBody | None, bool]:
    """What the channel says now, and whether that is stale; None for a pin."""
    if uri.channel is None:
        return None, False
    if uri.channel == "next":
        return read_nomination(uri, places, places.options).body, False
    return read_latest(uri, places, places.options)


def look(uri: StoreUri, places: Places, pointer: PointerBody | None = None) -> tuple[Located, StoredManifest | None]:
    """As `locate`, with the manifest; None for a collection."""
    located = locate(uri, places, pointer)
    if located.is_collection:
        return located, None
    if located.bound is not None:
        return located, describe(located, places)
    try:
        return located, describe(located, places)
    except ObjectNotFoundError:
        return with_collection(located, places), None
    except FetchError as error:  # perhaps only because a mirror is out of reach
        try:
            return with_collection(located, places), None
        except (ObjectNotFoundError, FetchError):
            raise error from None


def revocation(
    located: Located, places: Places, *, cached: bool, now: bool = False, asked: Revocations | None = None
) -> Revoked | None:
    """The tombstone of what is asked for, or of the collection that it comes from.

    Args:
        cached: Its bytes are here, and nothing is downloaded.
        now: Ask, however recently the places were asked.
        asked: What is known for this call, where it is about many artifacts.
    """
    asked = asked or Revocations(located.uri, places.options, places, now=now)
    return asked.find(located.digests, cached=cached)


def current_manifest(located: Located, described: StoredManifest, places: Places) -> Manifest:
    """The manifest with the licence in force; its status is `revoked` if there is a tombstone, whatever it says."""
    manifest = licensed(described.manifest, located.about)
    cached = places.cache.find(located.sha256) is not None
    if revocation(located, places, cached=cached) is None:
        return manifest
    return msgspec.structs.replace(manifest, status="revoked")


def target(uri: StoreUri, places: Places) -> Target:
    """Digests, size and version, without the payload."""
    located, described = look(uri, places)
    revoked = revocation(located, places, cached=places.cache.find(located.sha256) is not None)
    body, artifact = located.pointer, described and described.manifest.artifact
    pinned = replace(uri, channel=None, sha256=located.root, manifest=None)
    single = described is not None and uri.member is None
    withheld = described and is_gated(uri.country, described.manifest.access) and not places.shows_token()
    about = NOTHING if withheld else located.about
    return Target(
        uri=str(uri),
        pinned=str(pinned),
        pinned_with_manifest=str(replace(pinned, manifest=located.bound)) if located.bound and single else None,
        country=uri.country,
        dataset=uri.dataset,
        member=uri.member,
        is_collection=described is None,
        artifact_sha256=located.sha256,
        manifest_sha256=described.sha256 if described else located.sha256,
        size_bytes=artifact.size_bytes if artifact else len(located.raw),
        extension=artifact.extension if artifact else None,
        version=body.version if body else None,
        published_at=body.published_at if body else None,
        stale=located.stale,
        status="active" if revoked is None else "revoked",
        revoked=None if revoked is None else str(revoked.error(uri)),
        bound=located.bound is not None,
        area=about.area,
        title=about.title,
        licence=licensed(described.manifest, located.about).licence if described else None,
        notes=about.notes,
        citation=about.citation,
    )


def with_collection(located: Located, places: Places) -> Located:
    """The same with its verified collection, and with the member that the address names.

    Raises:
        ObjectNotFoundError, FetchError: as `Places.document`.
        PointerMismatchError: it is of another dataset than the address says.
    """
    uri, sha256, cache = located.uri, located.root, places.cache

    def check(raw: bytes, what: str) -> bytes:
        return check_bytes(raw, sha256, what=what, advice=SWAPPED)

    kept = cache.lookup(sha256, "collection.json", verify=places.options.verify)
    if kept is None:
        raw = places.document(uri, collection_key(uri.country, sha256), COLLECTION_LIMIT, check)
    else:
        raw = kept.read_bytes()
    what = f"{uri}: collection sha256:{sha256}"
    collection = Collection.from_bytes(raw, what=what)
    for name in ("country", "dataset"):
        expected, found = getattr(uri, name), getattr(collection, name)
        if expected != found:
            raise PointerMismatchError(
                f"{what}: expected {name} {expected!r}, found {found!r}. The address or the pointer belongs to "
                "another dataset"
            )
    if kept is None:  # nothing that is none is kept
        try:
            cache.write_document(sha256, "collection.json", raw)
        except CacheError:
            if uri.member is None:  # it is itself what was asked for
                raise
    whole = replace(located, bound=sha256, collection=collection, raw=raw)
    return whole if uri.member is None else whole.member(uri.member)


def describe(located: Located, places: Places) -> StoredManifest:
    """The verified manifest of the artifact, from the cache or the first place that has it right.

    Raises:
        ObjectNotFoundError, FetchError: as `Places.document`.
    """
    sha256, bound, cache = located.sha256, located.bound, places.cache
    payload = None if bound else cache.find(sha256)

    def check(stored: bytes, what: str) -> StoredManifest:
        found = parse_manifest(stored, located.uri.country, sha256, bound, what=what, advice=SWAPPED)
        artifact = found.manifest.artifact
        if payload is not None:
            there = (payload.stat().st_size, payload.suffix.removeprefix("."))
            if (artifact.size_bytes, artifact.extension) != there:
                raise DigestMismatchError(
                    what,
                    expected=f"a manifest of the payload, {there[0]} bytes of {there[1]}",
                    found=f"one of {artifact.size_bytes} bytes of {artifact.extension}",
                    advice=SWAPPED,
                )
        if bound is None:  # what it says of its own status counts for nothing
            found = replace(found, manifest=msgspec.structs.replace(found.manifest, status="active"))
        return found

    # One that is not bound is taken for the file that is here; without it, whoever has it is asked.
    kinds: tuple[Suffix, ...] = ("manifest.json",) if bound else ("manifest.json", "unbound.json") if payload else ()
    for kind in kinds:
        kept = cache.read_manifest(sha256, kind)
        if kept is not None:
            try:
                return check(kept, str(cache.path(sha256, kind)))
            except (DigestMismatchError, InvalidDocumentError):
                # Damaged, or another manifest than the one that is bound, or than the payload: ask again.
                with suppress(CacheError):
                    cache.remove(sha256, kind)
    described = places.document(located.uri, manifest_key(located.uri.country, sha256), READ_LIMIT, check)
    if bound is not None:
        with suppress(CacheError):  # it is read again next time
            cache.write_document(sha256, "manifest.json", described.plain)
    return described
