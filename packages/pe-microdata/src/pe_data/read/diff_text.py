"""A difference as text: aligned lines for a terminal, tables for Markdown.

Both are made from the same rows. What is the same for many members (a column that came, a licence) is said once, with
their number; what is particular to a member stands in its row.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pe_data.read.difference import Changed, Difference, Pair
from pe_data.read.sides import Listed, Told
from pe_data.texts import human_size, printable, table

Row = tuple[str, ...]
VARIANTS = 3
"""Of one thing that is said; more are counted, because each member has its own."""
ENTITIES = 2
"""Whose rows have a column of their own in the table of members; `to_json` has all."""


@dataclass(frozen=True, slots=True)
class Section:
    """One table of a difference."""

    kind: Literal["gone", "added", "changed", "columns", "said", "values"]
    title: str
    header: Row
    rows: Sequence[Row]
    more: int = 0
    """Rows that the limit left out."""
    note: str = ""


def text(diff: Difference, limit: int | None) -> str:
    """Lines for a terminal; nothing in them can do anything to it."""
    lines = [*_told("before", diff.before), *_told("after", diff.after), "", summary(diff)]
    for section in sections(diff, limit):
        lines += ["", section.title]
        lines += [f"  {line}" for line in table(section.header, section.rows, numbers=True)] if section.rows else []
        lines += [f"  … and {section.more:,} more"] if section.more else []
        lines += [f"  {section.note}"] if section.note else []
    return "\n".join(map(printable, lines))


def markdown(diff: Difference, limit: int | None) -> str:
    """Headings and tables."""
    parts = [f"### {_escaped(diff.after.name)}", "", "| | compared |", "|---|---|"]
    parts += [f"| {side} | {_escaped('; '.join(facts(told)))} |" for side, told in _both(diff)]
    parts += ["", f"{_escaped(summary(diff))}."]
    for section in sections(diff, limit):
        parts += ["", f"**{_escaped(section.title)}**"]
        if section.rows:
            parts += ["", _line(map(_escaped, section.header)), _line("---" for _ in section.header)]
            parts += [_line(map(_escaped, row)) for row in section.rows]
        parts += ["", f"… and {section.more:,} more"] if section.more else []
        parts += ["", _escaped(section.note)] if section.note else []
    return "\n".join(parts)


def summary(diff: Difference) -> str:
    """One line: members, what became of them, and bytes."""
    before, after = diff.before, diff.after
    size = _change(Pair(before.size_bytes, after.size_bytes), human_size)
    if not diff:
        return f"no difference: {_count(after.files, 'file')}, {size}"
    parts = [
        f"{number:,} {word}"
        for number, word in (
            (len(diff.added), "added"),
            (len(diff.gone), "gone"),
            (len(diff.changed), "changed"),
            (diff.same, "the same"),
        )
        if number
    ]
    files = _change(Pair(before.files, after.files), _number)
    return f"{files} {'file' if files == '1' else 'files'}: {', '.join(parts)}; {size}"


def sections(diff: Difference, limit: int | None) -> list[Section]:
    """The tables that have rows."""
    single = _one(diff.changed[0]) if len(diff.changed) == 1 else None
    found = [
        _members("gone", diff.gone),
        _members("added", diff.added),
        single or _table(diff.changed, deep=diff.deep),
        _shared("columns", "columns", "column", [one.columns for one in diff.changed]),
        _shared("said", "said of them", "what", [one.said for one in diff.changed]),
        _values(diff.changed),
    ]
    there = [section for section in found if section is not None and (section.rows or section.note)]
    return [section if section is single else _limited(section, limit) for section in there]


def _members(title: Literal["gone", "added"], members: Sequence[Listed]) -> Section:
    rows = [(one.name or "the file", human_size(one.size_bytes)) for one in members]
    return Section(title, f"{title} ({len(members):,})", ("member", "size"), rows)


def _one(changed: Changed) -> Section:
    """Every number of a single member, below each other."""
    rows = [
        (label, write(pair.before), write(pair.after), _share(pair))
        for label, pair, write in _numbers(changed)
        if pair.before != pair.after
    ]
    told = changed.columns or changed.said or changed.values is not None
    note = "" if rows else f"the same size and rows.{'' if told else f' {_ONLY_VALUES}'}"
    return Section(
        "changed",
        f"changed: {changed.name}" if changed.name else "changed",
        ("", "before", "after", ""),
        rows,
        note=note,
    )


def _table(changed: Sequence[Changed], *, deep: bool) -> Section:
    """A row per member, a column per number that differs anywhere."""
    numbers = {one.name: {label: (pair, write) for label, pair, write in _numbers(one)} for one in changed}
    differing = [
        label
        for label in dict.fromkeys(label for row in numbers.values() for label in row)
        if any(row[label][0].before != row[label][0].after for row in numbers.values() if label in row)
    ]
    labels = _few_rows(differing)
    rows: list[Row] = []
    for one in changed:
        cells = [_cell(*numbers[one.name][label]) if label in numbers[one.name] else "" for label in labels]
        rows.append((one.name, *cells))
    plain = sum(not any(row[1:]) for row in rows)
    note = (
        f"{_count(plain, 'of them has', 'of them have')} the same size and rows. {_ONLY_VALUES}"
        if plain and not deep
        else ""
    )
    return Section("changed", f"changed ({len(changed):,}), biggest movers first", ("member", *labels), rows, note=note)


_ONLY_VALUES = "A deep comparison (--deep, deep=True) reads the files and says which values differ."


def _numbers(one: Changed) -> list[tuple[str, Pair, Callable[[Any], str]]]:
    """Label, values and how they are written."""
    found: list[tuple[str, Pair, Callable[[Any], str]]] = [("size", one.size_bytes, human_size)]
    found += [(f"{entity} rows", pair, _number) for entity, pair in one.rows.items()]
    found += [(f"weighted {entity}", pair, _number) for entity, pair in one.weighted.items()]
    if one.effective_sample_size:
        found.append(("effective sample", one.effective_sample_size, _number))
    return found


def _few_rows(labels: Sequence[str]) -> list[str]:
    """Not every entity gets its column: those of a person and of what is weighted say it."""
    rows = [label for label in labels if label.endswith(" rows")]
    first = sorted(rows, key=lambda label: (label not in ("person rows", "household rows"), label))[:ENTITIES]
    weighted = [label for label in labels if label.startswith("weighted ")]
    heavy = sorted(weighted, key=lambda label: (label not in ("weighted person", "weighted household"), label))
    dropped = {*rows} - {*first} | {*weighted} - {*heavy[:ENTITIES]}
    return [label for label in labels if label not in dropped]


def _shared(kind: Literal["columns", "said"], title: str, head: str, each: Sequence[Mapping[str, Pair]]) -> Section:
    """Changes in words, each once, with the number of members that it is true of."""
    counted = Counter((name, pair.before, pair.after) for pairs in each for name, pair in pairs.items())
    kinds = Counter(name for name, _, _ in counted)
    total = Counter(name for pairs in each for name in pairs)
    lines = {
        (name, _word(before), _word(after)): number
        for (name, before, after), number in counted.items()
        if kinds[name] <= VARIANTS
    }
    lines |= {(name, "", f"{number:,} different"): total[name] for name, number in kinds.items() if number > VARIANTS}
    order = sorted(lines, key=lambda line: (-lines[line], line))
    rows = [(*line, "" if len(each) == 1 else f"in {lines[line]:,}") for line in order]
    return Section(kind, title, (head, "before", "after", ""), rows)


def _values(changed: Sequence[Changed]) -> Section | None:
    """Columns whose values or weighted totals differ, with the member in which they moved most."""
    if not any(one.values is not None for one in changed):
        return None
    found: dict[str, list[tuple[float, str, Any]]] = {}
    for one in changed:
        for column, values in (one.values or {}).items():
            pair = Pair(values.before, values.after)
            found.setdefault(column, []).append((abs(pair.share or 0.0), one.name, values))
    single = len(changed) == 1
    rows: list[tuple[float, Row]] = []
    for column, each in found.items():
        moved, name, values = max(each, key=lambda row: row[:2])
        edited = sum(row[2].changed for row in each)
        where: Row = ("yes" if edited else "no",) if single else (f"{edited:,} of {len(changed):,}", name)
        sums = ("" if one is None else _number(one) for one in (values.before, values.after))
        rows.append((moved, (column, *where, *sums, _share(Pair(values.before, values.after)))))
    rows.sort(key=lambda row: (-row[0], row[1][0]))
    heads: Row = ("values differ",) if single else ("values differ", "moved most in")
    header = ("column", *heads, "weighted before", "after", "")
    note = "" if rows else "no column that both have differs"
    return Section("values", "values", header, [row for _, row in rows], note=note)


# --- cells ------------------------------------------------------------------------------------------------------------


def _told(side: str, told: Told) -> list[str]:
    first, *rest = facts(told)
    return [f"{side:6}  {first}", *(f"{'':6}  {line}" for line in rest)]


def _both(diff: Difference) -> list[tuple[str, Told]]:
    return [("before", diff.before), ("after", diff.after)]


def facts(told: Told) -> list[str]:
    """What is known of one side, a line for each."""
    found = [told.name]
    if told.version is not None:
        found.append(f"version {told.version} of {told.published_at}")
    if told.run_id:
        found.append(f"run {told.run_id}")
    lines = [", ".join(found)]
    if told.address:
        lines.append(told.address)
    lines += [f"{name}: {said}" for name, said in (("reason", told.reason), ("by", told.by)) if said]
    if told.revoked:
        lines.append(f"revoked: {told.revoked}")
    if told.left_out:
        lines.append(f"{_count(told.left_out, 'file')} without a sidecar left out: inputs, not results")
    if told.elsewhere:
        lines.append(f"{_count(told.elsewhere, 'file')} of other runs, in folders below it, left out")
    return lines


def _cell(pair: Pair, write: Callable[[Any], str]) -> str:
    if pair.before == pair.after:
        return ""
    return f"{write(pair.after)} {_share(pair) or f'(was {write(pair.before)})'}"


def _change(pair: Pair, write: Callable[[Any], str]) -> str:
    if pair.before == pair.after:
        return write(pair.after)
    share = _share(pair)
    return f"{write(pair.before)} → {write(pair.after)}{f' ({share})' if share and write is human_size else ''}"


def _share(pair: Pair) -> str:
    share = pair.share
    if share is None or pair.before == pair.after:
        return ""
    per_cent = 100 * share
    return f"{per_cent:+,.1f} %" if abs(per_cent) >= 0.1 else f"{per_cent:+.1g} %"


def _number(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:,.3g}"


def _word(value: Any) -> str:
    word = "none" if value is None else str(value)
    return f"{word[:19]}…" if word.startswith("sha256:") else word


def _count(number: int, one: str, several: str = "") -> str:
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def _limited(section: Section, limit: int | None) -> Section:
    shown = section.rows[:limit]
    return replace(section, rows=shown, more=len(section.rows) - len(shown))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(cell: str) -> str:
    """A text of somebody else in a cell of a table: no markup, one line."""
    text = printable(cell)
    for mark in ("\\", "|", "`", "*", "_", "[", "]", "<", ">", "#", "~", "!"):
        text = text.replace(mark, f"\\{mark}")
    return text
