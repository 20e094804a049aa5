"""Certification: from a signed nomination to documents, and everything that stops it."""

import itertools
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from revocation_helpers import AL, NC, REASON, World, make_world
from storage_helpers import areas, make_item, publish_areas, replace

import pe_data
from pe_data.certify.certify import SIGNED_NAME, STATEMENT_NAME, certify_data_release
from pe_data.certify.checks import check_nomination
from pe_data.certify.earlier_release import EarlierRelease
from pe_data.certify.reading import parse_release
from pe_data.certify.release import DataRelease
from pe_data.certify.status import State, bundle_status
from pe_data.certify.trace import fingerprint_of
from pe_data.cli import run
from pe_data.documents.envelope import POINTER_TYPE, STATEMENT_TYPE, parse_envelope
from pe_data.documents.manifest import Build, Manifest
from pe_data.documents.pointer import PointerBody
from pe_data.documents.validation import Validation
from pe_data.errors import (
    CertificationError,
    ExpiredError,
    InvalidDocumentError,
    RevokedError,
    SignatureError,
)
from pe_data.keep.pins import list_pins
from pe_data.names.digests import canonical_json, sha256_bytes, sha256_file, strict_json
from pe_data.names.keys import channel_key, payload_key, revocations_key
from pe_data.names.times import format_time
from pe_data.names.uri import parse_store_uri
from pe_data.read.channels import read
from pe_data.read.options import Options
from pe_data.read.revocations import Revocations
from pe_data.store.base import Store, StoredDocument
from pe_data.store.folder import FolderStore
from pe_data.store.opening import open_store
from pe_data.trust.policy import Role
from pe_data.write.publish import publish_artifact, publish_collection
from pe_data.write.release_manifest import PLACEHOLDER, Release, release_manifest
from pe_data.write.upload import Item

MODEL = Build(model_package="policyengine-xx", model_version="1.2.3", data_build_fingerprint="print-1")
VERSIONS = itertools.count(1)
"""A reader believes one pointer per version."""
PASSED = Validation("passed", 2, {"structural": {"passed": 2}}, sha256_bytes(b"policy"), sha256_bytes(b"records"))


def item(folder: Path, name: str, build: Build = MODEL, dataset: str = "areas") -> Item:
    made = make_item(folder, name, name.encode(), dataset=dataset)
    return replace(made, manifest=replace(made.manifest, build=build))


def nominate(world: World, artifact: str, manifest: str, *, dataset: str = "areas", **more: object) -> PointerBody:
    """Write a signed nomination as it is, without the checks of `pe-data promote`."""
    now = datetime.now(UTC)
    version = next(VERSIONS)
    values = {
        "namespace": "local",
        "country": "us",
        "dataset": dataset,
        "channel": "next",
        "version": version,
        "prev": None if version == 1 else "0" * 64,
        "artifact_sha256": artifact,
        "manifest_sha256": manifest,
        "published_at": format_time(now),
        "publication_id": "0" * 32,
        "expires": format_time(now + timedelta(days=30)),
        **more,
    }
    body = PointerBody(**values)  # type: ignore[arg-type]
    key = channel_key("us", dataset, "next")
    if world.store.exists(key):
        world.store.delete(key)
    world.store.put_create(key, world.trust.sign(body.to_bytes(), POINTER_TYPE).to_bytes())
    return body


PLACE = Release("areas", "t1", "owner/areas", "run-7", "2026-01-31T12:00:00Z", "pe-data://us/areas@latest", {})


def write_manifest(manifests: Mapping[str, Manifest], **release: object) -> Path:
    """What the publisher says of the hub; in the working folder, where `certify` looks."""
    path = Path("release_manifest.json")
    path.write_text(json.dumps(release_manifest(manifests, replace(PLACE, **release))))
    return path


