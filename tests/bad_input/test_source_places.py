"""The source's place stays behind: what a source stores of it is in no file, and the sidecar says why."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from sentence import parts_of
from tiny_world import N_HOUSEHOLDS, World, source_columns, write_source

import local_h5
from local_h5.contracts.results import read_sidecar, sidecar_path
from local_h5.errors import SourceError
from local_h5.inputs.source import read_source
from local_h5.prepared.formulas import FormulaReads
from local_h5.prepared.given import VariableRules
from local_h5.prepared.places import place_columns, unclassified
from local_h5.prepared.snapshot import SourceSnapshot
from local_h5.prepared.steps import load_variable_rules, prepare_snapshot
from local_h5.takeup.programmes import load_programmes
from local_h5.us import STATE_POSTAL

pytestmark = pytest.mark.model

RULES = Path(__file__).parents[2] / "config" / "variables.yaml"
COLUMNS = source_columns()
N_PERSONS, N_UNITS = len(COLUMNS["person_id"]["2024"]), len(COLUMNS["tax_unit_id"]["2024"])
N_SPM = len(COLUMNS["spm_unit_id"]["2024"])

WRITTEN = "written from the calibration package"
MADE = "a place of the source; the model computes it from the places in the file"
NOWHERE = "a place of the source; no table gives it for a block"
COMPUTED = "the model computes it from the place"

PLACES: dict[str, tuple[Any, str, str]] = {
    # variable: (values, period, how the reason begins)
    "state_code": (np.full(N_HOUSEHOLDS, b"CA"), "2024", MADE),
    "state_code_str": (np.full(N_HOUSEHOLDS, b"CA"), "2024-01", MADE),
    "state_name": (np.full(N_HOUSEHOLDS, 4), "2024", MADE),  # a position in the model's list
    "state_group": (np.full(N_HOUSEHOLDS, b"AK"), "ETERNITY", MADE),
    "state_group_str": (np.full(N_PERSONS, b"AK"), "2024", MADE),  # for every person
    "tax_unit_state": (np.full(N_UNITS, b"CA"), "2024", MADE),
    "county": (np.full(N_HOUSEHOLDS, b"LOS_ANGELES_COUNTY_CA"), "2024", WRITTEN),
    "county_str": (np.full(N_HOUSEHOLDS, b"LOS_ANGELES_COUNTY_CA"), "2024", MADE),
    "county_fips": (np.full(N_HOUSEHOLDS, b"06037"), "2024", WRITTEN),
    "puma": (np.full(N_HOUSEHOLDS, b"03745"), "2024", WRITTEN),
    "cbsa_code": (np.full(N_HOUSEHOLDS, b"31080"), "2024", WRITTEN),
    "zip_code": (np.full(N_HOUSEHOLDS, b"90001"), "2024", WRITTEN),
    "three_digit_zip_code": (np.full(N_HOUSEHOLDS, b"900"), "2024", MADE),
    "in_nyc": (np.ones(N_HOUSEHOLDS, bool), "2024", MADE),
    "medicaid_rating_area": (np.full(N_HOUSEHOLDS, 3), "2024", MADE),
    "slcsp_rating_area_default": (np.full(N_HOUSEHOLDS, 16), "2024", COMPUTED),
    "CA": (np.ones(N_HOUSEHOLDS, bool), "2024", COMPUTED),
    "is_rural": (np.ones(N_HOUSEHOLDS, bool), "2024", NOWHERE),
    "is_on_tribal_land": (np.ones(N_HOUSEHOLDS, bool), "2024", NOWHERE),
    "average_home_energy_use_in_state": (np.full(N_HOUSEHOLDS, 7e3), "2024", NOWHERE),
    "ct_tfa_region": (np.full(N_HOUSEHOLDS, b"REGION_A"), "2024-01", NOWHERE),
    "or_erdc_provider_area": (np.full(N_PERSONS, b"AREA_A"), "2024-01", NOWHERE),
    "in_denver": (np.ones(N_HOUSEHOLDS, bool), "2024", NOWHERE),
    "pa_philadelphia_wage_tax_resident": (np.ones(N_PERSONS, bool), "2024", "a place of work in the source; the"),
    "state_income_tax": (np.full(N_UNITS, 900.0), "2024", COMPUTED),
    "ca_income_tax": (np.full(N_UNITS, 900.0), "2024", COMPUTED),
    "household_net_income": (np.full(N_HOUSEHOLDS, 5e4), "2024", COMPUTED),
    "snap": (np.full(N_SPM, 200.0), "2024-01", COMPUTED),
    "small_area_fair_market_rent": (np.full(N_HOUSEHOLDS, 2e3), "2024", COMPUTED),
    "hud_very_low_income_limit": (np.full(N_SPM, 4e4), "2024", COMPUTED),
    "spm_unit_unadjusted_spm_threshold": (np.full(N_SPM, 4e4), "2024", "refused by the model"),
    "medicaid": (np.full(N_PERSONS, 9e3), "2024", COMPUTED),
    "aca_ptc": (np.full(N_UNITS, 3e3), "2024", COMPUTED),
    "is_medicaid_eligible": (np.ones(N_PERSONS, bool), "2024", COMPUTED),
    "snap_utility_allowance_type": (np.full(N_SPM, b"SUA"), "2024-01", COMPUTED),
    "state_or_federal_salary_of_the_state": (np.ones(N_PERSONS), "2024", "unknown to the model"),
}

STAYS: dict[str, Any] = {
    "is_homeless": np.arange(N_HOUSEHOLDS) == 1,
    "is_non_english_speaking_home": np.arange(N_HOUSEHOLDS) == 2,
    "lives_in_vehicle": np.arange(N_HOUSEHOLDS) == 3,
    "is_male": np.arange(N_PERSONS) % 2 == 1,
    "tax_unit_size": np.arange(N_UNITS) + 1,
    "employment_income_last_year": np.arange(N_PERSONS) * 1e3,
}

REFLECTS: dict[str, Any] = {
    "pre_subsidy_rent": np.full(N_PERSONS, 9e3),
    "real_estate_taxes": np.full(N_PERSONS, 2e3),
    "salt_refund_income": np.full(N_PERSONS, 90.0),
    "me_affordability_payment_subtraction_reported": np.full(N_UNITS, 900.0),
    "dc_liheap_heating_type": np.full(N_SPM, b"OIL"),
    "filing_status": np.full(N_UNITS, b"SINGLE"),
}


def snapshot_of(folder: Path, columns: dict[str, Any]) -> SourceSnapshot:
    path = write_source(folder / "source.h5", columns)
    return prepare_snapshot(read_source(path), load_variable_rules(RULES), load_programmes())


@pytest.fixture(scope="module")
def rules() -> VariableRules:
    return load_variable_rules(RULES)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> SourceSnapshot:
    columns = source_columns()
    columns |= {name: {period: values} for name, (values, period, _) in PLACES.items()}
    columns |= {name: {"2024": values} for name, values in (*STAYS.items(), *REFLECTS.items())}
    columns["takes_up_dc_ptc"] = {"2024": np.ones(N_UNITS, bool)}
    return snapshot_of(tmp_path_factory.mktemp("places"), columns)


@pytest.mark.parametrize("name", PLACES)
def test_a_place_is_left_out_with_its_reason(snapshot: SourceSnapshot, name: str) -> None:
    reasons = {item.variable: item.reason for item in snapshot.excluded}
    assert reasons[name].startswith(PLACES[name][2])
    assert name not in {column.variable for column in snapshot.columns}


@pytest.mark.parametrize("name", [*STAYS, *REFLECTS])
def test_what_says_nothing_of_a_place_stays(snapshot: SourceSnapshot, name: str) -> None:
    (column,) = (column for column in snapshot.columns if column.variable == name)
    held = snapshot.matrices[column.matrix][column.row]
    values = (STAYS | REFLECTS)[name]
    assert np.array_equal(snapshot.vocabularies[name][held] if column.coded else held, values)


def test_what_may_reflect_the_place_is_listed(snapshot: SourceSnapshot) -> None:
    listed = {item.variable: item.reason for item in snapshot.reflecting}
    assert listed.keys() == {
        *REFLECTS, "has_medicaid_health_coverage_at_interview", "receives_housing_assistance", "receives_wic",
    }  # fmt: skip
    assert all(listed.values())
    drawn = {programme.variable for programme in load_programmes()}
    assert "takes_up_dc_ptc" in drawn & {column.variable for column in snapshot.columns}  # of one state, but drawn anew
    assert listed["real_estate_taxes"] == "taxes differ between places"


def test_the_rent_is_kept_only_where_the_model_cannot_make_it(rules: VariableRules) -> None:
    """Older sources store what is paid; beside the rent before subsidies it is the model's own."""
    from policyengine_us.system import system

    reads = FormulaReads(system.variables, system.parameters)
    stored = {name: system.variables[name] for name in ("rent", "pre_subsidy_rent")}
    both = place_columns(stored, reads, rules.kept)
    assert both.left_out == {"rent": "the model computes it from the place and from pre_subsidy_rent"}
    del stored["pre_subsidy_rent"]
    alone = place_columns(stored, reads, rules.kept)
    assert (alone.left_out, list(alone.reflecting)) == ({}, ["rent"])


