"""Find out whether a store honours conditional writes before anything depends on it.

Some S3-compatible servers ignore `If-None-Match` and `If-Match` and answer 200. On such a
server two publishers overwrite each other silently. The probe works on one small object of its
own, `channels/.probe.json`, and needs no right to delete:

1. Create it (or find it), create it again: the second must fail.
2. Swap it with its current version, then swap it again with the version that is now stale: the
   second must fail.
"""

import uuid
from contextlib import suppress

from pe_data.errors import (
    ObjectExistsError,
    StoreError,
    VersionMismatchError,
)
from pe_data.names.digests import canonical_json
from pe_data.names.keys import PROBE_KEY
from pe_data.store.base import Store, VersionToken

_ATTEMPTS = 50
"""Swaps that may be lost to other processes that probe at the same time."""


def probe_conditional_writes(store: Store) -> None:
    """Check that `store` creates exclusively and swaps by version.

    Raises:
        StoreError: if the store only reads.
        StoreError: naming what the store ignored; nothing but the probe was written.
    """
    if not store.writable:
        raise StoreError(f"{store.url}: this store only reads; publish to its origin")
    with suppress(ObjectExistsError):
        store.put_create(PROBE_KEY, _body())
    try:
        store.put_create(PROBE_KEY, _body())
    except ObjectExistsError:
        pass
    else:
        raise _unsafe(store, "create-only writes (If-None-Match)", "overwrote an existing object")
    stale = _swap_once(store)
    try:
        store.put_swap(PROBE_KEY, _body(), stale)
    except VersionMismatchError:
        return
    raise _unsafe(store, "compare-and-swap (If-Match)", "accepted a version that was stale")


def _swap_once(store: Store) -> VersionToken:
    """Swap the probe with its current version; returns the version that is stale since then."""
    for _ in range(_ATTEMPTS):
        token = store.head(PROBE_KEY).token
        with suppress(VersionMismatchError):
            store.put_swap(PROBE_KEY, _body(), token)
            return token
    raise _unsafe(store, "compare-and-swap (If-Match)", f"refused {_ATTEMPTS} swaps with the current version")


def _body() -> bytes:
    return canonical_json({"probe": uuid.uuid4().hex})


def _unsafe(store: Store, feature: str, behaviour: str) -> StoreError:
    with suppress(StoreError):
        store.delete(PROBE_KEY)
    return StoreError(
        f"{store.url}: this server does not do {feature}: it {behaviour}. Two publishers would "
        "overwrite each other, so nothing is published here. Use a server with conditional "
        "writes (AWS S3, GCS, Azure, MinIO, a local folder)."
    )
