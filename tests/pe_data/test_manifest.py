"""The manifest: round trip, version policy, schema, size budget, and each way to make one."""

import copy
import gzip
import json
from importlib.resources import files
from pathlib import Path

import h5py
import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pe_data.cli.tables import summary_rows
from pe_data.describe.columns import inputs_of, normal_dtype
from pe_data.describe.file import Label, describe
from pe_data.describe.from_sidecar import manifest_from, read_sidecar
from pe_data.documents.encoding import pack, unpack
from pe_data.documents.manifest import Build, InputFile, Manifest
from pe_data.documents.validation import Validation
from pe_data.errors import InputError, InvalidDocumentError
from pe_data.names.digests import sha256_file
from pe_data.write.folder import item_of

SCHEMA = json.loads((files("pe_data") / "schemas/manifest.schema.json").read_text())
LABEL = Label("us", "local_areas", licence="CC0-1.0")
REAL_NAMES = Path(__file__).with_name("column_names.txt").read_text().split()
INPUTS = tuple(
    InputFile(name, f"{i:064x}".replace("0", "abcdef79"[i]), 10**7 + i)
    for i, name in enumerate(("source.h5", "weights.npy", "geography.npz", "blocks.csv.gz"), 1)
)
BUILD = Build(
    tools={"policyengine-core": "3.33.12", "numpy": "2.4.6", "h5py": "3.16.0", "python": "3.11"},
    model_package="policyengine-us",
    model_version="2.68.0",
    data_build_fingerprint="9f" * 32,
)


def write_period_file(path, n_columns, persons=50, households=20):
    with h5py.File(path, "w") as file:

        def put(name, values):
            file.create_dataset(f"{name}/2024", data=values)

        put("person_id", np.arange(persons))
        put("person_household_id", np.arange(persons) % households)
        put("household_id", np.arange(households))
        put("household_weight", np.ones(households, np.float32))
        names = [n for n in REAL_NAMES if n not in file]
        for i, name in enumerate(names[: n_columns - 4]):
            size = households if i % 5 == 0 else persons
            dtype = (np.float32, np.bool_, np.int32, "S5")[i % 4]
            put(name, np.zeros(size, dtype))
    return path


def full_label(label=LABEL):
    return Label(label.country, label.dataset, licence="CC0-1.0", inputs=inputs_of(INPUTS), build=BUILD)


@pytest.fixture
def manifest(tmp_path):
    return describe(write_period_file(tmp_path / "a.h5", 60), full_label())


# --- the document -----------------------------------------------------------------------------


def test_bytes_and_value_are_inverse(manifest):
    data = manifest.to_bytes()
    assert Manifest.from_bytes(data) == manifest
    assert Manifest.from_bytes(data).to_bytes() == data
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(data))


def test_same_file_gives_the_same_manifest(manifest, tmp_path):
    assert describe(tmp_path / "a.h5", full_label()).to_bytes() == manifest.to_bytes()


def test_budget_of_60_columns(manifest):
    assert sum(len(group.names) for group in manifest.columns) == 60
    assert len(manifest.to_bytes()) <= 3000


def test_budget_of_200_columns(tmp_path):
    manifest = describe(write_period_file(tmp_path / "b.h5", 200), full_label())
    assert sum(len(group.names) for group in manifest.columns) == 200
    assert len(pack(manifest.to_bytes())) <= 2500


def test_unknown_keys_are_ignored_and_minor_versions_accepted(manifest):
    document = manifest.to_json() | {"later": {"x": 1}, "schema_version": "1.9"}
    document["artifact"]["later"] = 2
    read = Manifest.from_bytes(json.dumps(document).encode())
    assert read.artifact == manifest.artifact
    jsonschema.Draft202012Validator(SCHEMA).validate(document)


