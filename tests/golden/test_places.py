"""What the rule for formulas keeps does not depend on the place: the golden source in states and counties of all kinds.

Two model runs that differ in nothing but where each household lives must give the same values for every variable that
:func:`local_h5.places.place_columns` would keep, so that a formula whose reading of a place is not seen is found here.
"""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from local_h5.build import build_area
from local_h5.formulas import FormulaReads
from local_h5.model import VariableRules
from local_h5.payload import zip_codes
from local_h5.places import NO_PLACES, Placed, has_formula, place_columns
from local_h5.prepare import load_variable_rules
from local_h5.requests import AreaBuildRequest, AreaFilter
from local_h5.us import CITY_COUNTIES
from local_h5.validation.area_file import AreaFile

pytestmark = [pytest.mark.model, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
CALIFORNIA = AreaBuildRequest("state", "CA", "California", (AreaFilter("state", "eq", ("06",)),))
SPECIAL = (6037, 6075, 8031, 10003, 11001, 24031, 29095, 29510, 36119, 42101, 53033, 2020, 15003, 24510, 55079)
"""Counties that the model treats apart: Los Angeles, San Francisco, Denver, Wilmington's, DC, Montgomery, …"""


HOUSEHOLDS = 150
LIFELONG = "ss_"
"""The pension calculator goes through every year of a life, which takes minutes: what it reads is looked at alone."""


@pytest.fixture(scope="module")
def placed() -> Placed:
    """The rule's verdict on every variable with a formula, as if a source stored them all."""
    from policyengine_us.system import system

    variables = {name: variable for name, variable in system.variables.items() if has_formula(variable)}
    return place_columns(variables, FormulaReads(system.variables, system.parameters), {})


def counties(known: np.ndarray) -> np.ndarray:
    """The first and the last county of every state, New York City's, and the special ones."""
    states = known // 1000
    first = [known[states == state][0] for state in np.unique(states)]
    last = [known[states == state][-1] for state in np.unique(states)]
    named = [int(code) for codes in CITY_COUNTIES.values() for code in codes] + list(SPECIAL)
    return np.array([*first, *last, *named])


def placements(area: AreaFile, folder: Path, known: np.ndarray) -> Iterator[Path]:
    """A file twice, each household somewhere else."""
    where = counties(known[known < 57_000])
    for turn in (0, 61):
        other = folder / f"placed_{turn}.h5"
        area.write(other)
        with h5py.File(other, "r+") as file:
            rows = np.arange(len(file["household_id/2024"]))
            county = where[(rows + turn * (1 + rows // len(where))) % len(where)]
            for name in ("block_geoid", "tract_geoid", "county", "puma", "zcta", "cbsa_code", "place_fips", "vtd"):
                del file[name]
            values = {
                "state_fips": (county // 1000).astype(np.int32),
                "county_fips": np.char.zfill(county.astype("U5"), 5).astype("S5"),
                "zip_code": zip_codes(county),
            }
            for name, column in values.items():
                file[name]["2024"][...] = column
        yield other


def test_what_is_kept_is_the_same_everywhere(golden_inputs, placed: Placed, tmp_path: Path) -> None:
    from policyengine_us import Microsimulation
    from policyengine_us.system import system

    result = build_area(CALIFORNIA, golden_inputs, tmp_path)
    kept = [
        name
        for name, variable in system.variables.items()
        if has_formula(variable) and name not in placed.left_out and not name.startswith(LIFELONG)
    ]
    runs = []
    area = AreaFile.read(tmp_path / result.output.path, result)
    some = area.take(np.arange(area.n_rows["household"]) < HOUSEHOLDS)
    for path in placements(some, tmp_path, golden_inputs.snapshot.county_fips):
        simulation = Microsimulation(dataset=str(path))
        runs.append(
            {
                name: np.asarray(simulation.calculate(name, 2024, use_weights=False))
                for name in (*kept, "state_income_tax", "spm_unit_fpg")
            }
        )
    left, right = runs
    equal = {name: np.array_equal(left[name], right[name], equal_nan=left[name].dtype.kind == "f") for name in left}
    assert len(kept) > 450
    assert [name for name in kept if not equal[name]] == []
    for name in ("state_income_tax", "spm_unit_fpg"):
        assert np.mean(left[name] != right[name]) > 0.05, name


def test_the_rules_table_is_needed(placed: Placed) -> None:
    """Every variable kept by ``config/variables.yaml`` would be left out without it."""
    rules: VariableRules = load_variable_rules(ROOT / "config" / "variables.yaml")
    assert set(rules.kept) <= set(placed.left_out)
    assert not NO_PLACES & set(placed.left_out)
    assert {"tax_unit_size", "is_male", "earned_income"}.isdisjoint(placed.left_out)
