"""Codes as text, and ZIP codes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from local_h5.build.payload import digits, zip_codes


@given(st.lists(st.integers(0, 10**15 - 1)))
def test_digits_are_zero_padded_decimals(values: list[int]) -> None:
    for width, part in ((15, values), (5, [value % 10**5 for value in values])):
        text = digits(np.array(part, dtype=np.int64), width)
        assert text.dtype == f"S{width}"
        assert text.tolist() == [f"{value:0{width}d}".encode() for value in part]


def test_zip_codes() -> None:
    counties = np.array([6037, 1001, 6037, 36061])
    assert zip_codes(counties).tolist() == [b"90001", b"00000", b"90001", b"00000"]
    assert zip_codes(counties[:0]).dtype == "S5"
