"""Where a download can come from: an object of a store, or an address behind http(s).

A plain web address is read with the standard library, which fills our own buffers; through a
store client every piece is copied twice more, and a fetch from a fast server falls to half the
speed of hashing. Everything else goes through the store.
"""

import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from types import TracebackType

from pe_data.errors import StoreError, StoreUnavailableError
from pe_data.store.base import Store

TIMEOUT_SECONDS = 20.0
"""For a connection, and between two pieces of a body."""
BLOCK_BYTES = 4 * 1024 * 1024
"""Of a span, read from a store in one request."""
_PERMANENT = {400, 401, 403, 404, 405, 410, 451}


class SourceError(Exception):
    """A source did not deliver; never leaves the cache package."""

    def __init__(self, reason: str, *, retry: bool) -> None:
        super().__init__(reason)
        self.retry = retry
        """True if asking again may help."""


class Body(AbstractContextManager["Body"]):
    """Bytes on their way."""

    start: int
    """Offset of the first byte that comes."""
    total: int | None
    """Size of the whole object, if the source says so."""
    validator: str | None = None
    """Changes when the object does, if the source says anything of the kind."""

    @abstractmethod
    def readinto(self, buffer: memoryview) -> int:
        """Fill a part of `buffer`; 0 at the end. Raises SourceError."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Give the connection back."""


class Source(ABC):
    """One place that should have the bytes."""

    name: str
    """As a person would write it, without credentials."""

    @abstractmethod
    def supports_ranges(self) -> bool:
        """Whether several parts can be read at once at the cost of those parts."""

    @abstractmethod
    def open(self, start: int, end: int | None = None) -> Body:
        """Read from `start` (to `end`, exclusive, if the source can stop there).

        The body may begin before `start` if the source cannot skip. Raises SourceError.
        """


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


@dataclass(frozen=True, slots=True)
class WebSource(Source):
    """A file behind an http or https address."""

    url: str
    name: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def supports_ranges(self) -> bool:
        with self.open(0, 1) as body:
            return isinstance(body, _WebBody) and body.partial

    def open(self, start: int, end: int | None = None) -> Body:
        headers = {"Accept-Encoding": "identity", **self.headers}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        request = urllib.request.Request(self.url, headers=headers)
        try:
            response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            with error:
                retry = error.code not in _PERMANENT
                raise SourceError(f"HTTP status {error.code} {error.reason}", retry=retry) from error
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise SourceError(f"no answer: {reason}", retry=True) from error
        return _WebBody(response, start)


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


class _WebBody(Body):
    def __init__(self, response: HTTPResponse, asked: int) -> None:
        self._response = response
        self.validator = response.headers.get("ETag") or response.headers.get("Last-Modified")
        self.partial = response.status == 206
        span = response.headers.get("Content-Range", "")
        size = response.headers.get("Content-Length", "")
        if self.partial:
            first, _, total = span.removeprefix("bytes ").partition("-")
            self.start = int(first) if first.isdecimal() else asked
            after = total.partition("/")[2]
            self.total = int(after) if after.isdecimal() else None
        else:
            self.start = 0
            self.total = int(size) if size.isdecimal() else None

    def readinto(self, buffer: memoryview) -> int:
        try:
            return self._response.readinto(buffer)
        except (OSError, HTTPException) as error:
            raise SourceError(f"broken off: {error}", retry=True) from error

    def close(self) -> None:
        self._response.close()


def _of_store(error: StoreError) -> SourceError:
    return SourceError(str(error), retry=isinstance(error, StoreUnavailableError))


def source_for(store: Store, key: str) -> Source:
    """The fastest way to read `key` of `store`."""
    if store.url.startswith(("http://", "https://")):
        return WebSource(f"{store.url.rstrip('/')}/{key}", store.url)
    if store.url.startswith("gateway+"):
        from pe_data.cache.gateway_source import GatewaySource
        from pe_data.store.gateway import GatewayStore

        if isinstance(store, GatewayStore):
            return GatewaySource(store, key)
    return StoreSource(store, key, store.url)
