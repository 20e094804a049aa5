"""What variables mean: the document, where it is found, and that it is told as it was written."""

import bz2
import importlib
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_helpers import publish_areas

import pe_data
from pe_data.cli import run
from pe_data.describe.file import Label, describe
from pe_data.describe.from_h5 import DICTIONARY
from pe_data.documents.croissant import to_croissant
from pe_data.documents.dictionary import Dictionary, Variable
from pe_data.documents.frictionless import to_frictionless
from pe_data.documents.manifest import Manifest
from pe_data.documents.notice import Notice
from pe_data.errors import InputError, InvalidDocumentError
from pe_data.names.digests import canonical_json, sha256_file
from pe_data.store.folder import FolderStore
from pe_data.write.folder import items_in
from pe_data.write.publish import publish_artifact

AGE = Variable("age", "person", "year", label="age of a person", unit="year", source="source dataset")
STATUS = Variable("filing_status", "tax_unit", "year", label="filing status", values=("SINGLE", "JOINT"))
BARE = Variable("person_id", "person", "eternity")


def test_a_dictionary_reads_back_and_says_nothing_that_nobody_said() -> None:
    whole = Dictionary((AGE, STATUS, BARE))
    assert Dictionary.from_bytes(whole.to_bytes()) == whole
    assert whole.to_json()["variables"][2] == {"name": "person_id", "entity": "person", "period": "eternity"}
    assert whole.variable("age") == AGE
    assert whole.variable("agee") is None


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("label", "a\nb", "field variables.0.label: expected one printable line of at most 500 characters, found"),
        ("label", 3, "field variables.0.label: expected text, found the number 3"),
        ("unit", "", "field variables.0.unit: expected text, found ''"),
        ("entity", None, "field variables.0.entity: expected text, found nothing"),
        ("period", "week", "field variables.0.period: expected one of year, month, eternity, found 'week'"),
        ("values", [], "field variables.0.values: expected a list of texts, found a list of 0"),
        ("values", ["A", "A"], "field variables.0.values: expected each value once, found 'A' twice"),
        ("values", ["A", "\x1b[2J"], "field variables.0.values.1: expected one printable line"),
        ("description", "x" * 10_001, "field variables.0.description: expected one printable line of at most 10000"),
    ],
)
def test_what_is_refused(field: str, value: Any, says: str) -> None:
    row = {"name": "age", "entity": "person", "period": "year", field: value}
    raw = canonical_json({"schema_version": 1, "kind": "dictionary", "variables": [row]})
    with pytest.raises(InvalidDocumentError) as caught:
        Dictionary.from_bytes(raw, "d.json")
    assert str(caught.value).startswith(f"d.json: {says}")
    assert "\x1b" not in str(caught.value)


def test_a_variable_twice_and_a_newer_dictionary_are_refused() -> None:
    row = {"name": "age", "entity": "person", "period": "year"}
    with pytest.raises(
        InvalidDocumentError,
        match="field variables: expected each variable of an entity once, found 'age' of 'person' twice",
    ):
        Dictionary.from_json({"schema_version": 1, "kind": "dictionary", "variables": [row, row]}, "d.json")
    with pytest.raises(InvalidDocumentError, match="upgrade it"):
        Dictionary.from_json({"schema_version": 2, "kind": "dictionary", "variables": [row]}, "d.json")


printable = st.characters(exclude_categories=["C", "Z"]) | st.just(" ")
line = st.text(printable, min_size=1, max_size=20).filter(lambda text: text.isprintable() and bool(text.strip()))
maybe = st.none() | line
variables = st.builds(
    Variable,
    line,
    line,
    st.sampled_from(["year", "month", "eternity"]),
    label=maybe,
    unit=maybe,
    description=maybe,
    values=st.none() | st.lists(line, min_size=1, max_size=5, unique=True).map(tuple),
    source=maybe,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(variables, max_size=5, unique_by=lambda one: one.name).map(tuple))
def test_whatever_can_be_said_survives(found: tuple[Variable, ...]) -> None:
    assert Dictionary.from_bytes(Dictionary(found).to_bytes()).variables == found


@pytest.mark.parametrize(
    ("words", "found"),
    [("", [AGE, STATUS, BARE]), ("AGE person", [AGE]), ("filing status", [STATUS]), ("person", [AGE, BARE]),
     ("currency", [])],
)  # fmt: skip
def test_search_takes_every_word_wherever_it_stands(words: str, found: list[Variable]) -> None:
    assert [one for one in (AGE, STATUS, BARE) if one.holds(words)] == found


