"""The structural verdict on one area, from the run's configuration. Area jobs call it after they wrote their file."""

import logging
from pathlib import Path
from typing import Any, Self

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from local_h5.contracts.config import StructuralConfig
from local_h5.contracts.policy import Policy
from local_h5.contracts.records import CheckedFile, Finding, Summary, ValidationRecord
from local_h5.contracts.results import AreaResult, Issue, Validation
from local_h5.errors import LocalH5Error
from local_h5.files.hdf5 import H5_ERRORS
from local_h5.requests import AreaBuildRequest
from local_h5.validation.structural.checks import Expectations, check_structure
from local_h5.validation.structural.common_schema import CommonSchema
from local_h5.validation.structural.population import References, reference_populations

_LOG = logging.getLogger(__name__)

UNREADABLE = (LocalH5Error, *H5_ERRORS, IndexError)
"""Errors when a damaged or incomplete file is read."""


class StructuralPolicy(Struct, frozen=True):
    """The policy and the reference populations of a run."""

    policy: Policy
    references: References

    @classmethod
    def from_config(cls, config: StructuralConfig) -> Self:
        """From the part of a configuration that decides.

        Raises:
            ConfigError: the population table is missing or malformed.
        """
        policy = config.validation.of_run(example=config.inputs.example)
        return cls(policy, reference_populations(config) if policy.enabled else {})

    def population(self, request: AreaBuildRequest) -> float | None:
        """Reference number of persons of an area."""
        return self.references.get((request.area_type, request.area_id))

    def decides(self, request: AreaBuildRequest) -> dict[str, Any]:
        """Limits and population for an area's structural verdict (JSON), a component of its fingerprint."""
        return {**to_builtins(self.policy.structural()), "population": self.population(request)}


def validate_structure(
    path: Path, result: AreaResult, schema: CommonSchema, run: StructuralPolicy
) -> tuple[AreaResult, ValidationRecord]:
    """Check a file's structure. Returns the result with its verdict, and the record.

    A bad file gets the status ``failed``, and a file that cannot be read the status ``error``; neither raises.

    Args:
        path: the H5.
        result: of its build.
        schema: what every file of the run has.
        run: policy and references.
    """
    request, policy = result.request, run.policy
    population = run.population(request)
    findings: tuple[Finding, ...] = ()
    issues: tuple[str, ...] = ()
    if not policy.enabled:
        validation = Validation("skipped", "validation.enabled is false")
    else:
        expected = Expectations(
            schema.columns,
            population,
            policy.max_population_error,
            policy.require_finite,
            schema.membership,
            schema.places,
        )
        try:
            findings = check_structure(path, result, expected)
            validation = verdict(findings)
        except UNREADABLE as error:
            _LOG.exception("%s: the structure could not be checked", path)
            issues = (f"{path}: the structure could not be checked: {type(error).__name__}: {error}",)
            validation = Validation("error", issues[0])
    record = ValidationRecord(
        area=CheckedFile(request.area_type, request.area_id, result.output.path, result.output.sha256),
        level="structural",
        status=validation.status,
        policy=policy.structural(),
        summary=Summary(validation.summary),
        findings=findings,
        issues=tuple(Issue("validate", message) for message in issues),
        facts={"persons": result.weights.persons, **({} if population is None else {"reference": population})},
    )
    messages = [*issues, *(f"{finding.check}: {finding.message}" for finding in findings)]
    judged = replace(
        result,
        validation=validation,
        issues=(
            *(issue for issue in result.issues if issue.phase != "validate"),
            *(Issue("validate", message) for message in messages),
        ),
    )
    return judged, record


def verdict(findings: tuple[Finding, ...]) -> Validation:
    """The verdict of structural checks, for the sidecar."""
    if not findings:
        return Validation("passed", "structure: all checks passed")
    names = list(dict.fromkeys(finding.check for finding in findings))
    return Validation("failed", f"structure: {', '.join(names)}: {findings[0].message}")
