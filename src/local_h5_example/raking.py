"""Raking: the positive weights nearest to given ones (in relative entropy) that meet totals exactly."""

from dataclasses import dataclass

import numpy as np

TOLERANCE = 1e-10
"""Largest relative error of a margin that counts as met."""

_STEPS = 100
_HALVINGS = 40
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Raked:
    """Result of :func:`rake`.

    Attributes:
        weights: float64 (n,), positive where the given ones are.
        met: whether every margin is met within :data:`TOLERANCE`; false when no positive weights can meet them.
        worst: the largest relative error of a margin.
    """

    weights: np.ndarray
    met: bool
    worst: float


def rake(weights: np.ndarray, counts: np.ndarray, targets: np.ndarray) -> Raked:
    """Multiply ``weights`` by ``exp(counts @ x)`` with the ``x`` that meets ``targets``.

    Newton's method on the convex dual, with the step halved until the dual falls.

    Args:
        weights: float64 (n,), not negative.
        counts: (n, k): what a unit of weight of each row adds to each margin, not negative.
        targets: (k,), positive.
    """
    start = np.asarray(weights, dtype=np.float64)
    table = np.asarray(counts, dtype=np.float64)
    goal = np.asarray(targets, dtype=np.float64)
    power = np.zeros(len(goal))
    current = start

    def dual(at: np.ndarray) -> float:
        with np.errstate(over="ignore"):
            return float(start @ np.exp(table @ at) - goal @ at)

    value = dual(power)
    slack = _ROUNDING * float(goal.sum())
    for _ in range(_STEPS):
        gap = goal - table.T @ current
        if _worst(gap, goal) <= TOLERANCE:
            break
        curvature = table.T @ (table * current[:, None])
        step = np.linalg.lstsq(curvature, gap, rcond=None)[0]
        for _ in range(_HALVINGS):
            trial = dual(power + step)
            if trial <= value + slack:
                break
            step = step / 2
        else:
            break
        power, value = power + step, trial
        current = start * np.exp(table @ power)
    worst = _worst(goal - table.T @ current, goal)
    return Raked(weights=current, met=worst <= TOLERANCE, worst=worst)


def _worst(gap: np.ndarray, goal: np.ndarray) -> float:
    return float(np.max(np.abs(gap) / goal))
