"""The HTML page: one file with data, charts, style and script inside, which needs no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from markupsafe import Markup

from local_h5.contracts.coverage import DATASET, TABLES, empty_fields
from local_h5.report.belief import Belief
from local_h5.report.causes import SharedCause
from local_h5.report.charts import STYLE
from local_h5.report.collect import NOT_BUILT, NOT_VALIDATED, RunData, odd_columns
from local_h5.report.identity import name_of, notes
from pe_data.documents.collection import demonstrations
from pe_data.pages.templates import environment, script_json, style, text_of
from pe_data.read.weighted import SMALL

_OWN = "local_h5.report"
_WORST = 1000
"""Number of targets on the page, the worst ones. The Parquet file has all."""
_DRAWN = 500
"""Rows of a table on the screen at once."""
_FEW = 10

_BAD = ("error", "failed", NOT_BUILT, NOT_VALIDATED)

Rows = Sequence[Mapping[str, Any]]
Lines = Sequence[tuple[str, str]]
"""Labels and values."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that the page's script draws.

    Attributes:
        name: for people who do not see it.
        columns: title, explanation, and how its numbers are shown (``percent``, ``number0``, …).
        rows: values.
        status: column whose text is the class of the row; None without.
        filter: whether it has a box to filter it.
    """

    name: str
    columns: Sequence[tuple[str, str, str]]
    rows: Sequence[Sequence[Any]]
    status: int | None = None
    filter: bool = False

    def data(self) -> dict[str, Any]:
        """For the script."""
        return {"columns": self.columns, "rows": self.rows, "limit": _DRAWN, "status": self.status}


@dataclass(frozen=True, slots=True)
class Section:
    """A part of what changed: a title, and a note, a table (by its id), or both."""

    title: str
    note: str = ""
    table: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What changed against another run.

    Attributes:
        sides: of both: what was compared.
        summary: one line.
        sections: in order.
        tables: those of the sections, by id.
        persons: district → relative change of its weighted persons.
    """

    sides: Lines
    summary: str
    sections: Sequence[Section]
    tables: Mapping[str, Table]
    persons: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contents:
    """What the page is made from.

    Attributes:
        run: for settings, sidecars and timings.
        areas, targets: rows of :mod:`local_h5.report.tables`.
        charts: SVG by name; only those that show something.
        map: of :func:`local_h5.report.district_map.on_page`; empty without a value.
        true_shapes: whether the map is one.
        causes: failures that share a cause.
        beliefs: of the calibration; None if the package has none.
        identity: labels and values of :func:`local_h5.report.identity.identity`.
        change: against another run; None without.
        release: labels and values of what publishing would do; empty without.
        hidden: what is not on the page, and how to get it there.
    """

    run: RunData
    areas: Rows
    targets: Rows
    charts: Mapping[str, str]
    map: Mapping[str, Any]
    true_shapes: bool
    causes: Sequence[SharedCause]
    beliefs: Sequence[Belief] | None
    identity: Lines
    change: Change | None
    release: Lines
    hidden: Lines


def render(given: Contents) -> str:
    """The page."""
    run, areas, targets = given.run, given.areas, given.targets
    tables = {**_tables(given), **(given.change.tables if given.change else {})}
    map_data = given.map.get("data")
    data = {"tables": {name: table.data() for name, table in tables.items()}, "map": map_data}
    dead = sum(not ((row["value"] or 0) > 0 and (row["target"] or 0) > 0) for row in _judged(targets))
    seconds = [row["seconds"] for row in areas if row["seconds"] is not None]
    said = notes(run)
    return (
        environment(_OWN)
        .get_template("page.html")
        .render(
            css=Markup(style() + text_of("page.css", _OWN)),
            js=Markup(text_of("map.js") + text_of("page.js", _OWN)),
            chart_css=Markup("".join(f".chart {rule}}}" for rule in STYLE.split("}") if rule)),
            run=name_of(run),
            notes=said,
            demonstration=bool(demonstrations(text for _, text in said)),
            headline=_headline(run, areas),
            identity=given.identity,
            tiles=_tiles(areas, targets),
            contents=_contents(given, tables),
            causes=[cause.text for cause in given.causes],
            warnings=_warnings(run, areas),
            change=given.change,
            map=given.map,
            true_shapes=given.true_shapes,
            charts={name: Markup(chart) for name, chart in given.charts.items()},
            tables=tables,
            not_drawn=f"{dead:,}" if dead else "",
            target_note=_target_note(targets),
            belief_note=_belief_note(given.beliefs),
            time_note=f"{len(seconds):,} jobs of areas, {sum(seconds):,.0f} seconds together.",
            release=given.release,
            hidden=given.hidden,
            footer=f"Results in {run.settings.results}; configuration from {run.settings.where}.",
            data=Markup(script_json(data)),
        )
    )


