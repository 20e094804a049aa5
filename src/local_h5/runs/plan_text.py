"""A plan as text for a terminal, as Markdown for a pull request, and as JSON for machines."""

from collections.abc import Sequence
from typing import Any

from local_h5.contracts.schema import check
from local_h5.errors import ResultError
from local_h5.runs.plan import Group, Plan, count_types

SCHEMA = "plan"
SCHEMA_VERSION = 2

_SHOWN = 8
_NAMES = {
    "district": ("district", "districts"),
    "state": ("state", "states"),
    "national": ("nation", "nations"),
    "city": ("city", "cities"),
    "custom": ("custom area", "custom areas"),
}


def as_text(plan: Plan) -> str:
    """Lines for a terminal."""
    return "\n".join(_lines(plan, bullet="  "))


def as_markdown(plan: Plan) -> str:
    """The same, with the areas of each group folded away, to paste into a pull request."""
    lines = ["### Plan", "", *_lines(plan, bullet="- ")]
    groups = [(group.reason, group.areas) for group in plan.groups]
    if plan.undecided:
        groups.append((f"undecided: {plan.why_undecided}", plan.undecided))
    for reason, areas in groups:
        names = ", ".join(f"`{area}`" for area in areas)
        lines += ["", f"<details><summary>{reason}: {_number(areas)}</summary>", "", names, "", "</details>"]
    return "\n".join(lines)


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan for machines, checked against ``schemas/plan.schema.json``.

    Raises:
        ResultError: the content does not satisfy the schema.
    """
    data = {
        "schema_version": SCHEMA_VERSION,
        "counts": {
            "build": len(plan.build),
            "undecided": len(plan.undecided),
            "untouched": len(plan.untouched),
        },
        "groups": [
            {
                "reason": group.reason,
                "words": words(group, plan),
                "counts": {str(name): number for name, number in count_types(group.areas).items()},
                "areas": list(group.areas),
            }
            for group in plan.groups
        ],
        "checked": [{"reason": group.reason, "areas": list(group.areas)} for group in plan.checked],
        "undecided": {"reason": plan.why_undecided, "areas": list(plan.undecided)},
        "untouched": list(plan.untouched),
        "steps": [
            {"name": step.name, "reasons": list(step.reasons), "job_seconds": step.job_seconds} for step in plan.steps
        ],
        "orphans": list(plan.orphans),
        "estimate": {"bytes": plan.estimate.size_bytes, "job_seconds": plan.estimate.job_seconds},
    }
    check(SCHEMA, data, "plan", ResultError)
    return data


def words(group: Group, plan: Plan) -> str:
    """A group in one line: ``weights changed in 2 districts: NC-01, NC-04 → 2 districts, state, nation``."""
    total = len(plan.build) + len(plan.undecided) + len(plan.untouched)
    if len(group.areas) == total > 1:
        return f"all {total} areas ({group.reason})"
    where = ""
    if group.districts:
        names = ", ".join(group.districts[:_SHOWN]) + (" …" if len(group.districts) > _SHOWN else "")
        where = f" in {_count(len(group.districts), 'district')}: {names}"
    others = [area for area in group.areas if not area.startswith("districts/")]
    if not group.districts:
        names = ", ".join(_name(area) for area in others[:_SHOWN]) + (" …" if len(others) > _SHOWN else "")
        return f"{group.reason}: {names} → {_number(group.areas)}"
    return f"{group.reason}{where} → {_number(group.areas)}"


def _lines(plan: Plan, bullet: str) -> list[str]:
    if plan.empty:
        return [f"Nothing to do: all {len(plan.untouched)} files are up to date.", *_orphan_lines(plan, bullet)]
    lines = [f"{_count(len(plan.build), 'file')} would be built, {len(plan.untouched)} left untouched."]
    if not plan.build and not plan.undecided:
        lines = [f"No file would be built: all {len(plan.untouched)} are up to date."]
    lines += [f"{bullet}{words(group, plan)}" for group in plan.groups]
    if plan.undecided:
        lines.append(
            f"{bullet}undecided: {_number(plan.undecided)} ({plan.why_undecided}); each is then compared by content"
        )
    if plan.steps:
        lines.append("Before that:")
        lines += [f"{bullet}{step.name}: {', '.join(step.reasons)}" for step in plan.steps]
    if plan.checked:
        lines.append("Against the targets again, and published or not by what comes out:")
        lines += [f"{bullet}{words(group, plan)}" for group in plan.checked]
    if plan.build:
        lines.append(f"About {_bytes(plan.estimate.size_bytes)}, and {_seconds(plan.estimate.job_seconds)}.")
    return [*lines, *_orphan_lines(plan, bullet)]


def _orphan_lines(plan: Plan, bullet: str) -> list[str]:
    if not plan.orphans:
        return []
    return [
        "In the output folders, but no area of this configuration (a run leaves them):",
        *(f"{bullet}{name}" for name in plan.orphans),
    ]


def _number(areas: Sequence[str]) -> str:
    counts = count_types(areas)
    parts = []
    for area_type, (one, _) in _NAMES.items():
        count = counts.get(area_type, 0)  # type: ignore[call-overload]
        if area_type == "city" and count:
            parts.append(", ".join(f"city {_name(area)}" for area in areas if area.startswith("cities/")))
        elif area_type == "custom" and 0 < count <= 3:
            parts.append(", ".join(f"custom {_name(area)}" for area in areas if area.startswith("custom/")))
        elif count:
            parts.append("nation" if area_type == "national" else _count(count, one))
    return ", ".join(parts)


def _name(area: str) -> str:
    return area.rpartition("/")[2].removesuffix(".h5")


def _count(number: int, noun: str) -> str:
    plural = next((many for one, many in _NAMES.values() if one == noun), f"{noun}s")
    return f"{number} {noun if number == 1 else plural}"


def _bytes(size: int | None) -> str:
    if size is None:
        return "an unknown number of bytes (nothing like it was built before)"
    value, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "an unknown time (no benchmarks yet)"
    amount = f"{seconds:.0f} seconds" if seconds < 600 else f"{seconds / 60:.0f} minutes"
    return f"{amount} of jobs if one runs after another"
