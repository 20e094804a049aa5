"""What is to be built: typed area requests with JSON round trips."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self, cast, get_args

from local_h5.errors import RequestError

AreaType = Literal["national", "state", "district", "city", "custom"]
FilterField = Literal["block", "tract", "county", "district", "state", "puma", "place", "zcta", "cbsa", "sldu", "sldl"]
Operation = Literal["eq", "in"]

AREA_TYPES: tuple[AreaType, ...] = get_args(AreaType)
FILTER_FIELDS: tuple[FilterField, ...] = get_args(FilterField)

FOLDERS: Mapping[AreaType, str] = {
    "national": "national",
    "state": "states",
    "district": "districts",
    "city": "cities",
    "custom": "custom",
}
"""Area type → the folder of its files, the published layout."""

CODE_WIDTH: Mapping[FilterField, int] = {
    "block": 15,
    "tract": 11,
    "county": 5,
    "district": 4,
    "state": 2,
    "puma": 5,
    "place": 5,
    "zcta": 5,
    "cbsa": 5,
}
"""Digits of the fields whose codes are all digits; state-legislative districts may hold letters."""

WITHIN_STATE: Mapping[FilterField, int] = {"puma": 5, "place": 5, "sldu": 3, "sldl": 3}
"""Fields whose codes are unique only within a state (Census GEOIDs begin with the state's), and their characters."""

STATE_DIGITS = 2

_AREA_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class AreaFilter:
    """One condition on a household clone's geography.

    Unpadded digits are padded where the field's codes have a fixed number of digits.

    Attributes:
        field: the geography field.
        op: ``eq`` (one value) or ``in`` (one of several).
        values: Census codes as zero-padded text. Those of :data:`WITHIN_STATE` with their state in front (``37024``),
            or without it beside another filter that says which state (``024`` and a filter by state).

    Raises:
        RequestError: unknown field or operation, no list under ``in``, an empty list, a number, a malformed code.
    """

    field: FilterField
    op: Operation
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_filter("area filter", self.field, self.op, self.values)
        codes = tuple(dict.fromkeys(_code("area filter", self.field, value) for value in self.values))
        object.__setattr__(self, "values", codes)

    @classmethod
    def from_json(cls, data: Any, where: object = "area filter") -> Self:
        """Read ``{"field": …, "op": "eq"|"in", "value": …}``.

        Raises:
            RequestError: as for the filter itself, or another form.
        """
        if not isinstance(data, Mapping) or set(data) != {"field", "op", "value"}:
            raise RequestError(
                f"{where}: filter: expected an object with field, op and value, found {data!r}. Write, for "
                'example, {field: county, op: in, value: ["36061", "36047"]}.'
            )
        name, op, value = data["field"], data["op"], data["value"]
        if op == "eq" and isinstance(value, list | tuple | Mapping | bytes | type(None)):
            raise RequestError(
                f"{where}: filter.{name}: expected one code under 'eq', found {value!r}. Give one code, or use "
                "the operation 'in'."
            )
        values = (value,) if op == "eq" else value
        _check_filter(where, name, op, values)
        codes = tuple(_code(where, name, item) for item in values)
        return cls(cast(FilterField, name), cast(Operation, op), codes)

    def of_states(self) -> tuple[tuple[int | None, str], ...]:
        """State (FIPS code, None where the code has none in front) and code of each value of :data:`WITHIN_STATE`."""
        width = WITHIN_STATE[self.field]
        return tuple(
            (int(value[:STATE_DIGITS]), value[STATE_DIGITS:]) if len(value) > width else (None, value)
            for value in self.values
        )

    @property
    def says_state(self) -> bool:
        """Whether each of the codes is of one state by itself."""
        if self.field in WITHIN_STATE:
            return all(state is not None for state, _ in self.of_states())
        return self.field in ("state", "county", "tract", "block", "district")

    def to_json(self) -> dict[str, Any]:
        """The form that :meth:`from_json` reads."""
        value = self.values[0] if self.op == "eq" else list(self.values)
        return {"field": self.field, "op": self.op, "value": value}


@dataclass(frozen=True, slots=True)
class AreaBuildRequest:
    """One file to build.

    Attributes:
        area_type: national, state, district, city or custom.
        area_id: unique within its type, for example ``NC-01``; also the file's stem.
        display_name: for people.
        filters: all must hold; none means every household clone.
        package: which calibration package the area is read from: ``regional``, or ``national`` for a nation with
            weights and geography of its own.
    """

    area_type: AreaType
    area_id: str
    display_name: str
    filters: tuple[AreaFilter, ...] = field(default=())
    package: str = "regional"

    def __post_init__(self) -> None:
        if self.area_type not in AREA_TYPES:
            raise RequestError(
                f"area request: area_type: expected one of {', '.join(AREA_TYPES)}, found {self.area_type!r}. Use "
                "one of these types."
            )
        if not _AREA_ID.fullmatch(self.area_id):
            raise RequestError(
                "area request: area_id: expected letters, digits, _ and - (at most 64), since it is the file's "
                f"name, found {self.area_id!r}. Choose another id."
            )

    @property
    def relative_path(self) -> PurePosixPath:
        """The file's path below the output folder, for example ``districts/NC-01.h5``."""
        return PurePosixPath(FOLDERS[self.area_type], f"{self.area_id}.h5")

    @classmethod
    def from_json(cls, data: Any, where: object = "area request") -> Self:
        """Read the form that :meth:`to_json` writes.

        Raises:
            RequestError: a missing or unknown key, or a value of the wrong form.
        """
        texts = {"area_type", "area_id", "display_name", "package"}
        keys = texts | {"filters"}
        if (
            not isinstance(data, Mapping)
            or set(data) != keys
            or not all(isinstance(data[key], str) for key in texts)
            or not isinstance(data["filters"], list)
        ):
            raise RequestError(
                f"{where}: expected an object with the texts {', '.join(sorted(texts))} and the list filters, "
                f"found {data!r}. Let the workflow write the request again."
            )
        return cls(
            cast(AreaType, data["area_type"]),
            data["area_id"],
            data["display_name"],
            tuple(AreaFilter.from_json(item, where) for item in data["filters"]),
            data["package"],
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON-serialisable form with stable key order."""
        return {
            "area_type": self.area_type,
            "area_id": self.area_id,
            "display_name": self.display_name,
            "filters": [item.to_json() for item in self.filters],
            "package": self.package,
        }


def output_path(folder: Path, relative: PurePosixPath) -> Path:
    """``folder / relative``, checked to stay inside ``folder`` after links are followed.

    Raises:
        RequestError: the path is absolute or leaves the folder.
    """
    path = folder / relative
    inside = path.resolve().is_relative_to(folder.resolve())
    if relative.is_absolute() or ".." in relative.parts or not inside:
        raise RequestError(
            f"{relative}: output path: expected a path inside {folder}, found {path.resolve()}. Use a relative "
            "path without '..'."
        )
    return path


def results_folder(request: AreaBuildRequest, output: Path) -> Path:
    """The output folder of a run, from the place of one area's file.

    Raises:
        RequestError: ``output`` is not where the published layout has the area.
    """
    relative = request.relative_path
    if output.parts[-len(relative.parts) :] != relative.parts:
        raise RequestError(
            f"{output}: output path: expected a path that ends in {relative}, found {output}. Files keep the "
            "published layout; choose another folder above it."
        )
    return output.parents[len(relative.parts) - 1]


def _check_filter(where: object, name: Any, op: Any, values: Any) -> None:
    """Field, operation, and the form of the list; :func:`_code` looks at its members."""
    if name not in FILTER_FIELDS:
        raise RequestError(
            f"{where}: filter.field: expected one of {', '.join(FILTER_FIELDS)}, found {name!r}. Use one of these "
            "fields."
        )
    if op not in get_args(Operation):
        raise RequestError(
            f"{where}: filter.op: expected eq or in, found {op!r}. Use 'eq' with one code or 'in' with a list."
        )
    if not isinstance(values, list | tuple):
        raise RequestError(
            f"{where}: filter.{name}: expected a list of codes under 'in', found {values!r}. Use a list, or the "
            "operation 'eq'."
        )
    if not values:
        raise RequestError(
            f"{where}: filter.{name}: expected at least one code, found an empty list. Leave the filter out to "
            "take everything."
        )
    if op == "eq" and len(values) != 1:
        raise RequestError(
            f"{where}: filter.{name}: expected one code under 'eq', found {values!r}. Give one code, or use the "
            "operation 'in'."
        )


def _code(where: object, name: FilterField, value: Any) -> str:
    width, own = CODE_WIDTH.get(name), WITHIN_STATE.get(name)
    if isinstance(value, str) and value.isascii():
        if width is not None and value.isdigit():
            if len(value) <= width:
                return value.zfill(width)
            if own is not None and len(value) == STATE_DIGITS + own:
                return value
        if width is None and own is not None and value.isalnum() and _is_legislative(value, own):
            return value
    described = f"{width} digits" if width else "text such as '012'"
    if own is not None:
        described += f", or {'37' + '02400'[:own]!r} with its state in front"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        # YAML reads 02013 as the octal number 1035, and 1035 as itself; which was written, it does not say.
        full = width or own or 0
        meant = dict.fromkeys(
            text for text in (str(value).zfill(full), f"0{value:o}".zfill(full)) if len(text) == full
        ) or {str(value): None}
        lines = " or ".join(f'value: "{text}"' for text in meant)
        raise RequestError(
            f"{where}: filter.{name}: expected a code of {described}, in quotes, found the number {value}. Write "
            f"{lines}: without quotes the leading zeros of a code are lost, and YAML reads 010 as 8."
        )
    raise RequestError(
        f"{where}: filter.{name}: expected a code of {described}, found {value!r}. "
        "Give the Census code as text with its leading zeros."
    )


def _is_legislative(value: str, own: int) -> bool:
    """Whether a text may be a state-legislative district: up to three characters, or with the state's two digits."""
    return len(value) <= own or (len(value) <= STATE_DIGITS + own and value[:STATE_DIGITS].isdigit())
