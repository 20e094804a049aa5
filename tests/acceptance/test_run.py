"""A finished run of the default configuration: `make all`, then `pytest -m run`. Reads `results/`, builds nothing."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from msgspec.structs import replace
from row_filter import different, filtered, stored

from local_h5.build.area import build_area
from local_h5.config.settings import Settings
from local_h5.contracts.results import read_sidecar
from local_h5.inputs.source import read_source
from local_h5.prepared.own import prepare_own_places
from local_h5.prepared.steps import load_variable_rules, own_snapshot
from local_h5.runs.summary import SUM_TOLERANCE, LevelSummary, summarise, sums_agree
from local_h5.takeup.programmes import load_programmes
from local_h5.us import STATE_FIPS

pytestmark = pytest.mark.run

ROOT = Path(__file__).parents[2]
POPULATION_TOLERANCE = 0.005
DISTRICT = "congressional_district_geoid"


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


def test_a_row_filter_on_the_nation_finds_every_state_and_district(settings: Settings) -> None:
    """By the codes that policyengine.py asks for, made from the table of districts alone: households and weights."""
    folder = ROOT / settings.results
    with h5py.File(folder / "national/US.h5") as file:
        columns = {name: file[f"{name}/2024"][()] for name in (DISTRICT, "state_fips", "household_weight")}
    seats = Counter(district.state for district in settings.districts)
    codes = {
        f"districts/{d.name}": (DISTRICT, 100 * STATE_FIPS[d.state] + (0 if seats[d.state] == 1 else int(d.name[3:])))
        for d in settings.districts
    }
    codes |= {f"states/{postal}": ("state_fips", fips) for postal, fips in STATE_FIPS.items()}
    assert len(codes) == 487
    for area, (column, code) in codes.items():
        own = read_sidecar(folder / f"{area}.h5.result.json")
        weights = columns["household_weight"][columns[column] == code]
        assert (len(weights), weights.astype(np.float64).sum()) == (own.rows["household"], own.weights.households), area


@pytest.mark.parametrize(
    ("area", "column", "code"),
    [
        ("districts/AK-01", DISTRICT, 200),
        ("districts/DC-01", DISTRICT, 1100),
        ("districts/NC-01", DISTRICT, 3701),
        ("states/WY", "state_fips", 56),
    ],
)
def test_a_row_filter_on_the_nation_gives_the_areas_own_file(
    settings: Settings, area: str, column: str, code: int
) -> None:
    folder = ROOT / settings.results
    assert different(filtered(folder / "national/US.h5", column, code), stored(folder / f"{area}.h5")) == set()


def test_the_nation_given_back_gives_areas_as_the_package_gave_them(settings: Settings, tmp_path: Path) -> None:
    """`national/US.h5` as an area-coded dataset: variable by variable, and the file's notes.

    All but most districts, whose rows are in the files of their states too.
    """
    results = ROOT / settings.results
    source = read_source(results / "national/US.h5")
    made = prepare_own_places(source, load_programmes(), ROOT / settings.config.areas.districts)
    inputs = made.with_snapshot(own_snapshot(source, load_variable_rules(ROOT / settings.config.variables)))
    districts = [request for request in settings.requests if request.area_type == "district"]
    chosen = [request for request in settings.requests if request.area_type != "district"] + districts[::10]
    differing = {}
    for request in chosen:
        build_area(replace(request, package="dataset"), inputs, tmp_path)
        own, again = results / request.relative_path, tmp_path / request.relative_path
        names = different(stored(own), stored(again))
        if names or notes(own) != notes(again):
            differing[request.key] = names
        again.unlink()
    assert not differing
    assert len(chosen) == 97


def notes(path: Path) -> dict[str, str]:
    with h5py.File(path) as file:
        return dict(file.attrs)


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


def test_what_variables_mean_takes_two_percent_of_the_smallest_file(settings: Settings) -> None:
    smallest = min((ROOT / settings.results / "districts").glob("*.h5"), key=lambda path: path.stat().st_size)
    with h5py.File(smallest) as file:
        assert 0 < file.attrs["pe_data.dictionary"].nbytes <= 0.02 * smallest.stat().st_size


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
