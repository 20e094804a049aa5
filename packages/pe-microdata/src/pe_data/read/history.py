"""The versions of a channel with what each of them led to: which run, how many members, how large."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from pe_data.documents.collection import Collection, Member
from pe_data.documents.pointer import PointerBody, UnsignedPointer
from pe_data.errors import ObjectNotFoundError
from pe_data.names.digests import Sha256
from pe_data.read.channels import history
from pe_data.store.artifacts import read_collection, read_manifest
from pe_data.store.base import Store

SINGLE = ""
"""Name of the file of a dataset that is no collection."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a channel."""

    pointer: UnsignedPointer
    collection: Collection | None = None
    """None for a single file, or if it is gone."""
    rows: Mapping[str, Member] = field(default_factory=dict)
    """Its files by name; of a single file one, `SINGLE`. Empty if the artifact is gone from the store."""

    @property
    def body(self) -> PointerBody:
        """What its pointer says."""
        return self.pointer.body

    @property
    def run_id(self) -> str | None:
        """Which run of the producer made a collection; None for a single file, or if the artifact is gone."""
        return self.collection.run_id if self.collection else None

    @property
    def members(self) -> int | None:
        """How many a collection has."""
        return len(self.rows) if self.collection else None

    @property
    def size_bytes(self) -> int | None:
        """Of the payloads; None if the artifact is gone from the store."""
        there = self.collection is not None or self.rows
        return sum(row.size_bytes for row in self.rows.values()) if there else None

    @property
    def version(self) -> int:
        """Its number."""
        return self.body.version

    @property
    def published_at(self) -> str:
        """When the channel was moved there, UTC."""
        return self.body.published_at

    @property
    def artifact_sha256(self) -> Sha256:
        """What the channel stood at."""
        return self.body.artifact_sha256

    @property
    def reason(self) -> str | None:
        """Why it was moved."""
        return self.body.reason

    @property
    def by(self) -> str | None:
        """Who moved it."""
        return self.body.by


def versions(store: Store, country: str, dataset: str) -> Iterator[Version]:
    """The versions of `latest`, newest first; raises as `pe_data.read.channels.history`."""
    for pointer in history(store, country, dataset):
        body, whole = pointer.body, None
        rows: Mapping[str, Member] = {}
        if body.is_collection:
            found = read_collection(store, country, body.artifact_sha256)
            if found is not None:
                whole, rows = found[0], found[0].members
        else:
            with suppress(ObjectNotFoundError):
                rows = {SINGLE: read_manifest(store, country, body.artifact_sha256, body.manifest_sha256).member}
        yield Version(pointer, whole, rows)
