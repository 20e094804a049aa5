"""The areas of a run, from the district table and the configuration. They are known before anything is built."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from local_h5 import suggestions, us
from local_h5.errors import ConfigError, InputError
from local_h5.files import forms
from local_h5.files.forms import Form
from local_h5.files.text_table import read_table
from local_h5.requests import AreaBuildRequest, AreaFilter

if TYPE_CHECKING:
    import numpy as np  # only its name: the workflow reads this module whenever it starts

DISTRICT_COLUMNS = ("district", "code", "state", "state_fips", "population_2024")
CONGRESS = "congress"
"""A further column, the same number in every row; a table without it does not say whose districts it has."""


class CustomArea(Form, frozen=True):
    """An area of the user's own, as the configuration has it; :func:`all_requests` reads the filters."""

    id: Annotated[str, forms.matching("[A-Za-z0-9][A-Za-z0-9_-]{0,63}")]
    filters: Annotated[tuple[Mapping[str, Any], ...], Meta(min_length=1)]
    name: str | UnsetType = UNSET


class District(Struct, frozen=True):
    """A row of the district table: friendly name, normalised code, state, persons (ACS), number of the Congress."""

    name: str
    code: int
    state: str
    population: int
    congress: int | UnsetType = UNSET


def read_districts(path: Path) -> tuple[District, ...]:
    """Read the table of congressional districts that a package must cover.

    An at-large seat may be written as 200, 201 or (DC's delegate) 1198.

    Raises:
        ConfigError: missing file, other columns, an unknown state, a code that is not its state's, number 00 or 98 in a
            state with several seats, a district twice, districts of two Congresses.
    """
    try:
        header, rows = read_table(path)
    except (OSError, ValueError) as error:
        found = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{path}: areas.districts: expected a CSV table, found {found}") from error
    if header not in (DISTRICT_COLUMNS, (*DISTRICT_COLUMNS, CONGRESS)):
        raise ConfigError(
            f"{path}: columns: expected {', '.join(DISTRICT_COLUMNS)}, and {CONGRESS} or not, found "
            f"{', '.join(header) or 'none'}"
        )
    districts: list[District] = []
    lines: dict[int, int] = {}
    for number, row in enumerate(rows, start=2):
        try:
            congress = _congress(row[CONGRESS]) if CONGRESS in row else UNSET
            code, population = int(row["code"]), int(row["population_2024"])
            district = District(row["district"], us.normalise_district(code), row["state"], population, congress)
            right = us.STATE_FIPS[district.state] == code // 100
        except (ValueError, KeyError) as error:
            raise ConfigError(f"{path}: line {number}: expected a district, found {error}") from error
        if not right:
            raise ConfigError(f"{path}: line {number}: expected a code of {district.state}, found {code}")
        if code != district.code and district.state not in us.AT_LARGE_STATES:
            raise ConfigError(
                f"{path}: line {number}: expected the number of a district, because {district.state} has more than one "
                f"seat, found {code}. Numbers 00 and 98 are for {', '.join(sorted(us.AT_LARGE_STATES))}."
            )
        if districts and congress != districts[0].congress:
            raise ConfigError(
                f"{path}: line {number}: {CONGRESS}: expected {districts[0].congress}, as in the line before, found "
                f"{congress}. A table has the districts of one Congress."
            )
        if district.code in lines:
            raise ConfigError(
                f"{path}: line {number}: expected every district once, found {code}, which line "
                f"{lines[district.code]} has. Remove one of the lines."
            )
        lines[district.code] = number
        districts.append(district)
    return tuple(districts)


