"""The data-release block as earlier versions wrote it, read only. See `pe_data.certify.release` for today's."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from pe_data.certify.release import Closed, Nomination, Pinned, PinnedUri, Revision, check_default, check_pins
from pe_data.documents.document import Count, Country, Digest, Document, Text, Time, check_times
from pe_data.names.digests import Sha256
from pe_data.names.uri import parse_store_uri

Basis = Literal["exact_build_model_version", "matching_data_build_fingerprint"]


class EarlierPin(Closed, frozen=True):
    """One file of a release.

    Attributes:
        path: Key in the store.
        revision: `sha256:` of what the nomination names: the collection that lists the file, or the file itself.
        metadata_sha256: Of its manifest.
    """

    path: Text
    uri: PinnedUri
    revision: Revision
    sha256: Digest
    size_bytes: Count
    metadata_sha256: Digest


class EarlierCertification(Closed, frozen=True):
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


class EarlierName(Closed, frozen=True):
    """Name and version of the data."""

    name: Text
    version: Text


class EarlierPackage(EarlierName, frozen=True):
    """The same with the place that it comes from."""

    store: Text
    namespace: Text


class EarlierArtifact(Closed, frozen=True):
    """The file that users get who ask for none."""

    data_package: EarlierName
    build_id: Text
    dataset: Text
    uri: PinnedUri
    sha256: Digest


class EarlierRelease(Document, frozen=True, forbid_unknown_fields=True):
    """A certified release of a country's data, in the earlier form."""

    country_id: Country
    build_id: Text
    data_producer: Text
    data_package: EarlierPackage
    default_dataset: Text
    datasets: Annotated[Mapping[Text, EarlierPin], msgspec.Meta(min_length=1, description="at least one file")]
    certified_data_artifact: EarlierArtifact
    certification: EarlierCertification
    nominations: Annotated[tuple[Nomination, ...], msgspec.Meta(min_length=1, description="at least one nomination")]

    def __post_init__(self) -> None:
        check_pins(self.country_id, {f"datasets.{name}.uri": pin.uri for name, pin in self.datasets.items()})
        check_default(self.default_dataset, self.datasets)

    @property
    def pins(self) -> dict[str, Pinned]:
        """Name of a file → what is pinned of it."""
        return {
            name: Pinned(
                parse_store_uri(pin.uri),
                pin.path,
                Sha256(pin.sha256),
                pin.size_bytes,
                Sha256(pin.revision.removeprefix("sha256:")),
            )
            for name, pin in self.datasets.items()
        }

    @property
    def model(self) -> tuple[str, str]:
        """Package and version that it is certified for."""
        return self.certification.model_package, self.certification.certified_for_model_version
