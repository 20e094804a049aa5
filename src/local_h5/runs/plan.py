"""The plan of a run: which areas it would build, by reason, and what that costs."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import fmean

from local_h5.config.layout import NATION
from local_h5.config.settings import Settings
from local_h5.contracts.plan import BuiltGroup, CheckedGroup, Estimate, PlanCounts, PlanDocument, StepPlan, Undecided
from local_h5.contracts.results import SUFFIX
from local_h5.files.benchmarks import seconds_of
from local_h5.requests import FOLDERS
from local_h5.runs.forecast import Forecast
from local_h5.runs.plan_text import count_types, in_words
from local_h5.runs.staleness import NOT_BUILT, AreaStatus, StepStatus, read_built
from local_h5.runs.steps import NATION_PARQUET, job_name

_RUN_WIDE = {
    "snapshot": "source changed",
    "dictionary": "labels, units or entities of variables changed",
    "code": "code that decides values changed",
    "versions": "versions of the software changed",
    "config": "configuration changed",
}
_OWN = {
    "request": "definition of the area changed",
    "validation": "validation policy changed",
    "rows": "rows of the dataset changed",
    "weights": "weights changed",
    "geography": "geography changed",
    "at_large_code": "at-large code changed",
    "blocks": "block tables changed",
    "takeup": "take-up rates changed",
}


def make_plan(settings: Settings, foreseen: Forecast, only: Collection[str] | None = None) -> PlanDocument:
    """Group what is foreseen by reason; reads sidecars and benchmark files for the estimate.

    Args:
        settings: of the run.
        foreseen: of all areas.
        only: relative paths of the areas that are asked for, and ``nation_parquet``; None for all.
    """
    keys = [request.key for request in settings.requests]
    keys = keys if only is None else [key for key in keys if key in only]
    undecided = dict.fromkeys(key for key in keys if foreseen.unknown is not None and foreseen.areas[key].up_to_date)
    reasons = {key: _reason(foreseen.areas[key], foreseen.steps) for key in keys if not foreseen.areas[key].up_to_date}
    if foreseen.certain:
        reasons |= dict.fromkeys(undecided, f"source changed ({foreseen.unknown})")
        undecided = {}
    again = {
        key: " and ".join(why)
        for key in keys
        if (why := foreseen.targets.records.get(key)) and key not in reasons and key not in undecided
    }
    steps = tuple(
        StepPlan(name, verdict.reasons, seconds_of(settings.layout.benchmark(job_name(name))))
        for name, verdict in foreseen.steps.items()
        if not verdict.up_to_date
    )
    untouched = tuple(key for key in keys if key not in reasons and key not in undecided)
    nation, afterwards = f"{NATION}.h5", tuple[StepPlan, ...]()
    if only is None or NATION_PARQUET in only:
        afterwards = _split(settings, foreseen, built=nation in reasons, undecided=nation in undecided)
    return PlanDocument(
        counts=PlanCounts(len(reasons), len(undecided), len(untouched)),
        groups=tuple(
            BuiltGroup(reason, in_words(reason, areas, len(keys)), count_types(areas), areas)
            for reason, areas in _grouped(keys, reasons).items()
        ),
        checked=tuple(CheckedGroup(reason, areas) for reason, areas in _grouped(keys, again).items()),
        undecided=Undecided(foreseen.unknown if undecided else None, tuple(undecided)),
        untouched=untouched,
        steps=steps,
        afterwards=afterwards,
        orphans=tuple(orphans(settings)),
        estimate=_estimate(settings, foreseen.areas, list(reasons), [*steps, *afterwards]),
        dataset=foreseen.dataset,
    )


def _split(settings: Settings, foreseen: Forecast, *, built: bool, undecided: bool) -> tuple[StepPlan, ...]:
    """The job that splits the nation, if the run has it and it would run.

    Args:
        settings: of the run.
        foreseen: of all areas.
        built: whether the nation is built before.
        undecided: whether that is decided later.
    """
    status = foreseen.nation_parquet
    if status is None or (status.up_to_date and not built and not undecided):
        return ()
    if built:
        reasons: tuple[str, ...] = (f"{NATION} is built",)
    else:
        reasons = status.reasons or (f"if {NATION} is built",)
    return (StepPlan(NATION_PARQUET, reasons, seconds_of(settings.layout.benchmark(job_name(NATION_PARQUET)))),)


def _grouped(keys: Iterable[str], reasons: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Reason → the areas that have it, in the order of the run."""
    grouped: dict[str, list[str]] = {}
    for key in keys:
        if key in reasons:
            grouped.setdefault(reasons[key], []).append(key)
    return {reason: tuple(areas) for reason, areas in grouped.items()}


def orphans(settings: Settings) -> list[str]:
    """H5 files and sidecars in the output folders that belong to no area of the run."""
    wanted = {request.key for request in settings.requests}
    found = []
    for folder in FOLDERS.values():
        names = sorted(f"{folder}/{path.name}" for path in (settings.results / folder).glob("*.h5*"))
        found += [
            name for name in names if name.endswith((".h5", f".h5{SUFFIX}")) and name.removesuffix(SUFFIX) not in wanted
        ]
    return found


def _reason(verdict: AreaStatus, steps: Mapping[str, StepStatus]) -> str:
    """One reason in words: the cause without its consequences."""
    if verdict.fault is not None:
        return verdict.fault
    changed = set(verdict.changed)
    wide = [text for name, text in _RUN_WIDE.items() if name in changed]
    if wide:
        return " and ".join(wide)
    # Other rows of an area also have other blocks and take-up rates, although those inputs did not change.
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


def _estimate(
    settings: Settings, statuses: Mapping[str, AreaStatus], building: Sequence[str], steps: Sequence[StepPlan]
) -> Estimate:
    """The numbers of the last time; for a new area the mean of its type."""
    before = _total([step.job_seconds for step in steps])
    if not building:
        return Estimate(0, before)
    sizes: dict[str, float | None] = {}
    seconds: dict[str, float | None] = {}
    for request in settings.requests:
        status = statuses[request.key]
        built = status.built  # of an area that is up to date
        if built is None and status.fault != NOT_BUILT:
            built = read_built(settings.layout.output(request))[1]
        sizes[request.key] = None if built is None else float(built.size_bytes)
        seconds[request.key] = seconds_of(settings.layout.benchmark(request.name))
    size, areas = _sum_with_means(sizes, building), _sum_with_means(seconds, building)
    return Estimate(None if size is None else round(size), None if areas is None else round(areas + (before or 0.0), 1))


def _sum_with_means(known: Mapping[str, float | None], chosen: Iterable[str]) -> float | None:
    """The sum over the chosen areas; None when one is not known and neither is any other of its folder."""
    folders: dict[str, list[float]] = {}
    for key, value in known.items():
        if value is not None:
            folders.setdefault(key.split("/")[0], []).append(value)
    means = {folder: fmean(values) for folder, values in folders.items()}
    values = [means.get(key.split("/")[0]) if known[key] is None else known[key] for key in chosen]
    found = [value for value in values if value is not None]
    return sum(found) if len(found) == len(values) else None


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known), 1) if len(known) == len(values) else None
