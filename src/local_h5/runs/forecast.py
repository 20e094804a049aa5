"""What a run would do with the present inputs, before it starts.

If only cheap steps are stale (geography, clone index, take-up), their outputs are computed in memory from the raw
inputs, and from these every area's fingerprint. If the snapshot has to be made again, the fingerprints are unknown.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from local_h5.config.settings import Package, Settings
from local_h5.contracts.plan import OwnDataset
from local_h5.contracts.results import Fingerprint
from local_h5.files.digests import DigestMemo
from local_h5.runs.code import AREA_MODULES, code_digest
from local_h5.runs.plan_file import lost_requests
from local_h5.runs.staleness import AreaStatus, StepStatus, compare_area, compare_steps, read_part
from local_h5.runs.step import Step
from local_h5.runs.steps import NATION_PARQUET, declared_steps, needed_steps, steps_of
from local_h5.runs.target_records import NO_TARGETS, TargetStatus, compare_targets
from local_h5.runs.traces import Trace

if TYPE_CHECKING:
    from local_h5.prepared.files import PreparedInputs
    from local_h5.prepared.own import OwnInputs

    Own = Callable[[], OwnInputs]


class Forecast(Struct, frozen=True):
    """What is stale, and what is expected of each area.

    Attributes:
        declared: every step that a rule describes.
        steps: status of those that the areas need, in order.
        expected: relative path → fingerprint; None when a step must run first.
        unknown: why they are not known, in words.
        certain: whether the cause of ``unknown`` changes every area (a new source does; a lost file may not).
        areas: relative path → status, as far as it is known without ``expected``.
        targets: stale records and model runs; empty at the structural level.
        dataset: what is known of places and take-up, where weights and places are the dataset's own.
        nation_parquet: of the split of the nation as it stands; None where the run has none.
    """

    declared: Mapping[str, Step]
    steps: Mapping[str, StepStatus]
    expected: Mapping[str, Fingerprint] | None
    unknown: str | None
    certain: bool
    areas: Mapping[str, AreaStatus]
    targets: TargetStatus = NO_TARGETS
    dataset: OwnDataset | None = None
    nation_parquet: StepStatus | None = None

    @property
    def plan_is_known(self) -> bool:
        """Whether the step ``plan`` need not run, so that the areas are known."""
        return self.steps["plan"].up_to_date


def forecast(settings: Settings, memo: DigestMemo, *, ahead: bool = True) -> Forecast:
    """Compare raw inputs, prepared state, files and sidecars by content; writes nothing.

    Args:
        settings: of the run.
        memo: of digests.
        ahead: compute the outputs of stale steps, where that is cheap. A run does not, because its steps write them.

    Raises:
        LocalH5Error: an input is malformed. A run would stop there too.
    """
    declared = declared_steps(settings, memo)
    steps = needed_steps(settings, declared)
    verdicts = compare_steps(settings, memo, steps)
    own = cache(partial(_own_inputs, settings))  # the dataset is read at most once
    if not ahead and not verdicts["plan"].up_to_date:
        # The areas are compared after the plan has run.
        return Forecast(declared, verdicts, None, "steps before the areas run first", False, {})
    expected = _known_plan(settings, verdicts, memo)
    unknown, certain = None, False
    if expected is None:
        unknown, certain = _obstacle(verdicts, {step.name: step for step in steps}, settings)
        if unknown is None:
            expected = compute(settings, verdicts, own)
        else:
            _check_inputs(settings, own)
    areas, targets = compare_areas(settings, memo, expected)
    stale = [request for request in settings.requests if not areas[request.key].up_to_date]
    if expected is not None and verdicts["plan"].up_to_date and lost_requests(settings, stale, expected):
        verdicts["plan"] = StepStatus(damaged=("requests missing",))
    dataset = _own_dataset(settings, verdicts, own) if ahead and settings.from_dataset else None
    split = None
    if settings.config.output.nation_parquet:
        split = compare_steps(settings, memo, [declared[NATION_PARQUET]])[NATION_PARQUET]
    return Forecast(declared, verdicts, expected, unknown, certain, areas, targets, dataset, split)


def compare_areas(
    settings: Settings, memo: DigestMemo, expected: Mapping[str, Fingerprint] | None
) -> tuple[Mapping[str, AreaStatus], TargetStatus]:
    """The status of every area by relative path, and of the records of targets.

    Args:
        settings: of the run.
        memo: of digests.
        expected: relative path → fingerprint. Without it only files and code are compared.
    """
    area_code = code_digest(AREA_MODULES, memo)
    areas = {
        request.key: compare_area(
            settings, request, None if expected is None else expected[request.key], area_code, memo
        )
        for request in settings.requests
    }
    if not settings.policy.wants_targets:
        return areas, NO_TARGETS
    built = {key: None if status.built is None else status.built.sha256 for key, status in areas.items()}
    return areas, compare_targets(settings, memo, built)


def _check_inputs(settings: Settings, own: "Own") -> None:
    """Check inputs before anything is prepared from them. A run would stop at them too.

    Weights are read as a whole, which takes a tenth of a second; source and geography only in part.
    """
    from local_h5.inputs.geography.load import check_head
    from local_h5.inputs.source import count_households
    from local_h5.inputs.weights import load_weights

    if not settings.dataset.is_file():
        return  # the run makes it first
    if settings.from_dataset:
        own()
        return
    n_households = count_households(settings.dataset)
    for package in settings.packages:
        if package.weights.is_file() and package.geography.is_file():
            weights = load_weights(package.weights, n_households)
            check_head(package.geography, n_households, len(weights) // n_households)


def compute(
    settings: Settings, verdicts: Mapping[str, StepStatus] | None = None, own: "Own | None" = None
) -> dict[str, Fingerprint]:
    """Every area's fingerprint, from prepared files that are up to date and from outputs of stale steps.

    Args:
        settings: of the run.
        verdicts: status of the steps; None when all are up to date.
        own: reads a dataset with weights and places of its own; by default it is read here.
    """
    # Imported on use: numpy, h5py and what reads the block tables.
    from local_h5.runs.fingerprint import Fingerprints
    from local_h5.validation.structural.verdict import StructuralPolicy
    from local_h5.worker.area_job import options_from_config

    options = options_from_config(settings.config)
    structural = StructuralPolicy.from_config(settings.config.structural)
    own = own or partial(_own_inputs, settings)
    made = {
        package.name: Fingerprints(_inputs(settings, package, verdicts or {}, own), options)
        for package in settings.packages
    }
    return {
        request.key: made[request.package].of(request, structural.decides(request)) for request in settings.requests
    }


def _known_plan(
    settings: Settings, verdicts: Mapping[str, StepStatus], memo: DigestMemo
) -> dict[str, Fingerprint] | None:
    """The plan of the last run, if only lost or damaged files differ since then."""
    path, trace = settings.layout.plan, read_part(settings.layout.trace("plan"), Trace)
    if not verdicts["plan"].repair or trace is None or memo.sha256(path) != trace.outputs.get("plan"):
        return None
    return read_part(path, dict[str, Fingerprint])  # its bytes are those that were written


def _obstacle(
    verdicts: Mapping[str, StepStatus], steps: Mapping[str, Step], settings: Settings
) -> tuple[str | None, bool]:
    """Why fingerprints cannot be computed before the run, and whether all areas are certain to change."""
    snapshot = verdicts["snapshot"]
    if "not run" in snapshot.changed:
        return "nothing is prepared yet", False
    if not snapshot.repair:
        chain = _first_causes("snapshot", verdicts, steps)
        # Rows of a dataset that is not cloned concern the areas that they are in.
        return "; ".join(chain), not settings.from_dataset
    if snapshot.damaged:
        return f"{'; '.join(snapshot.damaged)}: it is made again first", False
    for package in settings.packages:
        for name in steps_of(package):
            kind = name.removesuffix(f"_{package.name}")
            verdict = verdicts[name]
            remade = [before for before in verdict.upstream if before.startswith(("example_", "fetch_"))]
            if remade:
                return "; ".join(_first_causes(name, verdicts, steps)), False
            if not verdict.up_to_date and verdict.missing and kind != "takeup":
                absent = [role for role in verdict.missing if role not in ("geography", "blocks") or kind != "clones"]
                if absent:
                    return f"{name} needs {', '.join(absent)}, which the run fetches or makes first", False
    return None, False


def _first_causes(name: str, verdicts: Mapping[str, StepStatus], steps: Mapping[str, Step]) -> list[str]:
    """The first stale steps before a step, in words."""
    causes: list[str] = []
    pending, seen = [name], set()
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        verdict = verdicts[current]
        own = [*verdict.changed, *verdict.damaged]
        if own:
            causes.append(f"{current}: {', '.join(own)}")
        pending += verdict.upstream
    return sorted(causes)


def _inputs(settings: Settings, package: Package, verdicts: Mapping[str, StepStatus], own: "Own") -> "PreparedInputs":
    from local_h5.files.arrays import open_arrays
    from local_h5.inputs.geography.block_table import BlockTable
    from local_h5.inputs.geography.canonical import Geography
    from local_h5.inputs.weights import load_weights
    from local_h5.prepared.clones import CloneIndex
    from local_h5.prepared.files import PreparedInputs, open_prepared
    from local_h5.prepared.snapshot import SourceSnapshot
    from local_h5.prepared.steps import prepare_geography, takeup_from_snapshot
    from local_h5.takeup.programmes import load_programmes
    from local_h5.takeup.table import Takeup

    def is_current(kind: str) -> bool:
        return verdicts.get(f"{kind}_{package.name}", StepStatus()).up_to_date

    files = settings.layout.package(package.name)
    snapshot = open_arrays(settings.layout.snapshot, SourceSnapshot)
    if settings.from_dataset:
        if is_current("places"):
            return open_prepared(settings.layout.snapshot, files.blocks, files.clones, files.takeup)
        return own().with_snapshot(snapshot)
    if is_current("geography"):
        geography, blocks = open_arrays(files.geography, Geography), open_arrays(files.blocks, BlockTable)
    else:
        geography, blocks = prepare_geography(
            package.geography,
            settings.dataset,
            settings.tables,
            Path(settings.config.areas.districts),
            settings.config.geography.unknown_blocks,
        )
    if is_current("clones"):
        clones = open_arrays(files.clones, CloneIndex)
    else:
        weights = load_weights(package.weights, geography.n_households, geography.n_clones)
        clones = CloneIndex.build(weights, geography, blocks)
    if is_current("takeup"):
        takeup = open_arrays(files.takeup, Takeup)
    else:
        config = settings.config.takeup
        takeup = takeup_from_snapshot(
            snapshot,
            geography,
            load_programmes(settings.programmes),
            reported=config.reported,
            scope=config.scope,
        )
    return PreparedInputs(snapshot, blocks, clones, takeup)


def _own_inputs(settings: Settings) -> "OwnInputs":
    """Places, weights and take-up of a dataset that has them itself."""
    from local_h5.inputs.source import read_source
    from local_h5.prepared.own import prepare_own_places
    from local_h5.takeup.programmes import load_programmes

    inputs = settings.config.inputs
    source = read_source(settings.dataset, missing=settings.missing, year=inputs.year, units=inputs.units)
    return prepare_own_places(source, load_programmes(settings.programmes), Path(settings.config.areas.districts))


def _own_dataset(settings: Settings, verdicts: Mapping[str, StepStatus], read_own: "Own") -> OwnDataset:
    """What the plan says of a dataset with weights and places of its own."""
    from local_h5.build.area import empty_places
    from local_h5.files.arrays import open_arrays
    from local_h5.inputs.geography.block_table import BlockTable
    from local_h5.prepared.clones import CloneIndex
    from local_h5.requests import AreaBuildRequest
    from local_h5.takeup.table import Takeup

    (package,) = settings.packages
    if all(verdicts[name].up_to_date for name in steps_of(package)):
        files = settings.layout.package(package.name)
        blocks, clones = open_arrays(files.blocks, BlockTable), open_arrays(files.clones, CloneIndex)
        own = open_arrays(files.takeup, Takeup).own
    else:
        made = read_own()
        blocks, clones, own = made.blocks, made.clones, made.takeup.own
    everywhere = clones.select(AreaBuildRequest("national", "US", "", (), package.name), blocks)
    return OwnDataset(
        len(clones),
        clones.n_households - len(clones),
        empty_places(everywhere, blocks.at(everywhere.block)),
        () if own is None else own.kept,
        () if own is None else own.absent,
    )
