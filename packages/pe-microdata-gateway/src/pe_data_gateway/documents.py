"""Read documents of the store for the gateway, and cache those that never change.

Manifests and collections are write-once, so that a kept one is as good as the store's. Pointers,
tombstones and the trust root are read every time. The store is asked in threads, and once for many
requests that want the same document.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from anyio import to_thread

from pe_data.errors import ObjectNotFoundError
from pe_data.names.digests import Sha256
from pe_data.store.artifacts import read_collection, read_manifest
from pe_data.store.base import Store
from pe_data_gateway.audit.records import NamedInput
from pe_data_gateway.together import Together

KEPT_BYTES = 64 * 1024 * 1024
_DAMAGED = "The store has it damaged; run `pe-data fsck`."


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or a collection as stored, and what the log has to say of it."""

    raw: bytes
    dataset: str
    digest: Sha256
    """Of the plain JSON."""
    inputs: tuple[NamedInput, ...]


_Read = Callable[[Store, str, Sha256], Document]
_Place = tuple[_Read, str, Sha256]


class Documents:
    """Reads documents of one store; use from one event loop."""

    def __init__(self, store: Store, kept_bytes: int = KEPT_BYTES) -> None:
        self.store, self._limit = store, kept_bytes
        self._kept: OrderedDict[_Place, Document] = OrderedDict()
        self._size = 0
        self._coming: Together[_Place, Document] = Together()

    async def manifest(self, country: str, sha256: Sha256) -> Document:
        """The manifest of a payload. Raises ObjectNotFoundError, or PeDataError if it is not what it should be."""
        return await self._get(_read_manifest, country, sha256)

    async def collection(self, country: str, sha256: Sha256) -> Document:
        """A collection. Raises as `manifest`."""
        return await self._get(_read_collection, country, sha256)

    async def fresh(self, key: str, limit: int) -> bytes:
        """An object that may change. Raises StoreError."""
        return (await to_thread.run_sync(lambda: self.store.get(key, max_bytes=limit))).data

    async def _get(self, read: _Read, country: str, sha256: Sha256) -> Document:
        place = (read, country, sha256)
        kept = self._kept.get(place)
        if kept is not None:
            self._kept.move_to_end(place)
            return kept
        document = await self._coming.get(place, read, self.store, country, sha256)
        self._keep(place, document)
        return document

    def _keep(self, place: _Place, document: Document) -> None:
        if place in self._kept:
            return
        self._kept[place] = document
        self._size += len(document.raw)
        while self._size > self._limit and len(self._kept) > 1:
            _, gone = self._kept.popitem(last=False)
            self._size -= len(gone.raw)


def _read_manifest(store: Store, country: str, sha256: Sha256) -> Document:
    found = read_manifest(store, country, sha256, advice=_DAMAGED)
    files = found.manifest.inputs.files if found.manifest.inputs else ()
    inputs = tuple(NamedInput(one.name, one.sha256) for one in files)
    return Document(found.stored, found.manifest.dataset, found.sha256, inputs)


def _read_collection(store: Store, country: str, sha256: Sha256) -> Document:
    found = read_collection(store, country, sha256, advice=_DAMAGED)
    if found is None:
        raise ObjectNotFoundError(f"{store.url}: there is no collection sha256:{sha256} of {country}")
    collection, raw = found
    return Document(raw, collection.dataset, sha256, ())
