"""A finished run becomes a collection: the script by hand, and `snakemake publish`."""

import io
import json
import os
import re
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from forked_commands import Ended, python

import pe_data
import publish_collection as script
from local_h5.config.settings import Settings
from local_h5.contracts.policy import AppliedPolicy, Level
from local_h5.contracts.records import CheckedFile, Finding, Summary, ValidationRecord, write_record
from local_h5.contracts.results import SUFFIX
from local_h5.errors import ConfigError, ResultError
from local_h5.files.atomic import sha256_of, write_text
from local_h5.report.against import publication, what_changed
from local_h5.report.collect import RunData
from pe_data.documents.collection import Area, Collection, Member
from pe_data.documents.dictionary import Dictionary, Variable
from pe_data.documents.encoding import unpack
from pe_data.documents.manifest import Artifact, Entity, Manifest
from pe_data.errors import InputError, InvalidDocumentError
from pe_data.keep.fsck import check_store
from pe_data.names.countries import UNSPECIFIED
from pe_data.names.digests import sha256_bytes
from pe_data.names.keys import MEDIA_TYPES, collection_key
from pe_data.read.channels import history, read
from pe_data.store.base import Store
from pe_data.store.opening import open_store
from pe_data.write.nominate import candidate
from pe_data.write.release_manifest import (
    Release,
    check_claims,
    data_build_fingerprint,
    published_manifest,
    release_manifest,
)

ROOT = Path(__file__).parents[2]
DISTRICTS = "district,code,state,state_fips,population_2024\nAL-01,101,AL,1,760389\n"
NAMES = ["cities/NYC", "districts/AL-01", "national/US", "states/AL"]


def sidecar(path: str, data: bytes, status: str = "passed", model: str = "2.68.0") -> dict[str, Any]:
    """A result sidecar of version 1; publication reads some of it, and holds all of it against the schema."""
    return {
        "schema_version": 1,
        "request": {"area_type": "state", "area_id": "AL", "display_name": "", "filters": [], "package": "regional"},
        "status": "completed",
        "output": {"path": path, "sha256": sha256_bytes(data), "bytes": len(data)},
        "period": 2024,
        "rows": {"household": 1, "person": 2},
        "weights": {"households": 1.0, "persons": 2.0, "effective_sample_size": 1.0, "largest_share": 1.0},
        "columns": [
            {"name": "household_id", "entity": "household", "dtype": "int32", "periods": ["2024"]},
            {"name": "age", "entity": "person", "dtype": "float32", "periods": ["2024"]},
        ],
        "fingerprint": {"digest": sha256_bytes(data + b"fingerprint"), "components": {}},
        "versions": {"policyengine-us": model, "policyengine-core": "3.33.12", "numpy": "2.4.6"},
        "inputs": [{"name": "weights", "sha256": sha256_bytes(b"weights"), "bytes": 7}],
        "validation": {"status": status, "summary": ""},
        **{name: {} for name in ("coverage", "checks", "notes")},
        **{name: [] for name in ("excluded", "issues")},
    }


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """The default configuration with one district, everything below the test's folder."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    (tmp_path / "districts.csv").write_text(DISTRICTS)
    document["results"] = str(tmp_path / "results")
    document["areas"]["districts"] = str(tmp_path / "districts.csv")
    document["store"]["url"] = str(tmp_path / "a store")
    document["variables"] = str(ROOT / document["variables"])
    document["takeup"]["programmes"] = str(ROOT / document["takeup"]["programmes"])
    return document


@pytest.fixture
def run(config: dict[str, Any], tmp_path: Path) -> Settings:
    """A finished run: four areas with sidecars."""
    settings = Settings.load(config)
    for request in settings.requests:
        write_area(settings, request.key, b"first")
    (settings.layout.prepared).mkdir(parents=True, exist_ok=True)
    (settings.layout.config).write_text(json.dumps(config))
    return settings


def write_area(
    settings: Settings, relative: str, salt: bytes, model: str = "2.68.0", data: bytes | None = None, **change: Any
) -> None:
    path = settings.results / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    data = data or relative.encode() + salt
    path.write_bytes(data)
    document = sidecar(relative, data, model=model)
    document["request"] |= change.pop("request", {})
    text = json.dumps(document | change)
    path.with_name(path.name + SUFFIX).write_text(text)
    record = settings.layout.record("structural", relative)
    write_text(record, "{}")
    approval = {
        "path": relative,
        "sha256": sha256_bytes(data),
        "sidecar_sha256": sha256_bytes(text.encode()),
        "records": {"structural": sha256_bytes(b"{}")},
    }
    write_text((settings.results / "published" / relative).with_suffix(".json"), json.dumps(approval))


def test_a_sidecar_that_is_not_as_published_is_refused(run: Settings) -> None:
    """An added key, and a share that is none; the approval is by the sidecar as it is."""
    for change in ({"more": 1}, {"coverage": {"puma": 2}}):
        area = run.layout.output("states/AL.h5")
        text = json.dumps(sidecar("states/AL.h5", area.read_bytes()) | change)
        area.with_name(area.name + SUFFIX).write_text(text)
        approval = json.loads(run.layout.approval("states/AL.h5").read_text())
        run.layout.approval("states/AL.h5").write_text(
            json.dumps(approval | {"sidecar_sha256": sha256_bytes(text.encode())})
        )
        with pytest.raises(ResultError, match=r"AL\.h5\.result\.json: .*schemas/area_result\.schema\.json"):
            publish(run)


def publish(settings: Settings, licence: str = UNSPECIFIED, **said: Any) -> tuple[str, dict[str, Any]]:
    """What the script prints, and the release manifest."""
    release = settings.results / "release_manifest.json"
    url = settings.config.store.url
    with redirect_stdout(io.StringIO()) as out:
        script.publish_run(settings.layout.config, release, url, "us-data", "owner/repo", None, licence, **said)
    return out.getvalue(), json.loads(release.read_text())


def test_the_records_of_a_run_are_condensed_into_the_collection(run: Settings) -> None:
    """As the workflow writes them; a district that is off its targets, which only warns, is counted."""
    policy = AppliedPolicy(
        enabled=True,
        level="targets",
        on_failure={"structural": "fail", "targets": "warn"},
        max_population_error=0.05,
        require_finite=True,
    )
    for request in run.requests:
        approval = run.layout.approval(request)
        document = json.loads(approval.read_text())
        off = request.area_id == "AL-01"
        for level in get_args(Level):
            record = ValidationRecord(
                area=CheckedFile(request.area_type, request.area_id, request.key, document["sha256"]),
                level=level,
                status="failed" if off and level == "targets" else "passed",
                policy=policy,
                summary=Summary("targets"),
                findings=(Finding("targets", "targets", "too far off", 1),) if off and level == "targets" else (),
            )
            write_record(run.layout.record(level, request), record)
        document["records"] = {"structural": sha256_of(run.layout.record("structural", request))}
        approval.write_text(json.dumps(document | {"validation": {"structural": "passed", "targets": "passed"}}))
    publish(run)
    store = open_store(run.config.store.url)
    chosen = candidate(store, "us", "local_areas")
    assert len(chosen.contents.files) == 4
    assert chosen.validation.status == "passed"
    assert chosen.validation.levels == {"structural": {"passed": 4}, "targets": {"failed": 1, "passed": 3}}
    assert chosen.validation.checked == 4


def test_a_run_becomes_a_collection(run: Settings) -> None:
    report, release = publish(run)
    assert "4 artifact(s) uploaded" in report
    assert "pe-data ensure pe-data://us/local_areas/cities/NYC@latest --store" in report
    store = open_store(run.config.store.url)
    body = read(store, "us", "local_areas").body
    key = collection_key("us", body.artifact_sha256)
    collection = Collection.from_bytes(store.get(key).data, what=key)
    assert sorted(collection.members) == NAMES
    assert check_store(store).ok
    assert release["artifacts"]["states/AL"] == {
        "kind": "microdata",
        "path": "states/AL.h5",
        "repo_id": "owner/repo",
        "revision": collection.run_id,
        "sha256": sha256_bytes(b"states/AL.h5first"),
        "size_bytes": len(b"states/AL.h5first"),
    }
    assert sorted(release["artifacts"]) == NAMES
    assert release["schema_version"] == 1
    assert release["data_package"] == {"name": "us-data", "version": collection.run_id}
    assert release["default_datasets"] == {"national": "national/US"}
    assert release["compatible_model_packages"] == [{"name": "policyengine-us", "specifier": "==2.68.0"}]
    assert release["compatible_core_packages"] == [{"name": "policyengine-core", "specifier": "==3.33.12"}]
    assert release["build"]["built_at"] == body.published_at
    prints = {f"local_areas/{name}": sha256_bytes(f"{name}.h5firstfingerprint".encode()) for name in NAMES}
    assert release["build"]["built_with_model_package"] == {
        "name": "policyengine-us",
        "version": "2.68.0",
        "data_build_fingerprint": data_build_fingerprint(prints),
    }
    assert release["build"]["metadata"]["collection"].endswith(f"@sha256:{body.artifact_sha256}")


def configured(run: Settings, **release: object) -> None:
    """Set `store.release` of the finished run."""
    document = json.loads(run.layout.config.read_text())
    document["store"]["release"] = {**document["store"].get("release", {}), **release}
    run.layout.config.write_text(json.dumps(document))


def published(run: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both release manifests, as `snakemake publish` has them written."""
    path = run.results / "release_manifest.json"
    with redirect_stdout(io.StringIO()):
        script.publish_run(run.layout.config, path, run.config.store.url)
    return json.loads(path.read_text()), json.loads((run.results / "local_area" / path.name).read_text())


