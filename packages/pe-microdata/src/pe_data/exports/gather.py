"""What is exported: tables, and what is said of them, from an address, from frames, or from an estimate."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pe_data.documents.codes import label_of
from pe_data.documents.collection import licensed
from pe_data.documents.dictionary import Variable, agreed
from pe_data.documents.manifest import Manifest
from pe_data.errors import InputError
from pe_data.exports.said import Origin, Said, said_of
from pe_data.exports.table import Table, table_of
from pe_data.names.uri import StoreUri, parse_uri
from pe_data.read.frames import frames_of, need_pandas, open_entry, same_year, wanted_columns
from pe_data.read.locate import look
from pe_data.read.lookup import collection_behind
from pe_data.read.options import Options
from pe_data.read.places import Places
from pe_data.read.several import join, parts_of

if TYPE_CHECKING:
    import pandas as pd

    from pe_data.read.estimates import Estimates
    from pe_data.read.weighted_frames import Frames

Source: TypeAlias = "str | os.PathLike[str] | Frames | Estimates | pd.DataFrame | Mapping[str, pd.DataFrame]"


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is written."""

    what: str
    """For messages."""
    tables: tuple[Table, ...]
    said: Said
    origins: tuple[Origin, ...]


def gather(
    source: Source,
    variables: Iterable[str] | None,
    members: Iterable[str] | None,
    labels: Mapping[str, str],
    year: int | None,
    years: "int | Iterable[int] | None",
    pickle: bool,
    options: Options,
) -> Gathered:
    """The tables of `pe_data.export`, whose arguments these are."""
    need_pandas("export")
    if not isinstance(source, str | os.PathLike):
        if variables is not None or members is not None:
            raise InputError("export: variables and members: expected with an address, found with frames")
        return _of_frames(source, labels)
    what, asked = str(source), same_year(year, years, str(source))
    if members is not None:
        return _of_members(source, variables, list(members), labels, asked, pickle, options)
    frames, entry = open_entry(source, variables, asked, options, pickle)
    origins = (Origin("", entry.manifest, entry.about),)
    return _gathered(what, frames, entry.variables, labels, said_of(origins, _covered(origins, asked)), origins)


def _of_members(
    address: "str | os.PathLike[str]",
    variables: Iterable[str] | None,
    members: Sequence[str],
    labels: Mapping[str, str],
    year: int | None,
    pickle: bool,
    options: Options,
) -> Gathered:
    """The rows of several members below each other, with a column `area`.

    Ids are read even if nobody wants them, because they tell whether areas overlap.
    """
    parsed = parse_uri(address)
    if isinstance(parsed, StoreUri):  # all that follows is of one collection, whatever its channel does meanwhile
        located, described = look(parsed, Places.of(parsed, options))
        if described is None:
            address = str(replace(parsed, channel=None, sha256=located.root))
    chosen = None if variables is None else list(variables)
    manifests: list[Manifest] = []
    extra: set[tuple[str, str]] = set()

    def read(one: "str | os.PathLike[str]", manifest: Manifest, path: Path) -> "dict[str, pd.DataFrame]":
        manifests.append(manifest)
        wanted = dict(wanted_columns(manifest, chosen, str(one)))
        for entity, names in wanted.items():
            key = manifest.entities[entity].id
            if key is not None and key not in names:
                extra.add((entity, key))
                wanted[entity] = (*names, key)
        return frames_of(path, manifest, wanted, year=year, allow_pickle=pickle, what=str(one))

    parts = list(parts_of([address], members, options, year, read))
    frames = join(iter(parts), str(address))[0]
    for entity, key in extra:
        frames[entity] = frames[entity].drop(columns=key)
    whole = collection_behind(address, options)
    assert whole is not None, "its members were read"
    names = [part.name.partition("/")[2] for part in parts]
    abouts = [whole.members[name].about for name in names]
    origins = tuple(
        Origin(name, licensed(manifest, about), about)
        for name, manifest, about in zip(names, manifests, abouts, strict=True)
    )
    explained = agreed(manifest.variables(whole.dictionary) for manifest in manifests)
    return _gathered(str(address), frames, explained, labels, said_of(origins, _covered(origins, year)), origins)


def _covered(origins: Sequence[Origin], year: int | None) -> tuple[int, ...]:
    """The year of the rows; all years of files without one to choose."""
    return (year,) if year is not None else tuple(sorted({y for one in origins for y in one.manifest.time_period}))


def _of_frames(
    source: "Frames | Estimates | pd.DataFrame | Mapping[str, pd.DataFrame]", labels: Mapping[str, str]
) -> Gathered:
    """Frames and estimates of somebody's own; the names of an index become columns."""
    import pandas as pd

    from pe_data.read.estimates import Estimates
    from pe_data.read.weighted_frames import Frames

    said = Said("table", "Table")
    if isinstance(source, Estimates):
        said = Said("estimates", source.what, notes=source.remarks)
        frames: Mapping[str, pd.DataFrame] = {"estimates": source.table}
    elif isinstance(source, pd.DataFrame):
        frames = {"table": source}
    elif isinstance(source, Mapping):
        frames = source
        if isinstance(source, Frames):
            said = Said("frames", source.what, notes=source.notes)
            columns = {str(column) for frame in source.values() for column in frame.columns}
            labels = {name: label for name in columns if (label := label_of(name, source.labels))} | dict(labels)
    else:
        raise InputError(
            f"export: expected an address, frames, estimates or a data frame, found {type(source).__name__}"
        )
    named = {
        name: frame.reset_index() if any(level is not None for level in frame.index.names) else frame
        for name, frame in frames.items()
    }
    return _gathered("export", named, (), labels, said, ())


def _gathered(
    what: str,
    frames: "Mapping[str, pd.DataFrame]",
    variables: Sequence[Variable],
    labels: Mapping[str, str],
    said: Said,
    origins: tuple[Origin, ...],
) -> Gathered:
    tables = tuple(table_of(entity, frame, variables, labels, what) for entity, frame in frames.items())
    known = {field.name for table in tables for field in table.fields}
    unknown = next((column for column in labels if column not in known), None)
    if unknown is not None:
        raise InputError(f"{what}: labels: expected names of columns, found {unknown!r}")
    return Gathered(what, tables, said, origins)