def publish_and_nominate(
    world: World,
    *,
    builds: tuple[Build, Build] = (MODEL, MODEL),
    validation: Validation | None = PASSED,
    **release: object,
) -> str:
    items = {name: item(world.folder / "built", name, build) for name, build in zip((AL, NC), builds, strict=True)}
    report = publish_collection(
        world.store, items, country="us", dataset="areas", run_id="run-7", validation=validation
    )
    nominate(world, report.artifact_sha256, report.artifact_sha256)
    if len({(build.model_package, build.model_version) for build in builds}) == 1:
        write_manifest({name: one.manifest for name, one in items.items()}, **release)
    return report.artifact_sha256


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    empty = make_world(tmp_path, monkeypatch)
    store = FolderStore(tmp_path / "certified")
    from trust_helpers import make_trust

    monkeypatch.chdir(tmp_path)
    trust = make_trust(store, tmp_path / "other", {"next-us": 2, "revoke-us": 1, "attest-us": 1})
    for name, value in {
        **trust.environment,
        "PE_DATA_CACHE": str(empty.cache),
        "PE_DATA_STORE": str(store.root),
    }.items():
        monkeypatch.setenv(name, value)
    return replace(empty, store=store, trust=trust)


SAID: dict[str, Any] = {
    "data_producer": "local-h5",
    "policyengine_version": "6.11.1",
    "bundle_id": "us-6.11.1",
    "release_manifest": "release_manifest.json",
    "model_version": "1.2.3",
    "core_version": "bundle_pin",
    "default_dataset": AL,
}


def test_the_certifier_may_say_when(world: World) -> None:
    publish_and_nominate(world)
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    block = pe_data.certify_data_release("us", **SAID, now=moment).block
    assert block["pe_data"]["certified_at"] == "2026-01-31T12:00:00.000000Z"


def certify(**more: object) -> dict:
    return certify_data_release("us", **{**SAID, **more}).block  # type: ignore[arg-type]


def test_a_nominated_collection_is_certified(world: World) -> None:
    digest = publish_and_nominate(world)
    said = {**SAID, "default_dataset": f"areas/{NC}", "certified_by": "certifier@example.org"}
    result = pe_data.certify_data_release("us", **said, signers=[world.trust.signers["alice"]])
    block = result.block
    assert (block["country_id"], block["build_id"], block["default_dataset"]) == ("us", "run-7", NC)
    assert (block["policyengine_version"], block["bundle_id"]) == ("6.11.1", "us-6.11.1")
    assert block["model_package"] == {"name": "policyengine-xx", "version": "1.2.3"}
    assert block["data_package"] == {
        "name": "areas",
        "version": "t1",
        "repo_id": "owner/areas",
        "repo_type": "model",
        "release_manifest_path": "release_manifest.json",
        "release_manifest_revision": "t1",
    }
    assert set(block["datasets"]) == {AL, NC} == set(block["pe_data"]["files"])
    sha256 = sha256_bytes(NC.encode())
    hub = {"path": f"{NC}.h5", "repo_id": "owner/areas", "revision": "t1", "sha256": sha256}
    assert block["datasets"][NC] == hub
    assert block["certified_data_artifact"]["uri"] == f"hf://owner/areas/{NC}.h5@t1" == block["default_dataset_uri"]
    assert block["certified_data_artifact"]["sha256"] == sha256
    pin = block["pe_data"]["files"][NC]
    assert pin["uri"] == f"pe-data://us/areas/{NC}@sha256:{digest}"
    assert pin["nominated"] == f"sha256:{digest}"
    assert block["certification"]["compatibility_basis"] == "built_with_model_package"
    assert block["certification"]["core_binding"] == "bundle_pin"
    assert block["certification"]["certified_by"] == "certifier@example.org"
    assert len(block["pe_data"]["nominations"][0]["signed_by"]) == 2
    assert "store" not in block["pe_data"], "a folder of this machine"
    assert pe_data.ensure(pin["uri"]).read_bytes() == NC.encode()

    statement = result.statement
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert {one["name"]: one["digest"]["sha256"] for one in statement["subject"]} == {
        name: row["sha256"] for name, row in block["datasets"].items()
    }
    release = statement["predicate"]["dataRelease"]["digest"]["sha256"]
    assert release == sha256_bytes(canonical_json(block))
    assert statement["predicate"]["modelPackage"] == block["model_package"]
    assert statement["predicate"]["builds"][0]["build"]["model_version"] == "1.2.3"

    folder = world.folder / "out"
    assert {path.name for path in result.write(folder)} >= {"data_release.json", "trace.tro.jsonld", SIGNED_NAME}
    assert sha256_file(folder / "data_release.json") == release
    envelope = parse_envelope((folder / SIGNED_NAME).read_bytes(), payload_type=STATEMENT_TYPE, what="statement")
    assert world.trust.policy().check(envelope, Role("attest", "us"), what="statement")
    assert strict_json(envelope.body, what="statement") == json.loads((folder / STATEMENT_NAME).read_bytes())


