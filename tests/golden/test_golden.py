"""Both golden files are reproduced; every difference from the reference is a fact that is proved here.

``docs/differences-from-reference.md`` lists the differences; its table and the predicates below name the same
variables.
"""

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from joins import unit_rows
from msgspec.structs import replace

import pe_data
from local_h5.build.area import BuildOptions, build_area
from local_h5.contracts.results import read_sidecar, sidecar_path, write_sidecar
from local_h5.inputs.geography.load import load_geography
from local_h5.prepared.dictionary import period_of
from local_h5.prepared.files import PreparedInputs
from local_h5.prepared.housing import TABLE
from local_h5.prepared.snapshot import SourceSnapshot
from local_h5.prepared.steps import takeup_from_snapshot
from local_h5.requests import AreaBuildRequest, AreaFilter
from local_h5.takeup.draws import seeds
from local_h5.takeup.eligibility import PackedEligibility
from local_h5.takeup.prepare import CloneGeography, SourceFacts, prepare_takeup
from local_h5.takeup.programmes import load_programmes
from local_h5.takeup.rates import StateRates
from pe_data.documents.dictionary import Dictionary

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[2]
AREAS = {
    "cd_3701": AreaBuildRequest("district", "NC-01", "NC-01", (AreaFilter("district", "eq", ("3701",)),)),
    "state_6": AreaBuildRequest("state", "CA", "California", (AreaFilter("state", "eq", ("06",)),)),
}
OPTIONS = BuildOptions(district_codes="01")
"""The reference writes at-large seats with 01."""
MONTHLY = ("is_wic_at_nutritional_risk", "receives_wic", "wic_infant_feeding_category")
UNITS = ("tax_unit", "spm_unit", "family", "marital_unit")
SOURCE_ROWS = {
    "household": 2000, "person": 4885, "tax_unit": 2549, "spm_unit": 2048, "family": 2021, "marital_unit": 3946,
}  # fmt: skip
RETIRED = ("first_home_mortgage_interest", "partnership_se_income")
PLACES = ("is_on_tribal_land", "is_rural")
HOUSING, FILING = "takes_up_housing_assistance_if_eligible", "would_file_taxes_voluntarily"

Datasets = Mapping[tuple[str, str], np.ndarray]


@dataclass(frozen=True)
class Pair:
    """Our file and the reference's for one area, as (variable, period) → values (text decoded)."""

    name: str
    ours: Datasets
    reference: Datasets
    excluded: Mapping[str, str]
    snapshot: SourceSnapshot
    source_rows: Mapping[str, np.ndarray]
    clones: Mapping[str, np.ndarray]

    @property
    def different(self) -> set[str]:
        """Variables that only one file has, or that differ in a value or in the kind of value."""
        keys = self.ours.keys() | self.reference.keys()
        return {variable for variable, period in keys if not self._equal((variable, period))}

    def _equal(self, key: tuple[str, str]) -> bool:
        if key not in self.ours or key not in self.reference:
            return False
        a, b = self.ours[key], self.reference[key]
        return a.dtype.kind == b.dtype.kind and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def datasets(path: Path) -> Datasets:
    def values(item: h5py.Dataset) -> np.ndarray:
        found = item[()]
        return np.char.decode(found, "utf-8") if found.dtype.kind == "S" else found

    with h5py.File(path) as file:
        return {(variable, period): values(file[variable][period]) for variable in file for period in file[variable]}


