"""Areas of an area-coded file: its own rows, ids, weights, places and take-up, without the model."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import plain_model
import pytest
from coded_world import OWNER, CodedWorld
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_world import World

from local_h5 import facade
from local_h5.areas import CustomArea, District, all_requests
from local_h5.build.area import BuildOptions
from local_h5.contracts.results import read_sidecar, sidecar_path
from local_h5.errors import ConfigError, SourceError
from local_h5.inputs.geography.own import read_own_places
from local_h5.inputs.missing import MissingRules
from local_h5.inputs.source import read_source
from local_h5.prepared.files import PreparedInputs
from local_h5.prepared.own import prepare_own_places
from local_h5.prepared.steps import load_variable_rules
from local_h5.requests import AreaBuildRequest, AreaFilter
from local_h5.runs.fingerprint import ROWS, Fingerprints
from local_h5.takeup.programmes import load_programmes
from local_h5.validation.structural.checks import Expectations, check_structure
from local_h5.validation.structural.common_schema import common_schema
from local_h5.worker.area_job import build_area

pytestmark = pytest.mark.filterwarnings(
    "ignore::pandas.errors.PerformanceWarning", "ignore:.*track_times.*", "ignore::tables.NaturalNameWarning"
)

ROOT = Path(__file__).parents[2]
UNITS = ("tax_unit", "spm_unit", "family", "marital_unit")
ENTITIES = ("household", "person", *UNITS)
OURS = {"medicaid_cost_if_enrolled"}
"""A column that files have although the dataset does not."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CodedWorld:
    monkeypatch.setattr(facade, "own_snapshot", plain_model.own_snapshot_without_model)
    monkeypatch.setattr(facade, "prepare_snapshot", plain_model.snapshot_without_model)
    return CodedWorld(tmp_path)


