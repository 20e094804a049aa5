"""docs/neighbours.md and our documents against the real `policyengine`: `make test-neighbours`, after `make all`.

One process imports the package once, which costs about 20 CPU-seconds. Nothing is fetched: the hub's files are those of
the finished run in `results/`.
"""

import ast
import contextlib
import io
import json
import re
import shutil
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points, requires, version
from pathlib import Path
from typing import Any

import h5py
import jsonschema
import pytest
from packaging.requirements import Requirement
from snippets import Snippet, snippets_of
from trust_helpers import make_trust

import pe_data
import publish_collection as script
from pe_data.certify.trace import fingerprint_of
from pe_data.cli import run
from pe_data.documents.envelope import POINTER_TYPE
from pe_data.errors import InputError
from pe_data.names.digests import sha256_file
from pe_data.policyengine import ensure_datasets, resolve
from pe_data.store.folder import FolderStore
from pe_data.write.nominate import candidate, nominate, propose

pytestmark = pytest.mark.neighbours

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
PAGE = ROOT / "docs/neighbours.md"
RELEASE = {
    "repo": "example/areas",
    "repo_type": "dataset",
    "package": "areas",
    "tag": "2026-1",
    "compatible": [">=2.2,<3", "policyengine-core>=3.33,<4"],
}
PLACE = {"repo_id": "example/areas", "repo_type": "dataset", "revision": "2026-1", "path": "release_manifest.json"}
HUB = "https://huggingface.co/datasets/example/areas/resolve/2026-1/"
OFFLINE = {
    **dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"), "1"),
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9"),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), ""),
}
"""A library that asks the network all the same is refused at once."""


