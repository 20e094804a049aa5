"""What is exported: tables, and what is said of them, from an address, from frames, or from an estimate."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pe_data.documents.codes import label_of
from pe_data.documents.dictionary import Variable, agreed
from pe_data.documents.manifest import Manifest
from pe_data.errors import InputError
from pe_data.exports.said import Said, said_of
from pe_data.exports.table import Table, table_of
from pe_data.read.file_frames import need_pandas, wanted_columns
from pe_data.read.frames import same_year
from pe_data.read.lookup import Entry
from pe_data.read.options import Options
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
    origins: Mapping[str, Entry]
    """Member → file that rows are from; without a name for a file of its own."""


def gather(
    source: Source,
    variables: Sequence[str] | None,
    members: Sequence[str] | None,
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

    def choose(manifest: Manifest, file: str) -> dict[str, tuple[str, ...]]:
        wanted = wanted_columns(manifest, variables, file)
        if members is None:
            return wanted
        # Of several files the ids too: they tell whether areas overlap.
        return {
            entity: tuple(dict.fromkeys((*names, manifest.entities[entity].id or names[0])))
            for entity, names in wanted.items()
        }

    parts = list(parts_of([source], members, options, asked, pickle, choose))
    frames = parts[0].frames
    if members is not None:
        frames = join(parts, what)
        if variables is not None:
            for entity in frames:
                unwanted = {parts[0].entry.manifest.entities[entity].id} - {*variables}
                frames[entity] = frames[entity].drop(columns=list(unwanted), errors="ignore")
    origins = {part.member: part.entry for part in parts}
    covered = tuple(sorted({one for entry in origins.values() for one in entry.manifest.time_period}))
    said = said_of(origins, covered if asked is None else (asked,))
    return _gathered(what, frames, agreed(entry.variables for entry in origins.values()), labels, said, origins)


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
    return _gathered("export", named, (), labels, said, {})


def _gathered(
    what: str,
    frames: "Mapping[str, pd.DataFrame]",
    variables: Sequence[Variable],
    labels: Mapping[str, str],
    said: Said,
    origins: Mapping[str, Entry],
) -> Gathered:
    tables = tuple(table_of(entity, frame, variables, labels, what) for entity, frame in frames.items())
    known = {field.name for table in tables for field in table.fields}
    unknown = next((column for column in labels if column not in known), None)
    if unknown is not None:
        raise InputError(f"{what}: labels: expected names of columns, found {unknown!r}")
    return Gathered(what, tables, said, origins)