def test_the_research_object_is_linked_data(world: World) -> None:
    rdflib = pytest.importorskip("rdflib")
    publish_and_nominate(world)
    trace = certify_data_release("us", **SAID).trace
    graph = rdflib.Graph().parse(data=json.dumps(trace), format="json-ld")
    trov = "https://w3id.org/trace/trov/0.1#"
    pe = "https://policyengine.org/trace/0.1#"
    hashes = {str(o) for o in graph.objects(None, rdflib.URIRef(f"{trov}sha256"))}
    assert {sha256_bytes(AL.encode()), sha256_bytes(NC.encode())} <= hashes
    composition = trace["@graph"][0]["trov:hasComposition"]
    listed = [one["trov:sha256"] for one in composition["trov:hasArtifact"]]
    assert composition["trov:hasFingerprint"]["trov:sha256"] == fingerprint_of(listed)
    assert hashes == {*listed, fingerprint_of(listed)}
    assert fingerprint_of(["b", "a"]) == sha256_bytes(b"a\nb")
    assert [str(o) for o in graph.objects(None, rdflib.URIRef(f"{pe}certifiedForModelVersion"))] == ["1.2.3"]
    places = set(graph.subjects(rdflib.RDF.type, rdflib.URIRef(f"{trov}ArtifactLocation")))
    located = {one for place in places for one in graph.objects(place, rdflib.URIRef(f"{trov}hasArtifact"))}
    described = set(graph.subjects(rdflib.RDF.type, rdflib.URIRef(f"{trov}ResearchArtifact")))
    assert located == described
    where = {str(one) for one in graph.objects(None, rdflib.URIRef(f"{trov}hasLocation"))}
    hub = "https://huggingface.co/owner/areas/resolve/t1"
    assert where == {"data_release.json", f"{hub}/release_manifest.json", f"{hub}/{AL}.h5", f"{hub}/{NC}.h5"}


def test_a_single_file_is_certified(world: World) -> None:
    made = item(world.folder / "built", "cps", dataset="cps_2024")
    checked = replace(PASSED, checked=1)
    publish_artifact(world.store, replace(made, manifest=made.manifest.validated(checked)))
    body = read(world.store, "us", "cps_2024").body
    nominate(world, body.artifact_sha256, body.manifest_sha256, dataset="cps_2024")
    written = world.folder / "cps.json"
    words = ["release-manifest", "us/cps_2024", "--repo", "owner/cps", "--repo-type", "dataset", "--tag", "t2"]
    assert run([*words, "--out", str(written)]) == 0
    block = certify(default_dataset=None, release_manifest=written)
    assert block["default_dataset"] == "cps_2024"
    assert block["datasets"]["cps_2024"]["repo_type"] == "dataset" == block["data_package"]["repo_type"]
    assert block["release_manifest_uri"] == (
        "https://huggingface.co/datasets/owner/cps/resolve/t2/release_manifest.json"
    )
    assert block["source_manifest_uri"] == "hf://dataset/owner/cps@t2/release_manifest.json"
    own = block["pe_data"]["files"]["cps_2024"]
    assert own["uri"] == f"pe-data://us/cps_2024@sha256:{body.artifact_sha256}"
    assert block["build_id"] == f"us-{body.artifact_sha256[:16]}"
    assert run([*words, "--default-dataset", "national/US"]) == 1
    assert run([*words[:3], "cps", *words[4:]]) == 1


