"""Exports, read back by other programs: labels, codes, numbers and words that must survive."""

import csv
import json
import re
import runpy
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from export_helpers import DICTIONARY, LONG, NOTES, TENURE, write_area
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pe_data
from pe_data.cli import run
from pe_data.documents.codes import CODES
from pe_data.documents.dictionary import Variable
from pe_data.errors import CacheError, DemonstrationWarning, InputError, MissingExtraError, PeDataError
from pe_data.exports import stata
from pe_data.exports.export import FORMATS
from pe_data.exports.plain import write_csv
from pe_data.exports.readers import read_do, read_py
from pe_data.exports.said import Said
from pe_data.exports.table import table_of

pytestmark = pytest.mark.filterwarnings("ignore::pe_data.errors.DemonstrationWarning")

AREA = "pe-data://us/areas/districts/AL-01@latest"
ALL = "pe-data://us/areas@latest"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two districts and a state, published with a dictionary, notes, a licence and a citation."""
    folder = tmp_path_factory.mktemp("exports")
    write_area(folder / "areas/districts/AL-01.h5", 1)
    write_area(folder / "areas/districts/NC-01.h5", 11, state=37)
    write_area(folder / "areas/states/AL.h5", 1)
    (folder / "areas/dictionary.json").write_bytes(DICTIONARY.to_bytes())
    said = [word for note in NOTES for word in ("--note", note)]
    arguments = ["--run-id", "r1", "--licence", "CC0-1.0", "--citation", "Doe (2026)", *said]
    assert run(["publish", str(folder / "areas"), "us/areas", "--store", str(folder / "store"), *arguments]) == 0
    return folder / "store"


@pytest.fixture(autouse=True)
def _place(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PE_DATA_STORE", str(store))
    monkeypatch.setenv("PE_DATA_CACHE", str(store.parent / "cache"))
    monkeypatch.setenv("PE_DATA_CONFIG", str(store.parent / "config.toml"))
    monkeypatch.delenv("PE_DATA_OFFLINE", raising=False)


def one_frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


# --- each format ----------------------------------------------------------------------------------


def test_csv_is_read_by_its_own_reader_and_by_duckdb(tmp_path: Path) -> None:
    out = tmp_path / "out"
    pe_data.export(AREA, "csv", out)
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["datapackage.json", "household.csv", "person.csv", "read.R", "read.do", "read.py", "renames.csv"]
    )
    opened = pe_data.open(AREA)
    read = runpy.run_path(str(out / "read.py"))["read"]()
    for entity, frame in read.items():
        for column in frame:
            if column in CODES and opened[entity][column].dtype.kind == "i":
                assert [int(text) for text in frame[column]] == opened[entity][column].tolist()
            else:
                pd.testing.assert_series_equal(frame[column], opened[entity][column])
    household = read["household"]
    assert household["state_fips"].tolist() == ["01", "01"]
    assert household["congressional_district_geoid"].tolist() == ["0101", "0101"]
    assert household["county_fips"].tolist() == ["01003", ""]
    assert household["name"].tolist() == ['Ñandú, "x"', "NA"]
    assert household.attrs["labels"]["tenure_type"] == "Tenure"
    assert any("demonstration" in line for line in household.attrs["notes"])


def test_the_package_says_what_columns_are(tmp_path: Path) -> None:
    pe_data.export(AREA, "csv", tmp_path / "out")
    package = json.loads((tmp_path / "out/datapackage.json").read_text())
    frictionless = pytest.importorskip("frictionless")
    assert frictionless.Package.validate_descriptor(package).valid
    report = frictionless.Package.from_descriptor(package, basepath=str(tmp_path / "out")).validate()
    assert report.valid, report.flatten(["message"])
    fields = {field["name"]: field for one in package["resources"] for field in one["schema"]["fields"]}
    assert {fields[code]["type"] for code in CODES.keys() & fields.keys()} == {"string"}
    assert (fields["age"]["title"], fields["age"]["unit"]) == ("Age", "year")
    assert fields["tenure_type"]["constraints"] == {"enum": list(TENURE)}
    assert (package["citation"], package["licenses"][0]["name"]) == ("Doe (2026)", "CC0-1.0")
    assert package["description"].splitlines() == list(NOTES)


def test_stata_has_labels_codes_and_notes(tmp_path: Path) -> None:
    pyreadstat = pytest.importorskip("pyreadstat")
    out = tmp_path / "out"
    written = pe_data.export(AREA, "stata", out)
    assert sorted(path.name for path in out.iterdir()) == [
        "datapackage.json", "household.dta", "person.dta", "read.R", "renames.csv",
    ]  # fmt: skip
    household, about = pyreadstat.read_dta(str(written["household"]))
    assert about.column_names_to_labels["household_weight"] == "Household weight"
    assert household["state_fips"].tolist() == ["01", "01"]
    assert household["block_geoid"].tolist() == ["010030107112001", "010030107112002"]
    assert about.variable_value_labels["tenure_type"] == dict(enumerate(TENURE))
    assert household["tenure_type"].tolist() == [2, 1]
    assert about.file_label.startswith("Demonstration: us/areas")
    assert [note for note in about.notes if "demonstration" in note]
    assert any("Doe (2026)" in note for note in about.notes)
    assert any("CC0-1.0" in note for note in about.notes)
    person, about = pyreadstat.read_dta(str(written["person"]))
    opened = pe_data.open(AREA)["person"]
    names = {
        row["column"]: row["name"] for row in csv.DictReader((out / "renames.csv").open()) if row["table"] == "person"
    }
    assert names[LONG] == "self_employed_pension_contributi"
    assert len(set(person.columns)) == len(opened.columns)
    for column in opened:
        found = person[names.get(column, column)].astype("float64")
        pd.testing.assert_series_equal(found, opened[column].astype("float64"), check_names=False)
    assert about.variable_value_labels["is_male"] == {0: "no", 1: "yes"}
    assert about.column_names_to_labels["receives_wic_2024_01"] == "Receives WIC, 2024-01"


def test_pandas_reads_the_stata_file_too(tmp_path: Path) -> None:
    written = pe_data.export(AREA, "stata", tmp_path / "out")
    with pd.read_stata(written["household"], iterator=True) as reader:
        assert reader.variable_labels()["tenure_type"] == "Tenure"
        assert reader.data_label.startswith("Demonstration")
        frame = reader.read()
    assert frame["tenure_type"].tolist() == ["RENTED", "OWNED"]
    assert frame["county_fips"].tolist() == ["01003", ""]


def test_duckdb_has_tables_comments_and_lists(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    written = pe_data.export(AREA, "duckdb", tmp_path / "out")
    assert set(written.values()) == {tmp_path / "out/data.duckdb"}
    with duckdb.connect(str(tmp_path / "out/data.duckdb"), read_only=True) as database:
        asked = "SELECT state_fips, county_fips, tenure_type FROM household ORDER BY household_id"
        assert database.sql(asked).fetchall() == [("01", "01003", "RENTED"), ("01", "", "OWNED")]
        comment = "SELECT comment FROM duckdb_columns() WHERE table_name = 'household' AND column_name = 'tenure_type'"
        assert database.sql(comment).fetchall() == [("Tenure",)]
        assert database.sql("SELECT value FROM _values ORDER BY number").fetchall() == [(one,) for one in TENURE]
        about = dict(database.sql("SELECT kind, text FROM _about").fetchall())
        assert (about["licence"], about["citation"]) == ("CC0-1.0", "Doe (2026)")
        assert about["title"].startswith("Demonstration")
        assert database.sql('SELECT sum("receives_wic@2024-01"::int) FROM person').fetchall() == [(1,)]


def test_parquet_keeps_codes_and_labels(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    written = pe_data.export(AREA, "parquet", tmp_path / "out")
    schema = pq.read_schema(written["household"])
    assert schema.field("tenure_type").metadata[b"label"] == b"Tenure"
    assert json.loads(schema.field("tenure_type").metadata[b"values"]) == list(TENURE)
    assert b"demonstration" in schema.metadata[b"pe_data.about"]
    assert pe_data.open(written["household"])["household"]["state_fips"].tolist() == ["01", "01"]
    duckdb = pytest.importorskip("duckdb")
    rows = duckdb.sql(f"SELECT DISTINCT congressional_district_geoid FROM '{written['household']}'").fetchall()
    assert rows == [("0101",)]


@pytest.mark.parametrize("to", ["csv", "parquet", "stata"])
def test_the_same_rows_give_the_same_bytes(tmp_path: Path, to: Any) -> None:
    for name in ("a", "b"):
        pe_data.export(AREA, to, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "b").iterdir())
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_the_reader_of_python_runs_by_itself(tmp_path: Path) -> None:
    pe_data.export(AREA, "csv", tmp_path / "out")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "out/read.py")], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "household: 2 rows" in done.stdout


# --- what cannot be kept --------------------------------------------------------------------------


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, 2**63 - 1])
def test_stata_refuses_integers_that_a_double_rounds(tmp_path: Path, value: int) -> None:
    frame = one_frame(id=np.array([1, value], np.int64))
    with pytest.raises(InputError, match=r"table\.id: expected integers up to 2\^53 for Stata.*Export to csv"):
        pe_data.export(frame, "stata", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    pe_data.export(frame, "csv", tmp_path / "out")
    read = runpy.run_path(str(tmp_path / "out/read.py"))["read"]()["table"]
    assert read["id"].tolist() == [1, value]
    assert '"character"' in (tmp_path / "out/read.R").read_text(), "R has no such integers"
    assert "stringcols(1)" in (tmp_path / "out/read.do").read_text()


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([100, 101, -127, -128], "int8"),
        ([32740, 32741, -32767, -32768], "int16"),
        ([2147483620, 2147483621, -2147483647, -2147483648], "int32"),
        ([2**53, -(2**53)], "int64"),
        ([0, 255], "uint8"),
        ([0, 2**32 - 1], "uint32"),
        ([0, 2**53], "uint64"),
        ([1.7e38, 1.8e38, -3e38, np.nan, 0.1], "float32"),
        ([8.9e307, -8.9e307, np.nan, 0.1], "float64"),
    ],
)
def test_stata_holds_what_it_takes(tmp_path: Path, values: list[float], dtype: str) -> None:
    column = np.array(values, dtype)
    written = pe_data.export(one_frame(x=column), "stata", tmp_path / "out")
    back = pd.read_stata(written["table"])["x"]
    assert back.isna().tolist() == np.isnan(column.astype("float64")).tolist()
    assert (
        back.dropna().astype("float64").tolist()
        == column[~np.isnan(column.astype("float64"))].astype("float64").tolist()
    )


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ([np.inf, 1.0], "expected numbers up to"),
        (np.array([-np.inf, 1], np.float32), "expected numbers up to"),
        ([9e307, 1.0], "expected numbers up to"),
        ([pd.Timestamp("2024-01-01")] * 2, "found datetime64"),
        (["a\0b", "c"], "a character of code 0"),
        ([1 + 2j, 0], "found complex128"),
    ],
)
def test_stata_refuses_what_it_cannot_hold(tmp_path: Path, column: list[Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        pe_data.export(one_frame(x=column), "stata", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "value"), [("state_fips", -1), ("state_fips", 100), ("puma", 1.5), ("zcta", 2.0**40)])
@pytest.mark.parametrize("to", FORMATS)
def test_a_number_that_is_no_code_is_refused(tmp_path: Path, name: str, value: float, to: Any) -> None:
    with pytest.raises(InputError, match=rf"table\.{name}: expected codes of at most \d digits"):
        pe_data.export(one_frame(**{name: [value]}), to, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "values", "texts"),
    [
        ("state_fips", np.array([1, 56], np.int8), ["01", "56"]),
        ("puma", np.array([102.0, np.nan]), ["00102", ""]),
        ("block_geoid", np.array([10030107112001, 1]), ["010030107112001", "000000000000001"]),
        ("zcta", ["00601", "601"], ["00601", "601"]),
        ("vtd", np.array([12]), ["12"]),
        ("state_fips@2024-01", np.array([6]), ["06"]),
    ],
)
def test_codes_keep_their_zeros(tmp_path: Path, name: str, values: Any, texts: list[str]) -> None:
    for to in ("csv", "parquet", "stata"):
        written = pe_data.export(pd.DataFrame({name: values, "x": 1}), to, tmp_path / to)["table"]
        if to == "csv":
            back = runpy.run_path(str(tmp_path / "csv/read.py"))["read"]()["table"]
        else:
            back = pd.read_parquet(written) if to == "parquet" else pd.read_stata(written)
        assert back.iloc[:, 0].fillna("").tolist() == texts


def test_a_text_that_is_not_in_the_list_stays_text(tmp_path: Path) -> None:
    listed = Variable("x", "table", "year", "X", values=("A", "B"))
    for values, labelled in ((["A", "B", ""], True), (["A", "C", ""], False)):
        table = table_of("table", one_frame(x=values), [listed], {}, "test")
        path = tmp_path / f"{labelled}.dta"
        stata.write_stata(table, path, {"x": "x"}, "X", [], "test")
        back = pd.read_stata(path)["x"]
        assert isinstance(back.dtype, pd.CategoricalDtype) == labelled
        assert back.astype(object).fillna("").tolist() == values


# --- whole, or not there --------------------------------------------------------------------------


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("to", ["csv", "stata"])
def test_what_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool, to: Any) -> None:
    out = tmp_path / "out"
    if there:
        out.mkdir()
        (out / "household.csv").write_text("mine")
    for name in ("read_r", "read_r_stata"):
        monkeypatch.setattr(f"pe_data.exports.readers.{name}", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pe_data.export(AREA, to, out)
    assert [path.name for path in tmp_path.rglob("*")] == (["out", "household.csv"] if there else [])
    assert not there or (out / "household.csv").read_text() == "mine"


def test_a_folder_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "out/person.csv").mkdir(parents=True)
    with pytest.raises(CacheError, match=r"cannot be written: person\.csv is a folder there"):
        pe_data.export(AREA, "csv", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["person.csv"]


def test_a_second_export_replaces_the_first(tmp_path: Path) -> None:
    out = tmp_path / "out"
    pe_data.export(AREA, "csv", out)
    pe_data.export(AREA, "csv", out, ["age"])
    assert (out / "person.csv").read_text().splitlines()[0] == "age"
    pe_data.export(AREA, "parquet", out, ["age"])
    assert not {"read.py", "read.R", "read.do", "renames.csv"} & {path.name for path in out.iterdir()}


def test_without_duckdb_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(MissingExtraError, match="install the extra 'duckdb' of pe-microdata"):
        pe_data.export(AREA, "duckdb", tmp_path / "out")


# --- the programs beside the files ----------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(TEXT, min_size=1, max_size=6),
    numbers=st.lists(st.floats(width=32), min_size=6, max_size=6),
    wide=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=6, max_size=6),
    label=TEXT,
)
def test_csv_and_its_reader_give_back_what_went_in(
    tmp_path: Path, texts: list[str], numbers: list[float], wide: list[int], label: str
) -> None:
    rows = len(texts)
    frame = pd.DataFrame(
        {
            "text": pd.Series(texts, dtype="str"),
            "single": np.array(numbers[:rows], np.float32),
            "double": np.array(numbers[:rows], np.float64) / 3,
            "wide": np.array(wide[:rows], np.int64),
            "yes": np.arange(rows) % 2 == 0,
        }
    )
    table = table_of("t", frame, (), {"text": label}, "test")
    write_csv(table, tmp_path / "t.csv")
    (tmp_path / "read.py").write_text(read_py([table], {"t": "t.csv"}, Said("t", label)), encoding="utf-8")
    back = runpy.run_path(str(tmp_path / "read.py"))["read"](tmp_path)["t"]
    pd.testing.assert_frame_equal(back, frame, check_exact=True)


def do_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("*")]


def test_the_program_of_stata_is_made_of_plain_commands(tmp_path: Path) -> None:
    """Stata is not here to run it: each line is one command, and its names are those of the Stata export."""
    pe_data.export(AREA, "csv", tmp_path / "csv")
    pe_data.export(AREA, "stata", tmp_path / "dta")
    lines = do_lines((tmp_path / "csv/read.do").read_text())
    assert {line.split()[0] for line in lines} <= {
        "version", "import", "rename", "label", "encode", "order", "drop", "notes:", "save",
    }  # fmt: skip
    (order,) = [line.split()[1:] for line in lines if line.startswith("rename (v1 ") and "tenure_type" in line]
    names = " ".join(order).partition(") (")[2].rstrip(")").split()
    assert names == list(pd.read_stata(tmp_path / "dta/household.dta").columns)
    assert 'label define tenure_type 2 `"RENTED"\', add' in lines
    assert 'label variable tenure_type `"Tenure"\'' in lines
    assert any(line.startswith("notes:") and "demonstration" in line for line in lines)
    imported = next(line for line in lines if "household.csv" in line)
    header = next(csv.reader((tmp_path / "csv/household.csv").open(encoding="utf-8")))
    text = {number for number, name in enumerate(header, 1) if name in CODES or name in ("name", "tenure_type")}
    spans = imported.partition("stringcols(")[2].rstrip(")").split()
    found = set()
    for span in spans:
        first, _, last = span.partition("/")
        found |= set(range(int(first), int(last or first) + 1))
    assert found == text


def test_no_text_ends_a_quote_or_begins_a_macro() -> None:
    label = 'a `macro\' $global "quoted" //\t/// /* "\' end'
    table = table_of("t", one_frame(x=[1]), (), {"x": label}, "test")
    text = read_do([table], {"t": "t.csv"}, {"t": {"x": "x"}}, Said("t", label, notes=(label,)))
    for line in do_lines(text):
        assert line.startswith("notes:") or line.count('`"') == line.count("\"'"), line
        assert "`" not in line.replace('`"', ""), line
        assert "$" not in line.replace("\\$", ""), line
        assert not line.startswith("notes:") or not re.search(r"(^|\s)//|/\*", line), line


# --- several areas --------------------------------------------------------------------------------


def test_several_areas_come_together(tmp_path: Path) -> None:
    out = tmp_path / "out"
    pe_data.export(ALL, "csv", out, members="districts/*")
    read = runpy.run_path(str(out / "read.py"))["read"]()
    assert read["person"]["area"].tolist() == ["AL-01"] * 3 + ["NC-01"] * 3
    assert read["household"].columns[0] == "area"
    assert read["household"]["household_id"].is_unique
    assert read["household"]["state_fips"].tolist() == ["01", "01", "37", "37"]
    joined = read["person"].merge(
        read["household"], left_on="person_household_id", right_on="household_id", validate="many_to_one"
    )
    assert (joined["area_x"] == joined["area_y"]).all()
    package = json.loads((out / "datapackage.json").read_text())
    assert len(package["sources"]) == 2
    assert package["description"].splitlines() == list(NOTES)
    assert package["licenses"][0]["name"] == "CC0-1.0"
    frictionless = pytest.importorskip("frictionless")
    assert frictionless.Package.validate_descriptor(package).valid


def test_units_that_are_in_two_areas_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="overlap"):
        pe_data.export(ALL, "csv", tmp_path / "out", members=["districts/*", "states/*"])
    assert list(tmp_path.iterdir()) == []


def test_a_pattern_that_fits_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a pattern that fits some of 3 members"):
        pe_data.export(ALL, "csv", tmp_path / "out", members="cities/*")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["--to", "stata", "--out", str(out), "--members", "districts/*", "--variables", f"{LONG},tenure_type"]
    assert run(["export", ALL, *words]) == 0
    shown = capsys.readouterr()
    assert shown.out.split() == [str(out / "household.dta"), str(out / "person.dta")] or shown.out.split() == [
        str(out / "person.dta"), str(out / "household.dta"),
    ]  # fmt: skip
    assert "renames.csv" in shown.err
    assert len(pd.read_stata(out / "household.dta")) == 4


# --- frames of one's own --------------------------------------------------------------------------


def test_a_result_is_exported_with_its_index_and_labels(tmp_path: Path) -> None:
    result = pd.DataFrame({"median": [1.5, 2.5]}, index=pd.Index([1, 2], name="household_size"))
    pe_data.export(result, "stata", tmp_path / "out", labels={"median": "Median income", "household_size": "Persons"})
    with pd.read_stata(tmp_path / "out/table.dta", iterator=True) as reader:
        assert reader.variable_labels() == {"household_size": "Persons", "median": "Median income"}
    with pytest.raises(InputError, match="labels: expected names of columns, found 'mean'"):
        pe_data.export(result, "csv", tmp_path / "other", labels={"mean": "x"})


def test_a_column_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected each column once, found 'x' twice"):
        pe_data.export(pd.DataFrame([[1, 2]], columns=["x", "x"]), "csv", tmp_path / "out")


def test_no_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"x": np.array([], np.int64), "name": pd.Series([], dtype="str"), "puma": np.array([], np.float64)}
    )
    for to in FORMATS:
        pe_data.export(frame, to, tmp_path / to)
    assert list(pd.read_stata(tmp_path / "stata/table.dta").columns) == ["x", "name", "puma"]


def test_the_formats() -> None:
    assert set(FORMATS) == {"csv", "parquet", "stata", "duckdb"}
    with pytest.raises(PeDataError, match="expected one of parquet, csv, stata, duckdb, found 'xlsx'"):
        pe_data.export(AREA, "xlsx", "nowhere")  # type: ignore[arg-type]


def test_an_estimate_takes_its_remarks_along(tmp_path: Path) -> None:
    """The way of the whole: open areas, estimate by group, write a table that Stata and R read with labels."""
    with pytest.warns(DemonstrationWarning):
        frames = pe_data.open(ALL, [LONG, "is_male"], members="districts/*")
    found = frames.median(LONG, by="is_male")
    labels = {"median": "Median contribution", "is_male": "Is a man", "n_eff": "Effective sample size"}
    pe_data.export(found, "stata", tmp_path / "dta", labels=labels)
    with pd.read_stata(tmp_path / "dta/estimates.dta", iterator=True) as reader:
        assert {name: label for name, label in reader.variable_labels().items() if label} == labels
        assert reader.read()["median"].tolist() == found.table["median"].tolist()
    pe_data.export(found, "csv", tmp_path / "csv", labels=labels)
    read = runpy.run_path(str(tmp_path / "csv/read.py"))["read"]()["estimates"]
    assert read["median"].tolist() == found.table["median"].tolist()
    package = json.loads((tmp_path / "csv/datapackage.json").read_text())
    assert "demonstration" in package["description"]
    assert "margins of error" in package["description"]


def test_frames_that_were_changed(tmp_path: Path) -> None:
    with pytest.warns(DemonstrationWarning):
        frames = pe_data.open(AREA)
    frames["household"]["persons"] = frames.size("household")
    pe_data.export(frames, "csv", tmp_path / "out", labels={"persons": "Persons"})
    read = runpy.run_path(str(tmp_path / "out/read.py"))["read"]()["household"]
    assert read["persons"].tolist() == [2, 1]
    assert read["state_fips"].tolist() == ["01", "01"]
    assert read.attrs["labels"]["household_weight"] == "Household weight"
    assert any("demonstration" in line for line in read.attrs["notes"])


@pytest.mark.parametrize("values", [[True, None, False], [1, None, 2], [b"a", b"b"], ["a", 1], [Decimal(1), None]])
@pytest.mark.parametrize("to", ["csv", "parquet", "stata", "duckdb"])
def test_a_column_of_python_objects_is_text(values: list[object], to: Any, tmp_path: Path) -> None:
    frame = pd.DataFrame({"person_id": range(len(values)), "x": pd.Series(values, dtype=object)})
    (path,) = (path for path in pe_data.export({"person": frame}, to, tmp_path).values() if path.suffix != ".json")
    assert path.stat().st_size
    if to == "parquet":
        assert pd.read_parquet(path)["x"].dropna().map(type).eq(str).all()
