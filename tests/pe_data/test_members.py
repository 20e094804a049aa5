"""What is said of a member of a collection, and by whom: rows, where they win, licences."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage_helpers import areas, make_item, publish_areas, replace
from trust_helpers import VALIDATION, make_trust

import pe_data
from pe_data.cli import run
from pe_data.documents.collection import LINE_LIMIT, NOTES_LIMIT, About, Area, Collection, Member
from pe_data.documents.croissant import to_croissant
from pe_data.documents.document import Digest, Document, Part, Size
from pe_data.documents.envelope import POINTER_TYPE
from pe_data.documents.frictionless import to_frictionless
from pe_data.documents.manifest import Manifest
from pe_data.errors import InputError, InvalidDocumentError
from pe_data.names.countries import UNSPECIFIED
from pe_data.names.digests import sha256_bytes, sha256_file
from pe_data.names.keys import Extension, collection_key
from pe_data.store.artifacts import read_contents
from pe_data.store.folder import FolderStore
from pe_data.write.nominate import candidate, nominate, propose
from pe_data.write.publish import PublishReport, publish_artifact
from pe_data.write.upload import Item

FILE = Member("a" * 64, "b" * 64, 3, "h5")
AREA = Area("state", "AL", "Alabama", 119)
SAID = About(area=AREA, title="A state", licence="CC-BY-4.0", notes=("not an estimate",), citation="Doe (2026)")
PLAIN = (
    b'{"country":"us","dataset":"areas","kind":"collection","members":{"states/AL":{"artifact_sha256":"'
    + b"a" * 64
    + b'","extension":"h5","manifest_sha256":"'
    + b"b" * 64
    + b'","size_bytes":3}},"run_id":"r1","schema_version":1}'
)
"""A collection as it was before rows could say anything."""


def collection(member: Member) -> Collection:
    return Collection(country="us", dataset="areas", run_id="r1", members={"states/AL": member})


# --- the document ---------------------------------------------------------------------------------


def test_a_collection_that_says_nothing_keeps_its_bytes() -> None:
    assert collection(FILE).to_bytes() == PLAIN
    assert collection(FILE.saying(About())).to_bytes() == PLAIN
    assert Collection.from_bytes(PLAIN) == collection(FILE)
    assert collection(FILE.saying(SAID)).sha256 != collection(FILE).sha256


class EarlierMember(Part, frozen=True):
    artifact_sha256: Digest
    manifest_sha256: Digest
    size_bytes: Size
    extension: Extension


class EarlierCollection(Document, frozen=True):
    HEAD: ClassVar[Mapping[str, int | str]] = {"schema_version": 1, "kind": "collection"}
    country: str
    dataset: str
    run_id: str
    members: Mapping[str, EarlierMember]


def test_a_reader_of_before_reads_the_members_and_ignores_what_is_said() -> None:
    found = EarlierCollection.from_bytes(collection(FILE.saying(SAID)).to_bytes())
    assert found.members == {"states/AL": EarlierMember("a" * 64, "b" * 64, 3, "h5")}


LINES = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), min_size=1, max_size=40).filter(
    str.strip
)
AREAS = st.builds(Area, type=LINES, id=LINES, name=LINES, congress=st.none() | st.integers(1, 999))
ABOUTS = st.builds(
    About,
    area=st.none() | AREAS,
    title=st.none() | LINES,
    licence=st.none() | LINES,
    notes=st.lists(LINES, max_size=4).map(tuple),
    citation=st.none() | LINES,
)


@given(ABOUTS)
def test_what_is_said_comes_back_as_it_was(about: About) -> None:
    found = Collection.from_bytes(collection(FILE.saying(about)).to_bytes()).member("states/AL")
    assert (found.bare, found.about) == (FILE, about)


@given(ABOUTS, ABOUTS)
def test_what_is_said_later_wins_and_no_note_is_lost(later: About, earlier: About) -> None:
    both = later.over(earlier)
    for name in ("area", "title", "licence", "citation"):
        assert getattr(both, name) == (getattr(later, name) or getattr(earlier, name))
    assert set(both.notes) == {*later.notes, *earlier.notes}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"notes": ["a\nb"]}, "notes: expected one printable line of at most 500 characters, found 'a"),
        ({"notes": "text"}, "notes: expected at most 100 lines, found 'text'"),
        ({"notes": ["x"] * (NOTES_LIMIT + 1)}, "notes: expected at most 100 lines, found a list of 101"),
        ({"licence": " "}, "licence: expected one printable line"),
        ({"citation": "x" * (LINE_LIMIT + 1)}, "citation: expected one printable line"),
        ({"title": "\u202e"}, "title: expected one printable line"),
        ({"area": {"type": "state", "id": "AL"}}, "area.name: expected text, found nothing"),
        ({"area": {"type": "state", "id": "AL", "name": "x", "congress": 0}}, "area.congress: expected an integer"),
        ({"area": {"type": "a\tb", "id": "AL", "name": "x"}}, "area.type: expected one printable line"),
    ],
)
def test_what_is_no_line_is_refused_by_name(said: Mapping[str, object], message: str) -> None:
    document = json.loads(PLAIN)
    document["members"]["states/AL"] |= said
    with pytest.raises(InvalidDocumentError, match=f"members.states/AL.{message}"):
        Collection.from_bytes(json.dumps(document).encode(), "c")


# --- publishing -----------------------------------------------------------------------------------


def said(items: Mapping[str, Item], about: About) -> dict[str, Item]:
    return {name: dataclasses.replace(item, about=about) for name, item in items.items()}


def rows(store: FolderStore, report: PublishReport) -> Mapping[str, Member]:
    key = collection_key("us", report.artifact_sha256)
    return Collection.from_bytes(store.get(key).data, key).members


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def test_what_is_said_is_new_with_each_publication(store: FolderStore, tmp_path: Path) -> None:
    items = areas(tmp_path, "states/AL", "states/AK")
    publish_areas(store, items)
    second = publish_areas(store, said(items, SAID), "r2")
    assert (second.version, second.moved, second.uploaded) == (2, True, 0)
    assert {member.about for member in rows(store, second).values()} == {SAID}
    assert publish_areas(store, said(items, SAID), "r3").nothing_to_do
    third = publish_areas(store, said(items, replace(SAID, notes=("another",))), "r4")
    assert third.version == 3
    files = read_contents(store, "us", third.artifact_sha256).files
    assert {file.manifest.licence for file in files} == {"CC-BY-4.0"}, "in force"
    assert {file.member.notes for file in files} == {("another",)}


def unlicensed(item: Item) -> Item:
    return dataclasses.replace(item, manifest=replace(item.manifest, licence=UNSPECIFIED))


@pytest.mark.parametrize("first", ["CC0-1.0", UNSPECIFIED, "https://example.org/licence"])
def test_another_licence_of_a_single_file_is_refused_by_name(store: FolderStore, tmp_path: Path, first: str) -> None:
    """Also of a file that named none at first, and under the name of another dataset."""
    for dataset in ("cps_2024", "other_2024"):
        item = make_item(tmp_path, "cps", b"bytes", dataset=dataset)
        item = dataclasses.replace(item, manifest=replace(item.manifest, licence=first), about=SAID)
        publish_artifact(store, item)
        for licence in ("CC-BY-4.0", "cc0-1.0"):
            changed = dataclasses.replace(item, manifest=replace(item.manifest, licence=licence))
            with pytest.raises(InputError, match=rf"cps.h5: licence: expected '{first}', .* found '{licence}'"):
                publish_artifact(store, changed)
        again = publish_artifact(store, unlicensed(item))
        assert again.nothing_to_do, "nothing else is said"
        assert again.unlicensed == ((dataset,) if first == UNSPECIFIED else ())


def test_a_publication_without_a_licence_says_so(store: FolderStore, tmp_path: Path) -> None:
    items = areas(tmp_path, "a", "b", "c")
    some = publish_areas(store, {**items, "b": unlicensed(items["b"])})
    assert some.unlicensed == ("b",)
    assert some.warnings()[0].startswith("no licence is named for 1 of 3 artifact(s)")
    assert publish_areas(store, said(items, SAID)).warnings() == []


@pytest.mark.parametrize("single", [True, False])
def test_what_has_no_licence_is_not_promoted(store: FolderStore, tmp_path: Path, single: bool) -> None:
    trust = make_trust(store, tmp_path)
    item = unlicensed(make_item(tmp_path, "a", b"a", dataset="areas"))
    item = dataclasses.replace(item, manifest=item.manifest.validated(VALIDATION)) if single else item
    report = publish_artifact(store, item) if single else publish_areas(store, {"a": item}, validation=VALIDATION)
    chosen = candidate(store, "us", "areas", report.artifact_sha256)
    with pytest.raises(InputError, match=r"licence: expected one for each of 1 file\(s\), found none for 1 \(a"):
        propose(store, chosen, namespace="tests")
    if not single:
        publish_areas(store, {"a": dataclasses.replace(item, about=SAID)}, "r2", validation=VALIDATION)
        body = propose(store, candidate(store, "us", "areas"), namespace="tests")
        document = trust.sign(body.to_bytes(), POINTER_TYPE)
        assert nominate(store, document, trust.policy()).body.version == 1


# --- the command line -----------------------------------------------------------------------------


Shown = Callable[..., Any]


@pytest.fixture
def pe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shown:
    """A command line; with `--json` in it the document."""
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("PE_DATA_STORE", str(tmp_path / "store"))

    def command(*arguments: str, code: int = 0) -> Any:
        assert run([str(one) for one in arguments]) == code
        out = capsys.readouterr()
        return json.loads(out.out) if "--json" in arguments or "--format" in arguments else out.out + out.err

    return command


NC = {"area_type": "state", "area_id": "NC", "display_name": "North Carolina", "congress": 119}
NOTES = {"purpose": "demonstration, not an estimate"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files with sidecars, which share their bytes, and one without."""
    area_files = tmp_path / "areas"
    asked = {"states/NC": NC, "districts/NC-01": NC | {"area_type": "district", "area_id": "NC-01"}, "more": None}
    for name, request in asked.items():
        path = area_files / f"{name}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w", track_order=False) as file:
            for column in ("person_id", "age"):
                file.create_dataset(f"{column}/2024", data=np.arange(3 if request else 4), track_times=False)
        if request:
            path.with_name(f"{path.name}.result.json").write_text(json.dumps(sidecar(path, request)))
    return area_files


