"""What a catalogue shows of a dataset: its versions, and what is in each of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pe_data.documents.collection import Member, licensed
from pe_data.documents.manifest import Manifest
from pe_data.documents.notice import Notice, WithheldError, is_gated
from pe_data.errors import InvalidDocumentError
from pe_data.names.digests import Sha256
from pe_data.names.keys import ObjectKind, manifest_key, parse_object_key
from pe_data.names.uri import StoreUri
from pe_data.read.history import Version as Standing
from pe_data.read.history import versions
from pe_data.read.places import Places
from pe_data.read.revocations import Revocations
from pe_data.read.sides import Facts, Side, Told, rows_of
from pe_data.read.standing import read_latest
from pe_data.store.artifacts import each, read_manifest
from pe_data.store.base import Store


@dataclass(frozen=True, slots=True)
class Version(Standing):
    """One version of a dataset.

    Attributes:
        kept: Whether the store has the manifests of all its files. Of others no more is shown than the pointer.
        revoked: Why, when and by whom, if it was as a whole.
    """

    kept: bool = False
    revoked: str | None = None

    @property
    def uri(self) -> StoreUri:
        """Pinned."""
        body = self.body
        manifest = None if body.is_collection else body.manifest_sha256
        return StoreUri(body.country, body.dataset, None, None, body.artifact_sha256, manifest)


@dataclass(frozen=True, slots=True)
class Content:
    """A version with the manifests of its files.

    Attributes:
        manifests: Name → manifest, with the licence in force.
        revoked: Name → why, of the members that were revoked by themselves.
    """

    version: Version
    manifests: Mapping[str, Manifest]
    revoked: Mapping[str, str]

    def ended(self, name: str) -> str | None:
        """Why a file may not be used any more: it, or the version, was revoked."""
        return self.revoked.get(name) or self.version.revoked

    def side(self) -> Side:
        """For a comparison."""
        version, body = self.version, self.version.body
        told = Told.at(
            f"{body.country}/{body.dataset}",
            body,
            address=str(version.uri),
            run_id=version.run_id,
            revoked=version.revoked,
        )
        files = rows_of(version.rows)
        whole = version.collection is not None
        return Side(told, whole, files, lambda name: Facts(self.manifests[name], None), None, labelled=True).counted()


Objects = frozenset[tuple[ObjectKind, Sha256]]


def objects_of(store: Store, country: str) -> Objects:
    """What a store has of a country."""
    parsed = (parse_object_key(meta.key) for meta in store.list(f"{country}/"))
    return frozenset((one.kind, one.sha256) for one in parsed if one is not None)


@dataclass
class Source:
    """One dataset in a store; documents are read when they are asked for, and held against their digests."""

    places: Places
    country: str
    dataset: str
    there: Callable[[str], Objects]
    """What the store has of a country; listed once, so that nobody asks for each of thousands of files."""
    _known: dict[Sha256, Manifest] = field(default_factory=dict, repr=False)

    @cached_property
    def versions(self) -> tuple[Version, ...]:
        """Newest first.

        Raises:
            PeDataError: as `read_latest` and `history`, or because a collection is damaged.
        """
        latest = StoreUri(self.country, self.dataset, None, "latest", None)
        newest, _ = read_latest(latest, self.places, self.places.options)  # checks its signatures, its age, its place
        found = [self._version(one) for one in versions(self.places.main(), self.country, self.dataset)]
        if found[0].body.version < newest.version:
            raise InvalidDocumentError(
                f"{latest}: expected version {newest.version} or a newer one, found {found[0].body.version}. "
                "Somebody took the channel back while it was read; try again"
            )
        return tuple(found)

    def contents(self) -> Iterator[Content]:
        """The versions that are kept, newest first; no more than two of them are in memory here.

        Raises:
            WithheldError: a file of it is gated.
            PeDataError: a manifest cannot be read, or is damaged.
        """
        for version in self.versions:
            content = self._content(version)
            if content is not None:
                yield content

    def _version(self, one: Standing) -> Version:
        kept = bool(one.rows)
        if one.collection:
            kept = kept and all(self._has_manifest(row.artifact_sha256) for row in one.rows.values())
        return Version(one.pointer, one.collection, one.rows, kept, self._ended(one.artifact_sha256))

    def _content(self, version: Version) -> Content | None:
        """What is in a version; None of one that was swept away, of which as much is looked at as is left."""
        store, known = self.places.main(), self._known

        def manifest(row: Member) -> Manifest:
            found = known.get(row.manifest_sha256)
            if found is None:
                found = read_manifest(store, self.country, row.artifact_sha256, row.manifest_sha256).manifest
            return found

        left = [row for row in version.rows.values() if version.kept or self._has_manifest(row.artifact_sha256)]
        bare = each(manifest, left)
        for one in bare:
            if is_gated(self.country, one.access):
                raise WithheldError(Notice.of(self.country, self.dataset, one.licence))
        if not version.kept:
            return None
        described = zip(version.rows.items(), bare, strict=True)
        manifests = {name: licensed(one, row.about) for (name, row), one in described}
        self._known = {row.manifest_sha256: one for row, one in zip(version.rows.values(), bare, strict=True)}
        rows = version.rows.items() if version.collection else ()
        revoked = {name: why for name, row in rows if (why := self._ended_by_itself(row.artifact_sha256))}
        return Content(version, manifests, revoked)

    # --- revocations ---

    @cached_property
    def _revocations(self) -> Revocations:
        return Revocations(StoreUri(self.country, self.dataset, None, "latest", None), self.places.options, self.places)

    def _has_manifest(self, sha256: Sha256) -> bool:
        listed = (ObjectKind.MANIFEST, sha256) in self.there(self.country)
        return listed or self.places.main().exists(manifest_key(self.country, sha256))  # published meanwhile

    def _ended(self, sha256: Sha256) -> str | None:
        """Why, when and by whom an artifact was revoked."""
        uri = StoreUri(self.country, self.dataset, None, None, sha256)
        found = self._revocations.find((sha256,), cached=False)
        return None if found is None else str(found.error(uri))

    def _ended_by_itself(self, sha256: Sha256) -> str | None:
        """The same of a file of a version, for which `_ended` was asked before."""
        asked = self._revocations.decided or (ObjectKind.TOMBSTONE, sha256) in self.there(self.country)
        return self._ended(sha256) if asked else None