@pytest.fixture(scope="module", autouse=True)
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project's folder, a store and a cache of the test's own, and no network; the folder of all of it."""
    folder = tmp_path_factory.mktemp("neighbours")
    values = {
        "PE_DATA_STORE": str(folder / "store"),
        "PE_DATA_CACHE": str(folder / "cache"),
        "PE_DATA_CONFIG": str(folder / "none.toml"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for name, value in {**OFFLINE, **values}.items():
            patch.setenv(name, value)
        shutil.rmtree("build/neighbours", ignore_errors=True)
        yield folder


@pytest.fixture(scope="module")
def pe(environment: Path) -> Any:
    import policyengine

    assert version("policyengine") == "6.11.1", "docs/neighbours.md names the version; `make lock` resolves another"
    return policyengine


@dataclass(frozen=True)
class Published:
    """What `snakemake publish` leaves, for a configured release."""

    release: dict[str, Any]
    local_area: dict[str, Any]
    path: Path


@pytest.fixture(scope="module")
def published(environment: Path) -> Published:
    if not (RESULTS / "national/US.h5").is_file():
        pytest.fail("results/: expected a finished run, found none; `make all` makes one")
    config = json.loads((RESULTS / "prepared/config.json").read_text())
    config["store"] = {**config["store"], "url": None, "release": RELEASE}
    (environment / "config.json").write_text(json.dumps(config))
    path = environment / "release/release_manifest.json"
    with contextlib.redirect_stdout(io.StringIO()):
        script.publish_run(environment / "config.json", path, licence="CC0-1.0")
    local_area = json.loads((path.parent / "local_area" / path.name).read_text())
    return Published(json.loads(path.read_text()), local_area, path)


@dataclass(frozen=True)
class Certified:
    """What `pe-data certify` leaves."""

    block: dict[str, Any]
    folder: Path

    @property
    def trace(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "trace.tro.jsonld").read_text())
        return found


@pytest.fixture(scope="module")
def certified(environment: Path, published: Published, pe: Any) -> Certified:
    """Nominated and certified for the model and the core that the package pins."""
    store = FolderStore(environment / "store")
    trust = make_trust(store, environment / "trust", {"next-us": 1, "revoke-us": 1, "attest-us": 1})
    out = environment / "certified"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PE_DATA_TRUST_ROOT", str(trust.anchor))
        body = propose(store, candidate(store, "us", "local_areas"), namespace="local")
        nominate(store, trust.sign(body.to_bytes(), POINTER_TYPE), trust.policy())
        words = ["certify", "us", "--data-producer", "local-h5", "--release-manifest", str(published.path)]
        words += ["--policyengine-version", version("policyengine"), "--bundle-id", f"us-{version('policyengine')}"]
        words += ["--by", "certifier@example.org", "--quick", "--out", str(out)]
        assert run(words) == 0
    return Certified(json.loads((out / "data_release.json").read_text()), out)


# --- release manifests ------------------------------------------------------------------------------------


def test_the_release_manifest_is_the_packages_own(pe: Any, published: Published) -> None:
    from policyengine.provenance.certification import CertificationError, validate_release_manifest
    from policyengine.provenance.manifest import DataReleaseArtifact, DataReleaseManifest

    for document in (published.release, published.local_area):
        assert set(document) <= set(DataReleaseManifest.model_fields)
        for artifact in document["artifacts"].values():
            assert set(artifact) <= set(DataReleaseArtifact.model_fields)
    manifest = DataReleaseManifest.model_validate(published.release)
    assert len(manifest.artifacts) == 489
    built = manifest.build.built_with_model_package
    assert built.data_build_fingerprint is not None
    valid = partial(validate_release_manifest, manifest, "policyengine-us")
    core = manifest.build.built_with_core_package.version
    assert valid(built.version, core_version=core) == ("built_with_model_package", [])
    basis, warnings = valid("2.2.1", core_version="3.33.3")
    if built.version != "2.2.1":
        assert basis == "legacy_compatible_model_package"
        assert len(warnings) == 1
    for model, of_core, said in (("3.0.0", core, "policyengine-us 3.0.0"), (built.version, "4.0.0", "core 4.0.0")):
        with pytest.raises(CertificationError, match=said):
            valid(model, core_version=of_core)


def test_every_region_of_the_package_is_routed_to_its_file(pe: Any, published: Published) -> None:
    from policyengine.countries.us.regions import us_region_registry
    from policyengine.provenance.certification import build_country_manifest_payload
    from policyengine.provenance.manifest import CountryReleaseManifest, DataReleaseManifest

    payload = build_country_manifest_payload(
        country="us",
        manifest=DataReleaseManifest.model_validate(published.release),
        uri_parts=PLACE,
        policyengine_version=version("policyengine"),
        model_package="policyengine-us",
        model_version="2.2.1",
        model_wheel={},
    )
    templates = CountryReleaseManifest.model_validate(payload).region_datasets
    paths = {one["path"] for one in published.release["artifacts"].values()}
    codes = {"state": "state_code", "congressional_district": "district_code"}
    counts = dict.fromkeys(codes, 0)
    for region in us_region_registry.regions:
        if region.region_type in codes:
            name = region.code.partition("/")[2].upper()
            assert templates[region.region_type].resolve(**{codes[region.region_type]: name}) in paths
            counts[region.region_type] += 1
    assert counts == {"state": 51, "congressional_district": 436}
    assert templates["national"].path_template == "national/US.h5"


def test_the_area_coded_file_joins_another_primary_release(pe: Any, published: Published) -> None:
    from policyengine.provenance.certification import CertificationError, merge_regional_release_manifest
    from policyengine.provenance.manifest import DataReleaseManifest

    ours = DataReleaseManifest.model_validate(published.local_area)
    place = {"repo_id": "other/nation", "revision": "1", "sha256": "0" * 64}
    other = DataReleaseManifest.model_validate(
        {
            "schema_version": 1,
            "data_package": {"name": "microcosm-data", "version": "1"},
            "default_datasets": {"national": "nation_2024"},
            "artifacts": {"nation_2024": {"kind": "microdata", "path": "nation_2024.h5", **place}},
        }
    )
    merged, kind = merge_regional_release_manifest("us", other, ours, regional_repo_type="dataset")
    assert kind == "local_area"
    assert merged.metadata["region_datasets"] == {
        "national": {"path_template": "nation_2024.h5"},
        **{region: {"path_template": "national/US.h5"} for region in ("state", "congressional_district")},
    }
    assert merged.artifacts["national/US"].repo_type == "dataset"
    with pytest.raises(CertificationError, match="conflicts with the primary manifest"):
        merge_regional_release_manifest("us", DataReleaseManifest.model_validate(published.release), ours)


# --- data_release.json ------------------------------------------------------------------------------------


def unknown_to(model: Any, document: Any) -> set[str]:
    """Keys of a document, and of the objects in it, that the package's structure does not have."""
    found = set(document) - set(model.model_fields)
    for name, field in model.model_fields.items():
        part = document.get(name)
        for kind in _models(field.annotation):
            rows = part.values() if _is_mapping(field.annotation) and isinstance(part, dict) else [part]
            for row in rows:
                found |= {f"{name}.{key}" for key in unknown_to(kind, row)} if isinstance(row, dict) else set()
    return found


