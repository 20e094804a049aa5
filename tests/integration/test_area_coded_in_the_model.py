"""Areas cut from a file that the model's own class wrote equal a row filter of that file, in the model."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from coded_world import OWNER, frames

from local_h5 import H5Builder
from local_h5.build.area import BuildOptions, build_area
from local_h5.contracts.results import read_sidecar, sidecar_path
from local_h5.inputs.source import read_source
from local_h5.prepared.own import prepare_own_places
from local_h5.prepared.steps import load_variable_rules, own_snapshot
from local_h5.requests import AreaBuildRequest, AreaFilter
from local_h5.takeup.programmes import load_programmes

pytestmark = [
    pytest.mark.model,
    pytest.mark.filterwarnings("ignore:.*track_times.*", "ignore::tables.NaturalNameWarning"),
]

ROOT = Path(__file__).parents[2]
UNITS = ("tax_unit", "spm_unit", "family", "marital_unit")
VALUES = ("household_net_income", "snap", "income_tax", "state_code", "county", "takes_up_snap_if_eligible")


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    made = frames()
    household = made["household"]
    household["congressional_district_geoid"] = household["congressional_district_geoid"].fillna(0).astype(int)
    # DC's code in this form is 00, and counties are text, as the model asks for.
    household.loc[1, "congressional_district_geoid"] = 1100
    county = household["county_fips"].fillna(0).astype(int)
    household["county_fips"] = [f"{code:05d}" if code else "" for code in county]
    made["person"]["employment_income"] = np.linspace(0, 90_000, len(OWNER))
    made["person"]["rent"] = 9_000.0
    return made


@pytest.fixture(scope="module")
def nation(tables: dict[str, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tables, tmp_path_factory.mktemp("coded") / "populace.h5")


def save(tables: dict[str, pd.DataFrame], path: Path) -> Path:
    from policyengine_us.data.dataset_schema import USSingleYearDataset

    USSingleYearDataset(**tables, time_period=2024).save(str(path))
    return path


def filtered(tables: dict[str, pd.DataFrame], keep: Any) -> dict[str, pd.DataFrame]:
    household = tables["household"][keep]
    person = tables["person"][tables["person"]["person_household_id"].isin(household["household_id"])]
    units = {e: tables[e][tables[e][f"{e}_id"].isin(person[f"person_{e}_id"])] for e in UNITS}
    whole = {"person": person, "household": household, **units}
    return {name: table.reset_index(drop=True) for name, table in whole.items()}


def values(path: Path) -> dict[str, list[Any]]:
    from policyengine_us import Microsimulation

    simulation = Microsimulation(dataset=str(path))
    found = {name: np.asarray(simulation.calculate(name, 2024)) for name in (*VALUES, "household_id")}
    found["household_weight"] = np.asarray(simulation.calculate("household_weight", 2024))
    return {name: array.tolist() for name, array in found.items()}


AREAS: dict[str, tuple[AreaFilter, Any]] = {
    "district": (AreaFilter("district", "eq", "3701"), lambda t: t["congressional_district_geoid"] == 3701),
    "at-large district": (AreaFilter("district", "eq", "0201"), lambda t: t["congressional_district_geoid"] == 200),
    "state": (AreaFilter("state", "eq", "37"), lambda t: t["state_fips"] == 37),
}


@pytest.mark.slow  # ten simulations
def test_areas_equal_the_row_filter(tables: dict[str, pd.DataFrame], nation: Path, tmp_path: Path) -> None:
    source = read_source(nation)
    made = prepare_own_places(source, load_programmes())
    # What a person costs Medicaid is written by default, and a row filter does not have it.
    snapshot = own_snapshot(source, load_variable_rules(ROOT / "config" / "variables.yaml"), "model")
    for name, (condition, keep) in AREAS.items():
        request = AreaBuildRequest("custom", "x", "x", (condition,), "dataset")
        result = build_area(request, made.with_snapshot(snapshot), tmp_path / name)
        rows = filtered(tables, keep(tables["household"]))
        found, expected = values(tmp_path / name / "custom/x.h5"), values(save(rows, tmp_path / f"{name}.h5"))
        assert found == expected, name
        build_area(request, made.with_snapshot(snapshot), tmp_path / "tables", options=BuildOptions(form="tables"))
        assert values(tmp_path / "tables/custom/x.h5") == expected, name
        assert result.rows["person"] == len(rows["person"])
        assert not result.issues


def test_one_call(nation: Path, tmp_path: Path) -> None:
    builder = H5Builder()
    path = builder.build_h5(None, None, nation, tmp_path / "NC-01.h5", cd_subset=["3701"])
    with h5py.File(path) as file:
        assert file["household_id/2024"][()].tolist() == [103, 104]
        assert file["household_weight/2024"][()].tolist() == [30.0, 41.0]
        assert file["county_fips/2024"][()].tolist() == [b"37001", b""]
        assert "block_geoid" not in file
    result = read_sidecar(sidecar_path(path))
    assert "household_note" in {item.variable for item in result.excluded}
    assert result.takeup.kept == ("takes_up_snap_if_eligible", "takes_up_medicaid_if_eligible")
