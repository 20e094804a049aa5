"""The cartogram: a cell for each district, as `cartogram.txt` has them (computed by tests/support)."""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

EMPTY = ".."
Cell = tuple[int, int]
"""Column and row, from the left and from the top."""


@cache
def cells() -> Mapping[str, Cell]:
    """District → its cell. Numbers run by row through the cells of a state: a place inside the state means nothing."""
    counted: dict[str, int] = {}
    found = {}
    text = files("pe_data.maps").joinpath("cartogram.txt").read_text(encoding="ascii")
    for row, line in enumerate(text.splitlines()):
        for column, postal in enumerate(line.split()):
            if postal != EMPTY:
                counted[postal] = counted.get(postal, 0) + 1
                found[f"{postal}-{counted[postal]:02d}"] = (column, row)
    return found


def label_places(placed: Iterable[tuple[str, Cell]]) -> dict[str, tuple[float, float]]:
    """State → the middle of its label, in cells: in the middle of two cells beside each other, or of one.

    Args:
        placed: districts with their cells.
    """
    by_state: dict[str, set[Cell]] = {}
    for district, cell in placed:
        by_state.setdefault(district[:2], set()).add(cell)
    return {postal: _label(own) for postal, own in by_state.items()}


def _label(own: set[Cell]) -> tuple[float, float]:
    x, y = (sum(cell[axis] for cell in own) / len(own) for axis in (0, 1))
    pairs = sorted((column + 0.5, row) for column, row in own if (column + 1, row) in own)
    spots = pairs or sorted((float(column), row) for column, row in own)
    best = min(spots, key=lambda spot: (spot[0] - x) ** 2 + (spot[1] - y) ** 2)
    return best[0] + 0.5, best[1] + 0.5


def borders(placed: Mapping[str, Cell]) -> list[tuple[int, int, int, int]]:
    """Lines x1, y1, x2, y2 between states and round them, each as long as it can be; in cells."""
    owner = {cell: district[:2] for district, cell in placed.items()}
    edges: dict[tuple[str, int], set[int]] = {}
    for column, row in owner:
        for there, line, at in (
            ((column - 1, row), ("v", column), row),
            ((column + 1, row), ("v", column + 1), row),
            ((column, row - 1), ("h", row), column),
            ((column, row + 1), ("h", row + 1), column),
        ):
            if owner.get(there) != owner[column, row]:
                edges.setdefault(line, set()).add(at)
    lines = []
    for (way, place), steps in sorted(edges.items()):
        for start in sorted(at for at in steps if at - 1 not in steps):
            end = start + 1
            while end in steps:
                end += 1
            lines.append((place, start, place, end) if way == "v" else (start, place, end, place))
    return lines
