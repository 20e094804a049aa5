"""Orders: the one file whose change makes Snakemake run a job again.

Snakemake decides by modification times. Here the decision is taken by content, and then told to Snakemake in its own
language: every job has an order file among its inputs, and that file is newer than the job's outputs exactly when the
job has to run. :func:`settle_steps` does this for the steps when the main process reads the Snakefile;
:func:`settle_areas` for the areas, then or in the plan job, whichever comes after the last change of what areas depend
on. An order is written only to make a job run; its serial number keeps Snakemake from taking it for an old one.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_h5.files import write_text
from local_h5.requests import AreaBuildRequest
from local_h5.results import Fingerprint, sidecar_path
from local_h5.workflow.code import code_digest
from local_h5.workflow.digests import DigestMemo
from local_h5.workflow.settings import Settings
from local_h5.workflow.steps import Step, all_steps

_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a job's outputs still hold, and in words why not; no reason means that they do."""

    reasons: tuple[str, ...]

    @property
    def current(self) -> bool:
        """Nothing has to be done."""
        return not self.reasons


def step_order(settings: Settings, name: str) -> Path:
    """Order of a step."""
    return settings.prepared / "orders" / f"{name}.json"


def step_stamp(settings: Settings, name: str) -> Path:
    """Stamp of a step: the digests of what it read and wrote, written after it ended."""
    return settings.prepared / "stamps" / f"{name}.json"


def area_order(settings: Settings, request: AreaBuildRequest) -> Path:
    """Order of an area."""
    return settings.prepared / "orders" / request.relative_path.with_suffix(".json")


def judge_steps(settings: Settings, memo: DigestMemo) -> dict[str, Verdict]:
    """Whether each step still holds, in their order; a step after a stale one is stale."""
    verdicts: dict[str, Verdict] = {}
    made_by: dict[Path, str] = {}
    for step in all_steps(settings):
        upstream = {made_by[path] for path in step.inputs.values() if path in made_by}
        stale = sorted(name for name in upstream if not verdicts[name].current)
        verdicts[step.name] = _judge_step(step, _read(step_stamp(settings, step.name)), stale, memo)
        made_by |= dict.fromkeys(step.outputs.values(), step.name)
    return verdicts


def settle_steps(settings: Settings, memo: DigestMemo) -> dict[str, Verdict]:
    """Order the stale steps and date the others so that Snakemake leaves them alone."""
    verdicts = judge_steps(settings, memo)
    for step in all_steps(settings):
        order, stamp = step_order(settings, step.name), step_stamp(settings, step.name)
        outputs = [*step.outputs.values(), stamp]
        verdict = verdicts[step.name]
        if verdict.current:
            _outdate(order)
            newest = max(_mtime(path) for path in (*step.inputs.values(), order))
            dated = [*outputs, *([step.benchmark] if step.benchmark.exists() else [])]
            if min(_mtime(path) for path in dated) < newest:
                for path in dated:
                    os.utime(path)
                    memo.renew(path)
        else:
            content = {
                "step": step.name,
                "inputs": {role: str(path) for role, path in step.inputs.items()},
                "outputs": {role: str(path) for role, path in step.outputs.items()},
                "params": step.params,
                "code": code_digest(step.modules),
            }
            _issue(order, content, outputs, verdict)
    return verdicts


def record_step(order: Path, stamp: Path, memo: DigestMemo) -> None:
    """Write the stamp of a step that has just ended: what its order names, with digests."""
    content = json.loads(order.read_text(encoding="utf-8"))
    data = {
        "params": content["params"],
        "code": content["code"],
        "inputs": {role: memo.sha256(Path(path)) for role, path in content["inputs"].items()},
        "outputs": {role: memo.sha256(Path(path)) for role, path in content["outputs"].items()},
    }
    write_text(stamp, json.dumps(data, indent=1, sort_keys=True) + "\n")


