"""Which congressional districts there are, and how people write them."""

import operator
import re
from collections.abc import Mapping
from types import MappingProxyType

from pe_data.errors import InputError

SEATS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "AL": (1, 7), "AK": (2, 1), "AZ": (4, 9), "AR": (5, 4), "CA": (6, 52), "CO": (8, 8), "CT": (9, 5),
        "DE": (10, 1), "DC": (11, 1), "FL": (12, 28), "GA": (13, 14), "HI": (15, 2), "ID": (16, 2), "IL": (17, 17),
        "IN": (18, 9), "IA": (19, 4), "KS": (20, 4), "KY": (21, 6), "LA": (22, 6), "ME": (23, 2), "MD": (24, 8),
        "MA": (25, 9), "MI": (26, 13), "MN": (27, 8), "MS": (28, 4), "MO": (29, 8), "MT": (30, 2), "NE": (31, 3),
        "NV": (32, 4), "NH": (33, 2), "NJ": (34, 12), "NM": (35, 3), "NY": (36, 26), "NC": (37, 14), "ND": (38, 1),
        "OH": (39, 15), "OK": (40, 5), "OR": (41, 6), "PA": (42, 17), "RI": (44, 2), "SC": (45, 7), "SD": (46, 1),
        "TN": (47, 9), "TX": (48, 38), "UT": (49, 4), "VT": (50, 1), "VA": (51, 11), "WA": (53, 10), "WV": (54, 2),
        "WI": (55, 8), "WY": (56, 1),
    }
)  # fmt: skip
"""Postal code → state FIPS and number of seats, by the apportionment after the 2020 census (118th to 122nd Congress);
the District of Columbia with its delegate."""

_POSTAL = {fips: postal for postal, (fips, _) in SEATS.items()}
_AT_LARGE = (0, 98)
"""How the Census Bureau numbers the only seat of a state, and a delegate's."""
_NAME = re.compile(r"(?:districts/)?([A-Z]{2})-?(AL|[0-9]{1,2})", re.IGNORECASE)
_CODE = re.compile(r"(?:500[0-9]{4}US)?([0-9]{3,4})", re.IGNORECASE)


def all_districts() -> list[str]:
    """`AK-01`, `AL-01`, …: all 436, in order."""
    return [f"{postal}-{number:02d}" for postal in sorted(SEATS) for number in range(1, SEATS[postal][1] + 1)]


def district_of(key: object) -> str:
    """The district that somebody means, as `NC-01`.

    Args:
        key: `NC-01`, `nc1`, `AK-AL`, a member's name `districts/NC-01`, or a Census GEOID: 3701, "3701", "0200",
            "5001900US3701". The only seat of a state may be 00, 01 or 98.

    Raises:
        InputError: it is no district of the 118th to 122nd Congress.
    """
    found = _read(key)
    if found is None:
        raise InputError(
            f"{key!r}: expected a congressional district such as NC-01 or the Census GEOID 3701, found no such form"
        )
    postal, number = found
    seats = SEATS[postal][1] if postal in SEATS else 0
    if seats == 1 and number in _AT_LARGE:
        number = 1
    if not 1 <= number <= seats:
        known = f"{postal}-01 to {postal}-{seats:02d}" if seats > 1 else f"{postal}-01" if seats else "a state or DC"
        raise InputError(
            f"{key!r}: expected a district of the 118th to 122nd Congress ({known}), found {postal}-{number:02d}"
        )
    return f"{postal}-{number:02d}"


def _read(key: object) -> tuple[str, int] | None:
    """Postal code (or what stands in its place) and number; None for another form."""
    if isinstance(key, str):
        text = key.strip()
        if name := _NAME.fullmatch(text):
            return name[1].upper(), 0 if name[2].upper() == "AL" else int(name[2])
        code = _CODE.fullmatch(text)
        return _split(int(code[1])) if code else None
    if isinstance(key, bool):
        return None
    if isinstance(key, float) and key.is_integer():  # an index of pandas that had holes
        key = int(key)
    try:
        return _split(operator.index(key))  # type: ignore[arg-type]
    except TypeError:
        return None


def _split(code: int) -> tuple[str, int] | None:
    if not 100 <= code <= 9999:
        return None
    state, number = divmod(code, 100)
    return _POSTAL.get(state, f"{state:02d}"), number
