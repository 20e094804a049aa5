"""Charts as SVG, made from numbers. They need no library on the page and no network, and take its colours.

A plotting library draws each point as an element of its own, ten thousand of them for the targets of a run. Here points
that fall on the same pixel are one, and those of a colour are one path.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median
from typing import Any

import h5py
import numpy as np

from local_h5.errors import InputError, ResultError
from local_h5.files.hdf5 import H5_ERRORS
from local_h5.inputs.area_columns import area_columns_of
from local_h5.report.collect import RunData
from pe_data.read.weighted import SMALL
from pe_data.texts import cut

Rows = Sequence[Mapping[str, Any]]

WIDTH = 720
_WEIGHT = "household_weight"
_LEFT, _RIGHT, _TOP, _ROW = 250, 44, 26, 30
_APART = 56
"""Between the middles of numbers on an axis, so that they do not touch."""
SERIES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6d31", "#7a7a7a")
"""Colours of Okabe and Ito, told apart by any eye; the last one is for all others."""
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:var(--ink,#222)}text.quiet{fill:var(--quiet,#666)}"
    ".grid{stroke:var(--line,#ddd);stroke-width:1;fill:none}.axis{stroke:var(--quiet,#666);stroke-width:1;fill:none}"
    ".dots{stroke:var(--dot,#2166ac);fill:none}.mark{stroke:var(--ink,#222);stroke-width:2;fill:none}"
    ".bar{fill:var(--dot,#2166ac)}.limit{stroke:var(--bad,#b3471d);stroke-width:1.5;stroke-dasharray:4 3}"
    + "".join(f".c{n}{{stroke:{colour};fill:none}}" for n, colour in enumerate(SERIES))
)
"""Of every chart; a page sets the variables."""


@dataclass(frozen=True, slots=True)
class Axis:
    """From a number to a place.

    Attributes:
        low, high: numbers at both ends.
        start, end: places of them.
        linear: up to which size a number is placed in proportion; beyond it, by its logarithm, on both sides of zero.
            0 for a plain logarithm of positive numbers.
    """

    low: float
    high: float
    start: float
    end: float
    linear: float = 0.0

    def place(self, value: float) -> float:
        """Where a number is; one that is beyond an end is at the end."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        share = (self._scaled(min(max(value, self.low), self.high)) - low) / (high - low)
        return self.start + (self.end - self.start) * share

    def _scaled(self, value: float) -> float:
        if not self.linear:
            return math.log10(value)
        return math.asinh(value / self.linear)


def log_axis(values: Sequence[float], start: float, end: float) -> tuple[Axis, list[float]]:
    """An axis over positive numbers from one power of ten to another, and the powers that are marked."""
    low, high = math.floor(math.log10(min(values)) + 1e-9), math.ceil(math.log10(max(values)) - 1e-9)
    high = max(high, low + 1)
    step = max(1, round((high - low) / 8))
    return Axis(10.0**low, 10.0**high, start, end), [10.0**power for power in range(low, high + 1, step)]


def error_axis(values: Sequence[float], start: float, end: float) -> tuple[Axis, list[float]]:
    """An axis over relative errors, and its marks on both sides of zero."""
    marks = (0.1, 1.0, 10.0, 100.0, 1e4, 1e6)

    def side(far: float) -> list[float]:
        return [mark for number, mark in enumerate(marks) if number == 0 or marks[number - 1] < far]

    below, above = side(-min(values)), side(max(values))
    return Axis(-below[-1], above[-1], start, end, linear=0.05), [*(-mark for mark in reversed(below)), 0.0, *above]


def all_charts(run: RunData, areas: Rows, targets: Rows) -> dict[str, str]:
    """Every chart that has something to show, by name."""
    sizes = [row for row in areas if row["effective_sample_size"]]
    timed = [row for row in areas if row["seconds"]]
    found = {
        "target_against_value": target_against_value(targets),
        "error_by_family": errors(targets, lambda row: str(row["family"]), "Relative error by family of targets"),
        "error_by_area_type": errors(targets, lambda row: str(row["area_type"]), "Relative error by type of area"),
        "weights": weight_histogram(run),
        "sample_sizes": strips(
            _grouped(sizes, lambda row: str(row["area_type"]), "effective_sample_size"),
            log_axis, compact, "Effective sample size in households, by type of area", limit=SMALL,
        ),
        "seconds": strips(
            _grouped(timed, lambda row: str(row["area_type"]), "seconds"),
            log_axis, lambda value: f"{compact(value)} s", "Seconds of a job, by type of area",
        ),
    }  # fmt: skip
    return {name: chart for name, chart in found.items() if chart}


def nothing(name: str) -> str:
    """In the place of a chart that has nothing to show."""
    title = name.replace("_", " ")
    return _svg(WIDTH, 40, [_text(10, 25, f"{title}: nothing to show", "quiet")], title)


