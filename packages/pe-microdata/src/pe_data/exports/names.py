"""Names that a format admits, unique after cutting."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

_WORDS = """
    _all _b byte _coef _cons double float if in int long _n _N _pi _pred _rc _skip _se str strL using with
    aggregate array boolean break case catch class colvector complex const continue default delegate delete do else
    eltypedef end enum explicit export external for friend function global goto inline local NULL pragma protected quad
    rowvector short typedef typename virtual str#
"""
STATA_WORDS = frozenset(_WORDS.split())
"""Names that no variable of Stata may have: those of its manual, and those of Mata that pandas refuses as well."""
_STATA_TYPE = re.compile(r"str[0-9]+")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Rules:
    """What a format admits as a name."""

    limit: int
    """Characters."""
    plain: bool
    """Letters, digits and `_` only, no digit first; else anything."""
    refused: Callable[[str], bool]
    """Words of its own."""
    fold: Callable[[str], str]
    """Two names are one if this makes them equal."""

    def admit(self, name: str) -> bool:
        """Whether a name may stay."""
        right = _PLAIN.fullmatch(name) is not None if self.plain else name != ""
        return right and len(name) <= self.limit and not self.refused(name)


STATA = Rules(32, True, lambda name: name in STATA_WORDS or _STATA_TYPE.fullmatch(name) is not None, lambda name: name)
"""Variables of Stata: 32 characters, upper and lower case differ."""
DUCKDB = Rules(255, False, lambda name: False, str.casefold)
"""Columns and tables of DuckDB, in quotes: `Age` and `age` are one name."""
FILES = Rules(200, True, lambda name: name.casefold() in ("renames", "read", "datapackage"), str.casefold)
"""Names of files, without what follows the dot; in some systems `Age` and `age` are one file."""
PLAIN = Rules(1 << 16, False, lambda name: False, lambda name: name)
"""CSV and Parquet: any name."""


def fitted(names: Iterable[str], rules: Rules) -> dict[str, str]:
    """Each name → its name in the format.

    A name that is admitted stays, whatever the others become. Of the rest, `@2024-01` becomes `_2024_01` and is never
    cut off; what is still taken gets `_2`, `_3`, … in the order of `names`.
    """
    every = list(dict.fromkeys(names))
    made: dict[str, str] = {}
    taken: set[str] = set()
    for name in every:
        if rules.admit(name) and rules.fold(name) not in taken:
            made[name] = name
            taken.add(rules.fold(name))
    for name in every:
        if name not in made:
            made[name] = _new(name, rules, taken)
            taken.add(rules.fold(made[name]))
    return {name: made[name] for name in every}


def renamed(names: Mapping[str, str]) -> dict[str, str]:
    """Those that are called something else."""
    return {name: new for name, new in names.items() if name != new}


def _new(name: str, rules: Rules, taken: set[str]) -> str:
    head, mark, tail = name.partition("@")
    if rules.plain:
        head = re.sub(r"[^A-Za-z0-9_]", "_", head) or "v"
        tail = re.sub(r"[^A-Za-z0-9_]", "_", mark + tail)
        head = head if _PLAIN.match(head) else f"v{head}"
    else:
        tail = mark + tail
        head = head or "v"
    number = 1
    while True:
        ending = tail if number == 1 else f"{tail}_{number}"
        kept = head[: max(1, rules.limit - len(ending))]
        found = (kept.rstrip("_") or kept) + ending
        found = found if len(found) <= rules.limit else found[: rules.limit - len(str(number)) - 1] + f"_{number}"
        if rules.admit(found) and rules.fold(found) not in taken:
            return found
        number += 1
