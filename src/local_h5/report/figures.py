"""Figures as SVG text, made from numbers. They need no library and no network, and scale with the page."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from statistics import quantiles
from typing import Any

import h5py
import numpy as np

from local_h5.errors import ResultError
from local_h5.files.hdf5 import H5_ERRORS
from local_h5.report.collect import RunData
from local_h5.report.tables import SMALL_SAMPLE
from local_h5.report.tiles import COLUMNS, PLACES, ROWS, cells

_TILE = 60
_SCALE = (
    (0.02, "#1a9850"),
    (0.05, "#91cf60"),
    (0.1, "#d9ef8b"),
    (0.25, "#fee08b"),
    (0.5, "#fc8d59"),
    (math.inf, "#d73027"),
)
"""Upper bound of a relative error → colour."""
_MISSING = "#dddddd"


def all_figures(
    run: RunData, areas: Sequence[Mapping[str, Any]], targets: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """Every figure of the report by name, as SVG documents."""
    return {
        **{f"district_map_{measure}": district_map(areas, measure) for measure in MEASURES},
        "error_by_family": spread(targets, lambda row: str(row["family"]), "Relative error by target family"),
        "error_by_area_type": spread(targets, lambda row: str(row["area_type"]), "Relative error by area type"),
        "weights": weight_histogram(run),
        "sample_sizes": sample_sizes(areas),
    }


def colour(error: float | None, hatch: str) -> str:
    """Fill for an absolute relative error, or the pattern of the given id without one."""
    if error is None:
        return f"url(#{hatch})"
    return next(shade for bound, shade in _SCALE if abs(error) <= bound)


MEASURES: Mapping[str, str] = {
    "target_error": "mean relative error of the targets",
    "population_error": "relative error of the population",
}
"""Measure of the map of districts → its name in words."""
MEASURE_COLUMN = {"target_error": "mean_abs_rel_error", "population_error": "population_error"}
"""Measure → column of the areas' table."""


def district_map(areas: Sequence[Mapping[str, Any]], measure: str) -> str:
    """A cell per district, coloured by one measure, grey hatching without a value, a thick border if it failed."""
    rows = {row["area_id"]: row for row in areas if row["area_type"] == "district"}
    hatch = f"hatch_{measure}"
    parts = [
        f'<defs><pattern id="{hatch}" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        f'<rect width="4" height="4" fill="{_MISSING}"/><rect width="1" height="4" fill="#999"/></pattern></defs>'
    ]
    for code, (column, row) in PLACES.items():
        parts.append(_text(column * _TILE + 7, row * _TILE + 58, code, size=8, fill="#666"))
    for cell in cells(rows):
        found = rows[cell.district]
        error = found[MEASURE_COLUMN[measure]]
        bad = found["status"] not in ("passed", "skipped")
        border = ' stroke="#000" stroke-width="2.5"' if bad else ' stroke="#fff" stroke-width="0.4"'
        shown = "no value" if error is None else f"{abs(error):.1%}"
        title = f"{cell.district}: {found['status']}, {shown}{'; ' + found['reasons'] if found['reasons'] else ''}"
        parts.append(
            f'<rect data-area="{escape(cell.district)}" data-status="{found["status"]}"'
            f' x="{cell.x * _TILE:.1f}" y="{cell.y * _TILE:.1f}" width="{cell.size * _TILE * 0.85:.1f}"'
            f' height="{cell.size * _TILE * 0.85:.1f}" fill="{colour(error, hatch)}"{border}>'
            f"<title>{escape(title)}</title></rect>"
        )
    x = 0
    for bound, shade in _SCALE:
        label = f"≤ {bound:.0%}" if math.isfinite(bound) else f"> {_SCALE[-2][0]:.0%}"
        parts.append(f'<rect x="{x + 4}" y="{ROWS * _TILE + 8}" width="12" height="12" fill="{shade}"/>')
        parts.append(_text(x + 20, ROWS * _TILE + 18, label))
        x += 70
    parts.append(f'<rect x="{x + 4}" y="{ROWS * _TILE + 8}" width="12" height="12" fill="url(#{hatch})"/>')
    parts.append(_text(x + 20, ROWS * _TILE + 18, "no value"))
    return _svg(COLUMNS * _TILE, ROWS * _TILE + 30, parts, f"Congressional districts: {MEASURES[measure]}")


