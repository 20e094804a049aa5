"""The last lines of a run: the table of files, the failures with their reasons, and the configuration keys that decide.

They are printed when the process ends, after all output of Snakemake: until then a live display may still draw over
the screen, and lines of Snakemake's own may follow.
"""

import atexit
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

from msgspec import Struct

from local_h5.config.settings import Settings
from local_h5.contracts.records import Refusal, read_record, why_refused
from local_h5.contracts.results import read_sidecar, sidecar_path
from local_h5.errors import LocalH5Error
from local_h5.files.atomic import error_line
from local_h5.requests import FOLDERS, AreaBuildRequest
from local_h5.runs.staleness import wanted_records
from local_h5.workflow.run_log import Failure, RunLog

WIDTH = 110
"""Columns when the output is no terminal."""

_SHOWN = 8
"""Areas of a type that are named."""


class FailedAreas(Struct, frozen=True):
    """Areas that failed for the same reason.

    Attributes:
        areas: ``districts/NC-01`` and so on.
        check: what found it.
        key: configuration key that decides; empty if there is none.
        example: the message of the first area.
    """

    areas: tuple[str, ...]
    check: str
    key: str
    example: str

    @property
    def line(self) -> str:
        """Number of areas, reason, and the key that decides."""
        number = f"{len(self.areas):,} area{'s' if len(self.areas) > 1 else ''}"
        where = f" ({self.areas[0]})" if len(self.areas) > 1 else ""
        decides = f"; {self.key} decides" if self.key else ""
        return f"{number}: {self.check}: {self.example}{where}{decides}"


def print_at_end(settings: Settings, log: RunLog, *, succeeded: bool) -> None:
    """Write the closing lines now, and print them when this process ends.

    Args:
        settings: of the run.
        log: of the run.
        succeeded: whether Snakemake has done everything.
    """
    width = shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH
    try:
        text = closing(settings, log, succeeded=succeeded, width=width)
    except (LocalH5Error, OSError) as error:  # a sidecar that cannot be read, for example
        text = f"error: {error}\n"
    atexit.register(_print, text)  # the text is made now: importing h5py while Python ends crashes


def _print(text: str) -> None:
    sys.stderr.flush()
    try:
        print(text, end="", flush=True)  # noqa: T201
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more


def end_now(error: Exception) -> NoReturn:
    """End this process with one line and without a traceback of Snakemake."""
    sys.stdout.flush()
    print(f"error: {error_line(error)}", file=sys.stderr, flush=True)  # noqa: T201
    os._exit(1)


def closing(settings: Settings, log: RunLog, *, succeeded: bool, width: int = WIDTH) -> str:
    """The table, and the failures if there are any.

    Args:
        settings: of the run.
        log: of the run.
        succeeded: whether Snakemake has done everything.
        width: of the screen.
    """
    from local_h5.runs.summary import render, summarise

    failed = {failure.area for failure in log.failed if failure.area is not None}
    unbuilt = {failure.area for failure in log.failed if failure.rule == "build_area"}
    built = {
        r.name for r in settings.requests if sidecar_path(settings.layout.output(r)).exists()
    } & log.begun - unbuilt
    text = render(settings, summarise(settings), width, built=built, failed=failed, whole=succeeded)
    return text if succeeded else text + "\n".join(failure_lines(settings, log)) + "\n"


def failure_lines(settings: Settings, log: RunLog) -> list[str]:
    """Failed areas by reason, with the key that decides; failed steps; and how far the run came."""
    by_area = {failure.area: failure for failure in log.failed if failure.area is not None}
    lines = []
    if by_area:
        number = len(settings.requests)
        refused = any(failure.rule == "publish_area" for failure in by_area.values())
        kept = " Files that were built are kept, and not published." if refused else ""
        lines.append(f"FAILED: {len(by_area):,} of {number:,} areas.{kept}")
        for group in failed_areas(settings, by_area.values()):
            lines += [f"  {group.line}", f"      {named(group.areas)}"]
    lines += [f"error: {failure.line}" for failure in log.failed if failure.area is None]
    if not log.failed:
        lines.append("STOPPED before all was done.")
    done = f"{log.done:,} of {log.total:,} jobs are done. " if log.total else ""
    lines.append(f"{done}The same command again goes on from here.")
    return lines


def failed_areas(settings: Settings, failures: Iterable[Failure]) -> tuple[FailedAreas, ...]:
    """Failed areas by reason, the most frequent first. An area with two reasons is in two groups."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    requests = {request.name: request for request in settings.requests}
    for failure in failures:
        area = failure.area or ""
        for reason in _reasons(settings, requests.get(area), failure):
            found.setdefault((reason.check, reason.key), []).append((area, reason.message))
    groups = [
        FailedAreas(tuple(dict.fromkeys(area for area, _ in members)), check, key, members[0][1])
        for (check, key), members in ((reason, sorted(members, key=_order)) for reason, members in found.items())
    ]
    return tuple(sorted(groups, key=lambda group: (-len(group.areas), group.check)))


def named(areas: Sequence[str]) -> str:
    """Areas by type, the first of each by name: ``2 districts NC-01, NC-04; nation US``."""
    parts = []
    for folder in FOLDERS.values():
        names = [area.partition("/")[2] for area in areas if area.startswith(f"{folder}/")]
        if names:
            more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
            parts.append(f"{folder} {', '.join(names[:_SHOWN])}{more}")
    return "; ".join(parts)


def _reasons(settings: Settings, request: AreaBuildRequest | None, failure: Failure) -> tuple[Refusal, ...]:
    """Why an area failed: from its records if its file was refused, else from the log of its job."""
    if request is not None and failure.rule == "publish_area":
        try:
            sha256 = read_sidecar(sidecar_path(settings.layout.output(request))).output.sha256
            refused = why_refused(map(read_record, wanted_records(settings, request).values()), sha256)
        except LocalH5Error:
            refused = ()
        if refused:
            return refused
    return (Refusal(failure.rule, failure.line.partition(": ")[2]),)


def _order(member: tuple[str, str]) -> tuple[int, str]:
    """Districts first: failures of states and the nation often follow from theirs."""
    folder = member[0].partition("/")[0]
    order = ("districts", "states", "national", "cities", "custom")
    return order.index(folder) if folder in order else len(order), member[0]