def sidecar(path: Path, request: Mapping[str, object]) -> dict[str, object]:
    return {
        "schema_version": 2,
        "status": "completed",
        "request": request,
        "period": 2024,
        "output": {"sha256": sha256_file(path), "bytes": path.stat().st_size},
        "rows": {"person": 3},
        "columns": [
            {"name": name, "entity": "person", "dtype": "int64", "periods": ["2024"]} for name in ("person_id", "age")
        ],
        "notes": NOTES,
    }


NC_01 = "pe-data://us/areas/districts/NC-01@latest"


def test_what_a_publication_says_is_shown_everywhere(pe: Shown, folder: Path, tmp_path: Path) -> None:
    publish = ["publish", str(folder), "us/areas", "--run-id", "r1"]
    assert "no licence is named for 3 of 3" in pe(*publish)
    more = ["--licence", "CC-BY-4.0", "--note", "a test", "--citation", "Doe (2026)"]
    said = pe(*publish, *more)
    assert "no licence" not in said
    district = {"type": "district", "id": "NC-01", "name": "North Carolina", "congress": 119}
    about = {
        "area": district,
        "licence": "CC-BY-4.0",
        "notes": ["a test", "purpose: demonstration, not an estimate"],
        "citation": "Doe (2026)",
    }

    (listed,) = pe("list", "us/areas", "--json")["datasets"]
    found = {one["name"]: one for one in listed["members"]}
    assert found["districts/NC-01"]["sha256"] == found["states/NC"]["sha256"], "one file"
    assert found["states/NC"]["area"] == district | {"type": "state", "id": "NC"}
    text = pe("list", "us/areas")
    assert "district NC-01 (North Carolina), Congress 119" in text
    assert "us/areas: note: purpose: demonstration, not an estimate (2 of 3 members)" in text
    assert "us/areas: note: a test\n" in text

    for document in (
        found["districts/NC-01"],
        pe("resolve", NC_01, "--json"),
        pe("schema", NC_01, "--json"),
        pe("schema", "pe-data://us/areas@latest", "--json")["members"]["districts/NC-01"],
    ):
        assert {name: document[name] for name in about} == about
    for command in ("resolve", "schema"):
        text = pe(command, NC_01)
        for line in ("district NC-01 (North Carolina), Congress 119", "CC-BY-4.0", "Doe (2026)", *about["notes"]):
            assert line in text
    croissant = pe("schema", NC_01, "--format", "croissant")
    assert (croissant["license"], croissant["citeAs"]) == ("CC-BY-4.0", "Doe (2026)")
    assert croissant["description"].splitlines()[1:] == about["notes"]
    assert "NC-01" in croissant["description"]
    package = pe("schema", NC_01, "--format", "frictionless")
    assert package["licenses"] == [{"name": "CC-BY-4.0", "title": "CC-BY-4.0"}]
    assert package["description"].splitlines() == about["notes"]
    assert (package["area"], package["citation"]) == (district, "Doe (2026)")
    assert pe_data.resolve(NC_01).area == Area("district", "NC-01", "North Carolina", 119)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_export_takes_along_what_is_said(pe: Shown, folder: Path, tmp_path: Path, form: str) -> None:
    publish = ["publish", str(folder), "us/areas", "--run-id", "r1", "--licence", "CC-BY-4.0"]
    pe(*publish, "--citation", "Doe (2026)")
    out = tmp_path / "out"
    pe("export", NC_01, "--to", form, "--out", str(out), "--variables", "age")
    package = json.loads((out / "datapackage.json").read_text())
    assert (package["citation"], package["description"]) == ("Doe (2026)", "purpose: demonstration, not an estimate")
    assert package["area"]["id"] == "NC-01"
    (resource,) = package["resources"]
    assert (resource["path"], resource["schema"]["fields"]) == (f"person.{form}", [{"name": "age", "type": "integer"}])
    frictionless = pytest.importorskip("frictionless")
    assert frictionless.Package.validate_descriptor(package).valid
    readers = {"read.py", "read.R", "read.do"} if form == "csv" else set()
    assert {path.name for path in out.iterdir()} == {f"person.{form}", "datapackage.json"} | readers


