"""An object of a store as the source of a download."""

from collections.abc import Iterator
from dataclasses import dataclass

from pe_data.errors import StoreError, StoreUnavailableError
from pe_data.store.base import Store
from pe_data.store.byte_source import Body, Source, SourceError

BLOCK_BYTES = 4 * 1024 * 1024
"""Of a span, read from a store in one request."""


def source_for(store: Store, key: str) -> Source:
    """The fastest way to read `key` of `store`."""
    return store.direct_source(key) or StoreSource(store, key, store.url)


@dataclass(frozen=True, slots=True)
class StoreSource(Source):
    """An object of a store."""

    store: Store
    key: str
    name: str

    def supports_ranges(self) -> bool:
        try:
            return self.store.supports_ranges(self.key)
        except StoreError as error:
            raise _of_store(error) from error

    def open(self, start: int, end: int | None = None) -> Body:
        if end is not None:
            return _StoreBody(start, None, self._blocks(start, end))
        try:
            stream = self.store.open_stream(self.key, start=start)
        except StoreError as error:
            raise _of_store(error) from error
        return _StoreBody(stream.start, stream.meta.size, stream.pieces)

    def _blocks(self, start: int, end: int) -> Iterator[bytes]:
        """A span in blocks: a stream that is closed early has often sent more than was wanted."""
        for offset in range(start, end, BLOCK_BYTES):
            yield self.store.get_range(self.key, offset, min(BLOCK_BYTES, end - offset))


class _StoreBody(Body):
    def __init__(self, start: int, total: int | None, pieces: Iterator[bytes]) -> None:
        self.start, self.total = start, total
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def readinto(self, buffer: memoryview) -> int:
        while not self._rest:
            try:
                piece = next(self._pieces, None)
            except StoreError as error:
                raise _of_store(error) from error
            if piece is None:
                return 0
            self._rest = memoryview(piece).cast("B")
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        self._rest = memoryview(b"")


def _of_store(error: StoreError) -> SourceError:
    return SourceError(str(error), retry=isinstance(error, StoreUnavailableError))
