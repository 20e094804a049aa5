"""Frames of several files below each other, as those of the areas of a run (extra `frames`)."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pe_data.documents.collection import licensed
from pe_data.documents.manifest import Manifest
from pe_data.errors import InputError
from pe_data.names.uri import StoreUri, parse_uri
from pe_data.read.fetch import WORKERS, fetch_with
from pe_data.read.file_frames import frames_of
from pe_data.read.locate import describe, look
from pe_data.read.lookup import Entry, opened
from pe_data.read.options import Options
from pe_data.read.places import Places
from pe_data.read.progress import BYTES, bar, short

if TYPE_CHECKING:
    import pandas as pd

AREA = "area"
"""The column that says which file a row is from."""

Address: TypeAlias = "str | os.PathLike[str]"
Choose: TypeAlias = Callable[[Manifest, str], Mapping[str, tuple[str, ...]]]
"""From a manifest, and the name of its file in messages, entity → columns that are wanted."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of the files."""

    name: str
    """In full, different for each file."""
    member: str
    """Of the collection whose members were asked for; else empty."""
    entry: Entry
    frames: "Mapping[str, pd.DataFrame]"


def parts_of(
    addresses: Sequence[Address],
    members: Sequence[str] | None,
    options: Options,
    year: int | None,
    pickle: bool,
    choose: Choose,
) -> Iterator[Part]:
    """The files at the addresses, or the members of the collections there.

    Args:
        members: Patterns of names; None if each address is one file.
        year: That is wanted, also of a file that does not say which it covers.
        pickle: Whether files that pandas wrote as HDF5 may be read.
    """
    read = partial(frames_of, year=year, allow_pickle=pickle)
    for address in addresses:
        parsed = parse_uri(address)
        if members is None:
            entry, brought = opened(address, options, year=year)
            name = (
                f"{parsed.dataset}/{parsed.member or ''}".rstrip("/") if isinstance(parsed, StoreUri) else str(address)
            )
            wanted = choose(entry.manifest, str(address))  # what is wrong is said before a download
            yield Part(name, "", entry, read(brought(), entry.manifest, wanted, what=str(address)))
            continue
        located = described = None
        if isinstance(parsed, StoreUri):
            places = Places.of(parsed, options)
            located, described = look(parsed, places)
        if located is None or described is not None:
            raise InputError(f"{address}: members: expected the address of a collection, found that of one file")
        pinned = str(replace(located.uri, channel=None, sha256=located.root))
        with bar(short(address), *BYTES) as shown:
            files = fetch_with(pinned, options, members, None, WORKERS, False, False, shown)
        said = located.collection.dictionary if located.collection else ()
        for name, path in files.paths.items():
            member = located.member(name)
            manifest = licensed(describe(member, places).manifest, member.about)
            entry = Entry(manifest, str(path), member.about, said=said)
            what = f"{address} {name}"
            frames = read(path, manifest, choose(manifest, what), what=what)
            yield Part(f"{located.uri.dataset}/{name}", name, entry, frames)


def join(listed: Sequence[Part], what: str) -> "dict[str, pd.DataFrame]":
    """The frames below each other with a first column `area`.

    Raises:
        InputError: no file; a file with other columns, or of another shape, than the first; a unit in two files.
    """
    import pandas as pd

    if not listed:
        raise InputError(f"{what}: expected at least one address, found none")
    first = listed[0]
    for part in listed:
        _check_like(part, first, what)
    names = _short([part.name for part in listed], what)
    frames = {}
    for entity in first.frames:
        whole = pd.concat([part.frames[entity] for part in listed], ignore_index=True)
        area = pd.Series(names, dtype="str").repeat([len(part.frames[entity]) for part in listed])
        whole.insert(0, AREA, area.to_numpy())
        _check_ids(whole, first.entry.manifest.entities[entity].id, what)
        frames[entity] = whole
    return frames


def _short(names: Sequence[str], what: str) -> list[str]:
    """The last part of each name, or all of it where several end alike. Raises InputError for a name twice."""
    short = [Path(name).stem if Path(name).suffix in (".h5", ".parquet") else name.rpartition("/")[2] for name in names]
    chosen = short if len(set(short)) == len(short) else list(names)
    twice = next((name for name in chosen if chosen.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{what}: expected each file once, found {twice} twice")
    return chosen


def _check_like(part: Part, first: Part, what: str) -> None:
    roles = [
        {n: (e.id, e.weight, dict(e.links)) for n, e in o.entry.manifest.entities.items() if n in o.frames}
        for o in (part, first)
    ]
    if roles[0] != roles[1] or part.frames.keys() != first.frames.keys():
        raise InputError(f"{what}: expected files with the same entities, ids and weights, found others in {part.name}")
    for entity, frame in first.frames.items():
        other = part.frames[entity]
        differ = sorted(map(str, set(frame.columns).symmetric_difference(other.columns)))
        differ = differ or [str(name) for name in frame if frame[name].dtype != other[name].dtype]
        if differ:
            raise InputError(
                f"{what}: {entity}: expected the same columns of the same types in all files, found others in "
                f"{part.name} than in {first.name}: {', '.join(differ[:5])}. Say variables= for those in common"
            )
        if AREA in frame:
            raise InputError(f"{what}: {entity}: expected no column {AREA!r}, which says the file of a row, found one")


def _check_ids(frame: "pd.DataFrame", key: str | None, what: str) -> None:
    if key is None or key not in frame or frame[key].is_unique:
        return
    twice = frame[frame[key].duplicated(keep=False)]
    found = twice[key].iloc[0]
    areas = twice.loc[twice[key] == found, AREA].unique()
    raise InputError(
        f"{what}: {key}: expected units that are in one file each, found {found} in {' and '.join(map(str, areas))}. "
        "Either the areas overlap, and their units would count twice, or the files number their rows, each from the "
        "start. Open such files one by one"
    )
