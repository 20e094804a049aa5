"""Check each file against its sidecar and its expected fingerprint, without using dates."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct, to_builtins

from local_h5.config.settings import Settings
from local_h5.contracts import schemas
from local_h5.contracts.results import AreaResult, Fingerprint, read_sidecar, sidecar_path
from local_h5.errors import InputError, ResultError
from local_h5.files import forms
from local_h5.files.atomic import of_owner, sha256_of
from local_h5.files.digests import DigestMemo
from local_h5.runs.forecast import compute, forecast
from local_h5.runs.plan import orphans
from local_h5.runs.staleness import SIDECAR_CHANGED, Recorded, compare_steps, read_part
from local_h5.runs.steps import NATION_PARQUET, declared_steps

Kind = Literal["missing", "stale", "corrupt", "unreadable", "orphaned"]


class Finding(Struct, frozen=True):
    """One file with a problem.

    Attributes:
        kind: missing (H5 or sidecar), stale (built from other inputs than the present ones), corrupt (file and sidecar
            disagree), unreadable (this user may not read it), orphaned (of no area in the configuration).
        path: below the results folder.
        message: what exactly.
    """

    kind: Kind
    path: str
    message: str


class Verification(Struct, frozen=True):
    """All findings. ``unknown`` says why staleness is not known, if it is not."""

    checked: int
    unknown: str | None
    findings: tuple[Finding, ...]

    @property
    def good(self) -> bool:
        """Whether there are no findings and nothing is unknown."""
        return not self.findings and self.unknown is None


def verify(settings: Settings, memo: DigestMemo, *, deep: bool = False) -> Verification:
    """Check every area of the run, and look for files that belong to none.

    Args:
        settings: of the run.
        memo: digests of inputs and prepared files. Area files are always read.
        deep: also read inputs and prepared files again, compute every fingerprint anew, and compare the variables of
            each H5 with its sidecar.
    """
    foreseen = forecast(settings, DigestMemo(None) if deep else memo)
    expected = foreseen.expected
    if deep and expected is not None and all(verdict.repair for verdict in foreseen.steps.values()):
        intact = all(verdict.up_to_date for name, verdict in foreseen.steps.items() if not name.startswith("plan"))
        expected = compute(settings) if intact else expected
    findings = []
    for request in settings.requests:
        key = request.key
        record = settings.layout.record("structural", request)
        try:
            finding = _check(settings.layout.output(request), record, key, expected, deep=deep)
        except PermissionError as error:
            finding = Finding("unreadable", key, f"{error.filename}: {error.strerror}{of_owner(Path(error.filename))}")
        if finding is not None:
            findings.append(finding)
    split = _split(settings) if settings.config.output.nation_parquet else {}
    findings += [finding for finding in split.values() if finding is not None]
    findings += [Finding("orphaned", name, "belongs to no area of the configuration") for name in orphans(settings)]
    return Verification(len(settings.requests) + len(split), foreseen.unknown, tuple(findings))


def delete_stale(settings: Settings, verification: Verification) -> list[str]:
    """Delete stale and corrupt files, so that the next run builds them. Orphans are kept.

    Returns:
        Paths of the deleted files, below the results folder.
    """
    deleted = []
    for finding in verification.findings:
        if finding.kind in ("stale", "corrupt"):
            h5 = settings.results / finding.path
            for path in (sidecar_path(h5), h5):  # the sidecar first: an H5 without one is not finished
                if path.exists():
                    path.unlink()
                    deleted.append(path.relative_to(settings.results).as_posix())
    return deleted


def _check(
    h5: Path, record: Path, key: str, expected: Mapping[str, Fingerprint] | None, *, deep: bool
) -> Finding | None:
    sidecar = sidecar_path(h5)
    absent = [path.name for path in (h5, sidecar) if not path.exists()]
    if absent:
        return Finding("missing", key, f"{' and '.join(absent)} not there")
    for path in (h5, sidecar):
        path.open("rb").close()  # an unreadable file is not corrupt
    try:
        result = read_sidecar(sidecar)
        schemas.check("area_result", forms.parse(sidecar.read_bytes()), sidecar, ResultError)
    except ResultError as error:
        return Finding("corrupt", key, str(error))
    problem = _against_sidecar(h5, key, result) or _against_record(sidecar, record)
    if problem is None and deep:
        problem = _inside(h5, result)
    if problem is not None:
        return Finding("corrupt", key, problem)
    if expected is not None:
        found = {} if result.fingerprint is None else result.fingerprint.components
        changed = expected[key].differences(found)
        if changed:
            return Finding("stale", key, f"built from another {', '.join(changed)}")
    return None


def _split(settings: Settings) -> dict[str, Finding | None]:
    """The files of the nation by district, which are always read, and what is wrong with each."""
    memo = DigestMemo(None)
    step = declared_steps(settings, memo)[NATION_PARQUET]
    status = compare_steps(settings, memo, [step])[NATION_PARQUET]
    keys = {role: path.relative_to(settings.results).as_posix() for role, path in step.outputs.items()}
    found: dict[str, Finding | None] = dict.fromkeys(keys)
    for role, path in step.outputs.items():
        if not path.exists():
            found[role] = Finding("missing", keys[role], "not there")
        elif f"{role} damaged" in status.damaged:
            found[role] = Finding("corrupt", keys[role], "not the file that was written")
    if status.changed and found["index"] is None:
        found["index"] = Finding("stale", keys["index"], ", ".join(status.changed))
    return found


def _against_record(sidecar: Path, record: Path) -> str | None:
    """Whether the sidecar is the one of the record. Older records do not say."""
    found = read_part(record, Recorded)
    bound = None if found is None else found.area.sidecar_sha256
    return None if bound in (None, sha256_of(sidecar)) else f"{sidecar.name}: {SIDECAR_CHANGED}"


def _against_sidecar(h5: Path, key: str, result: AreaResult) -> str | None:
    if result.output.path != key:
        return f"its sidecar is that of {result.output.path}"
    size = h5.stat().st_size
    if size != result.output.bytes:
        return f"expected {result.output.bytes:,} bytes, found {size:,}"
    sha256 = sha256_of(h5)
    if sha256 != result.output.sha256:
        return f"expected sha256 {result.output.sha256[:12]}…, found {sha256[:12]}…"
    mark = result.fingerprint
    if mark is not None:
        from local_h5.runs.fingerprint import combine

        if combine(mark.components).digest != mark.digest:
            return "the fingerprint in its sidecar is not that of its components"
    return None


def _inside(h5: Path, result: AreaResult) -> str | None:
    """Compare the variables of an H5 with its sidecar."""
    import h5py

    from local_h5.files.hdf5 import H5_ERRORS, outside
    from local_h5.inputs.area_columns import area_columns_of

    try:
        with h5py.File(h5) as file:
            elsewhere = outside(file)
            if elsewhere is not None:
                return f"expected a file that holds all of its data, found {elsewhere}"
            columns = area_columns_of(h5, file)
            found = {name: sorted(periods) for name, periods in columns.periods.items()}
            wanted = {column.variable: sorted(column.periods) for column in result.columns}
            if found != wanted:
                names = sorted({name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)})
                return f"variables or periods differ from its sidecar: {', '.join(names[:5])}"
            for column in result.columns:
                for period in column.periods:
                    values = columns.read(column.variable, period)
                    if len(values) != result.rows[column.entity]:
                        return f"{column.variable}/{period} has {len(values):,} rows, not {column.entity}'s"
    except (InputError, *H5_ERRORS) as error:
        return f"cannot be read as HDF5: {error}"
    return None


def as_lines(verification: Verification) -> list[str]:
    """For a terminal."""
    lines = [f"{finding.kind}: {finding.path}: {finding.message}" for finding in verification.findings]
    if verification.unknown is not None:
        lines.append(f"cannot tell what is stale: {verification.unknown}")
    bad = sum(finding.kind != "orphaned" for finding in verification.findings)
    lines.append(f"{verification.checked - bad} of {verification.checked} files are as they should be.")
    return lines


def as_json(verification: Verification) -> str:
    """For machines."""
    return json.dumps(to_builtins(verification), indent=1)
