"""Orders: the one file whose change makes Snakemake run a job again.

Snakemake decides by modification times. Here the decision is taken by content, and then told to Snakemake in its own
language: every job has an order file among its inputs, and that file is newer than the job's outputs exactly when the
job has to run. :func:`settle_steps` does this for the steps when the main process reads the Snakefile;
:func:`settle_areas` for the areas, then or in the plan job, whichever comes after the last change of what areas depend
on. A new order has a new nonce, because Snakemake takes an input with the bytes of last time for unchanged, whatever
its time.
"""

import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_h5.errors import InputError, WriteError
from local_h5.files import set_time, write_text
from local_h5.requests import AreaBuildRequest
from local_h5.results import Fingerprint, sidecar_path
from local_h5.settings import Settings
from local_h5.workflow.code import code_digest
from local_h5.workflow.digests import DigestMemo
from local_h5.workflow.judge import AreaVerdict, StepVerdict, judge_area, judge_steps, read_built, read_json, step_stamp
from local_h5.workflow.steps import all_steps

_SECOND = 1_000_000_000
_NONCE = "nonce"
_REASONS = "reasons"


@dataclass(frozen=True, slots=True)
class SettledAreas:
    """What :func:`settle_areas` found.

    Attributes:
        verdicts: relative path → verdict.
        published: relative paths of the areas whose file holds, and whose stamp is that of this file.
    """

    verdicts: Mapping[str, AreaVerdict]
    published: frozenset[str]


def step_order(settings: Settings, name: str) -> Path:
    """Order of a step."""
    return settings.prepared / "orders" / f"{name}.json"


def area_order(settings: Settings, request: AreaBuildRequest) -> Path:
    """Order of an area."""
    return settings.prepared / "orders" / request.relative_path.with_suffix(".json")


def settle_steps(settings: Settings, memo: DigestMemo) -> dict[str, StepVerdict]:
    """Order the stale steps and date the others so that Snakemake leaves them alone."""
    steps = all_steps(settings, memo)
    verdicts = judge_steps(settings, memo, steps)
    made_by = {path: step.name for step in steps for path in step.outputs.values()}
    for step in steps:
        verdict, order = verdicts[step.name], step_order(settings, step.name)
        outputs = [*step.outputs.values(), *([] if step.pins else [step_stamp(settings, step.name)])]
        content = {
            "step": step.name,
            "inputs": {role: str(path) for role, path in step.inputs.items()},
            "outputs": {role: str(path) for role, path in step.outputs.items()},
            "params": step.params,
            "code": code_digest(step.modules, memo),
            # What the job is going to read, where that is known now; record_step holds it against what is there then.
            "sha256": {
                role: digest
                for role, path in step.inputs.items()
                if (path not in made_by or verdicts[made_by[path]].current) and (digest := memo.sha256(path))
            },
        }
        if verdict.current:
            _keep_order(order, content)
            for path in date_after([*outputs, step.benchmark], step.inputs.values()):
                memo.renew(path)
        else:
            _issue(order, content, outputs, verdict.reasons)
    return verdicts


def record_step(order: Path, stamp: Path, memo: DigestMemo) -> None:
    """Write the stamp of a step that has just ended: what its order names, with digests.

    Raises:
        InputError: an input is no longer what it was when the order was given, so nobody knows what the step read.
    """
    content = json.loads(order.read_text(encoding="utf-8"))
    inputs = {role: memo.sha256(Path(path)) for role, path in content["inputs"].items()}
    for role, sha256 in content["sha256"].items():
        if inputs[role] != sha256:
            raise InputError(
                content["inputs"][role],
                field=role,
                expected=f"the file with which {content['step']} was started",
                found="another one: it changed while the step ran",
                remedy="Let it be, and run again.",
            )
    data = {
        "params": content["params"],
        "code": content["code"],
        "inputs": inputs,
        "outputs": {role: memo.sha256(Path(path)) for role, path in content["outputs"].items()},
    }
    write_text(stamp, json.dumps(data, indent=1, sort_keys=True) + "\n")


