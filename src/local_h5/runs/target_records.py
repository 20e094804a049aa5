"""Which records of targets and which model runs are stale, by content.

A record names its origin: its file, the target database, the policy, code and versions.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, to_builtins

from local_h5.config.settings import Settings
from local_h5.contracts.results import sidecar_path
from local_h5.files.digests import DigestMemo
from local_h5.requests import AreaBuildRequest
from local_h5.runs.code import TARGET_MODULES, code_digest, library_versions
from local_h5.runs.staleness import read_json, read_part
from local_h5.validation.targets.model_facts import MODEL, facts_path

_FILE = "file"
_ASIDE = ("processes", "persons_per_run", "population")
"""Fields of the policy that change no value, and one whose default is filled in elsewhere. ``persons_per_run`` concerns
only records of files that were too large for it."""
_LIMIT = "persons_per_run"


class TargetStatus(Struct, frozen=True):
    """Which results of the level of targets are up to date.

    Attributes:
        records: relative path of the area → why its record is stale, in words; empty when it is up to date.
        simulations: numbers of the parts whose model runs are stale and needed by a stale record.
    """

    records: Mapping[str, tuple[str, ...]]
    simulations: frozenset[int]


NO_TARGETS = TargetStatus({}, frozenset())
"""Of a run at the structural level."""


def record_basis(settings: Settings, request: AreaBuildRequest, memo: DigestMemo) -> dict[str, str]:
    """The origin of an area's record, as digests."""
    return {**_run_basis(settings, memo), _FILE: built_digests(settings, [request.key])[request.key] or ""}


def simulation_basis(settings: Settings, part: int, memo: DigestMemo) -> dict[str, str]:
    """The origin of the model runs of a part, as digests."""
    return {**_run_basis(settings, memo), _FILE: _digest(built_digests(settings, _read_by(settings, part)))}


def compare_targets(settings: Settings, memo: DigestMemo, built: Mapping[str, str | None]) -> TargetStatus:
    """Compare the records and model runs with their present origins.

    Args:
        settings: of the run, at the level of targets.
        memo: of digests.
        built: relative path of each area → sha256 of its file; None where the file is going to be built.
    """
    common = _run_basis(settings, memo)
    limit = settings.config.validation.persons_per_run
    records = {}
    needed: set[int] = set()
    for key, sha256 in built.items():
        record = read_json(settings.layout.record("targets", key))
        records[key] = ("not checked",) if record is None else _differences(record, {**common, _FILE: sha256 or ""})
        if not records[key] and record is not None and record["facts"].get(_LIMIT, limit) != limit:
            records[key] = (f"{_LIMIT} changed",)
        if records[key]:
            needed.update(settings.parts.sources_of(key.removesuffix(".h5")))
    fresh = set()
    for part in needed:
        data = read_json(settings.layout.simulation(part)) or {}
        mine = {key: built[key] for key in _read_by(settings, part)}
        values_there = all((settings.results / path).is_file() for path in data.get("values", ()))
        good = data.get("basis") == {**common, _FILE: _digest(mine)} and not data.get("problems")
        if good and data.get("limit") in (None, limit) and values_there and None not in mine.values():
            fresh.add(part)
    return TargetStatus(records, frozenset(needed - fresh))


def built_digests(settings: Settings, keys: Iterable[str]) -> dict[str, str | None]:
    """Relative path → sha256 of the H5, as its sidecar says; None without one."""
    said = {key: read_part(sidecar_path(settings.results / key), _Sidecar) for key in keys}
    return {key: None if sidecar is None else sidecar.output.sha256 for key, sidecar in said.items()}


class _Output(Struct):
    sha256: str


class _Sidecar(Struct):
    output: _Output


def _read_by(settings: Settings, part: int) -> list[str]:
    """Relative paths of the areas whose files the model runs of a part read."""
    return [request.key for request in settings.requests if part in settings.parts.readers_of(request)]


def _differences(record: Mapping[str, Any], wanted: Mapping[str, str]) -> tuple[str, ...]:
    if record.get("status") == "error":
        return ("could not be checked",)
    found = record.get("basis")
    if not found:
        return ("nothing says what the record came from",)
    return tuple(f"{name} changed" for name in wanted if found.get(name) != wanted[name])


def _run_basis(settings: Settings, memo: DigestMemo) -> dict[str, str]:
    """The origin of all records of a run, without their files."""
    section = settings.config.validation
    policy = {name: value for name, value in to_builtins(section).items() if name not in _ASIDE}
    tables = [settings.config.areas.districts, section.population.table, section.training]
    versions = library_versions()
    facts = facts_path(versions[MODEL])
    return {
        "targets": memo.sha256(settings.target_database) or "",
        "policy": _digest([policy, settings.policy.max_population_error]),
        "tables": _digest([memo.sha256(Path(table)) for table in (*tables, facts) if table is not None]),
        "code": code_digest(TARGET_MODULES, memo),
        "versions": _digest(versions),
    }


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
