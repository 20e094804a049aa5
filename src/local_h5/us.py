"""Everything that is true of the United States only: states, district codes, cities.

No other module of the library names a state, a county or a city. Codes are the Census Bureau's: state FIPS (two
digits), county FIPS (five), block GEOID (fifteen). A congressional district is written here as the integer
``100 * state_fips + number`` with number 1 for an at-large seat, the form of the production target database; files
may have number 0 there instead (:func:`local_h5.inputs.geography.codes.written_districts`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

STATE_FIPS: Mapping[str, int] = MappingProxyType(
    {
        "AL": 1, "AK": 2, "AZ": 4, "AR": 5, "CA": 6, "CO": 8, "CT": 9, "DE": 10, "DC": 11, "FL": 12,
        "GA": 13, "HI": 15, "ID": 16, "IL": 17, "IN": 18, "IA": 19, "KS": 20, "KY": 21, "LA": 22, "ME": 23,
        "MD": 24, "MA": 25, "MI": 26, "MN": 27, "MS": 28, "MO": 29, "MT": 30, "NE": 31, "NV": 32, "NH": 33,
        "NJ": 34, "NM": 35, "NY": 36, "NC": 37, "ND": 38, "OH": 39, "OK": 40, "OR": 41, "PA": 42, "RI": 44,
        "SC": 45, "SD": 46, "TN": 47, "TX": 48, "UT": 49, "VT": 50, "VA": 51, "WA": 53, "WV": 54, "WI": 55,
        "WY": 56,
    }
)  # fmt: skip
"""Postal code → state FIPS, 50 states and the District of Columbia."""

STATE_POSTAL: Mapping[int, str] = MappingProxyType({fips: code for code, fips in STATE_FIPS.items()})
"""State FIPS → postal code."""

STATE_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California", "CO": "Colorado",
        "CT": "Connecticut", "DE": "Delaware", "DC": "District of Columbia", "FL": "Florida", "GA": "Georgia",
        "HI": "Hawaii", "ID": "Idaho", "IL": "Illinois", "IN": "Indiana", "IA": "Iowa", "KS": "Kansas",
        "KY": "Kentucky", "LA": "Louisiana", "ME": "Maine", "MD": "Maryland", "MA": "Massachusetts",
        "MI": "Michigan", "MN": "Minnesota", "MS": "Mississippi", "MO": "Missouri", "MT": "Montana",
        "NE": "Nebraska", "NV": "Nevada", "NH": "New Hampshire", "NJ": "New Jersey", "NM": "New Mexico",
        "NY": "New York", "NC": "North Carolina", "ND": "North Dakota", "OH": "Ohio", "OK": "Oklahoma",
        "OR": "Oregon", "PA": "Pennsylvania", "RI": "Rhode Island", "SC": "South Carolina", "SD": "South Dakota",
        "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VT": "Vermont", "VA": "Virginia", "WA": "Washington",
        "WV": "West Virginia", "WI": "Wisconsin", "WY": "Wyoming",
    }
)  # fmt: skip
"""Postal code → name."""

CITY_NAMES: Mapping[str, str] = MappingProxyType({"NYC": "New York City"})
"""City id → name."""

CITY_COUNTIES: Mapping[str, tuple[str, ...]] = MappingProxyType({"NYC": ("36005", "36047", "36061", "36081", "36085")})
"""City id → the FIPS codes of the counties it consists of (New York: its five boroughs)."""

NATIONAL_ID = "US"

WITHOUT: Mapping[str, frozenset[str]] = MappingProxyType({"NE": frozenset({"sldl"})})
"""Postal code → geography fields that the state does not have: Nebraska's legislature has one chamber."""

AT_LARGE_NUMBERS = frozenset({0, 98})
"""District numbers by which the Census Bureau writes an at-large seat: 00, and 98 for a delegate (DC)."""


AtLargeCode = Literal["00", "01"]
"""The two digits by which a file writes an at-large seat: 00 as the Census Bureau and policyengine.py do, or 01."""

AT_LARGE_STATES = frozenset({"AK", "DE", "DC", "ND", "SD", "VT", "WY"})
"""Postal codes of the states with one seat, and of DC with its one delegate: 118th to 122nd Congress, by the
apportionment after the 2020 census. A table of districts cannot tell: it may list one district of a state with many."""


def normalise_district(code: int) -> int:
    """District code with at-large seats as number 1: 200 → 201, 1198 → 1101, 3701 → 3701."""
    state, number = divmod(code, 100)
    return state * 100 + (1 if number in AT_LARGE_NUMBERS else number)


def district_name(code: int) -> str:
    """Friendly name of a normalised district code: 3701 → ``NC-01``."""
    state, number = divmod(code, 100)
    return f"{STATE_POSTAL[state]}-{number:02d}"


ZIP_CODE_OF_COUNTY: Mapping[str, str] = MappingProxyType({"06037": "90001"})
"""Counties whose ACA rating area depends on the ZIP code, and the one that stands for the county."""

ZIP_CODE_ELSEWHERE = "00000"
"""A numeric placeholder: older models parse every ZIP code of a file that has Los Angeles rows; newer ones take it for
no ZIP code at all."""
