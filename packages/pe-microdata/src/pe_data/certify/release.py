"""The data-release block: what a release bundle pins of its data, with the sha256 of every file.

`DataRelease.to_dict` gives the document of `schemas/data_release.schema.json`. The names of
its fields are those of the bundle format that PolicyEngine's packages read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pe_data.certify.schemas import check_schema
from pe_data.documents.fields import Fields
from pe_data.errors import CertificationError, InvalidDocumentError
from pe_data.names.digests import Sha256, strict_json
from pe_data.names.keys import check_country
from pe_data.names.uri import StoreUri, parse_store_uri

SCHEMA_VERSION = 1
RELEASE_LIMIT = 64 * 1024 * 1024
Basis = Literal["exact_build_model_version", "matching_data_build_fingerprint"]


@dataclass(frozen=True, slots=True)
class DatasetPin:
    """One file of a release."""

    path: str
    """Key in the store."""
    uri: StoreUri
    revision: str
    """`sha256:` of what the nomination names: the collection that lists the file, or the file itself."""
    sha256: Sha256
    size_bytes: int
    metadata_sha256: Sha256
    """Of its manifest."""

    def to_dict(self) -> dict[str, Any]:
        """The entry under `datasets`."""
        return {
            "path": self.path,
            "uri": str(self.uri),
            "revision": self.revision,
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
            "metadata_sha256": self.metadata_sha256,
        }


@dataclass(frozen=True, slots=True)
class Nomination:
    """The signed pointer that a dataset rests on."""

    dataset: str
    version: int
    pointer_sha256: Sha256
    artifact_sha256: Sha256
    manifest_sha256: Sha256
    key_ids: tuple[str, ...]
    root_version: int
    expires: str
    validation: Mapping[str, Any]
    """As in the collection or the manifest."""

    def to_dict(self) -> dict[str, Any]:
        """The entry under `nominations`."""
        return {
            "dataset": self.dataset,
            "channel": "next",
            "version": self.version,
            "pointer_sha256": self.pointer_sha256,
            "artifact_sha256": self.artifact_sha256,
            "manifest_sha256": self.manifest_sha256,
            "signed_by": list(self.key_ids),
            "trust_root_version": self.root_version,
            "expires": self.expires,
            "validation": dict(self.validation),
        }


@dataclass(frozen=True, slots=True)
class Certification:
    """For which model the data holds, and why."""

    compatibility_basis: Basis
    model_package: str
    built_with_model_version: str
    certified_for_model_version: str
    data_build_id: str
    data_build_fingerprint: str | None
    certified_by: str
    certified_at: str
    """UTC."""

    def to_dict(self) -> dict[str, Any]:
        """The entry `certification`."""
        return {
            "compatibility_basis": self.compatibility_basis,
            "model_package": self.model_package,
            "built_with_model_version": self.built_with_model_version,
            "certified_for_model_version": self.certified_for_model_version,
            "data_build_id": self.data_build_id,
            "data_build_fingerprint": self.data_build_fingerprint,
            "certified_by": self.certified_by,
            "certified_at": self.certified_at,
        }


@dataclass(frozen=True, slots=True)
class DataRelease:
    """A certified release of a country's data."""

    country_id: str
    build_id: str
    data_producer: str
    store: str
    namespace: str
    default_dataset: str
    datasets: Mapping[str, DatasetPin]
    nominations: tuple[Nomination, ...]
    certification: Certification

    def to_dict(self) -> dict[str, Any]:
        """The JSON document."""
        package = {"name": self.data_producer, "version": self.build_id}
        default = self.datasets[self.default_dataset]
        return {
            "schema_version": SCHEMA_VERSION,
            "country_id": self.country_id,
            "build_id": self.build_id,
            "data_producer": self.data_producer,
            "data_package": {**package, "store": self.store, "namespace": self.namespace},
            "default_dataset": self.default_dataset,
            "datasets": {name: pin.to_dict() for name, pin in sorted(self.datasets.items())},
            "certified_data_artifact": {
                "data_package": package,
                "build_id": self.build_id,
                "dataset": self.default_dataset,
                "uri": str(default.uri),
                "sha256": default.sha256,
            },
            "certification": self.certification.to_dict(),
            "nominations": [one.to_dict() for one in self.nominations],
        }


def read_pins(raw: bytes, *, what: str) -> dict[str, DatasetPin]:
    """The pins of a data-release block that was written earlier.

    Raises:
        CertificationError: a dataset has no sha256.
        InvalidDocumentError: it does not fit the schema.
    """
    document = strict_json(raw, what=what)
    _need_digests(document, what)
    check_schema("data_release", document, what=what)
    fields = Fields.of(document, what)
    country = check_country(fields.text("country_id"))
    pins = {}
    for name, row in fields.sub("datasets").items():
        uri = parse_store_uri(row.text("uri"))
        if uri.country != country or uri.sha256 is None:
            raise row.fail("uri", f"a pinned address of country {country}", str(uri))
        pins[name] = DatasetPin(
            path=row.text("path"),
            uri=uri,
            revision=row.text("revision"),
            sha256=row.sha256("sha256"),
            size_bytes=row.integer("size_bytes"),
            metadata_sha256=row.sha256("metadata_sha256"),
        )
    if not pins:
        raise InvalidDocumentError(f"{what}: field datasets: expected at least one, found none")
    return pins


def _need_digests(document: Mapping[str, Any], what: str) -> None:
    datasets = document.get("datasets")
    for name, row in datasets.items() if isinstance(datasets, dict) else ():
        if isinstance(row, dict) and row.get("sha256") is None:
            raise CertificationError(
                f"{what}: field datasets.{name}.sha256: expected a sha256, found none. A release that does not pin "
                "its bytes cannot be reproduced; certify it again with `pe-data certify`"
            )