def test_descriptions_with_what_is_said_are_valid(manifest: Manifest) -> None:
    mlcroissant, frictionless = pytest.importorskip("mlcroissant"), pytest.importorskip("frictionless")
    metadata = mlcroissant.Dataset(jsonld=to_croissant(manifest, "https://example.org/x.h5", about=SAID)).metadata
    assert not metadata.issues.errors
    assert metadata.cite_as == "Doe (2026)"
    assert frictionless.Package.validate_descriptor(to_frictionless(manifest, about=SAID)).valid


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return make_item(tmp_path, "a", b"a").manifest


def test_a_single_file_has_no_row(pe: Shown, folder: Path) -> None:
    file = str(folder / "states" / "NC.h5")
    for option in (["--note", "x"], ["--citation", "x"]):
        assert "publish the folder" in pe("publish", file, "us/nc", *option, code=2)
    pe("publish", file, "us/nc", "--licence", "CC0-1.0")
    again = pe("publish", file, "us/nc", "--licence", "CC-BY-4.0", code=1)
    assert "expected 'CC0-1.0', under which these bytes were published first, found 'CC-BY-4.0'" in again
    assert "CC0-1.0" in pe("schema", "pe-data://us/nc@latest")
    assert pe("schema", "pe-data://us/nc@latest", "--json")["artifact"]["sha256"] == sha256_file(Path(file))
    assert sha256_bytes(Path(file).read_bytes()) == sha256_file(Path(file))


@pytest.mark.parametrize("notes", [{"a": "\x1b[2J"}, {"a": ["list"]}, {f"n{i}": "x" for i in range(NOTES_LIMIT + 1)}])
def test_notes_of_a_sidecar_that_are_none_are_refused(pe: Shown, folder: Path, notes: Mapping[str, object]) -> None:
    path = folder / "states" / "NC.h5.result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"notes": notes}))
    assert "NC.h5.result.json: field notes" in pe("publish", str(folder), "us/areas", "--run-id", "r", code=1)
