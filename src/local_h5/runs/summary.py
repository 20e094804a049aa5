"""The table at the end of a run: the files by type, and whether their sums agree with each other and the ACS."""

from collections.abc import Callable, Collection, Iterable, Mapping

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from local_h5.config.settings import Settings
from local_h5.contracts.coverage import DATASET, TABLES, empty_fields
from local_h5.contracts.results import AreaResult, read_sidecar, sidecar_path
from local_h5.files.benchmarks import seconds_of
from local_h5.requests import FOLDERS, AreaType
from local_h5.validation.structural.population import district_populations

SUM_TOLERANCE = 1e-9
"""Weights are float32 in the files and added in float64: sums of the same rows in another order agree to this."""

_EXPENDABLE = ("persons", "ACS 2024", "MB", "households", "job s")
"""Columns that a narrow screen does not show. The last one is left out first."""


class LevelSummary(Struct, frozen=True):
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
        without_district: rows whose district is not known, where places are the dataset's own.
        weight_without_district: sum of their weights.
        coverage: area id → field of geography → share of the weight with a value.
    """

    area_type: AreaType
    wanted: int
    built: int
    households: int
    persons: int
    weighted_households: float
    weighted_persons: float
    population: float | None
    largest_gap: tuple[float, str] | None
    size_bytes: int
    seconds: float
    without_district: int = 0
    weight_without_district: float = 0.0
    coverage: Mapping[str, Mapping[str, float]] = {}


def summarise(settings: Settings) -> tuple[LevelSummary, ...]:
    """One row per area type of the run, from the sidecars (the H5 files are not opened)."""
    levels = []
    for area_type in FOLDERS:
        requests = [request for request in settings.requests if request.area_type == area_type]
        paths = [sidecar_path(settings.layout.output(request)) for request in requests]
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
    values = [
        level.weighted_households + (totals["state"].weight_without_district if area_type == "district" else 0.0)
        for area_type, level in totals.items()
    ]
    return (max(values) - min(values)) / max(values)


def render(
    settings: Settings,
    levels: tuple[LevelSummary, ...],
    width: int = 110,
    *,
    built: Collection[str] = (),
    failed: Collection[str] = (),
    whole: bool = True,
) -> str:
    """The table and what to try next, as plain text.

    Args:
        settings: of the run.
        levels: of :func:`summarise`.
        width: of the screen. Columns without room are left out, the last of :data:`_EXPENDABLE` first.
        built: areas whose files this run has built, ``districts/NC-01`` for example.
        failed: areas that failed in this run.
        whole: whether the run did everything. If not, the lines about what to try next are left out.
    """
    columns = _columns(levels, built, failed)
    spare = list(_EXPENDABLE)
    while spare and _width(columns) > width:
        columns.pop(spare.pop())
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="left" if name == "areas" else "right", no_wrap=True)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    console = Console(width=max(width, _width(columns)), color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as capture:
        console.print(table)
    of_states = next((level.coverage for level in levels if level.area_type == "state"), {})
    unsaid = empty_fields(of_states, DATASET if settings.from_dataset else TABLES)
    warnings = [f"Warning: {text}" for text in unsaid]
    lines = [*warnings, *(line.rstrip() for line in capture.get().rstrip().splitlines())]
    difference = sums_agree(levels)
    if difference is not None and len({request.package for request in settings.requests}) == 1:
        elsewhere = next((level.without_district for level in levels if level.area_type == "national"), 0)
        also = f" (and {elsewhere:,} without a district)" if elsewhere else ""
        verdict = "agree" if difference <= SUM_TOLERANCE else f"DISAGREE by {difference:.1e}"
        lines.append(f"Weighted households of districts{also}, states and nation {verdict}.")
    if settings.config.inputs.example:
        lines.append("Example data: synthetic geography, ages partly imputed. Not an estimate of anything.")
    folder = settings.results
    lines += [
        f"Files: {folder}/{{{','.join(FOLDERS[level.area_type] for level in levels)}}}/<area>.h5"
        " with <area>.h5.result.json beside each.",
        f"Report: make report (or local-h5 report) writes {folder}/validation/report.html.",
    ]
    if whole:
        lines.append(
            "Next: policyengine_us.Microsimulation(dataset="
            f'"{folder}/districts/NC-01.h5"); your own inputs: config/production.example.yaml'
        )
    return "\n".join(lines) + "\n"


def _columns(
    levels: Iterable[LevelSummary], built: Collection[str], failed: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """The table, column by column."""
    shown = list(levels)

    def in_folder(areas: Collection[str], level: LevelSummary) -> str:
        return f"{sum(area.startswith(f'{FOLDERS[level.area_type]}/') for area in areas):,}"

    def of_each(text: Callable[[LevelSummary], str]) -> tuple[str, ...]:
        return tuple(map(text, shown))

    return {
        "areas": of_each(lambda level: FOLDERS[level.area_type]),
        "files": of_each(lambda level: f"{level.built}/{level.wanted}"),
        "built now": of_each(lambda level: in_folder(built, level)),
        **({"failed": of_each(lambda level: in_folder(failed, level))} if failed else {}),
        "households": of_each(lambda level: f"{level.households:,}"),
        "persons": of_each(lambda level: f"{level.persons:,}"),
        "weighted persons": of_each(lambda level: f"{level.weighted_persons:,.0f}"),
        "ACS 2024": of_each(lambda level: "–" if level.population is None else f"{level.population:,.0f}"),
        "largest gap": of_each(
            lambda level: "–" if level.largest_gap is None else f"{level.largest_gap[0]:.3%} {level.largest_gap[1]}"
        ),
        "MB": of_each(lambda level: f"{level.size_bytes / 1e6:,.1f}"),
        "job s": of_each(lambda level: f"{level.seconds:,.0f}"),
    }


def _width(columns: Mapping[str, tuple[str, ...]]) -> int:
    """Columns of the screen that the table takes."""
    return sum(max(len(name), *map(len, cells)) for name, cells in columns.items()) + 2 * (len(columns) - 1)


def _level(area_type: AreaType, wanted: int, results: list[AreaResult], settings: Settings) -> LevelSummary:
    known = district_populations(settings.districts)
    population = {area_id: persons for (kind, area_id), persons in known.items() if kind == area_type}
    gaps = [
        (abs(result.weights.persons / population[result.request.area_id] - 1), result.request.area_id)
        for result in results
        if result.request.area_id in population
    ]
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
        sum(seconds_of(settings.layout.benchmark(result.request.name)) or 0.0 for result in results),
        sum(result.checks.get("households_without_district", 0) for result in results),
        sum(result.weights.households_without_district or 0.0 for result in results),
        {result.request.area_id: result.coverage for result in results},
    )
