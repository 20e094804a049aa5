"""A tile map of congressional districts: each state is a tile in a grid, and its districts are cells of the tile.

A map with true areas misleads here, because all districts have about the same population.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil, sqrt

_GRID = """\
AK . . . . . . . . . . ME
. . . . . . . . . . VT NH
WA ID MT ND MN IL WI MI NY RI MA .
OR NV WY SD IA IN OH PA NJ CT . .
CA UT CO NE MO KY WV VA MD DE . .
. AZ NM KS AR TN NC SC DC . . .
. . . OK LA MS AL GA . . . .
HI . . TX . . . . FL . . ."""

PLACES = {
    code: (column, row)
    for row, line in enumerate(_GRID.splitlines())
    for column, code in enumerate(line.split())
    if code != "."
}
"""Postal code → column and row of the state's tile."""

COLUMNS, ROWS = 12, 8


@dataclass(frozen=True, slots=True)
class Cell:
    """A district's square, in units of a tile."""

    district: str
    x: float
    y: float
    size: float


def cells(districts: Iterable[str]) -> Iterator[Cell]:
    """Cells of districts such as ``NC-01``. Districts of a state without a tile are left out."""
    by_state: dict[str, list[str]] = {}
    for name in districts:
        by_state.setdefault(name.partition("-")[0], []).append(name)
    for state, names in by_state.items():
        if state not in PLACES:
            continue
        column, row = PLACES[state]
        side = ceil(sqrt(len(names)))
        size = 0.78 / side  # the rest of the tile is for the state's name
        for number, name in enumerate(sorted(names)):
            yield Cell(name, column + 0.11 + number % side * size, row + 0.04 + number // side * size, size)
