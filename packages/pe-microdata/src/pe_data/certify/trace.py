"""The certification as a TRACE transparent research object (TROV 0.1, JSON-LD).

`trov:` says which artifacts lie where and which performance they contributed to; `pe:` carries the
certification in fields that a program reads without parsing prose.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from pe_data.certify.checks import Checked, Nominated
from pe_data.certify.release import DataRelease
from pe_data.names.digests import sha256_bytes

TROV_VERSION = "0.1"
CONTEXT = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "trov": f"https://w3id.org/trace/trov/{TROV_VERSION}#",
    "schema": "https://schema.org/",
    "pe": "https://policyengine.org/trace/0.1#",
}


def trace_of(release: DataRelease, nominated: Sequence[Nominated]) -> dict[str, Any]:
    """The research object: the data-release block, and payload and manifest of every file."""
    block = sha256_bytes(release.to_bytes())
    artifacts = [_artifact("data_release", "data release", block, "application/json")]
    locations = [_location("data_release", "data_release.json")]
    for index, file in enumerate(file for one in nominated for file in one.files):
        artifacts += _artifacts(f"file/{index}", file)
        pin = release.datasets[file.name]
        locations.append(_location(f"file/{index}/payload", pin.path))
    hashes = [one["trov:hash"]["trov:hashValue"] for one in artifacts]
    certification = release.certification
    node = {
        "@id": "tro",
        "@type": ["trov:TransparentResearchObject", "schema:CreativeWork"],
        "trov:vocabularyVersion": TROV_VERSION,
        "schema:name": f"{release.country_id} data release {release.build_id}",
        "schema:creator": release.data_producer,
        "schema:dateCreated": certification.certified_at,
        "trov:wasAssembledBy": {
            "@id": "trs",
            "@type": ["trov:TrustedResearchSystem", "schema:Organization"],
            "schema:name": certification.certified_by,
        },
        "trov:hasComposition": {
            "@id": "composition/1",
            "@type": "trov:ArtifactComposition",
            "trov:hasFingerprint": {
                "@id": "fingerprint",
                "@type": "trov:CompositionFingerprint",
                "trov:hash": _hash(fingerprint_of(hashes)),
            },
            "trov:hasArtifact": artifacts,
        },
        "trov:hasArrangement": [
            {
                "@id": "arrangement/0",
                "@type": "trov:ArtifactArrangement",
                "rdfs:comment": f"Keys in the store {release.data_package.store}",
                "trov:hasArtifactLocation": locations,
            }
        ],
        "trov:hasPerformance": [_performance(release)],
    }
    return {"@context": [CONTEXT], "@graph": [node]}


def fingerprint_of(hashes: Iterable[str]) -> str:
    """The fingerprint of a composition: sha256 over its hashes in ascending order, joined."""
    return hashlib.sha256("".join(sorted(hashes)).encode()).hexdigest()


def _performance(release: DataRelease) -> dict[str, Any]:
    certification = release.certification
    facts = {
        "pe:countryId": release.country_id,
        "pe:dataProducer": release.data_producer,
        "pe:dataBuildId": certification.data_build_id,
        "pe:modelPackage": certification.model_package,
        "pe:builtWithModelVersion": certification.built_with_model_version,
        "pe:certifiedForModelVersion": certification.certified_for_model_version,
        "pe:compatibilityBasis": certification.compatibility_basis,
        "pe:certifiedBy": certification.certified_by,
        "pe:nominationSha256": [one.pointer_sha256 for one in release.nominations],
        "pe:signedBy": sorted({key for one in release.nominations for key in one.key_ids}),
    }
    if certification.data_build_fingerprint is not None:
        facts["pe:dataBuildFingerprint"] = certification.data_build_fingerprint
    return {
        "@id": "trp/0",
        "@type": "trov:TrustedResearchPerformance",
        "rdfs:comment": f"Certification of build {release.build_id}",
        "trov:wasConductedBy": {"@id": "trs"},
        "trov:endedAtTime": certification.certified_at,
        "trov:contributedToArrangement": {
            "@id": "trp/0/binding/0",
            "@type": "trov:ArrangementBinding",
            "trov:arrangement": {"@id": "arrangement/0"},
        },
        **facts,
    }


def _artifacts(name: str, file: Checked) -> list[dict[str, Any]]:
    manifest = file.manifest
    payload = _artifact(f"{name}/payload", file.name, file.member.artifact_sha256, manifest.artifact.media_type)
    payload |= {"pe:uri": str(file.uri), "pe:licence": manifest.licence, "pe:access": manifest.access}
    if manifest.inputs is not None:
        payload["pe:inputsDigest"] = manifest.inputs.composite_digest
    described = f"manifest of {file.name}"
    return [payload, _artifact(f"{name}/manifest", described, file.member.manifest_sha256, "application/json")]


def _artifact(name: str, title: str, sha256: str, media_type: str) -> dict[str, Any]:
    return {
        "@id": f"composition/1/artifact/{name}",
        "@type": "trov:ResearchArtifact",
        "schema:name": title,
        "trov:hash": _hash(sha256),
        "trov:mimeType": media_type,
    }


def _location(name: str, path: str) -> dict[str, Any]:
    return {
        "@id": f"arrangement/0/location/{name}",
        "@type": "trov:ArtifactLocation",
        "trov:artifact": {"@id": f"composition/1/artifact/{name}"},
        "trov:path": path,
    }


def _hash(sha256: str) -> dict[str, str]:
    return {"trov:hashAlgorithm": "sha256", "trov:hashValue": sha256}
