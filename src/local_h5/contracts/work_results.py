"""What came of each area, and of all of them, with its JSON form (``schemas/work_result.schema.json``)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from local_h5.contracts.results import AreaResult, Validation
from local_h5.contracts.schema import check
from local_h5.errors import ResultError
from local_h5.requests import AreaBuildRequest

SCHEMA = "work_result"
SCHEMA_VERSION = 1

Status = Literal["completed", "failed", "skipped"]
FailedPhase = Literal["request", "select", "build", "write", "validate", "worker"]
"""Where an area failed: what was asked for, no household clone there, the build, writing, the checks themselves (a file
that does not pass them is completed), or the worker as a whole, which ended before it could answer."""


@dataclass(frozen=True, slots=True)
class AreaOutcome:
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
    seconds: float
    phase: FailedPhase | None = None
    error: str | None = None
    message: str | None = None
    path: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    rows: Mapping[str, int] | None = None
    validation: Validation | None = None

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

    def to_json(self) -> dict[str, Any]:
        """Its entry in the result's JSON."""
        return {
            "request": self.request.to_json(),
            "status": self.status,
            "phase": self.phase,
            "error": self.error,
            "message": self.message,
            "validation": None if self.validation is None else asdict(self.validation),
            "path": self.path,
            "sha256": self.sha256,
            "bytes": self.bytes,
            "rows": None if self.rows is None else dict(self.rows),
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: object) -> Self:
        """Read an entry that satisfies the schema."""
        verdict = data["validation"]
        return cls(
            AreaBuildRequest.from_json(data["request"], where),
            data["status"],
            data["seconds"],
            data["phase"],
            data["error"],
            data["message"],
            data["path"],
            data["sha256"],
            data["bytes"],
            data["rows"],
            None if verdict is None else Validation(**verdict),
        )


@dataclass(frozen=True, slots=True)
class WorkResult:
    """What came of a list of areas, in its order."""

    outcomes: tuple[AreaOutcome, ...]

    @property
    def failed(self) -> tuple[AreaOutcome, ...]:
        """The areas that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.status == "failed")

    def to_json(self) -> dict[str, Any]:
        """The result's JSON, checked against its schema.

        Raises:
            ResultError: it does not satisfy the schema.
        """
        counts = Counter(outcome.status for outcome in self.outcomes)
        data = {
            "schema_version": SCHEMA_VERSION,
            "counts": {status: counts[status] for status in ("completed", "failed", "skipped")},
            "areas": [outcome.to_json() for outcome in self.outcomes],
        }
        check(SCHEMA, data, "result of the worker", ResultError)
        return data

    @classmethod
    def from_json(cls, data: Any, where: object = "result of a worker") -> Self:
        """Read what :meth:`to_json` gives.

        Raises:
            ResultError: the data do not satisfy the schema.
        """
        check(SCHEMA, data, where, ResultError)
        return cls(tuple(AreaOutcome.from_json(entry, where) for entry in data["areas"]))

    @classmethod
    def joined(cls, results: "Iterable[WorkResult]") -> Self:
        """Several results as one."""
        return cls(tuple(outcome for result in results for outcome in result.outcomes))
