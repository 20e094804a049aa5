"""What the main Snakemake process does while it reads the Snakefile, before it plans."""

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from local_h5.errors import RequestError, RunningError
from local_h5.files import write_text
from local_h5.requests import FOLDERS
from local_h5.results import Fingerprint
from local_h5.settings import Settings
from local_h5.workflow.digests import DigestMemo
from local_h5.workflow.invocation import Invocation, invocation
from local_h5.workflow.judge import StepVerdict
from local_h5.workflow.orders import is_published, read_plan, settle_areas, settle_steps, step_order
from local_h5.workflow.run_lock import hold_run_lock, refuse_stale_lock, remove_leftovers
from local_h5.workflow.target_records import settle_targets

if TYPE_CHECKING:
    from local_h5.workflow.forecast import Forecast

_COUNTS = "The lines above are the plan. What follows is Snakemake's own count of the same jobs."
_COUNTS_LATER = (
    "The lines above are the plan. Snakemake's own count, which follows, cannot agree yet: which areas are built is "
    "decided by the checkpoint 'plan', which has to run first; until then Snakemake counts none or all of them."
)


def resolved_config(settings: Settings) -> Path:
    """Where the configuration of the run lies, with all overrides, for the scripts."""
    return settings.prepared / "config.json"


def area_config(settings: Settings) -> Path:
    """Where the part of the configuration lies that area jobs read: the whole has megabytes with very many areas."""
    return settings.prepared / "area_config.json"


def memo_path(settings: Settings) -> Path:
    """Where the memo of digests lies."""
    return settings.prepared / "digests.json"


def validation_file(settings: Settings) -> Path:
    """Where the validation policy of the run lies: what depends on it runs again when it changes."""
    return settings.prepared / "validation.json"


class Run:
    """What the rules ask about the run that is beginning.

    Attributes:
        settings: of the run.
        lock: held as long as this object lives; None for a dry run, a query, or the process of a remote job.
        shown: what a dry run foresees; None otherwise.
        planned: whether the plan of before holds and no step before the areas will run. Then the areas are known
            without the checkpoint, and Snakemake need not build its graph twice.
        published: relative paths of the areas of which everything holds, so that Snakemake need not look at them.
    """

    def __init__(
        self,
        settings: Settings,
        lock: FileLock | None = None,
        shown: "Forecast | None" = None,
        *,
        planned: bool = False,
        published: frozenset[str] = frozenset(),
        startable: bool = True,
    ) -> None:
        self._startable = startable
        self.settings = settings
        self.planned = planned
        self.published = published
        self.lock = lock
        self.shown = shown
        # A dry run writes nothing in the project: the orders that a run would give lie elsewhere, for its own count.
        self._orders = None if shown is None else tempfile.TemporaryDirectory(prefix="local-h5-orders-")

    def check_start(self) -> None:
        """Refuse to start jobs when nobody could tell that they would be: nothing was compared or ordered.

        Raises:
            RunningError: Snakemake was not started by its command line, or by one that this version does not know.
        """
        if not self._startable:
            raise RunningError(
                "snakemake",
                expected="a start by Snakemake's command line",
                found="another one, of which nobody can tell whether it is a run or a dry run",
                remedy="Use the command snakemake, of a version from 9.27 and below 10.",
            )

    def step_order(self, step: str) -> Path:
        """The order of a step."""
        if not self._foreseen(step).current:
            return self._fresh(step)
        return step_order(self.settings, step)

    def area_order(self, folder: str, area: str) -> Path:
        """The order of an area."""
        if self.shown is not None:
            verdict = self.shown.areas.get(f"{folder}/{area}.h5")
            if verdict is not None and not verdict.current:
                return self._fresh(f"{folder}-{area}")
        return self.settings.prepared / "orders" / folder / f"{area}.json"

    def stamps(self, *area_types: str) -> list[str]:
        """What a target rule asks for: the stamps of the areas of the given types, or of all, that do not hold yet.

        Snakemake holds each job that a target needs in memory, and looks at all of them. Where all holds it gets a file
        that nothing makes, because it takes a target that needs nothing for one that has to run.
        """
        chosen = [r for r in self.settings.requests if not area_types or r.area_type in area_types]
        waiting = [str(self.settings.stamp(r)) for r in chosen if str(r.relative_path) not in self.published]
        return waiting if waiting or not chosen else [resolved_config(self.settings).as_posix()]

    def ignores_times(self, step: str) -> bool:
        """Whether Snakemake must not compare times for a step: in a dry run, which does not date what holds."""
        return self.shown is not None and self._foreseen(step).current

    @property
    def announcement(self) -> str | None:
        """What to print before Snakemake's own list."""
        return None if self.shown is None else announcement(self.settings, self.shown)

    def _foreseen(self, step: str) -> StepVerdict:
        # A step that the configuration does not need (fetching, with inputs of one's own) holds.
        return StepVerdict() if self.shown is None else self.shown.steps.get(step, StepVerdict())

    def _fresh(self, name: str) -> Path:
        assert self._orders is not None
        path = Path(self._orders.name) / f"{name}.json"
        path.touch(exist_ok=True)
        return path