def test_newer_major_is_refused_by_name(manifest):
    document = manifest.to_json() | {"schema_version": "2.0"}
    with pytest.raises(InvalidDocumentError, match=r"schema_version: expected major version 1.*2\.0"):
        Manifest.from_bytes(json.dumps(document).encode(), "m.json")


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("artifact", "sha256"), "AB", "artifact.sha256"),
        (("artifact", "size_bytes"), -1, "artifact.size_bytes"),
        (("artifact", "size_bytes"), True, "artifact.size_bytes"),
        (("artifact", "media_type"), "text/csv", "artifact.media_type"),
        (("artifact",), [], "artifact"),
        (("country",), "../x", "country"),
        (("dataset",), "a/b", "dataset"),
        (("time_period",), [], "time_period"),
        (("time_period",), ["2024"], "time_period.0"),
        (("entities",), None, "entities"),
        (("entities", "person", "rows"), "5", "entities.person.rows"),
        (("entities", "person", "columns"), [], "entities.person.columns"),
        (("entities", "person", "columns", "int64"), ["a", "a"], "entities.person.columns.int64"),
        (("entities", "person", "columns", "int64"), "a", "entities.person.columns.int64"),
        (("inputs", "composite_digest"), "no", "inputs.composite_digest"),
        (("status",), "gone", "status"),
        (("access",), "secret", "access"),
        (("licence",), "", "licence"),
        (("schema_version",), 1, "schema_version"),
    ],
)
def test_reader_and_schema_refuse_the_same(manifest, path, value, field):
    document = copy.deepcopy(manifest.to_json())
    node = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    with pytest.raises(InvalidDocumentError) as caught:
        Manifest.from_bytes(json.dumps(document).encode(), "us/4e/x.manifest.json")
    assert str(caught.value).startswith(f"us/4e/x.manifest.json: field {field}: expected ")
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(document)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["entities"]["person"]["columns"].update(int8=["person_id"]),
        lambda d: d["entities"]["person"].update(monthly_columns={"bool": ["person_id"]}),
        lambda d: d["entities"]["person"].update(id="nothing_like_it"),
    ],
)
def test_reader_refuses_what_a_schema_cannot_say(manifest, change):
    document = copy.deepcopy(manifest.to_json())
    change(document)
    with pytest.raises(InvalidDocumentError, match="expected"):
        Manifest.from_bytes(json.dumps(document).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"a":1,"a":2}', b'{"a":NaN}', b"\xff"])
def test_not_json(data):
    with pytest.raises(InvalidDocumentError):
        Manifest.from_bytes(data)


# --- stored form ------------------------------------------------------------------------------


@given(st.binary(max_size=5000))
def test_packing_is_inverse(data):
    if not data.startswith(b"\x1f\x8b"):
        assert unpack(pack(data)) == data


def test_packing_has_no_time():
    assert pack(b"{}" * 5000) == pack(b"{}" * 5000)
    assert pack(b"{}" * 5000)[4:8] == b"\0\0\0\0"


def test_a_bomb_and_damaged_streams_are_refused():
    bomb = gzip.compress(b"0" * 50_000_000)
    with pytest.raises(InvalidDocumentError, match="at most"):
        unpack(bomb)
    whole = gzip.compress(b"a" * 5000)
    for damaged in (whole[:-9], whole[:10] + b"!" + whole[11:], whole + b"x"):
        with pytest.raises(InvalidDocumentError):
            unpack(damaged)


# --- from files -------------------------------------------------------------------------------


def test_period_file(tmp_path):
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        file["age/2024"] = np.zeros(5, np.float32)
        file["person_id/2024"] = np.arange(5)
        file["person_household_id/2024"] = np.array([0, 0, 1, 1, 1])
        file["household_id/2024"] = np.arange(2)
        file["household_weight/2024"] = np.ones(2, np.float32)
        file["county_fips/2024"] = np.array([b"37001", b"37003"])
        file["is_male/ETERNITY"] = np.ones(5, bool)
        for month in range(1, 13):
            file[f"receives_wic/2024-{month:02d}"] = np.ones(5, bool)
    manifest = describe(path, LABEL)
    assert manifest.time_period == (2024,)
    assert manifest.artifact.sha256 == sha256_file(path)
    assert manifest.artifact.size_bytes == path.stat().st_size
    person, household = manifest.entities["person"], manifest.entities["household"]
    assert (person.rows, person.id, person.links) == (
        5,
        "person_id",
        {"household": "person_household_id"},
    )
    assert (household.rows, household.weight) == (2, "household_weight")
    groups = {(g.entity, g.dtype, g.period): g.names for g in manifest.columns}
    assert groups["household", "text5", "year"] == ("county_fips",)
    assert groups["person", "bool", "month"] == ("receives_wic",)
    assert groups["person", "bool", "eternity"] == ("is_male",)
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


def test_an_open_entity_is_said(tmp_path):
    path = write_period_file(tmp_path / "tie.h5", 8, persons=20, households=20)
    assert "household|person" in describe(path, LABEL).entities


def copied(path):
    """The groups of a file in another one, whose root PyTables never saw."""
    with h5py.File(path) as old, h5py.File(path.with_name("copied.h5"), "w") as new:
        for name in old:
            old.copy(name, new)
        return Path(new.filename)


