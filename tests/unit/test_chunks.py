"""Stretches of long arrays."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from local_h5.inputs.chunks import CHUNK, chunks


@given(st.integers(0, 5 * CHUNK))
@example(CHUNK)
@example(CHUNK + 1)
def test_stretches_cover_every_row_once_and_in_order(n_rows: int) -> None:
    rows = np.arange(n_rows)
    parts = [rows[part] for part in chunks(n_rows)]
    assert all(0 < len(part) <= CHUNK for part in parts)
    assert np.array_equal(np.concatenate([rows[:0], *parts]), rows)