def source_rows(case, request: AreaBuildRequest) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Source row and clone of every unit of an area, by plain loops over the source's own ids."""
    code = int(request.filters[0].values[0])
    place = case.geography.district if request.area_type == "district" else case.geography.state
    active = [divmod(row, 2000) for row in range(20000) if case.weights[row] > 0 and place[row] == code]
    with h5py.File(case.folder / "dataset.h5") as file:
        ids = {name: file[f"{name}_id"]["2024"][()].tolist() for name in ("household", *UNITS)}
        links = {name: file[f"person_{name}_id"]["2024"][()].tolist() for name in ("household", *UNITS)}
    persons: dict[int, list[int]] = {}
    for row, household in enumerate(links["household"]):
        persons.setdefault(household, []).append(row)
    unit_row = {name: {unit: row for row, unit in enumerate(ids[name])} for name in UNITS}
    rows: dict[str, list[int]] = {entity: [] for entity in SOURCE_ROWS}
    clones: dict[str, list[int]] = {entity: [] for entity in SOURCE_ROWS}
    for clone, household in active:
        members = persons[ids["household"][household]]
        found = {"household": [household], "person": members}
        for name in UNITS:
            found[name] = sorted({unit_row[name][links[name][person]] for person in members})
        for entity, units in found.items():
            rows[entity] += units
            clones[entity] += [clone] * len(units)
    arrays = [{entity: np.array(found) for entity, found in of.items()} for of in (rows, clones)]
    return arrays[0], arrays[1]


def build(folder: Path, inputs: PreparedInputs, name: str) -> Datasets:
    result = build_area(AREAS[name], inputs, folder, options=OPTIONS)
    path = folder / result.output.path
    write_sidecar(path, result)
    return datasets(path)


@pytest.fixture(scope="module")
def reference_takeup(golden, golden_snapshot):
    """Take-up without reports, fed the values that the model of the reference's day computed on the source."""
    with np.load(golden.folder / "reference" / "model_values.npz") as stored:
        old = {name: stored[name] for name in stored.files}
    counties, eligible = old.pop("eligibility_counties"), old.pop("housing_eligible_by_county")
    table = PackedEligibility.pack(zip(map(int, counties), eligible, strict=True), eligible.shape[1])
    facts = SourceFacts(golden_snapshot.membership, {**golden_snapshot.values, **old}, {TABLE: table})
    where = CloneGeography(golden.geography.state, golden.geography.county)
    return prepare_takeup(load_programmes(), 2024, facts, where, reported="ignore")


@pytest.fixture(scope="module", params=sorted(AREAS))
def pair(request, golden, golden_snapshot, reference_takeup, tmp_path_factory) -> Pair:
    folder = tmp_path_factory.mktemp("golden")
    ours = build(folder, golden.inputs_without_takeup(golden_snapshot, reference_takeup), request.param)
    sidecar = read_sidecar(sidecar_path(folder / AREAS[request.param].relative_path))
    return Pair(
        request.param,
        ours,
        datasets(golden.folder / "reference" / f"{request.param}.h5"),
        {item.variable: item.reason for item in sidecar.excluded},
        golden_snapshot,
        *source_rows(golden, AREAS[request.param]),
    )


# --- the facts: variable → predicate on the pair of files


def county_is_the_same_by_name(pair: Pair) -> bool:
    """An index into the model's county list there, the member's name here: one name per index, in the list's order,
    and the name is that of the county whose FIPS code the reference's own ``county_fips`` gives."""
    from policyengine_us.variables.household.demographic.geographic.county.county_enum import County

    position = {member.name: place for place, member in enumerate(County)}
    name_of_fips = dict(zip(pair.snapshot.county_fips.tolist(), pair.snapshot.county_name.tolist(), strict=True))
    indexes, names = pair.reference["county", "2024"], pair.ours["county", "2024"]
    fips = pair.reference["county_fips", "2024"]
    distinct = sorted(set(zip(indexes.tolist(), names.tolist(), strict=True)))
    places = [position[name] for _, name in distinct]
    return (
        len({index for index, _ in distinct}) == len({name for _, name in distinct}) == len(distinct)
        and places == sorted(places)
        and all(name_of_fips[code].decode() == name for code, name in zip(fips.tolist(), names.tolist(), strict=True))
    )


def county_fips_is_the_same_number(pair: Pair) -> bool:
    """An integer there, five digits here, as the model needs it."""
    ours, theirs = pair.ours["county_fips", "2024"], pair.reference["county_fips", "2024"]
    return theirs.dtype.kind == "i" and ours.tolist() == [f"{code:05d}" for code in theirs.tolist()]


