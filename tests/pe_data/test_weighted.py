"""Weighted statistics of arrays: what they are defined to be, for any values and weights."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from microdf import MicroSeries

from pe_data.read.weighted import effective_size, mean, quantiles, total

numbers = st.floats(-1e9, 1e9).map(lambda x: round(x, 3))
shares = st.floats(0, 1) | st.integers(0, 100).map(lambda k: k / 100)
DYADIC = np.array([0, 0.125, 0.25, 0.5, 0.75, 1.0])


def arrays(rows):
    values, weights = zip(*rows, strict=True)
    return np.array(values, np.float64), np.array(weights, np.float64)


def some(weights):
    return st.lists(st.tuples(numbers, weights), min_size=1, max_size=40).filter(lambda rows: any(w for _, w in rows))


whole = some(st.integers(0, 6))
broken = some(st.just(0.0) | st.floats(1e-3, 1e6))


@settings(deadline=None)
@given(whole, st.lists(shares, min_size=1, max_size=5))
def test_a_weight_is_so_many_rows(rows, at):
    values, weights = arrays(rows)
    repeated = np.repeat(values, weights.astype(int))
    expected = np.quantile(repeated, at, method="inverted_cdf")
    assert quantiles(values, weights, np.array(at)).tolist() == expected.tolist()
    assert total(values, weights) == pytest.approx(repeated.sum(), abs=1e-3)
    assert mean(values, weights) == pytest.approx(repeated.mean(), rel=1e-9, abs=1e-3)
    ones = np.ones(len(repeated))
    assert effective_size(ones) == pytest.approx(len(repeated))


@settings(deadline=None)
@given(broken, st.integers(-300, 300), st.lists(shares, min_size=1, max_size=3))
def test_a_power_of_two_in_all_weights_changes_no_bit(rows, power, at):
    values, weights = arrays(rows)
    scaled, at = np.ldexp(weights, power), np.array(at)
    # Whole numbers are summed without rounding slack; keep both sides on the same side of that.
    if (weights == np.floor(weights)).all() == (scaled == np.floor(scaled)).all():
        assert quantiles(values, scaled, at).tolist() == quantiles(values, weights, at).tolist()
    assert mean(values, scaled) == mean(values, weights)
    assert effective_size(scaled) == effective_size(weights)


@settings(deadline=None)
@given(whole, st.sampled_from([0.1, 0.7, 1 / 3, 3, 1e-9, 1e9, math.pi]))
def test_a_factor_in_all_weights_changes_nothing(rows, factor):
    values, weights = arrays(rows)
    assert quantiles(values, weights * factor, DYADIC).tolist() == quantiles(values, weights, DYADIC).tolist()
    assert mean(values, weights * factor) == pytest.approx(mean(values, weights), rel=1e-9, abs=1e-3)
    assert effective_size(weights * factor) == pytest.approx(effective_size(weights))


@settings(deadline=None)
@given(broken, st.lists(shares, min_size=2, max_size=5).map(sorted))
def test_a_quantile_is_a_value_that_occurs_and_never_falls(rows, at):
    values, weights = arrays(rows)
    found = quantiles(values, weights, np.array([0.0, *at, 1.0])).tolist()
    used = values[weights > 0]
    assert set(found) <= set(used.tolist())
    assert found == sorted(found)
    assert (found[0], found[-1]) == (used.min(), used.max())
    for share, value in zip(at, found[1:-1], strict=True):
        below = weights[values < value].sum() / weights.sum()
        assert below <= share + 1e-9
        assert weights[values <= value].sum() / weights.sum() >= share - 1e-9


@settings(deadline=None)
@given(broken, st.randoms())
def test_the_order_of_rows_does_not_count(rows, random):
    values, weights = arrays(rows)
    order = list(range(len(values)))
    random.shuffle(order)
    assert quantiles(values[order], weights[order], DYADIC).tolist() == quantiles(values, weights, DYADIC).tolist()
    assert mean(values[order], weights[order]) == pytest.approx(mean(values, weights), rel=1e-9, abs=1e-3)


@settings(deadline=None)
@given(broken)
def test_the_effective_sample_lies_between_one_and_the_number_of_rows(rows):
    _, weights = arrays(rows)
    assert 1 - 1e-9 <= effective_size(weights) <= (weights > 0).sum() + 1e-9


@settings(deadline=None)
@given(st.lists(st.tuples(numbers, st.floats(1e-3, 1e6)), min_size=1, max_size=40))
def test_microdf_means_the_same(rows):
    values, weights = arrays(rows)
    series = MicroSeries(values, weights=weights)
    assert total(values, weights) == pytest.approx(series.sum(), rel=1e-9, abs=1e-2)
    assert mean(values, weights) == pytest.approx(series.mean(), rel=1e-9, abs=1e-3)
    # Where a sum of weights is within rounding of the share the two may take the value before or after.
    at = np.array([0.25, 0.5, 0.75])
    reached = np.cumsum(weights[np.argsort(values, kind="stable")]) / weights.sum()
    clear = at[(np.abs(reached[:, None] - at) > 1e-9).all(axis=0)]
    assert quantiles(values, weights, clear).tolist() == [series.quantile(share) for share in clear]


def test_by_hand():
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([1.0, 2.0, 1.0])
    assert (total(values, weights), mean(values, weights)) == (7, 1.75)
    assert quantiles(values, weights, np.array([0, 0.5, 0.51, 0.75, 1])).tolist() == [1, 1, 2, 2, 3]
    assert effective_size(weights) == pytest.approx(16 / 6)


def test_without_weight():
    values, none = np.array([3.0, np.inf]), np.zeros(2)
    assert total(values, none) == 0
    assert math.isnan(mean(values, none))
    assert np.isnan(quantiles(values, none, np.array([0.5]))).all()
    assert effective_size(none) == 0
    empty = np.array([])
    assert (total(empty, empty), effective_size(empty)) == (0, 0)
    assert math.isnan(mean(empty, empty))


@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_no_square_is_too_large_or_too_small(factor):
    weights = np.array([1.0, 3.0]) * factor
    assert effective_size(weights) == pytest.approx(1.6)
    assert mean(np.array([0.0, 4.0]), weights) == pytest.approx(3)


def test_a_row_without_weight_does_not_count():
    values, weights = np.array([1.0, 9.0, np.inf]), np.array([1.0, 1.0, 0.0])
    assert (total(values, weights), mean(values, weights)) == (10, 5)
    assert quantiles(values, weights, np.array([0, 1])).tolist() == [1, 9]
