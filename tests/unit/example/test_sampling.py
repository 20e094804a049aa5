import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_h5.errors import ConfigError
from local_h5_example.sampling import allocate, draw_sample, inclusion_probabilities, systematic


def sample(seed: int, n: int = 600, states: int = 4, size: int = 100, certainty_amount: float = 300_000.0):
    random = np.random.default_rng(seed)
    frame = {
        "state": random.permutation(np.arange(n) % states),
        "weight": random.uniform(10, 1000, n),
        "amount": random.exponential(80_000, n),
        "order": random.normal(size=n),
    }
    drawn = draw_sample(
        **frame,
        size=size,
        certainty_amount=certainty_amount,
        minimum_per_state=5,
        random=np.random.default_rng(seed),
    )
    return frame, drawn


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(20, 300))
def test_size_totals_and_certainty(seed: int, size: int) -> None:
    frame, drawn = sample(seed, size=size)
    assert len(drawn.rows) == size == len(np.unique(drawn.rows))
    certain = np.flatnonzero(frame["amount"] > drawn.certainty_amount)
    assert np.isin(certain, drawn.rows).all()
    taken = np.isin(drawn.rows, certain)
    assert np.array_equal(drawn.weight[taken], frame["weight"][drawn.rows[taken]])
    assert np.all(drawn.weight >= frame["weight"][drawn.rows] * (1 - 1e-12))
    # Probability proportional to weight inside a state: the state's total is met by construction.
    for state in range(4):
        total = frame["weight"][frame["state"] == state].sum()
        assert drawn.weight[frame["state"][drawn.rows] == state].sum() == pytest.approx(total)


def test_the_certainty_amount_rises_when_too_many_exceed_it() -> None:
    _, drawn = sample(1, certainty_amount=0.0)
    assert drawn.certain == 60
    assert drawn.certainty_amount > 0


def test_inclusion_probabilities_are_those_of_repeated_draws() -> None:
    inclusion = inclusion_probabilities(np.array([1.0, 2.0, 3.0, 50.0]), 2)
    assert inclusion.tolist() == pytest.approx([1 / 6, 2 / 6, 3 / 6, 1.0])
    hits = np.zeros(4)
    for start in (np.arange(6000) + 0.5) / 6000:
        hits[systematic(inclusion, float(start))] += 1
    assert hits / 6000 == pytest.approx(inclusion, abs=1e-3)


@settings(max_examples=100, deadline=None)
@given(
    share=st.lists(st.floats(1, 1e6), min_size=1, max_size=20),
    total=st.integers(1, 500),
    floor=st.integers(0, 30),
    available=st.integers(0, 100),
)
def test_allocation(share: list[float], total: int, floor: int, available: int) -> None:
    room = np.arange(len(share)) % 7 + available
    sizes = allocate(total, np.array(share), floor, room)
    assert sizes.sum() == min(total, room.sum())
    assert np.all(sizes <= room)
    assert np.all(sizes >= np.minimum(min(floor, total // len(share)), room))


@pytest.mark.parametrize("size", [11, 601])
def test_a_size_that_cannot_be_drawn_is_refused(size: int) -> None:
    with pytest.raises(ConfigError, match=r"households.*from 12 .* to 600"):
        sample(0, size=size)
