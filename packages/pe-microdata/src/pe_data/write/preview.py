"""Look before a channel moves: what would change, what would be sent, and where the channel would stand.

Nothing here writes anything.
"""

import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pe_data.documents.collection import NOTHING, Collection
from pe_data.documents.dictionary import Variable
from pe_data.documents.pointer import DEFAULT_NAMESPACE, PointerBody
from pe_data.documents.validation import Validation
from pe_data.errors import CacheWarning, ObjectNotFoundError, PeDataError, RemovalError
from pe_data.names.digests import Sha256
from pe_data.names.uri import StoreUri
from pe_data.read.channels import read, read_next
from pe_data.read.diff import Diff, compare_sides
from pe_data.read.sides import Facts, Listed, Side, Told, rows_of
from pe_data.store.artifacts import WORKERS, Contents, read_collection, read_manifest
from pe_data.store.base import Store
from pe_data.write.channels import check_namespace, stands_at
from pe_data.write.guard import Guard
from pe_data.write.publish import check_items, check_licence, members_of, stored_collection, told_once
from pe_data.write.upload import Item, Stored, Upload


@dataclass(frozen=True, slots=True)
class Preview:
    """What a publication would do."""

    store: str
    country: str
    dataset: str
    artifact_sha256: Sha256
    """What the channel would stand at."""
    manifest_sha256: Sha256
    version: int
    """That the channel would have."""
    moved: bool
    """False if the channel stands there already."""
    to_send: int
    """Files whose bytes the store does not have; the same bytes under two names count once."""
    bytes_to_send: int
    already_there: int
    manifests_kept: tuple[str, ...]
    """Names whose earlier, different manifest would stay in force."""
    refused: str | None
    """Why it would be refused as it stands: it would take members away."""

    def summary(self) -> str:
        """Two lines for a person."""
        where = f"{self.country}/{self.dataset}@latest"
        pin = f"sha256:{self.artifact_sha256}"
        stands = f"would be version {self.version}" if self.moved else f"stands already at version {self.version}"
        return (
            f"dry run, nothing was written: {self.to_send:,} file(s) to send ({self.bytes_to_send / 1e6:.1f} MB), "
            f"{self.already_there:,} already there\n{where} {stands}, {pin}"
        )


def preview_collection(
    store: Store,
    items: Mapping[str, Item],
    *,
    country: str,
    dataset: str,
    run_id: str,
    validation: Validation | None = None,
    namespace: str = DEFAULT_NAMESPACE,
    allow_removal: bool = False,
    sealed: bool = False,
    dictionary: tuple[Variable, ...] | None = None,
) -> Preview:
    """What `publish_collection` would do with the same arguments.

    Args:
        sealed: The pointer would be signed.

    Raises:
        PeDataError: as `publish_collection`, but for RemovalError.
    """
    check_items(items, country, dataset, run_id)
    items, dictionary = told_once(items, dictionary)
    upload = Upload(store, country, dataset, dry_run=True)
    stored = upload.store_items(items, WORKERS, None)
    whole = Collection(country, dataset, run_id, members_of(stored), validation, dictionary)
    digest = stored_collection(upload, whole)
    guard = Guard(store, country, dataset, frozenset(items), allow_removal)
    return _reached(guard, digest, digest, stored, namespace, sealed)


def preview_artifact(
    store: Store,
    item: Item,
    *,
    namespace: str = DEFAULT_NAMESPACE,
    allow_removal: bool = False,
    sealed: bool = False,
) -> Preview:
    """What `publish_artifact` would do with the same arguments; as `preview_collection`."""
    country, dataset = item.manifest.country, item.manifest.dataset
    item = replace(item, about=NOTHING)
    stored = Upload(store, country, dataset, dry_run=True).store_item(item)
    check_licence(item, stored)
    member, guard = stored.member, Guard(store, country, dataset, None, allow_removal)
    return _reached(guard, member.artifact_sha256, member.manifest_sha256, {dataset: stored}, namespace, sealed)


def _reached(
    guard: Guard, artifact: Sha256, manifest: Sha256, stored: Mapping[str, Stored], namespace: str, sealed: bool
) -> Preview:
    """The preview of moving the channel there, with what would be stored before."""
    store, country, dataset = guard.store, guard.country, guard.dataset
    check_namespace(namespace)
    current, refused = None, None
    with suppress(ObjectNotFoundError):
        current = read(store, country, dataset, namespace=namespace)
    try:
        guard.look()
    except RemovalError as error:
        refused = error.fact
    moved = not stands_at(current, artifact, manifest, sealed=sealed)
    send = {one.member.artifact_sha256: one.member.size_bytes for one in stored.values() if one.uploaded}
    return Preview(
        store=store.url,
        country=country,
        dataset=dataset,
        artifact_sha256=artifact,
        manifest_sha256=manifest,
        version=(current.body.version if current else 0) + moved,
        moved=moved,
        to_send=len(send),
        bytes_to_send=sum(send.values()),
        already_there=len(stored) - len(send),
        manifests_kept=tuple(sorted(name for name, one in stored.items() if one.manifest_kept)),
        refused=refused,
    )


