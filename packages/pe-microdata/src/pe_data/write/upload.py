"""Upload the write-once objects of a publication: payloads, manifests, collections.

Each object is created exclusively. Finding it there is no failure: it is either an earlier
publication of the same bytes or our own write whose reply was lost, and it is read back and
compared before anything is reported.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pe_data.documents.collection import COLLECTION_LIMIT, NOTHING, About, Collection, Member, licensed
from pe_data.documents.encoding import pack
from pe_data.documents.manifest import Manifest
from pe_data.errors import (
    InputError,
    InvalidDocumentError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreUnavailableError,
)
from pe_data.names.countries import check_terms
from pe_data.names.digests import Sha256, check_bytes, check_digest, sha256_bytes, sha256_file
from pe_data.names.keys import check_country, collection_key, manifest_key, payload_key
from pe_data.store.artifacts import DAMAGED, as_done, check_payload, parse_manifest
from pe_data.store.base import LocalFile, ObjectMeta, Store, StoredDocument
from pe_data.store.folder import FolderStore
from pe_data.write.relying import RELY_FOR, is_old, led_to
from pe_data.write.revocation_bar import Bar

LOGGER = logging.getLogger(__name__)
BYTES_IN_FLIGHT = 1024 * 1024 * 1024
"""A conditional write holds its whole body in memory; this bounds their sum, in bytes."""


@dataclass(frozen=True, slots=True)
class Item:
    """One file to publish."""

    path: Path
    manifest: Manifest
    """What the file is; its `artifact` has the digest and the size that the bytes must have."""
    about: About = NOTHING
    """What is said of it as a member of a collection."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One artifact that is in the store now, or would be."""

    member: Member
    uploaded: bool
    """Whether its bytes were sent; False if the payload was there."""
    manifest_kept: bool
    """True if another manifest was there before, which stays."""
    licence: str
    """In force: what was said of the file now, else that of its manifest."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a publication is; handed to the progress callback after each artifact."""

    name: str
    done: int
    total: int
    bytes_done: int
    bytes_total: int


ProgressCallback = Callable[[Progress], None]


