"""How Snakemake was started.

A Snakefile is read before Snakemake knows, in a way that it tells, whether this is a run, a dry run or a query. Its
parsed options are therefore looked up where its command line keeps them.
"""

import atexit
import gc
import inspect
from dataclasses import dataclass
from typing import Any, Literal

Mode = Literal["run", "dry-run", "unlock", "query", "unknown"]

_ENTRY = "args_to_api"
_QUERIES = (
    "touch", "lint", "list_target_rules", "list_rules", "print_compilation", "containerize", "generate_unit_tests",
    "dag", "rulegraph", "filegraph", "d3dag", "cleanup_metadata", "conda_cleanup_envs", "conda_create_envs_only",
    "list_conda_envs", "cleanup_shadow", "container_cleanup_images", "list_changes", "list_input_changes",
    "list_params_changes", "list_untracked", "summary", "detailed_summary", "archive", "delete_all_output",
    "delete_temp_output",
)  # fmt: skip
"""Options with which Snakemake answers or tidies up and starts no job."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """What Snakemake was asked for.

    Attributes:
        mode: run, dry run, unlock, a query that starts no job, or unknown (Snakemake's Python interface, or a version
            that keeps its options elsewhere): nothing is written then, and no job may start.
        locks: whether it takes its lock.
        forces: whether it was told to run jobs for other reasons than times (``-F``, ``-R``, ``--rerun-triggers``).
        whole: whether it has to see all that its target consists of, what holds included (``--batch`` counts the parts,
            ``--report-after-run`` shows them).
        targets: files and rules that it was asked for; none for the first rule.
    """

    mode: Mode
    locks: bool = True
    forces: bool = False
    whole: bool = False
    targets: tuple[str, ...] = ()


def invocation() -> Invocation:
    """How the Snakemake was started that is reading the Snakefile now; unknown when not from its command line."""
    options = _options()
    if options is None:
        return Invocation("unknown")
    locks = not getattr(options, "nolock", False)
    if getattr(options, "unlock", False):
        return Invocation("unlock", locks)
    report = getattr(options, "report", None) and not getattr(options, "report_after_run", False)
    if report or any(getattr(options, name, None) for name in _QUERIES):
        return Invocation("query", locks)
    forces = any(getattr(options, name, None) for name in ("forceall", "force", "forcerun"))
    triggers = {str(trigger) for trigger in getattr(options, "rerun_triggers", None) or ()}
    whole = any(getattr(options, name, None) for name in ("batch", "report_after_run"))
    return Invocation(
        "dry-run" if getattr(options, "dryrun", False) else "run",
        locks,
        forces or triggers not in (set(), {"mtime"}),
        whole,
        tuple(map(str, getattr(options, "targets", None) or ())),
    )


def stop_timers(workflow: Any) -> None:
    """Let the scheduler of a run on this machine look for jobs when one has ended, and not by the clock as well.

    Snakemake limits how many jobs start in a second, and for that each look at the ready jobs sets a timer which starts
    another look (9.27.1). Every job that ends adds such a chain, so that after some hundred the main process does
    little else. Nobody has to be spared by a run on one machine; cluster profiles keep their limit.

    Args:
        workflow: Snakemake's own object, once its scheduler is there (``onstart``).
    """
    scheduler: Any = getattr(workflow, "scheduler", None)
    if getattr(workflow, "local_exec", False) and hasattr(scheduler, "job_rate_limiter"):
        scheduler.job_rate_limiter = None


def keep_all_objects() -> None:
    """Let Python's garbage collector look at new objects alone, in the main process.

    Snakemake keeps some hundred objects for each job to its end. A collector with the usual thresholds goes through all
    of them again whenever they have become a quarter more, and three times at the end.
    """
    gc.set_threshold(100_000, 50, 1_000)
    atexit.register(gc.freeze)


def _options() -> Any:
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == _ENTRY:
            return frame.f_locals.get("args")
        frame = frame.f_back
    return None
