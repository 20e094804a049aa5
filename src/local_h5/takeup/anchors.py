"""Rates adjusted for reported recipients.

Reported recipients take up for certain, so the others of their group take up less often, such that the group as a whole
meets the programme's rate. With E' the eligible or reported units of the group and R the reported ones,

    target = trunc(rate * |E'|)    need = max(0, target - |R|)    adjusted = need / |E' without R|    (0 if none)

in float64. A group is the same as in the calibration: all source households of one clone, whatever their weights, by
state of their block if the rate is by state. So the adjusted rates depend on source and geography alone, and a
household clone takes up in its district's file if and only if it does in its state's. The alternative groups the units
of one file.
"""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from local_h5.errors import InputError
from local_h5.takeup.eligibility import PackedEligibility
from local_h5.takeup.rates import StateRates

_CHUNK_UNITS: Final = 1 << 20
"""Unit clones worked on at a time."""


class AdjustedRates(Struct, frozen=True):
    """The adjusted rate of every clone, or of every clone and state."""

    values: NDArray[np.float64]
    """float64 (n_clones, n_groups)."""
    states: NDArray[np.int32] | None
    """int32 (n_groups,): FIPS codes, ascending; None when a clone is one group."""

    def of(self, variable: str, clone: NDArray[np.integer], state: NDArray[np.integer]) -> NDArray[np.float64]:
        """Adjusted rate of units in the given clones and states.

        Args:
            variable: named in the error.
            clone: integer (m,).
            state: integer (m,), FIPS codes; not used when a clone is one group.

        Returns:
            float64 (m,).

        Raises:
            InputError: a clone or state that the prepared geography does not have.
        """
        if clone.size == 0:
            return np.zeros(0)
        if int(clone.max()) >= self.values.shape[0]:
            raise InputError(
                f"{variable}: clone: expected below {self.values.shape[0]}, found {int(clone.max())}. Prepare "
                "again with the geography that the file is built from."
            )
        if self.states is None:
            rates: NDArray[np.float64] = self.values[clone, 0]
            return rates
        group = np.searchsorted(self.states, state)
        group[group == self.states.size] = 0
        if self.states.size == 0 or (self.states[group] != state).any():
            found = np.setdiff1d(state, self.states)
            raise InputError(
                f"{variable}: state: expected states of the prepared geography, found FIPS {int(found[0]):02d}. "
                "Prepare again with the geography that the file is built from."
            )
        rates = self.values[clone, group]
        return rates


def adjust(
    rate: NDArray[np.float64], eligible: NDArray[np.integer], reported: NDArray[np.integer]
) -> NDArray[np.float64]:
    """The formula above, for whole arrays of groups.

    Args:
        rate: float64, the rate of each group.
        eligible: number of eligible or reported units, |E'|.
        reported: number of reported units, |R|.

    Returns:
        float64, in [0, 1].
    """
    target = np.trunc(rate * eligible.astype(np.float64))
    need = np.maximum(0.0, target - reported)
    others = (eligible - reported).astype(np.float64)
    adjusted: NDArray[np.float64] = np.divide(need, others, out=np.zeros_like(need), where=others > 0)
    return adjusted


