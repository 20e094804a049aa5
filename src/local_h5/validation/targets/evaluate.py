"""Compare a file with its targets: the value of each, its error, and the verdict by the policy."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from types import MappingProxyType

import numpy as np

from local_h5.contracts.policy import Policy, TargetKey
from local_h5.contracts.records import Finding, Summary, TargetRow
from local_h5.requests import AreaBuildRequest
from local_h5.validation.targets.constraints import People, counted_entity
from local_h5.validation.targets.database import Target, parts
from local_h5.validation.targets.loaded_area import AreaFile
from local_h5.validation.targets.values import reform_name

NO_VALUE = "the database has no value"
_NAMED = 3
"""Targets named in the line about a failure."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One row for each evaluated target, the findings, and the counts."""

    rows: tuple[TargetRow, ...]
    findings: tuple[Finding, ...]
    summary: Summary


def variables_of(targets: Iterable[Target], entities: Mapping[str, int]) -> tuple[set[str], set[str]]:
    """What targets need: variables to calculate, and variables to neutralise."""
    variables: set[str] = set()
    reforms: set[str] = set()
    for target in targets:
        variables |= {constraint.variable for constraint in target.conditions}
        if target.reform:
            reforms.add(target.measured)
        elif counted_entity(target.measured, entities) is None:
            variables |= set(parts(target.measured))
    return variables, reforms


def key_of(target: Target, request: AreaBuildRequest) -> TargetKey:
    """What the policy's rules can ask about a target of an area."""
    return TargetKey(request.area_type, request.area_id, target.variable, target.stratum, target.reform > 0)


def evaluate(
    request: AreaBuildRequest,
    area: AreaFile,
    values: Mapping[str, tuple[str, np.ndarray]],
    targets: Sequence[Target],
    policy: Policy,
    training: Collection[int] | None = None,
    refused: Mapping[str, str] = MappingProxyType({}),
) -> Evaluation:
    """Evaluate an area's targets.

    Args:
        request: the area.
        area: its file: links and weights.
        values: calculated; a target that needs another variable fails.
        targets: of the area.
        policy: which of them count, and how far off they may be.
        training: ids of the targets that the calibration was fitted on; None when that is not known.
        refused: variable → why it says nothing of this area; targets that need it are not evaluated.
    """
    people = People(area.unit_of, area.n_rows, values)
    weight = {entity: area.weight[area.household_of(entity)] for entity in area.entities}
    rows, findings, keys = [], [], []
    excluded = 0
    for target in targets:
        key = key_of(target, request)
        if not policy.admits(key):
            excluded += 1
            continue
        if target.value is None:
            rows.append(_row(target, 0.0, None, training, "not_evaluated", NO_VALUE))
            keys.append(key)
            continue
        missing = _missing(target, values, area.n_rows)
        reasons = [refused[name] for name in missing if name in refused]
        if reasons:
            rows.append(_row(target, target.value, None, training, "not_evaluated", "; ".join(reasons)))
            keys.append(key)
            continue
        value = None if missing else measure(target, people, weight)
        row, finding = _judge(target, target.value, value, policy, key, training, missing)
        rows.append(row)
        keys.append(key)
        if finding is not None:
            findings.append(finding)
    findings += _area_findings(request, rows, keys, policy)
    return Evaluation(tuple(rows), tuple(findings), summarise(rows, excluded, findings))


def without_targets(request: AreaBuildRequest, policy: Policy) -> Evaluation:
    """The evaluation of an area without targets. Its file is not needed."""
    findings = _area_findings(request, [], [], policy)
    return Evaluation((), tuple(findings), summarise([], 0, findings))


def measure(target: Target, people: People, weight: Mapping[str, np.ndarray]) -> float:
    """The value of a target: a weighted count, or a weighted sum over the units of its stratum.

    Args:
        target: whose variables all have values.
        people: persons, links and values.
        weight: entity → weight of each row's household.
    """
    members = people.meeting(target.conditions)
    if target.reform:
        return _sum(people, weight, reform_name(target.measured), members)
    counted = counted_entity(target.measured, people.n_rows)
    if counted is not None:
        return float(weight[counted][people.units(counted, members)].sum())
    return sum(_sum(people, weight, name, members) for name in parts(target.measured))


def _sum(people: People, weight: Mapping[str, np.ndarray], name: str, members: np.ndarray) -> float:
    entity, values = people.values[name]
    inside = people.units(entity, members)
    return float(weight[entity][inside] @ values[inside].astype(np.float64))


def _missing(
    target: Target, values: Mapping[str, tuple[str, np.ndarray]], entities: Mapping[str, int]
) -> tuple[str, ...]:
    variables, reforms = variables_of([target], entities)
    needed = variables | {reform_name(name) for name in reforms}
    return tuple(sorted(needed - values.keys()))


