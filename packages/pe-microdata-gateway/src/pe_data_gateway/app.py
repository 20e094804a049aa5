"""The HTTP application of the gateway.

    GET /objects/{key}     a document, or for a payload 307 to a link        token
    HEAD /objects/{key}    size and time                                     token
    GET /channels?prefix=  the pointers that the token covers, as JSON       token
    GET /link/{link}       the bytes of one payload, whole or a range        none: the link says it all
    GET /health            whether records can be written                    none
    GET /                  a page: licence of each dataset, how to apply     none

Every answer has `X-Request-Id`, which the audit record has too, and forbids caches to keep it. Every
refusal is `{"error": {"status", "code", "reason", "advice", "request"}}`.
"""

import itertools
import logging
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import format_datetime
from ipaddress import IPv4Network, IPv6Network, ip_address

from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from pe_data_gateway.logs import LOGGER
from pe_data_gateway.refusal import Refusal
from pe_data_gateway.service import Asked, Gateway, Link

_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")
_FURTHEST = 10**18
"""Byte that no object reaches."""

_IDS = map(f"{secrets.token_hex(8)}{{:016x}}".format, itertools.count(1))
"""Ids of requests: a random part for the process, and a number; never one twice."""
_NO_STORE = (b"cache-control", b"no-store")
_METHODS = ("GET", "HEAD")
_PAGE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

Handler = Callable[[Request, Asked], Awaitable[Response]]


def make_app(gateway: Gateway, *, on_start: Callable[[], None], on_stop: Callable[[], None]) -> ASGIApp:
    """The ASGI application. `on_start` runs in its event loop, `on_stop` when it ends."""
    handlers = _Handlers(gateway)

    @asynccontextmanager
    async def lifespan(_: ASGIApp) -> AsyncIterator[None]:
        on_start()
        try:
            yield
        finally:
            on_stop()

    # No `Starlette` around the router: its handling of exceptions would wrap every request once more, for nothing.
    router = Router(
        routes=[
            Route("/objects/{key:path}", _Endpoint(handlers.objects)),
            Route("/channels", _Endpoint(handlers.channels)),
            Route("/link/{link}", _Endpoint(handlers.link)),
            Route("/health", _Endpoint(handlers.health)),
            Route("/", _Endpoint(handlers.page)),
        ],
        redirect_slashes=False,
        default=_Endpoint(_nowhere),
        lifespan=lifespan,
    )
    return ServerErrorMiddleware(router, handler=_failed)


class _Handlers:
    """One method per address."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def objects(self, request: Request, asked: Asked) -> Response:
        key = str(request.path_params["key"])
        if request.method == "HEAD":
            meta = await self._gateway.size(key, asked)
            return Response(
                headers={
                    "Content-Length": str(meta.size),
                    "Last-Modified": format_datetime(meta.modified, usegmt=True),
                }
            )
        found = await self._gateway.document(key, asked)
        if isinstance(found, Link):
            # Relative, so that it holds behind whatever address a proxy gives to this process.
            up = "../" * (key.count("/") + 1)
            location = found.address if found.presigned else f"{up}link/{found.address}"
            return Response(status_code=307, headers={"Location": location})
        return Response(found, media_type="application/octet-stream")

    async def channels(self, request: Request, asked: Asked) -> Response:
        found = await self._gateway.channels(request.query_params.get("prefix", ""), asked)
        rows = [{"key": m.key, "size": m.size, "modified": m.modified.isoformat()} for m in found]
        return JSONResponse({"objects": rows})

    async def link(self, request: Request, asked: Asked) -> Response:
        key, meta = await self._gateway.payload(str(request.path_params["link"]))
        start, end = _span(request.headers.get("range"), meta.size)
        headers = {"Content-Length": str(end - start), "Accept-Ranges": "bytes"}
        partial = "range" in request.headers
        if partial:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{meta.size}"
        if request.method == "HEAD":
            return Response(headers=headers)
        stream = await self._gateway.stream(key, start, end - start)
        return StreamingResponse(
            stream.pieces(),
            status_code=206 if partial else 200,
            headers=headers,
            media_type="application/octet-stream",
        )

    async def health(self, request: Request, asked: Asked) -> Response:
        broken = sorted(country for country, log in self._gateway.logs.items() if log.broken)
        if broken:
            raise Refusal(503, "audit-unavailable", f"the access log of {', '.join(broken)} cannot be written", "Stop")
        return JSONResponse({"status": "ok", "countries": sorted(self._gateway.logs)})

    async def page(self, request: Request, asked: Asked) -> Response:
        return HTMLResponse(await self._gateway.page(), headers=_PAGE)


class _Endpoint:
    """A handler as an application: request id, refusals, headers that all answers have."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        asked = Asked(
            request=next(_IDS),
            authorization=request.headers.get("authorization"),
            client=request.client.host if request.client else "",
            agent=request.headers.get("user-agent", ""),
        )
        try:
            if request.method not in _METHODS:
                raise _no_such_address(405)
            response = await self._handler(request, asked)
        except Refusal as refusal:
            _note(refusal, request, asked)
            response = _refused(refusal, asked.request)
        response.raw_headers += [(b"x-request-id", asked.request.encode()), _NO_STORE]
        await response(scope, receive, send)


