"""What changed between two versions: of a channel, of a folder, of one file, or a folder against a channel.

Members are compared by digest. The manifests of those that differ say how rows and columns changed, result sidecars say
how weights did. Payloads are read only by a deep comparison. One that is the same on both sides is never looked into.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pe_data.documents.collection import ABOUT, NOTHING, licensed
from pe_data.documents.manifest import Entity, Inputs, Manifest
from pe_data.errors import InputError
from pe_data.read import diff_text
from pe_data.read.difference import Changed, Difference, Pair
from pe_data.read.measure import Values, Weighted
from pe_data.read.options import Options, listed
from pe_data.read.sides import Facts, Listed, Side, side_of
from pe_data.store.artifacts import each

SHOWN = 20
"""Of each kind, unless somebody says how many."""
SHORT = 5
"""Of each kind, beside something else that is said."""


@dataclass(frozen=True, slots=True)
class Diff(Difference):
    """What changed from one side to the other. `print` shows it short; `text`, `markdown` and `to_json` give all."""

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {"different": bool(self), **_lists(msgspec.to_builtins(self))}

    def text(self, limit: int | None = None) -> str:
        """For a person: one line for each thing, biggest movers first; at most `limit` of each kind."""
        return diff_text.text(self, limit)

    def markdown(self, limit: int | None = None) -> str:
        """The same as Markdown, for release notes."""
        return diff_text.markdown(self, limit)

    def __str__(self) -> str:
        return self.text(SHOWN)

    def _repr_markdown_(self) -> str:
        return self.markdown(SHOWN)


def diff(
    a: "str | os.PathLike[str]",
    b: "str | os.PathLike[str]",
    *,
    members: str | Iterable[str] | None = None,
    deep: bool = False,
    year: int | None = None,
    allow_pickle: bool = False,
    cache: Path | str | None = None,
    store: Path | str | None = None,
    offline: bool | None = None,
    allow_stale: bool = False,
) -> Diff:
    """What changed from `a` to `b`.

    Args:
        a: Before: an address (`us/local_areas@latest`, a pin, a member), a version (`us/local_areas@v3`, by the
            history of the store), a folder of files, the results of a run, or one file.
        b: After: likewise. Collections and folders are compared by the names of their members, two files as they are.
        members: Only those whose name fits one of these patterns, such as `districts/*`.
        deep: Read the payloads of what differs, and compare weighted totals and values of every column.
        year: Which year to compare of files with several, and for a file that does not say.
        cache, store, offline, allow_stale: As for `ensure`.
        allow_pickle: As for `open`, with `deep`.

    Raises:
        InputError: a collection against a single file, no such version, or no member fits.
        WithheldError: one of them is gated, and no token was shown; its notice says how to apply.
        PeDataError: as `ensure`; with `deep` as `open`.
    """
    options = Options.of(cache=cache, store=store, offline=offline, allow_stale=allow_stale)
    wanted = listed(members)
    sides = [side_of(what, options, members=wanted, year=year) for what in (a, b)]
    if wanted is not None and not any(side.files for side in sides):
        raise InputError(f"members: expected a pattern that fits a member of {a} or {b}, found {', '.join(wanted)!r}")
    return compare_sides(*sides, deep=deep, year=year, allow_pickle=allow_pickle)


def compare_sides(
    before: Side, after: Side, *, deep: bool = False, year: int | None = None, allow_pickle: bool = False
) -> Diff:
    """What changed from one side to the other.

    Raises:
        InputError: one is a single file, and the other one is not.
    """
    if before.whole != after.whole:
        several, single = (before, after) if before.whole else (after, before)
        raise InputError(
            f"{several.told.name} and {single.told.name}: expected two collections or folders, or two files, found one "
            f"of each. Name a member, such as {several.told.name}/{min(several.files, default='NAME')}"
        )
    names = sorted(before.files.keys() | after.files.keys())
    added = tuple(after.files[name] for name in names if name not in before.files)
    gone = tuple(before.files[name] for name in names if name not in after.files)
    both = [name for name in names if name in before.files and name in after.files]
    rows = {name: (before.files[name], after.files[name]) for name in both}
    differ = [name for name in both if rows[name][0].sha256 != rows[name][1].sha256 or _rows_said(*rows[name])]
    other = [name for name in differ if _need_manifests(*rows[name])]
    facts = dict(zip(other, each(lambda name: (before.facts(name), after.facts(name)), other), strict=True))
    read: Mapping[str, tuple[Weighted, Weighted, dict[str, Values]]] = {}
    if deep:
        read = _read(before, after, facts, year, allow_pickle)
    changed = [_changed(name, before, after, facts.get(name), read.get(name)) for name in differ]
    changed.sort(key=lambda one: (-one.movement, one.name))
    return Diff(before.told, after.told, added, gone, tuple(changed), len(both) - len(differ), deep)


def _need_manifests(before: Listed, after: Listed) -> bool:
    """Whether rows do not say all: other bytes, or a licence that only one of them says."""
    licences = [one.about.licence if one.about else None for one in (before, after)]
    return before.sha256 != after.sha256 or (licences[0] != licences[1] and None in licences)


def _rows_said(before: Listed, after: Listed) -> dict[str, Pair]:
    """What two publications say of a member; nothing where one of the two was none."""
    if before.about is None or after.about is None or before.about == after.about:
        return {}
    return _pairs(*({name: _in_words(getattr(one.about, name)) for name in ABOUT} for one in (before, after)))


def _in_words(value: object) -> str | None:
    if isinstance(value, tuple):
        return "; ".join(value) or None
    return None if value is None else str(value)


def _changed(
    name: str,
    before: Side,
    after: Side,
    facts: tuple[Facts, Facts] | None,
    read: tuple[Weighted, Weighted, dict[str, Values]] | None,
) -> Changed:
    rows = before.files[name], after.files[name]
    said = _rows_said(*rows)
    digests, sizes = Pair(rows[0].sha256, rows[1].sha256), Pair(rows[0].size_bytes, rows[1].size_bytes)
    if facts is None:
        return Changed(name, digests, sizes, said=said)
    manifests = facts[0].manifest, facts[1].manifest
    in_force = [licensed(each.manifest, row.about or NOTHING) for each, row in zip(facts, rows, strict=True)]
    said.pop("licence", None)
    weighted = (read[0], read[1]) if read else (facts[0].weighted, facts[1].weighted)
    totals: dict[str, Pair] = {}
    effective = None
    if weighted[0] is not None and weighted[1] is not None:
        known = weighted[0].totals.keys() & weighted[1].totals.keys()
        totals = _pairs({n: weighted[0].totals[n] for n in known}, {n: weighted[1].totals[n] for n in known})
        sample = Pair(weighted[0].effective_sample_size, weighted[1].effective_sample_size)
        effective = sample if sample.before != sample.after else None
    return Changed(
        name,
        digests,
        sizes,
        rows=_pairs(*({entity: of.rows for entity, of in one.entities.items()} for one in manifests)),
        columns=_pairs(*(_columns(*both) for both in (manifests, manifests[::-1]))),
        weighted=totals,
        effective_sample_size=effective,
        said=said | _said(*in_force, labelled=before.labelled and after.labelled),
        values=read[2] if read else None,
    )


def _columns(manifest: Manifest, other: Manifest) -> dict[str, str]:
    """`entity.column` → dtype, and how often it has a value if that is not once a year; of entities that differ."""
    same = {name for name, of in manifest.entities.items() if _kinds(of) == _kinds(other.entities.get(name))}
    return {
        f"{group.entity}.{name}": group.dtype if group.period == "year" else f"{group.dtype} per {group.period}"
        for group in manifest.columns
        if group.entity not in same
        for name in group.names
    }


def _kinds(entity: Entity | None) -> tuple[Mapping[str, tuple[str, ...]], ...]:
    return entity.by_period() if entity else ()


def _said(before: Manifest, after: Manifest, *, labelled: bool) -> dict[str, Pair]:
    """What two manifests say in words; licence and access only of what was published."""
    pairs = {"years": Pair(_years(before), _years(after))}
    if labelled:
        pairs |= {"licence": Pair(before.licence, after.licence), "access": Pair(before.access, after.access)}
    models = [f"{one.build.model_package} {one.build.model_version}" for one in (before, after)]
    if before.build.model_package and after.build.model_package:
        pairs["model"] = Pair(*models)
    if before.inputs and after.inputs:
        pairs |= _pairs(_inputs(before.inputs), _inputs(after.inputs))
    pairs |= _pairs(before.conventions, after.conventions)
    return {name: pair for name, pair in pairs.items() if pair.before != pair.after}


def _inputs(inputs: Inputs) -> dict[str, str]:
    return {f"input {one.name}": f"sha256:{one.sha256}" for one in inputs.files}


def _years(manifest: Manifest) -> str:
    return ", ".join(map(str, manifest.time_period))


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Pair]:
    """What differs, by name."""
    names = sorted(before.keys() | after.keys())
    pairs = {name: Pair(before.get(name), after.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair.before != pair.after}


def _read(
    before: Side, after: Side, facts: Mapping[str, tuple[Facts, Facts]], year: int | None, allow_pickle: bool
) -> dict[str, tuple[Weighted, Weighted, dict[str, Values]]]:
    """Weighted sums of both files of a name, and how their columns differ; one name after the other in memory."""
    from pe_data.read.file_frames import need_pandas
    from pe_data.read.measure import compare, weigh

    need_pandas("a deep comparison")
    one, other = before.path, after.path
    if one is None or other is None:
        raise AssertionError("a deep comparison is of sides whose bytes can be had")
    found = {}
    for name, paths in zip(facts, each(lambda name: (one(name), other(name)), list(facts)), strict=True):
        manifests = facts[name][0].manifest, facts[name][1].manifest
        files = [
            _frames(path, manifest, year, allow_pickle, f"{side.told.name}{'/' if name else ''}{name}")
            for path, manifest, side in zip(paths, manifests, (before, after), strict=True)
        ]
        sums = [weigh(frames, manifest) for frames, manifest in zip(files, manifests, strict=True)]
        values = compare((files[0], sums[0][1]), (files[1], sums[1][1]), manifests)
        found[name] = (sums[0][0], sums[1][0], values)
    return found


def _frames(path: Path, manifest: Manifest, year: int | None, allow_pickle: bool, what: str) -> Any:
    from pe_data.read.file_frames import frames_of, wanted_columns

    wanted = wanted_columns(manifest, None, what)
    chosen = max(manifest.time_period) if year is None else year
    return frames_of(path, manifest, wanted, year=chosen, allow_pickle=allow_pickle, what=what)


def _lists(value: Any) -> Any:
    """With lists for tuples, as JSON has them; a name that is no UTF-8 stays as it is."""
    if isinstance(value, dict):
        return {name: _lists(one) for name, one in value.items()}
    return [_lists(one) for one in value] if isinstance(value, list | tuple) else value