def begin(settings: Settings, *, is_main_process: bool) -> Run:
    """Prepare the run that Snakemake is about to plan.

    A real run takes the results folder, compares what is there with what should be, and orders what has to run. A dry
    run prints the plan. Queries (``--summary``, ``--dag``, …) and the processes of remote jobs get neither.

    Args:
        settings: of the run.
        is_main_process: whether Snakemake plans here; false in the process of a remote job.

    Raises:
        RunningError: another run is going on, or one was killed and has to be resumed.
        RequestError: a file of an area is asked for that the configuration does not have.
        LocalH5Error: an input is malformed.
    """
    if not is_main_process:
        return Run(settings, planned=True)  # the main process has decided that this job runs
    asked = invocation()
    if asked.mode == "unlock":
        hold_run_lock(settings.results).release()  # refuses while a run is alive
    _check_targets(settings, asked.targets)
    if asked.mode == "dry-run":
        from local_h5.workflow.forecast import forecast

        # The memo is read, not written: a dry run leaves the project as it was.
        foreseen = forecast(settings, DigestMemo.open(memo_path(settings)))
        planned = foreseen.steps["plan"].current and _undisturbed(asked)
        published = _published(settings, foreseen) if planned and not asked.whole else frozenset[str]()
        return Run(settings, shown=foreseen, planned=planned, published=published)
    if asked.mode != "run":
        return Run(settings, startable=asked.mode != "unknown")
    lock = hold_run_lock(settings.results)
    if asked.locks:
        refuse_stale_lock(settings.results)
    remove_leftovers(settings.results)
    settled = settle(settings)
    planned = settled.steps["plan"].current and _undisturbed(asked)
    published = settled.published if planned and not asked.whole else frozenset[str]()
    return Run(settings, lock, planned=planned, published=published)


def _check_targets(settings: Settings, targets: Iterable[str]) -> None:
    """Say which area is not there: the rules would take any name, and Snakemake would show where it failed."""
    known = {str(request.relative_path.with_suffix("")) for request in settings.requests}
    for target in targets:
        path = Path(target)
        area = f"{path.parent.name}/{path.name.partition('.')[0]}"
        if path.is_relative_to(settings.results) and path.parent.name in FOLDERS.values() and area not in known:
            raise RequestError(
                target,
                expected="a file of an area of this run",
                found=f"no area {area}",
                remedy="See results/prepared/catalog.json for all; describe another one under areas.custom.",
            )


def _undisturbed(asked: Invocation, incomplete: Path = Path(".snakemake/incomplete")) -> bool:
    """Whether Snakemake has no reason of its own to run a step that holds: forced, or cut off in the last run.

    Jobs after such a step are not examined until the checkpoint has run, so the checkpoint is needed then.
    """
    return not asked.forces and not (incomplete.is_dir() and any(incomplete.iterdir()))


def announcement(settings: Settings, foreseen: "Forecast") -> str:
    """What a dry run prints before Snakemake's own list."""
    from local_h5.workflow.plan import make_plan
    from local_h5.workflow.plan_text import as_text

    counts = _COUNTS if foreseen.steps["plan"].current else _COUNTS_LATER
    return f"{as_text(make_plan(settings, foreseen))}\n{counts}"


@dataclass(frozen=True, slots=True)
class Settled:
    """What :func:`settle` found.

    Attributes:
        steps: name → verdict.
        published: relative paths of the areas of which everything holds, stamp included; none while any step is stale,
            since what it makes may decide about an area that holds so far.
    """

    steps: Mapping[str, StepVerdict]
    published: frozenset[str]


def settle(settings: Settings) -> Settled:
    """Order what has to run, by content; the caller holds the run lock."""
    config, districts = settings.config, settings.config["areas"]["districts"]
    policy = {"validation": config["validation"]}
    write_if_changed(resolved_config(settings), config)
    write_if_changed(area_config(settings), {"inputs": config["inputs"], "areas": {"districts": districts}, **policy})
    write_if_changed(validation_file(settings), policy)
    memo = DigestMemo.open(memo_path(settings))
    steps, published = settle_steps(settings, memo), frozenset[str]()
    if steps["plan"].current:
        # Else the plan job does it, when what areas depend on has been made.
        published = settle_all_areas(settings, read_plan(settings.prepared / "plan.json"), memo)
    memo.save()
    return Settled(steps, published if all(verdict.current for verdict in steps.values()) else frozenset())


def settle_all_areas(settings: Settings, expected: Mapping[str, Fingerprint], memo: DigestMemo) -> frozenset[str]:
    """Order the stale areas, and remove the records of targets that do not hold.

    Returns:
        Relative paths of the areas of which everything holds, stamp included.
    """
    areas = settle_areas(settings, expected, memo)
    if not settings.policy.wants_targets:
        return areas.published
    targets = settle_targets(settings, memo, [key for key, verdict in areas.verdicts.items() if not verdict.current])
    return frozenset(key for key in areas.published if not targets.records[key])


def _published(settings: Settings, foreseen: "Forecast") -> frozenset[str]:
    """What :func:`settle` would give, of a dry run."""
    if not all(verdict.current for verdict in foreseen.steps.values()):
        return frozenset()
    return frozenset(
        key
        for key, request in ((str(request.relative_path), request) for request in settings.requests)
        if foreseen.areas[key].current and not foreseen.areas[key].unchecked and not foreseen.checks.get(key)
        if is_published(settings, request)
    )


def write_if_changed(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON unless the file holds it already, so that its time keeps its meaning."""
    text = json.dumps(data, indent=1, sort_keys=True) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
