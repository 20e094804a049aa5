"""Area files as tables of entities: what the country model's own class reads is what the other form has."""

import importlib.util
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import plain_model
import pytest
from coded_world import CodedWorld
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from row_filter import different, stored
from validation_world import Run, make_run

from local_h5 import facade
from local_h5.build.area import BuildOptions, build_area
from local_h5.build.by_district import ByDistrict
from local_h5.build.payload import PayloadColumn
from local_h5.build.tables import put_root, put_table, put_year
from local_h5.build.writer import write_h5
from local_h5.contracts.config import Config
from local_h5.contracts.results import AreaResult
from local_h5.errors import ConfigError, InputError, WriteError
from local_h5.files.atomic import sha256_of
from local_h5.files.hdf5 import create_h5
from local_h5.inputs.area_columns import area_columns_of
from local_h5.inputs.source import read_source
from local_h5.prepared.files import PreparedInputs
from local_h5.prepared.own import prepare_own_places
from local_h5.prepared.snapshot import SourceColumn
from local_h5.prepared.steps import load_variable_rules
from local_h5.requests import AreaBuildRequest, AreaFilter
from local_h5.runs.fingerprint import Fingerprints, run_components
from local_h5.runs.verify import _inside
from local_h5.takeup.programmes import load_programmes
from local_h5.validation.structural.checks import Expectations, check_structure
from local_h5.validation.structural.common_schema import common_schema
from local_h5.validation.targets.loaded_area import AreaFile, equal_households
from pe_data.describe.file import Label, describe
from pe_data.describe.from_sidecar import manifest_from, read_sidecar

pytestmark = pytest.mark.filterwarnings(
    "ignore::pandas.errors.PerformanceWarning", "ignore:.*track_times.*", "ignore::tables.NaturalNameWarning"
)

ROOT = Path(__file__).parents[2]
TABLES = BuildOptions(form="tables")
AREAS = {
    "nation": (),
    "state": (AreaFilter("state", "eq", ("37",)),),
    "district": (AreaFilter("district", "eq", ("3701",)),),
    "at-large": (AreaFilter("district", "eq", ("0201",)),),
}


