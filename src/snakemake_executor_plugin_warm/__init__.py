"""Snakemake's local executor, with the jobs of some rules in processes that stay: docs/warm-jobs.md.

A rule says so by the parameter ``warm=True``. Its ``shell:`` must be a Python script with arguments and, if anything,
``2> {log:q}``; every other executor runs it as it stands. The script then runs in one of as many processes as there are
jobs at a time, so that Python starts, and imports, once and not in every job. All other jobs go the ordinary way.

Snakemake imports each plugin that is installed at each start, so this module imports nothing of the project.
"""

# mypy: disable-error-code="import-untyped, misc"
# Snakemake has no types.

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from snakemake.benchmark import BenchmarkRecord, write_benchmark_records
from snakemake.exceptions import RuleException, format_error
from snakemake.executors.local import Executor as LocalExecutor
from snakemake.executors.local import common_settings
from snakemake.io import is_flagged
from snakemake.settings.types import DeploymentMethod
from snakemake.shell import shell

from .command import ScriptCommand
from .workers import Cancelled, Ended, WorkerEnded, Workers

__all__ = ["Executor", "common_settings"]

MARK = "warm"
"""Parameter of a rule whose jobs run in processes that stay."""

_INTERRUPTED = 130
_THREADS = (
    "OMP_NUM_THREADS", "GOTO_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)  # fmt: skip
_TEMPORARY = ("TMPDIR", "TMP", "TEMPDIR", "TEMP")


class Executor(LocalExecutor):
    """Runs jobs on this machine."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._workers = Workers()

    def run_single_job(self, job: Any) -> Any:
        """Begin a job; a future of its end."""
        command = self._script_command(job)
        if command is None:
            return super().run_single_job(job)
        self.workflow.async_run(job.prepare())
        return self.pool.submit(self.cached_or_run, job, self._run, job, command, Path.cwd())

    def shutdown(self) -> None:
        """Wait for the jobs, then end the processes."""
        super().shutdown()
        self._workers.end()

    def cancel(self) -> None:
        """End jobs and processes now."""
        self._workers.cancel()
        super().cancel()

    def _script_command(self, job: Any) -> ScriptCommand | None:
        """The script of a job for a process that stays; None for a job that goes the ordinary way."""
        rule = job.rule
        if not rule.is_shell or not job.params.get(MARK):
            return None
        methods = self.workflow.deployment_settings.deployment_method
        elsewhere = (
            (DeploymentMethod.CONDA in methods and job.conda_env)
            or (DeploymentMethod.APPTAINER in methods and job.container_img_url)
            or (DeploymentMethod.ENV_MODULES in methods and job.env_modules)
        )
        at_once = any(is_flagged(file, kind) for file in (*job.input, *job.output) for kind in ("pipe", "service"))
        own_shell = shell._process_prefix or shell._process_suffix or job.resources.get("shell_exec")
        repeated = (job.benchmark_repeats or 1) > 1
        debugging = self.workflow.execution_settings.debug
        if os.name != "posix" or job.is_shadow or elsewhere or at_once or own_shell or repeated or debugging:
            return None
        try:
            return ScriptCommand.read(job.shellcmd)
        except RuleException:  # a placeholder that is not there; the ordinary way says so
            return None

    def _run(self, job: Any, command: ScriptCommand, folder: Path) -> None:
        """Run a job in one of the processes.

        Raises:
            RuleException: it failed, or its process did.
        """
        environment = _environment(job)
        python = shutil.which(command.python, path=environment.get("PATH"))
        if python is None:
            raise self._failure(job, 127)
        try:
            ended = self._workers.run(python, environment, list(command.argv), str(folder), command.log)
        except Cancelled:
            raise self._failure(job, _INTERRUPTED) from None
        except WorkerEnded as gone:
            if self._workers.cancelled:
                raise self._failure(job, _INTERRUPTED) from None
            if command.log is not None:
                with (folder / command.log).open("a", encoding="utf-8") as log:
                    log.write(f"error: the process of this job {gone.reason}\n")
            raise self._failure(job, gone.status or 1) from None
        if ended.status:
            raise self._failure(job, ended.status)
        if job.benchmark is not None:
            extended = self.workflow.output_settings.benchmark_extended
            write_benchmark_records([_benchmark(job, ended)], str(job.benchmark), extended)

    def _failure(self, job: Any, status: int) -> RuleException:
        """A failed command, in Snakemake's words."""
        error = subprocess.CalledProcessError(status, job.shellcmd)
        rule = job.rule
        text = format_error(error, rule.lineno, linemaps=self.workflow.linemaps, snakefile=rule.snakefile)
        return RuleException(text)


def _environment(job: Any) -> dict[str, str]:
    """What :class:`snakemake.shell.shell` gives a command."""
    environment = dict(os.environ) | dict.fromkeys(_THREADS, str(job.threads))
    temporary = job.resources.get("tmpdir")
    return environment | dict.fromkeys(_TEMPORARY, str(temporary)) if temporary else environment


def _benchmark(job: Any, ended: Ended) -> BenchmarkRecord:
    record = BenchmarkRecord(max_rss=ended.max_rss, running_time=ended.wall, cpu_time=ended.cpu)
    record.cpu_usage = 100 * ended.cpu  # per cent of a core times seconds
    record.data_collected = True
    record.jobid, record.rule_name, record.wildcards = job.jobid, job.rule.name, job.wildcards
    record.params, record.resources, record.input, record.threads = job.params, job.resources, job.input, job.threads
    return record
