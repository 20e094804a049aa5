"""Eligibility for housing assistance: HUD's income limits by county, for renters and present recipients."""

from collections.abc import Mapping

import numpy as np

from local_h5.prepared.snapshot import IncomeLimits
from local_h5.takeup.eligibility import PackedEligibility

TABLE = "housing_income_limits"
"""Name under which take-up programmes refer to this eligibility."""

VARIABLES = ("hud_annual_income", "spm_unit_size", "spm_unit_tenure_type", "receives_housing_assistance")
"""Model values by SPM unit that eligibility needs."""

RENTER = b"RENTER"


def housing_eligibility(
    values: Mapping[str, np.ndarray], limits: IncomeLimits, counties: np.ndarray
) -> PackedEligibility:
    """Eligibility of every SPM unit of the source in each of ``counties``.

    A unit is eligible when it receives assistance already, or rents and its income does not exceed the county's highest
    limit for its size: what the model's ``housing_assistance_eligibility_from_income_limits`` says.

    Args:
        values: those of :data:`VARIABLES`, each (n_spm_units,).
        limits: from the snapshot.
        counties: int (n,), FIPS codes without repeats; one that HUD does not list has no limit.
    """
    income, receives = values["hud_annual_income"], values["receives_housing_assistance"].astype(bool)
    size = np.clip(values["spm_unit_size"].astype(np.int64), 1, limits.limit.shape[1]) - 1
    renter = values["spm_unit_tenure_type"] == RENTER
    place = np.minimum(np.searchsorted(limits.county, counties), len(limits.county) - 1)
    none = np.zeros(limits.limit.shape[1])

    def eligible(row: int, listed: bool) -> np.ndarray:
        limit = (limits.limit[row] if listed else none)[size]
        return receives | (renter & (limit > 0) & (income <= limit))

    listed = limits.county[place] == counties
    return PackedEligibility.pack(
        ((int(county), eligible(row, bool(found))) for county, row, found in zip(counties, place, listed, strict=True)),
        len(income),
    )
