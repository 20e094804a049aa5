"""The commands ``plan``, ``areas``, ``check``, ``explain``, ``verify`` and ``report`` of ``local-h5``."""

import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from local_h5.config.layout import Layout
from local_h5.config.settings import Settings
from local_h5.errors import LocalH5Error, MissingFilesError, ResultError, WriteError
from local_h5.files.digests import DigestMemo
from local_h5.runs.forecast import forecast
from local_h5.workflow.command import end_in_one_line
from local_h5.workflow.configuration import DEFAULTS, load_settings, read_config


def plan(form: str, configfiles: Sequence[Path], overrides: Sequence[str]) -> None:
    """What a run would build and why; writes nothing."""
    from local_h5.runs.plan import make_plan
    from local_h5.runs.plan_text import as_json, as_markdown, as_text

    settings = load_settings(configfiles, overrides)
    memo = _memo(settings)
    made = make_plan(settings, forecast(settings, memo))
    _save(memo)
    _say({"json": as_json, "markdown": as_markdown, "text": as_text}[form](made))


def explain(area: str, configfiles: Sequence[Path], overrides: Sequence[str]) -> None:
    """What decides the file of an area (for example NC-01), and what of it changed since it was built."""
    from local_h5.runs.explain import explain as explain_area
    from local_h5.runs.explain import find_request

    settings = load_settings(configfiles, overrides)
    request = find_request(settings, area)
    memo = _memo(settings)
    lines = explain_area(settings, request, forecast(settings, memo))
    _save(memo)
    _say("\n".join(lines))


def areas(search: Sequence[str], form: str, configfiles: Sequence[Path], overrides: Sequence[str]) -> None:
    """List the areas of the configuration, or those that all the words of --search describe."""
    from local_h5.runs import area_list

    found = area_list.areas(load_settings(configfiles, overrides), search)
    _say(json.dumps({"areas": found}, indent=1) if form == "json" else "\n".join(area_list.as_lines(found)))


def check(form: str, configfiles: Sequence[Path], overrides: Sequence[str]) -> int:
    """Check the inputs before a run: headers, shapes, codes and values; exit status 1 when one is wrong, 2 without a
    configuration."""
    from local_h5.runs import check as checks

    if not DEFAULTS.is_file():
        end_in_one_line(lambda: read_config(DEFAULTS), error_status=2)
    try:
        settings = load_settings(configfiles, overrides)
    except LocalH5Error as error:
        faults = error.faults if isinstance(error, MissingFilesError) else (str(error),)
        findings = tuple(checks.Finding("fault", one.partition(":")[0], " ".join(one.split())) for one in faults)
    else:
        findings = checks.check_inputs(settings)
    if form == "json":
        _say(json.dumps(checks.as_json(findings), indent=1))
    else:
        _say("\n".join(checks.as_lines(findings)))
    return 0 if checks.is_good(findings) else 1


def verify(deep: bool, delete_stale: bool, form: str, configfiles: Sequence[Path], overrides: Sequence[str]) -> int:
    """Check each file against its sidecar and the inputs; exit status 1 when one is not as it should be."""
    from local_h5.runs import verify as checks
    from local_h5.runs.run_lock import hold_run_lock

    settings = load_settings(configfiles, overrides)
    memo = _memo(settings)
    lock = hold_run_lock(settings.results) if delete_stale else None
    verification = checks.verify(settings, memo, deep=deep)
    _save(memo)
    _say(checks.as_json(verification) if form == "json" else "\n".join(checks.as_lines(verification)))
    if lock is not None:
        for path in checks.delete_stale(settings, verification):
            print(f"deleted {path}", file=sys.stderr)  # noqa: T201
        lock.release()
    return 0 if verification.good else 1


def report(
    results: Path | None,
    output: Path | None,
    against: str | None,
    deep: bool,
    shapes: Path | None,
    configfiles: Sequence[Path],
    overrides: Sequence[str],
) -> None:
    """Write the report of a run, finished or not: one HTML page that needs no network, its tables and figures."""
    from local_h5.report import writer

    if results is None:
        results = load_settings(configfiles, overrides).results
    layout = Layout(results)
    of_run = layout.config
    if not of_run.is_file():
        raise ResultError(
            f"{results}: expected the folder of a run, found no {of_run}. Run the workflow first: make all."
        )
    _say(str(writer()(Settings.read(of_run), output or layout.validation, against=against, deep=deep, shapes=shapes)))


ALL: tuple[Callable[..., object], ...] = (plan, areas, check, explain, verify, report)


def _say(text: str) -> None:
    print(text)  # noqa: T201


def _memo(settings: Settings) -> DigestMemo:
    return DigestMemo.open(settings.layout.memo)


def _save(memo: DigestMemo) -> None:
    """Write the memo, where a run has been. These commands write nothing else, and the memo only saves time."""
    if memo.path is not None and memo.path.parent.is_dir():
        with contextlib.suppress(WriteError):  # the user may read the folder and not write it
            memo.save()