def judge_area(settings: Settings, request: AreaBuildRequest, expected: Fingerprint, memo: DigestMemo) -> Verdict:
    """Whether an area's file and sidecar are there, agree, and were built from what is prepared now."""
    h5 = settings.output(request)
    sidecar = _read(sidecar_path(h5))
    if sidecar is None:
        return Verdict(("not built",) if not h5.exists() else ("sidecar missing or unreadable",))
    try:
        fingerprint, sha256 = sidecar["fingerprint"], sidecar["output"]["sha256"]
        found: Mapping[str, str] = fingerprint["components"]
    except (KeyError, TypeError):
        return Verdict(("sidecar of another form",))
    changed = sorted(
        name for name in expected.components.keys() | found.keys() if expected.components.get(name) != found.get(name)
    )
    if changed:
        return Verdict(tuple(f"{name} changed" for name in changed))
    present = memo.sha256(h5)
    if present is None:
        return Verdict(("H5 missing",))
    return Verdict(() if present == sha256 else ("H5 differs from its sidecar",))


def settle_areas(settings: Settings, expected: Mapping[str, Fingerprint], memo: DigestMemo) -> dict[str, Verdict]:
    """Order the stale areas; ``expected`` is by relative path, as :func:`read_plan` gives it."""
    verdicts = {}
    for request in settings.requests:
        key = str(request.relative_path)
        verdict = verdicts[key] = judge_area(settings, request, expected[key], memo)
        order, h5 = area_order(settings, request), settings.output(request)
        content = {
            "request": request.to_json(),
            "fingerprint": {"digest": expected[key].digest, "components": dict(expected[key].components)},
        }
        if not verdict.current:
            _issue(order, content, [h5, sidecar_path(h5)], verdict)
            continue
        if not order.exists():
            write_text(order, json.dumps({**content, "serial": 0, "reasons": []}, indent=1) + "\n")
        _outdate(order)
    return verdicts


def write_plan(path: Path, expected: Mapping[str, Fingerprint]) -> None:
    """Write the fingerprint that each area must have, by relative path."""
    data = {key: {"digest": mark.digest, "components": dict(mark.components)} for key, mark in sorted(expected.items())}
    write_text(path, json.dumps(data, indent=0, sort_keys=True) + "\n")


def read_plan(path: Path) -> dict[str, Fingerprint]:
    """What :func:`write_plan` wrote."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return {key: Fingerprint(mark["digest"], mark["components"]) for key, mark in data.items()}


def _judge_step(step: Step, stamp: Mapping[str, Any] | None, stale: list[str], memo: DigestMemo) -> Verdict:
    if stamp is None:
        return Verdict(("not run",))
    reasons = [f"{name} runs" for name in stale]
    params = json.loads(json.dumps(step.params))
    reasons += [
        f"{name} changed" for name in sorted(params.keys() | stamp["params"].keys())
        if params.get(name) != stamp["params"].get(name)
    ]  # fmt: skip
    if stamp["code"] != code_digest(step.modules):
        reasons.append("code changed")
    for role in sorted(step.inputs.keys() | stamp["inputs"].keys()):
        path = step.inputs.get(role)
        # A fetched or made file that is gone was not changed: what was made from it still holds.
        if path is None or role not in stamp["inputs"]:
            reasons.append(f"{role} {'removed' if path is None else 'added'}")
        elif (digest := memo.sha256(path)) is not None and digest != stamp["inputs"][role]:
            reasons.append(f"{role} changed")
    for role, path in step.outputs.items():
        digest = memo.sha256(path)
        if digest != stamp["outputs"].get(role):
            reasons.append(f"{role} {'missing' if digest is None else 'damaged'}")
    return Verdict(tuple(reasons))


def _issue(order: Path, content: Mapping[str, Any], outputs: list[Path], verdict: Verdict) -> None:
    """Write an order, unless the same one is pending already."""
    before = _read(order) or {}
    pending = all(before.get(key) == value for key, value in json.loads(json.dumps(content)).items()) and all(
        _mtime(path) < _mtime(order) for path in outputs
    )
    if not pending:
        serial = int(before.get("serial", 0)) + 1
        write_text(
            order,
            json.dumps({**content, "serial": serial, "reasons": list(verdict.reasons)}, indent=1, sort_keys=True)
            + "\n",
        )
        newest = max((_mtime(path) for path in outputs), default=0)
        if _mtime(order) <= newest:  # a file dated in the future, or a coarse clock
            os.utime(order, ns=(newest + _SECOND, newest + _SECOND))


def _outdate(order: Path) -> None:
    """Let an order that was carried out look older than anything."""
    if order.exists() and _mtime(order) > _SECOND:
        os.utime(order, ns=(_SECOND, _SECOND))


def _mtime(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None
