"""Validation against targets: the model runs of a part, and the check of an area."""

import contextlib
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self, cast

import numpy as np
from msgspec.structs import replace

from local_h5.config.settings import Settings
from local_h5.contracts.policy import Policy
from local_h5.contracts.records import CheckedFile, Finding, Summary, ValidationRecord
from local_h5.contracts.results import AreaResult, Issue, read_sidecar, sidecar_path
from local_h5.errors import LocalH5Error, ResultError
from local_h5.files.arrays import open_arrays
from local_h5.files.kept import Identity, identity, kept
from local_h5.inputs.membership import HOUSEHOLD, PERSON
from local_h5.requests import AreaBuildRequest
from local_h5.us import STATE_POSTAL
from local_h5.validation.structural.checks import Expectations, check_structure
from local_h5.validation.structural.common_schema import ExpectedColumn
from local_h5.validation.structural.verdict import UNREADABLE, StructuralPolicy, verdict
from local_h5.validation.targets.borrow import Borrowed, assemble, borrow
from local_h5.validation.targets.country_model import Model, model_versions
from local_h5.validation.targets.database import Target, TargetDatabase
from local_h5.validation.targets.evaluate import evaluate, key_of, variables_of, without_targets
from local_h5.validation.targets.loaded_area import AreaFile
from local_h5.validation.targets.model_facts import MODEL, ModelFacts, Scope, holds
from local_h5.validation.targets.simulate import Runs, Task, simulate
from local_h5.validation.targets.training import read_training
from local_h5.validation.targets.values import Values, Wanted

_LOG = logging.getLogger(__name__)

Column = tuple[str, np.ndarray]
"""Entity, and values by row of the entity."""

_WEIGHT = "household_weight"
LIMIT = "persons_per_run"
"""Fact of a record in which a target was not evaluated because the whole file does not fit a run."""


