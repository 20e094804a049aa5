"""The values of many rows taken together, one for each unit that they lie in (extra `frames`)."""

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from pe_data.errors import InputError
from pe_data.read.weighted import Rows

How = Literal["sum", "mean", "max", "min", "any", "first"]
HOWS: tuple[How, ...] = get_args(How)


def numbers(values: pd.Series, what: str) -> npt.NDArray[Any]:
    """The values as an array of numbers; missing ones as NaN. Raises InputError for text and the like."""
    if getattr(values.dtype, "kind", "O") not in "biuf":
        raise InputError(f"{what}: expected numbers or true and false, found {values.dtype}")
    return values.to_numpy(np.float64, na_value=np.nan) if values.hasnans else values.to_numpy()


def together(values: pd.Series, here: Rows, there: Rows, index: Any, how: How, what: str) -> pd.Series:
    """`values` at `here` taken together by `there`, one for each of `index`; see `Frames.to`."""
    rows = np.full(len(index), -1, np.intp)
    rows[there[::-1]] = here[::-1]  # the first of a group is written last
    empty = rows < 0
    if how == "first":
        return values.reset_index(drop=True).reindex(rows).set_axis(index)
    data = numbers(values, f"{what}: how={how!r}")
    out: npt.NDArray[Any]
    if how == "any":
        if values.hasnans:
            raise InputError(f"{what}: how='any': expected a value in each row, found {values.isna().sum():,} without")
        out = np.zeros(len(index), bool)
        np.logical_or.at(out, there, data[here] != 0)
    elif how in ("max", "min"):
        out = data[rows] if len(data) else np.zeros(len(index), data.dtype)
        with np.errstate(invalid="ignore"):  # a missing value makes that of its group missing
            (np.maximum if how == "max" else np.minimum).at(out, there, data[here])
        if empty.any():
            out = out.astype(np.float64)
            out[empty] = np.nan
    else:
        out = np.zeros(len(index), np.float64 if how == "mean" or data.dtype.kind == "f" else np.int64)
        np.add.at(out, there, data[here].astype(out.dtype))
        if how == "mean":
            many = np.bincount(there, minlength=len(index))
            out = np.divide(out, many, out=np.full(len(index), np.nan), where=many > 0)
    return pd.Series(out, index, name=values.name)