def _models(annotation: Any) -> list[Any]:
    arguments = getattr(annotation, "__args__", ())
    return [annotation] if hasattr(annotation, "model_fields") else [kind for one in arguments for kind in _models(one)]


def _is_mapping(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is dict or any(map(_is_mapping, getattr(annotation, "__args__", ())))


def test_the_block_is_a_country_release_of_the_package(pe: Any, published: Published, certified: Certified) -> None:
    from policyengine.provenance import certification, manifest

    block = certified.block
    country = manifest.CountryReleaseManifest.model_validate(block)
    bundled = json.loads((Path(pe.__file__).parent / "data/bundle/manifest.json").read_text())["data_releases"]["us"]
    unknown = unknown_to(manifest.CountryReleaseManifest, block)
    assert unknown - set(bundled) == {"pe_data"}, "what is not the package's own stands under one key"
    release = manifest.DataReleaseManifest.model_validate(published.release)
    real = certification.build_bundle_data_release_payload(
        country_payload=certification.build_country_manifest_payload(
            country="us",
            manifest=release,
            uri_parts=PLACE,
            policyengine_version=version("policyengine"),
            model_package="policyengine-us",
            model_version=version("policyengine-us"),
            model_wheel={},
            compatibility_basis=country.certification.compatibility_basis,
            core_version=version("policyengine-core"),
        ),
        data_producer="local-h5",
        manifest_uri="hf://dataset/example/areas@2026-1/release_manifest.json",
        uri_parts=PLACE,
    )
    real["certification"]["certified_by"] = "certifier@example.org"
    assert {key: value for key, value in block.items() if key != "pe_data"} == real
    manifest._validate_bundle_artifacts(release, country)
    assert country.default_dataset_uri == "hf://example/areas/national/US.h5@2026-1"
    held = manifest._certify_available_data_release("us", country, release, version("policyengine-us"), None, None)
    assert held.certified_for_model_version == version("policyengine-us")
    assert country.certification.core_binding == "certified"


# --- TRACE ------------------------------------------------------------------------------------------------


def served(url: str) -> bytes:
    """What the hub would serve."""
    assert url.startswith(HUB)
    return (RESULTS / url.removeprefix(HUB)).read_bytes()


def test_the_trace_object_is_valid_and_verified(pe: Any, published: Published, certified: Certified) -> None:
    from policyengine.provenance.trace import compute_trace_composition_fingerprint, extract_bundle_tro_reference
    from policyengine.provenance.verify import verify_trace_tro, verify_trace_tro_path

    rules = json.loads((Path(pe.__file__).parent / "data/schemas/trace_tro.schema.json").read_text())
    trace = certified.trace
    jsonschema.Draft202012Validator(rules).validate(trace)

    def fetch(url: str) -> bytes:
        return published.path.read_bytes() if url == f"{HUB}release_manifest.json" else served(url)

    report = verify_trace_tro_path(certified.folder / "trace.tro.jsonld", fetch=fetch)
    assert report.ok, [one for one in report.artifacts if one.status != "ok"][:3]
    assert len(report.artifacts) == 489 + 2
    composition = trace["@graph"][0]["trov:hasComposition"]
    listed = [one["trov:sha256"] for one in composition["trov:hasArtifact"]]
    assert fingerprint_of(listed) == compute_trace_composition_fingerprint(listed)
    assert extract_bundle_tro_reference(trace)["fingerprint"] == fingerprint_of(listed)
    composition["trov:hasArtifact"][5]["trov:sha256"] = "0" * 64
    wrong = verify_trace_tro(trace, base_dir=certified.folder, fetch=fetch)
    assert wrong.fingerprint_status == "mismatch"
    assert [one.status for one in wrong.artifacts].count("mismatch") == 1


# --- the page ---------------------------------------------------------------------------------------------

SNIPPETS = snippets_of("docs/neighbours.md", PAGE.read_text(encoding="utf-8"))
STEPS = [
    (one, after.text.splitlines() if after is not None and after.kind == "text" else [])
    for one, after in zip(SNIPPETS, [*SNIPPETS[1:], None], strict=True)
    if one.kind == "python" and one.reason is None
]
NAMES: dict[str, Any] = {}
"""What the page's blocks leave to those below them."""


@pytest.mark.parametrize(("block", "said"), STEPS, ids=[one.place for one, _ in STEPS])
def test_a_block_of_the_page_prints_what_stands_below_it(
    block: Snippet, said: list[str], pe: Any, published: Published
) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(block.text, block.place, "exec"), NAMES)
    lines = printed.getvalue().splitlines()
    assert len(lines) == len(said) > 0
    for line, expected in zip(lines, said, strict=True):
        assert re.fullmatch(".*".join(map(re.escape, expected.split("…"))), line), f"{line!r} is not {expected!r}"


