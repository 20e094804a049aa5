"""Adjusted rates equal a plain loop over households, written from the rule."""

import math
import time
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_h5 import us
from local_h5.errors import InputError
from local_h5.takeup import anchors
from local_h5.takeup.anchors import AdjustedRates, clone_adjusted_rates, file_adjusted_rates
from local_h5.takeup.eligibility import PackedEligibility
from local_h5.takeup.rates import StateRates

RATES = {"AK": 0.88, "CA": 0.78, "NC": 0.94, "WY": 0.7}
COUNTIES = [2020, 6001, 6037, 37001, 56001]


def plain_adjusted(rate: float, eligible: int, reported: int) -> float:
    """``eligible`` counts reported units too."""
    target = math.trunc(float(rate) * eligible)
    need = max(0, target - reported)
    return need / (eligible - reported) if eligible > reported else 0.0


def plain_clone_rates(
    rate: float | dict[int, float],
    n_households: int,
    county: list[int],
    unit_household: list[int],
    reported: list[bool],
    eligible_in: dict[int, list[bool]] | None,
) -> dict[tuple[int, int | None], float]:
    eligible_count: Counter[tuple[int, int | None]] = Counter()
    reported_count: Counter[tuple[int, int | None]] = Counter()
    for clone in range(len(county) // n_households):
        for unit, household in enumerate(unit_household):
            here = county[clone * n_households + household]
            group = (clone, here // 1000 if isinstance(rate, dict) else None)
            eligible = eligible_in is None or (here != 0 and eligible_in[here][unit])
            eligible_count[group] += eligible or reported[unit]
            reported_count[group] += reported[unit]
    return {
        group: plain_adjusted(
            rate[group[1]] if isinstance(rate, dict) else rate, eligible_count[group], reported_count[group]
        )
        for group in eligible_count
        if group[1] != 0
    }


@st.composite
def cases(draw: st.DrawFn) -> dict[str, object]:
    n_households = draw(st.integers(1, 8))
    n_clones = draw(st.integers(1, 5))
    owners = draw(st.lists(st.integers(0, n_households - 1), max_size=6))
    unit_household = draw(st.permutations([*range(n_households), *owners]))
    n_units = len(unit_household)
    flags = st.lists(st.booleans(), min_size=n_units, max_size=n_units)
    n = n_households * n_clones
    return {
        "n_households": n_households,
        "county": draw(st.lists(st.sampled_from([0, *COUNTIES]), min_size=n, max_size=n)),
        "unit_household": unit_household,
        "reported": draw(flags),
        "eligible_in": draw(st.none() | st.fixed_dictionaries(dict.fromkeys(COUNTIES, flags))),
    }


@given(cases(), st.booleans(), st.sampled_from([0.0, 0.28, 0.672, 0.94, 1.0]), st.sampled_from([1, 20, 1 << 20]))
@settings(deadline=None)
def test_clone_rates_equal_a_plain_loop(case: dict, by_state: bool, rate: float, chunk: int) -> None:
    plain = {us.STATE_FIPS[code]: value for code, value in RATES.items()} | {0: 0.5} if by_state else rate
    expected = plain_clone_rates(plain, **case)
    county = np.array(case["county"], dtype=np.int32)
    eligible_in = case["eligible_in"]
    n_units = len(case["unit_household"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anchors, "_CHUNK_UNITS", chunk)
        got = clone_adjusted_rates(
            "v",
            StateRates.from_postal(RATES) if by_state else rate,
            n_households=case["n_households"],
            state=county // 1000,
            county=county,
            unit_household=np.array(case["unit_household"], dtype=np.int32),
            reported=np.array(case["reported"], dtype=np.bool_),
            eligibility=None
            if eligible_in is None
            else PackedEligibility.pack(((c, np.array(e)) for c, e in eligible_in.items()), n_units),
        )
    groups = list(expected)
    clone = np.array([group[0] for group in groups], dtype=np.int64)
    state = np.array([group[1] or 0 for group in groups], dtype=np.int64)
    assert got.of("v", clone, state).tolist() == list(expected.values())


@given(st.integers(0, 400), st.data(), st.floats(0, 1))
def test_adjusted_rate_is_a_share_and_meets_the_target(eligible: int, data: st.DataObject, rate: float) -> None:
    reported = data.draw(st.integers(0, eligible))
    (got,) = anchors.adjust(np.array([rate]), np.array([eligible]), np.array([reported]))
    assert got == plain_adjusted(rate, eligible, reported)
    assert 0 <= got <= 1
    target = max(math.trunc(rate * eligible), reported)
    assert reported + got * (eligible - reported) == pytest.approx(target if eligible > reported else reported)


@pytest.mark.parametrize(
    ("rate", "eligible", "reported", "adjusted"),
    [(0.29, 100, 0, 0.28), (0.5, 10, 6, 0.0), (0.5, 10, 10, 0.0), (0.9, 10, 4, 5 / 6), (0.5, 0, 0, 0.0)],
)
def test_the_target_is_truncated_in_float64(rate: float, eligible: int, reported: int, adjusted: float) -> None:
    # 0.29 * 100 is 28.999999999999996 in float64
    assert anchors.adjust(np.array([rate]), np.array([eligible]), np.array([reported])).tolist() == [adjusted]


@given(st.lists(st.tuples(st.sampled_from([2, 6, 37]), st.booleans(), st.booleans()), min_size=1), st.booleans())
def test_file_rates_equal_a_plain_loop(units: list[tuple[int, bool, bool]], by_state: bool) -> None:
    state, eligible, reported = (np.array(part) for part in zip(*units, strict=True))
    got = file_adjusted_rates(
        "v", StateRates.from_postal(RATES) if by_state else 0.672, state=state, eligible=eligible, reported=reported
    )
    for here, value in zip(state.tolist(), got.tolist(), strict=True):
        group = [u for u in units if u[0] == here or not by_state]
        rate = RATES[us.STATE_POSTAL[here]] if by_state else 0.672
        assert value == plain_adjusted(rate, sum(e or r for _, e, r in group), sum(r for _, _, r in group))


def test_file_without_units() -> None:
    none = np.array([], dtype=np.bool_)
    for rate in (0.5, StateRates.from_postal(RATES)):
        got = file_adjusted_rates("v", rate, state=np.array([], dtype=np.int32), eligible=none, reported=none)
        assert got.shape == (0,)


def test_state_without_a_rate_is_an_error() -> None:
    with pytest.raises(InputError, match=r"^v: rate.by_state: .*none for NY"):
        clone_adjusted_rates(
            "v",
            StateRates.from_postal(RATES),
            n_households=1,
            state=np.array([6, 36]),
            county=np.array([6001, 36061]),
            unit_household=np.array([0]),
            reported=np.array([True]),
        )


@pytest.mark.parametrize(
    ("n_households", "n_state", "n_reported"), [(2, 3, 2), (2, 4, 1), (0, 4, 2)], ids=["clones", "reports", "none"]
)
def test_lengths_must_agree(n_households: int, n_state: int, n_reported: int) -> None:
    with pytest.raises(InputError, match=r"^v: adjusted rates: expected states and counties of whole clones"):
        clone_adjusted_rates(
            "v",
            0.5,
            n_households=n_households,
            state=np.full(n_state, 6),
            county=np.full(n_state, 6001),
            unit_household=np.array([0, 1]),
            reported=np.zeros(n_reported, dtype=np.bool_),
        )


def test_lookup_of_what_was_not_prepared() -> None:
    rates = AdjustedRates(np.array([[0.1, 0.2]]), np.array([6, 37], dtype=np.int32))
    assert rates.of("v", np.array([0, 0]), np.array([37, 6])).tolist() == [0.2, 0.1]
    assert rates.of("v", np.array([], dtype=int), np.array([], dtype=int)).shape == (0,)
    with pytest.raises(InputError, match=r"^v: state: .*found FIPS 02"):
        rates.of("v", np.array([0, 0]), np.array([6, 2]))
    with pytest.raises(InputError, match=r"^v: clone: expected below 1, found 1"):
        rates.of("v", np.array([1]), np.array([6]))


@pytest.mark.slow  # only measures
def test_full_size_takes_seconds_and_little_memory() -> None:
    rng = np.random.default_rng(0)
    n_households, n_clones, n_persons, n_units = 24_000, 430, 60_000, 25_000
    codes = np.array([1000 * state + k for state in us.STATE_POSTAL for k in range(1, 122, 2)], dtype=np.int32)
    county = rng.choice(codes, n_households * n_clones)
    eligibility = PackedEligibility.pack(((int(c), rng.random(n_units) < 0.4) for c in codes), n_units)
    common = {"n_households": n_households, "state": county // 1000, "county": county}
    tracemalloc.start()
    start = time.process_time()
    by_state = clone_adjusted_rates(
        "v",
        StateRates.from_postal(dict.fromkeys(us.STATE_FIPS, 0.8)),
        unit_household=rng.integers(0, n_households, n_persons),
        reported=rng.random(n_persons) < 0.2,
        **common,
    )
    by_clone = clone_adjusted_rates(
        "v",
        0.28,
        unit_household=rng.integers(0, n_households, n_units),
        reported=rng.random(n_units) < 0.05,
        eligibility=eligibility,
        **common,
    )
    seconds = time.process_time() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert by_state.values.shape == (430, 51)
    assert by_clone.values.shape == (430, 1)
    assert seconds < 5
    assert peak < 300e6