def test_one_question_about_revocations_serves_a_call(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_and_nominate(world)
    validated = item(world.folder, "cps", dataset="cps")
    validated = replace(validated, manifest=validated.manifest.validated(PASSED))
    report = publish_artifact(world.store, validated)
    nominate(world, report.artifact_sha256, read(world.store, "us", "cps").body.manifest_sha256, dataset="cps")
    made = {name: item(world.folder / "built", name).manifest for name in (AL, NC)}
    write_manifest({**made, "cps": validated.manifest})
    asked: list[str] = []
    real = FolderStore.get

    def get(self: FolderStore, key: str, **more: int) -> StoredDocument:
        asked.append(key)
        return real(self, key, **more)

    monkeypatch.setattr(FolderStore, "get", get)
    assert len(certify()["pe_data"]["nominations"]) == 2
    assert asked.count(revocations_key("us")) == 1


def test_latest_and_a_bare_pointer_are_unsigned(world: World) -> None:
    with pytest.raises(CertificationError, match="not signed"):
        certify(channel="latest")
    digest = publish_and_nominate(world)
    body = nominate(world, digest, digest)
    key = channel_key("us", "areas", "next")
    world.store.delete(key)
    world.store.put_create(key, body.to_bytes())
    with pytest.raises(CertificationError, match="the document carries no signatures"):
        certify()
    unsigned = read(world.store, "us", "areas").pointer
    with pytest.raises(CertificationError, match="UnsignedPointer"):
        check_nomination(unsigned, world.store, Revocations(parse_store_uri(world.pin), Options.of()), depth="full")  # type: ignore[arg-type]


def test_below_the_threshold_or_expired_is_not_certified(world: World) -> None:
    digest = publish_and_nominate(world)
    body = nominate(world, digest, digest)
    key = channel_key("us", "areas", "next")
    world.store.delete(key)
    world.store.put_create(key, world.trust.sign(body.to_bytes(), POINTER_TYPE, "alice").to_bytes())
    with pytest.raises(SignatureError, match="needs 2"):
        certify()
    past = datetime.now(UTC) - timedelta(days=60)
    expired = format_time(past + timedelta(days=30))
    nominate(world, digest, digest, published_at=format_time(past), expires=expired)
    with pytest.raises(ExpiredError, match="ended on"):
        certify()


def test_a_missing_digest_is_an_error_of_its_own(world: World) -> None:
    digest = publish_and_nominate(world)
    body = json.loads(nominate(world, digest, digest).to_bytes())
    del body["artifact_sha256"]
    key = channel_key("us", "areas", "next")
    world.store.delete(key)
    world.store.put_create(key, world.trust.sign(canonical_json(body), POINTER_TYPE).to_bytes())
    with pytest.raises(CertificationError, match="artifact_sha256"):
        certify()
    raw = canonical_json(
        {
            "schema_version": 1,
            "kind": "collection",
            "country": "us",
            "dataset": "areas",
            "run_id": "run-8",
            "members": {AL: {"artifact_sha256": None, "manifest_sha256": "0" * 64, "size_bytes": 1, "extension": "h5"}},
        }
    )
    other = sha256_bytes(raw)
    world.store.put_create(f"us/{other[:2]}/{other}.collection.json", raw)
    nominate(world, other, other)
    with pytest.raises(CertificationError, match="artifact_sha256"):
        certify()


@pytest.mark.parametrize("what", ["member", "collection"])
def test_what_was_revoked_is_not_certified(world: World, what: str) -> None:
    digest = publish_and_nominate(world)
    pin = f"pe-data://us/areas@sha256:{digest}"
    world.revoke(pin if what == "collection" else pin.replace("@", f"/{AL}@"))
    with pytest.raises(RevokedError, match=REASON):
        certify()


def test_another_model_version_needs_the_same_fingerprint(world: World) -> None:
    publish_and_nominate(world)
    with pytest.raises(CertificationError, match=r"built with version 1\.2\.3.*certified for 2\.0\.0"):
        certify(model_version="2.0.0")
    with pytest.raises(CertificationError, match="print-2"):
        certify(model_version="2.0.0", model_fingerprint="print-2")
    with pytest.raises(CertificationError, match="not installed"):
        certify(model_version=None)
    block = certify(model_version="2.0.0", model_fingerprint="print-1")
    assert block["certification"]["compatibility_basis"] == "matching_data_build_fingerprint"


def test_the_fingerprint_of_files_that_differ_covers_all_of_them(world: World) -> None:
    publish_and_nominate(world, builds=(MODEL, replace(MODEL, data_build_fingerprint="print-2")))
    found = certify()["certification"]["data_build_fingerprint"]
    assert found == sha256_bytes(f"areas/{AL} print-1\nareas/{NC} print-2\n".encode())
    again = certify(model_version="2.0.0", model_fingerprint=found)
    assert again["certification"]["compatibility_basis"] == "matching_data_build_fingerprint"


def test_files_of_two_models_or_of_none_are_refused(world: World) -> None:
    publish_and_nominate(world, builds=(MODEL, replace(MODEL, model_version="1.3.0")))
    with pytest.raises(CertificationError, match=r"1\.2\.3.*1\.3\.0"):
        certify()
    for path in (world.store.root / "us").glob("*/*.manifest.json"):
        path.unlink()
    world.store.delete(channel_key("us", "areas", "latest"))
    publish_and_nominate(world, builds=(Build(), Build()))
    with pytest.raises(CertificationError, match="found none in its manifest"):
        certify(cache=world.folder / "cold")


def test_validation_must_be_there_and_pass(world: World) -> None:
    publish_and_nominate(world, validation=None)
    with pytest.raises(CertificationError):
        certify()
    publish_and_nominate(world, validation=replace(PASSED, status="failed"))
    with pytest.raises(CertificationError, match="failed"):
        certify()


def test_damaged_bytes_in_the_store_are_not_certified(world: World) -> None:
    digest = publish_and_nominate(world)
    path = world.store.root / payload_key("us", sha256_bytes(NC.encode()), "h5")
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    assert certify(depth="presence")["build_id"] == "run-7"
    with pytest.raises(CertificationError, match="expected sha256"):
        certify()
    path.unlink()
    with pytest.raises(CertificationError, match=r"cannot be certified: .*\.h5"):
        certify(depth="presence")
    nominate(world, digest, "0" * 64)
    with pytest.raises(pe_data.PeDataError):
        certify()


def test_no_nomination_and_no_default_are_said(world: World) -> None:
    with pytest.raises(CertificationError, match="found none"):
        certify()
    publish_and_nominate(world)
    with pytest.raises(CertificationError, match="--default-dataset"):
        certify(default_dataset=None)
    publish_and_nominate(world, default_datasets={"national": NC})
    assert certify(default_dataset=None)["default_dataset"] == NC
    with pytest.raises(CertificationError, match=f"expected '{NC}', which the release manifest declares"):
        certify()


def earlier(block: dict[str, Any]) -> dict[str, Any]:
    """The same release in the form that earlier versions wrote."""
    own, held = block["pe_data"], block["certification"]
    files = {
        name: {
            "path": payload_key("us", block["datasets"][name]["sha256"], one["extension"]),
            "uri": one["uri"],
            "revision": one["nominated"],
            "sha256": block["datasets"][name]["sha256"],
            "size_bytes": one["size_bytes"],
            "metadata_sha256": one["manifest_sha256"],
        }
        for name, one in own["files"].items()
    }
    package = {"name": "local-h5", "version": block["build_id"]}
    default = block["default_dataset"]
    return {
        "schema_version": 1,
        "country_id": "us",
        "build_id": block["build_id"],
        "data_producer": "local-h5",
        "data_package": {**package, "store": "/somewhere", "namespace": own["namespace"]},
        "default_dataset": default,
        "datasets": files,
        "certified_data_artifact": {
            "data_package": package,
            "build_id": block["build_id"],
            "dataset": default,
            "uri": files[default]["uri"],
            "sha256": files[default]["sha256"],
        },
        "certification": {
            "compatibility_basis": "exact_build_model_version",
            "model_package": block["model_package"]["name"],
            "built_with_model_version": held["built_with_model_version"],
            "certified_for_model_version": held["certified_for_model_version"],
            "data_build_id": held["data_build_id"],
            "data_build_fingerprint": held.get("data_build_fingerprint"),
            "certified_by": held["certified_by"],
            "certified_at": own["certified_at"],
        },
        "nominations": own["nominations"],
    }


def test_both_forms_of_a_release_pin_the_same(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(world)
    block = json.loads(path.read_bytes())
    old = parse_release(earlier(block), "release")
    assert isinstance(old, EarlierRelease)
    new = DataRelease.from_json(block, "release")
    assert (old.pins, old.model, old.country_id) == (new.pins, new.model, new.country_id)
    path.write_bytes(canonical_json(earlier(block)))
    assert bundle_status(path, Options.of()).state is State.REPRODUCIBLE
    assert run(["pin", "add", "--release", str(path), "--reason", "bundle 1"]) == 0
    assert "pinned 3 artifact(s)" in capsys.readouterr().out


def test_what_a_bundle_adds_to_the_block_is_not_refused(world: World) -> None:
    block = json.loads(written(world).read_bytes())
    more = {**block, "regional_release_kind": "local_area", "published_at": "2026-02-01"}
    assert DataRelease.from_json(more, "release").pins == DataRelease.from_json(block, "release").pins
    block["pe_data"]["more"] = 1
    with pytest.raises(InvalidDocumentError, match="pe_data"):
        DataRelease.from_json(block, "release")


@pytest.mark.parametrize("name", ["policyengine_version", "bundle_id", "release_manifest"])
@pytest.mark.parametrize("said", [None, " "])
def test_what_only_the_certifier_knows_is_not_invented(world: World, name: str, said: str | None) -> None:
    publish_and_nominate(world)
    with pytest.raises(CertificationError, match=f"{name}: expected what only the certifier knows.*Say --"):
        certify(**{name: said})


def test_a_range_that_the_publisher_claims_is_a_basis(world: World) -> None:
    core = replace(MODEL, tools={"policyengine-core": "3.33.12"})
    claims = (">=1,<2", "policyengine-core>=3.33,<3.34")
    publish_and_nominate(world, builds=(core, core), compatible=claims)
    held = certify(model_version="1.9.0", core_version="3.33.3")["certification"]
    assert held["compatibility_basis"] == "legacy_compatible_model_package"
    assert (held["certified_for_model_version"], held["built_with_model_version"]) == ("1.9.0", "1.2.3")
    assert (held["certified_for_core_version"], held["core_binding"]) == ("3.33.3", "certified")
    assert certify(core_version="3.33.12")["certification"]["compatibility_basis"] == "built_with_model_package"
    with pytest.raises(CertificationError, match=r"built with version 1\.2\.3.*publisher claims \(>=1,<2\)"):
        certify(model_version="2.0.0")
    with pytest.raises(CertificationError, match=r"policyengine-core.*built with 3\.33\.12.*certified for 3\.34\.0"):
        certify(core_version="3.34.0")


def test_a_core_that_nobody_names_is_refused(world: World) -> None:
    publish_and_nominate(world)
    with pytest.raises(CertificationError, match=r"policyengine-core: the data was built with an unknown version"):
        certify(core_version="3.33.3")


def test_the_wheel_of_the_model_is_hashed(world: World) -> None:
    publish_and_nominate(world)
    wheel = world.folder / "model.whl"
    wheel.write_bytes(b"wheel")
    assert certify(model_wheel=wheel)["model_package"]["sha256"] == sha256_bytes(b"wheel")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"artifacts": {AL: {"sha256": "0" * 64}}}, f"artifacts.{AL}: expected the nominated file"),
        ({"artifacts": {AL: None}}, f"artifacts.{AL}: expected the nominated file.*found no such artifact"),
        ({"artifacts": {AL: {"revision": "t2"}}}, "all files in one repository at one revision"),
        ({"artifacts": {AL: {"repo_id": "other/areas"}}}, "all files in one repository at one revision"),
        ({"artifacts": {name: {"repo_id": PLACEHOLDER} for name in (AL, NC)}}, "stands for none"),
        ({"artifacts": {AL: {"revision": "a/b"}}}, "revision"),
        ({"artifacts": {AL: {"sha256": None}}}, "sha256"),
        ({"build": {"build_id": "run-8"}}, "build.build_id: expected 'run-7'"),
        ({"schema_version": 2}, "schema_version"),
    ],
)
def test_a_release_manifest_of_something_else_is_refused(world: World, change: dict[str, Any], said: str) -> None:
    publish_and_nominate(world)
    path = Path("release_manifest.json")
    document = json.loads(path.read_text())
    for key, part in change.items():
        if not isinstance(part, dict):
            document[key] = part
            continue
        for name, value in part.items():
            if value is None:
                del document[key][name]
            elif isinstance(value, dict):
                document[key][name] |= value
            else:
                document[key][name] = value
    path.write_text(json.dumps(document))
    with pytest.raises(pe_data.PeDataError, match=said):
        certify()