def in_file(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Entity → column → values of the file's year."""
    sidecar = read_sidecar(sidecar_path(path))
    with h5py.File(path) as file:
        found: dict[str, dict[str, np.ndarray]] = {entity: {} for entity in ENTITIES}
        for column in sidecar.columns:
            found[column.entity][column.variable] = file[column.variable]["2024"][()]
    return found


def row_filter(tables: dict[str, pd.DataFrame], keep: np.ndarray) -> dict[str, pd.DataFrame]:
    """The tables of some households, as the model's own user takes them out of the nation's file."""
    households = tables["household"][keep]
    persons = tables["person"][tables["person"]["person_household_id"].isin(households["household_id"])]
    units = {e: tables[e][tables[e][f"{e}_id"].isin(persons[f"person_{e}_id"])] for e in UNITS}
    return {"household": households, "person": persons, **units}


def codes(values: pd.Series, width: int) -> list[bytes]:
    return [
        b"" if pd.isna(v) or v in (0, "") else str(v if isinstance(v, str) else int(v)).zfill(width).encode()
        for v in values
    ]


def same(path: Path, expected: dict[str, pd.DataFrame]) -> None:
    found = in_file(path)
    for entity, table in expected.items():
        columns = [name for name in table if name != "unheard_of"]
        assert found[entity].keys() - OURS == set(columns)
        for name in columns:
            wanted: Any = table[name].to_numpy()
            if name in ("county_fips", "puma"):
                wanted = codes(table[name], 5)
            elif name == "congressional_district_geoid":
                wanted = table[name].fillna(0).astype(int).to_numpy()
            elif name in ("household_note", "spm_unit_tenure_type"):
                wanted = [text.encode() for text in table[name]]
            assert found[entity][name].tolist() == np.asarray(wanted).tolist(), name


STATE_37 = np.array([False, False, True, True, True, True, False, False, False])
AREAS = {
    "nation": ({}, np.ones(9, bool)),
    "district": ({"cd_subset": ["3701"]}, np.arange(9) // 2 == 1),
    "at-large seat": ({"cd_subset": ["200"]}, np.arange(9) == 0),
    "at-large seat, the other code": ({"cd_subset": ["1198"]}, np.arange(9) == 1),
    "two districts": ({"cd_subset": ["3712", "634"]}, np.isin(np.arange(9), [4, 6])),
    "county": ({"county_fips_filter": ["06037"]}, np.isin(np.arange(9), [6, 7])),
}


@pytest.mark.parametrize("form", ["table", "fixed"])
@pytest.mark.parametrize("area", AREAS)
def test_an_area_is_a_row_filter(world: CodedWorld, area: str, form: Any) -> None:
    world.form, world.index = form, area == "nation"
    options, keep = AREAS[area]
    if area == "district":
        keep = np.isin(np.arange(9), [2, 3])
    same(facade.build_h5(**world.write(), **options), row_filter(world.tables, keep))


def test_ids_in_the_order_of_households_are_enough(world: CodedWorld) -> None:
    """Persons that lie apart are put together, as in every file; then their ids ascend by household only."""
    order = np.array([0, 2, 3, 6, 7, 8, 10, 11, 12, 1, 4, 9, 13, 5])
    person = world.tables["person"].iloc[order].reset_index(drop=True)
    person["person_id"] = 1001 + np.arange(len(order))
    world.tables["person"] = person
    found = in_file(facade.build_h5(**world.write()))["person"]
    assert found["person_household_id"].tolist() == (101 + OWNER).tolist()
    expected = person.sort_values(["person_household_id", "person_id"])
    assert found["person_id"].tolist() == expected["person_id"].tolist()
    assert found["employment_income"].tolist() == expected["employment_income"].tolist()


def test_take_up_is_kept_and_what_is_absent_is_named(world: CodedWorld) -> None:
    result = read_sidecar(sidecar_path(facade.build_h5(**world.write())))
    assert result.takeup.kept == ("takes_up_snap_if_eligible", "takes_up_medicaid_if_eligible")
    assert {"takes_up_aca_if_eligible", "would_file_taxes_voluntarily"} < set(result.takeup.absent)
    names = {column.variable for column in result.columns}
    assert set(result.takeup.kept) < names
    assert not names & set(result.takeup.absent)


def test_what_is_not_known_is_counted(world: CodedWorld) -> None:
    result = read_sidecar(sidecar_path(facade.build_h5(**world.write())))
    counts = {name: n for name, n in result.checks.items() if name.startswith("households_without")}
    assert counts == {"households_without_county": 3, "households_without_district": 3, "households_without_puma": 0}
    assert result.coverage["district"] == pytest.approx(1 - (63.5 + 8 + 9.75) / 306, abs=1e-6)


def test_other_keys_and_attributes_are_recorded(world: CodedWorld) -> None:
    world.others["_populace_staging_metadata"] = json.dumps({"artifact_kind": "x"})
    world.attributes["made_by"] = "a producer"
    result = read_sidecar(sidecar_path(facade.build_h5(**world.write())))
    assert "_populace_staging_metadata" in {item.variable for item in result.excluded}
    assert result.notes == {"made_by": "a producer"}


@pytest.mark.parametrize("year", [2024, 2026])
def test_a_year_of_several(world: CodedWorld, year: int) -> None:
    world.years, world.options = (2024, 2026), {"year": year}
    result = read_sidecar(sidecar_path(facade.build_h5(**world.write())))
    assert result.period == year


def test_the_one_year_of_a_file_of_years(world: CodedWorld) -> None:
    world.years = (2024,)
    same(facade.build_h5(**world.write()), row_filter(world.tables, np.ones(9, bool)))


@pytest.mark.parametrize(
    ("rule", "unit"),
    [("household", 101 + OWNER), ("person", 1001 + np.arange(len(OWNER))), ("links", 4001 + OWNER)],
)
def test_units_made_by_a_rule(world: CodedWorld, rule: Any, unit: np.ndarray) -> None:
    del world.tables["family"]
    world.options = {"units": {"family": rule}}
    found = in_file(facade.build_h5(**world.write()))
    assert found["person"]["person_family_id"].tolist() == unit.tolist()
    assert found["family"]["family_id"].tolist() == np.unique(unit).tolist()


def test_a_missing_yes_or_no_needs_a_rule(world: CodedWorld) -> None:
    world.form = "fixed"
    values = world.tables["person"]["is_female"].astype(object)
    values[4] = pd.NA
    world.tables["person"]["is_female"] = values
    with pytest.raises(SourceError, match=r'is_female/2024: .* nan in row 4 .*\{is_female: \{"NaN": false\}\}'):
        facade.build_h5(**world.write())
    world.options = {"missing": {"is_female": {"NaN": True}}}
    assert in_file(facade.build_h5(**world.write()))["person"]["is_female"][4]


COUNTIES = [2013, 11001, 37001, None, 37119, None, 6037, 6037, None]


@pytest.mark.parametrize(
    "county",
    [
        COUNTIES,
        [code or 0 for code in COUNTIES],
        [f"{code:05d}" if code else "" for code in COUNTIES],
        [f"{code:05d}" if code else None for code in COUNTIES],
        [str(code) if code else "" for code in COUNTIES],
    ],
    ids=["floats", "integers", "text", "text or nothing", "text without zeros"],
)
def test_counties_are_five_digits(world: CodedWorld, county: list[Any]) -> None:
    world.tables["household"]["county_fips"] = pd.Series(county)
    found = in_file(facade.build_h5(**world.write(), county_fips_filter=["06037", "02013"]))["household"]
    assert found["county_fips"].tolist() == [b"02013", b"06037", b"06037"]


def test_a_weight_of_nothing_is_in_no_file(world: CodedWorld) -> None:
    world.tables["household"].loc[2, "household_weight"] = 0.0
    assert in_file(facade.build_h5(**world.write(), cd_subset=["3701"]))["household"]["household_id"].tolist() == [104]


def test_the_nation_of_a_package_cut_again_gives_the_same_areas(world: CodedWorld, tmp_path: Path) -> None:
    package = World(tmp_path / "package")
    package.folder.mkdir()
    arguments = package.write() | {"output_path": tmp_path / "US.h5"}
    nation = facade.build_h5(**arguments)
    for name, options in {
        "NC-01": {"cd_subset": ["3701"]},
        "AK-01": {"cd_subset": ["200"]},
        "LA": {"county_fips_filter": ["06037"]},
    }.items():
        one = facade.build_h5(**(arguments | {"output_path": tmp_path / f"{name}.h5"}), **options)
        again = facade.build_h5(None, None, nation, tmp_path / f"{name}-again.h5", **options)
        with h5py.File(one) as left, h5py.File(again) as right:
            assert set(left) == set(right)
            for variable in left:
                assert set(left[variable]) == set(right[variable])
                for period in left[variable]:
                    wanted, found = left[variable][period], right[variable][period]
                    assert found[()].tolist() == wanted[()].tolist(), variable
        result = read_sidecar(sidecar_path(again))
        assert set(result.takeup.kept) == {programme.variable for programme in load_programmes()}
        assert result.notes == read_sidecar(sidecar_path(one)).notes
        for file in (one, again):
            assert read_sidecar(sidecar_path(file)).checks["spm_units_without_adult"] == without_adult(file)


def without_adult(path: Path) -> int:
    with h5py.File(path) as file:
        units, of, age = (file[name]["2024"][()] for name in ("spm_unit_id", "person_spm_unit_id", "age"))
    return len(set(units.tolist()) - set(of[age >= 18].tolist()))


def test_children_alone_are_counted_where_they_are(world: CodedWorld, tmp_path: Path) -> None:
    """In the nation, whose rows are the dataset's, and in a district, which has fewer."""
    persons = world.tables["person"]
    units = persons["person_spm_unit_id"].unique()[[2, 5]]
    persons.loc[persons["person_spm_unit_id"].isin(units), "age"] = 9
    found = []
    for number, options in enumerate(({}, {"cd_subset": ["3701"]}, {"cd_subset": ["3712"]})):
        path = facade.build_h5(**(world.write() | {"output_path": tmp_path / f"{number}.h5"}), **options)
        found.append(read_sidecar(sidecar_path(path)).checks["spm_units_without_adult"])
        assert found[-1] == without_adult(path)
    assert found[0] == 2
    assert len(set(found)) > 1


# --- the run


LISTED = {"AK-01": 201, "DC-01": 1101, "NC-01": 3701, "NC-12": 3712, "CA-34": 634}
DISTRICTS = tuple(District(name, code, name[:2], 1) for name, code in LISTED.items())


def prepared(world: CodedWorld) -> PreparedInputs:
    world.write()
    source = read_source(world.source)
    rules = load_variable_rules(ROOT / "config" / "variables.yaml")
    made = prepare_own_places(source, load_programmes())
    return made.with_snapshot(plain_model.own_snapshot_without_model(source, rules))


def requests() -> tuple[AreaBuildRequest, ...]:
    custom = [CustomArea("puma", ({"field": "puma", "op": "in", "value": ["0603745", "3702400"]},))]
    return all_requests(
        DISTRICTS, [], custom, national_package="dataset", where="x", package="dataset", whole_states=True
    )


def digests(world: CodedWorld) -> dict[str, str]:
    made = Fingerprints(prepared(world), BuildOptions())
    return {request.area_id: made.of(request).digest for request in requests()}


def test_a_state_has_the_rows_that_know_no_district(world: CodedWorld, tmp_path: Path) -> None:
    inputs = prepared(world)
    built = {}
    schema = common_schema(inputs)
    expected = Expectations(schema.columns, membership=schema.membership, places=schema.places)
    for request in requests():
        result = build_area(request, inputs, tmp_path / "areas")
        path = tmp_path / "areas" / request.relative_path
        assert check_structure(path, result, expected) == ()
        assert check_structure(path, result, Expectations(schema.columns)) == (), "as beside targets, of a file alone"
        with h5py.File(path) as file:
            built[request.area_id] = set(file["household_id/2024"][()].tolist())
    assert built["NC"] == built["NC-01"] | built["NC-12"] | {106}
    assert built["CA"] == built["CA-34"] | {108, 109}
    assert built["US"] == set.union(*(built[state] for state in ("AK", "DC", "NC", "CA")))
    assert built["puma"] == {106, 107, 108, 109}


@pytest.mark.parametrize(
    ("name", "row", "value", "said"),
    [
        ("county_fips", 0, b"37001", "county_fips: 1 rows are no code of their state"),
        ("county_fips", 0, b"0201x", "county_fips: 1 rows are no code of their state"),
        ("state_fips", 0, 37, "district: 1 rows in another state than state_fips says"),
        ("household_id", 0, 5, "household_id: 1 ids that no file of the run has"),
        ("person_id", 0, 5, "person_id: not the 14 persons of the households"),
    ],
)
def test_the_structural_checks_see(
    world: CodedWorld, tmp_path: Path, name: str, row: int, value: Any, said: str
) -> None:
    inputs = prepared(world)
    schema = common_schema(inputs)
    expected = Expectations(schema.columns, membership=schema.membership, places=schema.places)
    result = build_area(requests()[0], inputs, tmp_path)
    with h5py.File(tmp_path / "national" / "US.h5", "r+") as file:
        file[f"{name}/2024"][row] = value
    for known in (expected, Expectations(schema.columns)) if "rows" in said else (expected,):
        findings = check_structure(tmp_path / "national" / "US.h5", result, known)
        assert any(finding.message.startswith(said) for finding in findings)


@pytest.mark.parametrize(
    ("entity", "column", "row", "value", "areas"),
    [
        ("person", "employment_income", 3, 77.0, {"US", "NC", "NC-01"}),
        ("household", "household_weight", 5, 77.0, {"US", "NC", "puma"}),
        ("household", "county_fips", 8, 6037.0, {"US", "CA", "puma"}),
        ("household", "congressional_district_geoid", 7, 634.0, {"US", "CA", "CA-34", "puma"}),
        ("spm_unit", "takes_up_snap_if_eligible", 0, False, {"US", "AK", "AK-01"}),
    ],
)
def test_a_changed_row_concerns_its_own_areas(
    world: CodedWorld, entity: str, column: str, row: int, value: Any, areas: set[str]
) -> None:
    before = digests(world)
    world.tables[entity].loc[row, column] = value
    after = digests(world)
    assert {area for area in before if before[area] != after[area]} == areas


def test_rows_are_a_component_only_where_they_stay(world: CodedWorld) -> None:
    made = Fingerprints(prepared(world), BuildOptions())
    for request in requests():
        components = made.of(request).components
        assert ROWS in components
        assert components["snapshot"] != "0" * 64


FIELDS = {"state": "state_fips", "district": "congressional_district_geoid", "county": "county_fips", "puma": "puma"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([37, 6]),
            st.sampled_from([0, 1, 2]),
            st.sampled_from([0, 1, 37]),
            st.sampled_from(["", "00100", "00200"]),
        ),
        min_size=9,
        max_size=9,
    ),
    chosen=st.lists(st.sampled_from(["state", "district", "county", "puma"]), min_size=1, max_size=3, unique=True),
    of=st.integers(0, 8),
)
def test_any_filters_at_any_level(world: CodedWorld, rows: list[Any], chosen: list[Any], of: int) -> None:
    """Filters by the codes of one row find exactly the rows that have all of these codes."""
    state, seat, county, puma = (np.array(part) for part in zip(*rows, strict=True))
    columns = {
        "state": state,
        "district": np.where(seat > 0, 100 * state + seat, 0),
        "county": np.where(county > 0, 1000 * state + county, 0),
        "puma": np.array([f"{s:02d}{p}" if p else "" for s, p in zip(state.tolist(), puma.tolist(), strict=True)]),
    }
    usable = [name for name in chosen if columns[name][of] not in (0, "")]
    if not usable:
        return
    table = world.tables["household"].assign(
        state_fips=state,
        congressional_district_geoid=columns["district"],
        county_fips=columns["county"],
        puma=puma,
    )
    world.tables["household"] = table
    world.write()
    made = prepare_own_places(read_source(world.source), load_programmes())
    filters = tuple(AreaFilter(name, "eq", str(columns[name][of])) for name in usable)
    selection = made.clones.select(AreaBuildRequest("custom", "x", "x", filters, "dataset"), made.blocks)
    wanted = np.logical_and.reduce([columns[name] == columns[name][of] for name in usable])
    assert selection.household.tolist() == np.flatnonzero(wanted).tolist()
    blocks = made.blocks.at(selection.block)
    assert np.array_equal(blocks.knows(5), columns["county"][wanted] != 0)


def test_empty_places_of_the_whole_file(world: CodedWorld) -> None:
    world.write()
    assert read_own_places(read_source(world.source)).empty == {"district": 3, "county_fips": 3, "puma": 0}


def test_a_rule_for_an_id_is_refused(world: CodedWorld) -> None:
    world.write()
    with pytest.raises(ConfigError, match="no id"):
        read_source(world.source, missing=MissingRules({"household_id": {"NaN": 1}}))
