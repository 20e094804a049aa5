"""A map of districts as SVG: `pe_data.map`, and the pieces that a page with several measures is made from."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Protocol

from pe_data.errors import InputError
from pe_data.files.atomic import write_atomic
from pe_data.maps.districts import all_districts, district_of
from pe_data.maps.layout import borders, cells, label_places
from pe_data.maps.scale import Scale, palette, scale_of
from pe_data.maps.shapes import WIDTH, Ring, path_data, read_shapes

CELL = 22
"""Side of a cell, in units of the picture."""
NO_VALUE = "none"
"""Class of a district without a value."""
_MARGIN = 8
_SWATCH = (58, 14)


class HasItems(Protocol):
    """A mapping, a series of pandas, or estimates by area."""

    def items(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Frame:
    """Where districts lie on the picture.

    Attributes:
        paths: district → `d` of its SVG path.
        lines: `d` of the borders of states; empty where shapes have their own.
        labels: state → middle of its label.
        middles: district → a point in it, or near it.
        width, height: of the picture without a legend.
    """

    paths: Mapping[str, str]
    lines: str
    labels: Mapping[str, tuple[float, float]]
    middles: Mapping[str, tuple[float, float]]
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of each district, ready to be drawn.

    Attributes:
        title: what it is, in words.
        scale: its classes.
        values: district → value; None without one. Districts that nobody gave have none.
        percent: whether values are shares to be written in per cent.
    """

    title: str
    scale: Scale
    values: Mapping[str, float | None]
    percent: bool = False

    @property
    def has_values(self) -> bool:
        """Whether a district has a value."""
        return any(value is not None for value in self.values.values())

    def class_of(self, district: str) -> str:
        """Class of a district in style sheets: `d0` … `d8` with a sign, `s0` … without, `none`."""
        value = self.values.get(district)
        if value is None:
            return NO_VALUE
        return self.scale.names[self.scale.index(value)]

    def written(self, district: str) -> str:
        """The value of a district in words."""
        value = self.values.get(district)
        return "no value" if value is None else number(value, percent=self.percent, signed=self.scale.signed)


@dataclass(frozen=True, slots=True, repr=False)
class DistrictMap:
    """A map of one measure. A notebook shows it; `svg` and `save` give it to others."""

    measure: Measure
    frame: Frame

    def svg(self) -> str:
        """A document of its own, on white."""
        legend_height = 48
        width, height = self.frame.width + 2 * _MARGIN, self.frame.height + legend_height + 2 * _MARGIN
        colours = rules({name: colour for name, colour in palette().items() if name in self.measure.scale.names})
        title = escape(self.measure.title)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-_MARGIN} {-_MARGIN} {width:g} {height:g}" role="img"'
            f' aria-label="{title or "Congressional districts"}" font-family="sans-serif">'
            f"<title>{title or 'Congressional districts'}</title>"
            f"<style>.{NO_VALUE}{{fill:url(#hatch)}}{colours}.cells path{{stroke:#fff;stroke-width:.6}}{_STYLE}</style>"
            f"<defs>{hatch('hatch', '#e8e8e8', '#9a9a9a')}</defs>"
            f'<rect x="{-_MARGIN}" y="{-_MARGIN}" width="{width:g}" height="{height:g}" fill="#fff"/>'
            f"{drawn(self.frame, self.measure)}"
            f'<g transform="translate(0 {self.frame.height + 10:g})">{legend(self.measure)}</g></svg>'
        )

    def save(self, path: "str | os.PathLike[str]") -> Path:
        """Write the SVG, whole or not at all."""
        target = Path(path)
        write_atomic(target, self.svg().encode())
        return target

    def _repr_svg_(self) -> str:
        return self.svg()

    def __repr__(self) -> str:
        known = sum(value is not None for value in self.measure.values.values())
        return f'map of {known} districts: {self.measure.title or "no title"}; .save("map.svg") writes it'


_STYLE = (
    ".lines{fill:none;stroke:#333;stroke-width:1.6;stroke-linecap:square}"
    ".labels text{font-size:11px;font-weight:600;text-anchor:middle;fill:#111;stroke:#fff;stroke-width:2.4px;"
    "stroke-linejoin:round;paint-order:stroke;pointer-events:none}"
    ".legend text{font-size:12px;fill:#222}.legend .bound{text-anchor:middle}.legend rect{stroke:#888;stroke-width:.5}"
)


