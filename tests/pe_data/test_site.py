"""The catalogue of a store: what is on its pages, what is on none, and how the folder is written."""

import html
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import h5py
import numpy as np
import pytest
from chromium import Page, open_page
from gateway_helpers import (
    DATASET,
    LICENCE,
    ask,
    gateway,
    give_token,
    publish_regions,
    publish_survey,
    survey_label,
    write_households,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from revocation_helpers import World, make_world
from test_gated_notice import told

import pe_data
from pe_data.catalogue import places
from pe_data.cli import run
from pe_data.describe.file import Label, describe
from pe_data.documents.collection import About, Area
from pe_data.documents.dictionary import Variable
from pe_data.documents.pointer import Said
from pe_data.errors import InputError
from pe_data.maps.draw import cartogram, measure_of
from pe_data.maps.on_page import on_page
from pe_data.names.countries import terms_of
from pe_data.names.keys import manifest_key
from pe_data.pages.templates import script_json
from pe_data.read.channels import history
from pe_data.store.artifacts import read_collection
from pe_data.store.folder import FolderStore
from pe_data.write.publish import publish_artifact, publish_collection
from pe_data.write.upload import Item

SCRIPT = "</script><script>document.title='owned'</script>"
IMAGE = '"\'><img src=x onerror="document.title=1">'
HOSTILE = f"{SCRIPT}{IMAGE}{{{{ 7*7 }}}}<!--"
NOTES = ("purpose: demonstration; not an estimate", f"thin: {HOSTILE}")


def write_file(path: Path, *, persons: int = 6, more: tuple[str, ...] = ()) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {
        "household_id": np.arange(3),
        "household_weight": np.full(3, 10.0, "float32"),
        "person_id": np.arange(persons),
        "person_household_id": np.arange(persons) % 3,
        "age": np.arange(persons) + 20,
        **{name: np.ones(persons) for name in more},
    }
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file[f"{name}/2024"] = values
    return path


ODD = "a <b>odd</b> & \"quoted\" 'column' #50%".replace("/", "|")
"""Name of a column: whatever HDF5 takes."""
SAID = (
    Variable("age", "person", "year", label="Age", unit="year", description=f"Years lived {HOSTILE}", source="survey"),
    Variable("household_weight", "household", "year", label=HOSTILE, values=("one", IMAGE)),
)


def publish_areas(store: FolderStore, folder: Path, names: tuple[str, ...], run_id: str, **persons: int) -> str:
    label = Label("us", "areas", licence="CC0-1.0")
    items = {}
    for name in names:
        size = persons.get(name.rpartition("/")[2].replace("-", ""), 6)
        path = write_file(folder / run_id / f"{name}.h5", persons=size, more=(ODD,) if run_id == "r3" else ())
        kind, _, area = name.partition("/")
        about = About(area=Area(kind.removesuffix("s"), area, f"Area {area}"), notes=NOTES, citation=f"Doe {HOSTILE}")
        items[name] = Item(path, describe(path, label), about)
    said = Said(reason=f"run {run_id} {HOSTILE}", by=f"ada {IMAGE}")
    report = publish_collection(
        store, items, country="us", dataset="areas", run_id=run_id, said=said, dictionary=SAID, allow_removal=True
    )
    return report.artifact_sha256


@dataclass(frozen=True)
class Made:
    store: FolderStore
    site: Path

    def text(self, page: str) -> str:
        return (self.site / page).read_text(encoding="utf-8")

    @property
    def pages(self) -> list[str]:
        return sorted(path.relative_to(self.site).as_posix() for path in self.site.rglob("*.html"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Three versions of areas, a single file, two gated datasets, one with a gated file among public ones; its site."""
    root = tmp_path_factory.mktemp("catalogue")
    store = FolderStore(root / "store")
    files = root / "files"
    first = ("districts/NC-01", "districts/NC-02", "national/US")
    publish_areas(store, files, first, "r1")
    publish_areas(store, files, (*first, "districts/AK-01"), "r2", NC02=9)
    publish_areas(store, files, ("districts/AK-01", "districts/NC-01", "national/US"), "r3")
    path = write_file(files / "single.h5", persons=7)
    publish_artifact(store, Item(path, describe(path, Label("us", "single", licence=HOSTILE))))
    publish_survey(store, files)
    publish_regions(store, files, "wales", "scotland")
    label = survey_label("mixed")
    open_one, gated_one = (write_households(files / f"{name}.h5", seed=n) for n, name in enumerate("ab", start=5))
    items = {
        "a": Item(open_one, describe(open_one, replace(label, country="us", access="public"))),
        "b": Item(gated_one, describe(gated_one, replace(label, country="us", access="gated"))),
    }
    publish_collection(store, items, country="us", dataset="mixed", run_id="r1")
    pe_data.site(store.root, root / "site", title=f"Data {HOSTILE}", cache=root / "cache")
    return Made(store, root / "site")


# --- what is there ----------------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Links, ids, elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.elements.append((tag, found))
        self.ids += [found["id"] or ""] if "id" in found else []
        self.links += [value for name in ("href", "src") if (value := found.get(name))]


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


def test_every_member_and_version_has_its_page(made: Made) -> None:
    versions = {1: ("NC-01", "NC-02"), 2: ("NC-01", "NC-02", "AK-01"), 3: ("AK-01", "NC-01")}
    for number, districts in versions.items():
        assert f"us/areas/v{number}/index.html" in made.pages
        for name in (*(f"districts~{one}" for one in districts), "national~US"):
            assert f"us/areas/v{number}/files/{name}.html" in made.pages
    assert "us/single/v1/index.html" in made.pages
    assert len(made.pages) == 2 + 1 + 3 + 10 + 2 + 2 + 1  # start and gated; areas; single with its columns


def test_all_links_lead_somewhere(made: Made) -> None:
    """Those of pages, of the map, and of the index; to ids too. Nothing leads out of the site."""
    ids = {page: set(read(made.text(page)).ids) for page in made.pages}
    seen = {places.START}
    for page in made.pages:
        targets = read(made.text(page)).links
        assert len(ids[page]) == len(read(made.text(page)).ids)
        data = re.search(r'id="map-data">(.*?)</script>', made.text(page), re.DOTALL)
        targets += [places.root(page) + link for link in json.loads(data[1])["links"] if link] if data else []
        for link in targets:
            if page == places.GATED and link.startswith("https://"):  # where to apply
                continue
            address, fragment = urldefrag(link)
            assert not urlsplit(address).scheme, link
            target = (made.site / page).parent / unquote(address) if address else made.site / page
            assert target.resolve().is_relative_to(made.site)
            assert target.is_file(), (page, link)
            seen.add(target.resolve().relative_to(made.site).as_posix())
            assert not fragment or fragment in ids[target.resolve().relative_to(made.site).as_posix()]
    assert {page for page in seen if page.endswith(".html")} == set(made.pages)
    for title, _, _, link in index(made):
        address, fragment = urldefrag(link)
        assert address in made.pages
        assert not fragment or fragment in ids[address], title


def index(made: Made) -> list[list[str]]:
    text = made.text("assets/search.js")
    found: list[list[str]] = json.loads(text.removeprefix("var catalogue_index = ").rstrip(";\n"))
    return found


def test_the_index_has_the_variables_and_files_of_the_newest_versions(made: Made) -> None:
    found = {(title, dataset) for title, _, dataset, _ in index(made)}
    assert {("age", "us/areas"), ("age", "us/single"), (ODD, "us/areas"), ("districts/AK-01", "us/areas")} <= found
    assert ("districts/NC-02", "us/areas") not in found


def words(page: str) -> str:
    """What a reader sees."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))


def test_a_member_says_all_of_its_file(made: Made) -> None:
    listed = pe_data.list("us/areas", store=str(made.store.root))[0]
    page = words(made.text("us/areas/v3/files/districts~NC-01.html"))
    pin = f"pe-data://us/areas/districts/NC-01@sha256:{listed.sha256}"
    manifest = pe_data.schema(pin, store=str(made.store.root))
    for said in (pin, manifest.artifact.sha256, "district NC-01 (Area NC-01)", "CC0-1.0", f"Doe {SCRIPT[:4]}", *NOTES):
        assert said in page
    assert "Demonstration: not an estimate of anything" in page
    assert "person 6 person_id household by person_household_id" in page
    assert "version 1 " in page
    assert "sha256 " in page  # other bytes before: there the odd column was not


def test_a_version_says_what_changed(made: Made) -> None:
    second, third = (words(made.text(f"us/areas/v{n}/index.html")) for n in (2, 3))
    assert "What changed since version 1" in second
    assert "3 → 4 files: 1 added, 1 changed, 2 the same" in second
    assert "districts/AK-01" in second
    assert "Changed: districts/NC-02" in second
    assert "4 → 3 files: 1 gone" in third
    assert f"person.{ODD}" in third
    assert "run r3" in third
    history = words(made.text("us/areas/index.html"))
    assert "the first version" in history
    assert "3 → 4 files: 1 added, 1 changed, 2 the same" in history


def test_columns_with_their_dictionary_are_shared_by_the_files_that_have_them(made: Made) -> None:
    found = [page for page in made.pages if page.startswith("us/areas/columns/")]
    assert len(found) == 2
    text = next(words(made.text(page)) for page in found if ODD in words(made.text(page)))
    assert "version 3 (3)" in text
    other = next(words(made.text(page)) for page in found if ODD not in words(made.text(page)))
    assert "version 2 (4)" in other
    assert "version 1 (3)" in other
    for said in ("age person Age Years lived", "From survey year int64 year", "(weight)", "(link to household)"):
        assert said in text


def test_the_map_leads_to_the_files_of_the_newest_version(made: Made) -> None:
    text = made.text("index.html")
    data = re.search(r'id="map-data">(.*?)</script>', text, re.DOTALL)
    assert data is not None
    found = json.loads(data[1])
    links = {name: link for name, link in zip(found["districts"], found["links"], strict=True) if link}
    assert links == {name: f"us/areas/v3/files/districts~{name}.html" for name in ("AK-01", "NC-01")}
    assert found["measures"].keys() == {"person", "household"}
    assert len(text) + len(made.text("assets/style.css")) + len(made.text("assets/site.js")) < 300_000


# --- what is not ------------------------------------------------------------------------------------------------------


def test_no_text_of_a_store_becomes_markup(made: Made) -> None:
    """Nothing but the elements of the templates, no attribute that runs anything, and no script but the site's own."""
    for page in made.pages:
        for tag, attributes in read(made.text(page)).elements:
            assert tag not in ("img", "iframe", "object", "b" if page != places.START else "", "form", "base")
            assert not [name for name in attributes if name.startswith("on")]
            if tag == "script":
                source = attributes.get("src")
                assert attributes.get("type") == "application/json" or (source or "").endswith("assets/site.js")
            if tag == "style":
                assert page == places.GATED
        assert "49" not in re.findall(r"\d+(?=&lt;!--)", made.text(page))
    assert "<script" not in made.text("assets/search.js")
    assert HOSTILE in words(made.text("us/single/v1/index.html"))


@settings(max_examples=40, deadline=None)
@given(st.recursive(st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_data_in_a_page_cannot_end_its_element(value: object) -> None:
    text = script_json(value)
    assert "<" not in text
    assert json.loads(text) == value


def secrets_of(store: FolderStore) -> Iterator[str]:
    """All that the gated files of the store say: entities, columns, members, digests, inputs, runs, sizes."""
    for path in store.root.rglob("*.manifest.json"):
        document = pe_data.documents.encoding.unpack(path.read_bytes(), str(path))  # type: ignore[attr-defined]
        found = json.loads(document)
        if found["country"] == "uk" or found["dataset"] == "mixed":
            yield from (found["artifact"]["sha256"], str(found["artifact"]["size_bytes"]))
            yield from (one["name"] for one in found["inputs"]["files"])
            for entity in found["entities"].values():
                yield from (name for names in entity["columns"].values() for name in names)


def test_of_gated_datasets_nothing_but_the_notice_is_told(made: Made) -> None:

    public = {"household_id", "household_weight", "person_id", "person_household_id", "age"}
    secret = set(secrets_of(made.store)) - public
    assert {"council_tax", "universal_credit", "benunit_id", "region", "FRS 2023-24 adult.tab"} <= secret
    secret |= {"wales", "scotland", "benunit", "FRS 2023-24"}
    for path in made.site.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8").replace('role="region"', "")  # HTML's own word
            assert told(text, secret) == [], path
            assert told(path.relative_to(made.site).as_posix(), secret | {DATASET, "regions", "mixed", "uk"}) == []
    page = words(made.text(places.GATED))
    for name in (f"uk/{DATASET}", "uk/regions", "us/mixed"):
        assert name in page
    assert page.count(LICENCE) == 3
    assert terms_of("uk").how_to_apply.partition(" (")[0] in page
    assert not {"household_weight", "age"} & set(re.findall(r"\w+", page))


def test_the_gateway_serves_the_same_page(made: Made, tmp_path: Path) -> None:
    """Its countries are the gated ones here; a page of just those is what it serves, with no token."""
    store = FolderStore(tmp_path / "store")
    publish_survey(store, tmp_path / "files")
    publish_regions(store, tmp_path / "files", "wales")
    pe_data.site(store.root, tmp_path / "site", cache=tmp_path / "cache")
    token = give_token(tmp_path / "tokens.json", "ada")
    options = ("--country", "uk", "--log", str(tmp_path / "log"))
    with gateway(str(store.root), tmp_path / "tokens.json", *options) as running:
        answer = ask(running.port, "/")
        again = ask(running.port, "/", token, method="HEAD")
        refused = ask(running.port, "/channels?prefix=channels/")
    assert (answer.status, again.status, refused.status) == (200, 200, 401)
    assert answer.body == (tmp_path / "site" / places.GATED).read_bytes()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


# --- versions that are revoked or gone --------------------------------------------------------------------------------


def test_what_was_revoked_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world: World = make_world(tmp_path, monkeypatch)
    name = min(pe_data.schema(world.pin, store=str(world.store.root)).members)
    assert isinstance(name, str)
    world.revoke(world.single(name))
    pe_data.site(world.store.root, tmp_path / "site")
    pages = {path.name: words(path.read_text()) for path in (tmp_path / "site/us/areas/v1").rglob("*.html")}
    revoked = {file for file, text in pages.items() if " Revoked " in text}
    assert revoked == {f"{name.replace('/', '~')}.html"}
    assert {file for file, text in pages.items() if "Fetch it" not in text} == revoked
    assert {file for file, text in pages.items() if "Status revoked" in text} == revoked
    assert f"{name} revoked" in pages["index.html"]


def test_a_version_that_was_swept_away_keeps_its_page(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    for number in (1, 2, 3):
        publish_areas(store, tmp_path / "files", ("national/US",), f"r{number}", US=number + 3)
    gone = [path for path in store.root.rglob("*.collection.json") if b'"r1"' in path.read_bytes()]
    assert len(gone) == 1
    gone[0].unlink()
    site = pe_data.site(store.root, tmp_path / "site", cache=tmp_path / "cache")
    assert (site.datasets, site.gated, site.versions) == (1, 0, 3)
    page = words((tmp_path / "site/us/areas/v1/index.html").read_text())
    assert "Not in the store any more" in page
    assert "run r1" in page
    history = words((tmp_path / "site/us/areas/index.html").read_text())
    assert "not in the store any more" in history
    assert "the first version of which the store has files" in history


def test_a_version_of_which_one_file_was_swept_away_is_gone(tmp_path: Path) -> None:
    """Nothing leads to its files, and as much as is left of it is looked at: a gated file still closes the dataset."""
    store, files = FolderStore(tmp_path / "store"), tmp_path / "files"
    for number in (1, 2):
        publish_areas(store, files, ("districts/NC-01", "national/US"), f"r{number}", US=number + 3, NC01=number + 5)
    old = read_collection(store, "us", list(history(store, "us", "areas"))[-1].body.artifact_sha256)
    assert old is not None
    (store.root / manifest_key("us", old[0].members["national/US"].artifact_sha256)).unlink()
    made = Made(store, tmp_path / "site")
    pe_data.site(store.root, made.site, cache=tmp_path / "cache")
    assert "Not in the store any more" in words(made.text("us/areas/v1/index.html"))
    assert not (made.site / "us/areas/v1/files").exists()
    assert "version 1" not in words(made.text("us/areas/v2/files/districts~NC-01.html"))
    test_all_links_lead_somewhere(made)


def test_a_country_with_nothing_but_what_turns_out_gated_leaves_no_folder(tmp_path: Path) -> None:
    store, files = FolderStore(tmp_path / "store"), tmp_path / "files"
    publish_areas(store, files, ("national/US",), "r1")
    path = write_households(files / "b.h5", seed=6)
    gated = Item(path, describe(path, replace(survey_label("areas"), country="us", access="gated")))
    publish_collection(store, {"a": gated}, country="us", dataset="areas", run_id="r2", allow_removal=True)
    publish_areas(store, files, ("national/US",), "r3", US=9)
    out = tmp_path / "site"
    for _ in range(2):
        assert pe_data.site(store.root, out, cache=tmp_path / "cache").gated == 1
        assert not (out / "us").exists()


def test_a_file_that_becomes_a_collection(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    path = write_file(tmp_path / "a.h5")
    item = Item(path, describe(path, Label("us", "areas", licence="CC0-1.0")))
    publish_artifact(store, item)
    publish_collection(store, {"a": item}, country="us", dataset="areas", run_id="r2", allow_removal=True)
    pe_data.site(store.root, tmp_path / "site", cache=tmp_path / "cache")
    pages = {n: words((tmp_path / f"site/us/areas/v{n}/index.html").read_text()) for n in (1, 2)}
    assert "a collection now, one file before" in pages[2]
    assert "person 6 person_id" in pages[1]
    assert (tmp_path / "site/us/areas/v2/files/a.html").is_file()
    assert not (tmp_path / "site/us/areas/v1/files").exists()


# --- the folder -------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    store = FolderStore(tmp_path / "store")
    path = write_file(tmp_path / "files" / "a.h5")
    publish_artifact(store, Item(path, describe(path, Label("us", "single", licence="CC0-1.0"))))
    return store


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_again_replaces_the_site(small: FolderStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert run(["site", str(small.root), str(out), "--json"]) == 0
    first = snapshot(out)
    said = json.loads(capsys.readouterr().out)
    assert said == {
        "folder": str(out), "datasets": 1, "gated": 0, "versions": 1, "pages": 4,
        "size_bytes": sum(len(raw) for raw in first.values()),
    }  # fmt: skip
    (out / "us/single/left over.html").write_text("old")
    assert run(["site", str(small.root), str(out)]) == 0
    assert snapshot(out) == first
    assert capsys.readouterr().out.splitlines()[1] == str(out / "index.html")
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize("name", ["thesis.doc", "site.json", "index.html", ".git"])
def test_a_folder_with_other_things_is_refused(small: FolderStore, tmp_path: Path, capsys, name: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text('{"kind": "thesis", "entries": ["site.json"]}')
    assert run(["site", str(small.root), str(out)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert name in said
    assert snapshot(out).keys() == {name}


def test_a_site_with_something_new_beside_it_is_refused(small: FolderStore, tmp_path: Path) -> None:
    pe_data.site(small.root, tmp_path / "out")
    (tmp_path / "out/CNAME").write_text("data.example.org")
    with pytest.raises(InputError, match=r"an earlier catalogue and nothing else, found CNAME\. Name"):
        pe_data.site(small.root, tmp_path / "out")
    with pytest.raises(InputError, match="found a file"):
        pe_data.site(small.root, tmp_path / "out/CNAME")


def test_an_error_leaves_the_earlier_site(small: FolderStore, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    pe_data.site(small.root, out)
    before = snapshot(out)
    manifest = next(small.root.rglob("*.manifest.json"))
    manifest.chmod(0o644)
    manifest.write_bytes(b"{}")
    assert run(["site", str(small.root), str(out)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert snapshot(out) == before
    assert not list(tmp_path.glob(".out*"))
    shutil.rmtree(small.root)
    assert run(["site", str(small.root), str(out)]) == 1
    assert "expected a store with a dataset, found none" in capsys.readouterr().err
    assert snapshot(out) == before


def test_the_name_of_a_measure_stays_in_its_attribute() -> None:
    name = 'x"><img src=y>'
    made = on_page({name: measure_of({"NC-01": 3.0}, title=name, signed=False)}, cartogram(), names={}, status={})
    elements = read(made["svg"]).elements
    assert "img" not in {tag for tag, _ in elements}
    assert [attributes["data-measure"] for _, attributes in elements if "data-measure" in attributes] == [name]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("the disk is full")])
def test_an_interrupt_while_the_new_takes_the_place_of_the_old_leaves_the_old(
    small: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    out = tmp_path / "out"
    pe_data.site(small.root, out)
    before, rename = snapshot(out), Path.rename

    def stop(self: Path, target: Path) -> Path:
        if target.name == "out" and not target.exists():
            monkeypatch.setattr(Path, "rename", rename)
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", stop)
    with pytest.raises((KeyboardInterrupt, InputError)):
        pe_data.site(small.root, out)
    assert snapshot(out) == before
    assert not list(tmp_path.glob(".out*"))


def test_without_jinja_one_line_says_which_extra(small: FolderStore, tmp_path: Path) -> None:
    code = "import sys; sys.modules['jinja2'] = None; from pe_data.cli import main; main()"
    command = [sys.executable, "-c", code, "site", str(small.root), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "install the extra 'site' of pe-microdata" in done.stderr
    assert not (tmp_path / "out").exists()


# --- lines that fetch -------------------------------------------------------------------------------------------------


def blocks(page: Path) -> dict[str, str]:
    """Lines by language."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"<h3>(\w+)</h3>\s*<pre[^>]*><code>(.*?)</code>", text, re.DOTALL)
    return {language: html.unescape(code) for language, code in found}


def test_the_lines_fetch(small: FolderStore, tmp_path: Path) -> None:
    """As they stand on the pages, with an address that needs quoting."""
    store = tmp_path / "the store's"
    small.root.rename(store)
    pe_data.site(store, tmp_path / "out", address=str(store))
    for page in ("us/single/index.html", "us/single/v1/index.html"):
        lines = blocks(tmp_path / "out" / page)
        assert lines.keys() == {"Python", "R", "Shell"}
        found: dict[str, object] = {}
        exec(lines["Python"], found)
        assert len(found["frames"]["person"]) == 6  # type: ignore[index]
    code = lines["Shell"].replace("pe-data ", f"{Path(sys.executable).with_name('pe-data')} ")
    done = subprocess.run(["sh", "-euc", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(found["path"])


@pytest.mark.slow
def test_the_lines_in_r(small: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("Rscript") is None:
        pytest.skip("no R")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    pe_data.site(small.root, tmp_path / "out", address=str(small.root))
    code = blocks(tmp_path / "out/us/single/v1/index.html")["R"] + "\ncat(nrow(tables$person))"
    done = subprocess.run(["Rscript", "-e", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("6"), done.stderr


def test_a_store_behind_http_has_lines_without_pe_data(small: FolderStore, tmp_path: Path) -> None:
    pe_data.site(small.root, tmp_path / "out", address="https://data.example.org/x/")
    shell = blocks(tmp_path / "out/us/single/v1/index.html")["Shell"]
    sha256 = pe_data.list("us/single", store=str(small.root))[0].sha256
    assert f"https://data.example.org/x/us/{sha256[:2]}/{sha256}.h5" in shell
    assert f"echo '{sha256}  single.h5' | sha256sum --check" in shell
    assert str(tmp_path) not in "".join(path.read_text() for path in (tmp_path / "out").rglob("*.html"))


# --- names of pages ---------------------------------------------------------------------------------------------------

NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,40}(/[A-Za-z0-9_][A-Za-z0-9_-]{0,99}){0,4}", fullmatch=True)


@settings(max_examples=40, deadline=None)
@given(st.sets(NAMES | st.sampled_from(["index", "a", "A", "a.html", "a.html/b", "a/b", "A/b", "nc-01", "NC-01"])))
def test_each_member_has_a_page_of_its_own(names: set[str]) -> None:
    """Also where capitals make no difference; none is too long for a disk, and none is in the way of another."""
    pages = places.members("us", "areas", 3, names)
    assert pages.keys() == names
    assert len({page.casefold() for page in pages.values()}) == len(names)
    for page in pages.values():
        assert page.startswith("us/areas/v3/files/")
        assert page.count("/") == 4
        assert len(page.rpartition("/")[2]) < 200
        assert page.endswith(".html")


# --- in a browser -----------------------------------------------------------------------------------------------------

OUTSIDE = (
    "[...document.querySelectorAll('h1, h2, h3, p, dl, pre, .box, .filters, .scroll, input, select, ol, button')]"
    ".filter((one) => !one.closest('table') && one.getBoundingClientRect().right > innerWidth + 1)"
    ".map((one) => one.outerHTML.slice(0, 80))"
)
"""What stands beyond the right edge; tables scroll in boxes of their own."""
PAGES = (
    "index.html",
    "gated.html",
    "us/areas/index.html",
    "us/areas/v2/index.html",
    "us/areas/v3/files/districts~NC-01.html",
    "us/single/v1/index.html",
)


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 900, 1600])
def test_the_pages_fit_the_screen(made: Made, tmp_path: Path, width: int) -> None:
    """No page scrolls sideways, asks for anything but files, or runs what the store says."""
    columns = next(page for page in made.pages if "/columns/" in page)
    with open_page(tmp_path / "profile") as page:
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        page.call("Log.enable")
        for name in (*PAGES, columns):
            page.events.clear()
            page.open(made.site / name)
            assert page.run("document.documentElement.scrollWidth") <= width
            assert page.run(OUTSIDE) == []
            assert page.run("document.body.dataset.ready") == (None if name == "gated.html" else "true")
            assert "owned" not in page.run("document.title").partition("</script>")[0]
            requested = {event["request"]["url"] for event in page.happened("Network.requestWillBeSent")}
            assert {url.partition(":")[0] for url in requested} == {"file"}
            assert page.happened("Runtime.exceptionThrown") == []
            assert page.happened("Log.entryAdded") == []


def press(page: Page, key: str, code: int) -> None:
    """A key, as a person presses it."""
    text = {"text": "\r"} if key == "Enter" else {}
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)


def wait(page: Page, script: str) -> None:
    for _ in range(200):
        if page.run(script):
            return
        time.sleep(0.02)
    pytest.fail(f"{script} is not so")


@pytest.mark.browser
def test_search_filter_copy_and_map_with_the_keyboard(made: Made, tmp_path: Path) -> None:
    with open_page(tmp_path / "profile") as page:
        page.open(made.site / "index.html")
        # search: the index comes when somebody begins to type
        page.run("document.getElementById('search').focus()")
        page.call("Input.insertText", text="age")
        wait(page, "!document.getElementById('found').hidden")
        found = page.run("[...document.querySelectorAll('#found li')].map((line) => line.textContent)")
        assert len(found) == 2
        assert found[0].startswith("age us/")
        assert page.run("document.querySelectorAll('#found script, #found img').length") == 0
        press(page, "Tab", 9)
        press(page, "Tab", 9) if page.run("document.activeElement.tagName") != "A" else None
        press(page, "Enter", 13)
        wait(page, "location.hash.startsWith('#person.age')")
        assert "/columns/" in page.run("location.href")
        wait(page, "document.querySelector('tr:target code')?.textContent === 'age'")

        # a filter
        page.events.clear()
        page.open(made.site / "us/areas/v2/index.html")
        wait(page, "document.body.dataset.ready === 'true'")
        shown = "[...document.querySelectorAll('#files-table tbody tr')].filter((row) => !row.hidden).length"
        assert page.run(shown) == 4
        page.run("document.querySelector('[data-filter]').focus()")
        page.call("Input.insertText", text="district nc-")
        assert page.run(shown) == 2
        assert page.run("document.querySelector('[data-filter]').nextElementSibling.textContent") == "2 of 4"

        # lines to copy
        page.run("document.querySelector('.code button').click()")
        wait(page, "document.querySelector('.code button').textContent !== 'Copy'")

        # the map: from district to district with the arrows, and to the file with Enter
        page.events.clear()
        page.open(made.site / "index.html")
        wait(page, "document.body.dataset.ready === 'true'")
        assert page.run("document.querySelector('[data-area=\"NC-01\"]').getAttribute('class')") == "s0"
        assert page.run("document.querySelector('[data-area=\"TX-01\"]').getAttribute('class')") == "none"
        page.run("document.querySelector('#map [tabindex=\"0\"]').focus()")
        assert "not in this version" in page.run("document.getElementById('tip').textContent")
        press(page, "Enter", 13)
        assert page.run("location.href").endswith("/site/index.html")
        before = page.run("document.activeElement.dataset.area")
        press(page, "ArrowRight", 39)
        assert page.run("document.activeElement.dataset.area") not in (before, None)
        page.run("document.querySelector('[data-area=\"NC-01\"]').focus()")
        press(page, "Enter", 13)
        wait(page, "location.href.endsWith('/us/areas/v3/files/districts~NC-01.html')")
