"""What came of each area, and of all of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self

from msgspec import field
from msgspec.structs import force_setattr

from local_h5.contracts import forms
from local_h5.contracts.forms import Count, Form, Limit, Sha256, Text
from local_h5.contracts.results import AreaResult, Validation
from local_h5.errors import ResultError
from local_h5.requests import AreaBuildRequest

Status = Literal["completed", "failed", "skipped"]
FailedPhase = Literal["request", "select", "build", "write", "validate", "worker"]
"""Where an area failed: what was asked for, no household clone there, the build, writing, the checks themselves (a file
that does not pass them is completed), or the worker as a whole, which ended before it could answer."""


class AreaOutcome(Form, frozen=True):
    """What came of one area.

    Attributes:
        request: the area.
        status: completed; failed; or skipped, because its file is there and right.
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

    def __post_init__(self) -> None:
        of_failure = (self.phase, self.error, self.message)
        of_file = (self.path, self.sha256, self.bytes, self.rows, self.validation)
        given, absent = (of_failure, of_file) if self.status == "failed" else (of_file, of_failure)
        if None in given or any(value is not None for value in absent):
            raise ValueError(
                "expected phase, error and message of a failed area, and path, sha256, bytes, rows and validation of "
                f"any other, found others for one that is {self.status}"
            )

    @classmethod
    def built(cls, result: AreaResult, status: Literal["completed", "skipped"], seconds: float) -> Self:
        """Of an area whose file is right, from its sidecar."""
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
    """Areas by what came of them."""

    completed: Count
    failed: Count
    skipped: Count


class WorkResult(Form, frozen=True):
    """What came of a list of areas, in its order.

    Attributes:
        outcomes: of each.
        counts: of them; follow from the outcomes.
    """

    outcomes: tuple[AreaOutcome, ...] = field(name="areas")
    counts: Counts = Counts(0, 0, 0)
    schema_version: Literal[1] = 1

    def __post_init__(self) -> None:
        found = Counter(outcome.status for outcome in self.outcomes)
        force_setattr(self, "counts", Counts(found["completed"], found["failed"], found["skipped"]))

    @property
    def failed(self) -> tuple[AreaOutcome, ...]:
        """The areas that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.status == "failed")

    def to_json(self) -> dict[str, Any]:
        """The result's JSON.

        Raises:
            ResultError: a field holds what its type does not allow.
        """
        return forms.plain(self, "result of the worker", ResultError)

    @classmethod
    def from_json(cls, data: Any, where: object = "result of a worker") -> Self:
        """Read what :meth:`to_json` gives.

        Raises:
            ResultError: it is of another form.
        """
        return forms.convert(data, cls, where, ResultError)

    @classmethod
    def joined(cls, results: "Iterable[WorkResult]") -> Self:
        """Several results as one."""
        return cls(tuple(outcome for result in results for outcome in result.outcomes))