def test_the_configuration_says_which_release_it_is(run: Settings) -> None:
    ranges = [">=2.2,<3", "policyengine-core>=3.33,<4"]
    configured(run, repo="owner/areas", repo_type="dataset", package="areas", tag="2026-1", compatible=ranges)
    release, local = published(run)
    for document in (release, local):
        assert document["data_package"] == {"name": "areas", "version": "2026-1"}
        assert {(one["repo_id"], one["repo_type"], one["revision"]) for one in document["artifacts"].values()} == {
            ("owner/areas", "dataset", "2026-1")
        }
        assert document["compatible_model_packages"] == [{"name": "policyengine-us", "specifier": ">=2.2,<3"}]
        assert document["compatible_core_packages"] == [{"name": "policyengine-core", "specifier": ">=3.33,<4"}]
    assert release["metadata"]["region_datasets"] == {
        "national": {"path_template": "national/US.h5"},
        "state": {"path_template": "states/{state_code}.h5"},
        "congressional_district": {"path_template": "districts/{district_code}.h5"},
    }
    assert (local["dataset_role"], local["is_default"], local["default_datasets"]) == (
        "non_default_local_area",
        False,
        {},
    )
    assert local["artifacts"] == {"national/US": release["artifacts"]["national/US"]}
    assert local["build"]["built_with_model_package"]["data_build_fingerprint"] == sha256_bytes(
        b"national/US.h5firstfingerprint"
    )


def test_the_release_manifest_is_of_the_manifests_in_force(run: Settings) -> None:
    """Bytes that were published before keep the manifest of then, and with it the fingerprint of their build."""
    first, _ = published(run)
    sidecar_of = run.layout.output("states/AL.h5").with_name(f"AL.h5{SUFFIX}")
    document = json.loads(sidecar_of.read_text())
    text = json.dumps({**document, "fingerprint": {"digest": "0" * 64, "components": {}}})
    sidecar_of.write_text(text)
    approval = run.layout.approval("states/AL.h5")
    approval.write_text(json.dumps(json.loads(approval.read_text()) | {"sidecar_sha256": sha256_bytes(text.encode())}))
    second, _ = published(run)
    assert second == first
    release = run.config.store.release
    assert second == published_manifest(
        open_store(run.config.store.url),
        "us",
        "local_areas",
        lambda build_id, built_at, address: Release(
            release.package, build_id, release.repo, build_id, built_at, address, {"national": "national/US"}
        ),
    )


def test_a_range_without_the_version_that_built_the_files_is_claimed_beside_it(run: Settings) -> None:
    configured(run, compatible=["==2.2.1", "policyengine-us == 2.3.0"])
    release, _ = published(run)
    assert [one["specifier"] for one in release["compatible_model_packages"]] == ["==2.2.1", "== 2.3.0", "==2.68.0"]
    assert [one["specifier"] for one in release["compatible_core_packages"]] == ["==3.33.12"]


def test_a_claim_for_another_package_is_refused(run: Settings) -> None:
    configured(run, compatible=["policyengine-uk>=2"])
    with pytest.raises(InputError, match=r"policyengine-us or policyengine-core, found 'policyengine-uk>=2'"):
        published(run)
    assert not Path(run.config.store.url).exists(), "said before anything is sent"


@pytest.mark.parametrize("claim", ["~=2", ">=2.*", "policyengine-us", "", "2.2.1"])
def test_a_claim_that_is_no_specifier_is_refused(claim: str) -> None:
    with pytest.raises(InputError, match="expected a version specifier"):
        check_claims([claim])


