"""The classification by reading formulas against the model: two runs that differ in nothing but where households live.

Every variable that :func:`local_h5.prepared.places.place_columns` keeps must come out the same in both, so that a
formula whose reading of a place is not seen is found here. Of what it leaves out, some must differ.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from local_h5.build.area import build_area
from local_h5.build.payload import zip_codes
from local_h5.prepared.files import PreparedInputs
from local_h5.prepared.formulas import FormulaReads
from local_h5.prepared.places import Placed, has_formula, place_columns
from local_h5.prepared.steps import load_variable_rules
from local_h5.requests import AreaBuildRequest, AreaFilter
from local_h5.us import CITY_COUNTIES
from local_h5.validation.targets.loaded_area import AreaFile

pytestmark = [pytest.mark.model, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
CALIFORNIA = AreaBuildRequest("state", "CA", "California", (AreaFilter("state", "eq", ("06",)),))
HOUSEHOLDS = 60
SPECIAL = (6037, 6075, 8031, 10003, 11001, 24031, 29095, 29510, 36119, 42101, 53033, 2020, 15003, 24510, 55079)
"""Counties that the model treats apart: Los Angeles, San Francisco, Denver, Wilmington's, DC, Montgomery, …"""
LEFT_OUT = (
    "spm_unit_fpg", "tax_unit_fpg", "tax_unit_state", "CA", "hud_very_low_income_limit", "slcsp_rating_area_default",
    "snap_utility_region", "snap_max_allotment",
)  # fmt: skip
"""Quick ones of those that are left out; a state's whole tax takes the model minutes."""


@pytest.fixture(scope="module")
def variables() -> Mapping[str, Any]:
    """What the model can compute."""
    from policyengine_us.system import system

    return {name: variable for name, variable in system.variables.items() if has_formula(variable)}


@pytest.fixture(scope="module")
def placed(variables: Mapping[str, Any]) -> Placed:
    """The rule's verdict on every variable with a formula, as if a source stored them all."""
    from policyengine_us.system import system

    return place_columns(variables, FormulaReads(system.variables, system.parameters), {})


def counties(known: np.ndarray) -> np.ndarray:
    """The first and the last county of every state, New York City's, and the special ones."""
    states = known // 1000
    first = [known[states == state][0] for state in np.unique(states)]
    last = [known[states == state][-1] for state in np.unique(states)]
    named = [int(code) for codes in CITY_COUNTIES.values() for code in codes] + list(SPECIAL)
    return np.array([*first, *last, *named])


def moved(area: AreaFile, path: Path, county: np.ndarray) -> Path:
    """The households as they are, each in a county (FIPS) of its own."""
    area.write(path)
    with h5py.File(path, "r+") as file:
        for name in ("block_geoid", "tract_geoid", "county", "puma", "zcta", "cbsa_code", "place_fips", "vtd"):
            del file[name]
        values = {
            "state_fips": (county // 1000).astype(np.int32),
            "county_fips": np.char.zfill(county.astype("U5"), 5).astype("S5"),
            "zip_code": zip_codes(county),
        }
        for name, column in values.items():
            file[name]["2024"][...] = column
    return path


def test_what_is_kept_is_the_same_everywhere(
    golden_inputs: PreparedInputs, variables: Mapping[str, Any], placed: Placed, tmp_path: Path
) -> None:
    from policyengine_us import Microsimulation

    result = build_area(CALIFORNIA, golden_inputs, tmp_path)
    whole = AreaFile.read(tmp_path / result.output.path, result)
    size = np.minimum(np.bincount(whole.household_of("person")), 5)
    chosen = np.concatenate([np.flatnonzero(size == persons)[:12] for persons in range(1, 6)])
    assert len(chosen) == HOUSEHOLDS
    area = whole.take(np.isin(np.arange(len(size)), chosen))

    where = counties(golden_inputs.snapshot.county_fips[golden_inputs.snapshot.county_fips < 57_000])
    kept = [name for name in variables if name not in placed.left_out]
    assert len(kept) > 450
    assert set(LEFT_OUT) <= placed.left_out.keys()
    runs = []
    for first, step in ((0, 1), (len(where) // 2, 3)):
        county = where[(first + step * np.arange(HOUSEHOLDS)) % len(where)]
        simulation = Microsimulation(dataset=str(moved(area, tmp_path / f"from_{first}.h5", county)))
        values = {}
        for name in (*kept, *LEFT_OUT):
            period = "2024-01" if variables[name].definition_period == "month" else 2024
            found = simulation.calculate(name, period, use_weights=False)
            decode = getattr(found, "decode_to_str", None)
            values[name] = np.asarray(found if decode is None else decode())
        runs.append(values)
    left, right = runs
    differ = {n for n in left if not np.array_equal(left[n], right[n], equal_nan=left[n].dtype.kind == "f")}
    assert differ == set(LEFT_OUT)


def test_every_exception_is_needed(variables: Mapping[str, Any], placed: Placed) -> None:
    """Whatever ``config/variables.yaml`` keeps would be left out without it."""
    rules = load_variable_rules(ROOT / "config" / "variables.yaml")
    assert rules.kept.keys() <= placed.left_out.keys()
    assert {"tax_unit_size", "is_male", "earned_income"} <= variables.keys() - placed.left_out.keys()
