"""The map of a run's districts: which numbers it can show, as pictures, and as what a page draws it from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from local_h5.errors import InputError
from local_h5.runs.steps import FIGURES
from pe_data.errors import PeDataError
from pe_data.maps.districts import all_districts
from pe_data.maps.draw import DistrictMap, Frame, Measure, cartogram, measure_of, true_shapes
from pe_data.maps.on_page import on_page as on_any_page

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A number that the map can show.

    Attributes:
        title: in words.
        signed: whether it lies on both sides of zero.
        percent: whether it is a share.
        least: no value closer to zero than this has a colour.
    """

    title: str
    signed: bool = False
    percent: bool = False
    least: float = 0.0


KINDS: Mapping[str, Kind] = {
    "target_error": Kind("Median relative error of the targets", signed=True, percent=True, least=0.005),
    "target_miss": Kind("Mean size of the relative errors of the targets", percent=True),
    "population_error": Kind("Weighted persons against the reference", signed=True, percent=True, least=0.001),
    "sample_size": Kind("Effective sample size, households"),
    "change": Kind("Change of weighted persons", signed=True, percent=True, least=0.0001),
}
"""Name → what it is, in the order of the selector."""
_FILE = "district_map_"
PICTURES = tuple(name.removeprefix(_FILE) for name in FIGURES if name.startswith(_FILE))
"""Those that have a file of their own, `district_map_<name>.svg`, whether or not there is a value."""


def measures(areas: Rows, targets: Rows, change: Mapping[str, float]) -> dict[str, Measure]:
    """Name → the numbers of all districts of the run that the map has: those of the present apportionment.

    Args:
        areas, targets: rows of :mod:`local_h5.report.tables`.
        change: district → relative change of its weighted persons; empty without a comparison.
    """
    districts = [row for row in areas if row["area_type"] == "district"]
    errors: dict[str, list[float]] = {}
    for row in targets:
        if row["area_type"] == "district" and row["relative_error"] is not None:
            errors.setdefault(row["area_id"], []).append(row["relative_error"])
    found: dict[str, dict[str, float | None]] = {
        "target_error": {name: median(own) for name, own in errors.items()},
        "target_miss": {row["area_id"]: row["mean_abs_rel_error"] for row in districts},
        "population_error": {row["area_id"]: row["population_error"] for row in districts},
        "sample_size": {row["area_id"]: row["effective_sample_size"] for row in districts},
        "change": dict(change),
    }
    there = frozenset(all_districts())
    made = {}
    for name, kind in KINDS.items():
        values = {district: value for district, value in found[name].items() if district in there}
        made[name] = measure_of(values, title=kind.title, signed=kind.signed, percent=kind.percent, least=kind.least)
    return made


def frame(shapes: Path | None) -> Frame:
    """Where districts lie: equal cells, or the shapes of a GeoJSON file.

    Raises:
        InputError: the file cannot be used.
    """
    try:
        return cartogram() if shapes is None else true_shapes(shapes)
    except PeDataError as error:
        raise InputError(str(error)) from error


def pictures(made: Mapping[str, Measure], where: Frame) -> dict[str, str]:
    """File name without extension → SVG document."""
    return {f"{_FILE}{name}": DistrictMap(made[name], where).svg() for name in PICTURES}


def on_page(made: Mapping[str, Measure], where: Frame, areas: Rows) -> dict[str, Any]:
    """The map of a run, as :func:`pe_data.maps.on_page.on_page` gives it; what is not releasable has a dot."""
    districts = [row for row in areas if row["area_type"] == "district"]
    status = {row["area_id"]: row["status"] for row in districts}
    return on_any_page(
        made,
        where,
        names={row["area_id"]: row["name"] for row in districts},
        status=dict.fromkeys(where.paths, "not in this run") | status,
        marked=[row["area_id"] for row in districts if not row["releasable"]],
    )
