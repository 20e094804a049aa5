"""Copy artifacts from one store to another: payloads, manifests, collections, tombstones, never channels.

Every byte is checked against its digest before it gets its name in the target. What the target
has already is not copied again, so an interrupted run is continued by running it again; a payload
that was cut off goes on where it stopped. An artifact's manifest is copied after its payload and a
collection after all of its members, so that whatever is in the target is complete.

A revocation travels with the manifest: the tombstone is checked and copied, and the payload in the
target goes. So does the revocation list of each country, if it is newer than the target's. What the
target knows to be revoked is not copied back, whatever the source says.
"""

from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from pe_data.cache.fetch import Skipped, Tuning, Wanted, WrongBytesError, fill
from pe_data.cache.part import Part
from pe_data.documents.collection import Collection
from pe_data.documents.manifest import Artifact
from pe_data.errors import ConflictError, DigestMismatchError, ObjectExistsError, ObjectNotFoundError, StoreError
from pe_data.names.digests import Sha256
from pe_data.names.keys import (
    Extension,
    ObjectKind,
    collection_key,
    manifest_key,
    parse_object_key,
    payload_key,
)
from pe_data.store.artifacts import as_done, check_payload, read_collection, read_manifest
from pe_data.store.base import LocalFile, Store
from pe_data.store.versioned import replace_version
from pe_data.trust.revocations import Verifier
from pe_data.write.revocation_bar import Bar
from pe_data.write.revocation_list import place_of, read_list
from pe_data.write.revoke import remove_payloads, write_tombstone

WORKERS = 4
_ADVICE = "The source is damaged or hostile; nothing of it was copied. Try another source."
_DAMAGED = "The target holds a damaged payload: remove it, then mirror again."
_ANOTHER = (
    "The target has another manifest for this artifact, which the source's channels and collections do not accept; "
    "remove it, then mirror again."
)


@dataclass(frozen=True, slots=True)
class Root:
    """One artifact to copy, with its members if it is a collection."""

    country: str
    sha256: Sha256
    manifest_sha256: Sha256 | None = None
    """If known from a pointer; equal to `sha256` for a collection."""


@dataclass(frozen=True, slots=True)
class MirrorReport:
    """What a mirror run did."""

    source: str
    target: str
    copied: int
    """Artifacts, collections included."""
    copied_bytes: int
    already_there: int
    revoked: int
    """Artifacts with a genuine tombstone in the target now."""


@dataclass(frozen=True, slots=True)
class _Graves:
    """The tombstones and lists of both stores."""

    source: Bar
    target: Bar

    @classmethod
    def of(cls, source: Store, target: Store) -> "_Graves":
        """Both judged by one trust root, the source's."""
        verifier = Verifier.of(lambda: source)
        return cls(Bar(source, verifier), Bar(target, verifier))

    def bring_over(self, country: str, sha256: Sha256) -> bool:
        """Whether an artifact is revoked; if so, the target says so afterwards and has no payload of it."""
        there = self.target.find(country, sha256)
        if there is None:
            found = self.source.find(country, sha256)
            if found is not None:
                write_tombstone(self.target.store, country, sha256, found[1], self.target.verifier)
            elif not (self.source.is_listed(country, sha256) or self.target.is_listed(country, sha256)):
                return False
        remove_payloads(self.target.store, country, [sha256])
        return True

    def bring_list(self, country: str) -> None:
        """Copy the list of a country, if it is genuine and newer, and remove the payloads that it adds."""
        newer = read_list(self.source.store, country, self.source.verifier)
        older = read_list(self.target.store, country, self.target.verifier)
        if newer is None or newer.genuine is None or newer.sha256 is None:
            return
        listed, before = newer.genuine, None
        had: frozenset[str] = frozenset()
        if older is not None:
            if older.genuine and older.genuine.version >= listed.version:
                return
            had = frozenset(older.genuine.revoked) if older.genuine else had
            before = older.replaced

        def lost() -> ConflictError:
            return ConflictError(f"{self.target.store.url}: another mirror run was first. Mirror again")

        replace_version(self.target.store, place_of(country), newer.raw, listed.version, newer.sha256, before, lost)
        remove_payloads(self.target.store, country, map(Sha256, sorted(set(listed.revoked) - had)))


