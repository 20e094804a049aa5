"""Whether a step's or an area's outputs still hold, by content, and in words why not."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_h5.requests import AreaBuildRequest
from local_h5.results import Fingerprint, sidecar_path
from local_h5.settings import Settings
from local_h5.workflow.code import code_digest
from local_h5.workflow.digests import DigestMemo
from local_h5.workflow.steps import Step, all_steps

SIDECAR_CHANGED = "sidecar changed since it was written"


@dataclass(frozen=True, slots=True)
class StepVerdict:
    """Whether a step's outputs still hold.

    Attributes:
        changed: what differs from when the step last ran, in words; its outputs may come out different.
        damaged: outputs that are missing or not what the step wrote; they come out as they were.
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
        """All of it; nothing when the outputs hold."""
        return (*self.changed, *self.damaged, *(f"{name} runs" for name in self.upstream))

    @property
    def current(self) -> bool:
        """Nothing has to be done."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class AreaVerdict:
    """Whether an area's file and sidecar hold.

    Attributes:
        fault: what is wrong with the files themselves.
        changed: components of the fingerprint that differ.
        unchecked: the file holds, but the record of its structural checks is missing or of another file.
    """

    fault: str | None = None
    changed: tuple[str, ...] = ()
    unchecked: bool = False

    @property
    def reasons(self) -> tuple[str, ...]:
        """In words; nothing when the files hold."""
        return (*([self.fault] if self.fault else []), *(f"{name} changed" for name in self.changed))

    @property
    def current(self) -> bool:
        """Nothing has to be done."""
        return not self.reasons


def step_stamp(settings: Settings, name: str) -> Path:
    """Stamp of a step: the digests of what it read and wrote, written after it ended."""
    return settings.prepared / "stamps" / f"{name}.json"


def judge_steps(settings: Settings, memo: DigestMemo, steps: Sequence[Step] | None = None) -> dict[str, StepVerdict]:
    """Whether each step still holds, in their order; a step after a stale one is stale."""
    verdicts: dict[str, StepVerdict] = {}
    made_by: dict[Path, str] = {}
    for step in all_steps(settings, memo) if steps is None else steps:
        stale = sorted(
            {made_by[path] for path in step.inputs.values() if path in made_by and not verdicts[made_by[path]].current}
        )
        stamp = read_json(step_stamp(settings, step.name))
        verdict = _judge_fetch(step, memo) if step.pins else _judge_step(step, stamp, memo)
        verdicts[step.name] = StepVerdict(
            verdict.changed,
            verdict.damaged,
            tuple(stale),
            not verdict.changed and all(verdicts[name].repair for name in stale),
            verdict.missing,
        )
        made_by |= dict.fromkeys(step.outputs.values(), step.name)
    return verdicts


def judge_area(settings: Settings, request: AreaBuildRequest, expected: Fingerprint, memo: DigestMemo) -> AreaVerdict:
    """Whether an area's file and sidecar are there, agree, and were built from what is expected."""
    h5 = settings.output(request)
    fault, found = read_built(h5)
    if fault is not None or found is None:
        return AreaVerdict(fault)
    changed = sorted(
        name
        for name in expected.components.keys() | found.components.keys()
        if expected.components.get(name) != found.components.get(name)
    )
    if changed:
        return AreaVerdict(None, tuple(changed))
    fault = file_fault(h5, found.sha256, memo)
    area = (read_json(settings.structural_record(request)) or {}).get("area")
    area = area if isinstance(area, dict) else {}
    bound = area.get("sidecar_sha256")
    if fault is None and bound is not None and bound != found.sidecar_sha256:
        fault = SIDECAR_CHANGED
    checked = area.get("sha256") == found.sha256 and bound is not None
    return AreaVerdict(fault, unchecked=fault is None and not checked)


@dataclass(frozen=True, slots=True)
class Built:
    """What a sidecar says: digest and bytes of the H5, and the fingerprint's components; and its own digest."""

    sha256: str
    size_bytes: int
    components: Mapping[str, str]
    sidecar_sha256: str


def read_built(h5: Path) -> tuple[str | None, Built | None]:
    """What is wrong with a sidecar, or what it says; without the schema, which :mod:`verify` checks."""
    try:
        content = sidecar_path(h5).read_bytes()
        data = json.loads(content)
    except (OSError, ValueError):
        content, data = b"", None
    if not isinstance(data, dict):
        return ("sidecar missing or unreadable" if h5.exists() or sidecar_path(h5).exists() else "not built"), None
    try:
        components = data["fingerprint"]["components"]
        own = hashlib.sha256(content).hexdigest()
        built = Built(data["output"]["sha256"], data["output"]["bytes"], dict(components), own)
        right = data["status"] == "completed" and h5.as_posix().endswith(f"/{data['output']['path']}")
    except (KeyError, TypeError, ValueError):
        return "sidecar of another form", None
    return (None, built) if right else ("sidecar of another file", None)


def file_fault(h5: Path, sha256: str, memo: DigestMemo) -> str | None:
    """What is wrong with an H5 of which the sidecar gives the digest."""
    present = memo.sha256(h5)
    if present is None:
        return "H5 missing"
    return None if present == sha256 else "H5 differs from its sidecar"


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object; None when the file is missing or holds something else."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def _judge_fetch(step: Step, memo: DigestMemo) -> StepVerdict:
    digests = {role: memo.sha256(path) for role, path in step.outputs.items()}
    # A fetched file that is gone is fetched again when something needs it; what was made from it still holds.
    wrong = [role for role, digest in digests.items() if digest is not None and digest != step.pins.get(role)]
    return StepVerdict((), tuple(f"{role} is not the pinned file" for role in wrong))


def _judge_step(step: Step, stamp: Mapping[str, Any] | None, memo: DigestMemo) -> StepVerdict:
    digests = {role: memo.sha256(path) for role, path in step.inputs.items()}
    missing = tuple(role for role, digest in digests.items() if digest is None)
    if stamp is None or not all(isinstance(stamp.get(key), dict) for key in ("params", "inputs", "outputs")):
        return StepVerdict(("not run",), missing=missing)
    params = json.loads(json.dumps(step.params))
    changed = [
        f"{name} changed" for name in sorted(params.keys() | stamp["params"].keys())
        if params.get(name) != stamp["params"].get(name)
    ]  # fmt: skip
    if stamp.get("code") != code_digest(step.modules, memo):
        changed.append("code changed")
    for role in sorted(step.inputs.keys() | stamp["inputs"].keys()):
        if role not in step.inputs or role not in stamp["inputs"]:
            changed.append(f"{role} {'added' if role in step.inputs else 'removed'}")
        # A made file that is gone was not changed: what was made from it still holds.
        elif digests[role] is not None and digests[role] != stamp["inputs"][role]:
            changed.append(f"{role} changed")
    damaged = []
    for role, path in step.outputs.items():
        digest = memo.sha256(path)
        if digest != stamp["outputs"].get(role):
            damaged.append(f"{role} {'missing' if digest is None else 'damaged'}")
    return StepVerdict(tuple(changed), tuple(damaged), missing=missing)
