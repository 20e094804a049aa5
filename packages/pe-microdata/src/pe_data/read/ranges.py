"""Some columns of some areas out of a file that is split by area, by reading those ranges alone.

The collection binds an index (`pe_data.describe.range_index`), which has the sha256 of the footer and of each column in
each row group. Only bytes whose digest was found right reach the Parquet reader: whatever else it asks for is refused.
Footers are kept in the cache under their own digest, the index like any other file.

An area that the publication has as a file of its own is read from that file if all of its columns are wanted: the file
is smaller than the footer.
"""

import io
import time
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from pe_data.cache.fetch import Skipped, note_skipped
from pe_data.describe.range_index import INDEX_NAME, Chunk, RangeIndex, chunk_of
from pe_data.documents.codes import variable_of
from pe_data.documents.collection import Member
from pe_data.documents.manifest import Manifest
from pe_data.documents.notice import is_gated
from pe_data.errors import (
    CacheError,
    DigestMismatchError,
    FetchError,
    GatewayError,
    InputError,
    InvalidDocumentError,
    RangeNotSupportedError,
    StoreError,
    StoreUnavailableError,
)
from pe_data.names.digests import Sha256, check_bytes
from pe_data.names.keys import payload_key
from pe_data.names.uri import StoreUri, parse_uri
from pe_data.read.locate import Located, describe, locate, revocation
from pe_data.read.lookup import Entry, entry_for
from pe_data.read.options import Options
from pe_data.read.payload import bring, note_use
from pe_data.read.places import Places
from pe_data.read.revocations import Revocations
from pe_data.read.revoked import Revoked, obey
from pe_data.store.artifacts import WORKERS, each
from pe_data.store.byte_source import Source
from pe_data.store.folder import FolderStore
from pe_data.store.pace import PACE, Pace, TooSlowError
from pe_data.suggestions import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

GAP_SHARE = 0.05
"""Bytes between the wanted ones that may be read along, as a share of these, so that fewer requests are made."""
WRONG = "It was changed or damaged, and was not used. Tell whoever runs the store."