def standalone(chart: str) -> str:
    """A chart as a document of its own, on white."""
    return chart.replace("<title>", f"<style>svg{{background:#fff}}{STYLE}</style><title>", 1)


def errors(rows: Rows, group: Callable[[Mapping[str, Any]], str], title: str) -> str:
    """A strip of relative errors for each group; empty without any."""
    return strips(_grouped(rows, group, "relative_error"), error_axis, signed_percent, title)


def _grouped(rows: Rows, group: Callable[[Mapping[str, Any]], str], column: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in rows:
        if row[column] is not None:
            found.setdefault(group(row), []).append(float(row[column]))
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def strips(
    groups: Mapping[str, Sequence[float]],
    axis_of: Callable[[Sequence[float], float, float], tuple[Axis, list[float]]],
    write: Callable[[float], str],
    title: str,
    limit: float | None = None,
) -> str:
    """A row of dots for each group, higher where there are more, with its median; empty without groups.

    Args:
        groups: name → numbers.
        axis_of: makes the axis of all numbers.
        write: a number in words.
        title: of the chart.
        limit: a number to mark.
    """
    if not groups:
        return ""
    every = [value for values in groups.values() for value in values]
    axis, ticks = axis_of([*every, *([limit] if limit else [])], _LEFT, WIDTH - _RIGHT)
    bottom = _TOP + _ROW * len(groups)
    parts, written = [], -math.inf
    for tick in ticks:
        x = axis.place(tick)
        parts.append(f'<path class="grid" d="M{x:.0f} {_TOP - 4}V{bottom}"/>')
        if x - written > _APART:
            parts.append(_text(x, 15, write(tick), "middle quiet"))
            written = x
    for number, (name, values) in enumerate(groups.items()):
        middle, y = median(values), _TOP + number * _ROW + _ROW / 2
        label = f"{name} ({len(values):,})"
        shown = label if len(label) <= 32 else f"{name[: 30 - len(label) + len(name)]}… ({len(values):,})"
        low, high = min(values), max(values)
        parts.append(
            f"<g><title>{escape(name)}: {len(values):,}, median {write(middle)}, from {write(low)} to {write(high)}"
            f"</title>{_text(_LEFT - 12, y + 4, shown, 'end')}{_density(values, axis, y)}"
            f'<path class="mark" d="M{axis.place(middle):.1f} {y - 12:.0f}v24"/></g>'
        )
    if limit:
        x = axis.place(limit)
        parts.append(f'<path class="limit" d="M{x:.1f} {_TOP - 4}V{bottom}"/>')
        parts.append(_text(x, bottom + 13, write(limit), "middle"))
    return _svg(WIDTH, bottom + (18 if limit else 6), parts, title)


def _density(values: Sequence[float], axis: Axis, y: float) -> str:
    """Strokes, three units wide, whose length grows with the number of values there."""
    counts: dict[int, int] = {}
    for value in values:
        at = round(axis.place(value) / 3)
        counts[at] = counts.get(at, 0) + 1
    most = max(counts.values())
    strokes = []
    for at, count in sorted(counts.items()):
        tall = max(3.0, 20 * math.sqrt(count / most)) if most > 3 else 5.0
        strokes.append(f"M{at * 3} {y - tall / 2:.1f}v{tall:.1f}")
    return f'<path class="dots" stroke-width="2.4" d="{"".join(strokes)}"/>'


def target_against_value(targets: Rows) -> str:
    """Each target with its value, both by their logarithm, coloured by family; empty without any."""
    rows = [row for row in targets if (row["value"] or 0) > 0 and (row["target"] or 0) > 0]
    if not rows:
        return ""
    groups = _grouped(rows, lambda row: str(row["family"]), "value")
    order = {name: min(number, len(SERIES) - 1) for number, name in enumerate(groups)}
    both = [row[column] for row in rows for column in ("target", "value")]
    size, left, top = 430, 66, 12
    across, ticks = log_axis(both, left, left + size)
    up = Axis(across.low, across.high, top + size, top)
    parts = []
    for tick in ticks:
        x, y = across.place(tick), up.place(tick)
        parts.append(f'<path class="grid" d="M{x:.0f} {top}v{size}M{left} {y:.0f}h{size}"/>')
        parts.append(
            _text(x, top + size + 18, compact(tick), "middle quiet")
            + _text(left - 8, y + 4, compact(tick), "end quiet")
        )
    parts.append(f'<path class="axis" d="M{left} {top + size}L{left + size} {top}"/>')
    points: list[set[tuple[int, int]]] = [set() for _ in SERIES]
    for row in rows:
        points[order[row["family"]]].add((round(across.place(row["target"])), round(up.place(row["value"]))))
    for number, own in enumerate(points):
        dots = "".join(f"M{x} {y}h0" for x, y in sorted(own))
        parts.append(f'<path class="c{number}" stroke-width="4" stroke-linecap="round" d="{dots}"/>' if dots else "")
    names: dict[int, list[str]] = {}
    for name, number in order.items():
        names.setdefault(number, []).append(name)
    for line, (number, own_names) in enumerate(sorted(names.items())):
        count = sum(len(groups[name]) for name in own_names)
        what = own_names[0] if len(own_names) == 1 else f"{len(own_names)} other families"
        y = top + 14 + 19 * line
        room = 38 - len(f"{count:,}")
        shown = cut(what, room)
        parts.append(
            f'<g><title>{escape(what)}: {count:,}</title><path class="c{number}" stroke-width="9" '
            f'stroke-linecap="round" d="M{left + size + 24} {y - 4}h0"/>'
            f"{_text(left + size + 36, y, f'{shown} ({count:,})')}</g>"
        )
    parts.append(_text(left + size / 2, top + size + 38, "target", "middle"))
    parts.append(
        f'<text transform="translate(14 {top + size / 2:g}) rotate(-90)" class="middle">value in the file</text>'
    )
    return _svg(WIDTH + 140, top + size + 46, parts, "Value in the file against target")


def weight_histogram(run: RunData) -> str:
    """Histogram of the household weights in the nation's file, or in all states' files; empty without any."""
    chosen = [a for a in run.of_type("national") if a.sidecar] or [a for a in run.of_type("state") if a.sidecar]
    weights = [_weights(run, area.request.relative_path) for area in chosen]
    weight = np.concatenate(weights) if weights else np.empty(0)
    weight = weight[np.isfinite(weight) & (weight > 0)]
    if not weight.size:
        return ""
    left, height, top = 66, 180, 14
    axis, ticks = log_axis([float(weight.min()), float(weight.max())], left, WIDTH - _RIGHT)
    places = np.linspace(math.log10(axis.low), math.log10(axis.high), 61)
    counts, edges = np.histogram(np.log10(weight), bins=places)
    most = max(int(counts.max()), 1)
    parts = []
    for mark in (most / 2, most):
        y = top + height * (1 - mark / most)
        parts.append(f'<path class="grid" d="M{left} {y:.0f}H{WIDTH - _RIGHT}"/>')
        parts.append(_text(left - 8, y + 4, compact(mark), "end quiet"))
    for number, count in enumerate(counts.tolist()):
        if count:
            x, x2 = (axis.place(10.0 ** edges[at]) for at in (number, number + 1))
            tall = height * count / most
            title = f"{10 ** edges[number]:,.3g} to {10 ** edges[number + 1]:,.3g}: {count:,} households"
            parts.append(
                f'<rect class="bar" x="{x:.1f}" y="{top + height - tall:.1f}" width="{x2 - x - 1:.1f}"'
                f' height="{tall:.1f}"><title>{title}</title></rect>'
            )
    parts.append(f'<path class="axis" d="M{left} {top + height}H{WIDTH - _RIGHT}"/>')
    parts += [_text(axis.place(tick), top + height + 18, compact(tick), "middle quiet") for tick in ticks]
    words = f"weight of a household; number of households, of {weight.size:,}"
    parts.append(_text((left + WIDTH - _RIGHT) / 2, top + height + 38, words, "middle"))
    return _svg(WIDTH, top + height + 46, parts, "Household weights")


def _weights(run: RunData, relative: object) -> np.ndarray:
    path = run.settings.layout.output(str(relative))
    try:
        with h5py.File(path, "r") as file:
            columns = area_columns_of(path, file)
            return columns.read(_WEIGHT, columns.periods[_WEIGHT][0]).astype(np.float64)
    except (InputError, *H5_ERRORS) as error:
        raise ResultError(
            f"{path}: {_WEIGHT}: expected the weights of a finished file, found {type(error).__name__}: "
            f"{error}. Run local-h5 verify; it says which files are damaged."
        ) from error


def compact(value: float) -> str:
    """`0.02`, `250`, `12 k`, `3.4 M`, `1 bn`."""
    for bound, unit in ((1e12, " tn"), (1e9, " bn"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= bound:
            return f"{value / (1e3 if bound == 1e4 else bound):,.3g}{unit}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def signed_percent(value: float) -> str:
    """`+2 %`, `−50 %`, `0`."""
    shown = f"{abs(100 * value):,.3g}" if abs(value) < 10 else f"{abs(100 * value):,.0f}"
    return "0" if shown == "0" else f"{'−' if value < 0 else '+'}{shown} %"


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    anchor = next((word for word in ("middle", "end") if word in kind.split()), "")
    style = f' text-anchor="{anchor}"' if anchor else ""
    quiet = ' class="quiet"' if "quiet" in kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}"{style}{quiet}>{escape(text)}</text>'


def _svg(width: float, height: float, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {width:.0f} {height:.0f}" role="img"'
        f' aria-label="{escape(title)}"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )
