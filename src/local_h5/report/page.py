"""The HTML page: one file with data, figures and script inside, which needs no network."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from statistics import fmean
from typing import Any

from local_h5.contracts.coverage import DATASET, TABLES, empty_fields
from local_h5.report.belief import Belief
from local_h5.report.causes import SharedCause
from local_h5.report.collect import NOT_BUILT, NOT_VALIDATED, RunData, odd_columns
from local_h5.report.figures import MEASURE_COLUMN, MEASURES
from local_h5.report.identity import notes
from local_h5.report.tables import SMALL_SAMPLE

_WORST = 2000
"""Number of targets on the page, the worst ones. The Parquet file has all."""

_BAD = ("failed", "error", NOT_BUILT, NOT_VALIDATED)

Rows = Sequence[Mapping[str, Any]]


def render(
    run: RunData,
    areas: Rows,
    targets: Rows,
    figures: Mapping[str, str],
    causes: Sequence[SharedCause],
    beliefs: Sequence[Belief] | None,
    identity: Sequence[tuple[str, str]],
) -> str:
    """The page.

    Args:
        run: for settings, sidecars and timings.
        areas, targets: rows of :mod:`local_h5.report.tables`.
        figures: SVG by name.
        causes: failures that share a cause.
        beliefs: of the calibration; None if the package has none.
        identity: labels and values of :func:`local_h5.report.identity.identity`.
    """
    data = {
        "identity": identity,
        "notes": notes(run),
        "measures": _measures(areas),
        "headline": _headline(run, areas),
        "tiles": _tiles(areas, targets),
        "causes": [cause.text for cause in causes],
        "warnings": _warnings(run, areas),
        "areas": [_area(row) for row in sorted(areas, key=_bad_first)],
        "targets": [_target(row) for row in worst(targets)],
        "target_note": f"{min(len(targets), _WORST):,} of {len(targets):,} targets, worst first.",
        "training": _training(targets),
        "belief_note": _belief_note(beliefs),
        "beliefs": [_belief(item) for item in beliefs or ()],
        "coverage": _coverage(run),
        "timings": [[area.key, area.seconds] for area in run.areas if area.seconds is not None],
        "footer": f"Results in {run.settings.results}; configuration from {run.settings.where}.",
    }
    page = files("local_h5.report").joinpath("page.html").read_text(encoding="utf-8")
    for name, figure in figures.items():
        page = page.replace(f"<!--{name}-->", f'<div id="{name}">{figure}</div>')
    # No text may end the script element, or open a comment in it.
    text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return page.replace("/*data*/", text)


def worst(targets: Rows) -> list[Mapping[str, Any]]:
    """The worst targets first: failing ones without a value, then by relative error."""
    judged = [row for row in targets if row["verdict"] != "not_evaluated"]

    def rank(row: Mapping[str, Any]) -> tuple[bool, float]:
        error = row["relative_error"]
        return error is not None, -abs(error or 0.0)

    return sorted(judged, key=rank)[:_WORST]


def _headline(run: RunData, areas: Rows) -> str:
    refused = [row["area_id"] for row in areas if not row["releasable"]]
    level = run.settings.policy.level if run.settings.policy.enabled else "off"
    start = f"{len(areas)} areas, validation level {level}. "
    if not refused:
        return start + "Every file is releasable: the policy lets it be published."
    shown = ", ".join(refused[:12]) + (" …" if len(refused) > 12 else "")
    return start + f"Not releasable: {shown}."


def _tiles(areas: Rows, targets: Rows) -> list[list[str]]:
    counts = {status: sum(row["status"] == status for row in areas) for status in ("passed", "skipped", *_BAD)}
    tiles = [
        [status, f"{count:,}", "bad" if count and status in _BAD else "good"]
        for status, count in counts.items()
        if count or status in ("passed", "failed")
    ]
    refused = sum(not row["releasable"] for row in areas)
    tiles.append(["not releasable", f"{refused:,}", "bad" if refused else "good"])
    judged = [row for row in targets if row["verdict"] != "not_evaluated"]
    if judged:
        failing = sum(row["verdict"] == "failed" for row in judged)
        tiles.append(["targets", f"{len(judged):,}", ""])
        tiles.append(["targets failing", f"{failing / len(judged):.1%}", ""])
    return tiles


def _warnings(run: RunData, areas: Rows) -> list[str]:
    small = [row["area_id"] for row in areas if row["small_sample"]]
    states = {area.request.area_id: area.sidecar.coverage for area in run.of_type("state") if area.sidecar}
    warnings = empty_fields(states, DATASET if run.settings.from_dataset else TABLES)
    if small:
        shown = ", ".join(small[:15]) + (" …" if len(small) > 15 else "")
        text = f"Small areas: {len(small)} have an effective sample of fewer than {SMALL_SAMPLE:.0f} households"
        warnings.append(f"{text}; their estimates are unsteady: {shown}.")
    for key, names in odd_columns(run.areas).items():
        warnings.append(f"{key} differs from the other files in {', '.join(names[:8])}.")
    return warnings


def _bad_first(row: Mapping[str, Any]) -> tuple[bool, int]:
    return row["releasable"], _BAD.index(row["status"]) if row["status"] in _BAD else len(_BAD)


def _measures(areas: Rows) -> list[list[str]]:
    """Measures of the map with a value for some district, and their names. The page shows the first one."""
    districts = [row for row in areas if row["area_type"] == "district"]
    return [
        [measure, name]
        for measure, name in MEASURES.items()
        if any(row[MEASURE_COLUMN[measure]] is not None for row in districts)
    ]


def _area(row: Mapping[str, Any]) -> list[Any]:
    return [
        row["area_id"],
        row["area_type"],
        row["status"],
        "yes" if row["releasable"] else "no",
        row["n_targets"],
        row["n_failing"],
        row["mean_abs_rel_error"],
        row["persons"],
        row["population_error"],
        row["effective_sample_size"],
        row["largest_share"],
        row["reasons"],
    ]


def _target(row: Mapping[str, Any]) -> list[Any]:
    error, trained = row["relative_error"], row["in_training"]
    return [
        row["area_id"],
        row["variable"] + (" (reform)" if row["reform"] else ""),
        row["constraints"],
        row["target"],
        row["value"],
        error,
        None if error is None else abs(error),
        "unknown" if trained is None else ("yes" if trained else "no"),
        row["verdict"],
        row["reason"],
        row["target_id"],
    ]


def _training(targets: Rows) -> list[list[Any]]:
    judged = [row for row in targets if row["verdict"] != "not_evaluated"]
    rows = []
    for label, wanted in (("in training", True), ("held out", False), ("not known", None)):
        group = [row for row in judged if row["in_training"] is wanted]
        errors = [abs(row["relative_error"]) for row in group if row["relative_error"] is not None]
        if group:
            failing = sum(row["verdict"] == "failed" for row in group)
            rows.append([label, len(group), failing, fmean(errors) if errors else None])
    return rows


def _belief(item: Belief) -> list[Any]:
    gap = None if item.built is None else (item.believed - item.built) / max(abs(item.target), 1.0)
    return [item.name, item.target_id, item.target, item.believed, item.built, gap]


def _belief_note(beliefs: Sequence[Belief] | None) -> str:
    if beliefs is None:
        return "The calibration package carries no matrix, targets and names (X_sparse, targets_df, target_names)."
    compared = [item for item in beliefs if item.built is not None]
    return f"{len(beliefs):,} targets of the calibration, {len(compared):,} of them validated on built files."


def _coverage(run: RunData) -> list[list[Any]]:
    shares: dict[str, list[tuple[float, str]]] = {}
    for area in run.areas:
        for name, share in (area.sidecar.coverage if area.sidecar else {}).items():
            shares.setdefault(name, []).append((share, area.key))
    return [
        [name, len(found), fmean(share for share, _ in found), *min(found)] for name, found in sorted(shares.items())
    ]
