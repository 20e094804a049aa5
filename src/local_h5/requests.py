"""What is to be built: area requests, which are checked however they are made."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import msgspec

from local_h5.errors import RequestError
from local_h5.files import forms
from local_h5.files.forms import Form

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
"""Digits of the fields whose codes are all digits; state legislative districts may hold letters and hyphens."""

WITHIN_STATE: Mapping[FilterField, int] = {"puma": 5, "place": 5, "sldu": 3, "sldl": 3}
"""Fields whose codes are unique only within a state (Census GEOIDs begin with the state's), and their characters."""

STATE_DIGITS = 2

_LEFT_OUT: Mapping[str, Any] = {"filters": (), "package": "regional"}

_LEGISLATIVE = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]*")
_AREA_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


_VALUE: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}


class MalformedRequest(RequestError, ValueError):
    """What is wrong with a filter or a request itself; a ValueError, so that a reader adds where it stands."""


class _FilterCalls(msgspec.StructMeta):
    """``AreaFilter(field, op, values)``: codes are always several in Python."""

    def __call__(cls, field: FilterField, op: Operation, values: Any) -> Any:
        return super().__call__(field, op, values)


class _RequestCalls(msgspec.StructMeta):
    """What may be left out of a request in Python, and not in a document, which would be of another area without it."""

    def __call__(cls, *given: Any, **named: Any) -> Any:
        absent = cls.__struct_fields__[len(given) :]
        return super().__call__(*given, **{name: _LEFT_OUT[name] for name in _LEFT_OUT if name in absent} | named)


class AreaFilter(Form, metaclass=_FilterCalls, frozen=True):
    """One condition on a household clone's geography.

    Unpadded digits are padded where the field's codes have a fixed number of digits.

    Attributes:
        field: the geography field.
        op: ``eq`` (one value) or ``in`` (one of several).
        value: a Census code as zero-padded text (``eq``), or a tuple of them (``in``). Those of :data:`WITHIN_STATE`
            with their state in front (``37024``), or without it beside another filter that says which state (``024``
            and a filter by state). A list, or one code in a list, is taken too.

    Raises:
        RequestError: unknown field or operation, no list under ``in``, an empty list, a number, a malformed code.
    """

    field: FilterField
    op: Operation
    value: Annotated[Any, msgspec.Meta(extra_json_schema=_VALUE)]

    ERROR = RequestError
    ADVICE = 'Write, for example, {field: county, op: in, value: ["36061", "36047"]}.'

    def __post_init__(self) -> None:
        values = self.value
        if self.op == "eq" and not isinstance(values, tuple):
            if isinstance(values, list | Mapping | bytes | type(None)):
                raise MalformedRequest(_one_code(self.field, values))
            values = (values,)
        _check_filter(self.field, self.op, values)
        codes = tuple(dict.fromkeys(_code(self.field, value) for value in values))
        msgspec.structs.force_setattr(self, "value", codes[0] if self.op == "eq" else codes)

    @property
    def values(self) -> tuple[str, ...]:
        """The codes, one or several."""
        return (self.value,) if self.op == "eq" else self.value

    def of_states(self) -> tuple[tuple[int | None, str], ...]:
        """State (FIPS code, None where the code has none in front) and code of each value; see :data:`WITHIN_STATE`."""
        width = WITHIN_STATE.get(self.field, max(map(len, self.values)))
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