@pytest.mark.parametrize("form", ["fixed", "table"])
@pytest.mark.parametrize("written", [lambda path: path, copied], ids=["by pandas", "copied"])
def test_hdfstore(tmp_path, form, written):
    path = tmp_path / "s.h5"
    person = pd.DataFrame({"person_id": [1, 2], "person_household_id": [7, 7], "age": [1.5, 2.5], "name": ["a", "b"]})
    person["is_female"] = [True, False]
    household = pd.DataFrame({"household_id": [7], "household_weight": [3.0]})
    with pd.HDFStore(path, "w") as store:
        store.put("person", person, format=form, track_times=False)
        store.put("household", household, format=form, track_times=False)
        store.put("time_period", pd.Series(["2024"]), format=form, track_times=False)
    manifest = describe(written(path), LABEL)
    assert manifest.time_period == (2024,)
    assert manifest.entities["person"].rows == 2
    assert manifest.entities["person"].links == {"household": "person_household_id"}
    assert manifest.entities["household"].weight == "household_weight"
    assert manifest.column_names("person") == ("age", "is_female", "name", "person_household_id", "person_id")
    types = {name: dtype for dtype, names in manifest.entities["person"].columns.items() for name in names}
    assert (types["is_female"], types["age"]) == ("bool", "float64")


def test_hdfstore_with_years(tmp_path):
    path = tmp_path / "years.h5"
    with pd.HDFStore(path, "w") as store:
        for year in (2024, 2025):
            frame = pd.DataFrame({"person_id": [1, 2], "age": [1.0, 2.0]})
            store.put(f"person/_{year}", frame, track_times=False)
    assert describe(path, LABEL).time_period == describe(copied(path), LABEL).time_period == (2024, 2025)


def test_a_hostile_pickle_in_an_attribute_is_refused(tmp_path):
    path = tmp_path / "evil.h5"
    with pd.HDFStore(path, "w") as store:
        frame = pd.DataFrame({"person_id": [1, 2]})
        store.put("person", frame, format="table", track_times=False)
    marker = tmp_path / "ran"
    hostile = b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR."
    with h5py.File(path, "r+") as file:
        file["person/table"].attrs["values_block_0_kind"] = np.bytes_(hostile)
    with pytest.raises(InputError, match="refused"):
        describe(path, Label("us", "x_2024"))
    assert not marker.exists()


def test_parquet(tmp_path):
    path = tmp_path / "p.parquet"
    frame = pd.DataFrame({"person_id": [1, 2], "age": np.float32([1, 2]), "state": ["NC", "VA"]})
    frame.to_parquet(path)
    manifest = describe(path, Label("us", "cps_2023"))
    assert manifest.artifact.media_type == "application/vnd.apache.parquet"
    assert manifest.time_period == (2023,)
    assert manifest.entities["person"].rows == 2
    groups = {(g.entity, g.dtype): g.names for g in manifest.columns}
    assert groups == {
        ("person", "float32"): ("age",),
        ("person", "int64"): ("person_id",),
        ("person", "text"): ("state",),
    }


@pytest.mark.parametrize("content", [b"", b"hello world", b"\x89HDF\r\n\x1a\n" + b"\0" * 90, b"PAR1"])
def test_other_and_damaged_files(tmp_path, content):
    path = tmp_path / "x.h5"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.h5"):
        describe(path, LABEL)


def test_a_year_is_needed(tmp_path):
    path = tmp_path / "p.parquet"
    pd.DataFrame({"person_id": [1]}).to_parquet(path)
    with pytest.raises(InputError, match="--year"):
        describe(path, LABEL)
    assert describe(path, LABEL, years=(2026,)).time_period == (2026,)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("<f4", "float32"),
        ("|b1", "bool"),
        ("bool", "bool"),
        ("|S15", "text15"),
        ("S15", "text15"),
        ("|O", "text"),
        ("object", "text"),
        ("double", "float64"),
        ("<i8", "int64"),
        ("uint8", "uint8"),
        ("large_string", "text"),
        ("timestamp[ns]", "timestamp[ns]"),
    ],
)
def test_one_spelling_of_dtypes(given, expected):
    assert normal_dtype(given) == expected


# --- from the sidecar of an area build --------------------------------------------------------


