"""What Snakemake's records become on their way to whoever shows them."""

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from local_h5.workflow.run_log import RunLog, area_of, reason_in


class Shown(logging.Handler):
    """Keeps what it is given, less what ``--quiet rules`` leaves out."""

    def __init__(self, quiet: bool) -> None:
        super().__init__()
        self.quiet = quiet
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not (self.quiet and getattr(record, "event", None) in ("job_info", "job_error")):
            self.lines.append(f"{getattr(record, 'event', None) or ''}|{record.getMessage()}")


class Run:
    """Snakemake's logger with a run log on it."""

    def __init__(self, *quiet: str, verbose: bool = False) -> None:
        self.logger = logging.getLogger("snakemake.logging")
        self.shown = Shown("rules" in quiet)
        self.logger.addHandler(self.shown)
        self.logger.setLevel(logging.INFO)
        self.log = RunLog()
        output = SimpleNamespace(
            quiet=[SimpleNamespace(name=name.upper()) for name in quiet],
            verbose=verbose,
            printshellcmds=False,
        )
        self.log.listen(SimpleNamespace(output_settings=output))

    def say(self, message: str | None, event: str | None = None, **extra: Any) -> list[str]:
        """What is shown of one record."""
        before = len(self.shown.lines)
        self.logger.info(message, extra={**({} if event is None else {"event": event}), **extra})
        return self.shown.lines[before:]

    def begin(self, jobid: int, rule: str, message: str, **wildcards: str) -> list[str]:
        return self.say("Rule", "job_info", jobid=jobid, rule_name=rule, rule_msg=message, wildcards=wildcards)

    def fail(self, rule: str, output: Path, log: Path | None, command: str) -> list[str]:
        """What is shown of a job that fails: first the exception of its command, then its own record."""
        shown = self.say(
            f"RuleException:\nCalledProcessError in file x:\nCommand 'set -e; {command}' returned 1.", "error"
        )
        logs = [] if log is None else [str(log)]
        return shown + self.say(
            "Error in rule", "job_error", rule_name=rule, jobid=9, output=[str(output)], log=logs, shellcmd=command
        )


@pytest.fixture
def runs() -> Iterator[Any]:
    made: list[Run] = []

    def make(*quiet: str, verbose: bool = False) -> Run:
        made.append(Run(*quiet, verbose=verbose))
        return made[-1]

    yield make
    for run in made:
        run.log.stop()
        run.logger.removeHandler(run.shown)


@pytest.mark.parametrize("quiet", [(), ("host", "reason", "rules"), ("progress",)])
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("not published: districts/NC-01.h5: 3 persons\n", "districts/NC-01.h5: 3 persons"),
        ("a warning\nerror: inputs/w.npy: expected 7\n", "inputs/w.npy: expected 7"),
        ("Traceback (most recent call last):\n  File x\nValueError: no\n", "ValueError: no"),
        ("not published: a: 1\nnot published: a: 2\n", "a: 1 (and 1 more)"),
    ],
)
def test_a_failure_is_the_line_in_which_the_job_said_why(
    runs: Any, tmp_path: Path, quiet: tuple[str, ...], said: str, expected: str
) -> None:
    run, log = runs(*quiet), tmp_path / "job.log"
    log.write_text(said)
    shown = run.fail("publish_area", tmp_path / "districts" / "NC-01.json", log, "python scripts/publish_area.py")
    assert shown == [f"|districts/NC-01 failed: {expected} [{log}]"]
    (failure,) = run.log.failed
    assert (failure.area, failure.reason) == ("districts/NC-01", expected)


@pytest.mark.parametrize("log", ["", None])
def test_a_job_that_does_not_say_why_is_shown_as_snakemake_has_it(runs: Any, tmp_path: Path, log: str | None) -> None:
    run = runs()
    path = tmp_path / "job.log" if log is not None else None
    if path is not None:
        path.write_text("")
    shown = run.fail("build_area", tmp_path / "states" / "NC.h5", path, "python scripts/build_area.py")
    assert [line.split("|")[0] for line in shown] == ["error", "job_error"]
    assert "it did not say why" in run.log.failed[0].line


