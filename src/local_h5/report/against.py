"""What changed against another run: one in a folder, or one that was published."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_h5.config.layout import NATION, Layout
from local_h5.config.settings import Settings
from local_h5.contracts.records import read_record
from local_h5.errors import InputError, LocalH5Error
from local_h5.report.collect import RunData
from local_h5.report.page import Change, Lines, Section, Table
from local_h5.report.release import COUNTRY, DATASET, release_of
from pe_data.errors import PeDataError
from pe_data.read.diff import Diff, diff
from pe_data.read.diff_text import facts, sections, summary
from pe_data.read.difference import Changed, Pair

_MOVERS = 20
_SHOWN = 40
"""Rows of each other table."""
Key = tuple[str, int]
"""Name of an area, and number of a target."""


def what_changed(run: RunData, against: str, *, deep: bool) -> Change:
    """What changed from another run to this one.

    Args:
        run: this one.
        against: the results of another run (a folder), or what was published: ``@latest``, ``@v3``, a pin
            (``sha256:…``), or any address of `pe_data`.
        deep: whether to read the files, of which a store's manifests have no weights.

    Raises:
        InputError: there is no such run or version, or it cannot be read.
    """
    settings = run.settings
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            found = diff(_address(against), settings.results, deep=deep, store=settings.config.store.url)
    except (PeDataError, OSError) as error:
        raise InputError(f"--against {against}: {error}") from error
    persons = {
        one.name.removeprefix("districts/"): share
        for one in found.changed
        if one.name.startswith("districts/") and (share := _persons(one).share) is not None
    }
    weighed = any(one.weighted for one in found.changed)
    if weighed:
        of_both = {area.key for area in run.of_type("district") if area.sidecar} - {one.name for one in found.added}
        persons |= {name.removeprefix("districts/"): 0.0 for name in of_both - {one.name for one in found.changed}}
    parts, tables = [], {}
    for section, table in (
        _totals(found, run),
        _movers(found, weighed, deep),
        _targets(run, Path(against).expanduser()),
        *_told(found),
    ):
        parts.append(section)
        if table is not None:
            tables[section.table] = table
    sides = [("Before", "; ".join(facts(found.before))), ("After", "; ".join(facts(found.after)))]
    sides += [("Note", str(warning.message)) for warning in heard]
    return Change(sides, summary(found), parts, tables, persons)


def _address(against: str) -> str | Path:
    """A folder as it is; ``@…`` and ``sha256:…`` of the dataset that runs are published as."""
    if Path(against).expanduser().exists():
        return Path(against).expanduser()
    if against.startswith("sha256:"):
        against = f"@{against}"
    return f"{COUNTRY}/{DATASET}{against}" if against.startswith("@") else against


def publication(settings: Settings) -> Lines:
    """What ``snakemake publish`` would do with this run: labels and values, or why it would be refused."""
    store = settings.config.store
    missing = [request.name for request in settings.requests if not settings.layout.output(request).is_file()]
    if missing:
        more = f" and {len(missing) - 5:,} more" if len(missing) > 5 else ""
        return [("Not releasable", f"not built: {', '.join(missing[:5])}{more}")]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the comparison above says them
            release = release_of(
                settings,
                store=store.url,
                licence=store.licence,
                citation=store.citation,
                notes=settings.config.notes,
                check_schemas=False,
            )
            foreseen = release.preview(allow_removal=store.allow_removal)
    except (PeDataError, LocalH5Error, OSError) as error:
        return [("Not releasable", str(error))]
    lines = [
        ("Channel", f"{foreseen.country}/{foreseen.dataset}@latest in {foreseen.store}"),
        ("Digest", f"sha256:{foreseen.artifact_sha256}"),
        (
            "Version",
            f"would be {foreseen.version}" if foreseen.moved else f"stands there already, as {foreseen.version}",
        ),
        (
            "Files",
            f"{foreseen.to_send:,} to send ({foreseen.bytes_to_send / 1e6:,.1f} MB), {foreseen.already_there:,} there",
        ),
        ("Licence", store.licence or "unspecified: set store.licence"),
    ]
    if release.validation is not None:
        lines.append(("Validation", release.validation.summary()))
    if foreseen.refused:
        lines.append(("Would be refused", f"{foreseen.refused}. If that is meant, set store.allow_removal: true"))
    return [*lines, ("To check", "scripts/publish_collection.py --dry-run prints the same digest")]


# --- parts ------------------------------------------------------------------------------------------------------------

Part = tuple[Section, Table | None]


def _persons(one: Changed) -> Pair:
    return one.weighted.get("person", Pair(None, None))


def _totals(found: Diff, run: RunData) -> Part:
    """Areas, bytes, and the sums of the nation's file."""
    rows: list[list[Any]] = [
        ["areas", found.before.files, found.after.files, None],
        ["bytes", found.before.size_bytes, found.after.size_bytes, None],
    ]
    nation = next((one for one in found.changed if one.name == NATION), None)
    sidecar = next((area.sidecar for area in run.of_type("national") if area.sidecar), None)
    note = ""
    if nation is not None and nation.weighted:
        now = {} if sidecar is None else {"household": sidecar.weights.households, "person": sidecar.weights.persons}
        for entity in ("household", "person"):
            pair = nation.weighted.get(entity) or Pair(now.get(entity), now.get(entity))
            rows.append([f"weighted {entity}s of the nation", pair.before, pair.after, None])
        if nation.effective_sample_size:
            pair = nation.effective_sample_size
            rows.append(["effective sample of the nation", pair.before, pair.after, None])
    elif nation is None and sidecar is not None:
        note = "The nation's file is the same."
    for row in rows:
        row[3] = Pair(row[1], row[2]).share
    columns = [("What", "", "plain"), ("Before", "", "number0"), ("After", "", "number0"), ("Change", "", "change")]
    return Section("Totals", note, "change-totals"), Table("totals before and after", columns, rows)


