"""The prepared take-up table of a source, a geography and a year, from the model's values for the source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from local_h5.errors import InputError
from local_h5.inputs.membership import HOUSEHOLD, PERSON, Membership
from local_h5.takeup.anchors import clone_adjusted_rates
from local_h5.takeup.eligibility import PackedEligibility
from local_h5.takeup.programmes import Programme, Reports
from local_h5.takeup.rates import CellRates, ConstantRate, StateRates
from local_h5.takeup.table import ProgrammeTable, Reported, ReportStatus, Scope, Takeup


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """Facts about the source for the programmes."""

    membership: Membership
    values: Mapping[str, NDArray[np.generic]]
    """Variable → values in its own entity, source row order: those that
    :func:`~local_h5.takeup.programmes.required_variables` lists; an optional one may be left out."""
    eligible: Mapping[str, PackedEligibility]
    """Name → eligibility table, those that :func:`~local_h5.takeup.programmes.required_eligibility` lists."""


@dataclass(frozen=True, slots=True)
class CloneGeography:
    """State and county of every household clone, zero without a block."""

    state: NDArray[np.integer]
    """Integer (n_clones * n_households,), clone-major: state FIPS."""
    county: NDArray[np.integer]
    """Integer (n_clones * n_households,), clone-major: county FIPS."""


def prepare_takeup(
    programmes: Sequence[Programme],
    year: int,
    source: SourceFacts,
    geography: CloneGeography,
    *,
    reported: Reported = "anchor",
    scope: Scope = "clone",
) -> Takeup:
    """The take-up table for area jobs.

    It does not depend on weights and areas.

    Raises:
        InputError: a needed variable or eligibility table is missing or of another length, a state that occurs has no
            rate, or the programme has no rate for the year.
    """
    return Takeup(
        year=year,
        reported=reported,
        scope=scope,
        programmes=tuple(_table(programme, year, source, geography, reported, scope) for programme in programmes),
    )


def reported_units(
    programme: Programme, membership: Membership, values: Mapping[str, NDArray[np.generic]]
) -> NDArray[np.bool_] | None:
    """Reported recipients among the source's units of the programme's entity.

    Returns:
        bool (n_units,), or None when the programme has no reports or the source lacks them.

    Raises:
        InputError: the reports are not yes or no, or of another length.
    """
    reports = programme.reports
    if reports is None or reports.variable not in values:
        return None
    found = _as_bool(reports, values[reports.variable])
    n_found = membership.n_rows(reports.entity)
    if found.shape != (n_found,):
        raise InputError(
            f"{reports.variable}: expected {n_found} values of entity {reports.entity}, found shape {found.shape}"
            ". Store one report per row of that entity."
        )
    if reports.entity == programme.entity:
        return found
    units = np.zeros(membership.n_rows(programme.entity), dtype=np.bool_)
    units[membership.person_unit[programme.entity][found]] = True
    return units


def _as_bool(reports: Reports, values: NDArray[np.generic]) -> NDArray[np.bool_]:
    if values.dtype == np.bool_:
        return values.astype(np.bool_, copy=False)
    truth = values.astype(np.bool_) if values.dtype.kind in "iuf" else None
    if truth is None or not np.array_equal(truth, values):
        raise InputError(
            f"{reports.variable}: values: expected true or false, found {values.dtype} with other values. Store "
            "yes or no."
        )
    return truth


def _table(
    programme: Programme,
    year: int,
    source: SourceFacts,
    geography: CloneGeography,
    reported: Reported,
    scope: Scope,
) -> ProgrammeTable:
    variable, membership = programme.variable, source.membership
    rate = _rate(programme, year, source)
    recipients = reported_units(programme, membership, source.values)
    eligibility = _eligibility(programme, source, recipients)
    status: ReportStatus
    adjusted = None
    if recipients is None:
        status = "none" if programme.reports is None else "absent"
    elif reported == "ignore":
        status, recipients = "ignored", None
    else:
        status = "anchor"
        if scope == "clone" and not isinstance(rate, np.ndarray):
            adjusted = clone_adjusted_rates(
                variable,
                rate,
                n_households=membership.n_rows(HOUSEHOLD),
                state=geography.state,
                county=geography.county,
                unit_household=membership.household_of(programme.entity),
                reported=recipients,
                eligibility=eligibility,
            )
    return ProgrammeTable(
        variable=variable,
        entity=programme.entity,
        rate=rate,
        reports=status,
        reported=recipients,
        eligibility=eligibility,
        adjusted=adjusted,
    )


def _rate(programme: Programme, year: int, source: SourceFacts) -> float | StateRates | NDArray[np.float32]:
    if isinstance(programme.rate, ConstantRate):
        return programme.rate.at(programme.variable, year)
    if isinstance(programme.rate, CellRates):
        n_units = source.membership.n_rows(programme.entity)
        person_unit = (
            np.arange(n_units) if programme.entity == PERSON else source.membership.person_unit[programme.entity]
        )
        return programme.rate.of_units(source.values, person_unit, n_units)
    return programme.rate


def _eligibility(
    programme: Programme, source: SourceFacts, recipients: NDArray[np.bool_] | None
) -> PackedEligibility | None:
    """The programme's table. Recipients are eligible everywhere, whether reports anchor the draws or not."""
    if programme.eligibility is None:
        return None
    table = source.eligible.get(programme.eligibility)
    n_units = source.membership.n_rows(programme.entity)
    if table is None or table.n_units != n_units:
        raise InputError(
            f"{programme.variable}: eligibility: expected a table {programme.eligibility} of {n_units} units, "
            f"found {'none' if table is None else f'one of {table.n_units}'}"
        )
    return table if recipients is None else table.with_always(recipients)
