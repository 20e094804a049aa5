"""The data-release block: what a release bundle takes over of its data, with the sha256 of every file.

Outside the key `pe_data` its fields are those of the bundle format that PolicyEngine's packages read, with the meaning
that they have there: a `uri` is one of the hub, a `revision` is a tag of its repository, a `path` lies in it. What the
store knows besides stands under `pe_data`.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
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
from pe_data.errors import InvalidNameError
from pe_data.names.digests import Sha256
from pe_data.names.keys import Extension, payload_key
from pe_data.names.uri import StoreUri, parse_store_uri
from pe_data.write.release_manifest import RepoType

OWN_KEY = "pe_data"
Basis = Literal["built_with_model_package", "matching_data_build_fingerprint", "legacy_compatible_model_package"]
"""The word of the bundle format, for: the version that built the data; one whose data build has the same fingerprint;
one that the publisher claims."""
PINNED = r"pe-data://[a-z]{2,3}/[a-z0-9_]+(/[A-Za-z0-9._/-]+)?@sha256:[0-9a-f]{64}"
PinnedUri = Annotated[str, matching(PINNED, "a pinned address, pe-data://…@sha256:…")]
HubUri = Annotated[str, matching(r"hf://[^/\s@]+/[^/\s@]+/[^\s@]+@[^\s@]+", "an address hf://owner/name/path@revision")]
Revision = Annotated[str, matching("sha256:[0-9a-f]{64}", "sha256: and 64 lower-case hexadecimal digits")]


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a release, of whatever form, pins of one file."""

    address: StoreUri
    key: str
    """In the store."""
    sha256: Sha256
    size_bytes: int
    nominated: Sha256
    """What the nomination names: the collection that lists the file, or the file itself."""


def check_pins(country: str, addresses: Mapping[str, str]) -> None:
    """Raise Refused for an address, by its field, that is none or of another country."""
    for field, text in addresses.items():
        try:
            found = parse_store_uri(text).country
        except InvalidNameError as error:
            raise Refused(field, "an address", str(error)) from None
        if found != country:
            raise Refused(field, f"an address of country {country}", describe(text))


def check_default(name: str, datasets: Container[str]) -> None:
    """Raise Refused for a default that is none of the datasets."""
    if name not in datasets:
        raise Refused("default_dataset", "the name of one of the datasets", describe(name))


class Closed(Part, frozen=True, forbid_unknown_fields=True):
    """An object of our own; a key that is not known here would be a promise that nobody keeps."""


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


class Package(Part, frozen=True):
    """Name and version of a package.

    Attributes:
        sha256: Of its wheel.
    """

    name: Text
    version: Text
    sha256: Digest | None = None


class HubPackage(Part, frozen=True):
    """The data package, and the repository of the hub that holds it.

    Attributes:
        release_manifest_revision: Tag.
    """

    name: Text
    version: Text
    repo_id: Text
    repo_type: RepoType
    release_manifest_path: Text
    release_manifest_revision: Text


class HubFile(Part, frozen=True):
    """One file of a release, as it lies in the hub."""

    path: Text
    repo_id: Text
    revision: Text
    sha256: Digest
    repo_type: RepoType | None = None


class PathTemplate(Part, frozen=True):
    """Path of the file of a region, with the region's code in braces."""

    path_template: Text


class CertifiedArtifact(Part, frozen=True):
    """The file that users get who ask for none."""

    data_package: Package
    build_id: Text
    dataset: Text
    uri: HubUri
    sha256: Digest


class Certification(Part, frozen=True):
    """For which model and core the data holds, and why.

    Attributes:
        core_binding: `certified` for the version of the core that is named; `bundle_pin` for what the bundle pins.
    """

    compatibility_basis: Basis
    certified_for_model_version: Text
    core_binding: Literal["certified", "bundle_pin"]
    built_with_model_version: Text
    data_build_id: Text
    certified_by: Text
    certified_for_core_version: Text | None = None
    data_build_fingerprint: Text | None = None

    def __post_init__(self) -> None:
        if (self.core_binding == "certified") != (self.certified_for_core_version is not None):
            expected = f"a version if core_binding is certified (it is {self.core_binding}), else none"
            raise Refused("certified_for_core_version", expected, describe(self.certified_for_core_version))


class StoredFile(Closed, frozen=True):
    """The same file as it lies in the store.

    Attributes:
        nominated: `sha256:` of what the nomination names: the collection that lists the file, or the file itself.
        manifest_sha256: Of its manifest in the store.
    """

    uri: PinnedUri
    size_bytes: Count
    extension: Extension
    nominated: Revision
    manifest_sha256: Digest


class Own(Closed, frozen=True):
    """What the store knows of the release.

    Attributes:
        files: By the names in `datasets`.
        store: Where the files were certified, if others can reach it.
        release_manifest_sha256: Of the release manifest that places and claims were taken from.
    """

    namespace: Text
    certified_at: Time
    release_manifest_sha256: Digest
    files: Annotated[Mapping[Text, StoredFile], msgspec.Meta(min_length=1, description="at least one file")]
    nominations: Annotated[tuple[Nomination, ...], msgspec.Meta(min_length=1, description="at least one nomination")]
    store: Text | None = None

    def __post_init__(self) -> None:
        check_times(self, "certified_at")


class DataRelease(Document, frozen=True):
    """A certified release of a country's data: every file by sha256, for which model it holds, and on which signed
    nominations it rests."""

    bundle_id: Text
    country_id: Country
    policyengine_version: Text
    version: Text
    build_id: Text
    data_producer: Text
    model_package: Package
    data_package: HubPackage
    default_dataset: Text
    default_dataset_uri: HubUri
    release_manifest_uri: Text
    source_manifest_uri: Text
    datasets: Annotated[Mapping[Text, HubFile], msgspec.Meta(min_length=1, description="at least one file")]
    region_datasets: Mapping[Text, PathTemplate]
    certified_data_artifact: CertifiedArtifact
    certification: Certification
    pe_data: Own

    def __post_init__(self) -> None:
        files = self.pe_data.files
        if files.keys() != self.datasets.keys():
            name = min(files.keys() ^ self.datasets.keys())
            raise Refused(f"{OWN_KEY}.files", "the names in datasets", f"{describe(name)} in one of them")
        check_pins(self.country_id, {f"{OWN_KEY}.files.{name}.uri": file.uri for name, file in files.items()})
        check_default(self.default_dataset, self.datasets)

    @property
    def pins(self) -> dict[str, Pinned]:
        """Name of a file → what is pinned of it."""
        found = {}
        for name, file in self.pe_data.files.items():
            sha256 = Sha256(self.datasets[name].sha256)
            key = payload_key(self.country_id, sha256, file.extension)
            nominated = Sha256(file.nominated.removeprefix("sha256:"))
            found[name] = Pinned(parse_store_uri(file.uri), key, sha256, file.size_bytes, nominated)
        return found

    @property
    def model(self) -> tuple[str, str]:
        """Package and version that it is certified for."""
        return self.model_package.name, self.certification.certified_for_model_version
