"""Find the payload or the collection with a pinned digest, when nothing else is known of it.

Each place is asked in turn for all that it may have under that digest: the payload as its own manifest
describes it, a collection, and the payload under either extension. The digest decides. What a place says
that turns out wrong costs that place its turn and nobody else: neither its manifest nor its size is kept.
A manifest whose payload arrived is kept beside it as one that nothing binds.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pe_data.cache.entries import Cache
from pe_data.cache.fetch import Skipped, Wanted, WrongBytesError, no_progress, note_skipped, try_fetch
from pe_data.documents.collection import COLLECTION_LIMIT, Collection
from pe_data.documents.encoding import READ_LIMIT, unpack
from pe_data.documents.manifest import Manifest
from pe_data.errors import (
    CacheError,
    DigestMismatchError,
    FetchError,
    GatewayError,
    InvalidDocumentError,
    NoRoomError,
    ObjectNotFoundError,
    PointerMismatchError,
    StoreError,
)
from pe_data.names.digests import Sha256, check_bytes
from pe_data.names.keys import EXTENSIONS, SIZE_LIMIT, Extension, collection_key, manifest_key, payload_key
from pe_data.names.uri import StoreUri
from pe_data.read.options import Options
from pe_data.read.places import Places
from pe_data.store.base import Store

_WRONG = "It was changed or damaged, and was not kept. Tell whoever runs the store."
Hint = tuple[Extension, int]
"""What a place says that the payload is: extension and size in bytes."""


@dataclass(slots=True)
class PinSearch:
    """One search through the places; use once."""

    uri: StoreUri
    sha256: Sha256
    places: Places
    cache: Cache
    options: Options
    skipped: list[Skipped] = field(default_factory=list)
    """Places that had something, and not what the digest says."""
    _absent: list[str] = field(default_factory=list)
    _refused: GatewayError | None = None
    _full: NoRoomError | None = None

    def run(self) -> Path:
        """The verified file in the cache. Raises as `Remote.ensure`."""
        slow: list[tuple[Store, Hint]] = []
        stores = self.places.all()
        for number, store in enumerate(stores):
            path = self._from(store, slow, others=number + 1 < len(stores) or bool(slow))
            if path is not None:
                return path
        for number, (store, hint) in enumerate(slow):
            path = self._payload(store, hint, slow=None, others=number + 1 < len(slow))
            if path is not None:
                return path
        raise self._nothing()

    def _from(self, store: Store, slow: list[tuple[Store, Hint]], *, others: bool) -> Path | None:
        """What one place has under the digest, if it is right."""
        count = len(self.skipped)
        described = self._described(store)
        if len(self.skipped) > count:  # a document that nobody should have written: whatever else is there
            return None
        told: Hint | None = None
        if described is not None:
            manifest, plain = described
            told = (manifest.artifact.extension, manifest.artifact.size_bytes)
            path = self._payload(store, told, slow, others=others)
            if path is not None:
                with suppress(CacheError):
                    self.cache.write_document(self.sha256, "unbound.json", plain)
                return path
            if self.skipped[-1].slow:
                return None
        collection = self._collection(store)
        if collection is not None:
            return collection
        for hint in self._heads(store):
            if hint != told:
                path = self._payload(store, hint, slow, others=others)
                if path is not None:
                    return path
        if len(self.skipped) == count:
            self._absent.append(store.url)
        return None

    def _described(self, store: Store) -> tuple[Manifest, bytes] | None:
        """The place's own manifest, with its plain JSON."""
        key = manifest_key(self.uri.country, self.sha256)
        what = f"{store.url}: {key}"
        try:
            plain = unpack(store.get(key, max_bytes=READ_LIMIT).data, what)
            manifest = Manifest.from_bytes(plain, what)
            if (manifest.country, manifest.artifact.sha256) != (self.uri.country, self.sha256):
                raise InvalidDocumentError(f"{what}: expected the manifest of this artifact. {_WRONG}")
        except (StoreError, InvalidDocumentError) as error:
            self._skip(store, error)
            return None
        return manifest, plain

    def _heads(self, store: Store) -> Iterator[Hint]:
        """Payloads that the place says it has, with or without a manifest."""
        for extension in EXTENSIONS:
            try:
                size = store.head(payload_key(self.uri.country, self.sha256, extension)).size
            except StoreError as error:
                self._skip(store, error)
            else:
                yield extension, size

    def _payload(self, store: Store, hint: Hint, slow: list[tuple[Store, Hint]] | None, *, others: bool) -> Path | None:
        extension, size = hint
        if size > SIZE_LIMIT:
            self.skipped.append(
                Skipped(store.url, WrongBytesError(f"at most {SIZE_LIMIT} bytes", f"a claim of {size}"))
            )
            return None
        key = payload_key(self.uri.country, self.sha256, extension)
        count = len(self.skipped)
        try:
            fetched = try_fetch(
                self.cache,
                Wanted(self.sha256, extension, size, str(self.uri)),
                [store.source(key)],
                self.skipped,
                others=others,
                progress=self.options.progress or no_progress,
                on_step=self.options.on_step,
            )
        except NoRoomError as error:  # for what a place merely claims
            self._full = error
            self.skipped.append(Skipped(store.url, error))
            return None
        if fetched is None and slow is not None and any(one.slow for one in self.skipped[count:]):
            slow.append((store, hint))
        return fetched.path if fetched else None

    def _collection(self, store: Store) -> Path | None:
        key = collection_key(self.uri.country, self.sha256)
        what = f"{store.url}: {key}"
        try:
            data = store.get(key, max_bytes=COLLECTION_LIMIT).data
            check_bytes(data, self.sha256, what=what, advice=_WRONG)
        except (StoreError, InvalidDocumentError, DigestMismatchError) as error:
            self._skip(store, error)
            return None
        collection = Collection.from_bytes(data, what=f"{self.uri}: collection sha256:{self.sha256}")
        if (collection.country, collection.dataset) != (self.uri.country, self.uri.dataset):
            raise PointerMismatchError(
                f"{self.uri}: collection sha256:{self.sha256}: expected one of {self.uri.country}/{self.uri.dataset}, "
                f"found one of {collection.country}/{collection.dataset}. The address belongs to another dataset"
            )
        return self.cache.write_document(self.sha256, "collection.json", data)

    def _skip(self, store: Store, error: StoreError | InvalidDocumentError | DigestMismatchError) -> None:
        if isinstance(error, ObjectNotFoundError):
            return
        if isinstance(error, GatewayError):
            self._refused = self._refused or error
        skipped = Skipped(store.url, error)
        self.skipped.append(skipped)
        note_skipped(self.cache, str(self.uri), [skipped])

    def _nothing(self) -> StoreError | FetchError | NoRoomError:
        if not self.skipped:
            places = ", ".join(self._absent)
            return ObjectNotFoundError(
                f"{self.uri}: expected a payload or a collection with that digest, found none in {places}"
            )
        if self._full is not None and len(self.skipped) == 1:
            return self._full
        if self._refused is not None:  # it says what to do, which a list of places would bury
            return self._refused
        tried = "; ".join(f"{one.source}: {one.reason}" for one in self.skipped)
        return FetchError(
            f"{self.uri}: expected bytes with sha256 {self.sha256}, found no place that has them ({tried}). Try again "
            "later, add a mirror, or ask the publisher"
        )
