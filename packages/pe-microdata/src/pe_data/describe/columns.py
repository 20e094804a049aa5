"""Build entities, roles and column groups of a manifest from a flat list of columns.

Nothing here knows a country. By the convention of PolicyEngine's files, `person_id` identifies
persons, a pair `{entity}_id` and `person_{entity}_id` makes another entity, and
`{entity}_weight` is its survey weight.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pe_data.documents.dictionary import PERIODS, PeriodKind, Variable
from pe_data.documents.manifest import Entity, InputFile, Inputs, composite_digest

PERSON = "person"

_CODED = re.compile(r"[<>|=]?([biufSUO])(\d*)")
_NAMED = re.compile(r"(bool|(?:u?int|float)(?:8|16|32|64))(?:_|\[.*\])?")
_KINDS = {"i": "int", "u": "uint", "f": "float"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column, before grouping."""

    name: str
    entity: str
    dtype: str
    """A normalised dtype, see `normal_dtype`."""
    period: PeriodKind = "year"


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds, read from its metadata; the manifest is built from it."""

    columns: tuple[Column, ...]
    rows: Mapping[str, int]
    """Entity → number of rows."""
    years: tuple[int, ...]
    """Empty if the file does not say."""
    dictionary: tuple[Variable, ...] = ()
    """What the file says of its columns."""


def normal_dtype(text: str) -> str:
    """One spelling for the dtype names of numpy, arrow and pandas.

    `<f4` → `float32`, `|b1` → `bool`, `S15` and `<U15` → `text15`, `object` and `string` → `text`,
    `double` → `float64`. Anything else stays as it is, in lower case.
    """
    named = _NAMED.fullmatch(text)
    if named:
        return named[1]
    coded = _CODED.fullmatch(text)
    if coded and (coded[2] or coded[1] == "O"):
        kind, width = coded[1], coded[2]
        if kind in "SU":
            return f"text{width}"
        if kind == "O":
            return "text"
        return "bool" if kind == "b" else f"{_KINDS[kind]}{8 * int(width)}"
    plain = {
        "object": "text",
        "str": "text",
        "string": "text",
        "large_string": "text",
        "double": "float64",
        "float": "float32",
        "halffloat": "float16",
    }
    return plain.get(text.lower(), text.lower())


def period_kind(periods: Iterable[str]) -> PeriodKind:
    """`month` if the keys are months, `eternity` if they are `ETERNITY`, else `year`."""
    keys = {key.upper() for key in periods}
    if keys == {"ETERNITY"}:
        return "eternity"
    return "month" if keys and all("-" in key for key in keys) else "year"


def years_of(periods: Iterable[str]) -> set[int]:
    """The years in period keys such as `2024`, `2024-03` or `ETERNITY`."""
    return {int(key[:4]) for key in periods if re.fullmatch(r"\d{4}(-\d{2})?", key)}


def entity_names(columns: Iterable[str]) -> tuple[str, ...]:
    """The entities that a set of column names declares, `person` first."""
    names = set(columns)
    others = sorted(name.removesuffix("_id") for name in names if name.endswith("_id") and f"{PERSON}_{name}" in names)
    return ((PERSON,) if f"{PERSON}_id" in names else ()) + tuple(others)


def entities_of(columns: Iterable[Column], rows: Mapping[str, int]) -> dict[str, Entity]:
    """Entities with their columns, and with id, links and weight where the columns have them; `rows` by entity."""
    found: dict[str, dict[PeriodKind, dict[str, list[str]]]] = {name: {kind: {} for kind in PERIODS} for name in rows}
    for column in columns:
        found[column.entity][column.period].setdefault(column.dtype, []).append(column.name)
    result = {}
    for entity, by_period in found.items():
        names = {name for listed_by in by_period.values() for listed in listed_by.values() for name in listed}
        year, month, eternity = (
            {dtype: tuple(sorted(listed)) for dtype, listed in sorted(by_period[kind].items())} for kind in PERIODS
        )
        result[entity] = Entity(
            rows=rows[entity],
            id=_if_in(f"{entity}_id", names),
            links={
                other: f"{entity}_{other}_id"
                for other in sorted(rows)
                if other != entity and f"{entity}_{other}_id" in names
            },
            weight=_if_in(f"{entity}_weight", names),
            columns=year,
            monthly_columns=month,
            eternal_columns=eternity,
        )
    return result


def inputs_of(files: Iterable[InputFile]) -> Inputs | None:
    """Inputs with their composite digest: sha256 of the canonical JSON of the sorted rows."""
    rows = tuple(sorted(files, key=lambda file: file.name))
    if not rows:
        return None
    return Inputs(composite_digest(rows), rows)


def _if_in(name: str, names: set[str]) -> str | None:
    return name if name in names else None
