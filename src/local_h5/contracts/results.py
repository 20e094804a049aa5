"""The result of one area build, and its JSON sidecar ``<file>.h5.result.json``.

The sidecar is written last: an H5 without one is not finished. Two equal runs write equal sidecars.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from msgspec import UNSET, Meta, UnsetType, field

from local_h5.errors import ResultError
from local_h5.files import forms
from local_h5.files.atomic import write_text
from local_h5.files.forms import Count, Form, Positive, Sha256, Share, Text
from local_h5.requests import AreaBuildRequest

SUFFIX = ".result.json"

Phase = Literal["request", "build", "write", "validate"]
ValidationStatus = Literal["passed", "failed", "error", "skipped"]
AtLarge = Literal["00", "01", "as given"]
Rows = Annotated[Mapping[str, Count], Meta(extra_json_schema={"required": ["household", "person"]})]


def run_id(digests: Mapping[str, str]) -> str:
    """The id of a run, from the names and sha256 of its files: the same for the same files."""
    lines = (f"{name} {digest}\n" for name, digest in sorted(digests.items()))
    return f"run-{hashlib.sha256(''.join(lines).encode()).hexdigest()[:16]}"


class OutputFile(Form, frozen=True):
    """The H5: path relative to the output folder (POSIX), sha256, bytes."""

    path: Text
    sha256: Sha256
    bytes: Count


class WeightSummary(Form, frozen=True):
    """Sums of the area's weights.

    Attributes:
        households: sum of household weights.
        persons: sum of household weights over persons.
        effective_sample_size: Kish's (Σw)² / Σw², in households.
        largest_share: the largest household weight's share of their sum.
        households_without_district: sum of the weights of households whose district is not known. Only in sidecars of
            files that have such households.
    """

    households: Positive
    persons: Positive
    effective_sample_size: Positive
    largest_share: Annotated[float, Meta(gt=0, le=1)]
    households_without_district: Annotated[float, Meta(gt=0)] | UnsetType = UNSET


class Fingerprint(Form, frozen=True):
    """What decided an area's bytes: a digest per component, and one over all of them."""

    digest: Sha256
    components: Mapping[str, Sha256]

    def differences(self, others: Mapping[str, str]) -> list[str]:
        """Names of the components that differ from those of another fingerprint."""
        names = self.components.keys() | others.keys()
        return sorted(name for name in names if self.components.get(name) != others.get(name))


class InputFile(Form, frozen=True):
    """A file that went into the run."""

    name: Text
    sha256: Sha256
    bytes: Count


class Validation(Form, frozen=True):
    """Verdict of the checks on the file."""

    status: ValidationStatus
    summary: str


class Issue(Form, frozen=True):
    """A problem, and the phase in which it was found."""

    phase: Phase
    message: Text


class WrittenColumn(Form, frozen=True):
    """A variable of the file: dtype as numpy writes it, and periods."""

    variable: Text = field(name="name")
    entity: Text
    dtype: Annotated[str, forms.matching("(bool|u?int(8|16|32|64)|float(32|64)|S[1-9][0-9]*)")]
    periods: Annotated[tuple[str, ...], Meta(min_length=1)]


class Excluded(Form, frozen=True):
    """A variable of the source that is not in the files, and why."""

    variable: Text = field(name="name")
    reason: Text


class PlaceBound(Form, frozen=True):
    """A variable in the files whose values may depend on where the source's households live, and why."""

    variable: Text = field(name="name")
    reason: Text


class OwnTakeup(Form, frozen=True):
    """Take-up of a dataset with weights of its own: drawn when it was calibrated, and not drawn again.

    Attributes:
        kept: take-up variables that are columns of the dataset, and so of the file.
        absent: take-up variables that the dataset does not have. The model uses its defaults for them.
    """

    kept: tuple[Text, ...]
    absent: tuple[Text, ...]


class AreaResult(Form, frozen=True):
    """One built area: the content of its sidecar.

    Attributes:
        request: the area.
        rows: entity → rows of the file.
        coverage: geography field → share of household weight with a value.
        checks: counts that a reader should know: SPM units without a person of 18 or more, unknown blocks, and for
            places of the dataset's own the households whose district, county or PUMA is not known.
        notes: facts about the inputs for readers, for example that the geography is synthetic.
        source_rows: entity → rows of the source. A unit's id is 1 + clone × source rows + source row, and the
            source's own where ``takeup`` is there. Sidecars of version 1, whose ids count from 0, lack them.
        reflecting: columns of the file whose values may depend on where the source's households live. Sidecars of
            version 1 do not have it.
        at_large_code: the two digits by which ``congressional_district_geoid`` has the file's at-large seats, or "as
            given" where a caller of ``build_h5`` chose the codes. Not in sidecars of files without such a seat, nor in
            older ones.
        takeup: where the dataset has weights of its own. Take-up is drawn where it is absent.
    """

    request: AreaBuildRequest
    status: Literal["completed", "failed"]
    output: OutputFile
    period: Annotated[int, Meta(ge=1900)]
    rows: Rows
    weights: WeightSummary
    columns: Annotated[tuple[WrittenColumn, ...], Meta(min_length=1)]
    excluded: tuple[Excluded, ...]
    coverage: Mapping[str, Share]
    checks: Mapping[str, Count]
    fingerprint: Fingerprint | None
    versions: Mapping[str, str]
    inputs: tuple[InputFile, ...]
    notes: Mapping[str, str]
    validation: Validation
    issues: tuple[Issue, ...]
    source_rows: Rows | UnsetType = UNSET
    reflecting: tuple[PlaceBound, ...] | UnsetType = field(name="may_reflect_source_place", default=UNSET)
    at_large_code: AtLarge | UnsetType = UNSET
    takeup: OwnTakeup | UnsetType = UNSET
    schema_version: Literal[1, 2] = 2

    ERROR = ResultError
    ADVICE = "Build the area again."
    RULES: ClassVar[Mapping[str, Any]] = {
        "if": {"properties": {"schema_version": {"const": 2}}},
        "then": {"required": ["source_rows", "may_reflect_source_place"]},
    }

    def __post_init__(self) -> None:
        for entity in ("household", "person"):
            for name, rows in (("rows", self.rows), ("source_rows", self.source_rows)):
                if rows is not UNSET and entity not in rows:
                    raise ValueError(f"{name}.{entity}: expected a value, found nothing")
        if self.schema_version == 2 and UNSET in (self.source_rows, self.reflecting):
            raise ValueError("expected source_rows and may_reflect_source_place in version 2, found one without")


def sidecar_path(h5: Path) -> Path:
    """Where the sidecar of an H5 lies."""
    return Path(f"{h5}{SUFFIX}")


def sidecar_text(result: AreaResult) -> str:
    """What :func:`write_sidecar` writes; the record of the structural checks has its sha256.

    Raises:
        ResultError: a field holds what its type does not allow.
    """
    return forms.text(result, result.output.path + SUFFIX, ResultError, sort=True)


def write_sidecar(h5: Path, result: AreaResult, text: str | None = None) -> Path:
    """Write the sidecar of ``h5`` in one step. Its presence means that the file is complete.

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
        ResultError: missing, not JSON, or of another form.
    """
    return forms.read(path, AreaResult, ResultError, "a result sidecar", AreaResult.ADVICE)
