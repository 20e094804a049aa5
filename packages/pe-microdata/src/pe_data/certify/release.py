"""The data-release block: what a release bundle pins of its data, with the sha256 of every file.

The names of its fields are those of the bundle format that PolicyEngine's packages read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from pe_data.documents.document import (
    Count,
    Country,
    Digest,
    Document,
    Part,
    Refused,
    Text,
    Time,
    Version,
    check_times,
    describe,
    matching,
)
from pe_data.documents.validation import Validation
from pe_data.errors import InputError, InvalidDocumentError, InvalidNameError
from pe_data.names.digests import Sha256
from pe_data.names.uri import StoreUri, parse_store_uri

RELEASE_LIMIT = 64 * 1024 * 1024
"""Largest file of a release that is read, in bytes."""
Basis = Literal["exact_build_model_version", "matching_data_build_fingerprint"]
PINNED = r"pe-data://[a-z]{2,3}/[a-z0-9_]+(/[A-Za-z0-9._/-]+)?@sha256:[0-9a-f]{64}"
PinnedUri = Annotated[str, matching(PINNED, "a pinned address, pe-data://…@sha256:…")]


class Closed(Part, frozen=True, forbid_unknown_fields=True):
    """An object of the block; a key that is not known here would be a promise that nobody keeps."""


class DatasetPin(Closed, frozen=True):
    """One file of a release.

    Attributes:
        path: Key in the store.
        revision: `sha256:` of what the nomination names: the collection that lists the file, or the file itself.
        metadata_sha256: Of its manifest.
    """

    path: Text
    uri: PinnedUri
    revision: Annotated[str, matching("sha256:[0-9a-f]{64}", "sha256: and 64 lower-case hexadecimal digits")]
    sha256: Digest
    size_bytes: Count
    metadata_sha256: Digest

    @property
    def address(self) -> StoreUri:
        """`uri`, parsed. Raises InvalidNameError."""
        return parse_store_uri(self.uri)

    @property
    def nominated(self) -> Sha256:
        """The digest in `revision`."""
        return Sha256(self.revision.removeprefix("sha256:"))


class Nomination(Closed, frozen=True, rename={"key_ids": "signed_by", "root_version": "trust_root_version"}):
    """The signed pointer that a dataset rests on.

    Attributes:
        validation: As in the collection or the manifest.
    """

    dataset: Text
    channel: Literal["next"]
    version: Version
    pointer_sha256: Digest
    artifact_sha256: Digest
    manifest_sha256: Digest
    key_ids: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, description="the keys that signed it")]
    root_version: Version
    expires: Time
    validation: Validation

    def __post_init__(self) -> None:
        check_times(self, "expires")
        if self.validation.status != "passed":
            raise Refused("validation.status", "passed", describe(self.validation.status))


class Certification(Closed, frozen=True):
    """For which model the data holds, and why."""

    compatibility_basis: Basis
    model_package: Text
    built_with_model_version: Text
    certified_for_model_version: Text
    data_build_id: Text
    data_build_fingerprint: Text | None
    certified_by: Text
    certified_at: Time

    def __post_init__(self) -> None:
        check_times(self, "certified_at")


class Package(Closed, frozen=True):
    """Name and version of the data."""

    name: Text
    version: Text


class StorePackage(Package, frozen=True):
    """The same with the place that it comes from."""

    store: Text
    namespace: Text


class CertifiedArtifact(Closed, frozen=True):
    """The file that users get who ask for none."""

    data_package: Package
    build_id: Text
    dataset: Text
    uri: PinnedUri
    sha256: Digest


class DataRelease(Document, frozen=True, forbid_unknown_fields=True):
    """A certified release of a country's data: every file by sha256, for which model it holds, and on which signed
    nominations it rests."""

    country_id: Country
    build_id: Text
    data_producer: Text
    data_package: StorePackage
    default_dataset: Text
    datasets: Annotated[Mapping[Text, DatasetPin], msgspec.Meta(min_length=1, description="at least one file")]
    certified_data_artifact: CertifiedArtifact
    certification: Certification
    nominations: Annotated[tuple[Nomination, ...], msgspec.Meta(min_length=1, description="at least one nomination")]

    def __post_init__(self) -> None:
        for name, pin in self.datasets.items():
            try:
                country = pin.address.country
            except InvalidNameError as error:
                raise Refused(f"datasets.{name}.uri", "an address", str(error)) from None
            if country != self.country_id:
                raise Refused(f"datasets.{name}.uri", f"an address of country {self.country_id}", describe(pin.uri))
        if self.default_dataset not in self.datasets:
            raise Refused("default_dataset", "the name of one of the datasets", describe(self.default_dataset))


def read_release(path: Path) -> DataRelease:
    """The data-release block in a file. Raises as `release_bytes`, and InvalidDocumentError if it is no such block."""
    return DataRelease.from_bytes(release_bytes(path), str(path))


def release_bytes(path: Path) -> bytes:
    """What is in the file of a release.

    Raises:
        InputError: it cannot be read.
        InvalidDocumentError: it is larger than any release.
    """
    try:
        with path.open("rb") as handle:
            raw = handle.read(RELEASE_LIMIT + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(raw) > RELEASE_LIMIT:
        raise InvalidDocumentError(f"{path}: expected at most {RELEASE_LIMIT} bytes, found more")
    return raw
