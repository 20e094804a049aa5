"""Every bad form of an area-coded file is one line of our own, before the model is needed, and leaves no file."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from coded_world import OWNER, CodedWorld, N
from sentence import parts_of

import local_h5
from local_h5 import facade
from local_h5.areas import District
from local_h5.errors import ConfigError, EmptySelectionError, InputError, LocalH5Error, RequestError, SourceError
from local_h5.inputs.geography.own import read_own_places
from local_h5.inputs.source import read_source

pytestmark = pytest.mark.filterwarnings(
    "ignore::pandas.errors.PerformanceWarning", "ignore:.*track_times.*", "ignore::tables.NaturalNameWarning"
)

Change = Callable[[CodedWorld], None]


@dataclass(frozen=True)
class Case:
    """What is wrong, and what the error must say of it."""

    name: str
    change: Change
    error: type[LocalH5Error]
    field: str
    found: str


def without(*entities: str) -> Change:
    return lambda world: [world.tables.pop(entity) for entity in entities] and None


def dropped(entity: str, column: str) -> Change:
    return lambda world: world.tables.update({entity: world.tables[entity].drop(columns=column)})


def cell(entity: str, column: str, row: int, value: Any) -> Change:
    def change(world: CodedWorld) -> None:
        table = world.tables[entity].copy()
        values = table[column].to_numpy(dtype=object).copy()
        values[row] = value
        table[column] = pd.Series(values.tolist())
        world.tables[entity] = table

    return change


def column(entity: str, name: str, values: Any) -> Change:
    return lambda world: world.tables.update({entity: world.tables[entity].assign(**{name: values})})


def rows(entity: str, order: Any) -> Change:
    return lambda world: world.tables.update({entity: world.tables[entity].iloc[order].reset_index(drop=True)})


def setting(**values: Any) -> Change:
    def change(world: CodedWorld) -> None:
        for name, value in values.items():
            setattr(world, name, value)

    return change


def option(**values: Any) -> Change:
    return lambda world: world.options.update(values)


def after(damage: Callable[[Path], Any]) -> Change:
    return setting(after=lambda world: damage(world.source))


def both(*changes: Change) -> Change:
    return lambda world: [change(world) for change in changes] and None


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _no_values(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["person/block0_values"]


def _linked(path: Path) -> None:
    shutil.copy(path, path.with_name("other.h5"))
    with h5py.File(path, "r+") as file:
        del file["family"]
        file["family"] = h5py.ExternalLink("other.h5", "/family")


SHUFFLED = np.roll(np.arange(N), 4)
CASES = [
    # --- tables and keys
    Case("no persons", without("person"), SourceError, "person", "the keys"),
    Case("empty person table", setting(after=lambda w: _empty(w)), SourceError, "person", "none"),
    Case("no households", without("household"), SourceError, "household", "the keys"),
    Case("no family table", without("family"), SourceError, "family", "none"),
    Case("no SPM table", without("spm_unit"), SourceError, "spm_unit", "none"),
    Case("no tax units", without("tax_unit"), SourceError, "tax_unit", "none"),
    Case("a rule for a table", option(units={"family": "household"}), SourceError, "family", "one"),
    Case("an unknown rule", option(units={"family": "state"}), RequestError, "units", "family: 'state'"),
    Case("a rule for persons", option(units={"person": "links"}), RequestError, "units", "person: 'links'"),
    Case(
        "units by links that are not there",
        both(without("family"), dropped("person", "person_family_id"), option(units={"family": "links"})),
        SourceError,
        "person_family_id",
        "no such column",
    ),
    Case("no year", setting(year=None), SourceError, "_time_period", "no such key"),
    Case("another year", option(year=2025), SourceError, "year", "2024"),
    Case("a year that is none", setting(year=24), SourceError, "_time_period", "[24]"),
    Case("several years", setting(years=(2024, 2026)), SourceError, "year", "2024, 2026"),
    Case(
        "a year of several that is not there",
        both(setting(years=(2024, 2026)), option(year=2025)),
        SourceError,
        "year",
        "2024, 2026",
    ),
    Case("truncated", after(_truncate), SourceError, "", "bytes that HDF5 refuses"),
    Case("broken off", both(setting(form="fixed"), after(_no_values)), SourceError, "person", "broken off"),
    Case("a link to another file", after(_linked), SourceError, "", "family"),
    # --- ids and links
    Case("no ids", dropped("household", "household_id"), SourceError, "household_id", "no such column"),
    Case("no person ids", dropped("person", "person_id"), SourceError, "person_id", "no such column"),
    Case("no links", dropped("person", "person_tax_unit_id"), SourceError, "person_tax_unit_id", "no such column"),
    Case("broken link", cell("person", "person_spm_unit_id", 3, 7), SourceError, "person_spm_unit_id", "first 7 in"),
    Case("an id twice", cell("tax_unit", "tax_unit_id", 3, 2001), SourceError, "tax_unit_id", "2001 in rows 0 and 3"),
    Case("unsorted households", rows("household", SHUFFLED), SourceError, "household_id", "101 after 109 in row 4"),
    Case("unsorted families", rows("family", SHUFFLED), SourceError, "family_id", "4001 after 4009"),
    Case("unsorted persons", rows("person", np.arange(len(OWNER))[::-1]), SourceError, "person_id", "after 1014"),
    Case("a negative id", cell("household", "household_id", 0, -5), SourceError, "person_household_id", "101"),
    Case(
        "ids beyond int32",
        both(
            column("marital_unit", "marital_unit_id", 2**40 + np.arange(N)),
            column("person", "person_marital_unit_id", 2**40 + OWNER),
        ),
        SourceError,
        "marital_unit_id",
        str(2**40),
    ),
    Case(
        "an empty household",
        both(column("person", "person_household_id", np.where(OWNER == 8, 101, 101 + OWNER))),
        SourceError,
        "household_id",
        "109",
    ),
    Case(
        "a fraction as id",
        column("person", "person_family_id", 4001 + OWNER + 0.5),
        SourceError,
        "person_family_id",
        "4001.5",
    ),
    # --- columns
    Case("in two tables", column("tax_unit", "age", np.ones(N)), SourceError, "age", "it in person and tax_unit"),
    Case(
        "an id in two", column("person", "household_id", OWNER), SourceError, "household_id", "in household and person"
    ),
    Case(
        "places of persons",
        both(dropped("household", "puma"), column("person", "puma", ["00400"] * len(OWNER))),
        SourceError,
        "puma",
        "in the table person",
    ),
    Case(
        "a rule for no column",
        option(missing={"nothing": {"NaN": False}}),
        ConfigError,
        "nothing",
        "no such column",
    ),
    # --- weights
    Case("no weights", dropped("household", "household_weight"), InputError, "household_weight and", "no household_w"),
    Case(
        "negative weight", cell("household", "household_weight", 2, -1.0), InputError, "household_weight", "-1 in row 2"
    ),
    Case(
        "NaN weight", cell("household", "household_weight", 2, np.nan), InputError, "household_weight", "nan in row 2"
    ),
    Case("infinite", cell("household", "household_weight", 2, np.inf), InputError, "household_weight", "inf in row 2"),
    Case("all zero", column("household", "household_weight", np.zeros(N)), InputError, "household_weight", "9 zeros"),
    Case("text", column("household", "household_weight", ["1"] * N), InputError, "household_weight", "dtype <U1"),
    # --- places
    Case("no state", cell("household", "state_fips", 5, 0), InputError, "state_fips", "1 of 9 without, first in row 5"),
    Case("no such state", cell("household", "state_fips", 5, 99), InputError, "state_fips", "99 in row 5"),
    Case(
        "county of another state", cell("household", "county_fips", 0, 37001), InputError, "county_fips", "37001 with 2"
    ),
    Case(
        "district of another state",
        cell("household", "congressional_district_geoid", 2, 634),
        InputError,
        "congressional_district_geoid",
        "634 with 37 in row 2",
    ),
    Case(
        "half a district",
        cell("household", "congressional_district_geoid", 2, 3701.5),
        InputError,
        "congressional_district_geoid",
        "3701.5 in row 2",
    ),
    Case("a word as county", column("household", "county_fips", ["Durham"] * N), InputError, "county_fips", "'Durham'"),
    Case("a negative county", cell("household", "county_fips", 2, -1.0), InputError, "county_fips", "-1"),
    Case("a PUMA of seven digits", column("household", "puma", np.arange(N) + 3702400), InputError, "puma", "3702400"),
    Case(
        "no place",
        both(*(dropped("household", name) for name in ("state_fips", "county_fips", "congressional_district_geoid"))),
        InputError,
        "household_weight and state_fips",
        "no place",
    ),
    # --- what is asked for
    Case("unknown district", option(cd_subset=["3799"]), RequestError, "filter.district", "unknown 3799"),
    Case("the state's rest as a district", option(cd_subset=["0"]), RequestError, "filter.district", "0000"),
    Case("unknown county", option(county_fips_filter=["37063"]), RequestError, "filter.county", "unknown 37063"),
    Case("no county's code", option(county_fips_filter=["37000"]), RequestError, "filter.county", "unknown 37000"),
    Case(
        "no district in the file",
        both(dropped("household", "congressional_district_geoid"), option(cd_subset=["3701"])),
        RequestError,
        "filter.district",
        "district, which no row has",
    ),
    Case(
        "no county in the file",
        both(dropped("household", "county_fips"), option(county_fips_filter=["37001"])),
        RequestError,
        "filter.county",
        "county, which no row has",
    ),
    Case(
        "each alone matches",
        option(cd_subset=["3701"], county_fips_filter=["37119"]),
        EmptySelectionError,
        "filters",
        "none of 9",
    ),
    Case("a list of programmes", option(takeup_filter=["takes_up_dc_ptc"]), InputError, "takeup_filter", "takes_up_dc"),
    Case("weights alone", option(geography=None, weights=np.ones(N)), InputError, "geography", "None beside a weights"),
    Case("another digest", option(dataset_sha256="0" * 64), SourceError, "sha256", ""),
]


def _empty(world: CodedWorld) -> None:
    with pd.HDFStore(str(world.source), mode="a") as store:
        store.put("person", world.tables["person"].iloc[:0], format="fixed")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CodedWorld:
    def no_model(*arguments: object) -> None:
        pytest.fail("the model was asked for")

    monkeypatch.setattr(facade, "own_snapshot", no_model)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return CodedWorld(tmp_path)


@pytest.mark.parametrize("form", ["table", "fixed"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_one_line_and_leaves_nothing(world: CodedWorld, case: Case, form: Any) -> None:
    if form == "fixed" and not case.name.startswith(("empty", "unsorted", "in two", "NaN", "no family", "broken")):
        pytest.skip("the other form has the same checks")
    world.form = form
    case.change(world)
    arguments = world.write()
    before = {path: path.read_bytes() for path in world.folder.rglob("*") if path.is_file()}
    with pytest.raises(case.error) as caught:
        local_h5.build_h5(**arguments)
    assert "\n" not in str(caught.value)
    parts = parts_of(caught.value)
    assert case.field in f"{parts.where}: {parts.field}"
    assert case.found in parts.found
    assert parts.remedy
    assert {path: path.read_bytes() for path in world.folder.rglob("*") if path.is_file()} == before


def test_good_input_gets_as_far_as_the_model(world: CodedWorld) -> None:
    with pytest.raises(pytest.fail.Exception, match="the model was asked for"):
        local_h5.build_h5(**world.write())


LISTED = {"AK-01": 201, "DC-01": 1101, "NC-01": 3701, "NC-12": 3712, "CA-34": 634}


def vintage(world: CodedWorld, listed: dict[str, int], file: str = "districts_119.csv") -> None:
    world.write()
    districts = tuple(District(name, code, name[:2], 1, 119) for name, code in listed.items())
    read_own_places(read_source(world.source), districts, Path(file))


def test_districts_of_the_list(world: CodedWorld) -> None:
    vintage(world, LISTED)


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ({**LISTED, "NC-13": 3713}, "none in 1 (NC-13) among 6 rows with a district"),
        ({name: code for name, code in LISTED.items() if name != "NC-12"}, "1 of 9 rows in 1 others (3712)"),
        ({**LISTED, "AK-02": 202}, "1 of 9 rows in 1 others (200); 2 listed ones are missing (AK-01, AK-02)"),
        ({"CA-34": 634}, "5 of 9 rows in 4 others (200, 1198, 3701, 3712)"),
    ],
    ids=["one more", "one fewer", "at large no more", "mixed"],
)
def test_another_congress_counts_its_rows(world: CodedWorld, listed: dict[str, int], found: str) -> None:
    with pytest.raises(InputError) as caught:
        vintage(world, listed)
    parts = parts_of(caught.value)
    assert parts.field == "congressional_district_geoid"
    assert parts.found.endswith(found)
    assert "areas.districts" in parts.remedy


def test_mixed_vintages_in_one_file(world: CodedWorld) -> None:
    """North Carolina at large was no district of any Congress that has NC-12."""
    cell("household", "congressional_district_geoid", 5, 3700.0)(world)
    with pytest.raises(InputError, match=r"1 of 9 rows in 1 others \(3700\)"):
        vintage(world, LISTED)


def test_a_file_that_says_which_congress_it_is_of(world: CodedWorld) -> None:
    world.attributes["populace_congressional_district_vintage_target"] = "118th_congress"
    with pytest.raises(InputError, match=r"119th Congress.*118th_congress, which concerns 6 of 9 rows"):
        vintage(world, LISTED)
    world.attributes["populace_congressional_district_vintage_target"] = "119th_congress"
    vintage(world, LISTED)
