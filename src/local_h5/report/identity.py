"""The identity of a report: run, code, model, inputs, and the notes in the files."""

import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from msgspec import UNSET

from local_h5.contracts.results import AreaResult, run_id, sidecar_path
from local_h5.errors import LocalH5Error
from local_h5.files.atomic import sha256_of
from local_h5.report.collect import RunData

_DIGITS = 12
"""Shown digits of a digest."""


def identity(run: RunData, checkout: Path) -> list[tuple[str, str]]:
    """Label and value of each line of the identity card.

    Args:
        run: finished or not.
        checkout: folder of the code.
    """
    built = _built(run)
    number = f"{len(built):,} of {len(run.areas):,} files"
    times = [
        sidecar_path(run.settings.layout.output(area.request)).stat().st_mtime for area in run.areas if area.sidecar
    ]
    latest = f", the last of {datetime.fromtimestamp(max(times), UTC):%Y-%m-%d %H:%M} UTC" if times else ""
    return [
        ("Run", ", ".join(part for part in (name_of(run), f"{number}{latest}") if part)),
        ("Code", f"{_commit(checkout)}; digest of what decides values: {_values(built, 'code')}"),
        ("Model", _versions(built)),
        *_inputs(run),
        ("Configuration", run.settings.where),
    ]


def name_of(run: RunData) -> str:
    """The id of a run as far as it is built; empty without a file."""
    digests = {key: sidecar.output.sha256 for key, sidecar in _built(run).items()}
    return run_id(digests) if digests else ""


def _built(run: RunData) -> dict[str, AreaResult]:
    return {area.key: area.sidecar for area in run.areas if area.sidecar is not None}


def notes(run: RunData) -> list[tuple[str, str]]:
    """The notes in the files, for example that they are a demonstration; sorted, each once."""
    return sorted({(name, text) for area in run.areas if area.sidecar for name, text in area.sidecar.notes.items()})


def _commit(folder: Path) -> str:
    """Commit of a checkout, marked if there are changes that are not committed."""
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=, changed"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "not a git checkout"
    return f"commit {found.stdout.strip()}"


def _values(built: Mapping[str, AreaResult], component: str) -> str:
    """A fingerprint's component, of all files."""
    fingerprints = [sidecar.fingerprint for sidecar in built.values() if sidecar.fingerprint is not None]
    return _joined({found.components.get(component, "unknown")[:_DIGITS] for found in fingerprints})


def _versions(built: Mapping[str, AreaResult]) -> str:
    models = [
        {name: version for name, version in sorted(sidecar.versions.items()) if name.startswith("policyengine")}
        for sidecar in built.values()
    ]
    return _joined({", ".join(f"{name} {version}" for name, version in model.items()) for model in models})


def _joined(found: Iterable[str]) -> str:
    return " and ".join(sorted(found)) or "unknown"


def _inputs(run: RunData) -> list[tuple[str, str]]:
    lines = [("Source", run.settings.dataset)]
    if run.settings.from_dataset:
        return [*[(label, f"{path}, sha256 {_digest(path)}") for label, path in lines], *_own_dataset(run)]
    for package in run.settings.packages:
        where = "" if len(run.settings.packages) == 1 else f" ({package.name})"
        lines += [(f"Weights{where}", package.weights), (f"Geography{where}", package.geography)]
    return [(label, f"{path}, sha256 {_digest(path)}") for label, path in lines]


def _own_dataset(run: RunData) -> list[tuple[str, str]]:
    """Places and take-up of a dataset that has them itself, by the nation's sidecar."""
    nation = next((area.sidecar for area in run.of_type("national") if area.sidecar), None)
    lines = [("Weights and places", "the dataset's own")]
    if nation is None:
        return lines
    prefix = "households_without_"
    empty = {name.removeprefix(prefix): count for name, count in nation.checks.items() if name.startswith(prefix)}
    households = nation.rows["household"]
    known = [f"{name} of {count:,} of {households:,} households" for name, count in empty.items() if count]
    lines.append(("Not known", ", ".join(known) or "no place"))
    if nation.takeup is not UNSET:
        lines.append(("Take-up kept", ", ".join(nation.takeup.kept) or "none"))
        lines.append(("Take-up not in the dataset", ", ".join(nation.takeup.absent) or "none"))
    return lines


def _digest(path: Path) -> str:
    try:
        return sha256_of(path)[:_DIGITS]
    except (OSError, LocalH5Error):
        return "unknown: the file is not there"
