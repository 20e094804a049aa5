"""What is to be built: typed area requests with JSON round trips."""

import re
from collections.abc import Iterable, Mapping
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

_AREA_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class AreaFilter:
    """One condition on a household clone's geography.

    Attributes:
        field: the geography field.
        op: ``eq`` (one value) or ``in`` (one of several).
        values: Census codes as zero-padded text.
    """

    field: FilterField
    op: Operation
    values: tuple[str, ...]

    @classmethod
    def from_json(cls, data: Any, where: object = "area filter") -> Self:
        """Read ``{"field": …, "op": "eq"|"in", "value": …}``.

        Integers and unpadded digits are padded where the field's codes have a fixed number of digits.

        Raises:
            RequestError: unknown field or operation, a bare text under ``in``, an empty list, a malformed code.
        """
        if not isinstance(data, Mapping) or set(data) != {"field", "op", "value"}:
            raise RequestError(
                where,
                field="filter",
                expected="an object with field, op and value",
                found=repr(data),
                remedy='Write, for example, {field: county, op: in, value: ["36061", "36047"]}.',
            )
        name, op, value = data["field"], data["op"], data["value"]
        if name not in FILTER_FIELDS:
            raise RequestError(
                where,
                field="filter.field",
                expected=f"one of {', '.join(FILTER_FIELDS)}",
                found=repr(name),
                remedy="Use one of these fields.",
            )
        if op not in get_args(Operation):
            raise RequestError(
                where,
                field="filter.op",
                expected="eq or in",
                found=repr(op),
                remedy="Use 'eq' with one code or 'in' with a list.",
            )
        if op == "in" and (isinstance(value, str) or not isinstance(value, Iterable)):
            raise RequestError(
                where,
                field=f"filter.{name}",
                expected="a list of codes under 'in'",
                found=repr(value),
                remedy="Use a list, or the operation 'eq'.",
            )
        if op == "eq" and not isinstance(value, str | int):
            raise RequestError(
                where,
                field=f"filter.{name}",
                expected="one code under 'eq'",
                found=repr(value),
                remedy="Give one code, or use the operation 'in'.",
            )
        listed = [value] if op == "eq" else list(value)
        if not listed:
            raise RequestError(
                where,
                field=f"filter.{name}",
                expected="at least one code",
                found="an empty list",
                remedy="Leave the filter out to take everything.",
            )
        codes = tuple(dict.fromkeys(_code(where, name, item) for item in listed))
        return cls(cast(FilterField, name), cast(Operation, op), codes)

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
                "area request",
                field="area_type",
                expected=f"one of {', '.join(AREA_TYPES)}",
                found=repr(self.area_type),
                remedy="Use one of these types.",
            )
        if not _AREA_ID.fullmatch(self.area_id):
            raise RequestError(
                "area request",
                field="area_id",
                expected="letters, digits, _ and - (at most 64), since it is the file's name",
                found=repr(self.area_id),
                remedy="Choose another id.",
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
                where,
                expected=f"an object with the texts {', '.join(sorted(texts))} and the list filters",
                found=repr(data),
                remedy="Let the workflow write the request again.",
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
            relative,
            field="output path",
            expected=f"a path inside {folder}",
            found=str(path.resolve()),
            remedy="Use a relative path without '..'.",
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
            output,
            field="output path",
            expected=f"a path that ends in {relative}",
            found=str(output),
            remedy="Files keep the published layout; choose another folder above it.",
        )
    return output.parents[len(relative.parts) - 1]


def _code(where: object, name: FilterField, value: Any) -> str:
    width = CODE_WIDTH.get(name)
    text = value if isinstance(value, str) else None
    if width is not None and isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        text = str(value)
    if text is not None and width is not None and text.isdigit() and text.isascii() and len(text) <= width:
        return text.zfill(width)
    if text and width is None and text.isascii() and text.isprintable():
        return text
    digits = f"{width} digits" if width else "text such as '012'"
    raise RequestError(
        where,
        field=f"filter.{name}",
        expected=f"a code of {digits}",
        found=repr(value),
        remedy="Give the Census code as text with its leading zeros.",
    )
