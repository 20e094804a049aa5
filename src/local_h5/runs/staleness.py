"""Which steps and areas are stale, by content, and why.

A step is up to date when its trace names the digests of its inputs, parameters, code and outputs as they are now, and
no step before it is stale. An area is up to date when its sidecar has the fingerprint that the plan expects, and H5,
sidecar and record of structural checks are those that its job wrote. Dates decide nothing.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from local_h5.config.settings import Settings
from local_h5.contracts.results import Fingerprint, sidecar_path
from local_h5.files.digests import DigestMemo
from local_h5.requests import AreaBuildRequest
from local_h5.runs.step import Step
from local_h5.runs.traces import Trace, inputs_now, trace_now

NOT_BUILT = "not built"
SIDECAR_CHANGED = "sidecar changed since it was written"
_UNREADABLE = "sidecar missing or unreadable"

T = TypeVar("T")


class StepStatus(Struct, frozen=True):
    """Whether a step's outputs are up to date.

    Attributes:
        changed: what differs since the step last ran, in words. Its outputs may change.
        damaged: outputs that are missing or were changed. The step makes the same ones again.
        upstream: stale steps before it.
        repair: whether everything that is stale, here and before, is only damaged.
        missing: inputs that are not there now.
    """

    changed: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()
    repair: bool = True
    missing: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is stale, in words; empty when it is up to date."""
        return (*self.changed, *self.damaged, *(f"{name} runs" for name in self.upstream))

    @property
    def up_to_date(self) -> bool:
        """Nothing has to be done."""
        return not self.reasons


class AreaStatus(Struct, frozen=True):
    """Whether an area's files are up to date.

    Attributes:
        fault: what is wrong with the files themselves.
        changed: components of the fingerprint that differ.
        built: what the sidecar of an area that is up to date says.
    """

    fault: str | None = None
    changed: tuple[str, ...] = ()
    built: "Built | None" = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is stale, in words; empty when it is up to date."""
        return (*([self.fault] if self.fault else []), *(f"{name} changed" for name in self.changed))

    @property
    def up_to_date(self) -> bool:
        """Nothing has to be done."""
        return not self.reasons


def compare_steps(settings: Settings, memo: DigestMemo, steps: Sequence[Step]) -> dict[str, StepStatus]:
    """The status of each step, by name; a step after a stale one is stale.

    Args:
        settings: of the run.
        memo: of digests.
        steps: each after those whose outputs it reads.
    """
    found: dict[str, StepStatus] = {}
    made_by: dict[Path, str] = {}
    for step in steps:
        stale = sorted(
            {made_by[file] for file in step.inputs.values() if file in made_by and not found[made_by[file]].up_to_date}
        )
        own = _compare_fetch(step, memo) if step.pins else _compare_step(settings, step, memo)
        found[step.name] = StepStatus(
            own.changed,
            own.damaged,
            tuple(stale),
            not own.changed and all(found[name].repair for name in stale),
            own.missing,
        )
        made_by |= dict.fromkeys(step.outputs.values(), step.name)
    return found


def compare_area(
    settings: Settings, request: AreaBuildRequest, expected: Fingerprint | None, code: str, memo: DigestMemo
) -> AreaStatus:
    """Whether an area's files are there, agree, and have the expected fingerprint.

    Args:
        settings: of the run.
        request: the area.
        expected: None while it is not known. Then only the code is compared, and no H5 is read.
        code: digest of the code that decides values.
        memo: of digests.
    """
    h5 = settings.layout.output(request)
    fault, found = read_built(h5)
    if fault is not None or found is None:
        return AreaStatus(fault)
    if expected is None:  # the plan that will be known compares the files, which may have to be read for it
        return AreaStatus(built=found) if found.components.get("code") == code else AreaStatus(None, ("code",))
    if found.components != expected.components:
        return AreaStatus(None, tuple(expected.differences(found.components)))
    fault = _file_fault(h5, found.sha256, memo) or _record_fault(settings.layout.record("structural", request), found)
    return AreaStatus(fault, built=found if fault is None else None)


def _record_fault(path: Path, built: "Built") -> str | None:
    """What is wrong with the record of an area's structural checks, or with its sidecar; None when all is well."""
    record = read_part(path, Recorded)
    if record is None or record.area.sha256 != built.sha256 or record.area.sidecar_sha256 is None:
        return "record of structural checks missing, or of another file"
    return None if record.area.sidecar_sha256 == built.sidecar_sha256 else SIDECAR_CHANGED


