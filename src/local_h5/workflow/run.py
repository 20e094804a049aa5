"""The run that Snakemake is about to plan: which jobs are stale, and what only a real run does.

The inputs of a job that is up to date are ``ancient``, so that no date makes Snakemake run it. A job that is stale by
content (:mod:`local_h5.runs.staleness`) is forced when Snakemake asks for its inputs, as by ``--forcerun`` with one of
its outputs, and its inputs count, so that it waits for the jobs before it. The status of areas is known once the step
``plan`` has run: their rules depend on that checkpoint, and Snakemake asks for their inputs again after it.
"""

import contextlib
import json
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from local_h5.areas import did_you_mean
from local_h5.config.layout import NATION
from local_h5.config.settings import Settings
from local_h5.contracts.results import sidecar_path
from local_h5.errors import LocalH5Error, RequestError
from local_h5.files.atomic import write_text
from local_h5.files.digests import DigestMemo
from local_h5.requests import AreaType
from local_h5.runs.forecast import Forecast, compare_areas, forecast
from local_h5.runs.plan_file import lost_requests, read_plan
from local_h5.runs.run_lock import hold_run_lock, refuse_stale_lock, remove_leftovers
from local_h5.runs.staleness import AreaStatus, StepStatus, compare_steps, is_approved, wanted_records
from local_h5.runs.step import File, Step
from local_h5.runs.steps import NATION_PARQUET, REPORT, declared_steps
from local_h5.runs.target_records import NO_TARGETS, TargetStatus
from local_h5.workflow.engine import Engine
from local_h5.workflow.run_log import area_of

if TYPE_CHECKING:
    from filelock import FileLock

Inputs = tuple[Mapping[str, str | list[str]], bool]
"""Name of an input in the rule → path or paths; and whether they count, or are `ancient`."""

_COUNTS = "The lines above are the plan. What follows is Snakemake's own count of the same jobs."
_COUNTS_LATER = (
    "The lines above are the plan. Snakemake's own count, which follows, cannot agree yet: which areas are built is "
    "decided by the checkpoint 'plan', which has to run first; until then Snakemake counts none or all of them."
)
_TYPE_OF_RULE: Mapping[str, AreaType] = {
    "all_states": "state",
    "all_districts": "district",
    "all_cities": "city",
    "all_custom": "custom",
    "national": "national",
}
"""Target rule → the type of its areas."""
_AFTER_AREAS = (NATION_PARQUET, REPORT)
"""Steps that read areas' files."""
_OF_0_1 = ("orders", "stamps", "marks", "validation.json")
"""Files of version 0.1 in the folder of prepared files. Nothing reads them any more."""