def cbsa_comes_from_the_county_table(pair: Pair) -> bool:
    """Empty everywhere there; here what the county table says, empty only outside every CBSA."""
    with (ROOT / "tests/data/golden/tables/msa_definitions.csv").open(newline="") as stream:
        table = {row["stcofips"]: row["CBSA Code"] for row in csv.DictReader(stream)}
    ours, county = pair.ours["cbsa_code", "2024"], pair.ours["county_fips", "2024"]
    return not any(pair.reference["cbsa_code", "2024"].tolist()) and ours.tolist() == [
        table.get(code, "") for code in county.tolist()
    ]


def zip_code_is_in_every_file(pair: Pair) -> bool:
    """Only in files with rows in Los Angeles County there; in every file here, by the same rule."""
    county = pair.ours["county_fips", "2024"]
    by_rule = np.where(county == "06037", "90001", "00000")
    return (
        pair.ours["zip_code", "2024"].tolist() == by_rule.tolist()
        and ("zip_code", "2024") not in pair.reference
        and "06037" not in county
    )


def lost_there_twelve_months_here(variable: str) -> Callable[[Pair], bool]:
    """Stored by month in the newer cores: not in the reference's file at all; here the source's value in each month."""

    def holds(pair: Pair) -> bool:
        with h5py.File(ROOT / "tests/data/golden/dataset.h5") as file:
            stored = file[variable]["2024"][()]
        values = np.char.decode(stored) if stored.dtype.kind == "S" else stored
        (entity,) = (name for name, count in SOURCE_ROWS.items() if count == len(values))
        expected = values[pair.source_rows[entity]]
        months = [f"2024-{month:02d}" for month in range(1, 13)]
        return (
            not any(name == variable for name, _ in pair.reference)
            and sorted(period for name, period in pair.ours if name == variable) == months
            and all(np.array_equal(pair.ours[variable, month], expected) for month in months)
        )

    return holds


def unknown_to_the_installed_model(variable: str) -> Callable[[Pair], bool]:
    """Known to the model of the reference's day only; left out here, and the sidecar says so."""

    def holds(pair: Pair) -> bool:
        from policyengine_us.system import system

        return (
            variable not in system.variables
            and not any(name == variable for name, _ in pair.ours)
            and pair.excluded[variable] == "unknown to the model"
        )

    return holds


def ids_are_one_in_all_files(entity: str) -> Callable[[Pair], bool]:
    """Row numbers of the file there; here made from clone and source row, the same in every file."""

    def holds(pair: Pair) -> bool:
        theirs, ours = (file[f"{entity}_id", "2024"] for file in (pair.reference, pair.ours))
        made = 1 + pair.clones[entity] * SOURCE_ROWS[entity] + pair.source_rows[entity]
        return theirs.tolist() == list(range(len(theirs))) and ours.dtype == np.int32 and ours.tolist() == made.tolist()

    return holds


def links_join_the_same_rows(entity: str) -> Callable[[Pair], bool]:
    """The row number of each person's unit there; here the id of that very row."""

    def holds(pair: Pair) -> bool:
        name = f"person_{entity}_id"
        ids, ours, theirs = pair.ours[f"{entity}_id", "2024"], pair.ours[name, "2024"], pair.reference[name, "2024"]
        return ours.dtype == np.int32 and ours.tolist() == ids[theirs].tolist()

    return holds


def medicaid_cost_is_the_states_average(pair: Pair) -> bool:
    """Not there; here the state's spending over its enrolment by the installed model's parameters, for everybody."""
    from policyengine_us.system import system

    totals = system.parameters("2024-01-01").calibration.gov.hhs.medicaid.totals
    state = {"cd_3701": "NC", "state_6": "CA"}[pair.name]
    cost = np.float32(totals.spending[state] / totals.enrollment[state])
    ours = pair.ours["medicaid_cost_if_enrolled", "2024"]
    return (
        not any(name == "medicaid_cost_if_enrolled" for name, _ in pair.reference)
        and len(ours) == len(pair.ours["person_id", "2024"])
        and set(ours.tolist()) == {float(cost)}
    )


