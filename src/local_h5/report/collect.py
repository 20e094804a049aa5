"""The facts of a run, from sidecars, validation records and benchmark files."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local_h5.config.settings import Settings
from local_h5.contracts.policy import Level
from local_h5.contracts.records import ValidationRecord, read_record, refusals
from local_h5.contracts.results import AreaResult, read_sidecar, sidecar_path
from local_h5.files.benchmarks import seconds_of
from local_h5.requests import AreaBuildRequest
from local_h5.us import STATE_POSTAL
from local_h5.validation.structural.population import reference_populations

NOT_BUILT, NOT_VALIDATED = "not built", "not validated"


@dataclass(frozen=True, slots=True)
class Area:
    """One area of a run, for the report.

    Attributes:
        request: the area.
        sidecar: None when it is not built.
        records: by level, of the levels that the run asks for.
        awaited: levels without a record.
        reference: persons by the reference table; None without one.
        seconds: of its build job; None when no benchmark was kept.
    """

    request: AreaBuildRequest
    sidecar: AreaResult | None
    records: Mapping[Level, ValidationRecord]
    awaited: tuple[Level, ...]
    reference: float | None
    seconds: float | None

    @property
    def key(self) -> str:
        """``districts/NC-01``, unique in a run."""
        return self.request.name

    @property
    def record(self) -> ValidationRecord | None:
        """The record of the highest level."""
        return self.records.get("targets") or self.records.get("structural")

    @property
    def status(self) -> str:
        """The worst status of its records; ``not built`` without a sidecar, ``not validated`` without a record."""
        if self.sidecar is None:
            return NOT_BUILT
        found: set[str] = {record.status for record in self.records.values()}
        found |= {NOT_VALIDATED} if self.awaited else set()
        return next(s for s in ("error", "failed", NOT_VALIDATED, "passed", "skipped") if s in found)

    @property
    def refused(self) -> tuple[str, ...]:
        """Why the policy does not let it be published; empty when it does."""
        if self.sidecar is None:
            return (NOT_BUILT,)
        missing = tuple(f"{NOT_VALIDATED}: {level}" for level in self.awaited)
        return (*refusals(self.records.values(), self.sidecar.output.sha256), *missing)

    @property
    def reasons(self) -> tuple[str, ...]:
        """All findings and issues, whether they block or not."""
        findings = [str(f.refusal) for record in self.records.values() for f in record.findings]
        issues = [message for record in self.records.values() for message in record.messages]
        return tuple(dict.fromkeys([*self.refused, *issues, *findings]))

    @property
    def persons(self) -> float | None:
        """Weighted persons."""
        return None if self.sidecar is None else self.sidecar.weights.persons

    @property
    def population_error(self) -> float | None:
        """Relative difference of the weighted persons from the reference."""
        if self.persons is None or not self.reference:
            return None
        return self.persons / self.reference - 1

    @property
    def state(self) -> str | None:
        """Postal code of the state that a district lies in."""
        if self.request.area_type != "district":
            return None
        return STATE_POSTAL[int(self.request.filters[0].values[0]) // 100]


@dataclass(frozen=True, slots=True)
class RunData:
    """A run: its areas in the order of the configuration, and its settings."""

    settings: Settings
    areas: tuple[Area, ...]

    def of_type(self, *area_types: str) -> list[Area]:
        """Areas of the given types."""
        return [area for area in self.areas if area.request.area_type in area_types]


def collect(settings: Settings) -> RunData:
    """Read the files of a run. Missing ones are shown as missing.

    Raises:
        ResultError: a sidecar or a record is not JSON, or of another form.
    """
    references = reference_populations(settings.config.structural)
    return RunData(settings, tuple(_area(settings, request, references) for request in settings.requests))


def _area(settings: Settings, request: AreaBuildRequest, references: Mapping[tuple[str, str], float]) -> Area:
    path = sidecar_path(settings.layout.output(request))
    wanted = settings.policy.levels
    places = {level: settings.layout.record(level, request) for level in wanted}
    records = {level: read_record(place) for level, place in places.items() if place.is_file()}
    return Area(
        request,
        read_sidecar(path) if path.is_file() else None,
        records,
        tuple(level for level in wanted if level not in records),
        references.get((request.area_type, request.area_id)),
        seconds_of(settings.layout.benchmark(request.name)),
    )


def odd_columns(areas: Sequence[Area]) -> dict[str, list[str]]:
    """Areas whose variables, dtypes or periods differ from those of most areas, with these variables."""
    schemas = {area.key: area.sidecar.columns for area in areas if area.sidecar is not None}
    if not schemas:
        return {}
    ((usual, _),) = Counter(schemas.values()).most_common(1)
    differing = {
        key: sorted({column.variable for column in {*columns} ^ {*usual}})
        for key, columns in schemas.items()
        if columns != usual
    }
    return {key: names for key, names in differing.items() if names}