Areas = str | Iterable[str]


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes that one request reads, and the ranges in them that are wanted."""

    chunks: tuple[Chunk, ...]

    @property
    def offset(self) -> int:
        """Of the first byte."""
        return self.chunks[0].offset

    @property
    def size_bytes(self) -> int:
        """Up to the end of the last range."""
        return self.chunks[-1].end - self.offset


def open_area(
    uri: "str | StoreUri",
    area: Areas,
    choose: Callable[[Manifest], Mapping[str, tuple[str, ...]]],
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
        choose: From the manifest of the file that was split, entity → columns that are wanted.
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
    reader = _Reader(located, places, split, index, Revocations(parsed, options, places))
    whole = members.get(split)
    if whole is None or whole.artifact_sha256 != index.head.source:
        raise DigestMismatchError(
            f"{located.member(f'{split}/{INDEX_NAME}').uri}",
            expected=f"an index of {split}, sha256 {whole.artifact_sha256}" if whole else f"{split} beside its index",
            found=f"one of sha256 {index.head.source}",
            advice="Its publisher mixed the files of two builds; open the area's own file.",
        )
    entry = entry_for(str(replace(parsed, member=split, channel=None, sha256=located.root)), options, year=year)
    frames = reader.read(wanted, choose(entry.manifest), year)
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


@dataclass(frozen=True, slots=True)
class _Reader:
    """One call: the collection, where its objects lie, and the index of what was split."""

    located: Located
    places: Places
    split: str
    index: RangeIndex
    asked: Revocations

    def read(
        self, areas: Sequence[str], chosen: Mapping[str, tuple[str, ...]], year: int | None
    ) -> "dict[str, pd.DataFrame]":
        what = str(replace(self.located.uri, member=self.split))
        years = self.index.head.time_period
        if year is not None and year not in years:
            raise InputError(f"{what}: year: expected one of {', '.join(map(str, years))}, found {year}")
        stored = self.index.columns()
        groups = self.index.row_groups(areas)
        frames = {}
        for entity, names in chosen.items():
            there = stored.get(entity, ())
            columns = [column for name in names for column in there if variable_of(column) == name]
            if {variable_of(column) for column in columns} != set(names):
                raise InvalidDocumentError(
                    f"{what}: {entity}: expected the columns of its manifest in the index, found others. Its publisher "
                    "mixed the files of two builds; open the area's own file"
                )
            frames[entity] = self._entity(entity, groups[entity], columns)
        return frames

    def _entity(self, entity: str, groups: Sequence[int], columns: Sequence[str]) -> "pd.DataFrame":
        located = self._file(entity)
        cached = self.places.cache.find(located.sha256)
        self._refuse_revoked(located, cached is not None)
        source = _Ranges(self, located, entity, self._sources(located, cached))
        footer = source.footer()
        chunks = self.index.chunks(entity, groups, columns)
        self._check_footer(footer, chunks, groups, columns, source.what)
        file = _Verified(source.parts(chunks), self.index.head.files[entity].size_bytes, source.what)
        try:
            with pq.ParquetFile(file, metadata=footer, pre_buffer=False) as opened:  # it reads range by range
                table = opened.read_row_groups(list(groups), columns=list(columns), use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise InvalidDocumentError(f"{source.what}: expected Parquet as its footer says, found: {error}") from error
        return table.select(list(columns)).to_pandas()

    def _file(self, entity: str) -> Located:
        """The member with an entity's rows. Raises DigestMismatchError if it is not the one of the index."""
        located = self.located.member(f"{self.split}/{entity}")
        said = self.index.head.files[entity]
        if located.sha256 != said.sha256:
            raise DigestMismatchError(
                f"{located.uri}: index",
                expected=f"the file sha256 {located.sha256}, as the collection says",
                found=f"the index of sha256 {said.sha256}",
                advice="Its publisher mixed the files of two builds; open the area's own file.",
            )
        return located

    def _refuse_revoked(self, located: Located, cached: bool) -> None:
        """Raise RevokedError if the file, or the one that it was made from, was revoked."""
        found: Revoked | None = revocation(located, self.places, cached=cached, asked=self.asked)
        found = found or self.asked.find([self.index.head.source], cached=cached)
        if found is not None:
            obey(found, located.uri, self.places.options, cached=cached)

    def _sources(self, located: Located, cached: Path | None) -> list[Source]:
        """The whole file in the cache, if it is there; then the stores, for bytes that were damaged in the cache."""
        here = [] if cached is None else [replace(FolderStore(cached.parent).source(cached.name), name=str(cached))]
        if here and self.places.options.offline:
            return here
        key = payload_key(located.uri.country, located.sha256, "parquet")
        return [*here, *(store.source(key) for store in self.places.all())]

    def _check_footer(
        self,
        footer: pq.FileMetaData,
        chunks: Sequence[Chunk],
        groups: Sequence[int],
        columns: Sequence[str],
        what: str,
    ) -> None:
        """Raise InvalidDocumentError if the ranges of the index are not those of the footer."""
        if groups and max(groups) >= footer.num_row_groups:
            raise _disagree(what, f"at most {footer.num_row_groups} row groups", f"row group {max(groups)}")
        wanted = frozenset(columns)
        numbers = [n for n in range(footer.num_columns) if footer.schema.column(n).name in wanted]
        there = {
            (group, name): (offset, size)
            for group in groups
            for name, offset, size in (chunk_of(footer, group, n) for n in numbers)
        }
        said = {(one.row_group, one.column): (one.offset, one.size_bytes) for one in chunks}
        if there != said:
            group, name = min(key for key in there.keys() | said.keys() if there.get(key) != said.get(key))
            expected, found = (_range(ranges.get((group, name))) for ranges in (there, said))
            raise _disagree(f"{what}: row group {group}, column {name}", expected, found)


def _range(found: tuple[int, int] | None) -> str:
    return "no range" if found is None else f"{found[1]} bytes from {found[0]}"


def _disagree(what: str, footer: str, index: str) -> InvalidDocumentError:
    return InvalidDocumentError(
        f"{what}: expected {footer}, as the footer says, found {index} in the index. Its publisher mixed the files of "
        "two builds; open the area's own file"
    )


