"""Data frames per entity from an artifact (extra `frames`)."""

import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pe_data.describe.columns import PERSON
from pe_data.documents.collection import demonstrations
from pe_data.documents.manifest import Manifest
from pe_data.errors import DemonstrationWarning, InputError
from pe_data.names.uri import parse_uri
from pe_data.read.file_frames import need_pandas, wanted_columns
from pe_data.read.options import Options, listed
from pe_data.read.several import Part, join, parts_of

if TYPE_CHECKING:
    from pe_data.read.weighted_frames import Frames

Address: TypeAlias = "str | os.PathLike[str]"


def open_frames(
    uri: "Address | Iterable[Address]",
    variables: Iterable[str] | None = None,
    *,
    members: str | Iterable[str] | None = None,
    year: int | None = None,
    years: "int | Iterable[int] | None" = None,
    allow_pickle: bool = False,
    area: "str | Iterable[str] | None" = None,
    cache: Path | str | None = None,
    store: Path | str | None = None,
    offline: bool | None = None,
    allow_stale: bool = False,
) -> "Frames":
    """Entity → data frame of an artifact, fetched and verified first; it knows weights and links (see `Frames`).

    Args:
        uri: As for `ensure`; or several, whose rows come below each other (see below).
        variables: Only these columns, default all; and after them the ids, links and weights that they need to be
            weighted and joined.
        members: Of the collection at `uri`, all files whose name fits one of these patterns, such as `districts/*`.
        year: Which year of a file that has several; default the only one.
        years: The same, by the name that `ensure_datasets` has for it: one year, because a frame has one.
        cache, store, offline, allow_stale: As for `ensure`.
        allow_pickle: Read files that pandas wrote as HDF5 (`to_hdf`). Reading one unpickles what is in it, and a
            pickle can run any code: only for files of somebody whom you trust that far.
        area: Only the rows of this area (`NC-01`, `NC`), or of several, of a collection with a file that is split by
            area: only the ranges of those columns are fetched (docs/nation.md). Without `variables`, the area's own
            file is opened, if there is one. Public data only.

    Values keep their dtype; fixed-width text becomes `str`. A variable that is stored per month
    gives twelve columns, `name@2024-01` and so on.

    Several files give one frame per entity with a first column `area`: the last part of the name of the file (`NC-01`),
    or all of it where two end alike. A unit has the same id in every file of a run, so files that share a unit, such as
    a state and its district, are refused: it would count twice.

    Raises:
        PeDataError: whatever `ensure` raises; an unknown variable (with close names), a year that
            is not there, or a missing extra; InputError for a file that is not in a known form, lies
            partly in other files, or needs `allow_pickle`; for several files with other columns, or with
            units in common.

    Warns:
        DemonstrationWarning: the notes of the publication say that the data are a demonstration.
    """
    options = Options.of(cache=cache, store=store, offline=offline, allow_stale=allow_stale)
    one = isinstance(uri, str | os.PathLike)
    if isinstance(uri, str | os.PathLike):
        addresses: list[Address] = [uri]
    elif isinstance(uri, Iterable) and not isinstance(uri, bytes):
        addresses = list(uri)
    else:
        addresses = [parse_uri(uri).name]  # refuses by name what is no address
    what = str(addresses[0]) if one else f"{len(addresses)} addresses"
    need_pandas(what)
    from pe_data.read.weighted_frames import Frames

    asked, variables = same_year(year, years, what), listed(variables)

    def choose(manifest: Manifest, file: str) -> dict[str, tuple[str, ...]]:
        return _along(manifest, wanted_columns(manifest, variables, file))

    parts: list[Part] | None = None
    if area is not None:
        if not one or members is not None:
            raise InputError(f"{what}: area: expected the address of one collection and no members, found more")
        from pe_data.read.ranges import open_area

        found = open_area(what, area, choose, everything=variables is None, year=asked, options=options)
        if isinstance(found, str):
            addresses = [found]
        else:
            parts = [Part(what, "", found[1], found[0])]
    if parts is None:
        parts = list(parts_of(addresses, listed(members), options, asked, allow_pickle, choose))
    frames = parts[0].frames if one and members is None else join(parts, what)
    entries = [part.entry for part in parts]
    notes = tuple(dict.fromkeys(note for entry in entries for note in entry.about.notes))
    labels = {known.name: known.label for entry in entries for known in entry.variables if known.label}
    told = demonstrations(notes)
    if told:
        warnings.warn(f"what the data are: {'; '.join(told)}", DemonstrationWarning, stacklevel=2)
    return Frames(frames, entries[0].manifest.entities, notes=notes, labels=labels, what=what)


def _along(manifest: Manifest, wanted: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The same columns, then those that it takes to weigh and to join them: ids, links and weights."""
    from pe_data.read.links import weighted_unit

    entities, needed = manifest.entities, set(wanted)
    for name in wanted.keys() & entities.keys():
        needed |= {unit} if (unit := weighted_unit(entities, name)) else set()
    if PERSON in entities and len(needed) > 1:
        needed.add(PERSON)  # groups are joined over their persons
    along = {}
    for name, entity in entities.items():
        if name in needed:
            roles = (entity.id, entity.weight, *(link for other, link in entity.links.items() if other in needed))
            along[name] = tuple(dict.fromkeys((*wanted.get(name, ()), *filter(None, roles))))
    return along


def same_year(year: int | None, years: "int | Iterable[int] | None", what: str) -> int | None:
    """The one year that is asked for, by either name. Raises InputError for several."""
    if years is None:
        return year
    asked = {years} if isinstance(years, int) else set(years)
    if year is not None:
        asked.add(year)
    if len(asked) > 1:
        found = ", ".join(map(str, sorted(asked)))
        raise InputError(f"{what}: years: expected one year, found {found}. Open the file once for each")
    return next(iter(asked), None)
