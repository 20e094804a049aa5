"""Find what channels, pins and tombstones lead to, and when something last led to the rest.

An unreadable pointer may lead anywhere, so a root or a collection that cannot be read is an error,
never an omission.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from pe_data.documents.pointer import POINTER_LIMIT, parse_signed
from pe_data.errors import InputError, PeDataError
from pe_data.keep.pins import read_pins
from pe_data.names.digests import Sha256
from pe_data.names.keys import (
    CHANNELS_PREFIX,
    ObjectKind,
    channel_key,
    collection_key,
    history_key,
    parse_object_key,
)
from pe_data.names.times import parse_time
from pe_data.read.channels import history
from pe_data.store.base import ObjectMeta, Store
from pe_data.write.relying import members_of

Artifact = tuple[str, Sha256]
"""Country and digest."""


@dataclass(frozen=True, slots=True)
class Reachable:
    """What is led to, and since when the rest is not."""

    now: frozenset[Artifact]
    """Led to by a channel, a nomination of any time, a pin or a tombstone; members included."""
    left: Mapping[Artifact, datetime]
    """For what a channel or a pin led to once: when it last did, UTC."""


def find_reachable(store: Store, keep_versions: int) -> Reachable:
    """Follow every root.

    Args:
        keep_versions: How many versions of `latest` count as roots, newest first. Of `next`, every version does: what
            was nominated may have been certified, and release bundles pin it.

    Raises:
        InputError: if a root or a collection on the way cannot be read.
    """
    roots: set[Artifact] = set()
    left: dict[Artifact, datetime] = {}
    for artifact, until in (*_channel_roots(store, keep_versions), *_pin_roots(store)):
        if until is None:
            roots.add(artifact)
        else:
            left[artifact] = max(until, left.get(artifact, until))
    reachable = set(roots)
    for artifact in roots:
        reachable.update(_members(store, artifact))
    for artifact in [one for one in left if one not in reachable]:
        for member in _members(store, artifact):
            left[member] = max(left[artifact], left.get(member, left[artifact]))
    reachable |= _tombstoned(store)
    return Reachable(frozenset(reachable), left)


def _tombstoned(store: Store) -> set[Artifact]:
    """Every artifact with a tombstone, genuine or not."""
    parsed = [parse_object_key(meta.key) for meta in store.list("")]
    return {(one.country, one.sha256) for one in parsed if one and one.kind is ObjectKind.TOMBSTONE}


def _members(store: Store, artifact: Artifact) -> list[Artifact]:
    country, digest = artifact
    try:
        return [(country, member) for member in members_of(store, country, digest)]
    except PeDataError as error:
        raise _unreadable(collection_key(country, digest), str(error)) from error


def _pin_roots(store: Store) -> Iterator[tuple[Artifact, datetime | None]]:
    try:
        for pin in read_pins(store):
            yield (pin.country, pin.sha256), parse_time(pin.removed_at) if pin.removed_at else None
    except (PeDataError, ValueError) as error:
        raise _unreadable("pins", str(error)) from error


def _channel_roots(store: Store, keep_versions: int) -> Iterator[tuple[Artifact, datetime | None]]:
    """Every artifact of every version of every channel, and until when the channel led to it."""
    metas = list(store.list(CHANNELS_PREFIX))
    written = {meta.key: meta.modified for meta in metas}
    for meta in metas:
        country, _, rest = meta.key.removeprefix(CHANNELS_PREFIX).partition("/")
        dataset, _, name = rest.partition("/")
        try:
            if name.startswith("next.history/"):  # whatever its name: it was nominated
                yield (country, _nominated(store, meta)), None
            elif not name or "/" in name:
                continue
            elif meta.key == channel_key(country, dataset, "next"):
                yield (country, _nominated(store, meta)), None
            elif meta.key == channel_key(country, dataset, "latest"):
                yield from _latest(store, country, dataset, keep_versions, written)
            else:
                raise PeDataError(f"{name} is no channel")
        except PeDataError as error:
            raise _unreadable(meta.key, str(error)) from error


def _nominated(store: Store, meta: ObjectMeta) -> Sha256:
    raw = store.get(meta.key, max_bytes=POINTER_LIMIT).data
    return parse_signed(raw, what=meta.key).claimed().artifact_sha256


def _latest(
    store: Store, country: str, dataset: str, keep_versions: int, written: Mapping[str, datetime]
) -> Iterator[tuple[Artifact, datetime | None]]:
    began: list[datetime] = []
    """When each version began, newest first: as its publisher says, or by the store's clock if that is later."""
    for number, pointer in enumerate(history(store, country, dataset)):
        body = pointer.body
        if began:  # this one was archived when the newer one took its place
            archived = written.get(history_key(country, dataset, "latest", body.version, pointer.sha256))
            began[-1] = max(began[-1], archived or began[-1])
        until = None if number < keep_versions else began[number - keep_versions]
        yield (country, body.artifact_sha256), until
        began.append(parse_time(body.published_at))


def _unreadable(key: str, reason: str) -> InputError:
    return InputError(
        f"{key}: this root cannot be read, so nothing was deleted: {reason}. Repair it first; `pe-data fsck` lists "
        "what is wrong"
    )
