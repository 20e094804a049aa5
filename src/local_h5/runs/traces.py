"""Traces: the digests of what a step read and wrote, written when it has ended."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_h5.errors import InputError
from local_h5.files import forms
from local_h5.files.atomic import write_text
from local_h5.files.digests import DigestMemo
from local_h5.files.forms import Form
from local_h5.runs.code import code_digest
from local_h5.runs.step import File, Step


class Trace(Form, frozen=True):
    """Inputs and outputs of a step as sha256 by role, its parameters, and the digest of its code."""

    params: Mapping[str, Any]
    code: str
    inputs: Mapping[str, str | None]
    outputs: Mapping[str, str | None]

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        write_text(path, forms.text(self, path, InputError, sort=True))


def digest_of(file: File, memo: DigestMemo) -> str | None:
    """sha256 of a file, or over the digests of several; None when one of them is missing."""
    if isinstance(file, Path):
        return memo.sha256(file)
    digests = [memo.sha256(path) for path in file]
    known = [digest for digest in digests if digest is not None]
    return hashlib.sha256("".join(known).encode()).hexdigest() if len(known) == len(digests) else None


def inputs_now(step: Step, memo: DigestMemo) -> dict[str, str | None]:
    """The present digests of a step's inputs."""
    return {role: digest_of(file, memo) for role, file in step.reads.items()}


def trace_now(step: Step, memo: DigestMemo) -> Trace:
    """The trace that a step would leave if it ended now."""
    outputs = {role: memo.sha256(path) for role, path in step.outputs.items()}
    params = json.loads(json.dumps(dict(step.params)))
    return Trace(params, code_digest(step.modules, memo), inputs_now(step, memo), outputs)


def trace_of(step: Step, before: Mapping[str, str | None], memo: DigestMemo) -> Trace:
    """Make the trace of a step that has just ended.

    Args:
        step: the step.
        before: :func:`inputs_now` when it began.
        memo: of digests.

    Raises:
        InputError: an input changed meanwhile, so it is not known what the step read.
    """
    now = trace_now(step, memo)
    changed = [role for role, digest in before.items() if now.inputs[role] != digest]
    if changed:
        file = step.reads[changed[0]]
        raise InputError(
            f"{file if isinstance(file, Path) else step.name}: {changed[0]}: expected the file with which "
            f"{step.name} was started, found another one: it changed while the step ran. Change no input during a run, "
            "and run again."
        )
    return now
