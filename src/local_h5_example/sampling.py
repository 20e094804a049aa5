"""A small sample of households: large amounts with certainty, the rest with probability proportional to weight."""

from dataclasses import dataclass

import numpy as np

from local_h5.errors import ConfigError

MOST_CERTAIN = 0.6
"""Largest share of the sample that may be taken with certainty."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Result of :func:`draw_sample`.

    Attributes:
        rows: chosen rows, int64 (n,), ascending.
        weight: given weight ÷ inclusion probability, float64 (n,).
        certain: number of households taken with certainty because of an amount.
        certainty_amount: the amount above which they were, in dollars.
    """

    rows: np.ndarray
    weight: np.ndarray
    certain: int
    certainty_amount: float


def draw_sample(
    *,
    state: np.ndarray,
    weight: np.ndarray,
    amount: np.ndarray,
    order: np.ndarray,
    size: int,
    certainty_amount: float,
    minimum_per_state: int,
    random: np.random.Generator,
) -> Sample:
    """Draw ``size`` households, stratified by state.

    Households whose largest amount exceeds ``certainty_amount`` are all taken, so that no drawn household has both a
    huge amount and a huge weight. If they are more than :data:`MOST_CERTAIN` of ``size``, the amount is raised. The
    rest is drawn systematically inside each state, along ``order``, with probability proportional to weight.

    Args:
        state: int64 (n,).
        weight: float64 (n,), positive.
        amount: largest absolute amount of each household, float64 (n,).
        order: a household characteristic to spread the draw over, float64 (n,).
        size: number of households wanted.
        certainty_amount: in dollars.
        minimum_per_state: households of each state, those taken with certainty apart.
        random: source of the random starts.

    Raises:
        ConfigError: ``size`` leaves some state without a household, or exceeds the number of households.
    """
    states, stratum = np.unique(state, return_inverse=True)
    if not 3 * len(states) <= size <= len(state):
        raise ConfigError(
            f"example: households: expected from {3 * len(states)} (three per state) to {len(state)} (all), found "
            f"{size}"
        )
    ranked = np.sort(amount)[::-1]
    threshold = max(certainty_amount, float(ranked[int(size * MOST_CERTAIN)]))
    certain = amount > threshold
    inclusion = certain.astype(np.float64)
    rest = np.flatnonzero(~certain)
    total = np.bincount(stratum[rest], weight[rest], len(states))
    available = np.bincount(stratum[rest], minlength=len(states))
    sizes = allocate(size - int(certain.sum()), total, minimum_per_state, available)
    chosen = [np.flatnonzero(certain)]
    for number, count in enumerate(sizes):
        rows = rest[stratum[rest] == number]
        rows = rows[np.argsort(order[rows], kind="stable")]
        inclusion[rows] = inclusion_probabilities(weight[rows], int(count))
        chosen.append(rows[systematic(inclusion[rows], float(random.random()))])
    picked = np.sort(np.concatenate(chosen))
    return Sample(picked, weight[picked] / inclusion[picked], int(certain.sum()), threshold)


def allocate(total: int, share: np.ndarray, floor: int, available: np.ndarray) -> np.ndarray:
    """Split ``total`` over strata in proportion to ``share``, each at least ``floor`` and at most ``available``.

    The floor is lowered to what ``total`` can give every stratum.

    Returns:
        int64 (k,), sum ``total`` (if enough are available).
    """
    low = np.minimum(min(floor, total // len(share)), available).astype(np.float64)
    high = available.astype(np.float64)
    below, above = 0.0, float(total) * 2
    # The clipped proportional sizes grow with their common factor: find the factor that gives the total.
    while np.clip(share / share.sum() * above, low, high).sum() < min(total, available.sum()):
        above *= 2
    for _ in range(200):
        middle = (below + above) / 2
        if np.clip(share / share.sum() * middle, low, high).sum() < total:
            below = middle
        else:
            above = middle
    exact = np.clip(share / share.sum() * above, low, high)
    sizes: np.ndarray = np.floor(exact + 1e-9).astype(np.int64)
    left = int(min(total, available.sum()) - sizes.sum())
    room = np.where(sizes < available, exact - sizes, -1.0)
    sizes[np.argsort(-room, kind="stable")[:left]] += 1
    return sizes


def inclusion_probabilities(weight: np.ndarray, size: int) -> np.ndarray:
    """Probabilities proportional to ``weight``, at most 1, that sum to ``size``; float64 (n,)."""
    result = np.zeros(len(weight))
    certain = np.zeros(len(weight), dtype=bool)
    if size >= len(weight):
        return np.ones(len(weight))
    while True:
        free = ~certain
        result[free] = weight[free] * ((size - certain.sum()) / weight[free].sum())
        result[certain] = 1.0
        over = free & (result > 1.0)
        if not over.any():
            return result
        certain |= over


def systematic(inclusion: np.ndarray, start: float) -> np.ndarray:
    """Rows hit by the points ``start``, ``start + 1``, … on the cumulated probabilities, int64.

    Args:
        inclusion: float64 (n,), each at most 1, with a whole sum.
        start: in [0, 1).
    """
    ends = np.cumsum(inclusion)
    points = start + np.arange(round(float(ends[-1])) if len(ends) else 0)
    return np.minimum(np.searchsorted(ends, points, side="right"), len(ends) - 1)
