"""The last step: the bytes of an artifact in the cache, verified.

The payload of a pin of a single file is searched for: each place is asked in turn for all that it may have under
that digest: the payload as its own manifest describes it, a collection, and the payload under either extension. The
digest decides. What a place says that turns out wrong costs that place its turn and nobody else: neither its
manifest nor its size is kept. A manifest whose payload arrived is kept beside it as one that nothing binds.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pe_data.cache.fetch import Skipped, Wanted, WrongBytesError, fetch, no_progress, note_skipped, try_fetch
from pe_data.documents.collection import COLLECTION_LIMIT
from pe_data.documents.encoding import READ_LIMIT, unpack
from pe_data.errors import (
    CacheError,
    DigestMismatchError,
    FetchError,
    GatewayError,
    InvalidDocumentError,
    NoRoomError,
    ObjectNotFoundError,
    PeDataError,
    RevokedError,
    StoreError,
)
from pe_data.names.digests import check_bytes
from pe_data.names.keys import EXTENSIONS, SIZE_LIMIT, Extension, collection_key, manifest_key, payload_key
from pe_data.names.uri import StoreUri
from pe_data.read.locate import (
    SWAPPED,
    Described,
    Located,
    checked_collection,
    checked_manifest,
    describe,
    locate,
    revocation,
)
from pe_data.read.options import Options
from pe_data.read.places import Places
from pe_data.read.revocations import obey
from pe_data.read.seen import SeenChannels
from pe_data.store.base import Store

T = TypeVar("T")


def ensure_store(uri: StoreUri, options: Options) -> Path:
    """The verified payload, or collection document, that a `pe-data://` address leads to."""
    places = Places.of(uri, options)
    located = locate(uri, places)
    path = bring(located, places)
    note_use(located, places)
    return path


def note_use(located: Located, places: Places) -> None:
    """Remember that what a channel leads to is here: it stands in when the store is out of reach."""
    if located.pointer is not None and not located.stale:
        SeenChannels(places.cache, places.config.url).use(located.pointer)


def bring(located: Located, places: Places) -> Path:
    """The file in the cache, downloaded if it has to be.

    Raises:
        RevokedError: it was revoked.
        ObjectNotFoundError, FetchError, GatewayError: no place has it right.
        CacheError: the cache cannot be written.
    """
    uri, options = located.uri, places.options
    cached = places.cache.find(located.sha256, verify=options.verify)
    revoked = revocation(located, places, cached=cached is not None)
    if revoked is not None:
        obey(revoked, uri, options, cached=cached is not None)
    if cached is not None:
        return cached
    try:
        return _download(located, places)
    except (ObjectNotFoundError, FetchError):  # perhaps because it was revoked since the list was read
        revoked = revocation(located, places, cached=False, now=True)
        if revoked is not None:
            raise revoked.error(uri) from None
        raise


def _download(located: Located, places: Places) -> Path:
    uri, options = located.uri, places.options
    if located.is_collection:
        raise FetchError(f"{uri}: the collection vanished from the cache; try again")
    if located.bound is None:
        return _Search(located, places).run()
    manifest = describe(located, places).manifest
    if manifest.status == "revoked":
        raise RevokedError(
            f"{uri}: expected an active artifact, found status 'revoked' in its manifest. "
            "Its publisher withdrew it; use a newer version"
        )
    artifact = manifest.artifact
    key = payload_key(uri.country, artifact.sha256, artifact.extension)
    fetched = fetch(
        places.cache,
        Wanted(artifact.sha256, artifact.extension, artifact.size_bytes, str(uri)),
        [store.source(key) for store in places.all()],
        progress=options.progress or no_progress,
    )
    places.warn(uri, fetched.skipped)
    return fetched.path


@dataclass(frozen=True, slots=True)
class _Offer:
    """What a place says that it has."""

    store: Store
    extension: Extension
    size: int
    """Bytes."""


@dataclass(slots=True)
class _Search:
    """One search through the places for whatever has a digest; use once."""

    located: Located
    places: Places
    skipped: list[Skipped] = field(default_factory=list)
    """Places that had something, and not what the digest says."""
    absent: list[str] = field(default_factory=list)
    slow: list[_Offer] = field(default_factory=list)

    def run(self) -> Path:
        """The verified file in the cache. Raises as `bring`."""
        stores = self.places.all()
        for number, store in enumerate(stores):
            count = len(self.skipped)
            path = self._from(store, others=number + 1 < len(stores) or bool(self.slow))
            if path is not None:
                return self._found(path)
            if len(self.skipped) == count:
                self.absent.append(store.url)
        again, self.slow = self.slow, []
        for number, offer in enumerate(again):
            path = self._payload(offer, others=number + 1 < len(again))
            if path is not None:
                return self._found(path)
        raise self._nothing()

    def _found(self, path: Path) -> Path:
        self.places.warn(self.located.uri, self.skipped)
        return path

    def _from(self, store: Store, *, others: bool) -> Path | None:
        """What one place has under the digest, if it is right."""
        located, count, told = self.located, len(self.skipped), None
        country, sha256 = located.uri.country, located.sha256
        described = self._document(store, manifest_key(country, sha256), READ_LIMIT, self._described)
        if len(self.skipped) > count:  # a document that nobody should have written: whatever else is there
            return None
        if described is not None:
            artifact = described.manifest.artifact
            told = _Offer(store, artifact.extension, artifact.size_bytes)
            path = self._payload(told, others=others)
            if path is not None:
                with suppress(CacheError):
                    self.places.cache.write_document(sha256, "unbound.json", described.raw)
                return path
            if self.skipped[-1].slow:
                return None
        raw = self._document(store, collection_key(country, sha256), COLLECTION_LIMIT, self._right)
        if raw is not None:
            checked_collection(raw, located.uri, sha256)
            return self.places.cache.write_document(sha256, "collection.json", raw)
        for extension in EXTENSIONS:
            try:
                size = store.head(payload_key(country, sha256, extension)).size
            except StoreError as error:
                self._skip(store, error)
                continue
            offer = _Offer(store, extension, size)
            path = self._payload(offer, others=others) if offer != told else None
            if path is not None:
                return path
        return None

    def _document(self, store: Store, key: str, limit: int, check: Callable[[bytes, str], T]) -> T | None:
        what = f"{store.url}: {key}"
        try:
            return check(store.get(key, max_bytes=limit).data, what)
        except (StoreError, InvalidDocumentError, DigestMismatchError) as error:
            self._skip(store, error)
            return None

    def _described(self, stored: bytes, what: str) -> Described:
        plain = unpack(stored, what)
        return Described(checked_manifest(plain, self.located.uri, self.located.sha256, what), plain)

    def _right(self, raw: bytes, what: str) -> bytes:
        return check_bytes(raw, self.located.sha256, what=what, advice=SWAPPED)

    def _payload(self, offer: _Offer, *, others: bool) -> Path | None:
        located, options, store = self.located, self.places.options, offer.store
        if offer.size > SIZE_LIMIT:
            error = WrongBytesError(f"at most {SIZE_LIMIT} bytes", f"a claim of {offer.size}")
            self.skipped.append(Skipped(store.url, error))
            return None
        key = payload_key(located.uri.country, located.sha256, offer.extension)
        count = len(self.skipped)
        try:
            fetched = try_fetch(
                self.places.cache,
                Wanted(located.sha256, offer.extension, offer.size, str(located.uri)),
                [store.source(key)],
                self.skipped,
                others=others,
                progress=options.progress or no_progress,
            )
        except NoRoomError as error:  # for what a place merely claims
            self.skipped.append(Skipped(store.url, error))
            return None
        if fetched is None and any(one.slow for one in self.skipped[count:]):
            self.slow.append(offer)
        return fetched.path if fetched else None

    def _skip(self, store: Store, error: PeDataError) -> None:
        if not isinstance(error, ObjectNotFoundError):
            self.skipped.append(Skipped(store.url, error))
            note_skipped(self.places.cache, str(self.located.uri), self.skipped[-1:])

    def _nothing(self) -> PeDataError:
        uri, errors = self.located.uri, [one.error for one in self.skipped]
        if not errors:
            places = ", ".join(self.absent)
            return ObjectNotFoundError(
                f"{uri}: expected a payload or a collection with that digest, found none in {places}"
            )
        if len(errors) == 1 and isinstance(errors[0], NoRoomError):
            return errors[0]
        for error in errors:
            if isinstance(error, GatewayError):  # it says what to do, which a list of places would bury
                return error
        tried = "; ".join(f"{one.source}: {one.reason}" for one in self.skipped)
        return FetchError(
            f"{uri}: expected bytes with sha256 {self.located.sha256}, found no place that has them ({tried}). Try "
            "again later, add a mirror, or ask the publisher"
        )