def test_nothing_is_changed_when_everything_is_asked_for(runs: Any, tmp_path: Path) -> None:
    run, log = runs(verbose=True), tmp_path / "job.log"
    log.write_text("error: no\n")
    shown = run.fail("build_area", tmp_path / "states" / "NC.h5", log, "x")
    assert [line.split("|")[0] for line in shown] == ["error", "job_error"]
    assert run.log.failed[0].reason == "no"


def test_failures_that_cross_keep_their_own_exceptions(runs: Any, tmp_path: Path) -> None:
    run = runs()
    said, silent = tmp_path / "a.log", tmp_path / "b.log"
    said.write_text("error: said\n")
    run.say("CalledProcessError: Command 'first' returned 1.", "error")
    run.say("CalledProcessError: Command 'second' died.", "error")
    shown = run.say(
        "", "job_error", rule_name="b", jobid=2, output=["states/NC.h5"], log=[str(silent)], shellcmd="second"
    )
    assert shown[0] == "error|CalledProcessError: Command 'second' died."
    shown = run.say("", "job_error", rule_name="a", jobid=1, output=["x"], log=[str(said)], shellcmd="first")
    assert shown == [f"|a failed: said [{said}]"]


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        ("died with <Signals.SIGINT: 2>.", ""),
        ("returned non-zero exit status 130.", ""),
        ("returned non-zero exit status 1.", "Traceback (most recent call last):\nKeyboardInterrupt\n"),
    ],
)
def test_a_job_that_was_interrupted_is_no_failure(runs: Any, tmp_path: Path, ended: str, said: str) -> None:
    run, log = runs(), tmp_path / "job.log"
    log.write_text(said)
    run.say(f"RuleException:\nCalledProcessError in file x:\nCommand 'set -e; build' {ended}", "error")
    error = {"rule_name": "build_area", "jobid": 1, "output": ["states/NC.h5"], "log": [str(log)], "shellcmd": "build"}
    assert run.say("Error in rule", "job_error", **error) == []
    assert run.log.failures == {}
    run.log.stop()
    assert run.shown.lines == []


@pytest.mark.parametrize("ended", ["died with <Signals.SIGKILL: 9>.", "returned non-zero exit status 137."])
def test_a_job_that_was_killed_is_one(runs: Any, tmp_path: Path, ended: str) -> None:
    run = runs()
    run.say(f"CalledProcessError: Command 'build' {ended}", "error")
    shown = run.say(
        "Error in rule", "job_error", rule_name="build_area", jobid=1, output=["states/NC.h5"], log=[], shellcmd="build"
    )
    assert ended in shown[0]
    assert len(run.log.failed) == 1


def test_an_exception_without_a_job_is_shown_at_the_end(runs: Any) -> None:
    run = runs()
    assert run.say("CalledProcessError: Command 'x' returned 1.", "error") == []
    run.log.stop()
    assert run.shown.lines == ["error|CalledProcessError: Command 'x' returned 1."]


def test_a_second_attempt_that_ends_well_is_no_failure(runs: Any, tmp_path: Path) -> None:
    run, output = runs(), tmp_path / "states" / "NC.h5"
    run.fail("build_area", output, None, "x")
    run.fail("build_area", output, None, "x")
    assert len(run.log.failed) == 1
    output.parent.mkdir()
    output.touch()
    assert run.log.failed == ()


@pytest.mark.parametrize("total", [7, 34, 990, 10_000])
def test_a_log_has_a_line_for_each_five_per_cent(runs: Any, total: int) -> None:
    run = runs("host", "reason", "rules")
    lines = []
    for done in range(1, total + 1):
        assert run.say("Select jobs to execute...") == []
        assert run.say("Execute 1 jobs...", "job_started") == []
        assert run.say(f"Finished {done}", "job_finished", job_id=done) == []
        lines += run.say(None, "progress", done=done, total=total)
    assert len(lines) == min(total, 20)
    assert lines[-1].startswith(f"|100 %  {total:,} of {total:,} jobs, 0:0")
    assert (run.log.done, run.log.total) == (total, total)


