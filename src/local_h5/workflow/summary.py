"""The short table at the end of a run: what was built, and whether its sums agree with each other and with the ACS."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from local_h5.areas import District
from local_h5.coverage import empty_fields
from local_h5.requests import FOLDERS, AreaType
from local_h5.results import AreaResult, read_sidecar, sidecar_path
from local_h5.settings import REGIONAL, Settings
from local_h5.us import NATIONAL_ID

SUM_TOLERANCE = 1e-9
"""Weights are float32 in the files and added in float64: sums of the same rows in another order agree to this."""


@dataclass(frozen=True, slots=True)
class LevelSummary:
    """The files of one area type.

    Attributes:
        area_type: national, state, district, city or custom.
        wanted: areas of the run.
        built: of them, with a result.
        households, persons: rows.
        weighted_households, weighted_persons: sums.
        population: ACS persons of the built areas; None where there is no figure (cities, custom areas).
        largest_gap: largest |weighted persons / population − 1| of one area, and that area's id.
        size_bytes: of the H5 files.
        seconds: job times added up, from the benchmark files of this or an earlier run.
    """

    area_type: AreaType
    wanted: int
    built: int
    households: int
    persons: int
    weighted_households: float
    weighted_persons: float
    population: int | None
    largest_gap: tuple[float, str] | None
    size_bytes: int
    seconds: float


def summarise(settings: Settings) -> tuple[LevelSummary, ...]:
    """One row per area type of the run, from the sidecars (the H5 files are not opened)."""
    levels = []
    for area_type in FOLDERS:
        requests = [request for request in settings.requests if request.area_type == area_type]
        paths = [sidecar_path(settings.output(request)) for request in requests]
        results = [read_sidecar(path) for path in paths if path.exists()]
        if requests:
            levels.append(_level(area_type, len(requests), results, settings))
    return tuple(levels)


def sums_agree(levels: Iterable[LevelSummary]) -> float | None:
    """Largest relative difference between the weighted households of districts, states and nation.

    None when a level is incomplete. Meaningful when all are built from the same weights.
    """
    totals = {level.area_type: level for level in levels if level.area_type in ("national", "state", "district")}
    if len(totals) < 3 or any(level.built < level.wanted for level in totals.values()):
        return None
    values = [level.weighted_households for level in totals.values()]
    return (max(values) - min(values)) / max(values)


def render(settings: Settings, levels: tuple[LevelSummary, ...], width: int = 110) -> str:
    """The table and what to try next, as plain text."""
    table = Table(box=None, pad_edge=False)
    for name in (
        "areas",
        "files",
        "households",
        "persons",
        "weighted persons",
        "ACS 2024",
        "largest gap",
        "MB",
        "job s",
    ):
        table.add_column(name, justify="left" if name == "areas" else "right")
    for level in levels:
        gap = level.largest_gap
        table.add_row(
            FOLDERS[level.area_type],
            f"{level.built}/{level.wanted}",
            f"{level.households:,}",
            f"{level.persons:,}",
            f"{level.weighted_persons:,.0f}",
            "–" if level.population is None else f"{level.population:,}",
            "–" if gap is None else f"{gap[0]:.3%} {gap[1]}",
            f"{level.size_bytes / 1e6:,.1f}",
            f"{level.seconds:,.0f}",
        )
    console = Console(width=width, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as capture:
        console.print(table)
    warnings = [f"Warning: {text}" for text in _empty_fields(settings)]
    lines = [*warnings, *(line.rstrip() for line in capture.get().rstrip().splitlines())]
    difference = sums_agree(levels)
    if difference is not None and all(request.package == REGIONAL for request in settings.requests):
        verdict = "agree" if difference <= SUM_TOLERANCE else f"DISAGREE by {difference:.1e}"
        lines.append(f"Weighted households of districts, states and nation {verdict}.")
    if settings.uses_example:
        lines.append("Example data: synthetic geography, ages partly imputed. Not an estimate of anything.")
    folder = settings.results
    lines += [
        f"Files: {folder}/{{{','.join(FOLDERS[level.area_type] for level in levels)}}}/<area>.h5"
        " with <area>.h5.result.json beside each.",
        "Next: policyengine_us.Microsimulation(dataset="
        f'"{folder}/districts/NC-01.h5"); your own inputs: config/production.example.yaml',
    ]
    return "\n".join(lines) + "\n"


def _empty_fields(settings: Settings) -> list[str]:
    paths = {r.area_id: sidecar_path(settings.output(r)) for r in settings.requests if r.area_type == "state"}
    return empty_fields({state: read_sidecar(path).coverage for state, path in paths.items() if path.exists()})


def _level(area_type: AreaType, wanted: int, results: list[AreaResult], settings: Settings) -> LevelSummary:
    population = _population(area_type, settings.districts)
    gaps = [
        (abs(result.weights.persons / population[result.request.area_id] - 1), result.request.area_id)
        for result in results
        if result.request.area_id in population
    ]
    benchmarks = settings.results / "benchmarks" / FOLDERS[area_type]
    return LevelSummary(
        area_type,
        wanted,
        len(results),
        sum(result.rows["household"] for result in results),
        sum(result.rows["person"] for result in results),
        sum(result.weights.households for result in results),
        sum(result.weights.persons for result in results),
        sum(population.get(result.request.area_id, 0) for result in results) if population else None,
        max(gaps, default=None),
        sum(result.output.bytes for result in results),
        sum(_seconds(benchmarks / f"{result.request.area_id}.tsv") for result in results),
    )


def _population(area_type: AreaType, districts: Iterable[District]) -> Mapping[str, int]:
    if area_type == "district":
        return {district.name: district.population for district in districts}
    population: dict[str, int] = {}
    if area_type in ("state", "national"):
        for district in districts:
            area = district.state if area_type == "state" else NATIONAL_ID
            population[area] = population.get(area, 0) + district.population
    return population


def _seconds(path: Path) -> float:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return float(next(csv.DictReader(stream, delimiter="\t"))["s"])
    except (OSError, StopIteration, KeyError, ValueError):
        return 0.0
