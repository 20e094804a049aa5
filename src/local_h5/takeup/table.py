"""The prepared take-up table: what an area job needs of every programme."""

from collections.abc import Collection, Iterable
from typing import ClassVar, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from local_h5.contracts.results import OwnTakeup
from local_h5.errors import InputError
from local_h5.takeup.anchors import AdjustedRates
from local_h5.takeup.eligibility import PackedEligibility
from local_h5.takeup.rates import StateRates

Reported = Literal["anchor", "ignore"]
"""Whether reported recipients anchor the draws or are ignored (to compare values only)."""

Scope = Literal["clone", "area"]
"""The units over which a rate is adjusted: all of a clone (as in the calibration), or those of one file."""

ReportStatus = Literal["none", "anchor", "ignored", "absent"]
"""The programme has no reports, uses them, ignores them on request, or the source does not have them."""


class ProgrammeTable(Struct, frozen=True):
    """One programme for one source and geography."""

    variable: str
    """Name of the take-up variable. It is also part of the key of every draw."""
    entity: str
    """person, tax_unit, spm_unit, ..."""
    rate: float | StateRates | NDArray[np.float32]
    """One rate, rates by state, or float32 (n_units,): the rate of every source unit."""
    reports: ReportStatus
    """How the programme's reports were used."""
    reported: NDArray[np.bool_] | None
    """bool (n_units,): reported recipients; None unless ``reports`` is ``anchor``."""
    eligibility: PackedEligibility | None
    """Who may take up where; None when everybody may."""
    adjusted: AdjustedRates | None
    """Rates for those who do not report; None without reports, and when the group is the file."""

    @property
    def sole_rate(self) -> float | None:
        """The rate if all units have the same one; else None."""
        if isinstance(self.rate, float) and self.reported is None and self.eligibility is None:
            return self.rate
        return None


class Takeup(Struct, frozen=True):
    """All programmes for one source, geography and year; none where the dataset has its own take-up."""

    stored_as: ClassVar = ("takeup", 3)

    year: int
    """Year of the file, by which rates were chosen."""
    reported: Reported
    scope: Scope
    programmes: tuple[ProgrammeTable, ...]
    own: OwnTakeup | None = None

    def drawn(self, takeup_filter: Collection[str] | None) -> frozenset[str]:
        """The variables that are drawn. All others are true. See :func:`check_filter`."""
        return check_filter(takeup_filter, [programme.variable for programme in self.programmes])


def check_filter(names: Collection[str] | None, valid: Iterable[str]) -> frozenset[str]:
    """The programmes that are drawn with a ``takeup_filter``; without a filter all of them.

    Args:
        names: variables to draw, or None.
        valid: variables of all programmes.

    Raises:
        InputError: a name is unknown, or the filter is a text and no list.
    """
    known = frozenset(valid)
    if names is None:
        return known
    if isinstance(names, str):
        raise InputError(f"takeup_filter: expected a list of names, found the text {names!r}. Write [{names}].")
    unknown = sorted({str(name) for name in names} - known)
    if unknown:
        raise InputError(
            f"takeup_filter: expected names among {', '.join(sorted(known))}, found {', '.join(unknown)}. Correct "
            "the name; what is not listed takes up for certain."
        )
    return frozenset(names)
