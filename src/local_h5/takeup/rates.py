"""Take-up rates of the three kinds: constant by date, by state, by cell of the unit's own characteristics."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from local_h5 import us
from local_h5.errors import InputError
from local_h5.files import forms
from local_h5.files.forms import Form

_N_STATE_CODES: Final = 100
"""State FIPS codes have two digits."""

_EXAMPLES: Final = 5

Name = Annotated[str, forms.matching("[A-Za-z_][A-Za-z0-9_]*")]
Entity = Literal["person", "tax_unit", "spm_unit", "family", "marital_unit"]


class ConstantRate(Struct, frozen=True):
    """One rate for all units, which may change from year to year."""

    entries: tuple[tuple[str, float], ...]
    """(ISO date, rate), dates ascending."""

    def at(self, variable: str, year: int) -> float:
        """The latest entry whose year is not after ``year``.

        Raises:
            InputError: the first entry is of a later year.
        """
        past = [rate for date, rate in self.entries if int(date[:4]) <= year]
        if not past:
            raise InputError(
                f"{variable}: rate.constant: expected a rate for {year} or earlier, found the first of "
                f"{self.entries[0][0]}. Add an entry to the programme's file."
            )
        return past[-1]


class StateRates(Struct, frozen=True):
    """One rate per state."""

    by_fips: NDArray[np.float64]
    """float64 (100,): the rate at the index of the state's FIPS code, NaN where there is none."""

    @classmethod
    def from_postal(cls, rates: Mapping[str, float]) -> "StateRates":
        """From postal codes. The caller has refused unknown ones."""
        by_fips = np.full(_N_STATE_CODES, np.nan)
        for postal, rate in rates.items():
            by_fips[us.STATE_FIPS[postal]] = rate
        return cls(by_fips)

    def of(self, variable: str, state: NDArray[np.integer]) -> NDArray[np.float64]:
        """The rate of each state code.

        Args:
            variable: named in the error.
            state: integer (m,), FIPS codes.

        Returns:
            float64 (m,).

        Raises:
            InputError: a state that occurs has no rate.
        """
        known = (state >= 0) & (state < _N_STATE_CODES)
        rates: NDArray[np.float64] = np.where(known, self.by_fips[np.where(known, state, 0)], np.nan)
        missing = np.isnan(rates)
        if missing.any():
            codes = np.unique(state[missing])
            names = ", ".join(us.STATE_POSTAL.get(int(code), f"FIPS {int(code):02d}") for code in codes[:_EXAMPLES])
            raise InputError(
                f"{variable}: rate.by_state: expected a rate for every state that occurs, found none for {names} ("
                f"{int(missing.sum())} rows). Add the state to the programme's file."
            )
        return rates


class LevelForm(Form, frozen=True):
    """A step of an axis. A value is of the first level whose bound holds; the last level has none."""

    name: Name
    at_most: float | None = None
    below: float | None = None

    RULES: ClassVar[Mapping[str, Any]] = {"not": {"required": ["at_most", "below"]}}

    def __post_init__(self) -> None:
        if self.at_most is not None and self.below is not None:
            raise ValueError("expected at_most or below, found both")

    @property
    def bound(self) -> float | None:
        """The number in ``at_most``, which belongs to the level, or in ``below``, which does not."""
        return self.below if self.at_most is None else self.at_most


class AxisForm(Form, frozen=True):
    """One characteristic by which the rate of a unit differs; the aggregate makes the persons' values the unit's."""

    name: Name
    variable: Name
    entity: Entity
    levels: Annotated[tuple[LevelForm, ...], Meta(min_length=1)]
    aggregate: Literal["sum"] | None = None

    def classify(self, values: NDArray[np.generic]) -> NDArray[np.intp]:
        """Index of the level of every value: the first whose bound holds.

        Raises:
            InputError: a value is not finite.
        """
        numbers = np.asarray(values)
        finite = np.isfinite(numbers)
        if not finite.all():
            raise InputError(
                f"{self.variable}: axis {self.name}: expected finite values, found {int((~finite).sum())} that "
                f"are not, the first at row {int(np.argmin(finite))}. Correct the source: the model cannot "
                "compute this variable on it."
            )
        level = np.full(numbers.shape, len(self.levels) - 1, dtype=np.intp)
        for index in reversed(range(len(self.levels) - 1)):
            step = self.levels[index]
            inside = numbers <= step.at_most if step.at_most is not None else numbers < step.below
            level[inside] = index
        return level


class CellRates(Struct, frozen=True):
    """One rate per combination of levels."""

    axes: tuple[AxisForm, ...]
    table: NDArray[np.float32]
    """float32, one dimension per axis in order."""

    def of_units(
        self,
        values: Mapping[str, NDArray[np.generic]],
        person_unit: NDArray[np.integer],
        n_units: int,
    ) -> NDArray[np.float32]:
        """Rate of every source unit.

        Args:
            values: variable → values in the variable's own entity, source row order.
            person_unit: integer (n_persons,), row of the unit that each person belongs to.
            n_units: number of units of the programme's entity.

        Returns:
            float32 (n_units,).

        Raises:
            InputError: a variable is missing, of another length, or not finite.
        """
        cell = tuple(axis.classify(_unit_values(axis, values, person_unit, n_units)) for axis in self.axes)
        rates: NDArray[np.float32] = self.table[cell]
        return rates


def _unit_values(
    axis: AxisForm,
    values: Mapping[str, NDArray[np.generic]],
    person_unit: NDArray[np.integer],
    n_units: int,
) -> NDArray[np.generic]:
    found = values.get(axis.variable)
    expected = n_units if axis.aggregate is None else person_unit.size
    if found is None or found.shape != (expected,):
        raise InputError(
            f"{axis.variable}: axis {axis.name}: expected {expected} values of entity {axis.entity}, found "
            f"{'none' if found is None else f'shape {found.shape}'}. Compute the variable for the source before "
            "the rates."
        )
    if axis.aggregate is None:
        return found
    # a float32 sum in person order, as the calibration's own arithmetic
    total = np.zeros(n_units, dtype=np.float32)
    np.add.at(total, person_unit, found.astype(np.float32))
    return total