def _judge(
    target: Target,
    goal: float,
    value: float | None,
    policy: Policy,
    key: TargetKey,
    training: Collection[int] | None,
    missing: tuple[str, ...],
) -> tuple[TargetRow, Finding | None]:
    name = f"target {target.target_id} ({target.variable}{', ' if target.constraints else ''}{target.condition})"
    if value is None:
        reason = f"the installed model does not have {', '.join(missing)}"
        return _row(target, goal, None, training, "failed", reason), None
    if not np.isfinite(value):
        finding = None
        if policy.require_finite:
            finding = Finding("finite", "sanity", f"{name} is {value}", 1, "validation.require_finite")
        return _row(target, goal, None, training, "failed", f"the value is {value}", sane=False), finding
    ceiling = policy.ceiling_of(target.variable)
    sane = ceiling is None or abs(value) <= ceiling
    relative = (value - goal) / max(abs(goal), 1.0)
    limit = policy.max_error_of(key)
    near = abs(relative) <= limit
    reason = "" if near else f"{relative:+.1%}, more than {limit:.1%} off"
    finding = None
    if not sane:
        text = f"{name} is {value:,.0f}, above its ceiling of {ceiling:,.0f}"
        finding = Finding("ceiling", "sanity", text, 1, "validation.sanity_ceilings")
        reason = f"above its ceiling of {ceiling:,.0f}"
    verdict = "passed" if near and sane else "failed"
    row = _row(target, goal, value, training, verdict, reason, sane=sane)
    return row, finding


def _row(
    target: Target,
    goal: float,
    value: float | None,
    training: Collection[int] | None,
    verdict: str,
    reason: str,
    *,
    sane: bool | None = None,
) -> TargetRow:
    error = None if value is None else value - goal
    return TargetRow(
        target.target_id,
        target.stratum,
        target.variable,
        target.period,
        target.reform,
        target.condition,
        goal,
        value,
        error,
        None if error is None else error / max(abs(goal), 1.0),
        None if training is None else target.target_id in training,
        sane,
        verdict,  # type: ignore[arg-type]
        "; ".join(filter(None, (reason, target.moved))),
    )


def _area_findings(
    request: AreaBuildRequest, rows: Sequence[TargetRow], keys: Sequence[TargetKey], policy: Policy
) -> list[Finding]:
    place = request.area_type, request.area_id
    findings = _limits("targets", rows, *policy.area_limits(*place), "validation.")
    for override in policy.group_limits(*place):
        group = [row for row, key in zip(rows, keys, strict=True) if override.admits(key)]
        share = override.limits.get("max_share_failing", 1.0)
        label = " ".join(f"{name} {'/'.join(map(str, v))}" for name, v in override.conditions.items())
        least = int(override.limits.get("min_targets", 0))
        findings += _limits(f"targets of {label}", group, share, least, "validation.overrides: ")
    return findings


def _limits(label: str, rows: Sequence[TargetRow], max_share: float, least: int, where: str) -> list[Finding]:
    judged = [row for row in rows if row.verdict != "not_evaluated"]
    failing = [row for row in judged if row.verdict == "failed"]
    findings = []
    if len(judged) < least:
        text = f"{len(judged)} {label}, at least {least} are asked for"
        findings.append(Finding("count", "targets", text, 1, f"{where}min_targets"))
    if judged and len(failing) / len(judged) > max_share:
        worst = sorted(failing, key=lambda row: -abs(row.relative_error or np.inf))
        named = "; ".join(f"{_name(row)} {row.reason}" for row in worst[:_NAMED])
        text = f"{len(failing)} of {len(judged)} {label} fail, more than {max_share:.0%}: {named}"
        findings.append(Finding("share", "targets", text, len(failing), f"{where}max_share_failing"))
    return findings


def _name(row: TargetRow) -> str:
    return f"{row.variable}{f' ({row.constraints})' if row.constraints else ''}"


def summarise(rows: Sequence[TargetRow], excluded: int, findings: Sequence[Finding]) -> Summary:
    """Counts and mean errors: of all targets, and of those that the calibration was fitted on."""
    judged = [row for row in rows if row.verdict != "not_evaluated"]
    failing = sum(row.verdict == "failed" for row in judged)
    training = [row for row in judged if row.in_training]
    holdout = [row for row in judged if row.in_training is False]
    text = f"{len(judged)} targets, {failing} failing"
    refused = sum(row.verdict == "not_evaluated" and row.reason != NO_VALUE for row in rows)
    if refused:
        text += f", {refused} that the file cannot say"
    if findings:
        text += f"; {findings[0].message}"
    return Summary(
        text,
        len(judged),
        failing,
        excluded,
        failing / len(judged) if judged else None,
        _mean(judged),
        median(errors) if (errors := _errors(judged)) else None,
        len(training),
        _mean(training),
        _mean(holdout),
    )


def _errors(rows: Iterable[TargetRow]) -> list[float]:
    return [abs(row.relative_error) for row in rows if row.relative_error is not None]


def _mean(rows: Iterable[TargetRow]) -> float | None:
    errors = _errors(rows)
    return fmean(errors) if errors else None
