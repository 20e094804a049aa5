"""Garbage collection: remove what no channel, pin or tombstone leads to.

A tombstone keeps itself and the manifest or collection beside it, for ever. The payload that it
ended goes at once, if a revocation that was interrupted left it, and it keeps no members.

A collection never deletes what it sees for the first time. It marks it, and a later run, at least
one grace period after the mark, looks at the roots again and deletes what is still garbage. Each
deletion first swaps the mark to `deleting`, which fails if a publication took the artifact back in
the meantime (see `pe_data.write.marks`). If any root cannot be read, nothing is marked or deleted: an
unreadable pointer may lead anywhere.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pe_data import steps
from pe_data.errors import InputError, UncheckedRevocationError
from pe_data.keep.reachable import Artifact, reachable_artifacts, tombstoned
from pe_data.names.digests import Sha256
from pe_data.names.keys import (
    ObjectKind,
    mark_key,
    parse_object_key,
)
from pe_data.store.base import ObjectMeta, Store
from pe_data.store.folder import FolderStore
from pe_data.store.probe import probe_conditional_writes
from pe_data.write.bar import Bar
from pe_data.write.marks import (
    SHORTEST_GRACE,
    MarkState,
    create_mark,
    marked_artifacts,
    read_mark,
    swap_mark,
)
from pe_data.write.revoke import remove_payloads

GRACE = timedelta(days=7)
RESUME_AFTER = timedelta(minutes=15)
"""A deletion that is older was begun by a process that is gone, and is finished."""
KEEP_VERSIONS = 2


@dataclass(frozen=True, slots=True)
class CollectionReport:
    """What a garbage collection saw and did; artifacts are `country/sha256`."""

    store: str
    dry_run: bool
    artifacts: int
    """In the store."""
    reachable: int
    marked: tuple[str, ...] = ()
    """Garbage that got its mark in this run."""
    waiting: tuple[str, ...] = ()
    """Garbage whose grace period is not over."""
    deleted: tuple[str, ...] = ()
    """In a dry run: what would be deleted."""
    deleted_bytes: int = 0
    unmarked: tuple[str, ...] = ()
    """Earlier garbage that something leads to again."""
    leftovers_removed: int = 0
    """Staged files of writers that were killed."""
    revoked_removed: tuple[str, ...] = ()
    """Payloads of revoked artifacts that an interrupted revocation had left."""


@dataclass(slots=True)
class _Found:
    """The objects of one artifact."""

    objects: list[ObjectMeta] = field(default_factory=list)

    @property
    def newest(self) -> datetime:
        return max(meta.modified for meta in self.objects)

    @property
    def size(self) -> int:
        return sum(meta.size for meta in self.objects)


def collect_garbage(
    store: Store,
    *,
    now: datetime | None = None,
    grace: timedelta = GRACE,
    keep_versions: int = KEEP_VERSIONS,
    dry_run: bool = False,
    on_step: steps.StepHook = steps.ignore,
) -> CollectionReport:
    """Mark new garbage and delete the garbage whose grace period is over.

    Args:
        grace: How long garbage stays after it was first seen.
        keep_versions: How many versions of each channel count as roots, newest first.
        dry_run: Only report.
        on_step: Fault-injection seam; `marked`, `rechecked`, `claimed`, `payload-deleted`,
            `objects-deleted`, `mark-deleted`.

    Raises:
        InputError: if the grace is too short, or a root cannot be read.
        StoreError: if the store ignores conditional writes.
    """
    moment = now or datetime.now(UTC)
    if grace < SHORTEST_GRACE:
        raise InputError(
            f"grace: expected at least {SHORTEST_GRACE}, found {grace}. A publication that is "
            "running may rely on an artifact that nothing leads to yet"
        )
    if keep_versions < 1:
        raise InputError(f"keep_versions: expected at least 1, found {keep_versions}")
    if not dry_run:
        probe_conditional_writes(store)
    reachable = reachable_artifacts(store, keep_versions)
    found = _artifacts(store)
    if found and not reachable - tombstoned(store):
        raise InputError(
            f"{store.url}: {len(found)} artifacts and neither a channel nor a pin: everything "
            "would be garbage. A mirror without channels is not collected; if this is the right "
            "store, pin what must stay (`pe-data pin`)"
        )
    garbage = {artifact: found[artifact] for artifact in found if artifact not in reachable}
    marked_before = marked_artifacts(store)
    new, waiting, due = _sort(store, garbage, marked_before, moment, grace)
    unmarked = [one for one in sorted(marked_before & reachable) if not _being_deleted(store, one)]
    deleted: list[Artifact] = []
    leftovers = 0
    revoked: list[Artifact] = []
    if dry_run:
        deleted = due
    else:
        revoked = _finish_revocations(store, found)
        for country, sha256 in unmarked:
            store.delete(mark_key(country, sha256))
        for country, sha256 in new:
            _mark_again(store, country, sha256, moment)
        on_step("marked")
        if due:
            reachable_now = reachable_artifacts(store, keep_versions)
            on_step("rechecked")
            deleted = [
                artifact
                for artifact in due
                if artifact not in reachable_now
                and _delete(store, artifact, garbage.get(artifact, _Found()), moment, on_step)
            ]
        if isinstance(store, FolderStore):
            leftovers = store.remove_stale_staging(moment - grace)
    return CollectionReport(
        store=store.url,
        dry_run=dry_run,
        artifacts=len(found),
        reachable=len(reachable & found.keys()),
        marked=_names(new),
        waiting=_names(waiting),
        deleted=_names(deleted),
        deleted_bytes=sum(garbage[one].size for one in deleted if one in garbage),
        unmarked=_names(unmarked),
        leftovers_removed=leftovers,
        revoked_removed=_names(revoked),
    )


def _finish_revocations(store: Store, found: dict[Artifact, _Found]) -> list[Artifact]:
    """Remove the payloads beside genuine tombstones; a tombstone that cannot be checked removes nothing."""
    bar, removed = Bar.of(store), []
    for (country, sha256), artifact in sorted(found.items()):
        kinds = {parsed.kind for meta in artifact.objects if (parsed := parse_object_key(meta.key))}
        if not {ObjectKind.TOMBSTONE, ObjectKind.PAYLOAD} <= kinds:
            continue
        with suppress(UncheckedRevocationError):
            genuine = bar.find(country, sha256)
            if genuine is not None and remove_payloads(store, genuine[0])[0]:
                removed.append((country, sha256))
    return removed


def _artifacts(store: Store) -> dict[Artifact, _Found]:
    found: dict[Artifact, _Found] = {}
    for meta in store.list(""):
        parsed = parse_object_key(meta.key)
        if parsed:
            found.setdefault((parsed.country, parsed.sha256), _Found()).objects.append(meta)
    return found


def _sort(
    store: Store,
    garbage: dict[Artifact, _Found],
    marked: frozenset[Artifact],
    now: datetime,
    grace: timedelta,
) -> tuple[list[Artifact], list[Artifact], list[Artifact]]:
    """Split into: to mark (again), in its grace period, due."""
    new: list[Artifact] = []
    waiting: list[Artifact] = []
    due: list[Artifact] = []
    for artifact in sorted(garbage.keys() | marked):
        mark = read_mark(store, *artifact) if artifact in marked else None
        found = garbage.get(artifact)
        if mark and mark.state is MarkState.DELETING:
            (due if now - mark.since >= RESUME_AFTER else waiting).append(artifact)
        elif found is None:
            continue
        elif mark is None or mark.state is MarkState.RESCUED or found.newest > mark.since:
            new.append(artifact)
        elif now - mark.since >= grace:
            due.append(artifact)
        else:
            waiting.append(artifact)
    return new, waiting, due


def _being_deleted(store: Store, artifact: Artifact) -> bool:
    mark = read_mark(store, *artifact)
    return mark is not None and mark.state is MarkState.DELETING


def _mark_again(store: Store, country: str, sha256: Sha256, now: datetime) -> None:
    mark = read_mark(store, country, sha256)
    if mark is None:
        create_mark(store, country, sha256, now)
    elif mark.state is not MarkState.DELETING:
        swap_mark(store, mark, MarkState.MARKED, now)


def _delete(store: Store, artifact: Artifact, found: _Found, now: datetime, on_step: steps.StepHook) -> bool:
    """Claim an artifact by its mark and delete it; False if a publication took it back."""
    country, sha256 = artifact
    mark = read_mark(store, country, sha256)
    if mark is None or mark.state is MarkState.RESCUED:
        return False
    if not swap_mark(store, mark, MarkState.DELETING, now):
        return False
    on_step("claimed")
    # The payload goes first: a manifest without payload is a leftover that fsck names, while a
    # payload without manifest looks like a publication that was interrupted.
    for meta in sorted(found.objects, key=lambda meta: meta.key.endswith(".json")):
        store.delete(meta.key)
        on_step("payload-deleted")
    on_step("objects-deleted")
    store.delete(mark_key(country, sha256))
    on_step("mark-deleted")
    return True


def _names(artifacts: list[Artifact]) -> tuple[str, ...]:
    return tuple(f"{country}/{sha256}" for country, sha256 in artifacts)