def _congress(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError(f"{CONGRESS} {text!r}, which is no number of a Congress, such as 119")
    return int(text)


def all_requests(
    districts: Sequence[District],
    cities: Iterable[str],
    custom: Iterable[CustomArea],
    *,
    national_package: str,
    where: object,
    package: str = "regional",
    whole_states: bool = False,
) -> tuple[AreaBuildRequest, ...]:
    """Every area of a run: nation, states, districts, cities, custom areas. Each has the Congress of the table.

    Args:
        districts: of the district table.
        cities: ids of ``areas.cities``.
        custom: ``areas.custom`` of the configuration.
        national_package: the package that the nation is built from.
        where: the configuration file, for messages.
        package: the package that all other areas are built from.
        whole_states: whether a state also has rows whose district is not known, and so is cut by its own code.

    Raises:
        ConfigError: an unknown city, or two custom areas with one id.
        RequestError: a filter is malformed.
    """
    nation = AreaBuildRequest("national", us.NATIONAL_ID, "United States", package=national_package)
    by_state: dict[str, list[str]] = {}
    for district in districts:
        by_state.setdefault(district.state, []).append(f"{district.code:04d}")
    states = [
        AreaBuildRequest(
            "state",
            state,
            us.STATE_NAMES[state],
            (
                AreaFilter("state", "eq", f"{us.STATE_FIPS[state]:02d}")
                if whole_states
                else AreaFilter("district", "in", tuple(sorted(codes))),
            ),
            package,
        )
        for state, codes in sorted(by_state.items())
    ]
    single = [
        AreaBuildRequest("district", d.name, d.name, (AreaFilter("district", "eq", (f"{d.code:04d}",)),), package)
        for d in districts
    ]
    unknown = [city for city in cities if city not in us.CITY_COUNTIES]
    if unknown:
        raise ConfigError(
            f"{where}: areas.cities: expected ids among {', '.join(us.CITY_COUNTIES)}, found {', '.join(unknown)}. "
            f"{_city_meant(unknown[0])} Describe another city under areas.custom."
        )
    known = [
        AreaBuildRequest(
            "city", city, us.CITY_NAMES[city], (AreaFilter("county", "in", us.CITY_COUNTIES[city]),), package
        )
        for city in cities
    ]
    own = [
        AreaBuildRequest(
            "custom",
            item.id,
            item.name or item.id,
            tuple(AreaFilter.from_json(entry, f"{where}: areas.custom.{item.id}") for entry in item.filters),
            package,
        )
        for item in custom
    ]
    ids = [request.area_id for request in own]
    if len(set(ids)) != len(ids):
        repeated = sorted(name for name, count in Counter(ids).items() if count > 1)
        raise ConfigError(f"{where}: areas.custom: expected every id once, found {', '.join(repeated)}")
    congress = districts[0].congress if districts else UNSET
    return tuple(replace(request, congress=congress) for request in (nation, *states, *single, *known, *own))


def _city_meant(name: str) -> str:
    known = {word: [city] for city, full in us.CITY_NAMES.items() for word in (city, full)}
    return suggestions.did_you_mean(name, known)


def did_you_mean(name: str, requests: Sequence[AreaBuildRequest]) -> str:
    """A suggestion for an area that does not exist: ``Did you mean NC-01?``, or an empty text.

    Capitals, hyphens and leading zeros make no difference. The name of an area (``North Carolina``) works as well as
    its id, and a letter may be wrong.

    Args:
        name: an id, a relative path or a name.
        requests: the areas that there are.
    """
    ids = Counter(request.area_id for request in requests)
    called: dict[str, list[str]] = {}
    for request in requests:
        shown = request.area_id if ids[request.area_id] == 1 else request.name
        for word in (request.area_id, request.display_name):
            called.setdefault(word, []).append(shown)
    return suggestions.did_you_mean(name.removesuffix(".h5").rpartition("/")[2], called)


def check_coverage(listed: Sequence[District], present: "np.ndarray", where: object) -> None:
    """Check that a geography has the listed districts and no others.

    Args:
        listed: the district table.
        present: int, normalised codes of the geography.
        where: the geography's file.

    Raises:
        InputError: a listed district is missing, or one is there that is not listed.
    """
    wanted = {district.code: district.name for district in listed}
    have = {int(code) for code in present}
    missing = [name for code, name in wanted.items() if code not in have]
    extra = sorted(have - wanted.keys())
    if missing or extra:
        parts = []
        if missing:
            parts.append(f"{len(missing)} missing ({', '.join(missing[:5])}{' …' if len(missing) > 5 else ''})")
        if extra:
            shown = ", ".join(str(code) for code in extra[:5])
            parts.append(f"{len(extra)} not listed ({shown}{' …' if len(extra) > 5 else ''})")
        raise InputError(
            f"{where}: districts: expected the {len(wanted)} listed districts, found {'; '.join(parts)}. Use a "
            "package of this Congress, or set areas.districts to the table of the other one."
        )