@dataclass(frozen=True)
class TargetRun:
    """A finished build, its target database and the policy: read once, for as many areas as are asked for."""

    settings: Settings
    database: TargetDatabase
    policy: Policy
    entities: Mapping[str, int]
    training: Collection[int] | None
    """Ids of the targets that the calibration was fitted on; None when that is not known."""
    whole: Mapping[str, tuple[Scope, str]]
    """Variables whose values depend on who else is in a file of this run → where they hold, and why not elsewhere."""

    @classmethod
    def read(cls, path_to_config: Path, path_to_targets: Path) -> Self:
        """:meth:`open` from a resolved configuration (JSON).

        A process keeps the last run, and gives it again while none of the files that it was read from has changed.
        """
        known = _settings(path_to_config)
        section = known.config.validation
        tables = known.config.areas.districts, section.population.table, section.training
        files = [Path(table) for table in tables if table is not None]
        return cast(Self, _target_run(path_to_config, path_to_targets, sidecar_path(_first_built(known)), *files))

    @classmethod
    def open(cls, settings: Settings, path_to_targets: Path) -> Self:
        """Read the targets of the year that the run's files are of.

        Raises:
            InputError: the database is missing or malformed.
            ResultError: no area of the run is built.
            ModelError: nothing is known of the installed version of the model.
        """
        result = read_sidecar(sidecar_path(_first_built(settings)))
        facts = ModelFacts.of(model_versions()[MODEL])
        database = TargetDatabase.read(path_to_targets, result.period, facts.meaning)
        fitted = settings.config.validation.training
        training = None if fitted is None else read_training(Path(fitted))
        stored = {column.variable for column in result.columns} - {_WEIGHT}
        return cls(settings, database, settings.policy, result.rows, training, facts.unsettled(stored))

    @cached_property
    def wanted(self) -> Wanted:
        """The values of single households that the admitted targets of all areas need."""
        variables: set[str] = set()
        reforms: set[str] = set()
        for request in self.settings.requests:
            more, neutralised = self._needed(request)
            variables |= more
            reforms |= neutralised
        return self._wanted(variables - self.whole.keys(), reforms)

    @cached_property
    def _states(self) -> "_States":
        return _States(self)

    @cached_property
    def _structural(self) -> StructuralPolicy:
        return StructuralPolicy.from_config(self.settings.config.structural)

    @cached_property
    def _requests_of_states(self) -> Mapping[str, AreaBuildRequest]:
        return {request.area_id: request for request in self.settings.requests if request.area_type == "state"}

    def whole_of(self, request: AreaBuildRequest) -> Wanted | None:
        """The values of an area's admitted targets that need a run of its whole file; None if there are none."""
        needed = self._needed(request)[0] & self.whole.keys()
        here = {name for name in needed if holds(self.whole[name][0], request.area_type)}
        return self._wanted(here, ()) if here else None

    def refused(self, request: AreaBuildRequest, n_persons: int) -> dict[str, str]:
        """Variables of an area's targets that have no meaning in its file → why."""
        limit = self._persons_per_run
        reasons = {}
        for name in self._needed(request)[0] & self.whole.keys():
            scope, reason = self.whole[name]
            if not holds(scope, request.area_type):
                place = "the nation" if scope == "nation" else "whole states"
                reasons[name] = f"{name} holds only in a file of {place}: {reason}"
            elif n_persons > limit:
                reasons[name] = (
                    f"{name} has to be calculated in one run of the whole file: {reason}; "
                    f"{n_persons:,} persons are more than validation.persons_per_run, {limit:,}"
                )
        return reasons

    def _admitted(self, request: AreaBuildRequest) -> list[Target]:
        return [target for target in self.database.of(request) if self.policy.admits(key_of(target, request))]

    def _needed(self, request: AreaBuildRequest) -> tuple[set[str], set[str]]:
        return variables_of(self._admitted(request), self.entities)

    def _wanted(self, variables: Iterable[str], reforms: Iterable[str]) -> Wanted:
        return Wanted(tuple(sorted(variables)), tuple(sorted(reforms)), self.database.year, model_versions())

    @property
    def _persons_per_run(self) -> int:
        return self.settings.config.validation.persons_per_run

    def values_path(self, request: AreaBuildRequest) -> Path:
        """Where the calculated values of an area's own households lie."""
        return self.settings.layout.values(request)

    def whole_path(self, request: AreaBuildRequest) -> Path:
        """Where the values of a run of an area's whole file lie."""
        return self.values_path(request).with_suffix(".whole.h5")

    def read_area(self, request: AreaBuildRequest) -> tuple[AreaResult, AreaFile]:
        """An area's sidecar and file."""
        path = self.settings.layout.output(request)
        result = read_sidecar(sidecar_path(path))
        return result, AreaFile.read(path, result)

    def state(self, fips: int) -> AreaBuildRequest | None:
        """The request of a state, when it is built."""
        request = self._requests_of_states.get(STATE_POSTAL.get(fips, ""))
        built = request is not None and sidecar_path(self.settings.layout.output(request)).is_file()
        return request if built else None

    def simulate_part(self, part: int, start_model: Callable[[], Model]) -> Runs:
        """Calculate the values of a part's states, and of households of other areas that no state has."""
        return simulate(self._tasks(part), self.wanted, start_model, persons_per_run=self._persons_per_run)

    def values_of_part(self, part: int) -> list[Path]:
        """The files of values that a part has written, or found and kept."""
        mine = [request for request in self.settings.requests if self.settings.parts.own_of(request) == part]
        places = [place(request) for request in mine for place in (self.values_path, self.whole_path)]
        return [path for path in places if path.is_file()]

    def _tasks(self, part: int) -> Iterator[Task]:
        mine = [request for request in self.settings.requests if self.settings.parts.own_of(request) == part]
        for request in sorted(mine, key=lambda item: (item.area_type != "state", item.relative_path)):
            # Without targets nothing asks for an area's values, but for a state's, which other areas take over.
            asked = request.area_type == "state" or self._admitted(request)
            if not asked or not sidecar_path(self.settings.layout.output(request)).is_file():
                continue
            try:
                _, area = self.read_area(request)
                if request.area_type == "state":
                    own = np.ones(area.n_rows[HOUSEHOLD], dtype=bool)
                else:
                    own = borrow(area, self._states.file).own
                content = area if own.all() else area.take(own)
            except UNREADABLE:
                continue  # the area's own check says why, and stands for it
            if own.any():
                yield Task(request.key, np.flatnonzero(own), content, self.values_path(request))
            whole = self.whole_of(request)
            if whole is not None:
                rows = np.arange(area.n_rows[HOUSEHOLD])
                yield Task(request.key, rows, area, self.whole_path(request), whole)

    def values_of(self, request: AreaBuildRequest, area: AreaFile) -> dict[str, Column]:
        """Values of every household of an area, from the states and its own, and what its whole file was run for.

        Args:
            request: the area.
            area: its file.

        Raises:
            ResultError: the model refused what they come from, or they are of other files than those that are there.
        """
        own = self._own_values(request, area)
        whole = self.whole_of(request)
        if whole is None or area.n_rows[PERSON] > self._persons_per_run:
            return own
        return own | dict(self._current(request, area.digest(weights=True), whole, self.whole_path(request)).of)

    def _own_values(self, request: AreaBuildRequest, area: AreaFile) -> dict[str, Column]:
        if request.area_type == "state":
            return dict(self._current(request, area.digest(), self.wanted).of)
        seen: dict[int, _State] = {}

        def file(fips: int) -> AreaFile | None:
            state = self._states.get(fips)
            if state is None:
                return None
            seen[fips] = state
            return state.file

        borrowed: Borrowed = borrow(area, file)
        sources = {
            fips: (seen[fips].file, seen[fips].values) for fips, (here, _) in borrowed.from_state.items() if len(here)
        }
        own = None
        if borrowed.own.any():
            content = area if borrowed.own.all() else area.take(borrowed.own)
            own = self._current(request, content.digest(), self.wanted)
        return assemble(area, borrowed, sources, own)

    def _current(self, request: AreaBuildRequest, digest: str, wanted: Wanted, path: Path | None = None) -> Values:
        path = path or self.values_path(request)
        values = open_arrays(path, Values)
        if values.key != wanted.key(digest):
            raise ResultError(
                f"{path}: expected values of the files and targets that are there now, found values of others. "
                "Run the simulation of the targets again."
            )
        if values.problem:
            raise ResultError(
                f"{request.relative_path}: expected values that the model calculated, found {values.problem}"
            )
        return values

    def check(self, requests: Iterable[AreaBuildRequest]) -> Iterator[tuple[AreaBuildRequest, ValidationRecord]]:
        """Check areas' files as they are now: their structure by their sidecars, and their targets.

        Never raises for what is wrong with a file or its values: that is an error in its record, and no pass.

        Args:
            requests: areas with a sidecar; those of one state come out one after the other, since a state's file and
                values are read once for them all.

        Raises:
            ResultError: an area's sidecar is missing or malformed.
        """
        for request in sorted(requests, key=_by_state):
            yield request, self._check(request)

    def validate(self, request: AreaBuildRequest) -> ValidationRecord:
        """:meth:`check` of one area."""
        ((_, record),) = self.check([request])
        return record

    def _check(self, request: AreaBuildRequest) -> ValidationRecord:
        result = read_sidecar(sidecar_path(self.settings.layout.output(request)))
        findings: tuple[Finding, ...] = ()
        issues: tuple[str, ...] = ()
        evaluation = None
        facts: dict[str, float] = {}
        population = self._structural.population(request)
        try:
            expected = Expectations(
                {c.variable: ExpectedColumn(c.entity, c.dtype, c.periods) for c in result.columns},
                population,
                self.policy.max_population_error,
                self.policy.require_finite,
            )
            findings = check_structure(self.settings.layout.output(request), result, expected)
            targets = self.database.of(request)
            if targets:
                area = AreaFile.read(self.settings.layout.output(request), result)
                values = self.values_of(request, area) if self._admitted(request) else {}
                refused = self.refused(request, area.n_rows[PERSON])
                if self.whole_of(request) is not None and area.n_rows[PERSON] > self._persons_per_run:
                    facts[LIMIT] = self._persons_per_run
                evaluation = evaluate(request, area, values, targets, self.policy, self.training, refused)
            else:
                evaluation = without_targets(request, self.policy)
            findings = (*findings, *evaluation.findings)
        except UNREADABLE as error:
            if not isinstance(error, LocalH5Error):  # damage, or a mistake of ours: the log says where
                _LOG.exception("%s: the targets could not be checked", request.relative_path)
            issues = (f"{request.relative_path}: {type(error).__name__}: {error}",)
        summary = evaluation.summary if evaluation is not None else Summary(issues[0])
        structure = verdict(tuple(finding for finding in findings if finding.severity == "structural"))
        if structure.status == "failed":
            summary = replace(summary, text=f"{structure.summary}; {summary.text}")
        if issues:
            status = "error"
        elif findings:
            status = "failed"
        else:
            status = "passed" if summary.n_targets else "skipped"
        return ValidationRecord(
            area=CheckedFile(request.area_type, request.area_id, result.output.path, result.output.sha256),
            level="targets",
            status=status,  # type: ignore[arg-type]
            policy=self.policy.for_area(request.area_type, request.area_id),
            summary=summary,
            findings=findings,
            targets=() if evaluation is None else evaluation.rows,
            issues=tuple(Issue("validate", message) for message in issues),
            facts={
                "persons": result.weights.persons,
                **({} if population is None else {"reference": population}),
                **facts,
            },
        )