@dataclass(frozen=True, slots=True)
class _Ranges:
    """The verified ranges of one file, from the first place that has them right."""

    reader: _Reader
    located: Located
    entity: str
    sources: Sequence[Source]
    unusable: set[str] = field(default_factory=set)
    """Names of places that gave no answer; they are not asked for each range again."""

    @property
    def what(self) -> str:
        """For messages."""
        return str(self.located.uri)

    def footer(self) -> pq.FileMetaData:
        """The footer, from the cache if it is there."""
        said, cache = self.reader.index.head.files[self.entity].footer, self.reader.places.cache
        kept = cache.lookup(said.sha256, "footer", verify=True)
        if kept is not None:
            raw = kept.read_bytes()
            check_bytes(raw, said.sha256, what=str(kept), advice=WRONG)
        else:
            raw = self._first(said.offset, said.size_bytes, partial(self._right, sha256=said.sha256, name="footer"))
            with suppress(CacheError):  # it is read again next time
                cache.write_document(said.sha256, "footer", raw)
        try:
            return pq.read_metadata(pa.BufferReader(raw))
        except (pa.ArrowException, OSError) as error:
            raise InvalidDocumentError(f"{self.what}: expected a footer of Parquet, found: {error}") from error

    def parts(self, chunks: Sequence[Chunk]) -> dict[int, bytes]:
        """Offset → bytes of each range."""
        return {offset: data for found in each(self._span, spans(chunks)) for offset, data in found.items()}

    def _span(self, span: Span) -> dict[int, bytes]:
        def cut(data: bytes, chunk: Chunk) -> bytes:
            return data[chunk.offset - span.offset : chunk.end - span.offset]

        def check(data: bytes) -> None:
            for chunk in span.chunks:
                name = f"row group {chunk.row_group}, column {chunk.column}"
                self._right(cut(data, chunk), chunk.sha256, name)

        data = self._first(span.offset, span.size_bytes, check)
        return {chunk.offset: cut(data, chunk) for chunk in span.chunks}

    def _right(self, data: bytes, sha256: Sha256, name: str) -> None:
        check_bytes(data, sha256, what=f"{self.what}: {name}", advice=WRONG)

    def _first(self, offset: int, size: int, check: Callable[[bytes], None]) -> bytes:
        """Bytes of the first place that has them right.

        Raises:
            DigestMismatchError: the only place that has them has them wrong.
            FetchError: no place has them right; GatewayError: one refused.
        """
        skipped: list[Skipped] = []
        pace = (self.reader.places.options.tuning().pace or PACE).shared(WORKERS)
        for number, source in enumerate(self.sources):
            last = number == len(self.sources) - 1
            if source.name in self.unusable and not last:
                continue
            try:
                data = self._ask(source, offset, size, None if last else pace)
                check(data)
            except (StoreError, DigestMismatchError) as error:
                skipped.append(Skipped(source.name, error))
                if not isinstance(error, DigestMismatchError):
                    self.unusable.add(source.name)
            else:
                note_skipped(self.reader.places.cache, self.what, skipped)
                self.reader.places.warn(self.located.uri, skipped)
                return data
        note_skipped(self.reader.places.cache, self.what, skipped)
        for one in skipped:
            if len(skipped) == 1 or isinstance(one.error, GatewayError):
                raise one.error
        reasons = "; ".join(f"{one.source}: {one.reason}" for one in skipped)
        raise FetchError(f"{self.what}: no place delivered {size} bytes from {offset} ({reasons})")

    def _ask(self, source: Source, offset: int, size: int, pace: Pace | None) -> bytes:
        tuning = self.reader.places.options.tuning()
        for attempt in range(1, tuning.attempts + 1):
            try:
                with source.open(offset, size, pace) as body:
                    if not body.ranged:
                        raise RangeNotSupportedError(
                            f"{source.name}: expected {size} bytes from {offset}, found a server that sends whole "
                            "files. Open the area's own file"
                        )
                    data = body.read()
                if len(data) != size:
                    raise StoreUnavailableError(
                        f"{source.name}: expected {size} bytes from {offset}, found {len(data)}"
                    )
                return data
            except TooSlowError:
                raise
            except StoreUnavailableError:
                if attempt == tuning.attempts:
                    raise
                time.sleep(tuning.pause_seconds * 2 ** (attempt - 1))
        raise AssertionError("the last attempt returns or raises")


def spans(chunks: Sequence[Chunk]) -> list[Span]:
    """Ranges of one file put together into requests: neighbours always, others while little lies between them.

    What lies between is at most `GAP_SHARE` of the bytes that are wanted.
    """
    ordered = sorted(chunks, key=lambda one: one.offset)
    budget = GAP_SHARE * sum(one.size_bytes for one in ordered)
    gaps = sorted((after.offset - before.end, n) for n, (before, after) in enumerate(pairwise(ordered)))
    joined = set()
    for gap, number in gaps:
        budget -= max(gap, 0)
        if budget < 0:
            break
        joined.add(number)
    found: list[list[Chunk]] = []
    for number, chunk in enumerate(ordered):
        if number and number - 1 in joined:
            found[-1].append(chunk)
        else:
            found.append([chunk])
    return [Span(tuple(one)) for one in found]


class _Verified(io.RawIOBase):
    """A file of which some ranges are here, all of them verified; reading anything else is an error."""

    def __init__(self, parts: Mapping[int, bytes], size: int, what: str) -> None:
        self._parts, self._size, self._what = parts, size, what
        self._starts = sorted(parts)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Bytes of one range."""
        end = self._size if size is None or size < 0 else min(self._at + size, self._size)
        number = bisect_right(self._starts, self._at) - 1
        if end <= self._at:
            return b""
        start = self._starts[number] if number >= 0 else 0
        part = self._parts[start] if number >= 0 else b""
        if end > start + len(part):
            raise OSError(f"{self._what}: bytes {self._at} to {end} were not fetched and verified")
        data = part[self._at - start : end - start]
        self._at = end
        return data