def _contents(given: Contents, tables: Mapping[str, Table]) -> list[tuple[str, str]]:
    """Id and title of the sections that are there, in their order."""
    there = {
        ("change", "What changed"): given.change is not None,
        ("districts", "Congressional districts"): bool(given.map),
        ("all-areas", "Areas"): True,
        ("all-targets", "Targets"): "targets" in tables,
        ("errors", "Errors"): "error_by_family" in given.charts,
        ("belief", "The calibration's own belief"): "beliefs" in tables,
        ("weights", "Weights"): bool({"weights", "sample_sizes"} & given.charts.keys()),
        ("coverage-of-places", "Coverage of geography"): "coverage" in tables,
        ("times", "Timings"): "slowest" in tables,
        ("release", "Release"): bool(given.release),
        ("not-here", "Not in this dossier"): bool(given.hidden),
    }
    return [section for section, shown in there.items() if shown]


def _tables(given: Contents) -> dict[str, Table]:
    """Every table that has a row, by the id of its element."""
    areas, targets = given.areas, given.targets
    judged = _judged(targets)
    built = sorted(
        (row for row in areas if row["effective_sample_size"]), key=lambda row: float(row["effective_sample_size"])
    )
    timed = sorted((row for row in areas if row["seconds"] is not None), key=lambda row: -float(row["seconds"]))
    rows = [_area(row, bool(judged)) for row in sorted(areas, key=_bad_first)]
    of_targets = [("Targets", "", "number0"), ("Failing", "", "number0"), ("Mean |error|", "", "percent")]
    known = any(row["in_training"] is not None for row in judged)
    found = {
        "areas": Table(
            "areas",
            [
                ("Area", "", "plain"), ("Type", "", "plain"), ("Status", "", "plain"),
                ("Releasable", "whether the policy lets it be published", "plain"),
                *(of_targets if judged else []),
                ("Persons", "weighted", "number0"),
                ("Population error", "against the reference table", "percent"),
                ("Eff. sample", "Kish's effective sample size, households", "number0"),
                ("Largest share", "of the household weight", "percent"), ("Why", "", "plain"),
            ],
            rows, status=2, filter=True,
        ),
        "targets": Table(
            "worst targets",
            [
                ("Area", "", "plain"), ("Variable", "", "plain"), ("Stratum", "", "plain"),
                ("Target", "", "number0"), ("Value", "", "number0"), ("Relative error", "", "percent"),
                ("|error|", "", "percent"), ("Verdict", "", "plain"), ("Reason", "", "plain"), ("Id", "", "plain"),
                *([("In training", "", "plain")] if known else []),
            ],
            [_target(row, known) for row in worst(targets)], status=7, filter=True,
        ),
        "training": Table(
            "targets in training and held out",
            [("Targets", "", "plain"), ("Number", "", "number0"), ("Failing", "", "number0"),
             ("Mean |error|", "", "percent")],
            _training(targets) if known else [],
        ),
        "beliefs": Table(
            "the calibration's own belief",
            [
                ("Target", "", "plain"), ("Id", "", "plain"), ("Value fitted to", "", "number0"),
                ("Believed", "weights × matrix", "number0"), ("Built", "value of the built file", "number0"),
                ("Believed − built", "relative to the target", "percent"),
            ],
            [_belief(item) for item in given.beliefs or ()], filter=True,
        ),
        "smallest": Table(
            "smallest samples",
            [("Smallest", "", "plain"), ("Eff. sample", "Kish's effective sample size, households", "number0"),
             ("Largest share", "of the household weight", "percent"), ("Persons", "weighted", "number0")],
            [[row["area_id"], row["effective_sample_size"], row["largest_share"], row["persons"]]
             for row in built[:_FEW]],
        ),
        "coverage": Table(
            "coverage of geography",
            [("Field", "", "plain"), ("Areas", "", "number0"), ("Mean", "", "percent"), ("Lowest", "", "percent"),
             ("Lowest in", "", "plain")],
            _coverage(given.run),
        ),
        "slowest": Table(
            "slowest jobs",
            [("Area", "", "plain"), ("Seconds", "", "number2")],
            [[f"{row['area_type']} {row['area_id']}", row["seconds"]] for row in timed[:_FEW]],
        ),
    }  # fmt: skip
    return {name: table for name, table in found.items() if table.rows}


def _judged(targets: Rows) -> list[Mapping[str, Any]]:
    return [row for row in targets if row["verdict"] != "not_evaluated"]


def worst(targets: Rows) -> list[Mapping[str, Any]]:
    """The worst targets first: failing ones without a value, then by relative error."""

    def rank(row: Mapping[str, Any]) -> tuple[bool, float]:
        error = row["relative_error"]
        return error is not None, -abs(error or 0.0)

    return sorted(_judged(targets), key=rank)[:_WORST]