def map(
    values: HasItems,
    *,
    title: str = "",
    signed: bool | None = None,
    percent: bool = False,
    shapes: "str | os.PathLike[str] | None" = None,
) -> DistrictMap:
    """A map of congressional districts, coloured by a number of each.

    Args:
        values: District → number: a mapping, a series of pandas, or what `Frames` estimate by area. A district is
            `NC-01`, `districts/NC-01` or a Census GEOID (3701, "3701"); the only seat of a state may be 00, 01 or 98.
            None and NaN are no value: hatched, as are districts that are left out.
        title: What the numbers are; above the legend.
        signed: Whether zero is the middle (blue below, orange above); by default whether a value is negative.
        percent: The numbers are shares, to be written in per cent.
        shapes: GeoJSON with a shape for each district by GEOID, for a true map. Without it, a cartogram: each district
            is a cell of the same size, because all have about the same number of people.

    Raises:
        InputError: a key is no district, a district is given twice, a value is no number or infinite, or the file of
            shapes cannot be used.
    """
    frame = cartogram() if shapes is None else true_shapes(Path(shapes).expanduser())
    return DistrictMap(measure_of(values, title=title, signed=signed, percent=percent), frame)


def measure_of(
    values: HasItems, *, title: str = "", signed: bool | None = None, percent: bool = False, least: float = 0.0
) -> Measure:
    """Values by district, checked, with their scale; arguments as of `map` and `scale_of`.

    Raises:
        InputError: as `map`.
    """
    if not hasattr(values, "items") or getattr(values, "ndim", 1) != 1:
        raise InputError(
            "map: values: expected a number for each district (a mapping, a series of pandas, or estimates by area), "
            f"found {type(values).__name__}. Of a data frame take one column"
        )
    found: dict[str, float | None] = {}
    keys: dict[str, object] = {}
    for key, value in values.items():
        district = district_of(key)
        if district in keys:
            raise InputError(f"{key!r}: expected each district once, found {district} as {keys[district]!r} too")
        keys[district] = key
        found[district] = _number(value, key)
    known = [value for value in found.values() if value is not None]
    return Measure(title, scale_of(known, signed=signed, least=least), found, percent)


def _number(value: Any, key: object) -> float | None:
    try:
        if value is None or value != value:
            return None
    except TypeError:  # pandas' NA, which is not even unequal to itself
        return None
    try:
        read = math.nan if isinstance(value, str | bytes | bool) else float(value)
    except (TypeError, ValueError):
        read = math.nan
    if not math.isfinite(read):
        raise InputError(f"{key!r}: value: expected a finite number, or None for no value, found {value!r}")
    return read


# --- where districts lie ----------------------------------------------------------------------------------------------


def cartogram() -> Frame:
    """Equal cells."""
    placed = cells()
    paths = {name: f"M{x * CELL} {y * CELL}h{CELL}v{CELL}h-{CELL}z" for name, (x, y) in placed.items()}
    lines = "".join(f"M{x1 * CELL} {y1 * CELL}L{x2 * CELL} {y2 * CELL}" for x1, y1, x2, y2 in borders(placed))
    labels = {postal: (x * CELL, y * CELL) for postal, (x, y) in label_places(placed.items()).items()}
    columns, rows = (1 + max(cell[axis] for cell in placed.values()) for axis in (0, 1))
    middles = {name: ((x + 0.5) * CELL, (y + 0.5) * CELL) for name, (x, y) in placed.items()}
    return Frame(paths, lines, labels, middles, columns * CELL, rows * CELL)


def true_shapes(path: Path) -> Frame:
    """Shapes of a GeoJSON file.

    Raises:
        InputError: as `read_shapes`.
    """
    found = read_shapes(path)
    height = max(y for rings in found.values() for ring in rings for _, y in ring)
    boxes = {name: _box(rings) for name, rings in found.items()}
    middles = {name: ((left + right) / 2, (top + low) / 2) for name, (left, top, right, low) in boxes.items()}
    paths = {name: path_data(found[name]) for name in all_districts()}
    return Frame(paths, "", _shape_labels(boxes), middles, WIDTH, height)


Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def _box(rings: Sequence[Ring]) -> Box:
    """The box round the largest part."""
    boxes = [
        (min(x for x, _ in r), min(y for _, y in r), max(x for x, _ in r), max(y for _, y in r)) for r in rings if r
    ]
    return max(boxes, key=_size)