def settle_areas(settings: Settings, expected: Mapping[str, Fingerprint], memo: DigestMemo) -> SettledAreas:
    """Order the stale areas; ``expected`` is by relative path, as :func:`read_plan` gives it.

    A file that holds without a record of its structural checks is not built again but checked here.
    """
    verdicts = {}
    unchecked = []
    for request in settings.requests:
        key = str(request.relative_path)
        verdict = verdicts[key] = judge_area(settings, request, expected[key], memo)
        if verdict.unchecked:
            unchecked.append(request)
    if unchecked:
        from local_h5.workflow.recheck import check_again  # numpy and h5py

        faults = check_again(settings, unchecked)
        verdicts |= {key: AreaVerdict(fault) for key, fault in faults.items()}
    published = set()
    for request in settings.requests:
        key = str(request.relative_path)
        verdict = verdicts[key]
        order, h5 = area_order(settings, request), settings.output(request)
        content = {
            "request": request.to_json(),
            "fingerprint": {"digest": expected[key].digest, "components": dict(expected[key].components)},
        }
        if verdict.current:
            _keep_order(order, content)
            if _date_published(settings, request):
                published.add(key)
        else:
            record = settings.structural_record(request)
            _issue(order, content, [h5, sidecar_path(h5), record], verdict.reasons)
    return SettledAreas(verdicts, frozenset(published))


def is_published(settings: Settings, request: AreaBuildRequest) -> bool | None:
    """Whether an area's stamp is that of its file, of which the sidecar tells; None when there is no stamp."""
    stamped = read_json(settings.stamp(request))
    if stamped is None:
        return None
    fault, built = read_built(settings.output(request))
    if fault is not None or built is None:
        return False
    bound = stamped.get("sidecar_sha256", built.sidecar_sha256)  # older stamps do not say
    return (stamped.get("sha256"), bound) == (built.sha256, built.sidecar_sha256)


def write_plan(path: Path, expected: Mapping[str, Fingerprint]) -> None:
    """Write the fingerprint that each area must have, by relative path."""
    data = {key: {"digest": mark.digest, "components": dict(mark.components)} for key, mark in sorted(expected.items())}
    write_text(path, json.dumps(data, indent=0, sort_keys=True) + "\n")


def read_plan(path: Path) -> dict[str, Fingerprint]:
    """What :func:`write_plan` wrote."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return {key: Fingerprint(mark["digest"], mark["components"]) for key, mark in data.items()}


def _issue(order: Path, content: Mapping[str, Any], outputs: Sequence[Path], reasons: Sequence[str]) -> None:
    """Write an order that is newer than the outputs and unlike any before it."""
    _write_order(order, {**content, _REASONS: list(reasons), _NONCE: secrets.token_hex(8)})
    newest = max((_mtime(path) for path in outputs), default=0)
    if _mtime(order) <= newest:  # a file dated in the future, or a coarse clock
        set_time(order, newest + _SECOND)


def _keep_order(order: Path, content: Mapping[str, Any]) -> None:
    """Let the order of what holds say what it would be built from, and look older than anything."""
    before = read_json(order) or {}
    if {key: value for key, value in before.items() if key not in (_REASONS, _NONCE)} != json.loads(
        json.dumps(content)
    ):
        _write_order(order, {**content, _REASONS: [], _NONCE: secrets.token_hex(8)})
    if _mtime(order) > 0:
        set_time(order, 0)


def date_after(made: Iterable[Path], sources: Iterable[Path]) -> list[Path]:
    """Date files that hold after what they were made from; returns those that got another time."""
    newest = max((_mtime(path) for path in sources), default=0)
    dated = [path for path in made if path.exists()]
    if not dated or min(_mtime(path) for path in dated) >= newest:
        return []
    now = max(newest, time.time_ns())
    for path in dated:
        set_time(path, now)
    return dated


def _date_published(settings: Settings, request: AreaBuildRequest) -> bool:
    """Let the stamp of a file that holds count, whatever the times; one of another file goes. Whether it counts."""
    stamp, sidecar = settings.stamp(request), sidecar_path(settings.output(request))
    published = is_published(settings, request)
    if published is False:
        stamp.unlink()
    elif published and not settings.policy.wants_targets:  # else the records of the targets decide too
        date_after([stamp], [sidecar, settings.structural_record(request)])
    return published is True


def _write_order(order: Path, content: Mapping[str, Any]) -> None:
    # Not flushed to disk: one that a power failure takes away is written again.
    temporary = order.with_name(f".{order.name}.tmp")
    try:
        order.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        temporary.replace(order)
    except OSError as error:
        raise WriteError(
            order,
            expected="a file that can be written",
            found=error.strerror or str(error),
            remedy="Free space or correct the permissions, then run again.",
        ) from error


def _mtime(path: Path) -> int:
    """Modification time as Snakemake sees it (a link counts with its target); 0 when there is no such file."""
    try:
        return max(path.stat().st_mtime_ns, path.lstat().st_mtime_ns)
    except OSError:
        return 0
