"""Some columns of some areas out of a file that is split by area, by reading those ranges alone.

The collection binds an index (`pe_data.describe.range_index`), by which `pe_data.read.split_file` reads. The index is
kept in the cache like any other file.

An area that the publication has as a file of its own is read from that file if all of its columns are wanted: the file
is smaller than the footer.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pe_data.describe.beside import INDEX_NAME
from pe_data.describe.range_index import RangeIndex
from pe_data.documents.collection import Member
from pe_data.documents.manifest import Manifest
from pe_data.documents.notice import is_gated
from pe_data.errors import DigestMismatchError, InputError
from pe_data.names.uri import StoreUri, parse_uri
from pe_data.read.locate import Located, describe, locate
from pe_data.read.lookup import Entry, stored_entry
from pe_data.read.options import Options
from pe_data.read.payload import bring, note_use
from pe_data.read.places import Places
from pe_data.read.revocations import Revocations
from pe_data.read.split_file import SplitFile
from pe_data.suggestions import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Areas = str | Iterable[str]


def open_area(
    uri: "str | StoreUri",
    area: Areas,
    choose: Callable[[Manifest, str], Mapping[str, tuple[str, ...]]],
    *,
    everything: bool,
    year: int | None,
    options: Options,
) -> "tuple[dict[str, pd.DataFrame], Entry] | str":
    """Entity → data frame of an area's rows, and what is said of the file that was split; or the address of the area's
    own file, if that is to be read instead.

    Args:
        uri: Of a collection, or of the member in it that was split (`…/national/US@latest`).
        area: `NC-01`, `NC`, or several of these, whose rows come together.
        choose: From the manifest of the file that was split, and `uri` for messages, entity → columns that are wanted.
        everything: Whether these are all.
        year: That is wanted; None for the only one.

    Raises:
        InputError: no such area, gated data, an address that is no collection's, a year that is not there.
        PeDataError: an unknown variable; as `ensure`.
        FetchError: no place has the ranges right.
        InvalidDocumentError: index and files disagree.
    """
    parsed = parse_uri(uri) if isinstance(uri, str) else uri
    if not isinstance(parsed, StoreUri):
        raise InputError(
            f"{uri}: area: expected the address of a collection, found that of one file. Nothing binds ranges of it"
        )
    if is_gated(parsed.country):
        raise _gated(parsed)
    wanted = list(dict.fromkeys([area] if isinstance(area, str) else area))
    if not wanted:
        raise InputError(f"{uri}: area: expected one or more areas, found none")
    places = Places.of(parsed, options)
    located = locate(replace(parsed, member=None), places)
    members: Mapping[str, Member] = located.collection.members if located.collection else {}
    if not members:
        raise InputError(f"{uri}: area: expected a collection, found a single file. Leave the area out")
    if parsed.member is not None and parsed.member not in members:
        located.member(parsed.member)  # says what there is
    splits = {folder for folder, _, last in map(_parted, members) if last == INDEX_NAME}
    files = {name: row for name, row in members.items() if _parted(name)[0] not in splits}
    own = _own_file(wanted[0], files, parsed) if len(wanted) == 1 else None
    if own is not None and everything:
        return str(replace(parsed, member=own))
    split = _one_split(splits, parsed)
    index = None if split is None else _read_index(located.member(f"{split}/{INDEX_NAME}"), places)
    known: frozenset[str] = frozenset() if index is None else index.areas
    if split is None or index is None or not known.issuperset(wanted):
        if own is not None:
            return str(replace(parsed, member=own))
        raise _unknown(parsed, [one for one in wanted if one not in known], known, files)
    reader = SplitFile(located, places, split, index, Revocations(parsed, options, places))
    whole = members.get(split)
    if whole is None or whole.artifact_sha256 != index.head.source:
        raise DigestMismatchError(
            f"{located.member(f'{split}/{INDEX_NAME}').uri}",
            expected=f"an index of {split}, sha256 {whole.artifact_sha256}" if whole else f"{split} beside its index",
            found=f"one of sha256 {index.head.source}",
            advice="Its publisher mixed the files of two builds; open the area's own file.",
        )
    file = located.member(split)
    entry = stored_entry(file, describe(file, places), places)
    frames = reader.read(wanted, choose(entry.manifest, str(uri)), year)
    note_use(located, places)
    return frames, entry


def _own_file(area: str, files: Mapping[str, Member], uri: StoreUri) -> str | None:
    """The member that is an area's own file, by its id or by its name; None if there is none. Raises InputError."""
    if area in files:
        return area
    found = [
        name for name, row in files.items() if _parted(name)[2] == area and (row.area is None or row.area.id == area)
    ]
    if len(found) > 1:
        raise InputError(
            f"{uri}: area: expected one area, found several files of {area!r}. Name one of {', '.join(sorted(found))}"
        )
    return found[0] if found else None


def _one_split(splits: Collection[str], uri: StoreUri) -> str | None:
    """The member that was split by area: the one of the address, else the only one; None if there is none."""
    if uri.member is not None:
        return uri.member if uri.member in splits else None
    if len(splits) > 1:
        raise InputError(
            f"{uri}: area: expected one file that is split by area, found {', '.join(sorted(splits))}. Name one in the "
            "address"
        )
    return next(iter(splits), None)


def _parted(name: str) -> tuple[str, str, str]:
    return name.rpartition("/")


def _unknown(uri: StoreUri, missing: Sequence[str], known: frozenset[str], files: Iterable[str]) -> InputError:
    names = {_parted(name)[2] for name in files}
    what = f"{', '.join(map(repr, missing[:5]))}{' …' if len(missing) > 5 else ''}"
    hint = did_you_mean(missing[0], sorted(known | names))
    expected = (
        f"areas among {len(known)}"
        if known
        else "the name of an area with a file of its own, because nothing here is split by area"
    )
    return InputError(f"{uri}: area: expected {expected}, found {what}. {hint}".rstrip())


def _gated(uri: StoreUri) -> InputError:
    return InputError(
        f"{uri}: area: expected public data, found gated data, which are fetched and logged as whole files. Leave the "
        "area out"
    )


def _read_index(located: Located, places: Places) -> RangeIndex:
    if is_gated(located.uri.country, describe(located, places).manifest.access):
        raise _gated(located.uri)
    return RangeIndex.read(bring(located, places), str(located.uri))
