"""Publish artifacts: payload, then manifest, then (for many) the collection, then the pointer.

Every write is create-only or compare-and-swap, and the pointer comes last, so that a crash
between any two leaves the old pointer valid and a retry completes. What is in the store already
is not sent again; the first manifest of an artifact wins. A reply that was lost is cleared up by
reading back before anything is reported as failed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import msgspec

from pe_data.documents.collection import NOTHING, RUN_ID, Collection, Member
from pe_data.documents.dictionary import Variable, agreed
from pe_data.documents.pointer import DEFAULT_NAMESPACE, NOTHING_SAID, Said
from pe_data.documents.validation import Validation
from pe_data.errors import ConflictError, InputError, ObjectNotFoundError
from pe_data.names.countries import UNSPECIFIED
from pe_data.names.digests import Sha256
from pe_data.names.keys import (
    check_country,
    check_dataset,
    check_member,
)
from pe_data.read.channels import read
from pe_data.store.artifacts import WORKERS, check_payload, each, read_collection, read_contents
from pe_data.store.base import Store
from pe_data.store.probe import probe_conditional_writes
from pe_data.write.channels import Move, Seal, move
from pe_data.write.guard import Guard
from pe_data.write.relying import led_to, send_again
from pe_data.write.revocation_bar import Bar
from pe_data.write.upload import (
    Item,
    Progress,
    ProgressCallback,
    Stored,
    Upload,
)

__all__ = [
    "Item",
    "Progress",
    "ProgressCallback",
    "PublishReport",
    "publish_artifact",
    "publish_collection",
    "set_channel",
]


@contextmanager
def _deletions_told() -> Iterator[None]:
    """What was there a moment ago and is not: somebody deletes, and publishing again is the way out."""
    try:
        yield
    except ObjectNotFoundError as error:
        raise ConflictError(
            f"{error}. It was deleted while this publication ran, as a garbage collection does (`pe-data gc`); the "
            "channel was not moved. Publish again"
        ) from error


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What a publication did."""

    store: str
    country: str
    dataset: str
    artifact_sha256: Sha256
    version: int
    """Of the channel, now."""
    moved: bool
    uploaded: int
    already_there: int
    uploaded_bytes: int
    manifests_kept: tuple[str, ...]
    """Names whose earlier, different manifest stays in force."""
    unlicensed: tuple[str, ...]
    """Names of files for which nobody named a licence, now or when they were first published."""

    @property
    def nothing_to_do(self) -> bool:
        """Whether everything was published before."""
        return not self.moved and self.uploaded == 0

    def warnings(self) -> list[str]:
        """A line for each thing that a publisher should know."""
        if not self.unlicensed:
            return []
        total = self.uploaded + self.already_there
        return [
            f"no licence is named for {len(self.unlicensed)} of {total} artifact(s): nobody is told on which terms to "
            "use them, and `pe-data promote` refuses them"
        ]

    def summary(self) -> str:
        """One line for a person."""
        where = f"{self.country}/{self.dataset}@latest is version {self.version}"
        pin = f"sha256:{self.artifact_sha256}"
        if self.nothing_to_do:
            return f"nothing to do: {self.already_there} artifact(s) already there; {where}, {pin}"
        channel = "moved" if self.moved else "stood there already"
        return (
            f"{self.uploaded} artifact(s) uploaded ({self.uploaded_bytes / 1e6:.1f} MB), "
            f"{self.already_there} already there; channel {channel}: {where}, {pin}"
        )


