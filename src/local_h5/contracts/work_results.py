"""The outcome of each area that a worker built, and of all of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, Self

from msgspec import field
from msgspec.structs import force_setattr

from local_h5.contracts.results import AreaResult, Validation
from local_h5.errors import ResultError
from local_h5.files.forms import Count, Form, Limit, Sha256, Text
from local_h5.requests import AreaBuildRequest

Status = Literal["completed", "failed", "skipped"]
FailedPhase = Literal["request", "select", "build", "write", "validate", "worker"]
"""Where an area failed: its request, its selection (no household clone), the build, writing, the checks (a file that
fails them counts as completed), or the worker as a whole, which ended before it could answer."""


_OF_FAILURE = ("phase", "error", "message")
_OF_FILE = ("path", "sha256", "bytes", "rows", "validation")
_NULL: Mapping[str, Any] = {"type": "null"}
_GIVEN: Mapping[str, Any] = {"not": _NULL}


class AreaOutcome(Form, frozen=True):
    """The outcome of one area.

    Attributes:
        request: the area.
        status: completed; failed; or skipped, because its file is there and correct.
        seconds: wall time.
        phase, error, message: of a failed area: where, the kind of the error, and its text in one line.
        path: of the H5 below the output folder (POSIX). sha256, bytes: of the H5. rows: entity → rows.
        validation: verdict of the structural checks.
    """

    request: AreaBuildRequest
    status: Status
    seconds: Limit
    phase: FailedPhase | None = None
    error: Text | None = None
    message: Text | None = None
    path: Text | None = None
    sha256: Sha256 | None = None
    bytes: Count | None = None
    rows: Mapping[str, Count] | None = None
    validation: Validation | None = None

    RULES: ClassVar[Mapping[str, Any]] = {
        "if": {"properties": {"status": {"const": "failed"}}},
        "then": {"properties": {**dict.fromkeys(_OF_FAILURE, _GIVEN), **dict.fromkeys(_OF_FILE, _NULL)}},
        "else": {"properties": {**dict.fromkeys(_OF_FILE, _GIVEN), **dict.fromkeys(_OF_FAILURE, _NULL)}},
    }

    def __post_init__(self) -> None:
        given, absent = (_OF_FAILURE, _OF_FILE) if self.status == "failed" else (_OF_FILE, _OF_FAILURE)
        missing = [name for name in given if getattr(self, name) is None]
        besides = [name for name in absent if getattr(self, name) is not None]
        if missing or besides:
            raise ValueError(
                f"expected {', '.join(given)} of an area that is {self.status} and no {', '.join(absent)}, "
                f"found {'no ' if missing else ''}{', '.join(missing or besides)}"
            )

    @classmethod
    def built(cls, result: AreaResult, status: Literal["completed", "skipped"], seconds: float) -> Self:
        """The outcome of an area with a good file, from its sidecar."""
        file = result.output
        return cls(
            result.request,
            status,
            seconds,
            path=file.path,
            sha256=file.sha256,
            bytes=file.bytes,
            rows=result.rows,
            validation=result.validation,
        )

    @property
    def key(self) -> str:
        """``type:id``, for example ``district:NC-01``."""
        return f"{self.request.area_type}:{self.request.area_id}"


class Counts(Form, frozen=True):
    """Numbers of areas by outcome."""

    completed: Count
    failed: Count
    skipped: Count

    def __str__(self) -> str:
        return ", ".join(f"{getattr(self, name)} {name}" for name in self.__struct_fields__)


_TO_COUNT = Counts(0, 0, 0)


class WorkResult(Form, frozen=True):
    """The outcomes of a list of areas, in its order.

    Attributes:
        outcomes: of each.
        counts: of them. They follow from the outcomes.
    """

    outcomes: tuple[AreaOutcome, ...] = field(name="areas")
    counts: Counts = _TO_COUNT
    schema_version: Literal[1] = 1

    ERROR = ResultError

    def __post_init__(self) -> None:
        by_status = Counter(outcome.status for outcome in self.outcomes)
        found = Counts(by_status["completed"], by_status["failed"], by_status["skipped"])
        if self.counts is not _TO_COUNT and self.counts != found:
            raise ValueError(f"counts: expected {found}, as the areas are, found {self.counts}")
        force_setattr(self, "counts", found)

    @property
    def failed(self) -> tuple[AreaOutcome, ...]:
        """The areas that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.status == "failed")

    @classmethod
    def joined(cls, results: "Iterable[WorkResult]") -> Self:
        """Several results as one."""
        return cls(tuple(outcome for result in results for outcome in result.outcomes))
