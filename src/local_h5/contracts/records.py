"""The record of one area's validation: ``validation/<level>/<folder>/<area>.json``, and how a run's are read.

It imports neither numpy nor the model: the job that approves an area is short.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import force_setattr, replace

from local_h5.contracts.policy import AppliedPolicy, Level, Severity
from local_h5.contracts.results import Issue
from local_h5.errors import ResultError
from local_h5.files import forms
from local_h5.files.atomic import write_text
from local_h5.files.forms import Count, Form, Sha256, Text
from local_h5.requests import AreaType

Status = Literal["passed", "failed", "error", "skipped"]
RowVerdict = Literal["passed", "failed", "not_evaluated"]


class Finding(Form, frozen=True):
    """Something that a check found wrong.

    Attributes:
        check: its name.
        severity: decides, by ``validation.on_failure``, whether it keeps the file from being published.
        message: one line.
        count: how many rows it concerns.
        key: configuration key of the limit that was passed; empty where there is no limit to set.
    """

    check: Text
    severity: Severity
    message: Text
    count: Annotated[int, Meta(ge=1)]
    key: str = ""

    @property
    def decided_by(self) -> str:
        """The configuration key to look at: that of the limit, or else that of the severity."""
        return self.key or f"validation.on_failure.{self.severity}"

    @property
    def refusal(self) -> "Refusal":
        """The finding as a reason not to publish."""
        return Refusal(self.check, self.message, self.decided_by)


class TargetRow(Form, frozen=True):
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
    variable: Text
    period: int
    reform: Count
    constraints: str
    target: float
    value: float | None
    error: float | None
    relative_error: float | None
    in_training: bool | None
    sane: bool | None
    verdict: RowVerdict
    reason: str


class Summary(Form, frozen=True):
    """Counts of an area's targets, in training and apart, and one line about all of it."""

    text: Text
    n_targets: Count = 0
    n_failing: Count = 0
    n_excluded: Count = 0
    share_failing: float | None = None
    mean_abs_rel_error: float | None = None
    median_abs_rel_error: float | None = None
    n_training: Count = 0
    mean_abs_rel_error_training: float | None = None
    mean_abs_rel_error_holdout: float | None = None


class CheckedFile(Form, frozen=True):
    """The file that was checked.

    Attributes:
        type, id: of its area.
        path: below the results folder (POSIX).
        sha256: of the H5.
        sidecar_sha256: of the file's sidecar, in a record of structural checks, to notice later edits. Records of
            older versions do not have it.
    """

    type: AreaType
    id: Text
    path: Text
    sha256: Sha256
    sidecar_sha256: Sha256 | UnsetType = UNSET


class ValidationRecord(Form, frozen=True, kw_only=True):
    """The validation of one file: what was checked, against what, with which result.

    Attributes:
        area: the file.
        published: whether the policy lets the file be published. It follows from the rest.
        policy: as applied to this area.
        facts: numbers that the checks compared, for example persons and reference.
        basis: of a record of targets: digests of its origin (file, database, policy, tables, code, versions).
    """

    schema_version: Literal[1] = 1
    area: CheckedFile
    level: Level
    status: Status
    published: bool = True
    policy: AppliedPolicy
    summary: Summary
    facts: Mapping[str, float] = {}
    basis: Mapping[str, Annotated[str, forms.matching("([0-9a-f]{64})?")]] = {}
    findings: tuple[Finding, ...] = ()
    targets: tuple[TargetRow, ...] = ()
    issues: tuple[Issue, ...] = ()

    ERROR = ResultError
    ADVICE = "Let the workflow validate again."

    def __post_init__(self) -> None:
        unsaid = [item.severity for item in self.findings if item.severity not in self.policy.on_failure]
        if unsaid:
            raise ValueError(f"policy.on_failure.{unsaid[0]}: expected a value, found nothing")
        force_setattr(self, "published", not self.blocking)

    @property
    def blocking(self) -> tuple[str, ...]:
        """Why the file must not be published; empty when it may be. An error always blocks."""
        reasons = tuple(finding.message for finding in self.blocking_findings)
        return (*self.messages, *reasons) if self.status == "error" else reasons

    @property
    def blocking_findings(self) -> tuple[Finding, ...]:
        """The findings that keep the file from being published."""
        return tuple(finding for finding in self.findings if self.policy.on_failure[finding.severity] == "fail")

    @property
    def messages(self) -> tuple[str, ...]:
        """Why the file could not be checked."""
        return tuple(issue.message for issue in self.issues)


def of_sidecar(record: ValidationRecord, text: str) -> ValidationRecord:
    """The record with the digest of the sidecar that is written beside it."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return replace(record, area=replace(record.area, sidecar_sha256=digest))


def write_record(path: Path, record: ValidationRecord) -> None:
    """Write a record in one step.

    Raises:
        ResultError: a field holds what its type does not allow.
    """
    write_text(path, forms.text(record, path, ResultError))


def read_record(path: Path) -> ValidationRecord:
    """Read a record.

    Raises:
        ResultError: missing, not JSON, or of another form.
    """
    return forms.read(path, ValidationRecord, ResultError, "the record of a validation", ValidationRecord.ADVICE)


class Refusal(Form, frozen=True):
    """One reason why an area is not published.

    Attributes:
        check: that found it. Areas with the same check are reported together.
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
        if record.area.sha256 != sha256:
            text = f"the {record.level} record is of another file ({record.area.sha256[:12]}, not {sha256[:12]})"
            reasons.append(Refusal("record", text))
        if record.status == "error":
            reasons += [Refusal("error", issue) for issue in record.messages]
        reasons += [finding.refusal for finding in record.blocking_findings]
    return tuple(dict.fromkeys(reasons))


def refusals(records: Iterable[ValidationRecord], sha256: str) -> tuple[str, ...]:
    """:func:`why_refused`, each reason as one line with the configuration key that decides."""
    return tuple(map(str, why_refused(records, sha256)))
