"""True shapes of districts from a GeoJSON file, as the paths of a map.

Shapes of the present Congress are in no package registry; the Census Bureau's cartographic boundary files have them.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from pe_data.errors import InputError
from pe_data.maps.districts import SEATS, all_districts, district_of

WIDTH = 800.0
_STEP = 0.5
"""Points closer than this are one, in units of the map: neighbours keep the same border."""

_FIELDS = ("GEOID", "GEOID20", "GEOIDFQ", "AFFGEOID", "geoid")
_STATES = {fips for fips, _ in SEATS.values()}

Point = tuple[float, float]
Ring = list[Point]


def read_shapes(path: Path) -> dict[str, list[Ring]]:
    """Rings of each district, on a page WIDTH units wide, y downwards.

    Args:
        path: GeoJSON, a FeatureCollection of Polygons or MultiPolygons in degrees (longitude, latitude), each with a
            Census GEOID. What lies in no state and not in DC (Puerto Rico, Guam) is left out.

    Raises:
        InputError: it is no such file, has a district twice, or has none for some district.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "none"
        raise InputError(f"{path}: expected GeoJSON, found {why}") from error
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise InputError(f"{path}: expected a FeatureCollection of GeoJSON with features, found none")
    found: dict[str, list[Ring]] = {}
    for number, feature in enumerate(features, start=1):
        where = f"{path}: feature {number}"
        district = _district(feature, where)
        if district is None:
            continue
        if district in found:
            raise InputError(f"{where}: expected each district once, found {district} again")
        found[district] = [[_projected(district, point) for point in ring] for ring in _rings(feature, where)]
    missing = [name for name in all_districts() if name not in found]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise InputError(
            f"{path}: expected a shape for each of the {len(all_districts())} districts, found none for "
            f"{', '.join(missing[:5])}{more}. Take the boundary file of one Congress from the 118th on"
        )
    return _on_page(found)


def path_data(rings: Sequence[Ring]) -> str:
    """The `d` of an SVG path, with points on a grid; a shape smaller than the grid stays a dot."""
    parts = []
    for ring in rings:
        grid = [(round(x / _STEP), round(y / _STEP)) for x, y in ring]
        kept = [point for at, point in enumerate(grid) if at == 0 or point != grid[at - 1]]
        if len(kept) < 4:
            continue
        steps = [f"{_short(x2 - x1)} {_short(y2 - y1)}" for (x1, y1), (x2, y2) in pairwise(kept)]
        parts.append(f"M{_short(kept[0][0])} {_short(kept[0][1])}l{' '.join(steps)}z")
    if parts:
        return "".join(parts)
    x, y = rings[0][0]
    return f"M{x:.1f} {y:.1f}h1v1h-1z"


def _short(number: int) -> str:
    return f"{number * _STEP:g}"


def _district(feature: Any, where: str) -> str | None:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    known = properties if isinstance(properties, dict) else {}
    code = next((known[name] for name in _FIELDS if known.get(name) is not None), None)
    if code is None:
        code = feature.get("id") if isinstance(feature, dict) else None
    if code is None:
        raise InputError(f"{where}: expected a Census GEOID in its properties, found none of {', '.join(_FIELDS)}")
    digits = str(code)[-4:]
    if digits[-2:].upper() == "ZZ" or (digits.isdigit() and int(digits) // 100 not in _STATES):
        return None  # water, or a territory
    try:
        return district_of(code)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _rings(feature: Mapping[str, Any], where: str) -> Iterator[Ring]:
    geometry = feature.get("geometry")
    try:
        kind, coordinates = geometry["type"], geometry["coordinates"]  # type: ignore[index]
        polygons = {"Polygon": [coordinates], "MultiPolygon": coordinates}[kind]
        rings = [[(float(x), float(y)) for x, y, *_ in ring] for polygon in polygons for ring in polygon]
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(f"{where}: geometry: expected a Polygon or MultiPolygon of GeoJSON, found neither") from error
    off = [point for ring in rings for point in ring if not (abs(point[0]) <= 180 and abs(point[1]) <= 90)]
    if off or not any(rings):
        raise InputError(
            f"{where}: coordinates: expected longitude and latitude in degrees, found "
            f"{off[0] if off else 'none'}. Convert the file to EPSG:4326"
        )
    yield from rings


# --- projection -------------------------------------------------------------------------------------------------------

_CONES = {
    "": (29.5, 45.5, 23.0, -96.0),
    "AK": (55.0, 65.0, 50.0, -154.0),
    "HI": (8.0, 18.0, 13.0, -157.0),
}
"""Albers' equal-area cones of the Geological Survey: two standard parallels, latitude and longitude of the origin."""
_INSETS = {"AK": (-1.72, 0.45, 0.35, (-0.34, 1.39)), "HI": (-0.85, 0.35, 1.0, (-0.05, 0.85))}
"""Where the middle goes on the cone of the lower 48, the scale, and the middle on the own cone, in 1,000 km."""
_KM = 6.371


def _projected(district: str, point: Point) -> Point:
    """Equal-area, in 1,000 km; Alaska and Hawaii moved below the south-west."""
    postal = district[:2]
    first, second, middle, meridian = (math.radians(angle) for angle in _CONES.get(postal, _CONES[""]))
    longitude = point[0] - 360 if postal == "AK" and point[0] > 0 else point[0]  # the Aleutians cross 180°
    n = (math.sin(first) + math.sin(second)) / 2
    c = math.cos(first) ** 2 + 2 * n * math.sin(first)
    radius = math.sqrt(c - 2 * n * math.sin(math.radians(point[1]))) / n
    origin = math.sqrt(c - 2 * n * math.sin(middle)) / n
    angle = n * (math.radians(longitude) - meridian)
    x, y = _KM * radius * math.sin(angle), _KM * (origin - radius * math.cos(angle))
    if postal in _INSETS:
        left, bottom, factor, (own_x, own_y) = _INSETS[postal]
        return left + factor * (x - own_x), bottom + factor * (y - own_y)
    return x, y


def _on_page(found: Mapping[str, list[Ring]]) -> dict[str, list[Ring]]:
    every = [point for rings in found.values() for ring in rings for point in ring]
    west, east = min(x for x, _ in every), max(x for x, _ in every)
    north = max(y for _, y in every)
    factor = WIDTH / (east - west)
    return {
        name: [[((x - west) * factor, (north - y) * factor) for x, y in ring] for ring in rings]
        for name, rings in found.items()
    }