@_deletions_told()
def publish_artifact(
    store: Store,
    item: Item,
    *,
    namespace: str = DEFAULT_NAMESPACE,
    seal: Seal | None = None,
    said: Said = NOTHING_SAID,
    allow_removal: bool = False,
) -> PublishReport:
    """Publish one file as a dataset of its own and move `latest` to it.

    The country and the dataset are those of its manifest. What is said of it as a member of a collection is not
    written: a single file has its manifest alone.

    Args:
        allow_removal: Also take the place of a collection, whose members nobody gets through the channel then.

    Raises:
        RemovalError: the channel stands at a collection.
        StoreError: if the store ignores conditional writes (nothing was published).
        InputError: if the file and its manifest do not belong together, or the same bytes were published under another
            licence.
        RevokedError: if these bytes were revoked.
        ConflictError: if another writer moved the channel first.
    """
    manifest = item.manifest
    item = replace(item, about=NOTHING)
    guard = Guard(store, manifest.country, manifest.dataset, None, allow_removal)
    guard.look()
    probe_conditional_writes(store)
    upload = Upload(store, manifest.country, manifest.dataset)
    stored = upload.store_item(item)
    check_licence(item, stored)
    member = stored.member
    upload.confirm({manifest.dataset: item}, None, 1)
    stored_by_name = {manifest.dataset: stored}
    return _moved(guard, member.artifact_sha256, member.manifest_sha256, stored_by_name, namespace, said, seal)


@_deletions_told()
def publish_collection(
    store: Store,
    items: Mapping[str, Item],
    *,
    country: str,
    dataset: str,
    run_id: str,
    validation: Validation | None = None,
    namespace: str = DEFAULT_NAMESPACE,
    seal: Seal | None = None,
    workers: int = WORKERS,
    on_progress: ProgressCallback | None = None,
    said: Said = NOTHING_SAID,
    allow_removal: bool = False,
    dictionary: tuple[Variable, ...] | None = None,
) -> PublishReport:
    """Publish many files as one collection and move `latest` to it.

    If the channel already stands at a collection with the same members, validation and dictionary, nothing is
    moved, even if `run_id` differs: the first run that made these bytes keeps the credit.

    Args:
        items: Files by relative name without extension (`districts/NC-01`).
        run_id: Which run of the producer made the files.
        seal: Signs the pointer (see `pe_data.write.channels.move`).
        validation: What was checked of the files; without it the collection cannot be nominated.
        workers: Uploads at a time.
        on_progress: Called in the calling thread after each artifact.
        said: Why, and by whom; the pointer has it.
        allow_removal: Also take members away that the channel has now and that are not among `items`.
        dictionary: What the variables of the files mean; by default what the files say and agree on.

    Raises:
        RemovalError: a member of the channel is not among `items`; nothing was sent, or the channel was not moved.
        PeDataError: as `publish_artifact`.
    """
    check_items(items, country, dataset, run_id)
    items, dictionary = told_once(items, dictionary)
    guard = Guard(store, country, dataset, frozenset(items), allow_removal)
    guard.look()
    probe_conditional_writes(store)
    upload = Upload(store, country, dataset)
    stored = upload.store_items(items, workers, on_progress)
    whole = Collection(country, dataset, run_id, members_of(stored), validation, dictionary)
    digest = stored_collection(upload, whole)
    upload.confirm(items, whole if digest == whole.sha256 else None, workers)
    return _moved(guard, digest, digest, stored, namespace, said, seal)


def set_channel(
    store: Store,
    country: str,
    dataset: str,
    artifact: Sha256,
    *,
    namespace: str = DEFAULT_NAMESPACE,
    expected_version: int | None = None,
    said: Said = NOTHING_SAID,
    seal: Seal | None = None,
) -> Move:
    """Point `latest` at an artifact that is in the store already, for example an earlier one.

    Raises:
        ObjectNotFoundError: if the artifact, its manifest or a member is not there.
        RevokedError: if the artifact or a member was revoked.
        ConflictError: if the channel does not stand at `expected_version`, or another
            writer moved it in between.
    """
    probe_conditional_writes(store)
    bar = Bar.of(store)
    found = read_contents(store, country, artifact)
    for digest in found.artifacts:
        bar.refuse(country, digest, f"{store.url}: channel latest of {country}/{dataset}")
    held = led_to(store, country, dataset)
    send_again(store, country, [digest for digest in found.artifacts if digest not in held])
    each(lambda file: check_payload(store, country, file.manifest.artifact), found.files)
    return move(
        store,
        country,
        dataset,
        artifact_sha256=artifact,
        manifest_sha256=found.manifest_sha256,
        namespace=namespace,
        seal=seal,
        expected_version=expected_version,
        said=said,
    )


