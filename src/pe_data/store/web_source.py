"""Files behind an http(s) address, fixed or handed out anew.

They are read with the standard library, which fills our own buffers; through a store client every
piece is copied twice more, and a fetch from a fast server falls to half the speed of hashing.

Every wait has a limit that a server cannot put off by sending a byte now and then: the answer (status and
headers) has to be complete after `ANSWER_SECONDS`, and a body keeps to a `Pace` where there is one.
An address that is https stays so on every hop; a link of a gateway may else lead to this machine only.
"""

import functools
import http.client
import io
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.message import Message
from http.client import HTTPException, HTTPResponse
from typing import IO, Any, Protocol
from urllib.parse import urlsplit

from pe_data.config.credentials import LOOPBACK
from pe_data.errors import StoreError, StoreUnavailableError
from pe_data.store.byte_source import Body, Source, SourceError
from pe_data.store.pace import Meter, Pace, TooSlowError, clock

TIMEOUT_SECONDS = 20.0
"""For a connection, and between two pieces of a body."""
ANSWER_SECONDS = 30.0
"""From the request until the last header."""
_PERMANENT = {400, 401, 403, 404, 405, 410, 451}
_LONGEST_NUMBER = 18


@dataclass(frozen=True, slots=True)
class WebSource(Source):
    """A file behind an http or https address."""

    url: str
    name: str
    headers: Mapping[str, str] = field(default_factory=dict)
    private: bool = False
    """What comes must not cross a network in the clear: on every hop https, or http on this machine."""
    pace: Pace | None = None
    """The least that the server has to deliver, and silence counts too; None waits as long as anything comes."""

    def paced(self, pace: Pace) -> "WebSource":
        return replace(self, pace=pace)

    def supports_ranges(self) -> bool:
        with self.open(0, 1) as body:
            return isinstance(body, _WebBody) and body.partial

    def open(self, start: int, end: int | None = None) -> Body:
        headers = {"Accept-Encoding": "identity", **self.headers}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        try:
            request = urllib.request.Request(self.url, headers=headers)
            response = web_opener(self.private, self.pace).open(request, timeout=TIMEOUT_SECONDS)
            return _WebBody(response, start)
        except urllib.error.HTTPError as error:
            with error:
                retry = error.code not in _PERMANENT
                raise SourceError(f"HTTP status {error.code} {plain(error.reason)}", retry=retry) from error
        except (OSError, HTTPException, ValueError) as error:  # ValueError: an address or a header that is none
            raise _no_answer(error) from error


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
    pace: Pace | None = None
    """As for `WebSource`."""

    def paced(self, pace: Pace) -> "LinkedSource":
        return replace(self, pace=pace)

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
            return WebSource(self.link(renew=renew), self.name, private=True, pace=self.pace)
        except StoreError as error:
            raise SourceError(str(error), retry=isinstance(error, StoreUnavailableError)) from error


def number(text: str | None) -> int | None:
    """A count out of a header; None if there is none, or one that no file has."""
    text = text or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER else None


def plain(text: object) -> str:
    """What a server says, as one short printable line."""
    return "".join(c for c in str(text) if c.isprintable())[:200]


def is_private(url: str) -> bool:
    """Whether what comes from there crosses no network in the clear. Raises ValueError for no address."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


@functools.lru_cache(maxsize=32)
def web_opener(private: bool, pace: Pace | None, *, follow: bool = True) -> urllib.request.OpenerDirector:
    """Opens addresses with the limits of this module.

    Args:
        private: On every hop https, or http on this machine.
        pace: Of bodies.
        follow: Redirects; without, one is an `HTTPError` for the caller.
    """
    return urllib.request.build_opener(_Http(pace), _Https(pace), _Redirects(private, follow), *_proxies(private))


def _proxies(private: bool) -> list[urllib.request.BaseHandler]:
    """A proxy of the environment would see what goes over plain http; what is private uses https ones only."""
    if not private:
        return []
    known = {scheme: url for scheme, url in urllib.request.getproxies().items() if scheme != "http"}
    return [urllib.request.ProxyHandler(known)]


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https into the clear, and to nothing but http and https."""

    def __init__(self, private: bool, follow: bool) -> None:
        self._private, self._follow = private, follow

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        if not self._follow:
            return None
        parts = urlsplit(newurl)
        clear = not is_private(newurl) if self._private else req.type == "https" and parts.scheme != "https"
        if clear or parts.scheme not in ("http", "https"):
            raise _LeavesHttpsError(
                f"a redirect to {plain(parts.scheme)}://{plain(parts.hostname)}, expected https on every hop; it was "
                "not followed"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


class _LeavesHttpsError(OSError):
    """A redirect led where the bytes would cross a network in the clear."""


class _Http(urllib.request.HTTPHandler):
    def __init__(self, pace: Pace | None) -> None:
        super().__init__()
        self._pace = pace

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_with_limits(http.client.HTTPConnection, self._pace), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, pace: Pace | None) -> None:
        super().__init__()
        self._pace = pace

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        made = _with_limits(http.client.HTTPSConnection, self._pace)
        return self.do_open(made, req, context=getattr(self, "_context", None))