def clone_adjusted_rates(
    variable: str,
    rate: float | StateRates,
    *,
    n_households: int,
    state: NDArray[np.integer],
    county: NDArray[np.integer],
    unit_household: NDArray[np.integer],
    reported: NDArray[np.bool_],
    eligibility: PackedEligibility | None = None,
) -> AdjustedRates:
    """Adjusted rates with all source households of a clone as the group.

    A household clone without a block (state and county 0) is in no state's group. It counts in its clone's group, where
    its units are not eligible by county.

    Args:
        variable: named in errors.
        rate: the programme's rate, or its rates by state: then the groups are clone and state.
        n_households: number of source households.
        state: integer (n_clones * n_households,), clone-major, FIPS codes.
        county: integer (n_clones * n_households,), clone-major, FIPS codes.
        unit_household: integer (n_units,), row of each source unit's household.
        reported: bool (n_units,), reported recipients.
        eligibility: who may take up where; None when everybody may.

    Raises:
        InputError: lengths disagree, or a state that occurs has no rate.
    """
    n_clones = _check_shapes(variable, n_households, state, county, unit_household, reported)
    if isinstance(rate, StateRates):
        states = np.flatnonzero(np.bincount(state, minlength=1)).astype(np.int32)
        states = states[states > 0]
        group_rate = rate.of(variable, states)
    else:
        states = None
        group_rate = np.array([rate])
    n_groups = group_rate.size
    shape = (n_clones, n_groups)
    n_eligible = np.empty(shape, dtype=np.int64)
    n_reported = np.empty(shape, dtype=np.int64)
    units = np.bincount(unit_household, minlength=n_households)
    recipients = np.bincount(unit_household[reported], minlength=n_households)
    step = max(1, _CHUNK_UNITS // max(1, n_households, unit_household.size))
    for first in range(0, n_clones, step):
        last = min(first + step, n_clones)
        block = slice(first * n_households, last * n_households)
        eligible = (
            np.broadcast_to(units, (last - first, n_households))
            if eligibility is None
            else _eligible_units(eligibility, county[block].reshape(-1, n_households), unit_household, reported)
        )
        if states is None:
            n_eligible[first:last, 0] = eligible.sum(axis=1)
            n_reported[first:last, 0] = recipients.sum()
            continue
        # one more group, dropped again, for the household clones without a block
        group = _group_index(states, state[block]).reshape(-1, n_households)
        group += (np.arange(last - first) * (n_groups + 1))[:, np.newaxis]
        everyone = np.broadcast_to(recipients, eligible.shape)
        n_eligible[first:last] = _sums(group, eligible, n_groups)
        n_reported[first:last] = _sums(group, everyone, n_groups)
    return AdjustedRates(adjust(group_rate, n_eligible, n_reported), states)


def _check_shapes(
    variable: str,
    n_households: int,
    state: NDArray[np.integer],
    county: NDArray[np.integer],
    unit_household: NDArray[np.integer],
    reported: NDArray[np.bool_],
) -> int:
    """Number of clones."""
    aligned = state.ndim == 1 and state.shape == county.shape and reported.shape == unit_household.shape
    if not aligned or n_households <= 0 or state.size % n_households:
        raise InputError(
            f"{variable}: adjusted rates: expected states and counties of whole clones of {n_households} "
            f"households, and one report per unit, found {state.shape} states, {county.shape} counties, "
            f"{unit_household.shape} units, {reported.shape} reports"
        )
    return state.size // n_households


def _eligible_units(
    eligibility: PackedEligibility,
    county: NDArray[np.integer],
    unit_household: NDArray[np.integer],
    reported: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Number of eligible or reported units of every household clone: int64 (n_clones, n_households)."""
    n_clones, n_households = county.shape
    rows = eligibility.county_rows(county.ravel()).reshape(county.shape)[:, unit_household]
    unit = np.broadcast_to(np.arange(unit_household.size), rows.shape)
    eligible = eligibility.at(rows.ravel(), unit.ravel()).reshape(rows.shape)
    eligible |= reported
    clone, member = np.nonzero(eligible)
    key = clone * n_households + unit_household[member]
    return np.bincount(key, minlength=n_clones * n_households).reshape(county.shape)


def _group_index(states: NDArray[np.int32], state: NDArray[np.integer]) -> NDArray[np.int64]:
    table = np.full(int(states[-1]) + 1 if states.size else 1, states.size, dtype=np.int64)
    table[states] = np.arange(states.size)
    group: NDArray[np.int64] = table[state]
    return group


def _sums(group: NDArray[np.int64], count: NDArray[np.integer], n_groups: int) -> NDArray[np.int64]:
    """Sum of ``count`` by group, for every clone: int64 (n_clones, n_groups)."""
    width = n_groups + 1
    # float64 sums of whole numbers far below 2**53 are exact
    totals = np.bincount(group.ravel(), weights=count.ravel(), minlength=group.shape[0] * width)
    return totals.astype(np.int64).reshape(-1, width)[:, :n_groups]


def file_adjusted_rates(
    variable: str,
    rate: float | StateRates,
    *,
    state: NDArray[np.integer],
    eligible: NDArray[np.bool_],
    reported: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Adjusted rate of every unit with the units of one file as the group, by state where the rate is.

    Args:
        variable: named in errors.
        rate: the programme's rate, or its rates by state.
        state: integer (m,), FIPS code of each unit of the file.
        eligible: bool (m,), before reports are added.
        reported: bool (m,).

    Returns:
        float64 (m,).

    Raises:
        InputError: a state that occurs has no rate.
    """
    if isinstance(rate, StateRates):
        states, group = np.unique(state, return_inverse=True)
        group_rate = rate.of(variable, states)
    else:
        group = np.zeros(state.size, dtype=np.intp)
        group_rate = np.array([rate])
    n_groups = group_rate.size
    n_eligible = np.bincount(group[eligible | reported], minlength=n_groups)
    n_reported = np.bincount(group[reported], minlength=n_groups)
    return adjust(group_rate, n_eligible, n_reported)[group]
