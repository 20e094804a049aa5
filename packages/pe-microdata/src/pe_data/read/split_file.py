"""The rows of some areas out of a file that is split by area, by its index.

The index has the sha256 of the footer and of each column in each row group. Only bytes whose digest was found right
reach the Parquet reader: whatever else it asks for is refused. Footers are kept in the cache under their own digest.
"""

import io
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from pe_data.describe.range_index import Chunk, RangeIndex, chunk_of
from pe_data.documents.codes import variable_of
from pe_data.errors import DigestMismatchError, InvalidDocumentError
from pe_data.names.keys import payload_key
from pe_data.read.file_frames import one_year
from pe_data.read.locate import Located, revocation
from pe_data.read.places import Places
from pe_data.read.revocations import Revocations
from pe_data.read.revoked import Revoked, obey
from pe_data.read.spans import VerifiedRanges
from pe_data.store.byte_source import Source
from pe_data.store.folder import FolderStore

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class SplitFile:
    """A file that was split by area: its collection, where the objects of that lie, and the index of its ranges."""

    located: Located
    places: Places
    name: str
    """Of the member that was split; the parts have names below it."""
    index: RangeIndex
    asked: Revocations
    """What is known of revocations for this call."""

    def read(
        self, areas: Sequence[str], chosen: Mapping[str, tuple[str, ...]], year: int | None
    ) -> "dict[str, pd.DataFrame]":
        """Entity → data frame of some areas' rows, area by area.

        Args:
            areas: Known to the index.
            chosen: Entity → variables.
            year: That is wanted; None for the only one.

        Raises:
            InputError: a year that is not there.
            DigestMismatchError, InvalidDocumentError: index and files disagree.
            RevokedError: a part, or the file that was split, was revoked.
            FetchError: no place has the ranges right.
        """
        what = str(replace(self.located.uri, member=self.name))
        one_year(self.index.head.time_period, year, what)
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
        said = self.index.head.files[entity]
        source = VerifiedRanges(located, self.places, self._sources(located, cached))
        footer = source.footer(said.footer)
        chunks = self.index.chunks(entity, groups, columns)
        self._check_footer(footer, chunks, groups, columns, source.what)
        file = _Parts(source.parts(chunks), said.size_bytes, source.what)
        try:
            with pq.ParquetFile(file, metadata=footer, pre_buffer=False) as opened:  # it reads range by range
                table = opened.read_row_groups(list(groups), columns=list(columns), use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise InvalidDocumentError(f"{source.what}: expected Parquet as its footer says, found: {error}") from error
        return table.select(list(columns)).to_pandas()

    def _file(self, entity: str) -> Located:
        """The member with an entity's rows. Raises DigestMismatchError if it is not the one of the index."""
        located = self.located.member(f"{self.name}/{entity}")
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


class _Parts(io.RawIOBase):
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