@pytest.mark.parametrize(
    "release",
    [
        {"repo": "areas"},
        {"repo": "owner/areas/more"},
        {"repo": "https://hub/owner/areas"},
        {"repo_type": "space"},
        {"tag": "a/b"},
        {"tag": ""},
        {"package": "two words"},
        {"compatible": ">=2"},
        {"compatible": ["newest"]},
        {"compatible": [">=2,,<3"]},
        {"revision": "main"},
    ],
)
def test_a_release_that_is_none_is_refused_by_name(config: dict[str, Any], release: dict[str, object]) -> None:
    config["store"]["release"] = release
    with pytest.raises(ConfigError, match=rf"store\.release.*{next(iter(release))}"):
        Settings.load(config)


def test_what_the_variables_of_the_run_mean_goes_with_it(run: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    age = Variable("age", "person", "year", label="age of a person", unit="year", source="the source dataset")
    path = run.layout.dictionary
    path.write_bytes(Dictionary((age,)).to_bytes())
    monkeypatch.setenv("PE_DATA_CACHE", str(run.results / "cache"))
    publish(run)
    url = run.config.store.url
    assert pe_data.variables("pe-data://us/local_areas@latest", store=url) == (age,)
    path.write_text("{}")
    with pytest.raises(InvalidDocumentError, match=r"prepared/dictionary.json: field schema_version: expected 1"):
        publish(run)


def test_publishing_again_changes_nothing(run: Settings) -> None:
    _, first = publish(run)
    report, second = publish(run)
    assert report.startswith("nothing to do: 4 artifact(s) already there")
    assert second == first


def test_only_the_changed_area_is_sent(run: Settings) -> None:
    publish(run)
    write_area(run, "districts/AL-01.h5", b"second")
    report, release = publish(run)
    assert report.startswith("1 artifact(s) uploaded")
    assert "3 already there" in report
    assert release["artifacts"]["districts/AL-01"]["sha256"] == sha256_bytes(b"districts/AL-01.h5second")
    assert len(list(history(open_store(run.config.store.url), "us", "local_areas"))) == 2


def without_the_city(run: Settings, config: dict[str, Any]) -> Settings:
    """The next run, of fewer areas and with another state."""
    config["areas"]["cities"] = []
    write_area(run, "states/AL.h5", b"second", rows={"household": 2, "person": 2})
    run.layout.config.write_text(json.dumps(config))
    return Settings.load(config)


def test_a_run_without_some_areas_is_refused(
    run: Settings, config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    publish(run)
    fewer = without_the_city(run, config)
    said = r"not published: us/local_areas: expected all .*\(4 members\), found 3 without cities/NYC"
    with pytest.raises(InputError, match=rf"{said}.*set store\.allow_removal: true"):
        publish(fewer)
    assert read(open_store(run.config.store.url), "us", "local_areas").body.version == 1
    report, _ = publish(fewer, allow_removal=True)
    assert "4 → 3 files: 1 gone, 1 changed, 2 the same" in report
    assert re.search(r"household rows +1 +2 +\+100\.0 %", report)


def test_a_dry_run_of_a_run(run: Settings, config: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    release, url = run.results / "release_manifest.json", run.config.store.url
    assert script.publish_run(run.layout.config, release, url, dry_run=True) == 0
    assert not Path(url or "").exists()
    assert not release.exists()
    publish(run)
    fewer = without_the_city(run, config)
    capsys.readouterr()
    assert script.publish_run(fewer.layout.config, release, url, dry_run=True) == 1
    out, err = capsys.readouterr()
    assert "would be refused: us/local_areas: expected all" in err
    assert "gone (1)" in out
    assert script.publish_run(fewer.layout.config, release, url, dry_run=True, allow_removal=True) == 0
    foreseen = capsys.readouterr().out
    publish(fewer, allow_removal=True)
    assert f"version 2, sha256:{read(open_store(url), 'us', 'local_areas').body.artifact_sha256}" in foreseen


def licences(store: Store) -> set[str]:
    keys = [meta.key for meta in store.list("us/") if meta.key.endswith(".manifest.json")]
    return {Manifest.from_bytes(unpack(store.get(key).data, key), key).licence for key in keys}


def members(store: Store) -> Mapping[str, Member]:
    """Of what @latest stands at."""
    key = collection_key("us", read(store, "us", "local_areas").body.artifact_sha256)
    return Collection.from_bytes(store.get(key).data, what=key).members


def test_the_licence_of_the_run_is_in_every_manifest_and_row(run: Settings) -> None:
    report, _ = publish(run, "CC0-1.0")
    store = open_store(run.config.store.url)
    assert licences(store) == {"CC0-1.0"}
    assert {member.licence for member in members(store).values()} == {"CC0-1.0"}
    assert "no licence" not in report


def test_a_licence_that_comes_later_holds_for_the_publication(run: Settings) -> None:
    """The manifests stay, and what was published first without one can be nominated now."""
    report, _ = publish(run)
    assert "no licence is named for 4 of 4 artifact(s)" in report
    report, _ = publish(run, "CC0-1.0")
    assert "no licence" not in report
    store = open_store(run.config.store.url)
    assert licences(store) == {UNSPECIFIED}
    assert {member.licence for member in members(store).values()} == {"CC0-1.0"}
    assert read(store, "us", "local_areas").body.version == 2


def test_each_area_is_said_also_of_members_that_share_their_bytes(run: Settings) -> None:
    """A state with one district: one file, one manifest, two areas."""
    for name, kind, area in (("states/AL.h5", "state", "AL"), ("districts/AL-01.h5", "district", "AL-01")):
        asked = {"area_type": kind, "area_id": area, "display_name": f"the {kind}", "congress": 119}
        write_area(run, name, b"", data=b"at large", request=asked, notes={"purpose": "a test"})
    publish(run, citation="Doe (2026)", notes={"geography": "made\nup"})
    found = members(open_store(run.config.store.url))
    state, district = found["states/AL"], found["districts/AL-01"]
    assert state.bare == district.bare
    assert state.area == Area("state", "AL", "the state", 119)
    assert district.area == Area("district", "AL-01", "the district", 119)
    assert state.notes == ("geography: made up", "purpose: a test")
    assert found["national/US"].notes == ("geography: made up",)
    assert {member.citation for member in found.values()} == {"Doe (2026)"}


@pytest.mark.parametrize("licence", ["CC0-1.0", "LicenseRef-survey", "https://example.org/licence", None])
def test_a_licence_is_an_identifier_an_address_or_none(config: dict[str, Any], licence: str | None) -> None:
    config["store"]["licence"] = licence
    assert Settings.load(config).config.store.licence == licence


@pytest.mark.parametrize("licence", ["public domain", "http://example.org/licence", "https://", "unspecified", "", 1])
def test_another_licence_is_refused_by_name(config: dict[str, Any], licence: object) -> None:
    config["store"]["licence"] = licence
    with pytest.raises(ConfigError, match=r"store\.licence"):
        Settings.load(config)


def test_areas_that_failed_validation_are_not_published(run: Settings) -> None:
    """A failed area has no approval, one of an earlier file, or one by an earlier record."""
    (run.results / "published" / "districts" / "AL-01.json").unlink()
    run.layout.record("structural", run.requests[0]).write_text('{"another": "verdict"}')
    (run.results / "published" / "states" / "AL.json").write_text(json.dumps({"sha256": sha256_bytes(b"before")}))
    with pytest.raises(InputError, match=r"US\.h5.*AL\.h5.*AL-01\.h5"):
        publish(run)
    assert not Path(run.config.store.url).exists()


def test_areas_of_two_models_are_one_error(run: Settings) -> None:
    write_area(run, "districts/AL-01.h5", b"first", model="2.67.0")
    with pytest.raises(InputError, match=r"policyengine-us 2\.6\d\.0 in .* and policyengine-us 2\.6\d\.0 in"):
        publish(run)


def test_a_release_manifest_of_files_that_name_no_model() -> None:
    artifact = Artifact(sha256_bytes(b"x"), 1, MEDIA_TYPES["parquet"])
    entities = {"person": Entity(1, columns={"float32": ("age",)})}
    manifest = Manifest(artifact, "us", "cps", (2024,), entities, "unspecified", "active", "public", "1.0")
    release = Release("p", "1.0", "o/r", "b", "2026-01-31T12:00:00Z", "pe-data://us/cps@latest", {"national": "US"})
    document = release_manifest({"cps": manifest}, release)
    assert document["compatible_model_packages"] == []
    assert document["default_datasets"] == {}
    assert "built_with_model_package" not in document["build"]  # type: ignore[operator]


@pytest.mark.workflow
def test_snakemake_publish(run: Settings, tmp_path: Path) -> None:
    """The rule itself: asking twice asks the store twice, and the second time there is nothing to do."""
    release = {"repo": "owner/areas", "tag": "t1"}
    config = {**run.config.to_json(), "notes": {"purpose": "it's a test, not an estimate"}}
    config["store"] = {
        "url": run.config.store.url,
        "licence": "CC0-1.0",
        "citation": "Doe, 'Areas' (2026)",
        "reason": "the year's first",
        "by": "ada@example.org",
        "release": release,
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    run.layout.config.write_text(json.dumps(config))  # as the workflow resolves it
    (tmp_path / "Snakefile").write_text(
        "from local_h5.config.settings import Settings\n"
        'configfile: "config.yaml"\n'
        "SETTINGS = Settings.load(config)\n"
        "CONFIG = SETTINGS.config\n"
        "RESULTS, RESOLVED = SETTINGS.results.as_posix(), SETTINGS.layout.config.as_posix()\n"
        "SCRIPTS = 'scripts'\n"
        "class RUN:\n"
        "    wanted = lambda: [str(SETTINGS.layout.approval(request)) for request in SETTINGS.requests]\n"
        f'include: "{ROOT}/rules/common.smk"\n'
        f'include: "{ROOT}/rules/publish.smk"\n'
    )
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")

    def snakemake() -> Ended:
        environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = ["-m", "snakemake", "publish", "--cores", "1", "--quiet", "all", "--rerun-triggers", "mtime"]
        return python(command, tmp_path, environment)

    first = snakemake()
    assert first.returncode == 0, first.stderr
    assert "4 artifact(s) uploaded" in first.stdout
    for name in ("release_manifest.json", "local_area/release_manifest.json"):
        artifact = json.loads((run.results / name).read_text())["artifacts"]["national/US"]
        assert (artifact["repo_id"], artifact["revision"]) == ("owner/areas", "t1")
    store = open_store(run.config.store.url)
    assert licences(store) == {"CC0-1.0"}
    state = members(store)["states/AL"]
    assert (state.notes, state.citation) == (("purpose: it's a test, not an estimate",), "Doe, 'Areas' (2026)")
    said = read(store, "us", "local_areas").body
    assert (said.reason, said.by) == ("the year's first", "ada@example.org")
    assert "4 of 4 files" in (run.results / "logs" / "publish.log").read_text()
    again = snakemake()
    assert again.returncode == 0, again.stderr
    assert "nothing to do: 4 artifact(s) already there" in again.stdout
    for allowed in (False, True):
        config["areas"]["cities"], config["store"]["allow_removal"] = [], allowed
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        run.layout.config.write_text(json.dumps(config))
        fewer = snakemake()
        assert (fewer.returncode == 0) == allowed, fewer.stderr
        assert "gone (1)" in fewer.stdout
        assert ("store.allow_removal: true" in (run.results / "logs" / "publish.log").read_text()) != allowed


def test_the_report_gives_the_digest_that_is_published(
    run: Settings, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after; so does the dry run. Against what was published, the run is the same."""
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    before = dict(publication(run))
    said = io.StringIO()
    with redirect_stdout(said):
        script.publish_run(run.layout.config, tmp_path / "r.json", run.config.store.url, dry_run=True)
    assert before["Digest"] in said.getvalue()
    with redirect_stdout(said):
        script.publish_run(run.layout.config, tmp_path / "r.json", run.config.store.url)
    published = read(open_store(str(run.config.store.url)), "us", "local_areas").body
    assert before["Digest"] == f"sha256:{published.artifact_sha256}"
    assert before["Version"] == "would be 1"
    assert dict(publication(run))["Version"] == "stands there already, as 1"
    for against in ("@latest", "@v1", before["Digest"], f"us/local_areas@{before['Digest']}"):
        change = what_changed(RunData(run, ()), against, deep=False)
        assert "no difference" in change.summary, against
    write_area(run, "states/AL.h5", b"second")
    assert dict(publication(run))["Digest"] != before["Digest"]
    change = what_changed(RunData(run, ()), "@latest", deep=False)
    assert any("states/AL" in section.note for section in change.sections)
    fewer = Settings.load(config | {"areas": config["areas"] | {"cities": []}})
    assert "cities/NYC" in dict(publication(fewer))["Would be refused"]
    run.layout.approval(run.requests[0]).unlink()
    assert "no approval" in dict(publication(run))["Not releasable"]
