"""The release manifest of the files to certify: where in the hub they lie, and what their publisher claims.

It is the `release_manifest.json` that `snakemake publish` or `pe-data release-manifest` wrote. It is not signed, so
nothing is believed of a file but its place: its bytes are those that the nomination leads to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import msgspec

from pe_data.certify.checks import Nominated
from pe_data.certify.release import HubFile, PathTemplate
from pe_data.documents.document import Document, Part, Text
from pe_data.errors import CertificationError
from pe_data.names.digests import Sha256, read_named, sha256_bytes
from pe_data.store.artifacts import File
from pe_data.write.release_manifest import HubPlace, Listed, one_place

HUB = "https://huggingface.co"
"""Where the bundle format's `hf://` addresses are served."""


class Claim(Part, frozen=True):
    """Versions of a package that the publisher says the files fit."""

    name: Text
    specifier: Text


class NamedVersion(Part, frozen=True):
    """Name and version of the data package."""

    name: Text
    version: Text


class Metadata(Part, frozen=True):
    """What is read of the publisher's extras."""

    region_datasets: Mapping[Text, PathTemplate] = {}


class BuildFacts(Part, frozen=True):
    """What is read of the build."""

    build_id: Text | None = None


class ReleaseManifest(Document, frozen=True):
    """What is read of a release manifest."""

    data_package: NamedVersion
    artifacts: Annotated[Mapping[Text, Listed], msgspec.Meta(min_length=1, description="at least one artifact")]
    compatible_model_packages: tuple[Claim, ...] = ()
    compatible_core_packages: tuple[Claim, ...] = ()
    default_datasets: Mapping[Text, Text] = {}
    metadata: Metadata = Metadata()
    build: BuildFacts = BuildFacts()


@dataclass(frozen=True, slots=True)
class Published:
    """The files to certify with their places in the hub."""

    manifest: ReleaseManifest
    sha256: Sha256
    """Of the release manifest's bytes."""
    path: str
    """Of the release manifest in the repository."""
    files: Mapping[str, File]
    """By name in the release manifest."""
    place: HubPlace

    def claims(self, package: str) -> list[str]:
        """The specifiers that the publisher claims for a package."""
        rows = (*self.manifest.compatible_model_packages, *self.manifest.compatible_core_packages)
        return [one.specifier for one in rows if one.name == package]

    def reference(self, name: str) -> HubFile:
        """The place of a file, as the bundle format has it."""
        one = self.manifest.artifacts[name]
        return HubFile(one.path, one.repo_id, one.revision, one.sha256, one.repo_type)

    def uri(self, name: str) -> str:
        """Its address in the hub."""
        one = self.manifest.artifacts[name]
        return f"hf://{one.repo_id}/{one.path}@{one.revision}"

    def url(self, path: str) -> str:
        """Where something in the repository is served."""
        place = self.place
        kind = "datasets/" if place.repo_type == "dataset" else ""
        return f"{HUB}/{kind}{place.repo_id}/resolve/{quote(place.revision, safe='')}/{quote(path)}"

    @property
    def manifest_uri(self) -> str:
        """Address of the release manifest, as those who certify bundles give it."""
        return f"hf://{self.place.repo_type}/{self.place.repo_id}@{self.place.revision}/{self.path}"


def find_published(source: Path, nominated: Sequence[Nominated], path: str) -> Published:
    """Find every nominated file in a release manifest.

    Args:
        source: The release manifest.
        path: Where it lies in the repository of the hub.

    Raises:
        InputError, InvalidDocumentError: it cannot be read, or is none.
        CertificationError: a file is not in it, or other bytes are; they lie in several repositories; it is of another
            build; its repository is the placeholder of files that are in no hub.
    """
    raw = read_named(source)
    manifest = ReleaseManifest.from_bytes(raw, str(source))
    files: dict[str, File] = {}
    for one in (file for dataset in nominated for file in dataset.files):
        name = one.name or one.address.dataset
        found = manifest.artifacts.get(name)
        if found is None or found.sha256 != one.member.artifact_sha256:
            what = "no such artifact" if found is None else f"sha256 {found.sha256}"
            raise CertificationError(
                f"{source}: artifacts.{name}: expected the nominated file, sha256 {one.member.artifact_sha256}, found "
                f"{what}. Give the release manifest of what was nominated; `pe-data release-manifest` writes one"
            )
        if name in files:
            raise CertificationError(
                f"{source}: artifacts.{name}: expected one nominated file of that name, found "
                f"{files[name].full_name} and {one.full_name}. Certify one dataset at a time with --dataset"
            )
        files[name] = one
    place = one_place(map(manifest.artifacts.__getitem__, files), str(source), CertificationError)
    run = nominated[0].run_id if len(nominated) == 1 else None
    if run is not None and manifest.build.build_id not in (None, run):
        raise CertificationError(
            f"{source}: build.build_id: expected {run!r}, the run of the nominated collection, found "
            f"{manifest.build.build_id!r}"
        )
    return Published(manifest, sha256_bytes(raw), path, files, place)