class AreaBuildRequest(Form, metaclass=_RequestCalls, frozen=True):
    """One file to build.

    Attributes:
        area_type: national, state, district, city or custom.
        area_id: unique within its type, for example ``NC-01``; also the file's stem.
        display_name: for people.
        filters: all must hold; none means every household clone.
        package: which calibration package the area is read from: ``regional``, or ``national`` for a nation with
            weights and geography of its own; ``dataset`` for a dataset that has both.
        congress: whose congressional districts the file's codes are of, where the table of districts says it. Requests
            of before this field lack it.
    """

    area_type: AreaType
    area_id: forms.Text
    display_name: str
    filters: tuple[AreaFilter, ...]
    package: forms.Text
    congress: Annotated[int, msgspec.Meta(ge=1)] | msgspec.UnsetType = msgspec.UNSET

    ERROR = RequestError
    ADVICE = "Let the workflow write the request again."

    if TYPE_CHECKING:

        def __init__(
            self,
            area_type: AreaType,
            area_id: str,
            display_name: str,
            filters: tuple[AreaFilter, ...] = (),
            package: str = "regional",
            congress: int | msgspec.UnsetType = msgspec.UNSET,
        ) -> None: ...

    def __post_init__(self) -> None:
        if self.area_type not in AREA_TYPES:
            raise MalformedRequest(
                f"area_type: expected one of {', '.join(AREA_TYPES)}, found {self.area_type!r}. Use one of these types."
            )
        if not _AREA_ID.fullmatch(self.area_id):
            raise MalformedRequest(
                "area_id: expected letters, digits, _ and - (at most 64), since it is the file's name, found "
                f"{self.area_id!r}. Choose another id."
            )

    @property
    def name(self) -> str:
        """Folder and id: ``districts/NC-01``."""
        return f"{FOLDERS[self.area_type]}/{self.area_id}"

    @property
    def key(self) -> str:
        """By which plan and sidecars know the area: the file's path below the output folder, ``districts/NC-01.h5``."""
        return f"{self.name}.h5"

    @property
    def relative_path(self) -> PurePosixPath:
        """The same, as a path."""
        return PurePosixPath(self.key)


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


def _check_filter(name: Any, op: Any, values: Any) -> None:
    """Field, operation, and the form of the list; :func:`_code` looks at its members."""
    if name not in FILTER_FIELDS:
        raise MalformedRequest(
            f"filter.field: expected one of {', '.join(FILTER_FIELDS)}, found {name!r}. Use one of these fields."
        )
    if op not in get_args(Operation):
        raise MalformedRequest(
            f"filter.op: expected eq or in, found {op!r}. Use 'eq' with one code or 'in' with a list."
        )
    if not isinstance(values, list | tuple):
        raise MalformedRequest(
            f"filter.{name}: expected a list of codes under 'in', found {values!r}. Use a list, or the operation 'eq'."
        )
    if not values:
        raise MalformedRequest(
            f"filter.{name}: expected at least one code, found an empty list. Leave the filter out to take everything."
        )
    if op == "eq" and len(values) != 1:
        raise MalformedRequest(_one_code(name, values))


def _one_code(name: Any, found: object) -> str:
    return f"filter.{name}: expected one code under 'eq', found {found!r}. Give one code, or use the operation 'in'."


def _code(name: FilterField, value: Any) -> str:
    width, own = CODE_WIDTH.get(name), WITHIN_STATE.get(name)
    if isinstance(value, str) and value.isascii():
        if width is not None and value.isdigit():
            if len(value) <= width:
                return value.zfill(width)
            if own is not None and len(value) == STATE_DIGITS + own:
                return value
        if width is None and own is not None and _is_legislative(value, own):
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
        raise MalformedRequest(
            f"filter.{name}: expected a code of {described}, in quotes, found the number {value}. Write "
            f"{lines}: without quotes the leading zeros of a code are lost, and YAML reads 010 as 8."
        )
    raise MalformedRequest(
        f"filter.{name}: expected a code of {described}, found {value!r}. "
        "Give the Census code as text with its leading zeros."
    )


def _is_legislative(value: str, own: int) -> bool:
    """Whether a text may be a state legislative district: up to three characters, or with the state's two digits.

    Characters are digits, letters and hyphens, as in the Census code ``E-O`` of Vermont's Essex-Orleans.
    """
    if not _LEGISLATIVE.fullmatch(value):
        return False
    return len(value) <= own or (len(value) <= STATE_DIGITS + own and value[:STATE_DIGITS].isdigit())