def test_a_built_file_has_the_places_of_its_clones(tmp_path: Path) -> None:
    from policyengine_us import Microsimulation

    world = World(tmp_path)
    for name in ("state_code", "in_nyc", "is_rural", "state_income_tax"):
        world.columns[name] = {"2024": PLACES[name][0]}
    local_h5.build_h5(**world.write())
    with h5py.File(world.output) as file:
        assert not {"state_code", "in_nyc", "is_rural", "state_income_tax"} & set(file)
        assert set(file["state_fips/2024"][()].tolist()) == {2, 6, 11, 37}
    sidecar = read_sidecar(sidecar_path(world.output))
    assert {"state_code", "in_nyc", "is_rural", "state_income_tax"} <= {item.variable for item in sidecar.excluded}
    assert {item.variable for item in sidecar.reflecting or ()} >= {"receives_wic"}
    simulation = Microsimulation(dataset=str(world.output))
    with h5py.File(world.output) as file:
        expected = [STATE_POSTAL[fips] for fips in file["state_fips/2024"][()].tolist()]
    assert np.asarray(simulation.calculate("state_code", 2024)).astype(str).tolist() == expected
    assert len(set(np.asarray(simulation.calculate("state_income_tax", 2024)).tolist())) > 2


def test_an_input_of_the_folder_of_places_is_known_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with a geographic input that no table names: here ``is_homeless``, taken out of the table."""
    from policyengine_us.system import system

    assert list(unclassified(system.variables)) == []
    monkeypatch.setattr("local_h5.prepared.places.NO_PLACES", frozenset())
    assert {"is_homeless", "is_non_english_speaking_home"} == set(unclassified(system.variables))
    columns = source_columns()
    columns["is_homeless"] = {"2024": np.zeros(N_HOUSEHOLDS, bool)}
    with pytest.raises(SourceError) as caught:
        snapshot_of(tmp_path, columns)
    assert parts_of(caught.value).field == "is_homeless"
    assert "'Is homeless', which this version of local-h5 does not know" in str(caught.value)
    assert "\n" not in str(caught.value)
