"""Build many areas in one process: a JSON list of requests in, a JSON result with one outcome for each area out."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local_h5.config.layout import Layout
from local_h5.contracts.records import ValidationRecord, read_record
from local_h5.errors import RequestError
from local_h5.files import forms
from local_h5.files.atomic import check_output, write_text
from local_h5.runs.run_lock import hold_run_lock
from local_h5.runs.work_items import fingerprints_here
from local_h5.worker import AreaOutcome, WorkerState, WorkResult, read_items, run_areas
from local_h5.worker import legacy_view as under_old_keys
from local_h5.workflow.command import run

SOME_FAILED, BAD_INPUT = 1, 2
STANDARD = Path("-")
"""Standard input or output."""


def run_worker(
    path_to_requests: Path = STANDARD,
    path_to_result: Path = STANDARD,
    path_to_results: Path = Path("results"),
    path_to_output: Path | None = None,
    rebuild: bool = False,
    legacy_view: bool = False,
) -> int:
    """Build many areas in one process: a JSON list of requests in, a JSON result with one outcome for each area out.

    Args:
        path_to_requests: work items (JSON); - for standard input.
        path_to_result: result to write (JSON); - for standard output.
        path_to_results: results folder of a run; ``prepared`` below it holds what areas are built from.
        path_to_output: folder for the files, in the published layout; by default the results folder.
        rebuild: also build areas whose file is there and correct.
        legacy_view: the result with the old worker's keys.

    Assumes:
        The prepared files are up to date, and nobody renews them meanwhile.

    Returns:
        Exit status: 0 when every area was completed or skipped, 1 when some failed, 2 for bad input.

    Raises:
        LocalH5Error: the requests or the prepared files are wrong and nothing was built, or the result cannot be
            written.
    """
    output = path_to_output or path_to_results
    if path_to_result != STANDARD:
        check_output(path_to_result, [] if path_to_requests == STANDARD else [path_to_requests])
    try:
        result = build_requested(_read(path_to_requests), path_to_results, output, rebuild)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("areas that were finished are kept, and the same call skips them") from None
    shown = under_old_keys(result, target_records(result, output)) if legacy_view else result.to_json()
    text = json.dumps(shown, indent=1) + "\n"
    if path_to_result == STANDARD:
        sys.stdout.write(text)
    else:
        write_text(path_to_result, text)
    return SOME_FAILED if result.failed else 0


def build_requested(requests: Any, path_to_results: Path, path_to_output: Path, rebuild: bool = False) -> WorkResult:
    """Build the requested areas from a run's prepared files.

    Args:
        requests: parsed JSON that satisfies ``schemas/work_items.schema.json``.
        path_to_results: results folder of the run; ``prepared`` below it holds what areas are built from.
        path_to_output: folder for the files, in the published layout; the run's own, or another one.
        rebuild: also build areas whose file is there and correct.

    Assumes:
        The prepared files are up to date, and nobody renews them meanwhile.

    Raises:
        LocalH5Error: the requests or the prepared files are wrong; nothing was built.
    """
    items = read_items(requests, "requests")
    state = WorkerState.open(path_to_results)

    def report(outcome: AreaOutcome, number: int, total: int) -> None:
        print(f"{number}/{total} {_line(outcome)}", file=sys.stderr)

    here = fingerprints_here(state)
    # Not together with a run, which removes temporary files as those of killed jobs.
    lock = hold_run_lock(path_to_output)
    try:
        return run_areas(items, state, path_to_output, rebuild=rebuild, fingerprint_of=here, progress=report)
    finally:
        lock.release()


def target_records(result: WorkResult, results: Path) -> Iterator[ValidationRecord]:
    """The run's target records of the areas."""
    for outcome in result.outcomes:
        path = Layout(results).record("targets", outcome.request)
        if path.is_file():
            yield read_record(path)


def _line(outcome: AreaOutcome) -> str:
    head = f"{outcome.key} {outcome.status} {outcome.seconds:.2f} s"
    if outcome.validation is None:
        return f"{head}: {outcome.message}"
    return f"{head}: {outcome.bytes:,} bytes, validation {outcome.validation.status}"


def _read(path: Path) -> Any:
    try:
        return forms.parse(sys.stdin.read() if path == STANDARD else path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        where = "standard input" if path == STANDARD else path
        raise RequestError(f"{where}: expected JSON, found {error}. Its form is in docs/worker.md.") from error


if __name__ == "__main__":
    run(run_worker, error_status=BAD_INPUT)
