"""The versions of a channel with what each of them led to: which run, how many members, how large."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from pe_data.documents.pointer import PointerBody, UnsignedPointer
from pe_data.errors import ObjectNotFoundError
from pe_data.names.digests import Sha256
from pe_data.read.channels import history
from pe_data.store.artifacts import read_collection, read_manifest
from pe_data.store.base import Store


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a channel."""

    pointer: UnsignedPointer
    run_id: str | None = None
    """Which run of the producer made a collection; None for a single file, or if the artifact is gone."""
    members: int | None = None
    """Of a collection."""
    size_bytes: int | None = None
    """Of the payloads; None if the artifact is gone from the store."""

    @property
    def version(self) -> int:
        """Its number."""
        return self.pointer.body.version

    @property
    def published_at(self) -> str:
        """When the channel was moved there, UTC."""
        return self.pointer.body.published_at

    @property
    def artifact_sha256(self) -> Sha256:
        """What the channel stood at."""
        return self.pointer.body.artifact_sha256

    @property
    def reason(self) -> str | None:
        """Why it was moved."""
        return self.pointer.body.reason

    @property
    def by(self) -> str | None:
        """Who moved it."""
        return self.pointer.body.by


def versions(store: Store, country: str, dataset: str) -> Iterator[Version]:
    """The versions of `latest`, newest first; raises as `pe_data.read.channels.history`."""
    for pointer in history(store, country, dataset):
        version = Version(pointer)
        with suppress(ObjectNotFoundError):
            version = _version(store, pointer, pointer.body)
        yield version


def _version(store: Store, pointer: UnsignedPointer, body: PointerBody) -> Version:
    if body.is_collection:
        found = read_collection(store, body.country, body.artifact_sha256)
        if found is None:
            return Version(pointer)
        whole = found[0]
        size = sum(member.size_bytes for member in whole.members.values())
        return Version(pointer, whole.run_id, len(whole.members), size)
    single = read_manifest(store, body.country, body.artifact_sha256, body.manifest_sha256)
    return Version(pointer, size_bytes=single.manifest.artifact.size_bytes)