class BehindProxy:
    """Lets in what comes from the proxy in front, whose word on the client's address it takes.

    The demand for TLS is lifted for the proxy alone. Others reach the gateway over TLS of its own, if it has any;
    else nothing but /health, which takes no token.
    """

    def __init__(self, app: ASGIApp, network: IPv4Network | IPv6Network) -> None:
        self._app, self._network = app, network
        self._believing = ProxyHeadersMiddleware(app, trusted_hosts=str(network))  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if self._is_proxy(scope):
            return await self._believing(scope, receive, send)  # type: ignore[arg-type]
        if scope["scheme"] == "https" or scope["path"] == "/health":
            return await self._app(scope, receive, send)
        return await _Endpoint(_past_the_proxy)(scope, receive, send)

    def _is_proxy(self, scope: Scope) -> bool:
        client = scope.get("client")
        try:
            return client is not None and ip_address(client[0]) in self._network
        except ValueError:
            return False


async def _past_the_proxy(request: Request, asked: Asked) -> Response:
    raise Refusal(
        403,
        "not-through-proxy",
        "the request did not come through the proxy that ends TLS, so that its token crossed the network in the clear",
        "Use the https:// address of the gateway, and ask the operator for a new token",
    )


def _note(refusal: Refusal, request: Request, asked: Asked) -> None:
    """One line for the operator; never a header, a query or a link."""
    path = "/link/…" if request.url.path.startswith("/link/") else request.url.path[:300]
    cause = refusal.__cause__
    dull = refusal.status == 404 and cause is None
    level = logging.ERROR if refusal.status >= 500 else logging.DEBUG if dull else logging.INFO
    # %r for whatever somebody else wrote: it must not begin a line of its own, nor steer a terminal.
    values = (asked.request, asked.client, refusal.status, path, refusal.code, str(cause) if cause else "")
    LOGGER.log(level, "%s %r %s %r %s %r", *values)


def _refused(refusal: Refusal, request_id: str) -> Response:
    return JSONResponse(refusal.document(request_id), refusal.status, headers=refusal.headers)


async def _nowhere(request: Request, asked: Asked) -> Response:
    raise _no_such_address(404)


def _no_such_address(status: int) -> Refusal:
    advice = "Addresses begin with /objects/, /channels, /link/ or /health, or are /, and are read with GET"
    return Refusal(status, "no-such-address", "there is nothing at this address", advice)


async def _failed(request: Request, error: Exception) -> Response:
    """Anything that nobody thought of; the server logs where it came from."""
    return _refused(
        Refusal(500, "internal", "the gateway has a defect", "Tell the operator the request id"), next(_IDS)
    )


def _span(header: str | None, size: int) -> tuple[int, int]:
    """First byte and the one after the last of a `Range`. Raises Refusal."""
    if header is None:
        return 0, size
    match = _RANGE.fullmatch(header.strip())
    if match and (match[1] or match[2]):
        if match[1]:
            start, end = _number(match[1]), min(_number(match[2]) + 1, size) if match[2] else size
        else:
            start, end = max(0, size - _number(match[2])), size
        if start < end:
            return start, end
    raise Refusal(
        416,
        "bad-range",
        f"the range is not one of {size} bytes",
        "Ask for bytes=START-END",
        {"Content-Range": f"bytes */{size}"},
    )


def _number(digits: str) -> int:
    """A number of a range; one of thousands of digits means no more than that it is beyond the end."""
    return int(digits) if len(digits) < 19 else int(digits[-18:]) if not digits[:-18].strip("0") else _FURTHEST
