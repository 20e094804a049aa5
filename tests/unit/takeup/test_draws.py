"""Draws equal those of one numpy generator per household clone, bit for bit."""

import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local_h5.errors import InputError
from local_h5.inputs.chunks import CHUNK
from local_h5.takeup import draws

EDGES = [0, 1, 2**32 - 1, 2**32, 2**32 + 1, 2**63 - 1]
SEED = st.one_of(st.sampled_from(EDGES), st.integers(0, 2**63 - 1), st.integers(0, 2**33))
RUNS = st.lists(st.tuples(SEED, st.integers(0, 20)), max_size=40)


def plain_hash(text: str) -> int:
    x = 0
    for byte in text.encode("ascii"):
        x = (31 * x + byte) % 2**64
    x ^= x >> 33
    x = (x * 0xFF51AFD7ED558CCD) % 2**64
    x ^= x >> 33
    return x % 2**63


def plain_uniforms(runs: list[tuple[int, int]]) -> list[float]:
    return [value for seed, count in runs for value in np.random.default_rng(seed).random(count)]


def compare(runs: list[tuple[int, int]]) -> None:
    seeds = np.array([seed for seed, _ in runs], dtype=np.uint64)
    counts = np.array([count for _, count in runs], dtype=np.int64)
    got = draws.uniforms(seeds, counts)
    assert got.dtype == np.float64
    assert got.tolist() == plain_uniforms(runs)


@given(RUNS)
@example([(seed, count) for seed in EDGES for count in range(1, 21)])
@settings(deadline=None)
def test_uniforms_equal_default_rng(runs: list[tuple[int, int]]) -> None:
    compare(runs)


def test_uniforms_across_chunks() -> None:
    rng = np.random.default_rng(7)
    n = CHUNK + 3
    compare(list(zip(rng.integers(0, 2**63, n).tolist(), rng.integers(0, 4, n).tolist(), strict=True)))


def test_long_run() -> None:
    compare([(123456789, 1000), (2**63 - 1, 3)])


def test_no_seeds_no_draws() -> None:
    assert draws.uniforms(np.array([], dtype=np.uint64), np.array([], dtype=np.int64)).shape == (0,)


@given(
    variable=st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=60),
    keys=st.lists(
        st.tuples(
            st.one_of(st.sampled_from([0, 9, 10, 99, 100, 2**31 - 1, 2**63 - 1]), st.integers(0, 2**63 - 1)),
            st.one_of(st.integers(0, 1001), st.integers(0, 2**63 - 1)),
        ),
        min_size=1,
        max_size=30,
    ),
)
def test_seeds_equal_a_plain_byte_loop(variable: str, keys: list[tuple[int, int]]) -> None:
    households = np.array([household for household, _ in keys], dtype=np.int64)
    clones = np.array([clone for _, clone in keys], dtype=np.int64)
    got = draws.seeds(variable, households, clones)
    assert got.dtype == np.uint64
    assert got.tolist() == [plain_hash(f"{variable}:{household}:{clone}") for household, clone in keys]


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32, np.uint64])
def test_seeds_do_not_depend_on_the_integer_type(dtype: type[np.integer]) -> None:
    ids = np.array([5, 10, 99999], dtype=dtype)
    expected = [plain_hash(f"v:{i}:{i}") for i in ids.tolist()]
    assert draws.seeds("v", ids, ids).tolist() == expected


def test_ids_above_the_signed_range() -> None:
    ids = np.array([2**64 - 1, 10**19], dtype=np.uint64)
    assert draws.seeds("v", ids, ids).tolist() == [plain_hash(f"v:{i}:{i}") for i in ids.tolist()]


def test_inputs_are_left_alone() -> None:
    ids, clones = np.array([12, 7]), np.array([3, 400])
    suffix = draws.key_suffix(ids, clones)
    before = suffix.factor.copy(), suffix.addend.copy()
    seeds = draws.suffix_seeds("v", suffix)
    kept, counts = seeds.copy(), np.array([2, 0])
    draws.uniforms(seeds, counts)
    assert (ids.tolist(), clones.tolist(), counts.tolist()) == ([12, 7], [3, 400], [2, 0])
    assert (suffix.factor == before[0]).all()
    assert (suffix.addend == before[1]).all()
    assert (seeds == kept).all()


@pytest.mark.parametrize(
    ("households", "clones", "message"),
    [
        (np.array([1, -5]), np.array([0, 0]), "household_ids.*found -5"),
        (np.array([1.0]), np.array([0]), "household_ids: dtype.*float64"),
        (np.array([1]), np.array([0, 1]), "two vectors of one length"),
        (np.array([1]), np.array([-1]), "clones.*found -1"),
    ],
)
def test_wrong_keys_are_refused(households: np.ndarray, clones: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        draws.seeds("v", households, clones)


@pytest.mark.parametrize("counts", [np.array([1]), np.array([1, -1])])
def test_wrong_counts_are_refused(counts: np.ndarray) -> None:
    with pytest.raises(InputError, match="counts"):
        draws.uniforms(np.array([1, 2], dtype=np.uint64), counts)


def test_ten_programmes_of_a_national_file_take_less_than_a_second() -> None:
    rng = np.random.default_rng(0)
    n = 103_000
    households, clones = rng.integers(0, 200_000, n), rng.integers(0, 430, n)
    counts = rng.integers(1, 4, n)
    start = time.process_time()
    suffix = draws.key_suffix(households, clones)
    total = sum(draws.uniforms(draws.suffix_seeds(f"programme_{k}", suffix), counts).size for k in range(10))
    assert time.process_time() - start < 1.0
    assert total == 10 * counts.sum()
