"""A finished run of the default configuration: `make all`, then `pytest -m run`. Reads `results/`, builds nothing."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from local_h5.config.settings import Settings
from local_h5.runs.summary import SUM_TOLERANCE, LevelSummary, summarise, sums_agree

pytestmark = pytest.mark.run

ROOT = Path(__file__).parents[2]
POPULATION_TOLERANCE = 0.005


@pytest.fixture(scope="module")
def settings() -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        config = yaml.safe_load(Path("config/config.yaml").read_text(encoding="utf-8"))
        return Settings.load(config)


@pytest.fixture(scope="module")
def levels(settings: Settings) -> dict[str, LevelSummary]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return {level.area_type: level for level in summarise(settings)}


def test_every_area_is_built(levels: dict[str, LevelSummary]) -> None:
    assert {name: level.built for name, level in levels.items()} == {
        "national": 1,
        "state": 51,
        "district": 436,
        "city": 1,
    }


def test_levels_have_the_same_sums(levels: dict[str, LevelSummary]) -> None:
    difference = sums_agree(levels.values())
    assert difference is not None
    assert difference <= SUM_TOLERANCE
    assert levels["state"].persons == levels["district"].persons == levels["national"].persons


@pytest.mark.parametrize("area_type", ["national", "state", "district"])
def test_persons_meet_the_acs(levels: dict[str, LevelSummary], area_type: str) -> None:
    gap = levels[area_type].largest_gap
    assert gap is not None
    assert gap[0] <= POPULATION_TOLERANCE, gap


def test_every_file_of_the_run_has_one_schema(settings: Settings) -> None:
    def schema(path: Path) -> list[tuple[str, str, str]]:
        with h5py.File(path) as file:
            return [(v, p, file[v][p].dtype.str) for v in file for p in file[v]]

    chosen = ["national/US", "states/WY", "districts/NC-01", "districts/CA-30", "districts/DC-01", "cities/NYC"]
    schemas = [schema(ROOT / settings.results / f"{name}.h5") for name in chosen]
    assert all(other == schemas[0] for other in schemas[1:])


def test_a_file_says_that_it_is_synthetic(settings: Settings) -> None:
    with h5py.File(ROOT / settings.results / "districts" / "NC-01.h5") as file:
        assert "synthetic" in file.attrs["geography"]
        assert "imputed" in file.attrs["ages"]


def test_a_second_run_builds_nothing() -> None:
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "all"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Nothing to be done" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["states/WY", "districts/NC-01", "districts/CA-30", "districts/DC-01"])
def test_the_model_loads_and_computes(settings: Settings, name: str) -> None:
    from policyengine_us import Microsimulation

    path = ROOT / settings.results / f"{name}.h5"
    simulation = Microsimulation(dataset=str(path))
    for variable in ("household_net_income", "income_tax", "snap", "spm_unit_spm_threshold"):
        values = np.asarray(simulation.calculate(variable, 2024, use_weights=False), dtype=float)
        assert len(values)
        assert np.isfinite(values).all(), variable
    with h5py.File(path) as file:
        for variable in ("state_fips", "congressional_district_geoid"):
            assert np.array_equal(
                np.asarray(simulation.calculate(variable, 2024, use_weights=False)), file[variable]["2024"][()]
            )
        county = np.asarray(simulation.calculate("county", 2024, use_weights=False)).astype(str)
        assert np.array_equal(county, np.char.decode(file["county"]["2024"][()], "utf-8"))
