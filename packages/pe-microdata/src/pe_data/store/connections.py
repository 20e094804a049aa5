"""Connections to web servers: every wait on one has an end, and one that was read to its end serves the next request.

The standard library closes a connection after each request. Many small files then cost a new connection each, and with
TLS two more round trips and a handshake. The connections that are kept belong to one `Kept`, so to one store.
"""

import functools
import http.client
import io
import os
import select
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPResponse
from typing import Any, cast

from pe_data.store.pace import Meter, Pace, TooSlowError, clock

TIMEOUT_SECONDS = 20.0
"""For a connection, and between two pieces of a body."""
ANSWER_SECONDS = 30.0
"""From the request until the last header."""
_MOST = 16
"""Idle connections to one server."""

_Where = tuple[str, str, str | None]


class Kept:
    """Idle connections, by server and proxy. Safe for threads, and empty after a fork."""

    def __init__(self) -> None:
        self._idle: dict[_Where, list[socket.socket]] = {}
        self._lock = threading.RLock()  # an answer may be collected, and closed, while this thread holds it
        self._process = os.getpid()

    def take(self, where: _Where) -> socket.socket | None:
        """A connection that the server has not closed; None if there is none."""
        while True:
            with self._lock:
                if self._process != os.getpid():  # the parent goes on reading from these
                    self._idle, self._process = {}, os.getpid()
                found = self._idle.get(where)
                sock = found.pop() if found else None
            if sock is None or not _has_something(sock):
                return sock
            sock.close()

    def give(self, where: _Where, sock: socket.socket) -> None:
        """Keep a connection whose last answer was read to its end."""
        with self._lock:
            idle = self._idle.setdefault(where, [])
            if self._process == os.getpid() and len(idle) < _MOST:
                idle.append(sock)
                return
        sock.close()

    def __del__(self) -> None:
        for idle in self._idle.values():
            for sock in idle:
                sock.close()


def _has_something(sock: socket.socket) -> bool:
    """An idle connection has something to read when the server closed it, or says what nobody asked."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


class Http(urllib.request.HTTPHandler):
    """Opens http addresses."""

    def __init__(self, kept: Kept, pace: Pace | None) -> None:
        super().__init__()
        self._kept, self._pace = kept, pace

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return _open(self.do_open, _Plain, req, self._kept, self._pace)


class Https(urllib.request.HTTPSHandler):
    """Opens https addresses."""

    def __init__(self, kept: Kept, pace: Pace | None) -> None:
        super().__init__()
        self._kept, self._pace = kept, pace

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        do_open = functools.partial(self.do_open, context=getattr(self, "_context", None))
        return _open(do_open, _Secure, req, self._kept, self._pace)


def _open(
    do_open: Callable[..., HTTPResponse],
    kind: Callable[..., http.client.HTTPConnection],
    req: urllib.request.Request,
    kept: Kept,
    pace: Pace | None,
) -> HTTPResponse:
    """The answer to a request, over a connection that was kept if there is one."""
    where = (req.type, req.host, getattr(req, "_tunnel_host", None))
    make = functools.partial(kind, give=functools.partial(kept.give, where), pace=pace)
    sock = kept.take(where)
    if sock is not None:
        try:
            return do_open(functools.partial(make, idle=sock), req)
        except (urllib.error.URLError, ConnectionError, http.client.HTTPException):
            pass  # The server closed it just now; a new one says whether there is more to it.
    return do_open(make, req)


class _Kind(http.client.HTTPConnection):
    """A connection that goes on over a kept socket, and gives its socket to the answer."""

    def __init__(
        self,
        *args: Any,
        give: Callable[[socket.socket], None],
        pace: Pace | None,
        idle: socket.socket | None = None,
        **more: Any,
    ) -> None:
        super().__init__(*args, **more)
        self._give, self._idle = give, idle
        self.response_class = cast(type[HTTPResponse], functools.partial(_Response, pace=pace))

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **more: Any) -> None:
        if self._idle is not None:
            self._idle.settimeout(self.timeout)
            self.sock = self._idle
        super().request(method, url, body, {**(headers or {}), "Connection": "keep-alive"}, **more)

    def getresponse(self) -> HTTPResponse:
        response = cast(_Response, super().getresponse())
        if not response.will_close:
            response.keep = functools.partial(self._give, self.sock)
            response.drop, self.sock = self.sock.close, None
        return response


class _Plain(_Kind):
    """Over http."""


class _Secure(_Kind, http.client.HTTPSConnection):
    """Over https."""


class _Response(HTTPResponse):
    """An answer whose every wait has an end; read to its end, it leaves its connection to the next."""

    keep: Callable[[], None] | None = None
    drop: Callable[[], None] | None = None

    def __init__(self, sock: socket.socket, *args: Any, pace: Pace | None, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self._waits = _Waits(sock, self.fp.detach(), pace)
        self.fp = io.BufferedReader(self._waits)

    def begin(self) -> None:
        super().begin()
        self._waits.body_begins()

    def close(self) -> None:
        whole = self.length == 0  # http.client also closes an answer that broke off, or whose chunks make no sense
        super().close()
        after, self.keep, self.drop = self.keep if whole else self.drop, None, None
        if after is not None:
            after()


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