def _target_note(targets: Rows) -> str:
    judged = _judged(targets)
    failing = sum(row["verdict"] == "failed" for row in judged)
    return (
        f"{min(len(judged), _WORST):,} of {len(judged):,} evaluated targets, worst first; {failing:,} fail. "
        "targets.parquet has all."
    )


def _headline(run: RunData, areas: Rows) -> str:
    refused = [row["area_id"] for row in areas if not row["releasable"]]
    level = run.settings.policy.level if run.settings.policy.enabled else "off"
    start = f"{len(areas)} areas, validation level {level}. "
    if not refused:
        return start + "Every file is releasable: the policy lets it be published."
    shown = ", ".join(refused[:12]) + (" …" if len(refused) > 12 else "")
    return start + f"Not releasable: {shown}."


def _tiles(areas: Rows, targets: Rows) -> list[tuple[str, str, str]]:
    counts = {status: sum(row["status"] == status for row in areas) for status in ("passed", "skipped", *_BAD)}
    tiles = [
        (status, f"{count:,}", "bad" if count and status in _BAD else "good")
        for status, count in counts.items()
        if count or status in ("passed", "failed")
    ]
    refused = sum(not row["releasable"] for row in areas)
    tiles.insert(0, ("releasable", f"{len(areas) - refused:,}", ""))
    tiles.insert(1, ("not releasable", f"{refused:,}", "bad" if refused else "good"))
    judged = _judged(targets)
    if judged:
        failing = sum(row["verdict"] == "failed" for row in judged)
        tiles.append(("targets", f"{len(judged):,}", ""))
        tiles.append(("targets failing", f"{failing / len(judged):.1%}", ""))
    return tiles


def _warnings(run: RunData, areas: Rows) -> list[str]:
    small = [row["area_id"] for row in areas if row["small_sample"]]
    states = {area.request.area_id: area.sidecar.coverage for area in run.of_type("state") if area.sidecar}
    warnings = empty_fields(states, DATASET if run.settings.from_dataset else TABLES)
    if small:
        shown = ", ".join(small[:15]) + (" …" if len(small) > 15 else "")
        text = f"Small areas: {len(small)} have an effective sample of fewer than {SMALL} households"
        warnings.append(f"{text}; their estimates are unsteady: {shown}.")
    for key, names in odd_columns(run.areas).items():
        warnings.append(f"{key} differs from the other files in {', '.join(names[:8])}.")
    return warnings


def _bad_first(row: Mapping[str, Any]) -> tuple[bool, int]:
    return row["releasable"], _BAD.index(row["status"]) if row["status"] in _BAD else len(_BAD)


def _area(row: Mapping[str, Any], with_targets: bool) -> list[Any]:
    return [
        row["area_id"],
        row["area_type"],
        row["status"],
        "yes" if row["releasable"] else "no",
        *([row["n_targets"], row["n_failing"], row["mean_abs_rel_error"]] if with_targets else []),
        row["persons"],
        row["population_error"],
        row["effective_sample_size"],
        row["largest_share"],
        row["reasons"],
    ]


def _target(row: Mapping[str, Any], with_training: bool) -> list[Any]:
    error, trained = row["relative_error"], row["in_training"]
    known = "unknown" if trained is None else "yes" if trained else "no"
    return [
        row["area_id"],
        row["variable"] + (" (reform)" if row["reform"] else ""),
        row["constraints"],
        row["target"],
        row["value"],
        error,
        None if error is None else abs(error),
        row["verdict"],
        row["reason"],
        row["target_id"],
        *([known] if with_training else []),
    ]


def _training(targets: Rows) -> list[list[Any]]:
    rows = []
    for label, wanted in (("in training", True), ("held out", False), ("not known", None)):
        group = [row for row in _judged(targets) if row["in_training"] is wanted]
        errors = [abs(row["relative_error"]) for row in group if row["relative_error"] is not None]
        if group:
            failing = sum(row["verdict"] == "failed" for row in group)
            rows.append([label, len(group), failing, fmean(errors) if errors else None])
    return rows


def _belief(item: Belief) -> list[Any]:
    gap = None if item.built is None else (item.believed - item.built) / max(abs(item.target), 1.0)
    return [item.name, item.target_id, item.target, item.believed, item.built, gap]


def _belief_note(beliefs: Sequence[Belief] | None) -> str:
    compared = [item for item in beliefs or () if item.built is not None]
    return f"{len(beliefs or ()):,} targets of the calibration, {len(compared):,} of them validated on built files."


def _coverage(run: RunData) -> list[list[Any]]:
    shares: dict[str, list[tuple[float, str]]] = {}
    for area in run.areas:
        for name, share in (area.sidecar.coverage if area.sidecar else {}).items():
            shares.setdefault(name, []).append((share, area.key))
    return [
        [name, len(found), fmean(share for share, _ in found), *min(found)] for name, found in sorted(shares.items())
    ]
