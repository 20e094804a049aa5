"""Of a gated country, those who show no token are told name, licence and how to apply, and nothing else."""

import importlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from gateway_helpers import DATASET, LICENCE, publish_regions, publish_survey, survey_label, write_households

import pe_data
from pe_data.cli import run
from pe_data.describe.file import describe
from pe_data.documents.collection import About, Area, Collection
from pe_data.documents.croissant import notice_to_croissant, to_croissant
from pe_data.documents.dictionary import Variable
from pe_data.documents.frictionless import notice_to_frictionless, to_frictionless
from pe_data.documents.manifest import Manifest
from pe_data.documents.notice import Notice, WithheldError, is_gated, notice_of
from pe_data.names.countries import UNSPECIFIED, terms_of
from pe_data.names.keys import collection_key
from pe_data.names.uri import parse_store_uri
from pe_data.read.channels import read
from pe_data.read.locate import target
from pe_data.read.options import Options
from pe_data.read.places import Places
from pe_data.store.artifacts import read_contents
from pe_data.store.folder import FolderStore
from pe_data.write.publish import publish_collection
from pe_data.write.upload import Item

SECRET = "of no concern to you"
REGIONS = ("wales", "scotland")
SAID = About(area=Area("region", "W92000004", "Cymru"), notes=("thin in the north",), citation="Doe (2026)", title="A")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
    """A survey, a collection whose rows say nothing, and one whose rows say something."""
    store = FolderStore(tmp_path / "store")
    publish_survey(store, tmp_path / "files")
    publish_regions(store, tmp_path / "files", *REGIONS)
    label = survey_label("areas")
    path = write_households(tmp_path / "files" / "cymru.h5", seed=7)
    items = {"cymru": Item(path, describe(path, label), replace_about(label.about()))}
    publish_collection(store, items, country="uk", dataset="areas", run_id="run-of-2026")
    monkeypatch.setenv("PE_DATA_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "none.toml"))
    return store


def replace_about(about: About) -> About:
    return SAID.over(about)


def manifests(store: FolderStore) -> Iterator[tuple[str | None, Manifest]]:
    for dataset in (DATASET, "regions", "areas"):
        body = read(store, "uk", dataset).body
        for file in read_contents(store, "uk", body.artifact_sha256, body.manifest_sha256).files:
            yield file.name, file.manifest


def secrets(store: FolderStore) -> set[str]:
    """Names of columns and entities, and all that is particular to a member."""
    found = {"run-of-2026", "W92000004", "Cymru", "thin in the north", "Doe (2026)", "FRS 2023-24"}
    for name, manifest in manifests(store):
        found |= {name} if name else set()
        for entity, described in manifest.entities.items():
            found |= {entity, *manifest.column_names(entity), str(described.rows)}
        found |= {manifest.artifact.sha256, manifest.sha256, str(manifest.artifact.size_bytes)}
    return found


def secrets_of(manifest: Manifest) -> set[str]:
    return {name for entity in manifest.entities for name in (entity, *manifest.column_names(entity))}


def told(text: str, secret: Iterable[str]) -> list[str]:
    """Which of them a text tells, as words of their own."""
    return sorted(one for one in secret if re.search(rf"(?<![A-Za-z0-9]){re.escape(one)}(?![A-Za-z0-9])", text))


SURVEY = f"pe-data://uk/{DATASET}@latest"
COMMANDS = [
    ["list"],
    ["list", "uk"],
    ["list", "uk", "--members"],
    ["list", "uk", "--json"],
    ["list", "uk/regions"],
    ["list", "uk/regions", "--json"],
    ["list", "pe-data://uk/regions@latest"],
    *(
        ["schema", uri, *form]
        for uri in (
            SURVEY,
            "pe-data://uk/regions@latest",
            "pe-data://uk/areas@latest",
            "pe-data://uk/areas/cymru@latest",
        )
        for form in ([], ["--json"], *(["--format", name] for name in ("json", "croissant", "frictionless")))
    ),
    *(
        ["variables", uri, *form]
        for uri in (SURVEY, "pe-data://uk/areas@latest", "pe-data://uk/regions/wales@latest")
        for form in ([], ["--json"])
    ),
    ["variables"],
    ["variables", "--search", "income", "--json"],
    ["diff", "uk/regions@v1", "uk/areas"],
    ["diff", "uk/regions", "uk/areas", "--json"],
    ["diff", SURVEY, SURVEY, "--markdown"],
    ["diff", "uk/regions/wale@v7", "uk/regions/scotlan", "--deep"],
    ["schema", SURVEY, "--search", "tax"],
    ["schema", "pe-data://uk/regions/wale@latest"],
    ["schema", "pe-data://uk/regions/england@latest", "--json"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nothing_that_is_shown_tells_a_column_or_a_member(
    store: FolderStore, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert run(command) == 0
    out = capsys.readouterr()
    asked = " ".join(command)
    assert told(out.out + out.err, secrets(store) - set(told(asked, secrets(store)))) == []
    assert LICENCE in out.out
    assert terms_of("uk").how_to_apply in out.out


def test_the_secrets_are_told_where_they_may_be(store: FolderStore) -> None:
    """What is looked for above is there, and the search for it finds it."""
    key = collection_key("uk", read(store, "uk", "areas").body.artifact_sha256)
    documents = [Collection.from_bytes(store.get(key).data), *(manifest for _, manifest in manifests(store))]
    text = json.dumps([document.to_json() for document in documents])
    assert {"council_tax", "benunit", "40", "cymru", "W92000004", "run-of-2026"} <= set(told(text, secrets(store)))


@pytest.mark.parametrize("search", ["wales", "cymru", "council"])
def test_a_search_does_not_answer_whether_there_is_such_a_member(
    store: FolderStore, capsys: pytest.CaptureFixture[str], search: str
) -> None:
    assert run(["list", "uk", "--search", search, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"datasets": []}
    assert run(["list", "uk", "--search", "region", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["datasets"]
    notice = {"country": "uk", "dataset": "regions", "access": "gated", "licence": LICENCE}
    assert found == notice | {"how_to_apply": terms_of("uk").how_to_apply}


def test_an_address_still_gives_its_pin_and_nothing_that_is_said(store: FolderStore, tmp_path: Path) -> None:
    """Whoever may read the store itself pins and fetches."""
    options = Options.of(store=str(store.root), cache=tmp_path / "cache")
    uri = parse_store_uri("pe-data://uk/areas/cymru@latest")
    found = target(uri, Places.of(uri, options))
    assert len(found.artifact_sha256) == 64
    assert (found.licence, found.area, found.notes, found.citation, found.title) == (LICENCE, None, (), None, None)


def test_descriptions_to_be_passed_on_never_say_more(store: FolderStore) -> None:
    """Whoever makes them, with a token or without; and they are valid."""
    for _, manifest in manifests(store):
        for document in (
            to_croissant(manifest, "https://example.org/secret.h5", about=SAID),
            to_frictionless(manifest, about=SAID),
        ):
            assert told(json.dumps(document), secrets(store) | {"secret"}) == []
            assert LICENCE in json.dumps(document)
    notice = notice_of(manifest)
    assert notice is not None
    metadata = importlib.import_module("mlcroissant").Dataset(jsonld=notice_to_croissant(notice)).metadata
    assert not metadata.issues.errors
    frictionless = importlib.import_module("frictionless")
    assert frictionless.Package.validate_descriptor(notice_to_frictionless(notice)).valid


@pytest.mark.parametrize(
    ("country", "access", "gated"),
    [
        ("uk", None, True),
        ("uk", "public", True),
        ("us", None, False),
        ("us", "public", False),
        ("us", "gated", True),
        ("zz", "public", True),
    ],
)
def test_the_table_or_the_manifest_says_what_is_gated(country: str, access: None, gated: bool) -> None:
    assert is_gated(country, access) == gated


def test_a_country_that_the_table_does_not_have_says_whom_to_ask() -> None:
    assert Notice.of("zz", "a").licence == UNSPECIFIED
    assert "whoever runs the store" in Notice.of("zz", "a").how_to_apply
    assert Notice.of("uk", "a", UNSPECIFIED).licence == terms_of("uk").licence
    assert set(asdict(Notice.of("uk", "a"))) == {"country", "dataset", "licence", "how_to_apply", "access"}


def test_python_tells_no_more(store: FolderStore) -> None:
    notice = Notice.of("uk", "regions", LICENCE)
    assert notice in pe_data.list("uk")
    for member in ("", "/wales", "/england"):
        assert pe_data.variables(f"pe-data://uk/regions{member}@latest") == notice
        assert pe_data.schema(f"pe-data://uk/regions{member}@latest") == notice
        with pytest.raises(WithheldError) as caught:
            pe_data.diff(f"uk/regions{member}@v1", "uk/regions")
        assert (caught.value.notice, str(caught.value)) == (notice, notice.line())


def test_a_gated_file_of_a_public_country(tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    store = FolderStore(tmp_path / "store")
    label = replace(survey_label("taxes_2023"), country="us", access="gated")
    path = write_households(tmp_path / "a.h5")
    item = Item(path, describe(path, label), SAID)
    labelled = tuple(Variable(one.name, one.entity, one.period, label=SECRET) for one in item.manifest.variables())
    publish_collection(store, {"a": item}, country="us", dataset="taxes_2023", run_id="r", dictionary=labelled)
    monkeypatch.setenv("PE_DATA_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    for form in ("table", "json", "croissant", "frictionless"):
        assert run(["schema", "pe-data://us/taxes_2023/a@latest", "--format", form]) == 0
        shown = capsys.readouterr().out
        assert "council_tax" not in shown
        assert LICENCE in shown
    for address in ("us/taxes_2023", "us/taxes_2023/a"):
        assert run(["variables", f"pe-data://{address}@latest"]) == 0
        shown = capsys.readouterr().out
        assert LICENCE in shown
        assert told(shown, secrets_of(item.manifest) | {SECRET}) == []
    item = Item(write_households(tmp_path / "b.h5", seed=1), describe(tmp_path / "b.h5", label), SAID)
    publish_collection(store, {"a": item}, country="us", dataset="taxes_2023", run_id="r")
    for address in ("us/taxes_2023", "us/taxes_2023/a"):
        assert run(["diff", f"{address}@v1", address]) == 0
        shown = capsys.readouterr().out
        assert LICENCE in shown
        assert told(shown, secrets_of(item.manifest)) == []