def left_out_as_a_place_of_the_source(variable: str) -> Callable[[Pair], bool]:
    """Copied there to wherever the clones live; left out here, and the sidecar says so."""

    def holds(pair: Pair) -> bool:
        return (
            (variable, "2024") in pair.reference
            and not any(name == variable for name, _ in pair.ours)
            and pair.excluded[variable] == "a place of the source; no table gives it for a block"
        )

    return holds


FACTS: Mapping[str, Callable[[Pair], bool]] = {
    **{f"{entity}_id": ids_are_one_in_all_files(entity) for entity in SOURCE_ROWS},
    **{f"person_{entity}_id": links_join_the_same_rows(entity) for entity in ("household", *UNITS)},
    "county": county_is_the_same_by_name,
    "county_fips": county_fips_is_the_same_number,
    "cbsa_code": cbsa_comes_from_the_county_table,
    "zip_code": zip_code_is_in_every_file,
    "medicaid_cost_if_enrolled": medicaid_cost_is_the_states_average,
    **{name: lost_there_twelve_months_here(name) for name in MONTHLY},
    **{name: unknown_to_the_installed_model(name) for name in RETIRED},
    **{name: left_out_as_a_place_of_the_source(name) for name in PLACES},
}

EQUAL_WHERE = {"state_6": {"zip_code"}}
"""California has Los Angeles: there the reference writes ``zip_code`` too."""


def test_every_difference_is_a_fact(pair: Pair) -> None:
    assert pair.different == FACTS.keys() - EQUAL_WHERE.get(pair.name, set())
    assert {name for name in pair.different if not FACTS[name](pair)} == set()


def test_what_must_be_equal_is(pair: Pair) -> None:
    takeup = {programme.variable for programme in load_programmes()}
    structure = {"household_weight", "congressional_district_geoid"}
    same = {name for name, _ in pair.ours.keys() & pair.reference.keys()} - pair.different
    assert takeup | structure <= same
    assert len(takeup) == 10
    assert len(same) >= 162


def test_the_source_holds_an_output_that_neither_file_has(pair: Pair) -> None:
    assert pair.excluded["spm_unit_spm_threshold"] == "refused by the model as a dataset input"
    assert not {name for name, _ in (*pair.ours, *pair.reference)} & {"spm_unit_spm_threshold"}


def test_counties_that_the_reference_calls_unknown_have_names(golden_snapshot: SourceSnapshot) -> None:
    names = dict(zip(golden_snapshot.county_fips.tolist(), golden_snapshot.county_name.tolist(), strict=True))
    assert (names[13029], names[35028], names[51775]) == (b"BRYAN_COUNTY_GA", b"LOS_ALAMOS_COUNTY_NM", b"SALEM_CITY_VA")


def test_both_forms_of_the_geography_are_one(golden) -> None:
    objects = load_geography(golden.folder / "geography_assignment.npz", 2000)
    assert objects == golden.geography
    assert objects.digest() == golden.geography.digest()