def _by_state(request: AreaBuildRequest) -> tuple[bool, str, str]:
    """Order in which areas of one state follow each other, and those of several come last."""
    inside = request.area_type in ("state", "district")
    codes = [code for item in request.filters for code in item.values] if inside else []
    return not inside, min(codes, default="")[:2], request.key


class _State:
    """The file of a state, and its values when they are asked for."""

    def __init__(self, run: TargetRun, request: AreaBuildRequest) -> None:
        self._run = run
        self._request = request
        self.file = run.read_area(request)[1]

    @cached_property
    def values(self) -> Values:
        return self._run._current(self._request, self.file.digest(), self._run.wanted)


class _States:
    """States that are built, the last one kept: areas of one state come one after the other."""

    def __init__(self, run: TargetRun) -> None:
        self._run = run
        self._files: tuple[Identity, ...] = ()
        self._last: _State | None = None

    def get(self, fips: int) -> _State | None:
        """A state by FIPS code; None when it is not built or cannot be read, which its own check says."""
        request = self._run.state(fips)
        if request is None:
            return None
        path = self._run.settings.layout.output(request)
        files = tuple(map(identity, (path, sidecar_path(path), self._run.values_path(request))))
        if files != self._files:
            self._last = None
            with contextlib.suppress(*UNREADABLE):
                self._last = _State(self._run, request)
            self._files = files
        return self._last

    def file(self, fips: int) -> AreaFile | None:
        """The file of such a state."""
        state = self.get(fips)
        return None if state is None else state.file


@kept(1)
def _settings(config: Path) -> Settings:
    return Settings.read(config)


@kept(1)
def _target_run(config: Path, targets: Path, *others: Path) -> TargetRun:
    """It is read again when one of the other files has changed: it reads these too."""
    return TargetRun.open(Settings.read(config), targets)


def _first_built(settings: Settings) -> Path:
    built = (path for path in map(settings.layout.output, settings.requests) if sidecar_path(path).is_file())
    first = next(built, None)
    if first is None:
        raise ResultError(f"{settings.results}: expected built areas, found none. Run the workflow first.")
    return first
