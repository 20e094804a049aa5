"""The messages of a run, and the facts for its last lines.

Snakemake sends all messages as records of Python's ``logging``, each with the name of an event, through one logger. Its
own handler, ``--logger rich`` and the file below ``.snakemake/log`` get them from there. So a filter on that logger
changes the output of all of them, however a run is started:

- a job that failed with a reason in one line gives that line, instead of two dozen about a command that returned 1;
- a job that Ctrl-C ended is not shown and is no failure;
- with ``--quiet rules`` there is a line for each 5 % and for each step before the areas, instead of five a job;
- the bars of ``--logger rich`` get the number of jobs after a checkpoint.

With ``--verbose`` or ``--printshellcmds`` everything stays as it is.
"""

import logging
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from local_h5.requests import FOLDERS
from local_h5.workflow.engine import Bars

_LOGGER = "snakemake.logging"
_STEP = 5
"""Per cent between two lines of progress."""

_INTERRUPTED = re.compile(r"died with <Signals\.SIGINT|exit status 130\b")
"""Text in the exception of a command that was ended by Ctrl-C."""

_TAIL = 65_536
"""Bytes that are read from the end of a job's log."""

_PREFIXES = ("error: ", "not published: ")
"""Beginnings of the line in which our scripts say why they failed."""


class Failure(Struct, frozen=True):
    """A job that failed.

    Attributes:
        rule: its rule.
        area: ``districts/NC-01``, or None for a step.
        outputs: its output files.
        reason: the line with the reason in its log; empty if there is none.
        log: its log file, if any.
    """

    rule: str
    area: str | None
    outputs: tuple[Path, ...]
    reason: str
    log: Path | None

    @property
    def mended(self) -> bool:
        """Whether another attempt made the outputs."""
        return bool(self.outputs) and all(path.exists() for path in self.outputs)

    @property
    def line(self) -> str:
        """The failure in one line."""
        where = f" [{self.log}]" if self.log is not None else ""
        return f"{self.area or self.rule} failed: {self.reason or 'it did not say why'}{where}"


class RunLog(logging.Filter):
    """A filter that keeps the failures; see the module.

    Attributes:
        begun: areas whose build this run has begun.
        failures: failed jobs in order, by rule and outputs, so that a second attempt counts once.
        done, total: Snakemake's last count of jobs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.begun: set[str] = set()
        self.failures: dict[tuple[str, tuple[Path, ...]], Failure] = {}
        self.done, self.total = 0, 0
        self._brief, self._plain = False, True
        self._started = time.monotonic()
        self._shown = 0
        self._held: list[logging.LogRecord] = []
        self._bars: Bars | None = None

    def listen(self, workflow: Any) -> None:
        """Begin, once the run does (``onstart``).

        Args:
            workflow: Snakemake's own object, with its settings for output.
        """
        output = workflow.output_settings
        quiet = {getattr(kind, "name", str(kind)).lower() for kind in output.quiet or ()}
        self._brief = "rules" in quiet
        self._plain = not (output.verbose or output.printshellcmds)
        self._started = time.monotonic()
        self._bars = Bars(workflow)
        logging.getLogger(_LOGGER).addFilter(self)

    def stop(self) -> None:
        """End, and show the records that were held back."""
        logger = logging.getLogger(_LOGGER)
        logger.removeFilter(self)
        held, self._held = self._held, []
        for record in held:
            logger.handle(record)  # no record of its job followed

    @property
    def failed(self) -> tuple[Failure, ...]:
        """The failures that no later attempt has mended."""
        return tuple(failure for failure in self.failures.values() if not failure.mended)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown. It may be changed."""
        event = str(getattr(record, "event", None) or "")
        if event == "job_info":
            return self._job_begins(record)
        if event == "progress":
            return self._progress(record)
        if event == "job_error":
            return self._job_failed(record)
        is_released = getattr(record, "released", False)
        if event == "error" and self._plain and not is_released and "CalledProcessError" in record.getMessage():
            self._held.append(record)  # the record of its job comes next and decides
            return False
        chatter = event in ("job_started", "job_finished") or record.getMessage() == "Select jobs to execute..."
        return not (self._brief and chatter)

    def _job_begins(self, record: logging.LogRecord) -> bool:
        wildcards: Mapping[str, str] = getattr(record, "wildcards", None) or {}
        area = f"{wildcards['folder']}/{wildcards['area']}" if {"folder", "area"} <= wildcards.keys() else None
        if area is not None and getattr(record, "rule_name", "") == "build_area":
            self.begun.add(area)
        message = getattr(record, "rule_msg", None)
        if self._brief and area is None and message:
            _say(record, str(message))
        return True

    def _progress(self, record: logging.LogRecord) -> bool:
        self.done, self.total = getattr(record, "done", 0), getattr(record, "total", 0)
        if self._bars is not None:
            self._bars.follow(self.total)
        if not self._brief or not self.total:
            return True
        reached = 100 * self.done // self.total // _STEP * _STEP
        if reached <= self._shown:
            return False
        self._shown = reached
        elapsed = int(time.monotonic() - self._started)
        clock = f"{elapsed // 60}:{elapsed % 60:02d}"
        _say(record, f"{100 * self.done // self.total:3d} %  {self.done:,} of {self.total:,} jobs, {clock} minutes")
        return True

    def _job_failed(self, record: logging.LogRecord) -> bool:
        held = self._release(str(getattr(record, "shellcmd", None) or ""))
        outputs = tuple(map(Path, getattr(record, "output", ())))
        logs = [Path(name) for name in getattr(record, "log", ())]
        rule = str(getattr(record, "rule_name", "a job"))
        failure = Failure(rule, area_of(outputs), outputs, reason_in(logs), logs[0] if logs else None)
        if failure.reason == "KeyboardInterrupt" or any(_INTERRUPTED.search(other.getMessage()) for other in held):
            return not self._plain  # Ctrl-C also reaches the jobs; they did not fail by themselves
        self.failures[rule, outputs] = failure
        if self._plain and failure.reason:
            _say(record, failure.line)
            return True
        for other in held:
            other.released = True  # not to be held again
            logging.getLogger(_LOGGER).handle(other)
        return True

    def _release(self, command: str) -> list[logging.LogRecord]:
        """Take the records about a command that were held back."""
        mine = [record for record in self._held if command and command in record.getMessage()]
        self._held = [record for record in self._held if record not in mine]
        return mine


def area_of(outputs: Iterable[Path]) -> str | None:
    """The area of a job, by the folder of its outputs: an H5, a record, an approval."""
    for path in outputs:
        if path.parent.name in FOLDERS.values():
            return f"{path.parent.name}/{path.name.partition('.')[0]}"
    return None


def reason_in(logs: Iterable[Path]) -> str:
    """The line of a job's log with the reason, or the last line of a traceback; empty if there is none."""
    for path in logs:
        lines = _last_lines(path)
        said = [line for line in lines if line.startswith(_PREFIXES)] or lines[-1:]
        if said:
            more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
            return f"{_bare(said[0])}{more}"
    return ""


def _last_lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as stream:
            stream.seek(max(path.stat().st_size - _TAIL, 0))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


def _bare(line: str) -> str:
    for prefix in _PREFIXES:
        line = line.removeprefix(prefix)
    return line


def _say(record: logging.LogRecord, text: str) -> None:
    """Turn a record into plain text, which every handler shows as it is."""
    record.event = None
    record.msg, record.args = text, ()