class Upload:
    """One publication into one store, up to but without the pointer.

    Args:
        dataset: The dataset that is published; what its `latest` leads to is not sent again.
        dry_run: Write nothing, and tell what would be written.
    """

    def __init__(self, store: Store, country: str, dataset: str, *, dry_run: bool = False) -> None:
        self.store = store
        self._country = check_country(country)
        self._dataset = dataset
        self._dry_run = dry_run
        self._began = time.monotonic()
        self._led_to = led_to(store, country, dataset)
        self._budget = ByteBudget(BYTES_IN_FLIGHT)
        self._bar = Bar.of(store)

    def store_items(
        self, items: Mapping[str, Item], workers: int, on_progress: ProgressCallback | None
    ) -> dict[str, Stored]:
        """Store every item; the first error stops the rest and is raised."""
        bytes_total = sum(item.manifest.artifact.size_bytes for item in items.values())
        bytes_done = 0
        stored: dict[str, Stored] = {}
        with closing(as_done(lambda row: (row[0], self.store_item(row[1])), list(items.items()), workers)) as outcomes:
            for name, one in outcomes:
                stored[name] = one
                bytes_done += one.member.size_bytes
                if on_progress:
                    on_progress(Progress(name, len(stored), len(items), bytes_done, bytes_total))
        return stored

    def store_item(self, item: Item) -> Stored:
        """Store one payload, then its manifest. Raises RevokedError for bytes that were revoked."""
        self._check(item)
        with self._budget.hold(0 if isinstance(self.store, FolderStore) else item.manifest.artifact.size_bytes):
            uploaded = self._store_payload(item)
        return _stored(item, uploaded, *self._store_manifest(item))

    def _check(self, item: Item) -> None:
        """Raise for what cannot be published, before anything is sent."""
        artifact = item.manifest.artifact
        if item.manifest.country != self._country:
            raise InputError(
                f"{item.path}: its manifest is for country {item.manifest.country!r}, expected {self._country!r}"
            )
        found = _size(item.path)
        if found != artifact.size_bytes:
            raise InputError(
                f"{item.path}: expected {artifact.size_bytes} bytes as in its manifest, found "
                f"{found}. The file changed after its manifest was made; make both again"
            )
        check_terms(self._country, item.manifest.dataset, item.manifest.access, item.manifest.licence)
        self._bar.refuse(self._country, artifact.sha256, f"{item.path}")

    def store_collection(self, collection: Collection) -> Sha256:
        """Store the collection document; returns its digest."""
        raw = collection.to_bytes()
        digest = sha256_bytes(raw)
        self._bar.refuse(self._country, digest, f"collection {collection.country}/{collection.dataset}")
        key = collection_key(self._country, digest)
        if self._dry_run:
            return digest
        try:
            self.store.put_create(key, raw)
        except (ObjectExistsError, StoreUnavailableError) as error:
            stored = _read_back(self.store, key, error)
            check_bytes(stored.data, digest, what=f"{self.store.url}: {key}", advice=DAMAGED)
            if self._may_vanish(digest, stored.meta):
                self.store.put_again(key, raw)
        return digest

    def refuse_revoked(self, digest: Sha256, what: str) -> None:
        """Raise RevokedError if the artifact, which is in the store already, was revoked."""
        self._bar.refuse(self._country, digest, what)

    def confirm(self, items: Mapping[str, Item], collection: Collection | None, workers: int) -> None:
        """Just before the pointer, if this took longer than `RELY_FOR`: store everything once more.

        What is there and young, or led to, is not sent again; what was deleted or has become old in the meantime is.
        """
        if time.monotonic() - self._began < RELY_FOR.total_seconds():
            return
        self._led_to = led_to(self.store, self._country, self._dataset)
        self._bar = Bar.of(self.store)
        self.store_items(items, workers, None)
        if collection is not None:
            self.store_collection(collection)

    def _may_vanish(self, sha256: Sha256, seen: ObjectMeta) -> bool:
        """Whether a garbage collection could be deleting an object that is there."""
        return sha256 not in self._led_to and is_old(seen)

    def _payload_state(self, item: Item) -> Literal["absent", "old", "there"]:
        """Whether a payload is in the store; an old one that nothing leads to has to be sent again."""
        try:
            there = check_payload(self.store, self._country, item.manifest.artifact)
        except ObjectNotFoundError:
            return "absent"
        return "old" if self._may_vanish(item.manifest.artifact.sha256, there) else "there"

    def _store_payload(self, item: Item) -> bool:
        artifact = item.manifest.artifact
        key = payload_key(self._country, artifact.sha256, artifact.extension)
        where = f"{self.store.url}: {key}"
        state = self._payload_state(item)
        if state == "there":
            return False
        if self._dry_run:
            advice = "The file changed after it was hashed. Describe it again."
            check_digest(sha256_file(item.path), artifact.sha256, what=str(item.path), advice=advice)
            return True
        if state == "old":
            LOGGER.info("%s: sent again, since nothing leads to it now", where)
            self.store.put_again(key, LocalFile(item.path, artifact.sha256))
            return True
        LOGGER.info("%s: sending %d bytes", where, artifact.size_bytes)
        try:
            self.store.put_create(key, LocalFile(item.path, artifact.sha256))
        except (ObjectExistsError, StoreUnavailableError) as error:
            # Our own write with a lost reply, or another publisher of the same bytes.
            try:
                check_payload(self.store, self._country, artifact, "full")
            except ObjectNotFoundError:
                raise error from None
        return True

    def _store_manifest(self, item: Item) -> tuple[Sha256, Manifest]:
        """Digest of the manifest in force, and that manifest, which may be an earlier, different one."""
        plain = item.manifest.to_bytes()
        key = manifest_key(self._country, item.manifest.artifact.sha256)
        try:
            stored = self.store.get(key)
        except ObjectNotFoundError:
            if self._dry_run:
                return sha256_bytes(plain), item.manifest
            try:
                self.store.put_create(key, pack(plain))
            except (ObjectExistsError, StoreUnavailableError) as error:
                stored = _read_back(self.store, key, error)
            else:
                return sha256_bytes(plain), item.manifest
        if not self._dry_run and self._may_vanish(item.manifest.artifact.sha256, stored.meta):
            self.store.put_again(key, stored.data)
        return self._in_force(item, stored)

    def _in_force(self, item: Item, stored: StoredDocument) -> tuple[Sha256, Manifest]:
        """Digest of the manifest that the store has, and that manifest."""
        where = f"{self.store.url}: {manifest_key(self._country, item.manifest.artifact.sha256)}"
        found = parse_manifest(stored.data, self._country, item.manifest.artifact.sha256, what=where)
        if found.manifest.artifact != item.manifest.artifact:
            expected, there = item.manifest.artifact, found.manifest.artifact
            raise InvalidDocumentError(
                f"{where}: expected {expected.size_bytes} bytes of {expected.media_type}, found {there.size_bytes} of "
                f"{there.media_type}. {DAMAGED}"
            )
        return found.sha256, found.manifest


def _stored(item: Item, uploaded: bool, manifest_sha256: Sha256, manifest: Manifest) -> Stored:
    """What became of an item, with the manifest in force."""
    artifact = item.manifest.artifact
    member = Member(
        artifact_sha256=artifact.sha256,
        manifest_sha256=manifest_sha256,
        size_bytes=artifact.size_bytes,
        extension=artifact.extension,
    ).saying(item.about)
    kept = manifest_sha256 != item.manifest.sha256
    return Stored(member, uploaded, kept, licensed(manifest, item.about).licence)


class ByteBudget:
    """Lets holders in while the sum of what they hold stays within the limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, count: int) -> Iterator[None]:
        """Wait for `count` bytes; something above the whole limit passes alone."""
        count = min(count, self._limit)
        with self._changed:
            self._changed.wait_for(lambda: self._held + count <= self._limit)
            self._held += count
        try:
            yield
        finally:
            with self._changed:
                self._held -= count
                self._changed.notify_all()


def _read_back(store: Store, key: str, cause: Exception) -> StoredDocument:
    try:
        return store.get(key, max_bytes=COLLECTION_LIMIT)
    except ObjectNotFoundError:
        raise cause from None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file to publish") from error
