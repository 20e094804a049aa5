"""What the channels, pins and tombstones of a store lead to.

An unreadable pointer may lead anywhere, so a root or a collection that cannot be read is an error,
never an omission.
"""

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from pe_data.documents.collection import COLLECTION_LIMIT, Collection
from pe_data.documents.pointer import POINTER_LIMIT, parse_signed
from pe_data.errors import InputError, InvalidNameError, ObjectNotFoundError, PeDataError
from pe_data.names.digests import Sha256, check_bytes
from pe_data.names.keys import (
    CHANNELS_PREFIX,
    PINS_PREFIX,
    ObjectKind,
    channel_key,
    collection_key,
    parse_object_key,
    pin_key,
)
from pe_data.read.channels import history
from pe_data.store.base import Store

Artifact = tuple[str, Sha256]
"""Country and digest."""


def reachable_artifacts(store: Store, keep_versions: int) -> frozenset[Artifact]:
    """Every artifact that a channel, a pin or a tombstone leads to, members included.

    Raises:
        InputError: if a root or a collection on the way cannot be read.
    """
    roots = set(_channel_roots(store, keep_versions))
    for meta in store.list(PINS_PREFIX):
        country, _, name = meta.key.removeprefix(PINS_PREFIX).partition("/")
        try:
            digest = Sha256(name.removesuffix(".json"))
            if meta.key != pin_key(country, digest):
                raise _unreadable(meta.key, "it is not the key of a pin")
        except InvalidNameError as error:
            raise _unreadable(meta.key, f"it is not the key of a pin: {error}") from error
        roots.add((country, digest))
    reachable = roots | tombstoned(store)
    for country, digest in roots:
        key = collection_key(country, digest)
        with suppress(ObjectNotFoundError):
            try:
                raw = store.get(key, max_bytes=COLLECTION_LIMIT).data
                check_bytes(raw, digest, what=key, advice="Run pe-data fsck.")
                members = Collection.from_bytes(raw, what=key).members.values()
            except ObjectNotFoundError:
                raise
            except PeDataError as error:
                raise _unreadable(key, str(error)) from error
            reachable.update((country, member.artifact_sha256) for member in members)
    return frozenset(reachable)


def tombstoned(store: Store) -> set[Artifact]:
    """Every artifact with a tombstone, genuine or not."""
    parsed = [parse_object_key(meta.key) for meta in store.list("")]
    return {(one.country, one.sha256) for one in parsed if one and one.kind is ObjectKind.TOMBSTONE}


def _channel_roots(store: Store, keep_versions: int) -> Iterator[Artifact]:
    for meta in store.list(CHANNELS_PREFIX):
        parts = meta.key.removeprefix(CHANNELS_PREFIX).split("/")
        if len(parts) != 3:
            continue
        country, dataset, name = parts
        try:
            if meta.key == channel_key(country, dataset, "next"):
                raw = store.get(meta.key, max_bytes=POINTER_LIMIT).data
                yield country, parse_signed(raw, what=meta.key).claimed().artifact_sha256
            elif meta.key == channel_key(country, dataset, "latest"):
                for pointer in islice(history(store, country, dataset), keep_versions):
                    yield country, pointer.body.artifact_sha256
            else:
                raise _unreadable(meta.key, f"{name} is no channel")
        except InputError:
            raise
        except PeDataError as error:
            raise _unreadable(meta.key, str(error)) from error


def _unreadable(key: str, reason: str) -> InputError:
    return InputError(
        f"{key}: this root cannot be read, so nothing was marked or deleted: {reason}. Repair it "
        "first; pe-data fsck lists what is wrong"
    )
