"""Validation of a run at the level of targets: what a simulating process does, and what an area's check does."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from local_h5.errors import ResultError
from local_h5.membership import HOUSEHOLD
from local_h5.requests import AreaBuildRequest
from local_h5.results import AreaResult, read_sidecar, sidecar_path
from local_h5.settings import Settings
from local_h5.us import STATE_POSTAL
from local_h5.validation.area import UNREADABLE, StructuralPolicy, verdict
from local_h5.validation.area_file import AreaFile
from local_h5.validation.borrow import Borrowed, assemble, borrow
from local_h5.validation.common_schema import ExpectedColumn
from local_h5.validation.country_model import Model, model_versions
from local_h5.validation.evaluate import evaluate, key_of, variables_of
from local_h5.validation.parts import own_part
from local_h5.validation.policy import Policy
from local_h5.validation.records import Finding, Summary, ValidationRecord
from local_h5.validation.simulate import Runs, Task, simulate
from local_h5.validation.structural import Expectations, check_structure
from local_h5.validation.targets_db import TargetDatabase
from local_h5.validation.training import read_training
from local_h5.validation.values import Values, Wanted

_VALUES = Path("validation", "values")


@dataclass(frozen=True, slots=True)
class TargetRun:
    """A finished build, its target database and the policy."""

    settings: Settings
    database: TargetDatabase
    policy: Policy
    entities: Mapping[str, int]
    training: Collection[int] | None
    """Ids of the targets that the calibration was fitted on; None when that is not known."""

    @classmethod
    def open(cls, settings: Settings, path_to_targets: Path) -> Self:
        """Read the targets of the year that the run's files are of.

        Raises:
            InputError: the database is missing or malformed.
            ResultError: no area of the run is built.
        """
        sample = next((path for path in map(settings.output, settings.requests) if sidecar_path(path).is_file()), None)
        if sample is None:
            raise ResultError(settings.results, expected="built areas", found="none", remedy="Run the workflow first.")
        result = read_sidecar(sidecar_path(sample))
        database = TargetDatabase.read(path_to_targets, result.period)
        fitted = settings.config["validation"]["training"]
        training = None if fitted is None else read_training(Path(fitted))
        return cls(settings, database, settings.policy, result.rows, training)

    def wanted(self) -> Wanted:
        """What all admitted targets of all areas of the run need."""
        variables: set[str] = set()
        reforms: set[str] = set()
        for request in self.settings.requests:
            admitted = [t for t in self.database.of(request) if self.policy.admits(key_of(t, request))]
            more, neutralised = variables_of(admitted, self.entities)
            variables |= more
            reforms |= neutralised
        return Wanted(tuple(sorted(variables)), tuple(sorted(reforms)), self.database.year, model_versions())

    def values_path(self, request: AreaBuildRequest) -> Path:
        """Where the calculated values of an area's own households lie."""
        return self.settings.results / _VALUES / request.relative_path

    def read(self, request: AreaBuildRequest) -> tuple[AreaResult, AreaFile]:
        """An area's sidecar and file."""
        path = self.settings.output(request)
        result = read_sidecar(sidecar_path(path))
        return result, AreaFile.read(path, result)

    def state(self, fips: int) -> AreaBuildRequest | None:
        """The request of a state, when it is built."""
        code = STATE_POSTAL.get(fips)
        for request in self.settings.requests:
            if request.area_type == "state" and request.area_id == code:
                return request if sidecar_path(self.settings.output(request)).is_file() else None
        return None

    def simulate_part(self, part: int, start_model: Callable[[], Model]) -> Runs:
        """Calculate the values of the states of a part, and of households of other areas that no state has."""
        persons = self.settings.config["validation"]["persons_per_run"]
        return simulate(self._tasks(part), self.wanted(), start_model, persons_per_run=persons)

    def values_of_part(self, part: int) -> list[Path]:
        """The files of values that a part has written, or found and kept."""
        mine = [request for request in self.settings.requests if own_part(request, self.settings) == part]
        return [path for path in map(self.values_path, mine) if path.is_file()]

    def _tasks(self, part: int) -> Iterator[Task]:
        mine = [request for request in self.settings.requests if own_part(request, self.settings) == part]
        states = _States(self)
        for request in sorted(mine, key=lambda item: (item.area_type != "state", item.relative_path)):
            if not sidecar_path(self.settings.output(request)).is_file():
                continue
            try:
                _, area = self.read(request)
                if request.area_type == "state":
                    own = np.ones(area.n_rows[HOUSEHOLD], dtype=bool)
                else:
                    own = borrow(area, states.file).own
                content = area if own.all() else area.take(own)
            except UNREADABLE:
                continue  # the area's own check says why, and stands for it
            if own.any():
                yield Task(str(request.relative_path), np.flatnonzero(own), content, self.values_path(request))

    def values_of(self, request: AreaBuildRequest, area: AreaFile, wanted: Wanted) -> dict[str, tuple[str, np.ndarray]]:
        """Values of every household of an area, from the states and its own.

        Raises:
            ResultError: the model refused what they come from, or they are of other files than those that are there.
        """
        states = _States(self)
        if request.area_type == "state":
            whole = self._current(request, area.digest(), wanted)
            return dict(whole.of)
        borrowed: Borrowed = borrow(area, states.file)
        sources = {}
        for fips, (here, _) in borrowed.from_state.items():
            state = self.state(fips)
            file = states.file(fips)
            if len(here) and state is not None and file is not None:
                sources[fips] = file, self._current(state, file.digest(), wanted)
        own = None
        if borrowed.own.any():
            content = area if borrowed.own.all() else area.take(borrowed.own)
            own = self._current(request, content.digest(), wanted)
        return assemble(area, borrowed, sources, own)

    def _current(self, request: AreaBuildRequest, digest: str, wanted: Wanted) -> Values:
        values = Values.read(self.values_path(request))
        if values.key != wanted.key(digest):
            raise ResultError(
                self.values_path(request),
                expected="values of the files and targets that are there now",
                found="values of others",
                remedy="Run the simulation of the targets again.",
            )
        if values.problem:
            raise ResultError(request.relative_path, expected="values that the model calculated", found=values.problem)
        return values

    def validate(self, request: AreaBuildRequest) -> ValidationRecord:
        """Check an area's file as it is now: its structure by its sidecar, and its targets.

        Never raises for what is wrong with the file or its values: that is an error in the record, and no pass.
        """
        result = read_sidecar(sidecar_path(self.settings.output(request)))
        findings: tuple[Finding, ...] = ()
        issues: tuple[str, ...] = ()
        evaluation = None
        run = StructuralPolicy.from_config(self.settings.config)
        population = run.population(request)
        try:
            expected = Expectations(
                {c.variable: ExpectedColumn(c.entity, c.dtype, c.periods) for c in result.columns},
                population,
                self.policy.max_population_error,
                self.policy.require_finite,
            )
            findings = check_structure(self.settings.output(request), result, expected)
            area = AreaFile.read(self.settings.output(request), result)
            targets = self.database.of(request)
            admitted = any(self.policy.admits(key_of(target, request)) for target in targets)
            values = self.values_of(request, area, self.wanted()) if admitted else {}
            evaluation = evaluate(request, area, values, targets, self.policy, self.training)
            findings = (*findings, *evaluation.findings)
        except UNREADABLE as error:
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
            request.area_type,
            request.area_id,
            result.output.path,
            result.output.sha256,
            "targets",
            status,  # type: ignore[arg-type]
            self.policy.for_area(request.area_type, request.area_id),
            summary,
            findings,
            () if evaluation is None else evaluation.rows,
            issues,
            {"persons": result.weights.persons, **({} if population is None else {"reference": population})},
        )


class _States:
    """Files of states, the last one kept: areas of one state come one after the other."""

    def __init__(self, run: TargetRun) -> None:
        self._run = run
        self._last: tuple[int, AreaFile | None] = (0, None)

    def file(self, fips: int) -> AreaFile | None:
        """A state's file by FIPS code; None when it is not built."""
        if self._last[0] != fips:
            request = self._run.state(fips)
            self._last = fips, None if request is None else self._run.read(request)[1]
        return self._last[1]
