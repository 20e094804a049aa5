"""The plan that a person reviews: which areas a run would build, grouped by reason, and what that costs."""

import csv
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from local_h5.config.settings import Settings
from local_h5.contracts.plan import Estimate, StepPlan
from local_h5.contracts.results import SUFFIX
from local_h5.requests import FOLDERS, AreaType
from local_h5.runs.forecast import Forecast
from local_h5.runs.staleness import AreaStatus, StepStatus, read_built
from local_h5.runs.steps import job_name

_RUN_WIDE = {
    "snapshot": "source changed",
    "code": "code that decides values changed",
    "versions": "versions of the software changed",
    "config": "configuration changed",
}
_OWN = {
    "request": "definition of the area changed",
    "validation": "validation policy changed",
    "weights": "weights changed",
    "geography": "geography changed",
    "blocks": "block tables changed",
    "takeup": "take-up rates changed",
}
_TYPE_OF = {folder: area_type for area_type, folder in FOLDERS.items()}


@dataclass(frozen=True, slots=True)
class Group:
    """Areas that would be built for one reason.

    Attributes:
        reason: in words, for example ``weights changed``.
        areas: relative paths, in the order of the run.
        districts: names of the districts among them.
    """

    reason: str
    areas: tuple[str, ...]
    districts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one plain run would do.

    Attributes:
        steps: that run before the areas.
        groups: areas that are built.
        undecided: areas that cannot be compared before the steps have run; the reason is in ``why_undecided``.
        untouched: areas that stay as they are.
        orphans: files in the output folders that belong to no area of the configuration; a run leaves them.
        estimate: for ``groups`` and ``steps``.
        checked: areas whose file stays but is checked against the targets again, by reason.
    """

    steps: tuple[StepPlan, ...]
    groups: tuple[Group, ...]
    undecided: tuple[str, ...]
    why_undecided: str | None
    untouched: tuple[str, ...]
    orphans: tuple[str, ...]
    estimate: Estimate
    checked: tuple[Group, ...] = ()

    @property
    def build(self) -> tuple[str, ...]:
        """Relative paths of all areas that are built."""
        return tuple(area for group in self.groups for area in group.areas)

    @property
    def empty(self) -> bool:
        """Whether a run would find nothing to do."""
        return not (self.steps or self.groups or self.undecided or self.checked)


def make_plan(settings: Settings, foreseen: Forecast, only: Collection[str] | None = None) -> Plan:
    """Group what is foreseen; reads sidecars and benchmark files for the estimate.

    Args:
        settings: of the run.
        foreseen: of all areas.
        only: relative paths of the areas that are asked for; None for all.
    """
    keys = [request.key for request in settings.requests]
    keys = keys if only is None else [key for key in keys if key in only]
    undecided = dict.fromkeys(key for key in keys if foreseen.unknown is not None and foreseen.areas[key].up_to_date)
    reasons = {key: _reason(foreseen.areas[key], foreseen.steps) for key in keys if not foreseen.areas[key].up_to_date}
    if foreseen.certain:
        reasons |= dict.fromkeys(undecided, f"source changed ({foreseen.unknown})")
        undecided = {}
    grouped: dict[str, list[str]] = {}
    for key in keys:
        if key in reasons:
            grouped.setdefault(reasons[key], []).append(key)
    groups = tuple(Group(reason, tuple(areas), _districts(areas)) for reason, areas in grouped.items())
    again: dict[str, list[str]] = {}
    for key in keys:
        why = foreseen.checks.get(key)
        if why and key not in reasons and key not in undecided:
            again.setdefault(" and ".join(why), []).append(key)
    steps = tuple(
        StepPlan(name, verdict.reasons, _benchmark(settings, job_name(name)))
        for name, verdict in foreseen.steps.items()
        if not verdict.up_to_date
    )
    building = [*reasons]
    return Plan(
        steps,
        groups,
        tuple(undecided),
        foreseen.unknown if undecided else None,
        tuple(key for key in keys if key not in reasons and key not in undecided),
        tuple(orphans(settings)),
        _estimate(settings, building, steps),
        tuple(Group(reason, tuple(areas), _districts(areas)) for reason, areas in again.items()),
    )


def orphans(settings: Settings) -> list[str]:
    """H5 files and sidecars in the output folders that no area of the run makes."""
    wanted = {request.key for request in settings.requests}
    found = []
    for folder in FOLDERS.values():
        for path in sorted((settings.results / folder).glob("*.h5*")):
            name = f"{folder}/{path.name}"
            if name.removesuffix(SUFFIX) not in wanted and path.name.endswith((".h5", f".h5{SUFFIX}")):
                found.append(name)
    return found


def count_types(areas: Iterable[str]) -> dict[AreaType, int]:
    """How many areas of each type, those with none left out."""
    folders = [key.split("/")[0] for key in areas]
    return {area_type: folders.count(folder) for folder, area_type in _TYPE_OF.items() if folder in folders}


def _districts(areas: Sequence[str]) -> tuple[str, ...]:
    return tuple(key.removeprefix("districts/").removesuffix(".h5") for key in areas if key.startswith("districts/"))


def _reason(verdict: AreaStatus, steps: Mapping[str, StepStatus]) -> str:
    """One reason in words: the cause, without what merely follows from it."""
    if verdict.fault is not None:
        return verdict.fault
    changed = set(verdict.changed)
    wide = [text for name, text in _RUN_WIDE.items() if name in changed]
    if wide:
        return " and ".join(wide)
    # Other rows of an area have other blocks and other take-up rates too: that says nothing about those inputs.
    touched = {reason.removesuffix(" changed") for step in steps.values() for reason in step.changed}
    raw_known = bool(touched)
    rows = changed & {"weights", "geography"}
    if raw_known and "weights" not in touched and "geography" in rows:
        rows -= {"weights"}
    if raw_known and "geography" not in touched and "weights" in rows:
        rows -= {"geography"}
    if rows:
        changed -= {"weights", "geography"}
        changed |= rows
        if not touched & {"block_districts", "block_crosswalk", "county_cbsa"}:
            changed -= {"blocks"}
        if not any(name.startswith("programme") for name in touched):
            changed -= {"takeup"}
    return (
        " and ".join(text for name, text in _OWN.items() if name in changed) or f"{', '.join(sorted(changed))} changed"
    )


def _estimate(settings: Settings, building: Sequence[str], steps: Sequence[StepPlan]) -> Estimate:
    """Of each area what it was last time; of a new one the mean of its kind."""
    if not building:
        return Estimate(0, _total([step.job_seconds for step in steps]))
    sizes: dict[str, float | None] = {}
    seconds: dict[str, float | None] = {}
    for request in settings.requests:
        key = request.key
        built = read_built(settings.layout.output(request))[1]
        sizes[key] = None if built is None else float(built.size_bytes)
        seconds[key] = _benchmark(settings, request.name)
    size = _sum_with_means(sizes, building)
    area_seconds = _sum_with_means(seconds, building)
    return Estimate(
        None if size is None else round(size),
        None
        if area_seconds is None
        else round(area_seconds + (_total([step.job_seconds for step in steps]) or 0.0), 1),
    )


def _sum_with_means(known: Mapping[str, float | None], chosen: Iterable[str]) -> float | None:
    means: dict[str, float] = {}
    for folder in _TYPE_OF:
        values = [value for key, value in known.items() if key.startswith(f"{folder}/") and value is not None]
        if values:
            means[folder] = fmean(values)
    total = 0.0
    for key in chosen:
        value = known[key]
        if value is None:
            value = means.get(key.split("/")[0])
        if value is None:
            return None
        total += value
    return total


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known), 1) if len(known) == len(values) else None


def _benchmark(settings: Settings, name: str) -> float | None:
    """Seconds that a job took the last time.

    By the clock: Snakemake samples CPU time, so that a job of a quarter second has none.
    """
    path = settings.layout.benchmark(name)
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return float(next(csv.DictReader(stream, delimiter="\t"))["s"])
    except (OSError, StopIteration, KeyError, ValueError, TypeError):
        return None