def test_the_record_of_the_page_binds_the_origin(pe: Any) -> None:
    from policyengine.provenance.verify import verify_trace_tro_path

    folder = ROOT / "build/neighbours/record"
    assert json.loads((folder / "request.json").read_text())["pe_data"] == NAMES["origin"]
    assert NAMES["origin"]["sha256"] == sha256_file(RESULTS / "districts/NC-01.h5")
    assert verify_trace_tro_path(folder / "run.trace.tro.jsonld").ok
    year_file = Path(NAMES["district"].filepath)
    assert year_file.name == f"NC-01-{NAMES['origin']['sha256'][:16]}_year_2026.h5"
    bundle = NAMES["simulation"].release_bundle
    assert bundle["certified_data_artifact_sha256"] not in json.dumps(NAMES["origin"]), "theirs; the page says so"


# --- every other call that was tried ----------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, pe: Any) -> Path:
    """For the package's files per year."""
    return tmp_path / "years"


def rows(dataset: Any) -> int:
    return len(dataset.data.person)


def persons(area: str) -> int:
    with h5py.File(RESULTS / f"{area}.h5") as file:
        return len(file["person_id/2024"])


def test_a_path_is_refused_unless_the_caller_says_unmanaged(pe: Any, folder: Path) -> None:
    path = str(RESULTS / "districts/NC-01.h5")
    with pytest.raises(ValueError, match="Explicit local dataset paths bypass"):
        pe.us.ensure_datasets(datasets=[path], years=[2026], data_folder=str(folder))
    found = pe.us.ensure_datasets(datasets=[path], years=[2026], data_folder=str(folder), allow_unmanaged=True)
    assert rows(found["NC-01_2026"]) == persons("districts/NC-01")


