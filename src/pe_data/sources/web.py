"""Files behind an http(s) address, fixed or handed out anew.

They are read with the standard library, which fills our own buffers; through a store client every
piece is copied twice more, and a fetch from a fast server falls to half the speed of hashing.
"""

import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import Protocol

from pe_data.errors import StoreError, StoreUnavailableError
from pe_data.sources.base import Body, Source, SourceError

TIMEOUT_SECONDS = 20.0
"""For a connection, and between two pieces of a body."""
_PERMANENT = {400, 401, 403, 404, 405, 410, 451}


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


class Link(Protocol):
    """Hands out an address that works for a while."""

    def __call__(self, *, renew: bool) -> str:
        """The address; with `renew`, another one than last time. Raises StoreError."""


@dataclass(frozen=True, slots=True)
class LinkedSource(Source):
    """A file behind short-lived links: one is asked for once, and another when it has expired."""

    link: Link
    name: str
    """Of who hands the links out; they themselves are secrets."""

    def supports_ranges(self) -> bool:
        return True

    def open(self, start: int, end: int | None = None) -> Body:
        try:
            return self._web(renew=False).open(start, end)
        except SourceError as error:
            if error.retry:
                raise
        return self._web(renew=True).open(start, end)

    def _web(self, *, renew: bool) -> WebSource:
        try:
            return WebSource(self.link(renew=renew), self.name)
        except StoreError as error:
            raise SourceError(str(error), retry=isinstance(error, StoreUnavailableError)) from error


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
