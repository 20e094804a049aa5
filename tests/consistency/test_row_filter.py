"""The nation's file, cut by state or district, is the area's own file: rows, order, ids, weights and all values."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from row_filter import different, filtered, stored
from validation_world import Run, make_run

from local_h5 import us
from local_h5.build.area import BuildOptions, build_area
from local_h5.contracts.results import AreaResult
from local_h5.inputs.geography.codes import written_districts
from local_h5.prepared.files import PreparedInputs
from local_h5.requests import AreaBuildRequest, AreaFilter

NATION = AreaBuildRequest("national", us.NATIONAL_ID, "Nation")
DISTRICT = "congressional_district_geoid"


def district(code: int) -> AreaBuildRequest:
    return AreaBuildRequest("district", us.district_name(code), "?", (AreaFilter("district", "eq", (f"{code:04d}",)),))


def state(fips: int) -> AreaBuildRequest:
    return AreaBuildRequest("state", us.STATE_POSTAL[fips], "?", (AreaFilter("state", "eq", (f"{fips:02d}",)),))


def file_code(code: int, spelling: us.AtLargeCode) -> int:
    return int(written_districts(np.array([code]), spelling)[0])


def check(
    inputs: PreparedInputs, folder: Path, spelling: us.AtLargeCode, districts: list[int], states: list[int]
) -> AreaResult:
    options = BuildOptions(district_codes=spelling)
    nation = build_area(NATION, inputs, folder, options=options)
    path = folder / nation.output.path
    areas = [(district(code), DISTRICT, file_code(code, spelling)) for code in districts]
    areas += [(state(fips), "state_fips", fips) for fips in states]
    for request, column, code in areas:
        own = build_area(request, inputs, folder, options=options)
        cut = filtered(path, column, code, nation)
        assert different(cut, stored(folder / own.output.path)) == set(), request.area_id
        assert {entity: len(cut[f"{entity}_id", "2024"]) for entity in own.rows} == own.rows
        assert cut["household_weight", "2024"].astype(np.float64).sum() == own.weights.households
    return nation


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("row_filter"))


@pytest.mark.parametrize("spelling", ["00", "01"])
def test_each_district_and_state_of_a_tiny_nation(tiny: Run, tmp_path: Path, spelling: us.AtLargeCode) -> None:
    check(tiny.inputs, tmp_path, spelling, tiny.inputs.clones.districts.tolist(), [2, 6, 11, 37])


def test_rows_are_ordered_by_clone_and_then_household(tiny: Run, tmp_path: Path) -> None:
    result = build_area(NATION, tiny.inputs, tmp_path)
    ids = stored(tmp_path / result.output.path)["household_id", "2024"]
    assert (np.diff(ids) > 0).all()  # 1 + clone x households of the source + household
    assert np.array_equal(tiny.inputs.clones.select(NATION, tiny.inputs.blocks).clone, (ids - 1) // 6)
    assert len(set((ids - 1) // 6)) == 3


def test_the_other_code_finds_nobody(tiny: Run, tmp_path: Path) -> None:
    for spelling, other in (("00", 201), ("01", 200)):
        result = build_area(NATION, tiny.inputs, tmp_path, options=BuildOptions(district_codes=spelling))
        cut = filtered(tmp_path / result.output.path, DISTRICT, other, result)
        assert len(cut["household_id", "2024"]) == 0


@pytest.mark.model
@pytest.mark.parametrize("spelling", ["00", "01"])
def test_areas_of_the_golden_nation(golden_inputs: PreparedInputs, tmp_path: Path, spelling: us.AtLargeCode) -> None:
    """At large, one of many, the largest state; every code of the nation is that of a district."""
    index = golden_inputs.clones
    active = index.districts[np.diff(index.indptr) > 0]
    nation = check(golden_inputs, tmp_path, spelling, [201, 1101, 5001, 3701, 5508], [2, 6, 11, 56])
    with h5py.File(tmp_path / nation.output.path) as file:
        found = set(file[f"{DISTRICT}/2024"][()].tolist())
    assert found == set(written_districts(active, spelling).tolist())