def _with_limits(kind: type[http.client.HTTPConnection], pace: Pace | None) -> Any:
    """What makes connections of that kind whose answers keep to the limits."""

    def make(host: str, **more: Any) -> http.client.HTTPConnection:
        connection = kind(host, **more)
        connection.response_class = functools.partial(_Response, pace=pace)  # type: ignore[assignment]
        return connection

    return make


class _Response(HTTPResponse):
    """An answer whose every wait has an end."""

    def __init__(self, sock: socket.socket, *args: Any, pace: Pace | None, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self._waits = _Waits(sock, self.fp.detach(), pace)
        self.fp = io.BufferedReader(self._waits)

    def begin(self) -> None:
        super().begin()
        self._waits.body_begins()


class _Waits(io.RawIOBase):
    """Reads a socket with a time limit that no drip of bytes puts off."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, pace: Pace | None) -> None:
        self._sock, self._raw, self._pace = sock, raw, pace
        self._until: float | None = clock() + ANSWER_SECONDS
        self._meter: Meter | None = None

    def body_begins(self) -> None:
        self._until = None
        self._meter = Meter(self._pace) if self._pace else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        began = clock()
        limit = TIMEOUT_SECONDS
        if self._until is not None:
            limit = min(limit, self._until - began)
            if limit <= 0:
                raise TooSlowError(f"no whole answer after {ANSWER_SECONDS:.0f} s")
        elif self._meter is not None:
            limit = min(limit, max(self._meter.left, 0.001))
        self._sock.settimeout(limit)
        try:
            count = self._raw.readinto(buffer)
        except TimeoutError:
            waited = clock() - began
            if self._meter is not None:
                self._meter.note(0, waited)
            if self._pace is not None or (self._until is not None and clock() >= self._until):
                raise TooSlowError(f"too slow: nothing came for {waited:.0f} s") from None
            raise
        if self._meter is not None:
            self._meter.note(count, clock() - began)
        return int(count)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _WebBody(Body):
    def __init__(self, response: HTTPResponse, asked: int) -> None:
        self._response = response
        self.validator = response.headers.get("ETag") or response.headers.get("Last-Modified")
        self.partial = response.status == 206
        if self.partial:
            first, _, rest = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")
            begins = number(first)
            self.start = asked if begins is None else begins
            self.total = number(rest.partition("/")[2])
        else:
            self.start = 0
            self.total = number(response.headers.get("Content-Length"))

    def readinto(self, buffer: memoryview) -> int:
        try:
            return self._response.readinto(buffer)
        except TooSlowError as error:
            raise SourceError(str(error), retry=False, slow=True) from error
        except (OSError, HTTPException, ValueError) as error:  # ValueError: the length of a chunk that is none
            raise SourceError(f"broken off: {plain(error)}", retry=True) from error

    def close(self) -> None:
        self._response.close()


def _no_answer(error: Exception) -> SourceError:
    reason = getattr(error, "reason", error)
    if isinstance(reason, TooSlowError):
        return SourceError(str(reason), retry=False, slow=True)
    lasting = isinstance(reason, _LeavesHttpsError) or isinstance(error, ValueError)
    return SourceError(f"no answer: {plain(reason)}", retry=not lasting)
