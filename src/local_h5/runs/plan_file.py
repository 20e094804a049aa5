"""The plan: the fingerprint that each area must have, and one file per area for its job.

``plan.json`` has all of them, for the main process; ``requests/<folder>/<area>.json`` has what one job needs, since a
job that read the plan of 50,000 areas would do little else.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from local_h5.config.settings import Settings
from local_h5.contracts.results import Fingerprint
from local_h5.files.atomic import write_text
from local_h5.requests import AreaBuildRequest


def write_plan(path: Path, expected: Mapping[str, Fingerprint]) -> None:
    """Write the fingerprint that each area must have, by relative path."""
    data = {key: _fingerprint(mark) for key, mark in sorted(expected.items())}
    write_text(path, json.dumps(data, indent=0, sort_keys=True) + "\n")


def read_plan(path: Path) -> dict[str, Fingerprint]:
    """What :func:`write_plan` wrote."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return {key: Fingerprint(mark["digest"], mark["components"]) for key, mark in data.items()}


def write_requests(settings: Settings, expected: Mapping[str, Fingerprint]) -> None:
    """Write what each area's job needs, where it is not there already."""
    for request in lost_requests(settings, settings.requests, expected):
        content = _content(request, expected[str(request.relative_path)])
        write_text(settings.layout.request(request), json.dumps(content, indent=1, sort_keys=True) + "\n")


def lost_requests(
    settings: Settings, requests: Iterable[AreaBuildRequest], expected: Mapping[str, Fingerprint]
) -> list[AreaBuildRequest]:
    """The areas whose file of :func:`write_requests` is missing, or says something else."""
    return [
        request
        for request in requests
        if _read(settings.layout.request(request)) != _content(request, expected[str(request.relative_path)])
    ]


def _content(request: AreaBuildRequest, fingerprint: Fingerprint) -> Any:
    return json.loads(json.dumps({"request": request.to_json(), "fingerprint": _fingerprint(fingerprint)}))


def _fingerprint(fingerprint: Fingerprint) -> dict[str, Any]:
    return {"digest": fingerprint.digest, "components": dict(fingerprint.components)}


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