def is_approved(settings: Settings, request: AreaBuildRequest, built: "Built | None", memo: DigestMemo) -> bool:
    """Whether an area's approval is for the present file, sidecar and records of all wanted levels."""
    approval = read_part(settings.layout.approval(request), _Approval)
    if approval is None or built is None:
        return False
    if (approval.sha256, approval.sidecar_sha256) != (built.sha256, built.sidecar_sha256):
        return False
    records = {level: memo.sha256(path) for level, path in wanted_records(settings, request).items()}
    return approval.records == records


def wanted_records(settings: Settings, request: AreaBuildRequest) -> dict[str, Path]:
    """The records that decide about an area, by level."""
    return {level: settings.layout.record(level, request) for level in settings.policy.levels}


class Built(Struct, frozen=True):
    """Facts of a sidecar: digest and bytes of the H5, components of the fingerprint, and its own digest."""

    sha256: str
    size_bytes: int
    components: Mapping[str, str]
    sidecar_sha256: str


class _Output(Struct):
    path: str
    sha256: str
    bytes: int


class _Components(Struct):
    components: dict[str, str]


class _Sidecar(Struct):
    status: str
    output: _Output
    fingerprint: _Components


class _Checked(Struct):
    sha256: str
    sidecar_sha256: str | None = None


class Recorded(Struct):
    """Of which file a record is."""

    area: _Checked


class _Approval(Struct):
    sha256: str
    sidecar_sha256: str
    records: dict[str, str]


def read_part(path: Path, kind: type[T]) -> T | None:
    """What a structure names of a JSON object; None when the file is missing or holds something else."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, ValueError, RecursionError):
        return None


def read_built(h5: Path) -> tuple[str | None, Built | None]:
    """What is wrong with a sidecar, or its facts. Only :mod:`verify` checks it against the schema."""
    try:
        content = sidecar_path(h5).read_bytes()
        said = msgspec.json.decode(content, type=_Sidecar)
    except FileNotFoundError:
        return (_UNREADABLE if h5.exists() else NOT_BUILT), None
    except msgspec.ValidationError:
        return "sidecar of another form", None
    except (OSError, ValueError, RecursionError):
        return _UNREADABLE, None
    if said.status != "completed" or not h5.as_posix().endswith(f"/{said.output.path}"):
        return "sidecar of another file", None
    own = hashlib.sha256(content).hexdigest()
    return None, Built(said.output.sha256, said.output.bytes, said.fingerprint.components, own)


def _file_fault(h5: Path, sha256: str, memo: DigestMemo) -> str | None:
    """Compare an H5 with the digest in its sidecar; the problem in words, or None."""
    present = memo.sha256(h5)
    if present is None:
        return "H5 missing"
    return None if present == sha256 else "H5 differs from its sidecar"


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object; None when the file is missing or holds something else."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _compare_fetch(step: Step, memo: DigestMemo) -> StepStatus:
    digests = {role: memo.sha256(path) for role, path in step.outputs.items()}
    # A lost fetched file is fetched again when a step needs it. The files made from it stay up to date.
    wrong = [role for role, digest in digests.items() if digest is not None and digest != step.pins.get(role)]
    return StepStatus((), tuple(f"{role} is not the pinned file" for role in wrong))


def _compare_step(settings: Settings, step: Step, memo: DigestMemo) -> StepStatus:
    missing = tuple(role for role, digest in inputs_now(step, memo).items() if digest is None)
    trace = read_part(settings.layout.trace(step.name), Trace)
    if trace is None:
        return StepStatus(("not run",), missing=missing)
    now = trace_now(step, memo)
    names = sorted(now.params.keys() | trace.params.keys())
    changed = [f"{name} changed" for name in names if now.params.get(name) != trace.params.get(name)]
    if trace.code != now.code:
        changed.append("code changed")
    for role in sorted(now.inputs.keys() | trace.inputs.keys()):
        if role not in now.inputs or role not in trace.inputs:
            changed.append(f"{role} {'added' if role in now.inputs else 'removed'}")
        # A lost input was not changed. The files made from it stay up to date.
        elif now.inputs[role] is not None and now.inputs[role] != trace.inputs[role]:
            changed.append(f"{role} changed")
    damaged = [
        f"{role} {'missing' if digest is None else 'damaged'}"
        for role, digest in now.outputs.items()
        if digest != trace.outputs.get(role)
    ]
    return StepStatus(tuple(changed), tuple(damaged), missing=missing)
