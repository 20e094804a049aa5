"""Stretches of long arrays to work on at a time.

Temporaries of a stretch stay in the processor's cache and use the same memory again and again. A large file has arrays
of millions of rows, and asking the system for fresh memory costs more than most of what is done with it.
"""

from collections.abc import Iterator
from typing import Final

CHUNK: Final = 1 << 14
"""Rows: twenty or so temporaries of 8 bytes a row fit in a second-level cache."""


def chunks(n_rows: int, size: int = CHUNK) -> Iterator[slice]:
    """Consecutive slices of ``size`` rows, the last perhaps of fewer; none when there are no rows."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))