def test_the_document_lists_exactly_these_variables() -> None:
    text = (ROOT / "docs" / "differences-from-reference.md").read_text(encoding="utf-8")
    table = text.partition("## In the golden files")[2].partition("\n## ")[0]
    listed = {name for row in re.findall(r"^\| (`.*?) \|", table, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert listed == FACTS.keys()


# --- with the installed model's own values


@pytest.mark.parametrize("name", sorted(AREAS))
def test_differences_of_take_up_come_from_model_values(
    golden,
    golden_snapshot,
    golden_inputs,
    reference_takeup,
    tmp_path: Path,
    name: str,
) -> None:
    """With the installed model's values instead of the old ones, a unit's take-up changes exactly when its draw lies
    between its old and its new threshold."""
    new = takeup_from_snapshot(golden_snapshot, golden.geography, load_programmes(), reported="ignore")
    ours = build(tmp_path, golden.inputs_without_takeup(golden_snapshot, new), name)
    theirs = datasets(golden.folder / "reference" / f"{name}.h5")
    request = AREAS[name]
    selection = golden_inputs.clones.select(request, golden_inputs.blocks)
    changed = {}
    for table in new.programmes:
        entity, variable = table.entity, table.variable
        owner = unit_households(ours, entity)
        clone, county = selection.clone[owner], golden_inputs.blocks.geoid[selection.block[owner]] // 10**10
        units = golden_snapshot.membership.members[entity]
        rows = np.concatenate([units.rows[units.indptr[h] : units.indptr[h + 1]] for h in selection.household])
        draws = np.concatenate(
            [
                np.random.default_rng(seed).random(count)
                for seed, count in zip(
                    seeds(variable, golden_snapshot.household_id[selection.household], selection.clone).tolist(),
                    np.bincount(owner, minlength=len(selection)).tolist(),
                    strict=True,
                )
            ]
        )
        old = next(programme for programme in reference_takeup.programmes if programme.variable == variable)
        limits = [threshold(each, rows, county) for each in (old, table)]
        moved = (draws < limits[0]) != (draws < limits[1])
        assert np.array_equal(ours[variable, "2024"] != theirs[variable, "2024"], moved), variable
        assert len(clone) == len(moved)
        if moved.any():
            changed[variable] = int(moved.sum())
    assert set(changed) <= {HOUSING, FILING}
    if golden_snapshot.versions["policyengine-us"] == "2.68.0":
        assert changed == {"cd_3701": {HOUSING: 1}, "state_6": {HOUSING: 11, FILING: 1}}[name]


def threshold(table, rows: np.ndarray, county: np.ndarray) -> np.ndarray:
    """What a unit's draw must be below, without reports: its rate, or 0 where it is not eligible."""
    if isinstance(table.rate, StateRates):
        return table.rate.by_fips[county // 1000]
    rate = table.rate[rows] if isinstance(table.rate, np.ndarray) else np.full(len(rows), table.rate)
    if table.eligibility is None:
        return rate
    return np.where(table.eligibility.at(table.eligibility.county_rows(county), rows), rate, 0.0)


def unit_households(file: Datasets, entity: str) -> np.ndarray:
    """Row of the household of every unit of ``entity`` in a file, through its persons."""
    arrays = {f"{name}/{period}": values for (name, period), values in file.items()}
    household = unit_rows(arrays, "household")
    if entity == "person":
        return household
    owner = np.zeros(len(file[f"{entity}_id", "2024"]), dtype=np.int64)
    owner[unit_rows(arrays, entity)] = household
    return owner


def test_a_file_says_what_each_variable_means(golden_inputs: PreparedInputs, tmp_path: Path) -> None:
    """In the model's words, of the entity and period that the sidecar has, for at most 24 bytes of each variable."""
    request = AREAS["cd_3701"]
    result = build_area(request, golden_inputs, tmp_path, options=OPTIONS)
    found = pe_data.variables(tmp_path / result.output.path)
    assert isinstance(found, tuple)
    told = {one.name: one for one in found}
    assert {name: (one.entity, one.period) for name, one in told.items()} == {
        column.variable: (column.entity, period_of(column.periods[0])) for column in result.columns
    }
    assert [name for name, one in told.items() if not one.label] == []
    assert (told["age"].label, told["age"].entity) == ("age", "person")
    assert told["employment_income_before_lsr"].unit == "currency-USD"
    whole = Dictionary.from_bytes(golden_inputs.snapshot.dictionary.tobytes())
    said = {one.name: one for one in whole.variables}
    assert told.keys() <= said.keys()
    assert all((said[name].label, said[name].unit) == (one.label, one.unit) for name, one in told.items())
    assert [one.name for one in whole.variables if one.source is None] == []
    assert "KENT_COUNTY_DE" in (said["county"].values or ())
    assert said["age"].source == "the source dataset"
    assert said["household_weight"].source == "the calibration weights"
    silent = replace(golden_inputs.snapshot, labels=np.empty(0, np.uint8))
    without = build_area(request, replace(golden_inputs, snapshot=silent), tmp_path / "b", options=OPTIONS)
    assert 0 < result.output.bytes - without.output.bytes <= 24 * len(told)
