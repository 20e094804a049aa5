"""The record of one area's validation: ``validation/<level>/<folder>/<area>.json``, and how a run's are read.

Imports neither numpy nor the model: what decides about publishing has to be quick.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

from local_h5.contracts.policy import Level, Severity
from local_h5.contracts.schema import check
from local_h5.errors import ResultError
from local_h5.files.atomic import why_unread, write_text

SCHEMA = "validation_record"
SCHEMA_VERSION = 1

Status = Literal["passed", "failed", "error", "skipped"]
RowVerdict = Literal["passed", "failed", "not_evaluated"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a check found wrong.

    Attributes:
        check: its name.
        severity: decides, by ``validation.on_failure``, whether it keeps the file from being published.
        message: one line.
        count: how many rows it concerns.
        key: configuration key of the limit that was passed; empty where there is no limit to set.
    """

    check: str
    severity: Severity
    message: str
    count: int
    key: str = ""

    @property
    def decided_by(self) -> str:
        """The configuration key to look at: of the limit, or else of what follows from a finding."""
        return self.key or f"validation.on_failure.{self.severity}"

    @property
    def refusal(self) -> "Refusal":
        """The finding as a reason not to publish."""
        return Refusal(self.check, self.message, self.decided_by)


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One target against the file.

    Attributes:
        target_id, stratum, variable, period, reform: of the target database.
        constraints: of its stratum, without geography, as text; its family in reports.
        target: its value. value: the file's; None when it could not be evaluated.
        error: value - target. relative_error: by the absolute target, at least 1.
        in_training: whether the calibration was fitted on it; None when that is not known.
        sane: finite, and below the ceiling.
        verdict, reason: why.
    """

    target_id: int
    stratum: int
    variable: str
    period: int
    reform: int
    constraints: str
    target: float
    value: float | None
    error: float | None
    relative_error: float | None
    in_training: bool | None
    sane: bool | None
    verdict: RowVerdict
    reason: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of an area's targets, in training and apart, and one line about all of it."""

    text: str
    n_targets: int = 0
    n_failing: int = 0
    n_excluded: int = 0
    share_failing: float | None = None
    mean_abs_rel_error: float | None = None
    median_abs_rel_error: float | None = None
    n_training: int = 0
    mean_abs_rel_error_training: float | None = None
    mean_abs_rel_error_holdout: float | None = None


@dataclass(frozen=True, slots=True)
class ValidationRecord:
    """What was checked of one file, against what, and what came out; see ``schemas/validation_record.schema.json``."""

    area_type: str
    area_id: str
    path: str
    sha256: str
    level: Level
    status: Status
    policy: Mapping[str, Any]
    summary: Summary
    findings: tuple[Finding, ...] = ()
    targets: tuple[TargetRow, ...] = ()
    issues: tuple[str, ...] = ()
    facts: Mapping[str, float] = field(default_factory=dict)
    basis: Mapping[str, str] = field(default_factory=dict)
    """Digests of what a record of targets came from: file, database, policy, tables, code, versions."""
    sidecar_sha256: str | None = None
    """Of the file's sidecar, in a record of structural checks: what was edited since shows. None in older records."""

    @property
    def blocking(self) -> tuple[str, ...]:
        """Why the file must not be published; nothing when it may be. An error always blocks."""
        reasons = tuple(finding.message for finding in self.blocking_findings)
        return (*self.issues, *reasons) if self.status == "error" else reasons

    @property
    def blocking_findings(self) -> tuple[Finding, ...]:
        """The findings that keep the file from being published."""
        on_failure = self.policy["on_failure"]
        return tuple(finding for finding in self.findings if on_failure[finding.severity] == "fail")

    def to_json(self) -> dict[str, Any]:
        """The record's JSON, checked against its schema.

        Raises:
            ResultError: it does not satisfy the schema.
        """
        data = {
            "schema_version": SCHEMA_VERSION,
            "area": {"type": self.area_type, "id": self.area_id, "path": self.path, "sha256": self.sha256}
            | ({} if self.sidecar_sha256 is None else {"sidecar_sha256": self.sidecar_sha256}),
            "level": self.level,
            "status": self.status,
            "published": not self.blocking,
            "policy": dict(self.policy),
            "summary": asdict(self.summary),
            "facts": dict(self.facts),
            "basis": dict(self.basis),
            "findings": [asdict(finding) for finding in self.findings],
            "targets": [asdict(row) for row in self.targets],
            "issues": [{"phase": "validate", "message": message} for message in self.issues],
        }
        check(SCHEMA, data, f"validation of {self.path}", ResultError)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` gave (not checked again: a run has hundreds)."""
        area = data["area"]
        return cls(
            area["type"],
            area["id"],
            area["path"],
            area["sha256"],
            data["level"],
            data["status"],
            data["policy"],
            Summary(**data["summary"]),
            tuple(Finding(**item) for item in data["findings"]),
            tuple(TargetRow(**item) for item in data["targets"]),
            tuple(item["message"] for item in data["issues"]),
            data["facts"],
            data.get("basis", {}),
            area.get("sidecar_sha256"),
        )


def of_sidecar(record: ValidationRecord, text: str) -> ValidationRecord:
    """The record with the digest of the sidecar that is written beside it."""
    return replace(record, sidecar_sha256=hashlib.sha256(text.encode()).hexdigest())


def write_record(path: Path, record: ValidationRecord) -> None:
    """Write a record in one step."""
    write_text(path, json.dumps(record.to_json(), indent=1) + "\n")


def read_record(path: Path) -> ValidationRecord:
    """Read a record.

    Raises:
        ResultError: missing, not JSON, or of another form.
    """
    try:
        return ValidationRecord.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultError(
            f"{path}: expected the record of a validation, found {why_unread(path, error)}. Let the workflow "
            "validate again."
        ) from error


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason why an area is not published.

    Attributes:
        check: that found it, for areas with the same reason to stand together.
        message: one line.
        key: configuration key that decides; empty where none does.
    """

    check: str
    message: str
    key: str = ""

    def __str__(self) -> str:
        return f"{self.message} ({self.key})" if self.key else self.message


def why_refused(records: Iterable[ValidationRecord], sha256: str) -> tuple[Refusal, ...]:
    """Why an area is not published: what blocks in any of its records, or a record of another file.

    Args:
        records: of one area, of the levels that the run asks for.
        sha256: of the H5 that would be published.
    """
    reasons: list[Refusal] = []
    for record in records:
        if record.sha256 != sha256:
            text = f"the {record.level} record is of another file ({record.sha256[:12]}, not {sha256[:12]})"
            reasons.append(Refusal("record", text))
        if record.status == "error":
            reasons += [Refusal("error", issue) for issue in record.issues]
        reasons += [finding.refusal for finding in record.blocking_findings]
    return tuple(dict.fromkeys(reasons))


def refusals(records: Iterable[ValidationRecord], sha256: str) -> tuple[str, ...]:
    """:func:`why_refused`, each reason as one line with the configuration key that decides."""
    return tuple(map(str, why_refused(records, sha256)))
