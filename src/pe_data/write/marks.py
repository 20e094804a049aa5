"""Marks of the garbage collection, and how a publication takes an artifact back.

The race to close: a publication finds a payload in the store and relies on it, while a garbage
collection that saw it unreferenced deletes it. Every deletion therefore goes through one small
document per artifact, `gc/{country}/{sha256}.json`, that only ever changes by compare-and-swap:

    (none) → marked → deleting → (none)      by the collection, at least one grace period apart
             marked → rescued                by a publication
             rescued → marked                by a later collection, the grace starts again

Whoever swaps first wins. A publication that finds `deleting` stops and says so; one that finds no
mark has a whole grace period before a deletion could begin.
"""

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pe_data.documents.fields import Fields
from pe_data.errors import (
    ConflictError,
    ObjectExistsError,
    ObjectNotFoundError,
    VersionMismatchError,
)
from pe_data.names.digests import Sha256, canonical_json, strict_json
from pe_data.names.keys import MARKS_PREFIX, mark_key
from pe_data.names.times import format_time, parse_time
from pe_data.store.base import Store, VersionToken

SHORTEST_GRACE = timedelta(hours=1)
"""For this long a publication may rely on what it found without a mark."""


class MarkState(StrEnum):
    """Where an artifact stands between garbage and use."""

    MARKED = "marked"
    DELETING = "deleting"
    RESCUED = "rescued"


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark as it stood when it was read."""

    country: str
    sha256: Sha256
    state: MarkState
    since: datetime
    """UTC; when the state began."""
    by: str
    """Host and process that wrote it."""
    token: VersionToken


def marked_artifacts(store: Store, country: str | None = None) -> frozenset[tuple[str, Sha256]]:
    """Country and digest of every artifact that has a mark, in whatever state."""
    prefix = f"{MARKS_PREFIX}{country}/" if country else MARKS_PREFIX
    found = set()
    for meta in store.list(prefix):
        parts = meta.key.removeprefix(MARKS_PREFIX).removesuffix(".json").split("/")
        if len(parts) == 2 and meta.key == mark_key(parts[0], parts[1]):
            found.add((parts[0], Sha256(parts[1])))
    return frozenset(found)


def read_mark(store: Store, country: str, sha256: Sha256) -> Mark | None:
    """The mark of an artifact, if it has one."""
    key = mark_key(country, sha256)
    try:
        document = store.get(key)
    except ObjectNotFoundError:
        return None
    what = f"{store.url}: {key}"
    fields = Fields.of(strict_json(document.data, what=what), what)
    since = fields.text("since")
    try:
        moment = parse_time(since)
    except ValueError as error:
        raise fields.fail("since", "a UTC time", since) from error
    return Mark(
        country=country,
        sha256=sha256,
        state=MarkState(fields.one_of("state", tuple(MarkState))),
        since=moment,
        by=fields.text("by"),
        token=document.meta.token,
    )


def create_mark(store: Store, country: str, sha256: Sha256, now: datetime) -> bool:
    """Mark an artifact that has no mark; False if another process did so first."""
    try:
        store.put_create(mark_key(country, sha256), _body(MarkState.MARKED, now))
    except ObjectExistsError:
        return False
    return True


def swap_mark(store: Store, mark: Mark, state: MarkState, now: datetime) -> bool:
    """Move a mark to `state`; False if it is not any more what was read."""
    key = mark_key(mark.country, mark.sha256)
    try:
        store.put_swap(key, _body(state, now), mark.token)
    except VersionMismatchError:
        return False
    return True


def rescue(store: Store, country: str, sha256: Sha256, now: datetime) -> None:
    """Take an artifact back from the garbage collection; does nothing if it has no mark.

    Raises:
        ConflictError: if the deletion has begun.
    """
    while True:
        mark = read_mark(store, country, sha256)
        if mark is None or mark.state is MarkState.RESCUED:
            return
        if mark.state is MarkState.DELETING:
            raise ConflictError(
                f"{store.url}: sha256:{sha256} is being deleted by the garbage collection of "
                f"{mark.by} since {format_time(mark.since)}. Publish again in a minute; if this "
                "goes on, that collection was killed: `pe-data gc` finishes it after a while"
            )
        if swap_mark(store, mark, MarkState.RESCUED, now):
            return


def _body(state: MarkState, now: datetime) -> bytes:
    return canonical_json(
        {
            "schema_version": 1,
            "state": state.value,
            "since": format_time(now),
            "by": f"{socket.gethostname()}:{os.getpid()}",
        }
    )
