"""All uses of Snakemake beyond its documented interface.

If Snakemake changes one of these, a test fails (tests/unit/workflow/test_engine.py), and a run refuses to start. It
never assumes that nothing is stale.
"""

import atexit
import contextlib
import gc
import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from local_h5.errors import ConfigError, RunningError

Start = Literal["run", "dry-run", "unlock", "other"]

_QUERIES = (
    "touch", "lint", "list_target_rules", "list_rules", "print_compilation", "containerize", "generate_unit_tests",
    "dag", "rulegraph", "filegraph", "d3dag", "cleanup_metadata", "conda_cleanup_envs", "conda_create_envs_only",
    "list_conda_envs", "cleanup_shadow", "container_cleanup_images", "list_changes", "list_input_changes",
    "list_params_changes", "list_untracked", "summary", "detailed_summary", "archive", "delete_all_output",
    "delete_temp_output",
)  # fmt: skip
"""Options with which Snakemake prints something or tidies up and starts no job."""

_INCOMPLETE = Path(".snakemake/incomplete")
"""Where Snakemake lists the outputs of jobs that have begun and not ended."""


class Engine:
    """Snakemake: how it was started, and settings that the rules change.

    Args:
        workflow: Snakemake's own object.
    """

    def __init__(self, workflow: Any) -> None:
        self._workflow = workflow
        self.is_main: bool = workflow.is_main_process
        self._options = _command_line() if self.is_main else None

    @property
    def start(self) -> Start:
        """How it was started. ``other`` is a query, Snakemake's Python interface, or the process of a remote job.

        Staleness does not depend on it. A run takes the lock before it compares, and a dry run prints the plan. Only
        these two leave finished areas out of their graph.
        """
        if not self.is_main:
            return "other"
        if self._workflow.output_settings.dryrun:
            return "dry-run"
        options = self._options
        if options is None:
            return "other"
        if options.unlock:
            return "unlock"
        report = options.report and not options.report_after_run
        return "other" if report or any(getattr(options, name) for name in _QUERIES) else "run"

    @property
    def overrides(self) -> dict[str, Any]:
        """The values of ``--config``."""
        return dict(self._workflow.config_settings.config or {})

    @property
    def locks(self) -> bool:
        """Whether it takes its own lock."""
        return self._options is not None and not self._options.nolock

    @property
    def targets(self) -> tuple[str, ...]:
        """Files and rules on its command line; none for the first rule."""
        return tuple(map(str, getattr(self._options, "targets", None) or ()))

    @property
    def wants_all(self) -> bool:
        """Whether its graph must have all parts of a target, also those that are up to date.

        ``--batch`` counts the parts, and ``--report-after-run`` shows them.
        """
        return self._options is not None and bool(self._options.batch or self._options.report_after_run)

    @property
    def has_own_reasons(self) -> bool:
        """Whether Snakemake may run a job that is up to date: forced (``-F``, ``-R``), other triggers, or incomplete.

        Jobs that depend on such a job must follow it, so edges between jobs count then. This is known once Snakemake
        builds its graph.
        """
        settings = self._workflow.dag_settings
        forced = settings.forceall or settings.forcetargets or settings.forcerun
        triggers = {str(trigger) for trigger in settings.rerun_triggers}
        elsewhere = str(self._workflow.workflow_settings.persistence_backend) != "file"  # what was cut off is not known
        cut_off = elsewhere or (_INCOMPLETE.is_dir() and any(_INCOMPLETE.iterdir()))
        return bool(forced or triggers - {"mtime"} or cut_off)

    def refuse_overridden_profile(self) -> None:
        """Refuse a profile that names another executor than the run gets.

        Snakemake uses ``profiles/default`` as the workflow's own profile, which overrides ``--profile``: areas would be
        built on this machine, and not on the named cluster.

        Raises:
            ConfigError: ``--profile`` or ``SNAKEMAKE_PROFILE`` names such a profile.
        """
        options = self._options
        if options is None or self.start not in ("run", "dry-run") or options.executor:
            return
        for profile in options.profile or ():
            alone, all_of_them = _executor_with([profile]), _executor_with(None)
            if alone not in (None, all_of_them):
                raise ConfigError(
                    f"--profile {profile}: executor: expected none, because the profile of the workflow has "
                    f"{all_of_them} and overrides it, found {alone}. Name the profile by --workflow-profile {profile}, "
                    f"or the executor by --executor {alone}."
                )

    def force(self, outputs: Iterable[Path]) -> None:
        """Force the job that makes these files, as ``--forcerun`` does. Call it in an input function of the job.

        Raises:
            RunningError: this version of Snakemake keeps forced files elsewhere.
        """
        forced = getattr(self._workflow.dag, "forcefiles", None)
        if not isinstance(forced, set):
            raise RunningError(
                "snakemake: expected a version that can be told which files are stale (9.27 to below 10), found "
                "one that keeps forced files elsewhere. Install a version that pyproject.toml permits."
            )
        forced.update(map(str, outputs))

    def has_run(self, checkpoint: Any) -> bool:
        """Whether a checkpoint has run, so that what it decides is known."""
        from snakemake.exceptions import IncompleteCheckpointException

        try:
            checkpoint.get()
        except IncompleteCheckpointException:
            return False
        return True

    def ignore_clocks(self) -> None:
        """Accept jobs whose inputs are dated in the future, because dates decide nothing here.

        Snakemake fails such a job, because by its own rule the next run would repeat it. Call this once Snakemake
        builds its graph, also in the processes of remote jobs.
        """

        self._workflow.dag.check_output_mtime = _accept

    def stop_timers(self) -> None:
        """Remove the rate limit of a run on this machine.

        Snakemake limits how many jobs start in a second. For that each evaluation of the ready jobs sets a timer for
        another evaluation (9.27.1). Every finished job adds such a chain of timers, so that after some hundred jobs the
        main process is busy with them. Cluster profiles keep their limit.
        """
        scheduler: Any = getattr(self._workflow, "scheduler", None)
        if getattr(self._workflow, "local_exec", False) and hasattr(scheduler, "job_rate_limiter"):
            scheduler.job_rate_limiter = None


