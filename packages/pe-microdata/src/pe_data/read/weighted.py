"""Weighted statistics of numpy arrays: mean, total, quantiles, Kish's effective sample size (extra `frames`).

All take float64 weights that are finite and not negative; whoever calls has checked that.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.intp]
"""Numbers of rows."""

SMALL = 100
"""An effective sample below this is warned of."""
ROUNDING = 1e-12
"""So much of all weights may be missing from a sum of weights that are no whole numbers, and it counts as reached."""


def total(values: Floats, weights: Floats) -> float:
    """Σ w·x; 0 without rows."""
    used = weights > 0  # a row without weight is no part of the population, whatever its value
    return float(values[used] @ weights[used])


def mean(values: Floats, weights: Floats) -> float:
    """Σ w·x / Σ w; NaN if the weights sum to 0."""
    weights = _scaled(weights)
    return total(values, weights) / weights.sum() if weights.any() else float("nan")


def quantiles(values: Floats, weights: Floats, at: Floats) -> Floats:
    """For each q the smallest value x such that rows with values up to x have at least the share q of all weights.

    This is the inverse of the weighted distribution function: definition 1 of Hyndman and Fan (1996), *Sample quantiles
    in statistical packages*; `method="inverted_cdf"` of `numpy.quantile`; the default (`qrule="math"`) of `svyquantile`
    in R's package survey. It is always a value that occurs. With whole numbers as weights it is, to the bit, what
    `numpy.quantile(numpy.repeat(values, weights), q, method="inverted_cdf")` gives. Sums of other weights are rounded;
    one that is within `ROUNDING` of the share counts as that share. Rows of weight 0 do not count; q = 0 is the
    smallest value with a weight, q = 1 the largest.

    Args:
        values: One per row, no NaN.
        weights: One per row.
        at: Shares between 0 and 1.

    Returns:
        One value per share; NaN if the weights sum to 0.
    """
    used = weights > 0
    if not used.any():
        return np.full(len(at), np.nan)
    order = np.argsort(values[used], kind="stable")
    values, weights = values[used][order], weights[used][order]
    if (weights == np.floor(weights)).all() and weights.sum() <= 2**53:
        slack = 0.0  # sums of whole numbers are exact
    else:
        weights, slack = _scaled(weights), ROUNDING
    reached = weights.cumsum()
    wanted = at * reached[-1] - slack * reached[-1]
    return values[np.minimum(np.searchsorted(reached, wanted, side="left"), len(values) - 1)]


def effective_size(weights: Floats) -> float:
    """(Σ w)² / Σ w²: how many rows of equal weight would be worth as much. 0 if the weights sum to 0.

    Kish (1965), *Survey Sampling*; it counts what unequal weights cost, and neither clusters nor strata.
    """
    if not weights.any():
        return 0.0
    weights = weights / weights.max()  # equal weights become 1 to the bit, and no square is too large or too small
    return float(weights.sum() ** 2 / (weights @ weights))


def _scaled(weights: Floats) -> Floats:
    """The weights over a power of 2, which rounds nothing, so that no sum is too large or too small."""
    largest = weights.max(initial=0.0)
    return np.ldexp(weights, -np.frexp(largest)[1]) if largest else weights
