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
from email.message import Message
from http.client import HTTPException, HTTPResponse
from typing import IO, Any
from urllib.parse import urlsplit

from pe_data.config.credentials import LOOPBACK
from pe_data.errors import ObjectNotFoundError, StoreError, StoreUnavailableError
from pe_data.store.byte_source import Body
from pe_data.store.pace import Meter, Pace, TooSlowError, clock

TIMEOUT_SECONDS = 20.0
"""For a connection, and between two pieces of a body."""
ANSWER_SECONDS = 30.0
"""From the request until the last header."""
_PERMANENT = {400, 401, 403, 404, 405, 410, 451}
_LONGEST_NUMBER = 18


def open_web(
    url: str,
    what: str,
    start: int = 0,
    length: int | None = None,
    pace: Pace | None = None,
    *,
    private: bool = False,
) -> Body:
    """Read a file behind an http or https address.

    Args:
        what: For messages, without anything secret.
        pace: The least that the server has to deliver, and silence counts too; None waits as long as anything comes.
        private: What comes must not cross a network in the clear: on every hop https, or http on this machine.

    Raises:
        StoreError: there is no such file, or it may not be read; StoreUnavailableError if asking again may help.
    """
    if length == 0:
        return Body.of(b"")
    headers = {"Accept-Encoding": "identity"}
    if start or length is not None:
        headers["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
    try:
        request = urllib.request.Request(url, headers=headers)
        response: HTTPResponse = web_opener(private, pace).open(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(error, what) from error
    except (OSError, HTTPException, ValueError) as error:  # ValueError: an address or a header that is none
        reason = getattr(error, "reason", error)
        kind = StoreError if isinstance(reason, _LeavesHttpsError | ValueError) else StoreUnavailableError
        raise kind(f"{what}: no answer: {plain(reason)}") from error
    except TooSlowError as error:
        raise TooSlowError(f"{what}: {error}") from error
    return _body(response, what, start, length)


def _body(response: HTTPResponse, what: str, start: int, length: int | None) -> Body:
    begins, total = 0, number(response.headers.get("Content-Length"))
    if response.status == 206:
        first, _, rest = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")
        found = number(first)
        begins, total = start if found is None else found, number(rest.partition("/")[2])
    if begins > start:
        response.close()
        raise StoreError(f"{what}: expected bytes from {start}, found them from {begins}")

    def read(buffer: memoryview) -> int:
        try:
            return response.readinto(buffer)
        except TooSlowError as error:
            raise TooSlowError(f"{what}: {error}") from error
        except (OSError, HTTPException, ValueError) as error:  # ValueError: the length of a chunk that is none
            raise StoreUnavailableError(f"{what}: broken off: {plain(error)}") from error

    validator = response.headers.get("ETag") or response.headers.get("Last-Modified")
    return Body(read, response.close, total=total, start=start, length=length, begins=begins, validator=validator)


def _refused(error: urllib.error.HTTPError, what: str) -> StoreError:
    kind: type[StoreError] = StoreError if error.code in _PERMANENT else StoreUnavailableError
    if error.code in (404, 410):
        kind = ObjectNotFoundError
    return kind(f"{what}: HTTP status {error.code} {plain(error.reason)}")


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
