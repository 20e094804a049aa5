"""The calibrated weights: one number per household clone, clone-major."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from local_h5.errors import InputError
from local_h5.files.single import beyond_float32
from local_h5.inputs.npy import read_npy

_EXAMPLES = 3


def load_weights(path: Path, n_households: int | None = None, n_clones: int | None = None) -> NDArray[np.float64]:
    """Read a vector of weights and check it.

    Args:
        path: a ``.npy`` file with a one-dimensional array of floats or integers.
        n_households: when given, the length must be a multiple of it.
        n_clones: when given (with ``n_households``), the length must be their product.

    Returns:
        (n,) float64, none negative, at least one positive, each a number that fits into float32.

    Raises:
        InputError: the file is missing or unreadable, or the vector has another shape, type or value.
    """
    return check_weights(read_npy(Path(path), "weights"), str(path), n_households, n_clones)


def check_weights(
    weights: object, where: str, n_households: int | None = None, n_clones: int | None = None
) -> NDArray[np.float64]:
    """The checks of :func:`load_weights` on an array that is in memory; ``where`` names it in errors."""
    array = np.asarray(weights)
    _check_shape(array, where)
    if n_households is not None:
        _check_length(array.size, where, n_households, n_clones)
    if array.dtype.kind not in "iuf":
        raise InputError(
            f"{where}: weights: expected floats or integers, found dtype {array.dtype.str}. Save the weights as "
            "float64."
        )
    with np.errstate(over="ignore", under="ignore"):
        values = array.astype(np.float64)
    for name, wrong in (
        ("NaN", np.isnan(values)),
        ("infinite", np.isinf(values)),
        ("negative", values < 0),
    ):
        rows = np.flatnonzero(wrong)
        if rows.size:
            examples = ", ".join(f"{values[row]:g} in row {row}" for row in rows[:_EXAMPLES])
            raise InputError(
                f"{where}: weights: expected finite numbers, none below 0, found {rows.size:,} of {values.size:,} "
                f"{name}: {examples}. Repair the calibration; such weights are never dropped silently."
            )
    given = array if array.dtype.kind == "f" else values
    rows = np.flatnonzero(beyond_float32(given))
    if rows.size:
        limits = np.finfo(np.float32)
        examples = ", ".join(f"{given[row]:g} in row {row}" for row in rows[:_EXAMPLES])
        raise InputError(
            f"{where}: weights: expected 0, or numbers from {limits.tiny:.2g} to {limits.max:.2g}, which the "
            f"files' float32 holds, found {rows.size:,} of {values.size:,} beyond: {examples}. Set weights that "
            "are as good as nothing to 0, and repair those that are too large."
        )
    if not values.any():
        raise InputError(
            f"{where}: weights: expected at least one weight above 0, found {values.size:,} zeros. Use the "
            "weights of a finished calibration."
        )
    return values


def _check_shape(array: NDArray[np.generic], where: str) -> None:
    if array.ndim != 1:
        raise InputError(
            f"{where}: weights: expected a one-dimensional array, clone after clone, found an array of shape "
            f"{array.shape}. Save it flattened: row c * n_households + h is clone c of household h."
        )
    if array.size == 0:
        raise InputError(
            f"{where}: weights: expected one weight per household clone, found an empty array. Use the weights of "
            "a finished calibration."
        )


def _check_length(size: int, where: str, n_households: int, n_clones: int | None) -> None:
    if size % n_households:
        raise InputError(
            f"{where}: weights: expected a multiple of the {n_households:,} households of the source, found "
            f"{size:,} weights. Use the weights that were calibrated on this source."
        )
    if n_clones is not None and size != n_households * n_clones:
        raise InputError(
            f"{where}: weights: expected {n_households:,} households x {n_clones:,} clones = "
            f"{n_households * n_clones:,} weights, found {size:,} ({size // n_households:,} clones). Use weights "
            "and geography of the same calibration."
        )