def spread(rows: Sequence[Mapping[str, Any]], group: Callable[[Mapping[str, Any]], str], title: str) -> str:
    """Quartiles, 5 % and 95 % points of the relative errors of each group."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        if row["relative_error"] is not None:
            groups.setdefault(group(row), []).append(row["relative_error"])
    if not groups:
        return _empty(title, "no targets were evaluated")
    height, left, width = 26, 260, 700
    ordered = sorted(groups, key=lambda name: (-len(groups[name]), name))

    def place(error: float) -> float:
        return left + (width - left - 20) * (max(-1.0, min(1.0, error)) + 1) / 2

    parts = []
    for tick in (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0):
        x = place(tick)
        parts.append(f'<line x1="{x:.0f}" y1="20" x2="{x:.0f}" y2="{24 + height * len(ordered)}" stroke="#ddd"/>')
        parts.append(_text(x, 14, f"{tick:+.0%}", anchor="middle"))
    for number, name in enumerate(ordered):
        y = 24 + number * height
        values = sorted(groups[name])
        low, first, middle, third, high = _five(values)
        parts.append(_text(left - 8, y + 15, f"{name} ({len(values):,})", anchor="end"))
        parts.append(
            f'<line x1="{place(low):.1f}" y1="{y + 11}" x2="{place(high):.1f}" y2="{y + 11}" stroke="#4575b4"/>'
            f'<rect x="{place(first):.1f}" y="{y + 4}" width="{max(place(third) - place(first), 1):.1f}" height="14"'
            f' fill="#91bfdb"><title>{escape(name)}: median {middle:+.1%}, quartiles {first:+.1%} and {third:+.1%}'
            f'</title></rect><line x1="{place(middle):.1f}" y1="{y + 2}" x2="{place(middle):.1f}" y2="{y + 20}"'
            ' stroke="#313695" stroke-width="2"/>'
        )
    return _svg(width, 34 + height * len(ordered), parts, title)


def _five(values: Sequence[float]) -> tuple[float, float, float, float, float]:
    if len(values) == 1:
        return (values[0],) * 5
    points = quantiles(values, n=20, method="inclusive")
    return points[0], points[4], points[9], points[14], points[18]


def weight_histogram(run: RunData) -> str:
    """Histogram of the household weights in the nation's file, or in all states' files."""
    title = "Household weights"
    chosen = [a for a in run.of_type("national") if a.sidecar] or [a for a in run.of_type("state") if a.sidecar]
    weights = [_weights(run, area.request.relative_path) for area in chosen]
    weight = np.concatenate(weights) if weights else np.empty(0)
    weight = weight[np.isfinite(weight) & (weight > 0)]
    if not weight.size:
        return _empty(title, "no file of the nation or of a state")
    counts, edges = np.histogram(np.log10(weight), bins=40)
    width, height, top = 700, 200, max(int(counts.max()), 1)
    step = (width - 60) / len(counts)
    parts = []
    for number, count in enumerate(counts.tolist()):
        tall = height * count / top
        low, high = 10 ** edges[number], 10 ** edges[number + 1]
        parts.append(
            f'<rect x="{40 + number * step:.1f}" y="{10 + height - tall:.1f}" width="{step - 1:.1f}"'
            f' height="{tall:.1f}" fill="#4575b4"><title>{low:,.1f} to {high:,.1f}: {count:,} households</title></rect>'
        )
    for number in range(0, len(counts) + 1, 8):
        label = f"{10 ** edges[number]:,.{0 if edges[number] >= 1 else 1}f}"
        parts.append(_text(40 + number * step, height + 26, label, anchor="middle"))
    parts.append(_text(40, height + 42, f"weight of a household (logarithmic); {weight.size:,} households"))
    return _svg(width, height + 50, parts, title)


def _weights(run: RunData, relative: object) -> np.ndarray:
    path = run.settings.layout.output(str(relative))
    try:
        with h5py.File(path, "r") as file:
            group = file["household_weight"]
            values: np.ndarray = group[next(iter(group))][()]
            return values.astype(np.float64)
    except H5_ERRORS as error:
        raise ResultError(
            f"{path}: household_weight: expected the weights of a finished file, found {type(error).__name__}: "
            f"{error}. Run local-h5 verify; it says which files are damaged."
        ) from error


def sample_sizes(areas: Sequence[Mapping[str, Any]]) -> str:
    """Effective sample sizes of the districts in order, red below the size for a warning."""
    title = "Effective sample size of districts"
    rows = sorted(
        (r for r in areas if r["area_type"] == "district" and r["effective_sample_size"] is not None),
        key=lambda r: float(r["effective_sample_size"]),
    )
    if not rows:
        return _empty(title, "no district is built")
    width, height = 700, 200
    top = max(float(rows[-1]["effective_sample_size"]), SMALL_SAMPLE)
    step = (width - 60) / len(rows)
    parts = []
    for number, row in enumerate(rows):
        size = float(row["effective_sample_size"])
        tall = height * size / top
        fill = "#d73027" if size < SMALL_SAMPLE else "#4575b4"
        parts.append(
            f'<rect x="{40 + number * step:.2f}" y="{10 + height - tall:.1f}" width="{max(step, 0.6):.2f}"'
            f' height="{tall:.1f}" fill="{fill}"><title>{escape(row["area_id"])}: {size:,.0f}</title></rect>'
        )
    level = 10 + height - height * SMALL_SAMPLE / top
    parts.append(f'<line x1="40" x2="{width - 20}" y1="{level:.1f}" y2="{level:.1f}" stroke="#d73027"/>')
    parts.append(_text(width - 18, level - 3, f"{SMALL_SAMPLE:.0f}", anchor="end", fill="#d73027"))
    parts.append(_text(40, height + 28, f"{len(rows)} districts, smallest first; largest {top:,.0f}"))
    return _svg(width, height + 36, parts, title)


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 11, fill: str = "#333") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}">{escape(text)}</text>'
    )


def _empty(title: str, why: str) -> str:
    return _svg(700, 40, [_text(10, 25, f"{title}: {why}")], title)


def _svg(width: float, height: float, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img"'
        f' font-family="sans-serif" aria-label="{escape(title)}"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )
