"""The worker: areas one after the other, each with its own outcome.

An area's failure is a value here and no exception. A ``KeyboardInterrupt`` or ``SystemExit`` still ends the process:
no temporary file stays, and files finished before have their sidecars, so the same call skips them. Running out of
memory is a failure of that area alone: its arrays are released before the next one, which may be smaller.
"""

import contextlib
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

from local_h5.config.layout import Layout
from local_h5.contracts.records import read_record
from local_h5.contracts.results import AreaResult, Fingerprint, Phase, read_sidecar, sidecar_path
from local_h5.contracts.work_items import WorkItem, check_distinct
from local_h5.contracts.work_results import AreaOutcome, WorkResult
from local_h5.errors import LocalH5Error, RequestError, ResultError
from local_h5.files.atomic import sha256_of
from local_h5.prepared.files import PreparedInputs
from local_h5.requests import AreaBuildRequest, output_path
from local_h5.validation.structural.common_schema import common_schema
from local_h5.worker.area_job import run_area_job
from local_h5.worker.state import WorkerState

FingerprintOf = Callable[[AreaBuildRequest], Fingerprint]
"""The fingerprint that an area would have if it were built now."""

Progress = Callable[[AreaOutcome, int, int], None]
"""Called after each area with its outcome, its number from 1, and the number of all areas."""


def run_areas(
    items: Iterable[WorkItem],
    state: WorkerState,
    folder: Path,
    *,
    rebuild: bool = False,
    fingerprint_of: FingerprintOf | None = None,
    progress: Progress | None = None,
) -> WorkResult:
    """Build areas in the published layout below ``folder``, one after the other.

    Each gets the same files as from the workflow's area job: the H5, the record of its structural checks, and the
    sidecar last. A failed area keeps its earlier files, or has none if it failed after its H5 had been replaced.

    Args:
        items: areas to build.
        state: loaded once.
        folder: output folder.
        rebuild: also build areas whose file is there and correct.
        fingerprint_of: computes the fingerprint of an area here. Items without one get it. An item with another one
            fails: it was planned with other prepared files, versions or code. Without this function the fingerprints
            of the items are used unchecked.
        progress: see :data:`Progress`. What it raises is not caught.

    Raises:
        RequestError: two items are of one file. Nothing else: what goes wrong with an area is in its outcome.
    """
    listed = tuple(items)
    check_distinct(listed, "work items")
    worker = _Worker(state, folder, rebuild, fingerprint_of)
    outcomes = []
    for number, item in enumerate(listed, start=1):
        outcome = worker.outcome(item)
        outcomes.append(outcome)
        if progress is not None:
            progress(outcome, number, len(listed))
    return WorkResult(tuple(outcomes))


class _Worker:
    def __init__(self, state: WorkerState, folder: Path, rebuild: bool, fingerprint_of: FingerprintOf | None) -> None:
        self._state, self._folder, self._rebuild = state, folder, rebuild
        self._fingerprint_of = fingerprint_of
        self._schemas = {name: common_schema(inputs) for name, inputs in state.packages.items()}
        self._phase: Phase = "request"

    def outcome(self, item: WorkItem) -> AreaOutcome:
        """Build one area and return its outcome. Errors of the area are outcomes."""
        start = time.perf_counter()
        self._phase = "request"
        failure: dict[str, Any]
        try:
            result, status = self._attempt(item)
            return AreaOutcome.built(result, status, _since(start))
        except LocalH5Error as error:
            phase = error.phase if self._phase in ("request", "build") else self._phase
            failure = {"phase": phase, "message": str(error), "error": type(error).__name__}
        except MemoryError as error:
            text = f"{_key(item.request)}: not enough memory for it{f': {error}' if str(error) else ''}"
            message = f"{text}. Give the worker more memory, or build the area alone."
            failure = {"phase": self._phase, "message": message, "error": "MemoryError"}
        except Exception as error:  # after a bug the other areas go on; its place is in the message
            failure = {"phase": self._phase, "message": _unexpected(item.request, error), "error": type(error).__name__}
        if self._phase in ("validate", "write"):  # the H5 was replaced, so its old sidecar is wrong
            h5 = self._folder / item.request.relative_path
            with contextlib.suppress(OSError):  # one that stays cannot be taken for the other's: their digests differ
                for path in (sidecar_path(h5), h5):
                    path.unlink(missing_ok=True)
        return AreaOutcome(item.request, "failed", _since(start), **failure)

    def _attempt(self, item: WorkItem) -> tuple[AreaResult, Literal["completed", "skipped"]]:
        request = item.request
        inputs = self._inputs(request)
        expected = self._expected(item)
        h5 = output_path(self._folder, request.relative_path)
        record = Layout(self._folder).record("structural", request)
        if not self._rebuild and expected is not None:
            standing = _standing(request, expected, h5, record)
            if standing is not None:
                return standing, "skipped"
        result = run_area_job(
            request,
            inputs,
            self._folder,
            record,
            options=self._state.options,
            fingerprint=expected,
            schema=self._schemas[request.package],
            structural=self._state.structural,
            enter=self._enter,
        )
        return result, "completed"

    def _enter(self, phase: Phase) -> None:
        self._phase = phase

    def _inputs(self, request: AreaBuildRequest) -> PreparedInputs:
        packages = self._state.packages
        if request.package not in packages:
            raise RequestError(
                f"{_key(request)}: package: expected one of {', '.join(packages)}, found {request.package}. "
                "Correct the request, or let the workflow prepare that package."
            )
        return packages[request.package]

    def _expected(self, item: WorkItem) -> Fingerprint | None:
        planned = item.fingerprint
        if self._fingerprint_of is None:
            return planned
        here = self._fingerprint_of(item.request)
        if planned is not None and planned.digest != here.digest:
            names = planned.differences(here.components)
            raise RequestError(
                f"{_key(item.request)}: fingerprint: expected {planned.digest[:12]}, as it was planned, found "
                f"{here.digest[:12]} here, by other {', '.join(names) or 'components'}. Give the worker the "
                "prepared files, the code and the versions of the plan, or plan again."
            )
        return here


def _standing(request: AreaBuildRequest, expected: Fingerprint, h5: Path, record: Path) -> AreaResult | None:
    """The sidecar of a correct file; None when the area has to be built."""
    try:
        result, found = read_sidecar(sidecar_path(h5)), read_record(record)
    except ResultError:
        return None
    right = (
        result.status == "completed"
        and result.request == request
        and result.output.path == request.key
        and result.fingerprint is not None
        and result.fingerprint.digest == expected.digest
        and found.area.sha256 == result.output.sha256
        and found.area.sidecar_sha256 == sha256_of(sidecar_path(h5))
        and h5.is_file()
        and sha256_of(h5) == result.output.sha256
    )
    return result if right else None


def _since(start: float) -> float:
    return round(time.perf_counter() - start, 3)


def _key(request: AreaBuildRequest) -> str:
    return f"{request.area_type} {request.area_id}"


def _unexpected(request: AreaBuildRequest, error: Exception) -> str:
    """One line about a bug, with the place that raised it."""
    *_, last = traceback.extract_tb(error.__traceback__)
    text = f"{_key(request)}: {type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"
    return " ".join(text.split())