def _movers(found: Diff, weighed: bool, deep: bool) -> Part:
    """The areas whose weighted persons, effective sample or rows moved most."""
    changed = found.changed
    note = ""
    if changed and not weighed:
        silent = found.before.address is not None and not deep
        note = (
            "A store's manifests have no weights; --deep reads the files." if silent else "Their weights are the same."
        )
    rows = []
    for one in changed[:_MOVERS]:
        persons, size, households = (
            _persons(one),
            one.effective_sample_size or Pair(None, None),
            one.rows.get("household"),
        )
        rows.append(
            [
                one.name,
                persons.before, persons.after, persons.share,
                size.before, size.after,
                households.before if households else None, households.after if households else None,
                len(one.columns) or None,
            ]
        )  # fmt: skip
    columns = [
        ("Area", "", "plain"),
        ("Persons before", "weighted", "number0"), ("after", "weighted", "number0"),
        ("Change", "of weighted persons", "change"),
        ("Eff. sample before", "Kish's, households", "number0"), ("after", "Kish's, households", "number0"),
        ("Household rows before", "", "number0"), ("after", "", "number0"),
        ("Columns", "that came, went or changed", "number0"),
    ]  # fmt: skip
    kept = [at for at in range(len(columns)) if at == 0 or any(row[at] is not None for row in rows)]
    table = Table("top movers", [columns[at] for at in kept], [[row[at] for at in kept] for row in rows])
    more = f"The first {_MOVERS} of {len(changed):,}. " if len(changed) > _MOVERS else ""
    title = f"Top movers ({len(changed):,} changed)"
    if rows and kept == [0]:  # nothing to be seen of them but their names
        names = ", ".join(str(row[0]) for row in rows)
        return Section(title, f"{more}{note} Neither rows nor columns differ: {names}."), None
    return Section(title, (more + note).strip(), "change-movers" if rows else ""), table if rows else None


def _targets(run: RunData, other: Path) -> Part:
    """Targets of both runs whose value moved, those that moved most first."""
    title = "Targets"
    if not other.is_dir():
        return Section(title, "A store has no values of targets; compare with the folder of a run to see them."), None
    now = {
        (area.key, row.target_id): row
        for area in run.areas
        if (record := area.records.get("targets")) is not None
        for row in record.targets
    }
    before = _targets_of(run, Layout(other))
    both = [(key, before[key], now[key]) for key in now if key in before]
    if not both:
        return Section(
            title, "One of the two runs was not validated against targets (validation.level: targets)."
        ), None
    rows = []
    for (area, number), old, new in both:
        if old.value is not None and new.value is not None and old.value != new.value:
            move = (new.value - old.value) / max(abs(new.target), 1.0)
            rows.append(
                [area, number, f"{new.variable} {new.constraints}".strip(), new.target, old.value, new.value, move,
                 old.relative_error, new.relative_error]
            )  # fmt: skip
    rows.sort(key=lambda row: -abs(row[6]))
    better = sum(abs(row[8] or 0) < abs(row[7] or 0) for row in rows)
    failing = [
        sum(row.verdict == "failed" for row in side) for side in ([b for _, b, _ in both], [n for _, _, n in both])
    ]
    moved = [f"{key[0]} {key[1]}" for key, old, new in both if old.target != new.target]
    note = (
        f"{len(both):,} targets are in both; {len(rows):,} have another value, {better:,} of them nearer to it. "
        f"{failing[0]:,} failed before, {failing[1]:,} fail now. {len(before) - len(both):,} gone, "
        f"{len(now) - len(both):,} new. " + (f"{len(moved):,} have another target." if moved else "")
    )
    columns = [
        ("Area", "", "plain"), ("Id", "", "plain"), ("Target", "variable and stratum", "plain"), ("Aim", "", "number0"),
        ("Value before", "", "number0"), ("after", "", "number0"), ("Moved", "relative to the target", "change"),
        ("Error before", "", "change"), ("after", "", "change"),
    ]  # fmt: skip
    table = Table("targets that moved", columns, rows[:_SHOWN]) if rows else None
    return Section(title, note.strip(), "change-targets" if rows else ""), table


def _targets_of(run: RunData, layout: Layout) -> Mapping[Key, Any]:
    paths = {area.key: layout.record("targets", area.request) for area in run.areas}
    return {
        (name, row.target_id): row
        for name, path in paths.items()
        if path.is_file()
        for row in read_record(path).targets
    }


def _told(found: Diff) -> list[Part]:
    """Members that came and went, columns, and what is said of files, as `pe-data diff` has them."""
    parts: list[Part] = []
    for number, section in enumerate(sections(found, _SHOWN)):
        if section.kind == "changed":
            continue  # the movers
        name = f"change-more-{number}"
        more = f"… and {section.more:,} more. " if section.more else ""
        rows = [list(row) for row in section.rows]
        columns = [(title or " ", "", "plain") for title in section.header]
        title = section.title[0].upper() + section.title[1:]
        parts.append(
            (
                Section(title, more + section.note, name if rows else ""),
                Table(section.title, columns, rows) if rows else None,
            )
        )
    return parts
