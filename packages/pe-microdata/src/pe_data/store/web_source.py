"""Files behind an http(s) address, fixed or handed out anew.

They are read with the standard library, which fills our own buffers; through a store client every
piece is copied twice more, and a fetch from a fast server falls to half the speed of hashing.

Every wait has a limit that a server cannot put off by sending a byte now and then: the answer (status and
headers) has to be complete after `ANSWER_SECONDS`, and a body keeps to a `Pace` where there is one.
An address that is https stays so on every hop; a link of a gateway may else lead to this machine only.
"""

import urllib.error
import urllib.request
from email.message import Message
from http.client import HTTPException, HTTPResponse
from typing import IO
from urllib.parse import urlsplit

from pe_data.config.credentials import LOOPBACK
from pe_data.errors import ObjectNotFoundError, StoreError, StoreUnavailableError
from pe_data.store.byte_source import Body
from pe_data.store.connections import TIMEOUT_SECONDS, Http, Https, Kept
from pe_data.store.pace import Pace, TooSlowError

_PERMANENT = {400, 401, 403, 404, 405, 410, 451}
_LONGEST_NUMBER = 18


class Web:
    """Opens the files of one place, with the limits of this module, over connections that serve one after the other."""

    def __init__(self, *, private: bool = False) -> None:
        """Nothing is asked yet.

        Args:
            private: What comes must not cross a network in the clear: on every hop https, or http on this machine.
        """
        self._private = private
        self._kept = Kept()
        self._openers: dict[tuple[Pace | None, bool], urllib.request.OpenerDirector] = {}

    def open(self, url: str, what: str, start: int = 0, length: int | None = None, pace: Pace | None = None) -> Body:
        """Read a file behind an http or https address.

        Args:
            what: For messages, without anything secret.
            pace: The least that the server has to deliver, and silence counts too; None waits as long as anything
                comes.

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
            response = self.answer(request, pace, TIMEOUT_SECONDS)
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

    def answer(
        self, request: urllib.request.Request, pace: Pace | None, seconds: float, *, follow: bool = True
    ) -> HTTPResponse:
        """What the server says to one request.

        Args:
            pace: Of the body.
            seconds: For a connection, and between two pieces.
            follow: Redirects; without, one is an `HTTPError` for the caller.

        Raises:
            OSError, HTTPException, ValueError: no usable answer. TooSlowError.
        """
        if (pace, follow) not in self._openers:
            handlers = [Http(self._kept, pace), Https(self._kept, pace), _Redirects(self._private, follow)]
            self._openers[pace, follow] = urllib.request.build_opener(*handlers, *_proxies(self._private))
        answer: HTTPResponse = self._openers[pace, follow].open(request, timeout=seconds)
        return answer


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
