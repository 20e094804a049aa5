"""What float32 holds, the type of amounts and weights in the files."""

import numpy as np


def beyond_float32(values: np.ndarray) -> np.ndarray:
    """Which finite floats float32 does not hold: they become infinite, zero or a number of a few bits.

    Args:
        values: (n,) floats of any width.

    Returns:
        bool (n,).
    """
    with np.errstate(over="ignore", under="ignore"):
        single = values.astype(np.float32)
    small = np.abs(values) < np.finfo(np.float32).tiny
    lost: np.ndarray = np.isfinite(values) & (np.isinf(single) | (small & (single.astype(values.dtype) != values)))
    return lost