def test_another_file_of_one_name_is_not_noticed_by_the_package_and_is_by_us(
    pe: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PE_DATA_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    before, after = persons("districts/NC-01"), persons("districts/NC-02")
    assert before != after
    path = tmp_path / "one/NC-01.h5"
    path.parent.mkdir()
    theirs, ours = [], []
    for source in ("NC-01", "NC-02"):
        shutil.copyfile(RESULTS / f"districts/{source}.h5", path)
        assert run(["publish", str(path), "us/nc_01", "--year", "2024"]) == 0
        common = {"years": [2026], "data_folder": str(folder), "allow_unmanaged": True}
        theirs.append(rows(pe.us.ensure_datasets(datasets=[str(path)], **common)["NC-01_2026"]))
        ours.append(rows(ensure_datasets(datasets=["pe-data://us/nc_01@latest"], **common)["nc_01_2026"]))
    assert ours == [before, after]
    assert theirs == [before, before], "theirs; the page says so"


def test_the_packages_dataset_opens_the_file_itself(pe: Any, folder: Path) -> None:
    from policyengine.tax_benefit_models.us.datasets import PolicyEngineUSDataset

    path = str(RESULTS / "districts/NC-01.h5")
    amounts = {}
    for year in (2024, 2026):
        opened = PolicyEngineUSDataset(name="NC-01", description="", filepath=path, year=year)
        amounts[year] = float(opened.data.person["employment_income_before_lsr"].sum())
    assert amounts[2024] == amounts[2026], "theirs: nobody aged them; the page says so"
    aged = float(NAMES["district"].data.person["employment_income_before_lsr"].sum())
    assert aged > amounts[2024] * 1.01


def test_an_address_without_the_module_is_refused(pe: Any, published: Published, folder: Path) -> None:
    from policyengine.provenance.dataset_materialization import DatasetMaterializationError

    address = "pe-data://us/local_areas/districts/NC-01@latest"
    ask = partial(pe.us.ensure_datasets, datasets=[address], years=[2026], data_folder=str(folder))
    with pytest.raises(ValueError, match="Explicit dataset URIs bypass"):
        ask()
    with pytest.raises(DatasetMaterializationError, match="Unsupported explicit dataset URI"):
        ask(allow_unmanaged=True)
    with pytest.raises(InputError, match="allow_unmanaged=True"):
        ensure_datasets(datasets=[address], years=[2026], data_folder=str(folder))
    path = pe_data.ensure(address)
    found = pe.us.ensure_datasets(datasets=[str(path)], years=[2026], data_folder=str(folder), allow_unmanaged=True)
    assert list(found) == [f"{sha256_file(path)}_2026"]
    with pytest.raises(InputError, match="Ageing data"):
        pe_data.ensure_datasets([address], years=[2026])


AT_LARGE = {"AK-01", "DC-01", "DE-01", "ND-01", "SD-01", "VT-01", "WY-01"}


def at_large_code() -> str:
    """What the run wrote for the district of a state that has one: the package wants 00."""
    found: str = json.loads((RESULTS / "prepared/config.json").read_text())["areas"].get("at_large_code", "01")
    return found


def test_every_district_of_the_package_has_households(pe: Any) -> None:
    from policyengine.countries.us.regions import us_region_registry

    with h5py.File(RESULTS / "national/US.h5") as file:
        found = set(file["congressional_district_geoid/2024"][:].tolist())
    wanted = {
        region.scoping_strategy.variable_value: region.code.partition("/")[2]
        for region in us_region_registry.regions
        if region.region_type == "congressional_district"
    }
    assert len(wanted) == 436
    assert {code for value, code in wanted.items() if value not in found} == (
        set() if at_large_code() == "00" else AT_LARGE
    )


def test_an_at_large_district_is_cut_out_of_its_state(pe: Any, folder: Path) -> None:
    from policyengine.countries.us.regions import us_region_registry
    from policyengine.outputs import compute_us_congressional_district_impacts

    path = str(RESULTS / "states/AK.h5")
    (state,) = pe.us.ensure_datasets(
        datasets=[path], years=[2026], data_folder=str(folder), allow_unmanaged=True
    ).values()
    (region,) = [one for one in us_region_registry.regions if one.code == "congressional_district/AK-01"]
    cut = pe.Simulation(dataset=state, tax_benefit_model_version=pe.us.model, scoping_strategy=region.scoping_strategy)
    if at_large_code() == "01":
        with pytest.raises(ValueError, match="No households found"):
            cut.run()
        return
    cut.run()
    assert rows(cut.output_dataset) == persons("districts/AK-01") == persons("states/AK")
    impacts = compute_us_congressional_district_impacts(cut, cut).district_results
    assert [one["district_geoid"] for one in impacts] == [200]


def test_the_packages_fit_beside_each_other(pe: Any) -> None:
    """As `pip check` says it, without pip."""
    for name in ("pe-microdata", "local-h5", "policyengine"):
        for text in requires(name) or ():
            one = Requirement(text)
            if one.marker is None or one.marker.evaluate({"extra": "us" if name == "policyengine" else ""}):
                assert one.specifier.contains(version(one.name), prereleases=True), f"{name} wants {text}"


def test_the_signature_is_the_packages(pe: Any) -> None:
    import inspect

    theirs, ours = (inspect.signature(one).parameters for one in (pe.us.ensure_datasets, ensure_datasets))
    assert list(theirs) == list(ours)
    assert [one.default for one in theirs.values()] == [
        list(one.default) if isinstance(one.default, tuple) else one.default for one in ours.values()
    ]


# --- the patch --------------------------------------------------------------------------------------------

PATCH = [one.text for one in SNIPPETS if one.kind == "python" and one.reason is not None]


def patched(source: str) -> str:
    """The package's module with the lines of the page, each where the page says."""
    functions, resolve_lines, managed_lines = PATCH
    lines = source.splitlines()
    places = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    additions = {}
    for name, text in (
        ("resolve_dataset_reference", resolve_lines),
        ("resolve_managed_dataset_reference", managed_lines),
    ):
        body = places[name].body
        first = body[1] if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) else body[0]
        additions[first.lineno] = [f"    {line}" for line in text.splitlines()]
    for number in sorted(additions, reverse=True):
        lines[number - 1 : number - 1] = additions[number]
    return "\n".join([*lines, "", functions])


