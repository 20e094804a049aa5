"""The certification as a TRACE transparent research object (TROV 0.1, JSON-LD), as PolicyEngine's packages read one.

`trov:` says which artifacts lie where and which performance they contributed to. `pe:` has the fields of certification
that those packages know; what only this store says has a prefix of its own.
"""

import hashlib
import os
from collections.abc import Iterable
from typing import Any

from pe_data.certify.published import Published
from pe_data.certify.release import DataRelease
from pe_data.names.digests import sha256_bytes
from pe_data.store.artifacts import File

CONTEXT = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "trov": "https://w3id.org/trace/trov/0.1#",
    "schema": "https://schema.org/",
    "pe": "https://policyengine.org/trace/0.1#",
    "store": "urn:pe-data:trace#",
}
_COMPOSITION, _ARRANGEMENT = "composition/1", "arrangement/1"


def trace_of(release: DataRelease, published: Published) -> dict[str, Any]:
    """The research object: the data-release block, the release manifest, and every file where the hub has it.

    The block binds the manifests of the files, so that they need no place of their own.
    """
    block, manifest = sha256_bytes(release.to_bytes()), published.sha256
    rows = [
        ("data_release", _artifact("data_release", "data release", block, "application/json"), "data_release.json"),
        (
            "data_release_manifest",
            _artifact("data_release_manifest", "release manifest", manifest, "application/json"),
            published.url(published.path),
        ),
    ]
    for name, file in published.files.items():
        rows.append((f"file/{name}", _file(name, file), published.url(release.datasets[name].path)))
    held, own, place = release.certification, release.pe_data, published.place
    node = {
        "@id": "tro",
        "@type": "trov:TransparentResearchObject",
        "schema:name": f"{release.country_id} data release {release.build_id}",
        "schema:description": (
            f"{len(published.files)} file(s) of data for {release.model_package.name} {release.model_package.version}, "
            f"certified for bundle {release.bundle_id}"
        ),
        "schema:creator": {"@type": "schema:Organization", "schema:name": release.data_producer},
        "schema:dateCreated": own.certified_at,
        "trov:wasAssembledBy": {
            "@id": "trs",
            "@type": "trov:TransparentResearchSystem",
            "schema:name": held.certified_by,
            "rdfs:comment": "Checks a signed nomination, and every byte that it leads to, before it certifies.",
        },
        "trov:hasComposition": {
            "@id": _COMPOSITION,
            "@type": "trov:ArtifactComposition",
            "trov:hasFingerprint": {
                "@id": f"{_COMPOSITION}/fingerprint",
                "@type": "trov:CompositionFingerprint",
                "trov:sha256": fingerprint_of(artifact["trov:sha256"] for _, artifact, _ in rows),
            },
            "trov:hasArtifact": [artifact for _, artifact, _ in rows],
        },
        "trov:hasArrangement": [
            {
                "@id": _ARRANGEMENT,
                "@type": "trov:ArtifactArrangement",
                "rdfs:comment": f"{place.repo_id} at {place.revision}, and the block beside this document",
                "trov:hasArtifactLocation": [_location(name, location) for name, _, location in rows],
            }
        ],
        "trov:hasPerformance": _performance(release),
    }
    return {"@context": [CONTEXT], "@graph": [node]}


def fingerprint_of(hashes: Iterable[str]) -> str:
    """The fingerprint of a composition: sha256 over its hashes in ascending order, a line feed between them."""
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()


def _performance(release: DataRelease) -> dict[str, Any]:
    held, own, model = release.certification, release.pe_data, release.model_package
    facts = {
        "pe:certifiedForModelVersion": held.certified_for_model_version,
        "pe:compatibilityBasis": held.compatibility_basis,
        "pe:coreBinding": held.core_binding,
        "pe:certifiedForCoreVersion": held.certified_for_core_version,
        "pe:builtWithModelVersion": held.built_with_model_version,
        "pe:dataBuildFingerprint": held.data_build_fingerprint,
        "pe:dataBuildId": held.data_build_id,
        "pe:certifiedBy": held.certified_by,
        "pe:emittedIn": "github-actions" if os.environ.get("GITHUB_ACTIONS") == "true" else "local",
        "store:countryId": release.country_id,
        "store:modelPackage": model.name,
        "store:nominationSha256": [one.pointer_sha256 for one in own.nominations],
        "store:signedBy": sorted({key for one in own.nominations for key in one.key_ids}),
    }
    return {
        "@id": "trp/1",
        "@type": "trov:TransparentResearchPerformance",
        "rdfs:comment": f"Certification of build {release.build_id} for {model.name} {model.version}",
        "trov:wasConductedBy": {"@id": "trs"},
        "trov:accessedArrangement": {"@id": _ARRANGEMENT},
        "trov:endedAtTime": own.certified_at,
        **{name: value for name, value in facts.items() if value is not None},
    }


def _file(name: str, file: File) -> dict[str, Any]:
    manifest, member = file.manifest, file.member
    found = _artifact(f"file/{name}", name, member.artifact_sha256, manifest.artifact.media_type)
    found |= {
        "store:uri": str(file.address),
        "store:manifestSha256": member.manifest_sha256,
        "store:licence": manifest.licence,
        "store:access": manifest.access,
    }
    if manifest.inputs is not None:
        found["store:inputsDigest"] = manifest.inputs.composite_digest
    return found


def _artifact(name: str, title: str, sha256: str, media_type: str) -> dict[str, Any]:
    return {
        "@id": f"{_COMPOSITION}/artifact/{name}",
        "@type": "trov:ResearchArtifact",
        "schema:name": title,
        "trov:sha256": sha256,
        "trov:mimeType": media_type,
    }


def _location(name: str, location: str) -> dict[str, Any]:
    return {
        "@id": f"{_ARRANGEMENT}/location/{name}",
        "@type": "trov:ArtifactLocation",
        "trov:hasArtifact": {"@id": f"{_COMPOSITION}/artifact/{name}"},
        "trov:hasLocation": location,
    }