def sidecar_of(path):
    """What an area build writes beside `path`, for the columns of `write_period_file`."""
    columns = []
    with h5py.File(path) as file:
        rows = {"person": len(file["person_id/2024"]), "household": len(file["household_id/2024"])}
        for name, group in file.items():
            entity = "person" if len(group["2024"]) == rows["person"] else "household"
            dtype = group["2024"].dtype
            dtype = dtype.name if dtype.kind != "S" else f"S{dtype.itemsize}"
            columns.append({"name": name, "entity": entity, "dtype": dtype, "periods": ["2024"]})
    return {
        "schema_version": 1,
        "request": {
            "area_type": "district",
            "area_id": "NC-01",
            "display_name": "NC-01",
            "filters": [],
            "package": "p",
        },
        "status": "completed",
        "output": {
            "path": "districts/NC-01.h5",
            "sha256": sha256_file(path),
            "bytes": path.stat().st_size,
        },
        "period": 2024,
        "rows": rows,
        "columns": columns,
        "inputs": [{"name": f.name, "sha256": f.sha256, "bytes": f.size_bytes} for f in INPUTS],
        "versions": {**BUILD.tools, "policyengine-us": BUILD.model_version},
        "fingerprint": {"digest": BUILD.data_build_fingerprint, "components": {}},
        "weights": {
            "households": 1,
            "persons": 1,
            "effective_sample_size": 1,
            "largest_share": 1,
        },
        "excluded": [],
        "coverage": {},
        "checks": {},
        "notes": {},
        "validation": {"status": "skipped", "summary": ""},
        "issues": [],
    }


AREA_RESULT = Path(__file__).parents[2] / "schemas" / "area_result.schema.json"


VERSION_2 = {
    "schema_version": 2,
    "source_rows": {"household": 9, "person": 20},
    "may_reflect_source_place": [{"name": "rent", "reason": "prices differ between places"}],
}


@pytest.mark.parametrize("newer", [{}, VERSION_2])
def test_sidecar_gives_the_same_manifest_as_the_file(tmp_path, newer):
    """Of version 1, as published ones are, and of today."""
    path = write_period_file(tmp_path / "NC-01.h5", 60)
    sidecar = sidecar_of(path) | newer
    jsonschema.Draft202012Validator(json.loads(AREA_RESULT.read_text())).validate(sidecar)
    from_file = describe(path, full_label())
    path.unlink()
    assert manifest_from(read_sidecar(sidecar), LABEL).to_bytes() == from_file.to_bytes()


def test_sidecar_of_version_2_says_how_ids_are_made(tmp_path):
    sidecar = sidecar_of(write_period_file(tmp_path / "NC-01.h5", 10)) | {"schema_version": 2}
    with pytest.raises(jsonschema.ValidationError, match="source_rows"):
        jsonschema.Draft202012Validator(json.loads(AREA_RESULT.read_text())).validate(sidecar)


@pytest.mark.parametrize("code", ["00", "01", "as given"])
def test_the_manifest_says_how_at_large_seats_are_written(tmp_path, code):
    sidecar = sidecar_of(write_period_file(tmp_path / "AK-01.h5", 10))
    without = manifest_from(read_sidecar(sidecar), LABEL)
    assert (without.conventions, without.schema_version) == ({}, "1.0")
    assert "conventions" not in without.to_json()
    found = manifest_from(read_sidecar(sidecar | VERSION_2 | {"at_large_code": code}), LABEL)
    jsonschema.Draft202012Validator(json.loads(AREA_RESULT.read_text())).validate(
        sidecar | VERSION_2 | {"at_large_code": code}
    )
    assert (found.conventions, found.schema_version) == ({"at_large_code": code}, "1.2")
    assert Manifest.from_bytes(found.to_bytes()) == found
    assert ("at large code", code) in summary_rows(found)
    checked = found.validated(Validation("passed", 1, {"structural": {"passed": 1}}, "0" * 64, "1" * 64))
    assert (checked.conventions, checked.schema_version) == (found.conventions, "1.2")


def test_sidecar_without_a_fingerprint(tmp_path):
    sidecar = sidecar_of(write_period_file(tmp_path / "NC-01.h5", 10)) | {"fingerprint": None}
    assert manifest_from(read_sidecar(sidecar), LABEL).build.data_build_fingerprint is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema_version", 3),
        ("status", "failed"),
        ("period", None),
        ("columns", []),
        ("output", {"sha256": "x", "bytes": 1}),
        ("rows", {"household": 3}),
    ],
)
def test_sidecar_errors_name_the_field(tmp_path, field, value):
    sidecar = sidecar_of(write_period_file(tmp_path / "NC-01.h5", 10)) | {field: value}
    with pytest.raises(InvalidDocumentError, match=field if field != "rows" else "entity"):
        read_sidecar(sidecar, where="NC-01.h5.result.json")


