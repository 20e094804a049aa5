"""Garbage collection: remove what no channel, nomination, pin or tombstone leads to.

An artifact is garbage once nothing has led to it for a grace period; the history of the channels says when
something last did. What nothing ever led to, such as an interrupted publication, is garbage a grace period after
it was written. Everything that was ever nominated stays: it may be certified, and release bundles pin it.

Publications may run at the same time, and nobody asks anybody. A publication sends again whatever it wants to rely
on that could be garbage (see `pe_data.write.relying`), and a collection leaves alone what was written since it
looked. If any root cannot be read, nothing is deleted: an unreadable pointer may lead anywhere.

A tombstone keeps itself and the manifest or collection beside it, for ever. The payload that it
ended goes at once, if a revocation that was interrupted left it, and it keeps no members.
"""

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pe_data.errors import ConflictError, InputError, UncheckedRevocationError
from pe_data.keep.reachable import Artifact, find_reachable
from pe_data.names import times
from pe_data.names.keys import (
    MARKS_PREFIX,
    ObjectKind,
    parse_object_key,
)
from pe_data.store.base import ObjectMeta, Store
from pe_data.store.folder import FolderStore
from pe_data.store.probe import probe_conditional_writes
from pe_data.write.relying import SHORTEST_GRACE
from pe_data.write.revocation_bar import Bar
from pe_data.write.revoke import remove_payloads

LOGGER = logging.getLogger(__name__)
GRACE = timedelta(days=7)
KEEP_VERSIONS = 2


@dataclass(frozen=True, slots=True)
class CollectionReport:
    """What a garbage collection saw and did; artifacts are `country/sha256`."""

    store: str
    dry_run: bool
    artifacts: int
    """In the store."""
    reachable: int
    waiting: tuple[str, ...] = ()
    """Garbage whose grace period is not over."""
    deleted: tuple[str, ...] = ()
    """In a dry run: what would be deleted."""
    deleted_bytes: int = 0
    taken_back: tuple[str, ...] = ()
    """Garbage that a publication wrote again while it was to be deleted."""
    leftovers_removed: int = 0
    """Staged files of writers that were killed, and marks of earlier versions."""
    revoked_removed: tuple[str, ...] = ()
    """Payloads of revoked artifacts that an interrupted revocation had left."""


@dataclass(slots=True)
class _Found:
    """The objects of one artifact."""

    objects: list[ObjectMeta] = field(default_factory=list)

    @property
    def written(self) -> datetime:
        return max(meta.modified for meta in self.objects)

    @property
    def size(self) -> int:
        return sum(meta.size for meta in self.objects)

    @property
    def kinds(self) -> set[ObjectKind]:
        return {parsed.kind for meta in self.objects if (parsed := parse_object_key(meta.key))}