def _size(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _shape_labels(boxes: Mapping[str, Box]) -> dict[str, tuple[float, float]]:
    """States with room for a name, and its middle: that of the boxes of their districts, large ones counting more."""
    by_state: dict[str, list[Box]] = {}
    for name, box in boxes.items():
        by_state.setdefault(name[:2], []).append(box)
    labels = {}
    for postal, own in by_state.items():
        wide, tall = (max(box[at + 2] for box in own) - min(box[at] for box in own) for at in (0, 1))
        total = sum(sizes := [_size(box) for box in own])
        if wide >= 26 and tall >= 18:
            labels[postal] = (
                sum(size * (box[0] + box[2]) / 2 for size, box in zip(sizes, own, strict=True)) / total,
                sum(size * (box[1] + box[3]) / 2 for size, box in zip(sizes, own, strict=True)) / total,
            )
    return labels


# --- pieces -----------------------------------------------------------------------------------------------------------


def drawn(frame: Frame, measure: Measure, *, titles: bool = True) -> str:
    """Cells with classes, borders and names of states.

    Args:
        titles: Whether each cell has its value in words, which a browser shows beside the pointer.
    """
    paths = "".join(
        f'<path class="{measure.class_of(name)}" data-area="{name}" d="{data}"'
        + (f"><title>{name}: {escape(measure.written(name))}</title></path>" if titles else "/>")
        for name, data in frame.paths.items()
    )
    texts = "".join(f'<text x="{x:g}" y="{y + 4:g}">{postal}</text>' for postal, (x, y) in frame.labels.items())
    lines = f'<path class="lines" d="{frame.lines}"/>' if frame.lines else ""
    return f'<g class="cells">{paths}</g>{lines}<g class="labels">{texts}</g>'


def hatch(name: str, ground: str, line: str) -> str:
    """The pattern of what has no value."""
    return (
        f'<pattern id="{name}" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        f'<rect width="5" height="5" fill="{ground}"/><rect width="1.3" height="5" fill="{line}"/></pattern>'
    )


def rules(colours: Mapping[str, str], within: str = "") -> str:
    """Style of cells and swatches: class → colour.

    Args:
        within: selector of the picture, for a page that has more than it.
    """
    return "".join(f"{within}.{name}{{fill:{colour}}}" for name, colour in colours.items())


def legend(measure: Measure) -> str:
    """Swatches with the numbers between them, and that of no value if a district has none; 44 units high."""
    width, height = _SWATCH
    names = measure.scale.names if measure.has_values else []
    parts = [f'<text x="0" y="10">{escape(measure.title)}</text>'] if measure.title else []
    parts += [f'<rect class="{name}" x="{n * width}" y="16" width="{width}" height="{height}"/>'
              for n, name in enumerate(names)]  # fmt: skip
    bounds = measure.scale.bounds
    texts = [number(bound, percent=measure.percent, signed=measure.scale.signed) for bound in bounds]
    parts += [f'<text class="bound" x="{(n + 1) * width}" y="43">{escape(t)}</text>' for n, t in enumerate(texts)]
    if names and not bounds:
        only = next(value for value in measure.values.values() if value is not None)
        text = number(only, percent=measure.percent, signed=measure.scale.signed)
        parts.append(f'<text class="bound" x="{width / 2:g}" y="43">{escape(text)}</text>')
    if any(measure.values.get(district) is None for district in all_districts()):
        x = len(names) * width + (24 if names else 0)
        parts.append(f'<rect class="{NO_VALUE}" x="{x}" y="16" width="{width}" height="{height}"/>')
        parts.append(f'<text x="{x + width + 6}" y="27">no value</text>')
    return f'<g class="legend">{"".join(parts)}</g>'


def number(value: float, *, percent: bool = False, signed: bool = False) -> str:
    """`12,300`, `+1.5 %`, `−0.02`: three digits that count, more only before the point."""
    shown = 100 * value if percent else value
    size = abs(shown)
    digits = max(0, 2 - math.floor(math.log10(size))) if size >= 1e-12 else 0
    text = f"{size:,.{min(digits, 12)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    sign = "" if text == "0" else "−" if shown < 0 else "+" if signed else ""
    return f"{sign}{text}{' %' if percent else ''}"
