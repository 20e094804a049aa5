"""Resolve one `pe-data://` address: pointer, collection, manifest, payload.

What the cache holds is not asked for again; only a channel always is, because that is what a
channel is for. Channels are read from the store alone, everything else from the store and its
mirrors in order.

A pointer or a collection binds a manifest by its digest. Nothing binds the manifest of a single file that
was pinned: whoever serves it can write what they like. Such a manifest is shown, marked as not bound, and never
kept under the artifact's name. Of what it says, size and media type are hints for the place that it came from; the
digest of the payload decides, and status and access are not taken from it.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import msgspec

from pe_data.cache.entries import Suffix
from pe_data.config.settings import gated_group
from pe_data.documents.collection import COLLECTION_LIMIT, Collection, Member
from pe_data.documents.encoding import READ_LIMIT, unpack
from pe_data.documents.manifest import Manifest, Status
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
    RevokedError,
)
from pe_data.names.digests import Sha256, check_bytes, sha256_bytes
from pe_data.names.keys import Extension, collection_key, manifest_key, payload_key
from pe_data.names.uri import StoreUri
from pe_data.read.options import Options
from pe_data.read.places import Places
from pe_data.read.revocations import Revoked, find_revoked, obey
from pe_data.read.seen import SeenChannels
from pe_data.read.standing import read_latest, read_nomination
from pe_data.trust.nominations import VerifiedPointer

_SWAPPED = "It was changed or damaged, and was not kept. Tell whoever runs the store."


@dataclass(frozen=True, slots=True)
class Target:
    """What an address stands for."""

    uri: str
    pinned: str
    """The same thing by digest: what to write down for a result that others repeat."""
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


@dataclass(frozen=True, slots=True)
class _Root:
    """What the part of the address before the member stands for."""

    sha256: Sha256
    manifest_sha256: Sha256 | None
    """None for a pin: nothing binds its manifest."""
    is_collection: bool


class Remote:
    """One address, being resolved; every step happens once, when it is needed."""

    def __init__(self, uri: StoreUri, options: Options) -> None:
        self.uri, self.options = uri, options
        self.cache = options.cache.for_country(uri.country, gated_group(uri.country))
        self.places = Places.of(uri, options)
        self.stale = False

    # --- what callers ask for -----------------------------------------------------------------

    def ensure(self) -> Path:
        """The verified payload (or collection document) in the cache."""
        path = self._ensure()
        if self.pointer is not None and not self.stale:
            SeenChannels(self.cache, self.places.config.url).use(self.pointer)
        return path

    def _ensure(self) -> Path:
        if self._is_bare_pin:
            return self._ensure_pin()
        if self.is_collection:
            self.collection  # noqa: B018 - fetches and keeps it
            if self.revoked is not None:
                obey(self.revoked, self.uri, self.options, cached=True)
            path = self.cache.lookup(self._root.sha256, "collection.json")
            if path is None:
                raise FetchError(f"{self.uri}: the collection vanished from the cache; try again")
            return path
        manifest = self.manifest
        artifact = manifest.artifact
        cached = self.cache.lookup(artifact.sha256, artifact.extension, verify=self.options.verify)
        if self.revoked is not None:
            obey(self.revoked, self.uri, self.options, cached=cached is not None)
        elif manifest.status == "revoked":
            raise RevokedError(
                f"{self.uri}: expected an active artifact, found status 'revoked' in its manifest. "
                "Its publisher withdrew it; use a newer version"
            )
        return cached or self._download(manifest)

    def _ensure_pin(self) -> Path:
        """The payload or the collection with the pinned digest, which alone says what is right."""
        sha256 = self._root_sha256
        cached = self.cache.find(sha256, verify=self.options.verify)
        if self.revoked is not None:
            obey(self.revoked, self.uri, self.options, cached=cached is not None)
        return cached or self._fetch_pin(sha256)

    def target(self) -> Target:
        """Digests, size and version, without the payload."""
        if self.is_collection:
            sha256 = manifest_sha256 = self._root.sha256
            size, extension = len(self.collection_bytes), None
        else:
            artifact = self.manifest.artifact
            sha256, size, extension = artifact.sha256, artifact.size_bytes, artifact.extension
            manifest_sha256 = sha256_bytes(self.manifest_bytes)
        body = self.pointer
        return Target(
            uri=str(self.uri),
            pinned=str(replace(self.uri, channel=None, sha256=self._root.sha256)),
            country=self.uri.country,
            dataset=self.uri.dataset,
            member=self.uri.member,
            is_collection=self.is_collection,
            artifact_sha256=sha256,
            manifest_sha256=manifest_sha256,
            size_bytes=size,
            extension=extension,
            version=body.version if body else None,
            published_at=body.published_at if body else None,
            stale=self.stale,
            status="active" if self.revoked is None else "revoked",
            revoked=None if self.revoked is None else str(self.revoked.error(self.uri)),
            bound=self.is_bound,
        )

    @property
    def is_collection(self) -> bool:
        """Whether the address, with its member, names a collection."""
        return self.uri.member is None and self._root.is_collection

    @property
    def manifest(self) -> Manifest:
        """The verified manifest of the artifact (not for a collection).

        Its status is `revoked` if there is a tombstone, whatever the document says; only a manifest that is
        bound can say so too.
        """
        manifest = self.described[0]
        if self.revoked is not None:
            return msgspec.structs.replace(manifest, status="revoked")
        return manifest if self.is_bound else msgspec.structs.replace(manifest, status="active")

    @property
    def is_bound(self) -> bool:
        """Whether a pointer or a collection binds the manifest (a collection binds itself)."""
        return self.uri.member is not None or self._root.manifest_sha256 is not None

    @cached_property
    def revoked(self) -> Revoked | None:
        """The tombstone of what is asked for, or of the collection that it comes from."""
        sha256 = root = self._root_sha256
        if self.uri.member is not None:
            sha256 = self._member.artifact_sha256
        digests = tuple(dict.fromkeys((root, sha256)))
        return find_revoked(self.uri, digests, self.options, fresh=self.cache.find(sha256) is None)

    @property
    def manifest_bytes(self) -> bytes:
        """Its plain JSON, as published."""
        return self.described[1]

    @cached_property
    def described(self) -> tuple[Manifest, bytes]:
        """The verified manifest as it was published, and its plain JSON."""
        if self.uri.member is None:
            return self._manifest(self._root.sha256, self._root.manifest_sha256)
        return self._manifest(self._member.artifact_sha256, self._member.manifest_sha256)

    @property
    def _member(self) -> Member:
        """The row of the collection that the address names."""
        collection = self.collection
        try:
            return collection.member(self.uri.member or "")
        except InvalidNameError as error:
            raise InputError(f"{self.uri}: {error}") from None

    @cached_property
    def collection(self) -> Collection:
        """The verified collection behind the address."""
        what = f"{self.uri}: collection sha256:{self._root.sha256}"
        raw = self.collection_bytes
        try:
            collection = Collection.from_bytes(raw, what=what)
        except InvalidNameError as error:
            raise InvalidDocumentError(f"{what}: {error}") from None
        for name in ("country", "dataset"):
            expected, found = getattr(self.uri, name), getattr(collection, name)
            if expected != found:
                raise PointerMismatchError(
                    f"{what}: expected {name} {expected!r}, found {found!r}. The address or the "
                    "pointer belongs to another dataset"
                )
        if self.cache.lookup(self._root.sha256, "collection.json") is None:  # nothing that is none is kept
            try:
                self.cache.write_document(self._root.sha256, "collection.json", self.collection_bytes)
            except CacheError:
                if self.uri.member is None:  # it is itself what was asked for
                    raise
        return collection

    @cached_property
    def collection_bytes(self) -> bytes:
        """The collection document as stored."""
        sha256 = self._root.sha256
        if not self._root.is_collection:
            raise InputError(
                f"{self.uri}: member: expected a collection, found a single artifact "
                f"(sha256:{sha256}). Leave the member out"
            )
        return self._collection_bytes(sha256)

    def _collection_bytes(self, sha256: Sha256) -> bytes:
        path = self.cache.lookup(sha256, "collection.json", verify=self.options.verify)
        if path is not None:
            return path.read_bytes()
        data = self.places.document(
            collection_key(self.uri.country, sha256),
            COLLECTION_LIMIT,
            lambda raw, what: check_bytes(raw, sha256, what=what, advice=_SWAPPED),
        )
        return data

    @cached_property
    def pointer(self) -> PointerBody | None:
        """The channel's pointer; None for a pin."""
        if self.uri.channel is None:
            return None
        if self.uri.channel == "next":
            return self.nomination.body
        body, self.stale = read_latest(self.uri, self.places, self.options)
        return body

    @cached_property
    def nomination(self) -> VerifiedPointer:
        """The verified pointer of `@next`."""
        return read_nomination(self.uri, self.places, self.options)

    # --- how ----------------------------------------------------------------------------------

    @property
    def _is_bare_pin(self) -> bool:
        """Whether the address is a digest and nothing else, so that nothing binds a manifest."""
        return self.uri.sha256 is not None and self.uri.member is None

    @property
    def _root_sha256(self) -> Sha256:
        """The digest of the part of the address before the member."""
        sha256 = self.uri.sha256 if self.pointer is None else self.pointer.artifact_sha256
        assert sha256 is not None, "a StoreUri has a channel or a digest"
        return sha256

    @cached_property
    def _root(self) -> _Root:
        body, sha256 = self.pointer, self._root_sha256
        if body is not None:
            return _Root(sha256, body.manifest_sha256, body.is_collection)
        if self.cache.lookup(sha256, "collection.json") is not None:
            return _Root(sha256, sha256, True)
        if self.uri.member is not None:
            return _Root(sha256, sha256, True)
        try:
            self._manifest(sha256, None)
        except ObjectNotFoundError:
            return _Root(sha256, sha256, True)
        except FetchError as error:  # perhaps only because a mirror is out of reach
            try:
                self._collection_bytes(sha256)
            except (ObjectNotFoundError, FetchError):
                raise error from None
            return _Root(sha256, sha256, True)
        return _Root(sha256, None, False)

    def _manifest(self, sha256: Sha256, bound: Sha256 | None) -> tuple[Manifest, bytes]:
        """The manifest of payload `sha256`; `bound` is the digest that it must have, if known."""

        def check(stored: bytes, what: str) -> tuple[Manifest, bytes]:
            plain = unpack(stored, what)
            if bound is not None:
                check_bytes(plain, bound, what=what, advice=_SWAPPED)
            manifest = Manifest.from_bytes(plain, what)
            expected = (self.uri.country, sha256)
            found = (manifest.country, manifest.artifact.sha256)
            if expected != found:
                raise DigestMismatchError(
                    what,
                    expected=f"a manifest of {expected[0]} sha256 {expected[1]}",
                    found=f"one of {found[0]} sha256 {found[1]}",
                    advice=_SWAPPED,
                )
            if bound is None:
                self._check_against_payload(manifest, what)
            return manifest, plain

        kinds: tuple[Suffix, ...] = ("manifest.json",)
        if bound is None:  # of the file that is here; without it, whoever has it is asked
            kinds = ("manifest.json", "unbound.json") if self.cache.find(sha256) else ()
        for kind in kinds:
            kept = self.cache.read_manifest(sha256, kind)
            if kept is not None:
                try:
                    return check(kept, str(self.cache.path(sha256, kind)))
                except (DigestMismatchError, InvalidDocumentError):
                    # Damaged, or another manifest than the one that is bound, or than the payload: ask again.
                    with suppress(CacheError):
                        self.cache.remove(sha256, kind)
        manifest, plain = self.places.document(manifest_key(self.uri.country, sha256), READ_LIMIT, check)
        if bound is not None:
            with suppress(CacheError):  # it is read again next time
                self.cache.write_document(sha256, "manifest.json", plain)
        return manifest, plain

    def _check_against_payload(self, manifest: Manifest, what: str) -> None:
        """Refuse a manifest that contradicts the payload, where that is in the cache. Raises DigestMismatchError."""
        artifact = manifest.artifact
        path = self.cache.find(artifact.sha256)
        if path is None:
            return
        found = (path.stat().st_size, path.suffix.removeprefix("."))
        if (artifact.size_bytes, artifact.extension) != found:
            raise DigestMismatchError(
                what,
                expected=f"a manifest of the payload, {found[0]} bytes of {found[1]}",
                found=f"one of {artifact.size_bytes} bytes of {artifact.extension}",
                advice=_SWAPPED,
            )

    def _fetch_pin(self, sha256: Sha256) -> Path:
        """Whatever has that digest, from the first place that delivers it.

        Raises:
            ObjectNotFoundError: every place was asked, and none has it.
            GatewayError: a gateway refused, and no other place had it right.
            FetchError: some place had it wrong or did not answer, and no other had it right.
        """
        from pe_data.read.pinned import PinSearch

        search = PinSearch(self.uri, sha256, self.places, self.cache, self.options)
        path = search.run()
        self.places.warn(search.skipped)
        return path

    def _download(self, manifest: Manifest) -> Path:
        from pe_data.cache.fetch import Wanted, fetch, no_progress

        artifact = manifest.artifact
        suffix: Suffix = artifact.extension
        key = payload_key(self.uri.country, artifact.sha256, artifact.extension)
        fetched = fetch(
            self.cache,
            Wanted(artifact.sha256, suffix, artifact.size_bytes, str(self.uri)),
            [store.source(key) for store in self.places.all()],
            progress=self.options.progress or no_progress,
            on_step=self.options.on_step,
        )
        self.places.warn(fetched.skipped)
        return fetched.path