@pytest.mark.parametrize("change", ["digest", "row", "twice", "name"])
def test_inputs_that_contradict_their_digest_are_refused(manifest, change):
    """Whoever rewrites one of them has to rewrite both, and the digest of the manifest is bound."""
    document = manifest.to_json()
    inputs = document["inputs"]
    if change == "digest":
        inputs["composite_digest"] = "f" * 64
    elif change == "row":
        inputs["files"][0]["sha256"] = "f" * 64
    elif change == "twice":
        inputs["files"].append(inputs["files"][0])
    else:
        inputs["files"][0]["name"] = "another"
    with pytest.raises(InvalidDocumentError, match=r"inputs\."):
        Manifest.from_bytes(json.dumps(document).encode())
    assert Manifest.from_bytes(manifest.to_bytes()).inputs == manifest.inputs


# --- the year -----------------------------------------------------------------------------------


def write_years(path, *periods):
    with h5py.File(path, "w") as file:
        for name in ("person_id", "household_id", "person_household_id"):
            for period in periods:
                file[f"{name}/{period}"] = np.arange(3)
    return path


@pytest.mark.parametrize("periods", [("2024",), ("2024", "2025"), ("2024-01", "2024-02"), ("2024", "2023-12")])
@pytest.mark.parametrize("said", [(2031,), (2024, 2031), (1,)])
def test_a_year_that_the_file_contradicts_is_refused(tmp_path, periods, said):
    """The manifest stays for good, so the mistake could not be put right."""
    path = write_years(tmp_path / "area.h5", *periods)
    with pytest.raises(InputError, match="as the periods in the file say, found"):
        describe(path, LABEL, years=said)
    assert describe(path, LABEL, years=(2024,)).time_period == (2024,)


@pytest.mark.parametrize("form", ["eternity", "parquet"])
def test_a_file_that_says_no_year_takes_the_one_that_is_said(tmp_path, form):
    if form == "eternity":
        path = write_years(tmp_path / "area.h5", "ETERNITY")
    else:
        path = tmp_path / "area.parquet"
        pd.DataFrame({"person_id": [1, 2]}).to_parquet(path)
    assert describe(path, LABEL, years=(2031,)).time_period == (2031,)


def test_parquet_and_pandas_files_contradict_too(tmp_path):
    from pe_data.exports.plain import write_parquet
    from pe_data.exports.table import table_of

    table = table_of("person", pd.DataFrame({"person_id": [1, 2]}), (), {}, "a frame")
    write_parquet(table, tmp_path / "a.parquet", (2024,), ())
    with pd.HDFStore(tmp_path / "a.h5", "w") as store:
        store.put("person/_2024", pd.DataFrame({"person_id": [1, 2]}), track_times=False)
    for name in ("a.parquet", "a.h5"):
        with pytest.raises(InputError, match="expected 2024"):
            describe(tmp_path / name, LABEL, years=(2031,))


def test_parquet_files_of_every_version_say_their_years(tmp_path):
    """The names in the footer are a format: files that were exported by 0.1.0 have them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"household_id": [1, 2]})
    footer = {b"pe_data.entity": b"household", b"pe_data.years": b"2024 2025"}
    pq.write_table(table.replace_schema_metadata(footer), tmp_path / "old.parquet")
    found = describe(tmp_path / "old.parquet", LABEL)
    assert found.time_period == (2024, 2025)
    assert list(found.entities) == ["household"]


def test_a_sidecar_contradicts_a_label_and_its_own_columns(tmp_path):
    """`--year` was ignored without a word where a sidecar lies beside the file."""
    path = write_years(tmp_path / "area.h5", "2024")
    document = small_sidecar(path, describe(path, LABEL))
    sidecar = path.with_name("area.h5.result.json")
    sidecar.write_text(json.dumps(document))
    with pytest.raises(InputError, match="expected 2024"):
        item_of(path, LABEL, years=(2031,))
    assert item_of(path, LABEL, years=(2024,)).manifest.time_period == (2024,)
    sidecar.write_text(json.dumps(document | {"period": 2031}))
    with pytest.raises(InvalidDocumentError, match=r"field period: expected one of the years of its columns \(2024\)"):
        item_of(path, LABEL)


def small_sidecar(path, manifest):
    return {
        "schema_version": 1,
        "status": "completed",
        "output": {"path": path.name, "sha256": manifest.artifact.sha256, "bytes": manifest.artifact.size_bytes},
        "period": manifest.time_period[0],
        "rows": {entity: of.rows for entity, of in manifest.entities.items()},
        "columns": [
            {"name": name, "entity": group.entity, "dtype": group.dtype, "periods": ["2024"]}
            for group in manifest.columns
            for name in group.names
        ],
        "inputs": [],
        "versions": {"python": "3.11"},
    }
