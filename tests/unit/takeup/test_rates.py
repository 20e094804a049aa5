"""Rates: the year rule, states, and the boundaries of cells."""

import numpy as np
import pytest

from local_h5.errors import InputError
from local_h5.takeup.programmes import load_programmes
from local_h5.takeup.rates import AxisForm, CellRates, ConstantRate, LevelForm, StateRates

HEAD_START = ConstantRate((("2020-09-01", 0.4), ("2021-09-01", 0.3)))


@pytest.mark.parametrize(("year", "rate"), [(2020, 0.4), (2021, 0.3), (2024, 0.3)])
def test_latest_entry_not_after_the_year(year: int, rate: float) -> None:
    assert HEAD_START.at("v", year) == rate


def test_two_entries_of_one_year_give_the_later() -> None:
    assert ConstantRate((("2020-01-01", 0.1), ("2020-07-01", 0.2))).at("v", 2020) == 0.2


def test_year_before_the_first_entry_is_an_error() -> None:
    with pytest.raises(InputError, match=r"^v: rate.constant: expected a rate for 2019 or earlier, found .*2020-09-01"):
        HEAD_START.at("v", 2019)


def test_rates_by_state() -> None:
    rates = StateRates.from_postal({"AK": 0.88, "CA": 0.78})
    assert rates.of("v", np.array([6, 2, 6], dtype=np.int32)).tolist() == [0.78, 0.88, 0.78]


@pytest.mark.parametrize(("code", "name"), [(36, "NY"), (72, "FIPS 72"), (0, "FIPS 00"), (101, "FIPS 101")])
def test_state_without_a_rate_is_an_error(code: int, name: str) -> None:
    rates = StateRates.from_postal({"AK": 0.88})
    with pytest.raises(InputError, match=rf"^v: rate.by_state: .* found none for {name} \(2 rows\)"):
        rates.of("v", np.array([2, code, code]))


def filing() -> CellRates:
    rate = next(p.rate for p in load_programmes() if p.variable == "would_file_taxes_voluntarily")
    assert isinstance(rate, CellRates)
    return rate


BELOW_15K, BELOW_30K = (float(np.nextafter(np.float32(x), np.float32(0))) for x in (15_000, 30_000))


@pytest.mark.parametrize(
    ("children", "wages", "age", "rate"),
    [
        (0, 0.0, 64, 0.2),
        (0, 0.0, 65, 0.05),
        (0, -500.0, 64.99, 0.2),
        (0, 0.01, 64, 0.24),
        (0, BELOW_15K, 65, 0.04),
        (0, 15_000.0, 64, 0.0),
        (0, BELOW_30K, 65, 0.0),
        (0, 30_000.0, 64, 0.0),
        (0, 30_000.0, 65, 0.005),
        (1, 0.0, 64, 0.5),
        (1, 0.0, 65, 0.075),
        (2, 14_999.0, 40, 0.6),
        (1, 14_999.0, 65, 0.06),
        (1, 15_000.0, 40, 0.0),
        (1, 30_000.0, 40, 0.025),
        (1, 1e9, 65, 0.0037),
    ],
)
def test_voluntary_filing_cells(children: int, wages: float, age: float, rate: float) -> None:
    values = {
        "tax_unit_child_dependents": np.array([children], dtype=np.int32),
        "employment_income": np.array([wages], dtype=np.float32),
        "age_head": np.array([age], dtype=np.float32),
    }
    got = filing().of_units(values, np.array([0]), 1)
    assert got.dtype == np.float32
    assert got[0] == np.float32(rate)


def test_wages_are_the_sum_over_the_units_persons() -> None:
    values = {
        "tax_unit_child_dependents": np.zeros(2),
        "employment_income": np.array([9_000, 20_000, 6_000], dtype=np.float32),
        "age_head": np.array([30, 30]),
    }
    # unit 1 has 15,000 (medium), unit 0 has 20,000 (medium); apart they would be low
    assert filing().of_units(values, np.array([1, 0, 1]), 2).tolist() == [0.0, 0.0]
    assert filing().of_units(values, np.array([1, 0, 0]), 2).tolist() == pytest.approx([0.0, 0.24])


def test_the_sum_is_float32() -> None:
    axis = AxisForm("wages", "w", "person", (LevelForm("low", at_most=2.0**24), LevelForm("high")), "sum")
    cells = CellRates((axis,), np.array([0.25, 0.75], dtype=np.float32))
    # 2**24 + 1 is not a float32, so the persons' sum stays at the bound
    values = {"w": np.array([2.0**24, 1.0])}
    assert cells.of_units(values, np.array([0, 0]), 1).tolist() == [0.25]


def test_values_that_are_not_finite_are_an_error() -> None:
    values = {
        "tax_unit_child_dependents": np.array([0, 0]),
        "employment_income": np.array([0.0, 0.0]),
        "age_head": np.array([30, np.nan]),
    }
    with pytest.raises(InputError, match=r"^age_head: axis age: .*the first at row 1"):
        filing().of_units(values, np.array([0, 1]), 2)


@pytest.mark.parametrize("found", [None, np.zeros(3)])
def test_missing_or_short_variable_is_an_error(found: np.ndarray | None) -> None:
    values = {"tax_unit_child_dependents": np.zeros(2), "employment_income": np.zeros(2)}
    if found is not None:
        values["age_head"] = found
    with pytest.raises(InputError, match=r"^age_head: axis age: expected 2 values of entity tax_unit"):
        filing().of_units(values, np.array([0, 1]), 2)