# --- files, sidecars, stores ------------------------------------------------------------------------------------------

LABEL = Label("us", "areas", "CC0-1.0")
WEIGHT = Variable("household_weight", "household", "year", label="Household weight", source="calibration")
REGION = Variable("region", "household", "year", label="Region of the country", values=("NORTH", "SOUTH"))
SAID = (AGE, REGION, WEIGHT, Variable("elsewhere", "person", "year", label="in no file"))


def write_file(path: Path, said: tuple[Variable, ...] | None = None, *, people: int = 3, families: int = 2) -> Path:
    """Two families in as many households; a person's column that any of them might have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in {
            "person_id": np.arange(people),
            "age": np.full(people, 40.0, np.float32),
            "household_id": np.arange(families),
            "family_id": np.arange(families),
            "person_household_id": np.zeros(people, int),
            "person_family_id": np.zeros(people, int),
            "household_weight": np.full(families, 10.0, np.float32),
            "region": np.array([b"NORTH"] * families),
        }.items():
            file[f"{name}/2024"] = values
        if said is not None:
            file.attrs[DICTIONARY] = np.void(bz2.compress(Dictionary(said).to_bytes()))
    return path


def known(found: tuple[Variable, ...] | Notice) -> dict[str, Variable]:
    assert isinstance(found, tuple)
    return {one.name: one for one in found}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
    monkeypatch.setenv("PE_DATA_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "none.toml"))
    return FolderStore(tmp_path / "store")


def test_a_file_says_what_its_columns_mean_and_of_whom_they_are(tmp_path: Path) -> None:
    """By length alone the region would be of a family or of a household."""
    path = write_file(tmp_path / "a.h5", SAID)
    manifest = describe(path, LABEL)
    assert manifest.schema_version == "1.3"
    assert {one.name for one in manifest.dictionary} == {"age", "region", "household_weight"}
    assert known(pe_data.variables(path))["region"] == REGION
    assert "region" in manifest.column_names("household")
    silent = known(pe_data.variables(write_file(tmp_path / "b.h5")))
    assert silent["region"] == Variable("region", "family|household", "year")
    assert describe(tmp_path / "b.h5", LABEL).schema_version == "1.0"


def test_an_entity_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    wrong = (Variable("region", "person", "year", label="Region"),)
    with pytest.raises(InputError, match="variable region: expected 3 values, one for each person, found 2"):
        describe(write_file(tmp_path / "a.h5", wrong), LABEL)


@pytest.mark.parametrize("stored", [np.void(b"no bzip"), np.void(bz2.compress(b"{}")), 3, "text",
                                    np.void(bz2.compress(b"{" * 100)[:-4])])  # fmt: skip
def test_a_damaged_attribute_is_an_error_of_one_line(tmp_path: Path, stored: Any) -> None:
    path = write_file(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.attrs[DICTIONARY] = stored
    with pytest.raises((InputError, InvalidDocumentError), match=f"attribute {DICTIONARY}: ") as caught:
        describe(path, LABEL)
    assert "\n" not in str(caught.value)


def test_a_file_with_a_sidecar_says_it_too(tmp_path: Path) -> None:
    path = write_file(tmp_path / "files" / "a.h5", (AGE,))
    columns = [
        {"name": name, "entity": "person", "dtype": "float32", "periods": ["2024"]} for name in ("age", "person_id")
    ]
    document = {
        "schema_version": 2, "status": "completed", "period": 2024, "rows": {"person": 3, "household": 2},
        "output": {"sha256": sha256_file(path), "bytes": path.stat().st_size}, "columns": columns,
    }  # fmt: skip
    sidecar = path.with_name("a.h5.result.json")
    sidecar.write_text(json.dumps(document))
    (item,) = items_in(path.parent, LABEL).values()
    assert item.manifest.dictionary == (AGE,)
    assert item.manifest.variables() == (AGE, Variable("person_id", "person", "year"))
    path.write_bytes(b"no H5")
    assert items_in(path.parent, LABEL)["a"].manifest.dictionary == ()


def test_a_collection_says_it_once_and_its_members_know(store: FolderStore, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_file(tmp_path / "files" / f"{name}.h5", SAID, people=3 if name == "a" else 4)
    items = items_in(tmp_path / "files", LABEL)
    publish_areas(store, items)
    one, whole = "pe-data://us/areas/a@latest", "pe-data://us/areas@latest"
    assert known(pe_data.variables(one))["region"] == REGION
    assert known(pe_data.variables(whole)) == known((AGE, REGION, WEIGHT))
    manifest = pe_data.schema(one)
    assert isinstance(manifest, Manifest)
    assert (manifest.dictionary, manifest.schema_version) == ((), "1.0")
    assert pe_data.variables(one, search="WEIGHT household") == (WEIGHT,)
    more = (*SAID, STATUS)
    assert publish_areas(store, items, dictionary=more, run_id="r2").moved, "another dictionary is another collection"
    assert not publish_areas(store, items, dictionary=more, run_id="r3").moved
    assert known(pe_data.variables(whole)) == known(more)
    assert set(known(pe_data.variables(one))) == {name for names in manifest.every_column().values() for name in names}


def test_what_members_do_not_agree_on_is_left_out(store: FolderStore, tmp_path: Path) -> None:
    other = Variable("age", "person", "year", label="age at the interview")
    write_file(tmp_path / "files" / "a.h5", (AGE, REGION))
    write_file(tmp_path / "files" / "b.h5", (other, REGION), people=4)
    publish_areas(store, items_in(tmp_path / "files", LABEL))
    assert known(pe_data.variables("pe-data://us/areas@latest")) == {"region": REGION}
    assert not known(pe_data.variables("pe-data://us/areas/a@latest"))["age"].is_told


def test_a_file_of_its_own_has_it_in_its_manifest(store: FolderStore, tmp_path: Path) -> None:
    (item,) = items_in(write_file(tmp_path / "files" / "a.h5", SAID).parent, LABEL).values()
    publish_artifact(store, item)
    assert known(pe_data.variables("pe-data://us/areas@latest"))["age"] == AGE


def test_a_collection_that_says_nothing_says_so(store: FolderStore, tmp_path: Path) -> None:
    publish_areas(store, items_in(write_file(tmp_path / "files" / "a.h5").parent, LABEL))
    with pytest.raises(InputError, match="Name a member, such as pe-data://us/areas/a@latest"):
        pe_data.variables("pe-data://us/areas@latest")


def test_the_command(store: FolderStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_file(tmp_path / "files" / "a.h5").parent
    (folder / "dictionary.json").write_bytes(Dictionary(SAID).to_bytes())
    assert run(["publish", str(folder), "us/areas", "--run-id", "r"]) == 0
    capsys.readouterr()
    assert run(["variables", "pe-data://us/areas/a@latest", "--search", "region"]) == 0
    shown = capsys.readouterr().out
    assert "Region of the country" in shown
    assert "one of NORTH, SOUTH" in shown
    assert "age" not in shown
    assert run(["variables", str(folder / "dictionary.json"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["variables"]
    assert found == json.loads(Dictionary(SAID).to_bytes())["variables"]
    for where in (["pe-data://us/areas/a@latest"], []):
        capsys.readouterr()
        assert run(["variables", *where, "--search", "nowhere to be found"]) == 0
        assert (
            capsys.readouterr().out
            == "no variable has 'nowhere to be found' in its name, label, description, unit or entity\n"
        )
    assert run(["variables", "--search", "weight", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["datasets"]["us/areas"]] == ["household_weight"]
    assert run(["schema", "pe-data://us/areas/a@latest", "--search", "country"]) == 0
    assert "Region of the country" in capsys.readouterr().out
    (folder / "dictionary.json").write_text("{}")
    assert run(["publish", str(folder), "us/areas", "--run-id", "r"]) == 1
    assert "dictionary.json: field schema_version: expected 1, found nothing" in capsys.readouterr().err


def test_exchange_formats_say_it_and_stay_valid(tmp_path: Path) -> None:
    manifest = describe(write_file(tmp_path / "a.h5", (Variable("region", "household", "year"),)), LABEL)
    package = to_frictionless(manifest, said=SAID)
    (fields,) = (one["schema"]["fields"] for one in package["resources"] if one["name"] == "household")
    (region,) = (one for one in fields if one["name"] == "region")
    assert (region["title"], region["constraints"]["enum"]) == ("Region of the country", ["NORTH", "SOUTH"])
    assert importlib.import_module("frictionless").Package.validate_descriptor(package).valid
    croissant = to_croissant(manifest, "https://example.org/a.h5", said=SAID)
    metadata = importlib.import_module("mlcroissant").Dataset(jsonld=croissant).metadata
    assert not metadata.issues.errors
    assert "age of a person. unit year. float32, per year" in json.dumps(croissant)