class Run:
    """The run, with the answers that the rules need.

    Args:
        settings: of the run.
        engine: the Snakemake that reads the rules.
        checkpoints: Snakemake's own object, as a Snakefile sees it.

    Raises:
        RunningError: another run is active, or one was killed and must be resumed.
        RequestError: a target is a file of an area that the configuration does not have.
        LocalH5Error: an input is malformed.
    """

    def __init__(self, settings: Settings, engine: Engine, checkpoints: Any) -> None:
        self.settings = settings
        self._checkpoints = checkpoints
        self._layout = settings.layout
        self._engine = engine
        self._lock: FileLock | None = None
        self._memo = DigestMemo.open(settings.layout.memo)
        self._declared: Mapping[str, Step] = {}
        self._requests = {request.name: request for request in settings.requests}
        self._areas: Mapping[str, AreaStatus] | None = None
        self._targets: TargetStatus = NO_TARGETS
        self._steps: Mapping[str, StepStatus] = {}
        self._foreseen: Forecast | None = None
        self._leaves_out = False
        self.announcement: str | None = None
        if not engine.is_main:
            self._declared = declared_steps(settings, self._memo)
            return  # the main process has decided that this job runs
        engine.refuse_overridden_profile()
        _check_targets(settings, engine.targets)
        if engine.start == "unlock" and settings.results.is_dir():
            hold_run_lock(settings.results).release()  # refuses while a run is alive
        if engine.start == "run":
            self.begin(refuse_old_lock=engine.locks)
        dry = engine.start == "dry-run"
        foreseen = forecast(settings, self._memo, ahead=dry)
        if self._lock is not None:
            self._memo.save()
        self._declared, self._steps, self._foreseen = foreseen.declared, foreseen.steps, foreseen
        self._leaves_out = engine.start in ("run", "dry-run") and not engine.wants_all
        if dry:
            from local_h5.runs.plan import make_plan
            from local_h5.runs.plan_text import as_text

            plan = make_plan(settings, foreseen, self._asked())
            self.announcement = f"{as_text(plan)}\n{_COUNTS if foreseen.plan_is_known else _COUNTS_LATER}"

    def begin(self, *, refuse_old_lock: bool = False) -> None:
        """Lock the results folder and write the configuration for jobs. A second call does nothing.

        Args:
            refuse_old_lock: whether a lock of Snakemake is from a killed run; later it is from this run.

        Raises:
            RunningError: another run is active, or one was killed and must be resumed.
        """
        if self._lock is not None:
            return
        settings, config = self.settings, self.settings.config
        self._lock = hold_run_lock(settings.results)
        if refuse_old_lock:
            refuse_stale_lock(settings.results)
        remove_leftovers(settings.results)
        for name in _OF_0_1:
            path = settings.layout.prepared / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        _write_if_changed(settings.layout.config, config.to_json())
        _write_if_changed(settings.layout.area_config, msgspec.to_builtins(config.structural))
        self._memo.save()

    def end(self) -> None:
        """Remember the digests of the files that this run has built, so that the next run does not read them."""
        with contextlib.suppress(LocalH5Error, OSError):  # it only saves time
            for key, status in (self._areas or {}).items():
                if not status.up_to_date:
                    self._memo.sha256(self.settings.results / key)
            self._memo.save()

    @property
    def waits_for_plan(self) -> bool:
        """Whether the rules of areas depend on the checkpoint.

        They do not where the plan is up to date, so that Snakemake does not build its graph twice.
        """
        foreseen = self._foreseen
        if self._areas is None and foreseen is not None and foreseen.plan_is_known and not self._follow:
            self._areas, self._targets = foreseen.areas, foreseen.targets
        return self._engine.is_main and self._areas is None

    def _plan_is_known(self) -> bool:
        """Whether areas can be compared."""
        return not self.waits_for_plan or self._engine.has_run(self._checkpoints.plan)

    @cached_property
    def _follow(self) -> bool:
        """Whether the inputs of jobs that are up to date count as well; known once Snakemake builds its graph."""
        return self._engine.has_own_reasons

    def step(self, name: str) -> Step:
        """A step's declaration, as its rule describes it."""
        return self._declared[name]

    def trace(self, name: str) -> str:
        """Where a step's trace lies."""
        return self._layout.trace(name).as_posix()

    def wanted(self, *area_types: str) -> list[str]:
        """The inputs of a target rule: the approvals of the areas of the given types, or of all. With the nation comes
        its split, if the configuration asks for one.

        Snakemake keeps each job of a target in memory and examines all of them, so a run leaves out finished areas. If
        all are finished, the input is a file that no rule makes, because Snakemake runs a target without inputs.
        """
        chosen = {
            area: request
            for area, request in self._requests.items()
            if not area_types or request.area_type in area_types
        }
        done = self._may_leave_out()
        waiting = [
            str(self._layout.approval(request))
            for area, request in chosen.items()
            if not done or not self._is_approved(area)
        ]
        splits = self.settings.config.output.nation_parquet and NATION in chosen
        if splits and (not done or self._step_is_stale(NATION_PARQUET)):
            waiting.append(self._declared[NATION_PARQUET].outputs["index"].as_posix())
        return waiting if waiting or not chosen else [self._layout.config.as_posix()]

    def step_inputs(self, name: str) -> Inputs:
        """The inputs of a step."""
        step = self._declared[name]
        files: dict[str, File] = {**step.inputs, **step.handed}
        if name == NATION_PARQUET:  # only an approved nation is split
            files["approval"] = self._layout.approval(self._requests[NATION])
        known = name not in _AFTER_AREAS or self._plan_is_known()
        return self._inputs(files, step.outputs.values(), known, lambda: self._step_is_stale(name))

    def area_inputs(self, area: str) -> Inputs:
        """The inputs of an area's job, by ``<folder>/<area>``."""
        request, known = self._requests[area], self._plan_is_known()
        prepared = self._layout.package(request.package)
        files: dict[str, File] = {
            "snapshot": self._layout.snapshot,
            "blocks": prepared.blocks,
            "clones": prepared.clones,
            "takeup": prepared.takeup,
            # The plan writes the request; until then the plan is the input.
            "request": self._layout.request(request) if known else self._layout.plan,
        }
        h5 = self._layout.output(request)
        # Content alone decides: an area whose inputs were made again, and came out the same, is not built.
        return self._inputs(files, [h5], known, lambda: not self._area(area).up_to_date, follow=False)

    def record_inputs(self, area: str) -> Inputs:
        """The inputs of the check of an area's file against its targets."""
        request = self._requests[area]
        h5 = self._layout.output(request)
        files: dict[str, File] = {
            "targets": self.settings.target_database,
            "h5": h5,
            "sidecar": sidecar_path(h5),
            "runs": tuple(self._layout.simulation(part) for part in self.settings.parts.sources_of(area)),
        }
        record = self._layout.record("targets", request)
        return self._inputs(files, [record], self._plan_is_known(), lambda: self._record_is_stale(area))

    def simulation_inputs(self, part: int) -> Inputs:
        """The inputs of the model runs of a part."""
        outputs = [
            self._layout.output(request)
            for request in self.settings.requests
            if part in self.settings.parts.readers_of(request)
        ]
        files: dict[str, File] = {
            "targets": self.settings.target_database,
            "built": tuple(path for h5 in outputs for path in (h5, sidecar_path(h5))),
        }
        runs = self._layout.simulation(part)
        return self._inputs(files, [runs], self._plan_is_known(), lambda: part in self._known_targets().simulations)

    def approval_inputs(self, area: str) -> Inputs:
        """The inputs of the approval of an area's file."""
        request = self._requests[area]
        files: dict[str, File] = {
            "sidecar": sidecar_path(self._layout.output(request)),
            "records": tuple(wanted_records(self.settings, request).values()),
        }
        approval = self._layout.approval(request)
        return self._inputs(files, [approval], self._plan_is_known(), lambda: not self._is_approved(area))

    def _inputs(
        self,
        files: Mapping[str, File],
        outputs: Iterable[Path],
        known: bool,
        is_stale: Callable[[], bool],
        *,
        follow: bool = True,
    ) -> Inputs:
        """The inputs of a job as its rule takes them. A job that is stale is forced.

        Args:
            files: by name.
            outputs: of the job.
            known: whether one can tell already. Until then the inputs count.
            is_stale: whether the job is stale by content.
            follow: whether the inputs of a job that is up to date count where Snakemake has reasons of its own.
        """
        self._engine.ignore_clocks()
        texts = {name: _as_text(file) for name, file in files.items()}
        if not self._engine.is_main:
            return texts, False
        stale = known and is_stale()
        if stale:
            self._engine.force(outputs)
        return texts, stale or not known or (follow and self._follow)

    def _step_is_stale(self, name: str) -> bool:
        if name == NATION_PARQUET and not self._area(NATION).up_to_date:
            return True
        if name == REPORT and self._makes_what_the_report_reads():
            return True
        if name not in self._steps:  # a target that no area of this run needs
            return not compare_steps(self.settings, self._memo, [self._declared[name]])[name].up_to_date
        return not self._steps[name].up_to_date or (name == "plan" and self._follow and self._requests_are_lost())

    def _requests_are_lost(self) -> bool:
        """Whether the file of an area's request is missing or edited. An area that is up to date may be forced too."""
        expected = read_plan(self._layout.plan)
        return bool(lost_requests(self.settings, self.settings.requests, expected))

    def _makes_what_the_report_reads(self) -> bool:
        """Whether a file, a record, or the split of the nation will be made anew."""
        return (
            not all(status.up_to_date for status in self._known_areas().values())
            or any(self._known_targets().records.values())
            or (self.settings.config.output.nation_parquet and self._step_is_stale(NATION_PARQUET))
        )

    def _area(self, area: str) -> AreaStatus:
        return self._known_areas()[f"{area}.h5"]

    def _known_areas(self) -> Mapping[str, AreaStatus]:
        """The status of all areas. Call it when the checkpoint has run, or is not needed."""
        if self._areas is None:
            expected = read_plan(self._layout.plan)
            self._areas, self._targets = compare_areas(self.settings, self._memo, expected)
        return self._areas

    def _known_targets(self) -> TargetStatus:
        self._known_areas()
        return self._targets

    def _record_is_stale(self, area: str) -> bool:
        """Whether an area is checked against its targets again."""
        return bool(self._known_targets().records.get(f"{area}.h5"))

    def _is_approved(self, area: str) -> bool:
        """Whether an area's approval is for its file, and neither file nor records will be made anew."""
        status = self._area(area)
        current = status.up_to_date and not self._record_is_stale(area)
        return current and is_approved(self.settings, self._requests[area], status.built, self._memo)

    def _may_leave_out(self) -> bool:
        """Whether the graph may do without what is finished, because no step is stale."""
        known = self._leaves_out and not self.waits_for_plan
        return known and all(step.up_to_date for step in self._steps.values())

    def _asked(self) -> Collection[str] | None:
        """Relative paths of the areas among Snakemake's targets, and the split of the nation; None for all."""
        asked: set[str] = set()
        if not self._engine.targets:
            return None
        for target in self._engine.targets:
            if target in _TYPE_OF_RULE:
                area_type = _TYPE_OF_RULE[target]
                asked |= {f"{key}.h5" for key, request in self._requests.items() if request.area_type == area_type}
                asked |= {NATION_PARQUET} if area_type == "national" else set()
            elif target == NATION_PARQUET or Path(target) in self._declared[NATION_PARQUET].outputs.values():
                asked |= {f"{NATION}.h5", NATION_PARQUET}
            elif (area := _area_of(self.settings, target)) is not None:
                asked.add(f"{area}.h5")
            elif not Path(target).is_relative_to(self._layout.prepared):
                return None
        return asked


def _area_of(settings: Settings, target: str) -> str | None:
    """The area that a file belongs to, by its folder; None for any other target."""
    path = Path(target)
    return area_of([path]) if path.is_relative_to(settings.results) else None


def _check_targets(settings: Settings, targets: Iterable[str]) -> None:
    """Refuse a target of an unknown area. The rules would accept any name, and Snakemake would show a traceback."""
    known = {request.name for request in settings.requests}
    for target in targets:
        area = _area_of(settings, target)
        if area is not None and area not in known:
            all_of_them = "`local-h5 areas` lists all; describe another one under areas.custom."
            raise RequestError(
                f"{target}: expected a file of an area of this run, found no area {area}. "
                f"{did_you_mean(area, settings.requests) or all_of_them}"
            )


def _as_text(file: File) -> str | list[str]:
    return file.as_posix() if isinstance(file, Path) else [path.as_posix() for path in file]


def _write_if_changed(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON unless the file has it already."""
    text = json.dumps(data, indent=1, sort_keys=True) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
