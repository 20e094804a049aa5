"""A plan as text for a terminal, as Markdown for a pull request, and as JSON for machines."""

from collections.abc import Iterable, Sequence

from local_h5.contracts.plan import OwnDataset, PlanDocument
from local_h5.errors import ResultError
from local_h5.files import forms
from local_h5.requests import FOLDERS, AreaType

_SHOWN = 8
_NAMES = {
    "district": ("district", "districts"),
    "state": ("state", "states"),
    "national": ("nation", "nations"),
    "city": ("city", "cities"),
    "custom": ("custom area", "custom areas"),
}


def as_text(plan: PlanDocument) -> str:
    """Lines for a terminal."""
    return "\n".join(_lines(plan, bullet="  "))


def as_markdown(plan: PlanDocument) -> str:
    """The same, with the areas of each group folded, for a pull request."""
    lines = ["### Plan", "", *_lines(plan, bullet="- ")]
    groups = [(group.reason, group.areas) for group in plan.groups]
    if plan.undecided.areas:
        groups.append((f"undecided: {plan.undecided.reason}", plan.undecided.areas))
    for reason, areas in groups:
        names = ", ".join(f"`{area}`" for area in areas)
        lines += ["", f"<details><summary>{reason}: {_number(areas)}</summary>", "", names, "", "</details>"]
    return "\n".join(lines)


def as_json(plan: PlanDocument) -> str:
    """The plan for machines."""
    return forms.text(plan, "plan", ResultError).rstrip()


def in_words(reason: str, areas: Sequence[str], total: int) -> str:
    """Areas and their reason in one line: ``weights changed in 2 districts: NC-01, NC-04 → 2 districts, nation``.

    Args:
        reason: in words.
        areas: relative paths.
        total: how many areas there are.
    """
    if len(areas) == total > 1:
        return f"all {total} areas ({reason})"
    districts = [_name(area) for area in areas if area.startswith("districts/")]
    named = districts or [_name(area) for area in areas]
    names = ", ".join(named[:_SHOWN]) + (" …" if len(named) > _SHOWN else "")
    where = f" in {_count(len(districts), 'district')}: {names}" if districts else f": {names}"
    return f"{reason}{where} → {_number(areas)}"


def count_types(areas: Iterable[str]) -> dict[AreaType, int]:
    """How many areas of each type, those with none left out."""
    folders = [key.split("/")[0] for key in areas]
    return {area_type: folders.count(folder) for area_type, folder in FOLDERS.items() if folder in folders}


def own_dataset(dataset: OwnDataset) -> str:
    """A dataset with weights and places of its own, in one line."""
    without = [
        f"{count:,} without a {name.removeprefix('households_without_')}"
        for name, count in dataset.without.items()
        if count
    ]
    unweighted = f" ({dataset.unweighted:,} more have the weight 0)" if dataset.unweighted else ""
    text = f"Weights and places are the dataset's own: {dataset.households:,} households{unweighted}"
    text += f", {', '.join(without)}" if without else ", all places known"
    text += f". Take-up is kept ({len(dataset.takeup_kept)} programmes)"
    return text + (f"; the dataset has no {', '.join(dataset.takeup_absent)}." if dataset.takeup_absent else ".")


def _lines(plan: PlanDocument, bullet: str) -> list[str]:
    own = [] if plan.dataset is None else [own_dataset(plan.dataset)]
    if plan.is_empty:
        done = f"Nothing to do: all {len(plan.untouched)} files are up to date."
        return [done, *own, *_orphan_lines(plan, bullet)]
    undecided = plan.undecided
    lines = [f"{_count(len(plan.build), 'file')} would be built, {len(plan.untouched)} left untouched."]
    if not plan.build and not undecided.areas:
        lines = [f"No file would be built: all {len(plan.untouched)} are up to date."]
    lines += own
    lines += [f"{bullet}{group.words}" for group in plan.groups]
    if undecided.areas:
        lines.append(
            f"{bullet}undecided: {_number(undecided.areas)} ({undecided.reason}); each is then compared by content"
        )
    if plan.steps:
        lines.append("Before that:")
        lines += [f"{bullet}{step.name}: {', '.join(step.reasons)}" for step in plan.steps]
    if plan.afterwards:
        lines.append("After that:")
        lines += [f"{bullet}{step.name}: {', '.join(step.reasons)}" for step in plan.afterwards]
    if plan.checked:
        lines.append("Against the targets again, and published or not by what comes out:")
        total = len(plan.build) + len(undecided.areas) + len(plan.untouched)
        lines += [f"{bullet}{in_words(group.reason, group.areas, total)}" for group in plan.checked]
    if plan.build:
        from rich.filesize import decimal  # on use: most plans build nothing

        size = plan.estimate.size_bytes
        of_size = "an unknown number of bytes (nothing like it was built before)" if size is None else decimal(size)
        lines.append(f"About {of_size}, and {_seconds(plan.estimate.job_seconds)}.")
    return [*lines, *_orphan_lines(plan, bullet)]


def _orphan_lines(plan: PlanDocument, bullet: str) -> list[str]:
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


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "an unknown time (no benchmarks yet)"
    amount = f"{seconds:.0f} seconds" if seconds < 600 else f"{seconds / 60:.0f} minutes"
    return f"{amount} of jobs if one runs after another"
