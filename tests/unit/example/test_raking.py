import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from local_h5_example.raking import TOLERANCE, rake


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(6, 60),
    k=st.integers(1, 6),
    spread=st.floats(0.0, 3.0),
)
def test_reachable_margins_are_met(seed: int, n: int, k: int, spread: float) -> None:
    random = np.random.default_rng(seed)
    weights = random.uniform(1, 1000, n)
    counts = random.integers(0, 5, (n, k))
    counts[:k] += np.eye(k, dtype=int)
    targets = (weights * np.exp(random.normal(0, spread, n))) @ counts
    result = rake(weights, counts, targets)
    assert result.met
    assert np.all(result.weights > 0)
    assert np.max(np.abs(result.weights @ counts / targets - 1)) <= 2 * TOLERANCE


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_result_is_the_nearest_of_its_kind(seed: int) -> None:
    random = np.random.default_rng(seed)
    weights, counts = random.uniform(1, 10, 40), random.integers(0, 4, (40, 3)) + np.eye(40, 3, dtype=int)
    result = rake(weights, counts, (weights * random.uniform(0.5, 2, 40)) @ counts)
    # The log ratios are a linear combination of the counts: the condition of least relative entropy.
    ratio = np.log(result.weights / weights)
    residual = ratio - counts @ np.linalg.lstsq(counts, ratio, rcond=None)[0]
    assert np.max(np.abs(residual)) < 1e-6


def test_margins_that_already_hold_change_nothing() -> None:
    weights = np.array([1.0, 2.0, 3.0])
    counts = np.array([[1, 0], [0, 1], [1, 1]])
    assert np.array_equal(rake(weights, counts, weights @ counts).weights, weights)


def test_an_unreachable_margin_is_reported() -> None:
    result = rake(np.ones(3), np.array([[1, 1], [1, 1], [1, 1]]), np.array([3.0, 5.0]))
    assert not result.met
    assert result.worst > 0.1