def mirror(
    source: Store,
    target: Store,
    *,
    work: Path,
    roots: Iterable[Root] | None = None,
    workers: int = WORKERS,
    on_progress: Callable[[int, int], None] | None = None,
) -> MirrorReport:
    """Copy artifacts from `source` to `target`.

    Args:
        work: A folder for payloads on their way; keep it between runs to continue in the middle
            of a payload.
        roots: What to copy; None copies everything that `source` lists.
        workers: Payloads at a time.
        on_progress: Called with (done, total) artifacts in the calling thread.

    Raises:
        DigestMismatchError: if bytes of the source are not what their name says.
        ListingNotSupportedError: without `roots`, if the source cannot be listed.
        UncheckedRevocationError: there is a tombstone that cannot be checked on this machine.
        StoreError: if the target only reads.
    """
    if not target.writable:
        raise StoreError(f"{target.url}: a mirror needs a target that can be written")
    chosen = list(_everything(source) if roots is None else roots)
    collections: dict[Sha256, tuple[str, bytes]] = {}
    jobs: dict[tuple[str, Sha256], Root] = {}
    for root in chosen:
        found = _collection_of(source, root)
        if found is None:
            jobs.setdefault((root.country, root.sha256), root)
            continue
        collections[root.sha256] = (root.country, found[1])
        for member in found[0].members.values():
            sha256 = member.artifact_sha256
            jobs[root.country, sha256] = Root(root.country, sha256, member.manifest_sha256)
    work.mkdir(parents=True, exist_ok=True)
    graves = _Graves.of(source, target)
    copied = copied_bytes = revoked = 0
    total = len(jobs) + len(collections)
    tell = on_progress or (lambda done, total: None)
    with closing(
        as_done(lambda job: _copy(source, target, job, graves, work), list(jobs.values()), workers)
    ) as outcomes:
        for done, (size, ended) in enumerate(outcomes, 1):
            copied += size is not None
            copied_bytes += size or 0
            revoked += ended
            tell(done, total)
    for digest, (country, raw) in collections.items():
        if _create(target, collection_key(country, digest), raw):
            copied += 1
            copied_bytes += len(raw)
        revoked += graves.bring_over(country, digest)
    for country in sorted({root.country for root in chosen}):
        graves.bring_list(country)
    tell(total, total)
    return MirrorReport(source.url, target.url, copied, copied_bytes, total - copied, revoked)


def _everything(source: Store) -> Iterable[Root]:
    """Every artifact with a manifest, and every collection."""
    for meta in source.list(""):
        parsed = parse_object_key(meta.key)
        if parsed and parsed.kind is ObjectKind.MANIFEST:
            yield Root(parsed.country, parsed.sha256)
        elif parsed and parsed.kind is ObjectKind.COLLECTION:
            yield Root(parsed.country, parsed.sha256, parsed.sha256)


def _collection_of(source: Store, root: Root) -> tuple[Collection, bytes] | None:
    """The collection that `root` is, and its bytes; None if it is a payload."""
    if root.manifest_sha256 is not None and root.manifest_sha256 != root.sha256:
        return None
    if root.manifest_sha256 is None and source.exists(manifest_key(root.country, root.sha256)):
        return None
    found = read_collection(source, root.country, root.sha256, advice=_ADVICE)
    if found is None:
        key = collection_key(root.country, root.sha256)
        raise ObjectNotFoundError(f"{source.url}: {key}: expected a manifest or a collection, found neither")
    return found


def _copy(source: Store, target: Store, job: Root, graves: _Graves, work: Path) -> tuple[int | None, bool]:
    """Copy one payload and its manifest; bytes copied or None if all was there, and whether it is revoked."""
    found = read_manifest(source, job.country, job.sha256, job.manifest_sha256, advice=_ADVICE)
    artifact, key = found.manifest.artifact, manifest_key(job.country, job.sha256)
    copied, revoked = None, graves.bring_over(job.country, job.sha256)
    if not revoked:
        copied = _copy_payload(source, target, job, artifact, work)
    if not _create(target, key, found.stored):
        read_manifest(target, job.country, job.sha256, found.sha256, advice=_ANOTHER)
    elif copied is None:
        copied = 0
    return copied, revoked


def _copy_payload(source: Store, target: Store, job: Root, artifact: Artifact, work: Path) -> int | None:
    key, part = payload_key(job.country, job.sha256, artifact.extension), work / f"{job.sha256}.part"
    with suppress(ObjectNotFoundError):
        check_payload(target, job.country, artifact, advice=_DAMAGED)
        part.unlink(missing_ok=True)  # of a run that was killed when the payload was already there
        return None
    size = artifact.size_bytes
    _fetch(source, key, part, job.sha256, size, artifact.extension)
    try:
        target.put_create(key, LocalFile(part, job.sha256))
    except ObjectExistsError:
        size = 0
    part.unlink(missing_ok=True)
    return size


def _fetch(source: Store, key: str, path: Path, expected: Sha256, size: int, suffix: Extension) -> None:
    """Complete the file `path`; wrong bytes are not kept."""
    skipped: list[Skipped] = []
    with Part(path, most=size) as part:
        done = fill(part, Wanted(expected, suffix, size, key), [source.source(key)], skipped, Tuning())
    if done is not None:
        return
    error = skipped[-1].error
    if not isinstance(error, WrongBytesError):
        raise error
    raise DigestMismatchError(
        f"{source.url}: {key}", expected=error.expected, found=error.found, advice=_ADVICE
    ) from error


def _create(target: Store, key: str, data: bytes) -> bool:
    if target.exists(key):
        return False
    try:
        target.put_create(key, data)
    except ObjectExistsError:
        return False
    return True