async def _accept(job: Any, outputs: Any) -> None:
    """Replaces Snakemake's check that outputs are not older than inputs."""


class Bars:
    """The bars of ``--logger rich``.

    The plugin gets the number of jobs once, before the first one. It counts jobs that a checkpoint adds only as they
    start, so that its bars are at 95 % and more while hundreds wait, and it waits for jobs that a checkpoint removes.
    This class gives it the new number.
    """

    def __init__(self, workflow: Any) -> None:
        manager = getattr(workflow, "logger_manager", None)
        handlers = getattr(manager, "plugin_handlers", None) or ()
        self._shown = [handler.event_handler for handler in handlers if hasattr(handler, "event_handler")]
        self._dag = getattr(workflow, "dag", None)
        self._total: int | None = None

    def follow(self, total: int) -> None:
        """Give the bars the number of jobs, if it has changed."""
        if not self._shown or self._dag is None or total == self._total:
            return
        self._total = total
        # The plugin has no public interface for this. Without it the bars are less exact.
        with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError):
            _, counts = self._dag.stats()
            for shown in self._shown:
                bars = shown.progress_display
                for rule, count in counts.items():
                    if rule == "total":
                        continue
                    if rule in shown.rule_counts:
                        shown.rule_counts[rule]["total"] = count
                        bars.set_total(rule, count)
                    else:
                        shown.rule_counts[rule] = {"total": count, "completed": 0, "started": 0}
                        bars.add_or_update(rule, 0, count, visible=False)
                shown.total_jobs = total
                bars.set_total("Total Progress", total)


def keep_all_objects() -> None:
    """Limit Python's garbage collector to new objects, in the main process.

    Snakemake keeps some hundred objects for each job until the end. With the usual thresholds the collector scans all
    of them again whenever their number has grown by a quarter, and three times at the end.
    """
    gc.set_threshold(100_000, 50, 1_000)
    atexit.register(gc.freeze)


def _executor_with(profiles: list[str] | None) -> str | None:
    """The executor of the command line with these profiles alone; with its actual profiles, if None."""
    cli: Any = sys.modules["snakemake.cli"]
    with contextlib.redirect_stderr(io.StringIO()):  # it prints which profiles it uses
        if profiles is None:
            return cli.parse_args(sys.argv[1:])[1].executor
        return cli.get_argument_parser(profiles=profiles).parse_args(sys.argv[1:]).executor


def _command_line() -> Any:
    """The options by Snakemake's own parser, if this process is Snakemake's command; else None."""
    cli: Any = sys.modules.get("snakemake.cli")
    command = Path(sys.argv[0])
    if cli is None or "snakemake" not in (command.stem, command.parent.name):
        return None
    try:
        return cli.get_argument_parser().parse_args(sys.argv[1:])
    except (AttributeError, SystemExit):
        return None
