"""A plan as text for a terminal, as Markdown for a pull request, and as JSON for machines."""

from collections.abc import Sequence

from local_h5.contracts.plan import BuiltGroup, CheckedGroup, PlanCounts, PlanDocument, Undecided
from local_h5.errors import ResultError
from local_h5.files import forms
from local_h5.runs.plan import Group, Plan, count_types

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


def as_json(plan: Plan) -> str:
    """The plan for machines."""
    document = PlanDocument(
        counts=PlanCounts(len(plan.build), len(plan.undecided), len(plan.untouched)),
        groups=tuple(
            BuiltGroup(group.reason, words(group, plan), count_types(group.areas), group.areas) for group in plan.groups
        ),
        checked=tuple(CheckedGroup(group.reason, group.areas) for group in plan.checked),
        undecided=Undecided(plan.why_undecided, plan.undecided),
        untouched=plan.untouched,
        steps=plan.steps,
        orphans=plan.orphans,
        estimate=plan.estimate,
    )
    return forms.text(document, "plan", ResultError).rstrip()


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
