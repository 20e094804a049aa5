"""The certification as an in-toto Statement v1: the files and how they were built.

The subjects are the payloads. The predicate holds the build facts of their manifests (inputs, tools,
model) and the nomination that they rest on. `sign_statement` puts it into a DSSE envelope.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from pe_data.certify.published import Published
from pe_data.certify.release import DataRelease
from pe_data.documents.envelope import STATEMENT_TYPE, SignedDocument, sign
from pe_data.names.digests import canonical_json, sha256_bytes
from pe_data.store.artifacts import File

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

STATEMENT_V1 = "https://in-toto.io/Statement/v1"
_FACTS: tuple[str, ...] = ("build", "inputs", "licence", "access", "time_period")
PREDICATE_TYPE = "https://policyengine.org/attestation/data-release/v2"


def statement_of(release: DataRelease, published: Published) -> dict[str, Any]:
    """The statement, unsigned."""
    files = published.files
    return {
        "_type": STATEMENT_V1,
        "subject": [
            {"name": name, "uri": str(file.address), "digest": {"sha256": file.member.artifact_sha256}}
            for name, file in files.items()
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "countryId": release.country_id,
            "buildId": release.build_id,
            "dataProducer": release.data_producer,
            "dataRelease": {"digest": {"sha256": sha256_bytes(release.to_bytes())}},
            "modelPackage": msgspec.to_builtins(release.model_package),
            "certification": msgspec.to_builtins(release.certification),
            "nominations": msgspec.to_builtins(release.pe_data.nominations),
            "builds": _builds(files),
            "manifests": {name: {"digest": {"sha256": file.member.manifest_sha256}} for name, file in files.items()},
        },
    }


def sign_statement(statement: dict[str, Any], signers: "Sequence[Signer]") -> SignedDocument:
    """The statement in an envelope, signed by every signer."""
    return sign(canonical_json(statement), STATEMENT_TYPE, signers)


def _builds(files: Mapping[str, File]) -> list[dict[str, Any]]:
    """The build facts, each once, with the files that share them."""
    found: dict[bytes, tuple[dict[str, Any], list[str]]] = {}
    for name, file in files.items():
        document = file.manifest.to_json()
        facts: dict[str, Any] = {fact: document[fact] for fact in _FACTS if fact in document}
        found.setdefault(canonical_json(facts), (facts, []))[1].append(name)
    return [{**facts, "files": names} for _, (facts, names) in sorted(found.items())]