def collect_garbage(
    store: Store,
    *,
    grace: timedelta = GRACE,
    keep_versions: int = KEEP_VERSIONS,
    dry_run: bool = False,
) -> CollectionReport:
    """Delete what nothing has led to for a grace period.

    Args:
        grace: How long an artifact stays after something last led to it, and after it was written.
        keep_versions: How many versions of `latest` count as roots, newest first.
        dry_run: Only report.

    Raises:
        InputError: if the grace is too short, or a root cannot be read.
        StoreError: if the store ignores conditional writes.
        ConflictError: if a publication came to rely on something while it was being deleted.
    """
    moment = times.now()
    if grace < SHORTEST_GRACE:
        raise InputError(
            f"grace: expected at least {SHORTEST_GRACE}, found {grace}. A publication that is "
            "running may rely on an artifact that nothing leads to yet"
        )
    if keep_versions < 1:
        raise InputError(f"keep_versions: expected at least 1, found {keep_versions}")
    if not dry_run:
        probe_conditional_writes(store)
    reachable = find_reachable(store, keep_versions)
    found = _artifacts(store)
    ended = {artifact for artifact, one in found.items() if ObjectKind.TOMBSTONE in one.kinds}
    if found and not reachable.now - ended:
        raise InputError(
            f"{store.url}: {len(found)} artifacts and neither a channel nor a pin: everything "
            "would be garbage. A mirror without channels is not collected; if this is the right "
            "store, pin what must stay (`pe-data pin`)"
        )
    garbage = {artifact: found[artifact] for artifact in sorted(found) if artifact not in reachable.now}
    since = {artifact: max(one.written, reachable.left.get(artifact, one.written)) for artifact, one in garbage.items()}
    due = [artifact for artifact in garbage if moment - since[artifact] >= grace]
    deleted, leftovers, revoked = due, 0, []
    if not dry_run:
        revoked = _finish_revocations(store, found)
        reachable_now = find_reachable(store, keep_versions).now if due else frozenset()
        deleted = [one for one in due if one not in reachable_now and _delete(store, garbage[one])]
        _check_nothing_lost(store, keep_versions, {one: garbage[one] for one in deleted})
        leftovers = _remove_leftovers(store, moment - grace)
    return CollectionReport(
        store=store.url,
        dry_run=dry_run,
        artifacts=len(found),
        reachable=len(reachable.now & found.keys()),
        waiting=_names([artifact for artifact in garbage if artifact not in due]),
        deleted=_names(deleted),
        deleted_bytes=sum(garbage[one].size for one in deleted),
        taken_back=_names([one for one in due if one not in deleted]),
        leftovers_removed=leftovers,
        revoked_removed=_names(revoked),
    )


def _finish_revocations(store: Store, found: dict[Artifact, _Found]) -> list[Artifact]:
    """Remove the payloads of what was revoked; what cannot be checked removes nothing."""
    bar, removed = Bar.of(store), []
    for (country, sha256), artifact in sorted(found.items()):
        kinds = artifact.kinds
        with suppress(UncheckedRevocationError):
            if ObjectKind.PAYLOAD in kinds and (
                bar.is_listed(country, sha256) or (ObjectKind.TOMBSTONE in kinds and bar.find(country, sha256))
            ):
                remove_payloads(store, country, [sha256])
                removed.append((country, sha256))
    return removed


def _artifacts(store: Store) -> dict[Artifact, _Found]:
    found: dict[Artifact, _Found] = {}
    for meta in store.list(""):
        parsed = parse_object_key(meta.key)
        if parsed:
            found.setdefault((parsed.country, parsed.sha256), _Found()).objects.append(meta)
    return found


def _delete(store: Store, found: _Found) -> bool:
    """Delete an artifact; False as soon as one of its objects was written again."""
    # The payload goes first: a manifest without payload is a leftover that fsck names, while a
    # payload without manifest looks like a publication that was interrupted.
    payloads_first = sorted(found.objects, key=lambda meta: meta.key.endswith(".json"))
    LOGGER.info("deleting %s", ", ".join(meta.key for meta in payloads_first))
    return all(store.delete_unchanged(meta) for meta in payloads_first)


def _check_nothing_lost(store: Store, keep_versions: int, deleted: dict[Artifact, _Found]) -> None:
    """A server looks and deletes in two steps; say so if a publication came between them."""
    reachable = find_reachable(store, keep_versions).now if deleted else frozenset()
    lost = [
        one
        for one, found in deleted.items()
        if one in reachable and not all(store.exists(meta.key) for meta in found.objects)
    ]
    if lost:
        raise ConflictError(
            f"{store.url}: {', '.join(_names(lost))}: deleted in the moment in which a publication came to rely on it. "
            "Publish those files again; what is missing is sent again"
        )


def _remove_leftovers(store: Store, older_than: datetime) -> int:
    removed = 0
    for meta in list(store.list(MARKS_PREFIX)):
        store.delete(meta.key)
        removed += 1
    if isinstance(store, FolderStore):
        removed += store.remove_stale_staging(older_than)
    return removed


def _names(artifacts: list[Artifact]) -> tuple[str, ...]:
    return tuple(f"{country}/{sha256}" for country, sha256 in artifacts)