def test_with_the_patch_the_packages_own_call_takes_the_address(
    pe: Any, published: Published, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from policyengine.provenance import dataset_materialization, manifest
    from policyengine.tax_benefit_models.us import datasets as us_datasets

    (entry,) = entry_points(group="policyengine.dataset_resolvers", name="pe-data")
    assert entry.load() is resolve
    copy = types.ModuleType("policyengine.provenance.manifest_with_the_patch")
    copy.__package__ = "policyengine.provenance"
    monkeypatch.setitem(sys.modules, copy.__name__, copy)
    text = Path(str(manifest.__file__)).read_text()
    exec(compile(patched(text), "manifest with the patch", "exec"), copy.__dict__)
    for module in (dataset_materialization, us_datasets):
        for name in ("resolve_dataset_reference", "resolve_managed_dataset_reference"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, getattr(copy, name))
    address = "pe-data://us/local_areas/districts/NC-01@latest"
    ask = partial(pe.us.ensure_datasets, datasets=[address], years=[2026], data_folder=str(folder))
    with pytest.raises(ValueError, match="Explicit dataset URIs bypass"):
        ask()
    digest = sha256_file(RESULTS / "districts/NC-01.h5")
    (name,) = ask(allow_unmanaged=True)
    assert name == f"NC-01-{digest[:16]}_2026"
    assert len(list(folder.glob(f"NC-01-{digest[:16]}_year_2026.h5"))) == 1
    added = [line for line in patched(text).splitlines() if line.strip()]
    assert len(added) - len([line for line in text.splitlines() if line.strip()]) <= 22