def written(world: World) -> Path:
    publish_and_nominate(world)
    path = world.folder / "data_release.json"
    path.write_bytes(canonical_json(certify()))
    return path


def test_a_release_stays_reproducible_until_it_is_not(world: World) -> None:
    path = written(world)
    assert bundle_status(path, Options.of()).state is State.REPRODUCIBLE
    payload = world.store.root / payload_key("us", sha256_bytes(NC.encode()), "h5")
    payload.rename(payload.with_suffix(".away"))
    status = bundle_status(path, Options.of())
    assert status.state is State.MISSING
    assert status.counts[State.REPRODUCIBLE] == 1
    world.revoke(f"pe-data://us/areas@sha256:{sha256_bytes(AL.encode())}")
    status = bundle_status(path, Options.of())
    assert status.state is State.REVOKED
    assert REASON in next(one.reason for one in status.files if one.state is State.REVOKED)


def test_a_store_out_of_reach_cannot_tell(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(world)
    offline = replace(Options.of(), offline=True)
    monkeypatch.setenv("PE_DATA_STORE", "http://127.0.0.1:9/data")
    assert bundle_status(path, offline).state is State.UNKNOWN
    assert [state.exit_code for state in State] == [0, 1, 3, 2]


def test_a_release_without_a_digest_is_refused(world: World) -> None:
    document = json.loads(written(world).read_bytes())
    document["datasets"][AL]["sha256"] = None
    with pytest.raises(InvalidDocumentError, match=rf"field datasets\.{AL}\.sha256: expected 64 .*found nothing"):
        DataRelease.from_bytes(canonical_json(document), "release")
    document["datasets"][AL]["sha256"] = "0" * 63
    with pytest.raises(InvalidDocumentError, match="sha256"):
        DataRelease.from_bytes(canonical_json(document), "release")


def test_the_commands_certify_and_answer(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = publish_and_nominate(world)
    monkeypatch.setenv("KEY_ALICE", world.trust.signers["alice"].private_bytes.decode())
    out = str(world.folder / "release")
    words = ["certify", "us", "--data-producer", "local-h5", "--default-dataset", AL, "--out", out]
    for option, value in (
        ("--release-manifest", "release_manifest.json"),
        ("--policyengine-version", "6.11.1"),
        ("--bundle-id", "us-6.11.1"),
    ):
        assert run([*words]) == 2
        assert option in capsys.readouterr().err
        words += [option, value]
    words += ["--core-version", "bundle_pin"]
    assert run([*words]) == 1
    assert "--model-version" in capsys.readouterr().err
    assert run([*words, "--model-version", "1.2.3", "--key", "env:KEY_ALICE"]) == 0
    assert "certified: us data release run-7, 2 file(s)" in capsys.readouterr().out
    file = f"{out}/data_release.json"
    assert run(["bundle-status", file]) == 0
    assert capsys.readouterr().out.startswith("reproducible")
    assert run(["pin", "add", "--release", file, "--reason", "bundle 1"]) == 0
    assert "pinned 3 artifact(s) of us; 0 were pinned already" in capsys.readouterr().out
    assert run(["pin", "add", "--release", file, "--reason", "bundle 1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["added"] == []
    pinned = {sha256_bytes(AL.encode()), sha256_bytes(NC.encode()), digest}
    assert {pin.sha256 for pin in list_pins(world.store)} == pinned, "the addresses of a release go through it"
    assert run(["pin", "add", "us", "--release", file, "--reason", "x"]) == 2
    assert "leave the country" in capsys.readouterr().err
    world.revoke(f"pe-data://us/areas@sha256:{sha256_bytes(AL.encode())}")
    assert run(["bundle-status", file, "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["state"] == "unreproducible: licence revoked"
    assert answer["counts"] == {
        "reproducible": 1,
        "unreproducible: licence revoked": 1,
        "unreproducible: payload missing": 0,
        "cannot tell": 0,
    }
    Path(file).write_text("{}")
    assert run(["bundle-status", file]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_the_stores_are_opened_once_however_many_members_there_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind each may be a connection of its own, with a handshake."""
    opened: list[str] = []

    def counted(url: str, **more: object) -> Store:
        opened.append(url)
        return open_store(url, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(pe_data.store.opening, "open_store", counted)
    counts = []
    for members in (2, 9):
        items = {f"states/{n}": item(world.folder / "built", f"states/{n}") for n in range(members)}
        report = publish_collection(world.store, items, country="us", dataset="areas", run_id="r", validation=PASSED)
        nominate(world, report.artifact_sha256, report.artifact_sha256)
        opened.clear()
        write_manifest({name: one.manifest for name, one in items.items()}, build_id="r")
        assert len(certify(default_dataset="states/0")["datasets"]) == members
        counts.append(len(opened))
    assert counts[0] == counts[1] > 0


def test_a_release_is_compared_on_a_machine_that_never_fetched(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_and_nominate(world)
    folder = world.folder / "release"
    pe_data.certify_data_release("us", **SAID).write(folder)
    file = folder / "data_release.json"
    block = json.loads(file.read_bytes())
    package = block["model_package"]["name"]
    monkeypatch.setenv("PE_DATA_CACHE", str(world.folder / "never"))
    installed = {package: "1.2.3"}

    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr("pe_data.read.staleness.metadata.version", version)

    def answer(*arguments: str) -> tuple[int, str]:
        code = run(["staleness", "--release", *arguments])
        said = capsys.readouterr()
        return code, said.out + said.err

    assert answer(str(file))[0] == 0
    bundle = world.folder / "bundle.json"
    bundle.write_text(json.dumps({"bundle_id": "us-1", "data_release": block}))
    assert answer(str(bundle))[0] == 0
    bundle.write_text(json.dumps({"data_releases": {"us": block, "uk": {"country_id": "uk"}}}))
    assert answer(str(bundle))[0] == 0
    bundle.write_text(json.dumps(earlier(block)))
    assert answer(str(bundle))[0] == 0
    names = {"certified_data_artifact": {"uri": block["pe_data"]["files"][AL]["uri"]}}
    names["certification"] = block["certification"]
    bundle.write_text(json.dumps({**names, "model_package": {"name": package, "version": "1.2.3"}}))
    assert answer(str(bundle))[0] == 0
    names["certified_data_artifact"] = {"uri": "hf://policyengine/data/x.h5@1.0"}
    bundle.write_text(json.dumps(names))
    assert answer(str(bundle))[0] == 2, "the hub has no channels"
    installed[package] = "2.0"
    code, said = answer(str(file))
    assert code == 1
    assert f"certified for {package} 1.2.3, installed is 2.0" in said
    installed.clear()
    assert answer(str(file))[0] == 2, "the model is not installed"
    installed[package] = "1.2.3"
    publish_areas(world.store, areas(world.folder / "newer", AL, NC, salt="2"), run_id="r9", now=datetime.now(UTC))
    code, said = answer(str(file), "--json")
    assert (code, json.loads(said)["state"]) == (1, "stale")
    for wrong in ("none.json", "no-such-package", str(world.folder)):
        assert answer(wrong)[0] == 3
    bundle.write_text("{}")
    assert answer(str(bundle))[0] == 3
    bundle.write_text("[")
    assert answer(str(bundle))[0] == 3
