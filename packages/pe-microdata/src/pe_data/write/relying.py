"""Rely on objects that are in a store already, while a garbage collection may be deleting them.

A collection deletes an artifact that nothing has led to for a grace period, by the store's clock. So a writer may
rely on an object that the channel leads to now, or that was written a moment ago: neither can become garbage within
the shortest grace period. Everything else it sends again. That makes the object young, and a collection that had
seen the old one leaves the new one alone.
"""

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from pe_data.documents.collection import COLLECTION_LIMIT
from pe_data.errors import ObjectNotFoundError
from pe_data.names import times
from pe_data.names.digests import Sha256
from pe_data.names.keys import collection_key, manifest_key, payload_key
from pe_data.read.channels import read
from pe_data.store.artifacts import parse_manifest, read_collection
from pe_data.store.base import LocalFile, ObjectMeta, Store

SHORTEST_GRACE = timedelta(hours=1)
"""No garbage collection deletes anything sooner after something led to it, or after it was written."""
RELY_FOR = SHORTEST_GRACE / 3
"""For this long a writer relies on what it saw; a third, so that clocks may differ by another one."""


def is_old(seen: ObjectMeta) -> bool:
    """Whether an object was written too long ago to rely on it, unless something leads to it."""
    return times.now() - seen.modified > RELY_FOR


def led_to(store: Store, country: str, dataset: str) -> frozenset[Sha256]:
    """What `latest` of the dataset leads to now: an artifact, and its members if it is a collection."""
    try:
        artifact = read(store, country, dataset).body.artifact_sha256
    except ObjectNotFoundError:
        return frozenset()
    return frozenset((artifact, *members_of(store, country, artifact)))


def members_of(store: Store, country: str, artifact: Sha256) -> list[Sha256]:
    """The members of a collection; none for a file, or for what is not there."""
    found = read_collection(store, country, artifact)
    return [member.artifact_sha256 for member in found[0].members.values()] if found else []


def send_again(store: Store, country: str, artifacts: Iterable[Sha256]) -> None:
    """Write every old object of these artifacts anew, with the bytes that it has; for a writer without the files.

    Raises:
        DigestMismatchError: if a payload is damaged; it stays as it is.
        ObjectNotFoundError: if a payload is missing whose manifest is there.
    """
    for artifact in artifacts:
        collection, manifest = collection_key(country, artifact), manifest_key(country, artifact)
        with suppress(ObjectNotFoundError):
            _again(store, collection)
        with suppress(ObjectNotFoundError):
            stored = store.get(manifest)
            what = f"{store.url}: {manifest}"
            extension = parse_manifest(stored.data, country, artifact, what=what).manifest.artifact.extension
            _payload_again(store, payload_key(country, artifact, extension), artifact)
            _again(store, manifest)


def _again(store: Store, key: str) -> None:
    document = store.get(key, max_bytes=COLLECTION_LIMIT)
    if is_old(document.meta):
        store.put_again(key, document.data)


def _payload_again(store: Store, key: str, artifact: Sha256) -> None:
    seen = store.head(key)
    if not is_old(seen):
        return
    descriptor, name = tempfile.mkstemp(prefix="pe-data-")
    copy = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            for piece in store.open(key, 0, seen.size).pieces():
                handle.write(piece)
        store.put_again(key, LocalFile(copy, artifact))
    finally:
        copy.unlink()
