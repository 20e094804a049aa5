"""Chunks of long arrays.

Temporary arrays of a chunk stay in the processor's cache and use the same memory again. Large files have arrays of
millions of rows, and fresh memory for these costs more than most of the work on them.
"""

from collections.abc import Iterator
from typing import Final

CHUNK: Final = 1 << 14
"""Rows: twenty or so temporaries of 8 bytes a row fit in a second-level cache."""


def chunks(n_rows: int, size: int = CHUNK) -> Iterator[slice]:
    """Consecutive slices of ``size`` rows, the last perhaps of fewer; none when there are no rows."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))
