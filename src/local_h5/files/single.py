"""Which numbers fit into float32, the type of amounts and weights in the files."""

import numpy as np


def beyond_float32(values: np.ndarray) -> np.ndarray:
    """Finite floats that float32 cannot keep: they would become infinite, zero or lose most of their bits.

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
