"""Failures with one cause: a state or the nation that fails because of one of its districts."""

from collections.abc import Sequence
from dataclasses import dataclass

from local_h5.contracts.records import TargetRow
from local_h5.report.collect import Area, RunData


@dataclass(frozen=True, slots=True)
class SharedCause:
    """Areas that would not fail without the surplus or deficit of some districts.

    Attributes:
        districts: which fail themselves.
        areas: which fail because of them.
        text: one line.
    """

    districts: tuple[str, ...]
    areas: tuple[str, ...]
    text: str


def shared_causes(run: RunData) -> tuple[SharedCause, ...]:
    """Failing states, and a failing nation, that districts with a failing population explain.

    An area's failure is explained when its population without the surplus of the failing districts inside it is within
    the tolerance. Targets are treated in the same way: the errors of the districts' own rows are subtracted.
    """
    failing = [area for area in run.of_type("district") if area.status in ("failed", "error") and area.persons]
    tolerance = run.settings.policy.max_population_error
    found: dict[tuple[str, ...], list[str]] = {}
    lines: dict[tuple[str, ...], list[str]] = {}
    for parent in run.of_type("state", "national"):
        if parent.status != "failed":
            continue
        inside = [d for d in failing if parent.request.area_type == "national" or d.state == parent.request.area_id]
        guilty = [d for d in inside if d.population_error is not None and abs(d.population_error) > tolerance]
        line = _explained(parent, guilty, tolerance)
        if line:
            key = tuple(sorted(d.request.area_id for d in guilty))
            found.setdefault(key, []).append(parent.request.area_id)
            lines.setdefault(key, []).append(line)
    by_districts = sorted(_merged(found).items())
    return tuple(
        SharedCause(
            districts,
            tuple(sorted(areas)),
            f"{', '.join(districts)} and {', '.join(sorted(areas))} fail for one cause: "
            + "; ".join(line for key in lines for line in lines[key] if set(key) <= set(districts)),
        )
        for districts, areas in by_districts
    )


def _merged(found: dict[tuple[str, ...], list[str]]) -> dict[tuple[str, ...], list[str]]:
    """Merge a cause into a larger one that has all of its districts."""
    merged: dict[tuple[str, ...], list[str]] = {}
    for key in sorted(found, key=len, reverse=True):
        home = next((other for other in merged if set(key) <= set(other)), key)
        merged.setdefault(home, []).extend(found[key])
    return merged


def _surplus(area: Area) -> float:
    return 0.0 if area.persons is None or area.reference is None else area.persons - area.reference


def _explained(parent: Area, guilty: Sequence[Area], tolerance: float) -> str:
    """The explanation of a parent's failure; empty when the districts do not explain it."""
    error = parent.population_error
    if not guilty or error is None or parent.reference is None:
        return ""
    surplus = sum(map(_surplus, guilty))
    rest = error - surplus / parent.reference
    failing, mended = _targets(parent, guilty)
    population_fails = abs(error) > tolerance
    explained = abs(rest) <= tolerance if population_fails else failing > 0 and mended == failing
    if not explained:
        return ""
    line = f"{parent.request.area_id} has {error:+.1%} persons, {rest:+.2%} without {surplus:+,.0f} of them"
    return line + (f", and {mended} of its {failing} failing targets are met without them" if failing else "")


def _targets(parent: Area, guilty: Sequence[Area]) -> tuple[int, int]:
    """Failing targets of a parent, and how many of them are met without the districts' errors."""
    record = parent.records.get("targets")
    if record is None:
        return 0, 0
    errors: dict[tuple[str, str, int], float] = {}
    for district in guilty:
        own = district.records.get("targets")
        for row in own.targets if own is not None else ():
            errors[_family(row)] = errors.get(_family(row), 0.0) + (row.error or 0.0)
    failing = [row for row in record.targets if row.verdict == "failed" and row.error is not None]
    limit = record.policy.max_rel_abs_error or 0.0
    mended = [
        row
        for row in failing
        if _family(row) in errors
        and abs((row.error or 0.0) - errors[_family(row)]) <= limit * max(abs(row.target), 1.0)
    ]
    return len(failing), len(mended)


def _family(row: TargetRow) -> tuple[str, str, int]:
    return row.variable, row.constraints, row.reform