def check_licence(item: Item, stored: Stored) -> None:
    """Raise InputError for a licence that the manifest in force, which is written once, does not have."""
    wanted = item.manifest.licence
    if wanted not in (UNSPECIFIED, stored.licence):
        raise InputError(
            f"{item.path}: licence: expected {stored.licence!r}, under which these bytes were published first, found "
            f"{wanted!r}. The manifest of a file is written once and stays. Publish the file in a folder, as a "
            "collection: there the licence of each publication is its own"
        )


def told_once(
    items: Mapping[str, Item], dictionary: tuple[Variable, ...] | None
) -> tuple[dict[str, Item], tuple[Variable, ...]]:
    """What variables mean, said by the collection, and the files with manifests that leave it to that.

    Of a collection of public and gated files it says what the public ones have.
    """
    if dictionary is None:
        dictionary = agreed(item.manifest.dictionary for item in items.values())
    public = [item.manifest for item in items.values() if item.manifest.access == "public"]
    if public and len(public) < len(items):
        names = {name for manifest in public for names in manifest.every_column().values() for name in names}
        dictionary = tuple(one for one in dictionary if one.name in names)
    return {name: replace(item, manifest=item.manifest.explained(())) for name, item in items.items()}, dictionary


def members_of(stored: Mapping[str, Stored]) -> dict[str, Member]:
    """What is stored, as a collection lists it."""
    return {name: one.member for name, one in sorted(stored.items())}


def stored_collection(upload: Upload, whole: Collection) -> Sha256:
    """Store a collection, unless the channel stands at one that says the same; the digest of the one that is there."""
    digest = same_members(upload.store, whole)
    if digest is None:
        return upload.store_collection(whole)
    upload.refuse_revoked(digest, f"collection {whole.country}/{whole.dataset}")
    return digest


def same_members(store: Store, target: Collection) -> Sha256 | None:
    """Digest of the collection that the channel stands at, if it says the same as `target` but for its run."""
    try:
        body = read(store, target.country, target.dataset).body
        if not body.is_collection:
            return None
    except ObjectNotFoundError:
        return None
    found = read_collection(store, target.country, body.artifact_sha256)
    same = found and msgspec.structs.replace(found[0], run_id=target.run_id) == target
    return body.artifact_sha256 if same else None


def check_items(items: Mapping[str, Item], country: str, dataset: str, run_id: str) -> None:
    """Raise for a country, a dataset, a run or names that a collection cannot have."""
    check_country(country)
    check_dataset(dataset)
    if not items:
        raise InputError(f"collection {country}/{dataset}: expected at least one file, found none")
    if not RUN_ID.fullmatch(run_id):
        raise InputError(f"run id: expected letters, digits and '._:+-', at most 128, found {run_id[:80]!r}")
    for name in items:
        check_member(name)


def _moved(
    guard: Guard,
    artifact: Sha256,
    manifest: Sha256,
    stored: Mapping[str, Stored],
    namespace: str,
    said: Said,
    seal: Seal | None,
) -> PublishReport:
    """Move the channel to what is stored."""
    outcome = move(
        guard.store,
        guard.country,
        guard.dataset,
        artifact_sha256=artifact,
        manifest_sha256=manifest,
        namespace=namespace,
        said=said,
        seal=seal,
        agree=guard.agree,
    )
    body = outcome.pointer.body
    uploaded = [one for one in stored.values() if one.uploaded]
    return PublishReport(
        store=guard.store.url,
        country=body.country,
        dataset=body.dataset,
        artifact_sha256=body.artifact_sha256,
        version=body.version,
        moved=outcome.moved,
        uploaded=len(uploaded),
        already_there=len(stored) - len(uploaded),
        uploaded_bytes=sum(one.member.size_bytes for one in uploaded),
        manifests_kept=tuple(sorted(name for name, one in stored.items() if one.manifest_kept)),
        unlicensed=tuple(sorted(name for name, one in stored.items() if one.licence == UNSPECIFIED)),
    )