@cache
def real_class() -> Any:
    """``USSingleYearDataset`` from its file: its package would import the whole model."""
    place = importlib.util.find_spec("policyengine_us").submodule_search_locations[0]
    spec = importlib.util.spec_from_file_location("dataset_schema", Path(place, "data", "dataset_schema.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.USSingleYearDataset


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of a calibration package. Its source has a variable of twelve months."""
    return make_run(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> PreparedInputs:
    world = CodedWorld(tmp_path_factory.mktemp("coded"))
    world.write()
    source = read_source(world.source)
    rules = load_variable_rules(ROOT / "config" / "variables.yaml")
    return prepare_own_places(source, load_programmes()).with_snapshot(
        plain_model.own_snapshot_without_model(source, rules)
    )


def is_one_line(error: BaseException) -> bool:
    return "\n" not in str(error)


def request(area: str) -> AreaBuildRequest:
    return AreaBuildRequest("custom", "x", "x", AREAS[area])


def built(inputs: PreparedInputs, folder: Path, area: str, options: BuildOptions) -> tuple[Path, AreaResult]:
    result = build_area(request(area), inputs, folder, options=options)
    return folder / "custom/x.h5", result


def as_stored(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column that pandas read, in the type that the other form has."""
    values = frame[name].to_numpy()
    return np.array([text.encode() for text in values]) if values.dtype.kind not in "biuf" else values


def both(inputs: PreparedInputs, tmp_path: Path, area: str, **options: Any) -> tuple[Any, Any]:
    """Path and result of each form."""
    periods = built(inputs, tmp_path / "periods", area, BuildOptions(**options))
    return periods, built(inputs, tmp_path / "tables", area, BuildOptions(form="tables", **options))


@pytest.mark.parametrize("kind", ["package", "coded"])
@pytest.mark.parametrize("area", AREAS)
def test_the_models_own_class_reads_the_values_of_the_other_form(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, area: str
) -> None:
    given = request.getfixturevalue(kind)
    inputs = given.inputs if kind == "package" else given
    (_, _), (path, result) = both(inputs, tmp_path, area)
    dataset = real_class()(file_path=str(path))
    other = stored(tmp_path / "periods" / "custom/x.h5")
    assert dataset.time_period == "2024"
    tables = dict(zip(dataset.table_names, dataset.tables, strict=True))
    assert {name: len(table) for name, table in tables.items()} == result.rows
    assert {c.variable: c.entity for c in result.columns} == {n: e for e, table in tables.items() for n in table}
    for (name, _), values in other.items():
        found = as_stored(next(table for table in tables.values() if name in table), name)
        assert found.dtype.kind == values.dtype.kind, name
        if values.dtype.kind != "S":
            assert found.dtype == values.dtype, name
        assert found.tolist() == values.tolist(), name


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_equal_content_has_equal_bytes(package: Run, tmp_path: Path, compression: Any) -> None:
    options = BuildOptions(compression, form="tables")
    first, again = (built(package.inputs, tmp_path / name, "nation", options)[0] for name in ("one", "two"))
    assert sha256_of(first) == sha256_of(again)
    real_class()(file_path=str(first))


def test_a_file_is_checked_in_this_form_too(package: Run, tmp_path: Path) -> None:
    schema = common_schema(package.inputs)
    expected = Expectations(schema.columns, membership=schema.membership, places=schema.places)
    (periods, result), (tables, again) = both(package.inputs, tmp_path, "state")
    assert check_structure(periods, result, expected) == check_structure(tables, again, expected) == ()
    assert _inside(tables, again) is None
    assert {c.periods for c in again.columns} == {("2024",)}
    assert replace(again, columns=(), output=result.output) == replace(result, columns=())
    with h5py.File(tables, "r+") as file:
        rows = file["household/table"][()]
        rows["household_weight"][0] = -1
        rows["household_id"][1] = 7
        file["household/table"].id.write(h5py.h5s.ALL, h5py.h5s.ALL, rows)
    found = {finding.check for finding in check_structure(tables, again, expected)}
    assert {"weights", "ids"} <= found


def test_a_file_without_a_column_or_a_table_is_found(package: Run, tmp_path: Path) -> None:
    schema = common_schema(package.inputs)
    expected = Expectations(schema.columns, membership=schema.membership, places=schema.places)
    path, result = built(package.inputs, tmp_path, "district", TABLES)
    columns = [c for c in result.columns if c.variable != "age"]
    with h5py.File(path) as file:
        have = area_columns_of(path, file)
        values = {c.variable: have.read(c.variable, "2024") for c in columns}
    given = [PayloadColumn(c.variable, "2024", c.entity, partial(values.get, c.variable)) for c in columns]
    write_h5(path, given, year=2024, form="tables")
    assert [f.message for f in check_structure(path, result, expected)] == [
        "variables of the run that the file lacks: age"
    ]
    assert _inside(path, result) == "variables or periods differ from its sidecar: age"
    with h5py.File(path, "r+") as file:
        del file["household"]
    with pytest.raises(InputError):
        check_structure(path, result, expected)
    assert _inside(path, result).startswith("cannot be read as HDF5")


def test_validation_sees_the_same_area(package: Run, tmp_path: Path) -> None:
    (periods, result), (tables, again) = both(package.inputs, tmp_path, "state")
    one, other = AreaFile.read(periods, result), AreaFile.read(tables, again)
    yearly = {key: value for key, value in one.columns.items() if "-" not in key[1]}
    assert set(other.columns) - set(yearly) == {(plain_model.MONTHLY, "2024")}
    same = {key: value for key, value in other.columns.items() if key in yearly}
    assert equal_households(
        AreaFile(2024, yearly, one.ids, one.unit_of, one.weight),
        AreaFile(2024, same, other.ids, other.unit_of, other.weight),
    ).all()


def test_what_is_built_so_can_be_cut_again(coded: PreparedInputs, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(facade, "own_snapshot", plain_model.own_snapshot_without_model)
    nation, _ = built(coded, tmp_path, "nation", TABLES)
    for name, codes in {"NC-01": ["3701"], "AK-01": ["200"], "NC": ["3701", "3712"]}.items():
        request = AreaBuildRequest("custom", name, name, (AreaFilter("district", "in", tuple(codes)),))
        build_area(request, coded, tmp_path / "own")
        again = facade.build_h5(None, None, nation, tmp_path / f"{name}.h5", cd_subset=codes, at_large_code="00")
        assert different(stored(tmp_path / "own/custom" / f"{name}.h5"), stored(again)) == set(), name


def test_a_manifest_of_the_file_is_that_of_its_sidecar(package: Run, tmp_path: Path) -> None:
    path, result = built(package.inputs, tmp_path, "district", TABLES)
    label = Label("us", "x")
    of_file, of_sidecar = describe(path, label), manifest_from(read_sidecar(result.to_json()), label)
    assert of_file.artifact == of_sidecar.artifact
    assert of_file.time_period == of_sidecar.time_period == (2024,)
    assert of_file.entities == of_sidecar.entities


# --- the layout


def described(path: Path) -> dict[str, Any]:
    """Everything that HDF5 says of a file but its bytes' places."""
    found: dict[str, Any] = {}

    def look(name: str, item: Any) -> None:
        if "_i_table" in name:
            return
        attributes = {}
        for key in item.attrs:
            attribute = item.attrs.get_id(key)
            kind = attribute.get_type()
            text = (kind.get_cset(), kind.get_size()) if isinstance(kind, h5py.h5t.TypeStringID) else attribute.dtype
            attributes[key] = (text, str(item.attrs[key]))
        if isinstance(item, h5py.Dataset):
            kind = item.id.get_type()
            members = range(kind.get_nmembers())
            attributes["members"] = [
                (kind.get_member_name(i), kind.get_member_offset(i), kind.get_member_class(i)) for i in members
            ]
            attributes["values"] = item[()].tolist()
        found[name] = attributes

    with h5py.File(path) as file:
        look("/", file)
        file.visititems(look)
    return found


def test_the_layout_is_that_of_pandas(tmp_path: Path) -> None:
    columns = {
        "household_id": np.array([1, 5, 6], np.int32),
        "amount": np.array([0.5, -1, 3e9], np.float32),
        "exact": np.array([0.1, 2, 3]),
        "yes": np.array([True, False, True]),
        "small": np.array([1, -2, 3], np.int16),
        "county_fips": np.array([b"37001", b"", b"6"]),
    }
    with create_h5(tmp_path / "ours.h5") as file:
        put_root(file)
        put_table(tmp_path, file, "household", columns, "none")
        put_year(tmp_path / "a.h5", file, 2024)
    frame = pd.DataFrame({n: v.astype("U").astype(object) if v.dtype.kind == "S" else v for n, v in columns.items()})
    with pd.HDFStore(str(tmp_path / "pandas.h5"), mode="w") as store:
        store.put("household", frame, format="table", data_columns=True, index=False)
        store.put("_time_period", pd.Series([2024]), format="table", index=False)
    ours, theirs = described(tmp_path / "ours.h5"), described(tmp_path / "pandas.h5")
    assert ours["household"].pop("nan_rep")[1] == str(b"nan___")  # longer than any text of the table
    assert theirs["household"].pop("nan_rep")[1] == str(b"N.")  # which pandas reads as the text nan
    # pandas 3 says of texts that they were of its own type; older ones do not, and no reader needs it.
    for each in (ours, theirs):
        del each["household/table"]["county_fips_meta"]
    assert ours == theirs


WIDTHS = st.integers(1, 12)
NAMES = st.text("abcdefghij_", min_size=1, max_size=20).filter(lambda name: name[0] != "_" and name != "index")
KINDS = st.sampled_from([np.bool_, np.int16, np.int32, np.int64, np.float32, np.float64, "S"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.dictionaries(NAMES, KINDS, min_size=1, max_size=8), st.integers(1, 40))
def test_any_columns_come_back_as_they_are(tmp_path: Path, data: Any, kinds: Mapping[str, Any], n_rows: int) -> None:
    texts = st.sampled_from(["nan", "NaN", "", "None", "Doña Ana", "x", "N.", "nan___", "-1"])
    columns = {"household_id": np.arange(1, n_rows + 1, dtype=np.int32), "person_id": np.arange(n_rows, dtype=np.int32)}
    for name, kind in kinds.items():
        if kind == "S":
            words = data.draw(st.lists(texts, min_size=n_rows, max_size=n_rows))
            columns[name] = np.array([word.encode() for word in words])
            columns[name] = columns[name].astype(f"S{max(1, columns[name].dtype.itemsize)}")
        else:
            numbers = data.draw(st.lists(st.integers(-99, 99), min_size=n_rows, max_size=n_rows))
            columns[name] = np.array(numbers).astype(kind)
    given = [
        PayloadColumn(n, "2024", "person" if n == "person_id" else "household", lambda v=v: v)
        for n, v in sorted(columns.items())
    ]
    path = tmp_path / "x.h5"
    write_h5(path, given, year=2024, form="tables")
    with pd.HDFStore(str(path), mode="r") as store:
        frame = store["household"]
        assert frame.index.tolist() == list(range(n_rows))
    for name in columns.keys() - {"person_id"}:
        assert as_stored(frame, name).tolist() == columns[name].tolist()
    with h5py.File(path) as file:
        have = area_columns_of(path, file)
        for name, values in columns.items():
            assert have.type_of(name, "2024") == (values.dtype, values.shape)
            assert have.read(name, "2024").tolist() == values.tolist()
            with pytest.raises(KeyError):
                have.read(name, "2024-01")


def test_a_table_of_several_pieces(tmp_path: Path) -> None:
    """Rows are written a megabyte at a time."""
    n_rows = 100_003
    columns = {f"amount_{i}": np.arange(n_rows, dtype=np.float32) * i for i in range(9)}
    columns |= {"household_id": np.arange(1, n_rows + 1, dtype=np.int32)}
    given = [PayloadColumn(n, "2024", "household", lambda v=v: v) for n, v in columns.items()]
    given += [PayloadColumn("person_id", "2024", "person", lambda: np.arange(3, dtype=np.int32))]
    write_h5(tmp_path / "x.h5", given, year=2024, form="tables")
    with pd.HDFStore(str(tmp_path / "x.h5"), mode="r") as store:
        pd.testing.assert_frame_equal(store["household"], pd.DataFrame(columns))


# --- what is refused


def monthly(inputs: PreparedInputs, name: str, rows: tuple[int, ...]) -> PreparedInputs:
    """The inputs with a variable of persons in months, whose values are rows of a matrix."""
    snapshot = inputs.snapshot
    columns = [c for c in snapshot.columns if c.variable != name]
    matrix = next(c.matrix for c in snapshot.columns if c.variable == "age")
    columns += [SourceColumn(name, "person", f"2024-{i + 1:02d}", matrix, row, False) for i, row in enumerate(rows)]
    return replace(inputs, snapshot=replace(snapshot, columns=tuple(columns)))


@pytest.mark.parametrize(
    ("rows", "found"),
    [((0,) * 12, "months of numbers in 2024-01 to 2024-12"), ((0, 1) * 6, "2 different values in 2024-01 to 2024-12")],
)
def test_months_that_a_table_cannot_hold_are_refused_before_any_area(
    package: Run, tmp_path: Path, rows: tuple[int, ...], found: str
) -> None:
    inputs = monthly(package.inputs, "some_income", rows)
    run_components(inputs, BuildOptions())
    for attempt in (
        lambda: run_components(inputs, TABLES),
        lambda: built(inputs, tmp_path, "state", TABLES),
    ):
        with pytest.raises(InputError, match=f"some_income: expected one value for the year.*{found}") as caught:
            attempt()
        assert is_one_line(caught.value)
    assert not list(tmp_path.rglob("*.h5*"))


def test_a_table_with_too_many_columns(tmp_path: Path) -> None:
    names = ["household_id", "person_id", *(f"a_variable_with_a_long_name_{i}" for i in range(3_000))]
    columns = [PayloadColumn(name, "2024", "household", lambda: np.arange(3)) for name in names]
    with pytest.raises(
        WriteError, match="household: expected as many columns as the header of an HDF5 table"
    ) as caught:
        write_h5(tmp_path / "x.h5", columns, year=2024, form="tables")
    assert is_one_line(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_compression_that_pandas_does_not_read(package: Run, tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="compression: expected none or gzip"):
        built(package.inputs, tmp_path, "state", BuildOptions("lzf", form="tables"))
    assert not list(tmp_path.rglob("*.h5*"))


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"form": "table"}, "output.form: expected one of periods, tables, found 'table'"),
        ({"form": None}, "output.form: expected"),
        ({"form": "tables", "compression": "lzf"}, "output: compression: expected none or gzip"),
    ],
)
def test_a_wrong_choice_is_one_line(package: Run, output: dict[str, Any], said: str) -> None:
    config = {**package.config, "output": {**package.config["output"], **output}}
    with pytest.raises(ConfigError) as caught:
        Config.from_json(config, "my.yaml")
    assert str(caught.value).startswith(f"my.yaml: {said}")
    assert is_one_line(caught.value)


def test_another_form_is_another_configuration(coded: PreparedInputs) -> None:
    found = {}
    for options in (BuildOptions(), TABLES):
        found[options.form] = Fingerprints(coded, options).of(request("state"))
    assert found["periods"].differences(found["tables"].components) == ["config"]


def test_the_nation_is_split_from_either_form(package: Run, tmp_path: Path) -> None:
    made = []
    for path, result in both(package.inputs, tmp_path, "nation"):
        with h5py.File(path) as file:
            rows = ByDistrict(file, result, path)
            columns = {
                f"{entity}.{name.partition('@')[0]}": values.tolist()
                for entity in result.rows
                for name, values in rows.columns(entity)
            }
            made.append((rows.districts(), columns))
    assert made[0] == made[1]


def test_some_months_are_no_year(package: Run) -> None:
    """The model would give the value of one month to all twelve."""
    snapshot = package.inputs.snapshot
    months = [column for column in snapshot.columns if "-" in column.period]
    assert len(months) == 12
    some = tuple(column for column in snapshot.columns if column not in months[1:])
    with pytest.raises(InputError, match="1 of 12 months"):
        replace(snapshot, columns=some).of_the_year()