# --- what changes -----------------------------------------------------------------------------------------------------


def changes(store: Store, country: str, dataset: str, after: Side) -> Diff | None:
    """What would change for those who read `latest`; None if nothing was published yet.

    Also None, with a warning, if what the channel leads to cannot be read: the publication itself decides whether that
    is in its way.

    Args:
        after: What the channel would lead to (`side_of_items`, `side_of_artifact`).
    """
    return _or_warning("what changes", lambda: _compared(store, read(store, country, dataset).body, after))


def since_nomination(store: Store, contents: Contents) -> Diff | None:
    """What changed since the artifact that was nominated last, whose signatures nobody looks at here; None without one.

    Also None, with a warning, if that cannot be read; it must not keep anybody from nominating.

    Args:
        contents: The artifact that is to be nominated.
    """
    country, dataset = contents.country, contents.dataset

    def find() -> Diff:
        body = read_next(store, country, dataset).pointer.claimed()
        after = side_of_artifact(store, country, dataset, contents.sha256, contents.manifest_sha256)
        return _compared(store, body, after)

    return _or_warning("what changed since the last nomination", find)


def _or_warning(what: str, find: Callable[[], Diff]) -> Diff | None:
    try:
        return find()
    except ObjectNotFoundError:
        return None
    except PeDataError as error:
        warnings.warn(f"{what} cannot be shown: {error}", CacheWarning, stacklevel=3)
        return None


def _compared(store: Store, body: PointerBody, after: Side) -> Diff:
    before = side_of_pointer(store, body)
    if before.whole == after.whole:
        return compare_sides(before, after)
    return compare_sides(_as_whole(before, body.dataset), _as_whole(after, body.dataset))


def side_of_pointer(store: Store, body: PointerBody) -> Side:
    """What a pointer leads to, as it lies in the store; raises as `side_of_artifact`."""
    told = Told.at(f"{body.country}/{body.dataset}", body)
    return side_of_artifact(store, body.country, body.dataset, body.artifact_sha256, body.manifest_sha256, told)


def side_of_artifact(
    store: Store, country: str, dataset: str, sha256: Sha256, manifest: Sha256 | None = None, told: Told | None = None
) -> Side:
    """An artifact as it lies in the store.

    Args:
        manifest: Digest of its manifest, if something says it.

    Raises:
        ObjectNotFoundError: it is not there.
        DigestMismatchError, InvalidDocumentError: it is not what its digest says.
    """
    told = replace(told or Told(f"{country}/{dataset}"), address=str(StoreUri(country, dataset, None, None, sha256)))
    found = read_collection(store, country, sha256) if manifest in (None, sha256) else None
    if found is not None:
        members = found[0].members

        def facts(name: str) -> Facts:
            row = members[name]
            return Facts(read_manifest(store, country, row.artifact_sha256, row.manifest_sha256).manifest, None)

        return _side(replace(told, run_id=found[0].run_id), True, rows_of(members), facts)
    one = read_manifest(store, country, sha256, manifest).manifest
    return _side(told, False, {"": Listed("", sha256, one.artifact.size_bytes)}, lambda _: Facts(one, None))


def side_of_items(what: Path, items: "Mapping[str, Item] | Item", run_id: str | None = None) -> Side:
    """Files that are about to be published; `what` is where they are."""
    each_item = {"": items} if isinstance(items, Item) else dict(items)
    files = {
        name: Listed(name, item.manifest.artifact.sha256, item.manifest.artifact.size_bytes, item.about)
        for name, item in each_item.items()
    }
    whole = not isinstance(items, Item)
    return _side(Told(str(what), run_id=run_id), whole, files, lambda name: Facts(each_item[name].manifest, None))


def _side(told: Told, whole: bool, files: Mapping[str, Listed], facts: Callable[[str], Facts]) -> Side:
    return Side(told, whole, files, facts, None, labelled=True).counted()


def _as_whole(side: Side, name: str) -> Side:
    """A single file as the only one of a folder, to be compared with one."""
    if side.whole:
        return side
    files = {name: replace(side.files[""], name=name)}
    return replace(side, whole=True, files=files, facts=lambda _: side.facts(""))
