"""The facade's own contract: one call from a real-format source to a file that the model loads and gives back."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
from tiny_world import BLOCKS, World

import local_h5
from local_h5 import facade
from local_h5.contracts.results import read_sidecar, sidecar_path

pytestmark = pytest.mark.model

NEEDED = ("household_net_income", "income_tax", "snap", "spm_unit_spm_threshold")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two files from one source in one process: Alaska with North Carolina's first, and Los Angeles with the rest."""
    world = World(tmp_path_factory.mktemp("facade"))
    arguments = world.write()
    snapshots: list[object] = []
    original = facade.prepare_snapshot

    def counted(*inputs: object) -> object:
        snapshots.append(inputs)
        return original(*inputs)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(facade, "prepare_snapshot", counted)
        builder = local_h5.H5Builder()
        assert builder.build_h5(**arguments, cd_subset=["200", "3701"]) == world.output
        everything = arguments | {"output_path": world.folder / "out" / "all.h5", "weights": np.arange(1, 19)}
        builder.build_h5(**everything)
    assert len(snapshots) == 1
    return world


@pytest.fixture(scope="module")
def simulation(world: World):
    from policyengine_us import Microsimulation

    return Microsimulation(dataset=str(world.output))


def selected(world: World) -> np.ndarray:
    return np.flatnonzero(np.isin(world.geography.cd_geoid, ["200", "3701"]))


def test_the_model_computes_on_the_file(world: World, simulation) -> None:
    for name in NEEDED:
        values = np.asarray(simulation.calculate(name, 2024))
        assert np.isfinite(values).all(), name
    assert np.asarray(simulation.calculate("household_net_income", 2024)).any()
    assert len(simulation.calculate("household_net_income", 2024)) == len(selected(world))


def test_the_model_gives_the_geography_back(world: World, simulation) -> None:
    from policyengine_us.variables.household.demographic.geographic.county.county_enum import County

    rows = selected(world)
    blocks = world.geography.block_geoid[rows]

    def values(name: str) -> list[object]:
        found = np.asarray(simulation.calculate(name, 2024))
        return [item.decode() if isinstance(item, bytes) else item for item in found.tolist()]

    counties = values("county")
    assert counties == [world_county(block) for block in blocks]
    assert set(counties) <= {member.name for member in County}
    assert values("state_fips") == [int(block[:2]) for block in blocks]
    assert values("county_fips") == [block[:5] for block in blocks]
    assert values("state_code") == [{"02": "AK", "37": "NC"}[block[:2]] for block in blocks]
    assert values("congressional_district_geoid") == world.geography.cd_geoid[rows].astype(int).tolist()
    assert values("household_weight") == world.weights[rows].astype(np.float32).tolist()


def world_county(block: str) -> str:
    return {
        "02013": "ALEUTIANS_EAST_BOROUGH_AK",
        "37001": "ALAMANCE_COUNTY_NC",
        "37037": "CHATHAM_COUNTY_NC",
    }[block[:5]]


def test_the_callers_spelling_of_districts_stays(world: World) -> None:
    with h5py.File(world.output) as file:
        assert set(file["congressional_district_geoid/2024"][()].tolist()) == {200, 3701}
    with h5py.File(world.folder / "out" / "all.h5") as file:
        written = file["congressional_district_geoid/2024"][()].tolist()
    assert written == world.geography.cd_geoid.astype(int).tolist()
    assert {200, 1198} < set(written)


def test_the_sidecar_says_what_was_asked_and_made(world: World) -> None:
    result = read_sidecar(sidecar_path(world.output))
    assert [item.values for item in result.request.filters] == [("0200", "3701")]
    assert result.rows["household"] == len(selected(world))
    assert {item.variable for item in result.excluded} >= {
        "reported_has_subsidized_marketplace_health_coverage_at_interview"
    }
    assert json.loads(sidecar_path(world.output).read_text())["schema_version"] == 2
    assert result.source_rows == {"household": 6, "person": 12} | {
        unit: len(world.columns[f"{unit}_id"]["2024"]) for unit in ("tax_unit", "spm_unit", "family", "marital_unit")
    }


def test_months_of_a_yearly_value(world: World) -> None:
    with h5py.File(world.output) as file:
        months = [file["receives_wic"][period][()] for period in file["receives_wic"]]
        assert [*file["receives_wic"]] == [f"2024-{month:02d}" for month in range(1, 13)]
        assert min(file) == "age"
    assert all(np.array_equal(months[0], other) for other in months)


def test_placeholder_zip_codes_behave_as_the_models_default(world: World) -> None:
    """Rating areas, small-area rents and payment standards: ``00000`` is as good as the model's default, and the code
    that stands for Los Angeles County is known there."""
    from policyengine_us import Microsimulation

    path = str(world.folder / "out" / "all.h5")
    written, default = Microsimulation(dataset=path), Microsimulation(dataset=path)
    households = len(written.calculate("household_id", 2024))
    default.set_input("zip_code", 2024, np.full(households, "UNKNOWN"))
    county = np.asarray(written.calculate("county_fips", 2024)).astype("U")
    elsewhere = county != "06037"
    assert 0 < elsewhere.sum() < households
    for name in (
        "slcsp_rating_area",
        "medicaid_rating_area",
        "safmr_used_for_hcv",
        "small_area_fair_market_rent",
        "zip_code_payment_standard",
        "pha_payment_standard",
    ):
        pair = [np.asarray(simulation.calculate(name, 2024)) for simulation in (written, default)]
        assert np.array_equal(pair[0][elsewhere], pair[1][elsewhere]), name
    by_zip = np.asarray(written.calculate("slcsp_rating_area_la_county", 2024))
    assert (by_zip[~elsewhere] > 0).all()
    assert (np.asarray(written.calculate("slcsp_rating_area", 2024)) == by_zip)[~elsewhere].all()


def test_importing_the_package_is_cheap() -> None:
    code = (
        "import sys, local_h5; heavy = {'numpy', 'h5py', 'pyarrow', 'policyengine_us'} & set(sys.modules);"
        "assert not heavy, heavy; assert local_h5.__version__; assert 'build_h5' in dir(local_h5);"
        "local_h5.build_h5; assert 'policyengine_us' not in sys.modules and 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="build_h6"):
        local_h5.build_h6  # noqa: B018


def test_blocks_of_the_source_are_the_tables(world: World) -> None:
    """Every field of the block tables arrives in the file, for all six blocks."""
    with h5py.File(world.folder / "out" / "all.h5") as file:
        fields = ("block_geoid", "sldu", "sldl", "place_fips", "vtd", "puma", "zcta")
        rows = {tuple(v.decode() for v in row) for row in zip(*(file[f]["2024"][()] for f in fields), strict=True)}
    assert rows == {(block, *values[1:]) for block, values in BLOCKS.items()}
