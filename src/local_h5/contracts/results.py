"""The result of one area build, and its JSON sidecar ``<file>.h5.result.json``.

The sidecar is written last: an H5 without one is not done. It holds nothing that differs between two equal runs.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from local_h5.contracts.schema import check
from local_h5.errors import ResultError
from local_h5.files.atomic import write_text
from local_h5.requests import AreaBuildRequest

SCHEMA = "area_result"
SCHEMA_VERSION = 2
SUFFIX = ".result.json"

Phase = Literal["request", "build", "write", "validate"]
ValidationStatus = Literal["passed", "failed", "error", "skipped"]


def run_id(digests: Mapping[str, str]) -> str:
    """The id of a run, from the names and sha256 of its files: the same for the same files."""
    lines = (f"{name} {digest}\n" for name, digest in sorted(digests.items()))
    return f"run-{hashlib.sha256(''.join(lines).encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class OutputFile:
    """The H5: path relative to the output folder (POSIX), sha256, bytes."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class WeightSummary:
    """Sums of the area's weights.

    Attributes:
        households: sum of household weights.
        persons: sum of household weights over persons.
        effective_sample_size: Kish's (Σw)² / Σw², in households.
        largest_share: the largest household weight's share of their sum.
    """

    households: float
    persons: float
    effective_sample_size: float
    largest_share: float


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What decided an area's bytes: a digest per component, and one over all of them."""

    digest: str
    components: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that went into the run."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Validation:
    """Verdict of the checks on the file."""

    status: ValidationStatus
    summary: str


@dataclass(frozen=True, slots=True)
class Issue:
    """Something that went wrong or deserves attention, and the phase that it belongs to."""

    phase: Phase
    message: str


@dataclass(frozen=True, slots=True)
class WrittenColumn:
    """A variable as it stands in the file: dtype as numpy writes it, and its periods."""

    variable: str
    entity: str
    dtype: str
    periods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Excluded:
    """A variable of the source that is not in the files, and why."""

    variable: str
    reason: str


@dataclass(frozen=True, slots=True)
class PlaceBound:
    """A variable that is in the files although its values may reflect where the source's households live, and why."""

    variable: str
    reason: str


@dataclass(frozen=True, slots=True)
class AreaResult:
    """One built area; see ``schemas/area_result.schema.json`` for each field."""

    request: AreaBuildRequest
    status: Literal["completed", "failed"]
    output: OutputFile
    period: int
    rows: Mapping[str, int]
    weights: WeightSummary
    columns: tuple[WrittenColumn, ...]
    excluded: tuple[Excluded, ...]
    coverage: Mapping[str, float]
    checks: Mapping[str, int]
    fingerprint: Fingerprint | None
    versions: Mapping[str, str]
    inputs: tuple[InputFile, ...]
    notes: Mapping[str, str]
    validation: Validation
    issues: tuple[Issue, ...]
    source_rows: Mapping[str, int] | None = None
    """Entity → rows of the source; ids are made with them. Sidecars of version 1, whose ids count from 0, lack them."""
    reflecting: tuple[PlaceBound, ...] = ()
    """What is in the file and may reflect the source's place; sidecars of version 1 do not say."""

    def to_json(self) -> dict[str, Any]:
        """The sidecar's content, checked against its schema.

        Raises:
            ResultError: the content does not satisfy the schema.
        """
        data = {
            "schema_version": 1 if self.source_rows is None else SCHEMA_VERSION,
            "request": self.request.to_json(),
            "status": self.status,
            "output": asdict(self.output),
            "period": self.period,
            "rows": dict(self.rows),
            "weights": asdict(self.weights),
            "columns": [
                {"name": c.variable, "entity": c.entity, "dtype": c.dtype, "periods": list(c.periods)}
                for c in self.columns
            ],
            "excluded": [{"name": e.variable, "reason": e.reason} for e in self.excluded],
            "coverage": dict(self.coverage),
            "checks": dict(self.checks),
            "fingerprint": None
            if self.fingerprint is None
            else {"digest": self.fingerprint.digest, "components": dict(self.fingerprint.components)},
            "versions": dict(self.versions),
            "inputs": [asdict(item) for item in self.inputs],
            "notes": dict(self.notes),
            "validation": asdict(self.validation),
            "issues": [asdict(issue) for issue in self.issues],
        }
        if self.source_rows is not None:
            data["source_rows"] = dict(self.source_rows)
            data["may_reflect_source_place"] = [{"name": p.variable, "reason": p.reason} for p in self.reflecting]
        check(SCHEMA, data, self.output.path + SUFFIX, ResultError)
        return data

    @classmethod
    def from_json(cls, data: Any, where: object) -> Self:
        """Read what :meth:`to_json` gives.

        Raises:
            ResultError: the data do not satisfy the schema.
        """
        check(SCHEMA, data, where, ResultError)
        mark = data["fingerprint"]
        return cls(
            AreaBuildRequest.from_json(data["request"], where),
            data["status"],
            OutputFile(**data["output"]),
            data["period"],
            data["rows"],
            WeightSummary(**data["weights"]),
            tuple(WrittenColumn(c["name"], c["entity"], c["dtype"], tuple(c["periods"])) for c in data["columns"]),
            tuple(Excluded(e["name"], e["reason"]) for e in data["excluded"]),
            data["coverage"],
            data["checks"],
            None if mark is None else Fingerprint(mark["digest"], mark["components"]),
            data["versions"],
            tuple(InputFile(**item) for item in data["inputs"]),
            data["notes"],
            Validation(**data["validation"]),
            tuple(Issue(**issue) for issue in data["issues"]),
            data.get("source_rows"),
            tuple(PlaceBound(p["name"], p["reason"]) for p in data.get("may_reflect_source_place", ())),
        )


def sidecar_path(h5: Path) -> Path:
    """Where the sidecar of an H5 lies."""
    return h5.with_name(h5.name + SUFFIX)


def sidecar_text(result: AreaResult) -> str:
    """What :func:`write_sidecar` writes; the record of the structural checks has its sha256."""
    return json.dumps(result.to_json(), indent=1, sort_keys=True) + "\n"


def write_sidecar(h5: Path, result: AreaResult, text: str | None = None) -> Path:
    """Write the sidecar of ``h5`` in one step; its presence says that the file is complete.

    Args:
        h5: the file.
        result: of its build.
        text: what :func:`sidecar_text` makes of the result, where that is known already.
    """
    path = sidecar_path(h5)
    write_text(path, sidecar_text(result) if text is None else text)
    return path


def read_sidecar(path: Path) -> AreaResult:
    """Read and check a sidecar.

    Raises:
        ResultError: missing, not JSON, or against the schema.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultError(f"{path}: expected a result sidecar, found {error}. Build the area again.") from error
    return AreaResult.from_json(data, path)