def test_a_log_names_the_steps_and_not_the_areas(runs: Any) -> None:
    run = runs("host", "reason", "rules")
    assert run.begin(1, "prepare_snapshot", "Source snapshot") == ["|Source snapshot"]
    assert run.begin(2, "build_area", "districts/NC-01", folder="districts", area="NC-01") == []
    assert run.begin(3, "publish_area", "states/NC may be published", folder="states", area="NC") == []
    assert run.log.begun == {"districts/NC-01"}


def test_without_quiet_every_line_of_snakemake_is_there(runs: Any) -> None:
    run = runs()
    assert run.say("Select jobs to execute...") == ["|Select jobs to execute..."]
    assert run.say(None, "progress", done=1, total=990) == ["progress|None"]
    assert run.begin(1, "prepare_snapshot", "Source snapshot") == ["job_info|Rule"]


def test_an_area_is_known_by_the_folder_of_what_a_job_makes() -> None:
    assert area_of([Path("r/published/states/NC.json")]) == "states/NC"
    assert area_of([Path("r/districts/NC-01.h5"), Path("r/districts/NC-01.h5.result.json")]) == "districts/NC-01"
    assert area_of([Path("r/prepared/source_snapshot.h5")]) is None
    assert area_of([]) is None


def test_a_log_that_is_no_text_or_very_long_is_read_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"\xff\xfe" + b"x" * 200_000 + b"\nerror: at last\n")
    assert reason_in([tmp_path / "absent", path]) == "at last"


class Jobs:
    """A graph of jobs: how many each rule has."""

    def __init__(self, **counts: int) -> None:
        self.counts = counts

    def stats(self) -> tuple[str, dict[str, int]]:
        return "", {**self.counts, "total": sum(self.counts.values())}


@pytest.mark.parametrize(
    ("announced", "found"),
    [
        ({"plan": 1, "all": 1}, {"plan": 1, "all": 1, "build_area": 100}),
        ({"plan": 1, "all": 1, "build_area": 3}, {"plan": 1, "all": 1, "build_area": 100}),
        ({"plan": 1, "all": 1, "build_area": 400}, {"plan": 1, "all": 1, "build_area": 100}),
    ],
    ids=["a rule is added", "jobs are added", "jobs are needless"],
)
def test_the_bars_of_the_plugin_learn_what_a_checkpoint_finds(
    announced: dict[str, int], found: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = pytest.importorskip("snakemake_logger_plugin_rich.handler")
    settings = SimpleNamespace(dryrun=False, printshellcmds=False, show_failed_logs=False, verbose=False)
    handler = plugin.RichLogHandler(settings)
    logger = logging.getLogger("snakemake.logging")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    log, jobs = RunLog(), Jobs(**announced)
    output = SimpleNamespace(quiet=[], verbose=False, printshellcmds=False)
    manager = SimpleNamespace(plugin_handlers=[handler])
    bars = handler.event_handler

    def say(event: LogEvent, **extra: Any) -> None:
        logger.info(None, extra={"event": event, **extra})

    def run(jobid: int, rule: str, done: int) -> None:
        say(LogEvent.JOB_INFO, jobid=jobid, rule_name=rule, threads=1, wildcards={}, log=[])
        say(LogEvent.JOB_FINISHED, job_id=jobid)
        say(LogEvent.PROGRESS, done=done, total=sum(jobs.counts.values()))

    def percentage(name: str) -> float:
        return bars.progress.tasks[bars.progress_display.rule_tasks[name]].percentage

    try:
        say(LogEvent.RUN_INFO, stats=jobs.stats()[1])
        log.listen(SimpleNamespace(output_settings=output, logger_manager=manager, dag=jobs))
        jobs.counts = found
        run(1, "plan", 1)
        for number in range(50):
            run(2 + number, "build_area", 2 + number)
        assert percentage("Total Progress") == pytest.approx(100 * 51 / 102)
        assert percentage("build_area") == 50
        for number in range(50, 100):
            run(2 + number, "build_area", 2 + number)
        run(102, "all", 102)
        assert percentage("Total Progress") == percentage("build_area") == 100
    finally:
        log.stop()
        logger.removeHandler(handler)
        handler.close()
    capsys.readouterr()
