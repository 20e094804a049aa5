import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from example_tiny import COLUMNS, columns, many_units, states_of

from local_h5.errors import InputError
from local_h5.inputs.source import read_source
from local_h5_example.microdata import GROWTH, YEAR, growth_factors, read_tax_units
from local_h5_example.source_h5 import SourceSettings, convert, rake_states, write_source

STATES = (1, 2, 6)
SETTINGS = SourceSettings(households=40, seed=7, minimum_per_state=5)


@pytest.fixture(scope="module")
def converted():
    return convert(many_units(300, STATES, 5), states_of(STATES), SETTINGS)


def test_weights_meet_state_population_and_national_ages(converted) -> None:
    source, states = converted.source, states_of(STATES)
    weight = source.values("household_weight").astype(np.float64)
    persons = np.bincount(np.searchsorted(states.code, source.values("state_fips")), weight * source.household_persons)
    assert persons == pytest.approx(states.total, rel=1e-6)
    assert converted.measured["raking"]["ages_met"]
    ages = weight @ source.age_counts()
    assert ages[0] == pytest.approx(states.under_18.sum(), rel=1e-6)
    assert ages[2] == pytest.approx(states.from_65.sum(), rel=1e-6)


def test_ages_that_no_weights_can_meet_leave_the_state_totals(converted) -> None:
    adults_only = states_of(STATES)
    impossible = type(adults_only)(
        "state", adults_only.code, adults_only.total, adults_only.total - 2, adults_only.from_65
    )
    weight, ages_met = rake_states(np.ones(40), converted.source, impossible)
    assert not ages_met
    in_state = converted.source.values("state_fips") == 6
    assert weight[in_state] @ converted.source.household_persons[in_state] == pytest.approx(impossible.total[2])


def test_a_state_without_population_is_named(converted) -> None:
    with pytest.raises(InputError, match=r"\[6, 8\]"):
        rake_states(np.ones(40), converted.source, states_of((1, 2, 8)))


def test_the_file_is_a_valid_source_that_says_what_it_is(converted, tmp_path: Path) -> None:
    path = tmp_path / "source.h5"
    write_source(path, converted, SETTINGS, {"x": "y"})
    source = read_source(path)
    assert source.year == YEAR
    with h5py.File(path) as file:
        assert "synthetic" in file.attrs["geography"]
        assert "imputed" in file.attrs["ages"]
        assert file.attrs["seed"] == 7
        assert all(list(group) == [str(YEAR)] for group in file.values())
    sidecar = json.loads((tmp_path / "source.h5.json").read_text())
    assert "synthetic" in sidecar["notice"]["geography"]
    assert sidecar["measured"]["rows"]["household"] == 40
    assert sidecar["measured"]["weighted"]["persons"] == pytest.approx(600_000)


def test_equal_settings_give_equal_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    units, states = many_units(300, STATES, 5), states_of(STATES)
    digests = []
    for number, seed in enumerate((7, 7, 8)):
        settings = SourceSettings(households=40, seed=seed, minimum_per_state=5)
        path = tmp_path / str(number) / "source.h5"
        write_source(path, convert(units, states, settings), settings, {})
        digests.append(path.read_bytes())
    assert digests[0] == digests[1] != digests[2]


def write_csv(path: Path, table: dict[str, np.ndarray]) -> None:
    rows = [",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]
    path.write_text("\n".join(rows) + "\n")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    microdata, weights, growth = (tmp_path / name for name in ("cps.csv", "weights.csv", "growth.csv"))
    write_csv(
        microdata,
        columns({"h_seq": 2, "e00200p": 100, "e00900p": -100}, {"h_seq": 1, "a_lineno": 2}, {"h_seq": 1}),
    )
    write_csv(weights, {f"WT{YEAR}": np.array([300, 200, 100])})
    names = sorted({name for pair in GROWTH.values() for name in pair})
    years = np.arange(2014, YEAR + 1)
    write_csv(growth, {"YEAR": years} | {name: np.where(years == 2015, 1.5, 1.0) for name in names})
    return microdata, weights, growth


def test_reading_orders_units_and_ages_amounts(files: tuple[Path, Path, Path]) -> None:
    units = read_tax_units(*files)
    assert units.household.tolist() == [0, 0, 1]
    assert units.weight.tolist() == [1.0, 2.0, 3.0]
    assert units.columns["e00200p"].tolist() == [0, 0, 150]
    assert units.columns["e00900p"].tolist() == [0, 0, -150]
    assert units.largest.tolist() == [0, 0, 100]


def test_growth_is_the_product_of_the_years_after_the_first(files: tuple[Path, Path, Path]) -> None:
    assert growth_factors(files[2], 2014, 2024)["AWAGE"] == 1.5
    assert growth_factors(files[2], 2015, 2024)["AWAGE"] == 1.0
    with pytest.raises(InputError, match="2025"):
        growth_factors(files[2], 2014, 2025)


def test_wrong_files_are_named(files: tuple[Path, Path, Path]) -> None:
    microdata, weights, growth = files
    write_csv(weights, {f"WT{YEAR}": np.array([300, 200])})
    with pytest.raises(InputError, match=r"weights\.csv: rows: expected 3.*found 2"):
        read_tax_units(microdata, weights, growth)
    write_csv(microdata, {name: np.array([1]) for name in COLUMNS if name != "nu06"})
    with pytest.raises(InputError, match=r"cps\.csv.*nu06"):
        read_tax_units(microdata, weights, growth)
