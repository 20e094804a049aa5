"""Which columns hold codes, and how many characters such a code has: `CODES`, the one table of them.

A code looks like a number and is none: `01003` is a county, 1003 is not. Files hold some codes as numbers, because the
model's variable is one (`state_fips`, `congressional_district_geoid`). Whatever leaves for other programs has them as
text of the full width.
"""

from collections.abc import Mapping
from types import MappingProxyType

CODES: Mapping[str, int | None] = MappingProxyType(
    {
        "state_fips": 2,
        "spm_unit_state_fips": 2,
        "county_fips": 5,
        "tract_geoid": 11,
        "block_group_geoid": 12,
        "block_geoid": 15,
        "congressional_district_geoid": 4,
        "cbsa_code": 5,
        "place_fips": 5,
        "puma": 5,
        "zcta": 5,
        "zip_code": 5,
        "three_digit_zip_code": 3,
        "sldu": 3,
        "sldl": 3,
        "vtd": None,
    }
)
"""Column → characters of its codes, by the Census Bureau's GEOIDs (within a state for PUMA, place, SLDU and SLDL). None
where codes differ in length, so that a number among them cannot be filled up."""


def variable_of(column: str) -> str:
    """The variable that a column is of: `receives_wic@2024-01` is of `receives_wic`."""
    return column.partition("@")[0]


def label_of(column: str, labels: Mapping[str, str]) -> str | None:
    """The label of a column from those of variables; of a column for a month with the month."""
    label, period = labels.get(column) or labels.get(variable_of(column)), column.partition("@")[2]
    return f"{label}, {period}" if label and period and column not in labels else label
