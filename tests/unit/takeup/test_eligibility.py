"""Packed eligibility gives back what was packed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from local_h5.errors import InputError
from local_h5.takeup.eligibility import PackedEligibility

TABLE = st.integers(1, 30).flatmap(
    lambda n_units: st.dictionaries(st.integers(1, 99_999), arrays.arrays(np.bool_, (n_units,)), min_size=1, max_size=8)
)


def _eligible(packed: PackedEligibility, county: np.ndarray, unit: np.ndarray) -> np.ndarray:
    return packed.at(packed.county_rows(county), unit)


@given(TABLE, st.randoms(use_true_random=False))
def test_lookup_gives_back_what_was_packed(rows: dict[int, np.ndarray], random: object) -> None:
    n_units = next(iter(rows.values())).size
    packed = PackedEligibility.pack(rows.items(), n_units)
    pairs = [(county, unit) for county in rows for unit in range(n_units)]
    random.shuffle(pairs)  # type: ignore[attr-defined]
    county, unit = (np.array(part) for part in zip(*pairs, strict=True))
    assert _eligible(packed, county, unit).tolist() == [bool(rows[c][u]) for c, u in pairs]
    assert packed.counties.tolist() == sorted(rows)
    assert packed.bits.shape == (len(rows), -(-n_units // 8))


@given(TABLE, st.data())
def test_with_always_adds_units_everywhere(rows: dict[int, np.ndarray], data: st.DataObject) -> None:
    n_units = next(iter(rows.values())).size
    always = data.draw(arrays.arrays(np.bool_, (n_units,)))
    packed = PackedEligibility.pack(rows.items(), n_units).with_always(always)
    for county, eligible in rows.items():
        found = _eligible(packed, np.full(n_units, county), np.arange(n_units))
        assert (found == (eligible | always)).all()


def test_without_a_county_nobody_is_eligible() -> None:
    packed = PackedEligibility.pack([(6037, np.array([True, True]))], 2)
    assert _eligible(packed, np.array([0, 6037, 0]), np.array([0, 1, 1])).tolist() == [False, True, False]


def test_unknown_county_is_an_error() -> None:
    packed = PackedEligibility.pack([(6037, np.array([True]))], 1)
    for code in (6001, 99_999):
        with pytest.raises(
            InputError, match=f"one of the 1 counties of the table, found 1 others, the first {code:05d}"
        ):
            _eligible(packed, np.array([6037, code]), np.array([0, 0]))


def test_empty_table_knows_no_county() -> None:
    packed = PackedEligibility.pack([], 9)
    assert packed.bits.shape == (0, 2)
    assert _eligible(packed, np.array([0]), np.array([3])).tolist() == [False]
    with pytest.raises(InputError, match="06037"):
        _eligible(packed, np.array([6037]), np.array([3]))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(6037, np.array([True])), (6037, np.array([False]))], "06037 twice"),
        ([(0, np.array([True]))], "found 00000"),
        ([(6037, np.array([True, False]))], r"expected bool \(1,\), found bool \(2,\)"),
        ([(6037, np.array([1]))], "found int64"),
    ],
)
def test_malformed_rows_are_refused(rows: list[tuple[int, np.ndarray]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PackedEligibility.pack(rows, 1)
