"""Ranges of a file, put together into requests, fetched, and checked against their digests before anybody sees them."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq

from pe_data.cache.fetch import Skipped, note_skipped
from pe_data.describe.range_index import Chunk, Footer
from pe_data.errors import (
    CacheError,
    DigestMismatchError,
    FetchError,
    GatewayError,
    InvalidDocumentError,
    RangeNotSupportedError,
    StoreError,
    StoreUnavailableError,
)
from pe_data.names.digests import Sha256, check_bytes
from pe_data.read.locate import Located
from pe_data.read.places import Places
from pe_data.store.artifacts import WORKERS, each
from pe_data.store.byte_source import Source
from pe_data.store.pace import PACE, Pace, TooSlowError

GAP_SHARE = 0.05
"""Bytes between the wanted ones that may be read along, as a share of these, so that fewer requests are made."""
WRONG = "It was changed or damaged, and was not used. Tell whoever runs the store."


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


@dataclass(frozen=True, slots=True)
class VerifiedRanges:
    """Ranges of one file, each from the first place that has it right."""

    located: Located
    places: Places
    sources: Sequence[Source]
    """Where the file lies, in the order in which they are asked."""
    unusable: set[str] = field(default_factory=set)
    """Names of places that gave no answer; they are not asked for each range again."""

    @property
    def what(self) -> str:
        """For messages."""
        return str(self.located.uri)

    def footer(self, said: Footer) -> pq.FileMetaData:
        """The footer, from the cache if it is there.

        Raises:
            InvalidDocumentError: it is none.
            PeDataError: as `parts`.
        """
        cache = self.places.cache
        kept = cache.lookup(said.sha256, "footer", verify=True)
        if kept is not None:
            raw = kept.read_bytes()
        else:
            raw = self._first(said.offset, said.size_bytes, partial(self._right, sha256=said.sha256, name="footer"))
            with suppress(CacheError):  # it is read again next time
                cache.write_document(said.sha256, "footer", raw)
        try:
            return pq.read_metadata(pa.BufferReader(raw))
        except (pa.ArrowException, OSError) as error:
            raise InvalidDocumentError(f"{self.what}: expected a footer of Parquet, found: {error}") from error

    def parts(self, chunks: Sequence[Chunk]) -> dict[int, bytes]:
        """Offset → bytes of each range.

        Raises:
            DigestMismatchError: the only place that has one has it wrong.
            FetchError: no place has one right.
            GatewayError: one refused.
        """
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
        """Bytes of the first place that has them right; raises as `parts`."""
        skipped: list[Skipped] = []
        pace = (self.places.options.tuning().pace or PACE).shared(WORKERS)
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
                note_skipped(self.places.cache, self.what, skipped)
                self.places.warn(self.located.uri, skipped)
                return data
        note_skipped(self.places.cache, self.what, skipped)
        for one in skipped:
            if len(skipped) == 1 or isinstance(one.error, GatewayError):
                raise one.error
        reasons = "; ".join(f"{one.source}: {one.reason}" for one in skipped)
        raise FetchError(f"{self.what}: no place delivered {size} bytes from {offset} ({reasons})")

    def _ask(self, source: Source, offset: int, size: int, pace: Pace | None) -> bytes:
        tuning = self.places.options.tuning()
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
