"""Build many areas in one process: a JSON list of requests in, a JSON result with one outcome for each area out."""

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local_h5.errors import LocalH5Error, RequestError, WriteError
from local_h5.files import check_output, write_text
from local_h5.validation.records import ValidationRecord, read_record, record_path
from local_h5.worker import AreaOutcome, WorkerState, WorkResult, legacy_view, read_items, run_areas
from local_h5.workflow.digests import MARKS, write_mark
from local_h5.workflow.run_lock import hold_run_lock
from local_h5.workflow.work_items import fingerprints_here

SOME_FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


def run_worker(requests: Any, path_to_results: Path, path_to_output: Path, rebuild: bool = False) -> WorkResult:
    """Build the requested areas from a run's prepared files.

    Args:
        requests: parsed JSON that satisfies ``schemas/work_items.schema.json``.
        path_to_results: results folder of the run; ``prepared`` below it holds what areas are built from.
        path_to_output: folder for the files, in the published layout; the run's own, or another one.
        rebuild: build areas whose file is there and right, too.

    Assumes:
        The prepared files are up to date, and nobody renews them meanwhile.

    Raises:
        LocalH5Error: the requests or the prepared files are wrong; nothing was built.
    """
    items = read_items(requests, "requests")
    state = WorkerState.open(path_to_results)
    own = path_to_output.resolve() == path_to_results.resolve()

    def report(outcome: AreaOutcome, number: int, total: int) -> None:
        print(f"{number}/{total} {_line(outcome)}", file=sys.stderr)
        if own and outcome.status == "completed" and outcome.path and outcome.sha256:
            # By the name that planning knows the file under, so that it need not read the file again.
            with contextlib.suppress(WriteError):
                write_mark(path_to_results / "prepared" / MARKS, path_to_results / outcome.path, outcome.sha256)

    here = fingerprints_here(state, path_to_results)
    # Not at once with a run, which removes temporary files that it takes for those of killed jobs.
    lock = hold_run_lock(path_to_output)
    try:
        return run_areas(items, state, path_to_output, rebuild=rebuild, fingerprint_of=here, progress=report)
    finally:
        lock.release()


def target_records(result: WorkResult, results: Path) -> Iterator[ValidationRecord]:
    """What the run's target validation has recorded of the areas."""
    for outcome in result.outcomes:
        path = record_path(results, "targets", str(outcome.request.relative_path))
        if path.is_file():
            yield read_record(path)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Exit status: 0 when every area was completed or skipped, 1 when some failed, 2 for bad input.",
    )
    parser.add_argument("--requests", default="-", help="work items (JSON); - for standard input")
    parser.add_argument("--result", default="-", help="result to write (JSON); - for standard output")
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder with prepared files")
    parser.add_argument("--output", type=Path, help="folder for the files; the results folder by default")
    parser.add_argument("--rebuild", action="store_true", help="build areas whose file is there and right, too")
    parser.add_argument("--legacy-view", action="store_true", help="the result under the old worker's keys")
    args = parser.parse_args()
    output: Path = args.output or args.results
    try:
        if args.result != "-":
            check_output(Path(args.result), [] if args.requests == "-" else [Path(args.requests)])
        result = run_worker(_read(args.requests), args.results, output, args.rebuild)
        shown = legacy_view(result, target_records(result, output)) if args.legacy_view else result.to_json()
        text = json.dumps(shown, indent=1) + "\n"
        if args.result == "-":
            sys.stdout.write(text)
        else:
            write_text(Path(args.result), text)
    except LocalH5Error as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted; areas that were finished are kept, and the same call skips them", file=sys.stderr)
        return INTERRUPTED
    return SOME_FAILED if result.failed else 0


def _line(outcome: AreaOutcome) -> str:
    head = f"{outcome.key} {outcome.status} {outcome.seconds:.2f} s"
    if outcome.validation is None:
        return f"{head}: {outcome.message}"
    return f"{head}: {outcome.bytes:,} bytes, validation {outcome.validation.status}"


def _read(name: str) -> Any:
    try:
        return json.loads(sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        where = "standard input" if name == "-" else name
        raise RequestError(where, expected="JSON", found=str(error), remedy="Its form is in docs/worker.md.") from error


if __name__ == "__main__":
    sys.exit(main())
