"""A private store behind a gateway, read with a token.

Its address says so: `gateway+https://host/prefix`. A plain `https://` mirror is never sent a token, and
nothing has to be asked to find out which of the two it is. The token goes to that host alone: answers
that lead elsewhere (the link to a payload) are followed by requests without it. `gateway+http://` is for
this machine only.
"""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from http.client import HTTPException, HTTPResponse
from urllib.parse import quote, urljoin, urlsplit

from pe_data.config.credentials import LOOPBACK, TOKEN_VARIABLE, credentials_path, token_for
from pe_data.errors import (
    ForbiddenError,
    GatewayError,
    GatewayUnavailableError,
    InvalidDocumentError,
    InvalidNameError,
    ListingNotSupportedError,
    ObjectNotFoundError,
    StoreError,
    StoreUnavailableError,
)
from pe_data.names.keys import CHANNELS_PREFIX, ObjectKind, parse_object_key
from pe_data.store.base import (
    DOCUMENT_LIMIT,
    ObjectMeta,
    ReadOnlyStore,
    StoredDocument,
    Timeouts,
    VersionToken,
)
from pe_data.store.byte_source import Body
from pe_data.store.pace import PACE, Pace
from pe_data.store.web_source import Web, number, plain

_ANSWER_LIMIT = 64 * 1024
_LIST_LIMIT = 16 * 1024 * 1024
_TEXT_LIMIT = 300
_NO_TOKEN = VersionToken(None, None)


class GatewayStore(ReadOnlyStore):
    """The objects that a gateway releases; every write is refused by name."""

    read_only_because = "a gateway only reads; write to the private store behind it"

    def __init__(self, url: str, *, timeouts: Timeouts | None = None) -> None:
        """Nothing is asked yet, not even for the token.

        Raises:
            InvalidNameError: plain http to another machine.
        """
        scheme, _, rest = url.partition("://")
        parts = urlsplit(f"{scheme.removeprefix('gateway+')}://{rest}")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise InvalidNameError(
                f"store address {url!r}: a token must not cross a network in the clear: expected gateway+https://, "
                "found gateway+http:// to another machine"
            )
        self.url = url.rstrip("/")
        self._base = f"{parts.geturl().rstrip('/')}/"
        self._host = parts.netloc
        self._seconds = (timeouts or Timeouts()).read.total_seconds()
        self._web = Web(private=True)
        self._links: dict[str, str] = {}
        self._lock = threading.Lock()

    # --- reading ------------------------------------------------------------------------------

    def get(self, key: str, *, max_bytes: int = DOCUMENT_LIMIT) -> StoredDocument:
        if _is_payload(key):
            data = self.open(key).read(max_bytes)
        else:
            with self._ask(f"objects/{quote(key)}", key) as response:
                data = self._read(response, key, max_bytes + 1)
        if len(data) > max_bytes:
            raise InvalidDocumentError(
                f"{self.url}: {key}: expected a document of at most {max_bytes} bytes, found a larger one"
            )
        return StoredDocument(data, ObjectMeta(key, len(data), datetime.now(UTC), _NO_TOKEN))

    def head(self, key: str) -> ObjectMeta:
        with self._ask(f"objects/{quote(key)}", key, method="HEAD") as response:
            size, modified = response.headers.get("Content-Length", ""), response.headers.get("Last-Modified")
        count = number(size)
        if count is None:
            raise StoreError(f"{self.url}: {key}: the gateway did not say how large it is")
        return ObjectMeta(key, count, _date(modified), _NO_TOKEN)

    def open(self, key: str, start: int = 0, length: int | None = None, pace: Pace | None = None) -> Body:
        """A payload by its link, which is read without the token; another one is asked for when it has expired."""
        if not _is_payload(key):
            return Body.of(self.get(key).data, start, length)
        read = partial(self._web.open, what=f"{self.url}: {key}", start=start, length=length, pace=pace)
        link = self._link(key)
        try:
            return read(link)
        except StoreUnavailableError:
            raise
        except StoreError:
            return read(self._link(key, instead_of=link))

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        if not prefix.startswith(CHANNELS_PREFIX):
            raise ListingNotSupportedError(
                f"{self.url}: a gateway lists channels and nothing else; look after its store from the inside"
            )
        with self._ask(f"channels?prefix={quote(prefix)}", prefix) as response:
            raw = self._read(response, prefix, _LIST_LIMIT)
        try:
            rows = [(row["key"], row["size"], row["modified"]) for row in json.loads(raw)["objects"]]
            for key, size, modified in rows:
                yield ObjectMeta(str(key), int(size), datetime.fromisoformat(modified), _NO_TOKEN)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self.url}: {prefix}: expected a list of objects, found something else") from error

    # --- how ----------------------------------------------------------------------------------

    def _link(self, key: str, *, instead_of: str | None = None) -> str:
        """A short-lived address of a payload, kept for the next part of it."""
        with self._lock:
            if self._links.get(key) in (None, instead_of):
                self._links[key] = self._new_link(key)
            return self._links[key]

    def _new_link(self, key: str) -> str:
        address = f"{self._base}objects/{quote(key)}"
        try:
            with self._ask(f"objects/{quote(key)}", key):
                raise StoreError(f"{self.url}: {key}: expected a link to the payload, found something else")
        except _Redirected as answer:
            location = answer.location
        try:
            link = urljoin(address, location)
            parts = urlsplit(link)
        except ValueError as error:
            raise StoreError(f"{self.url}: {key}: expected a link, found {plain(location)!r}: {error}") from error
        # In the clear only from a gateway on this machine to this machine.
        clear = self._base.startswith("http://") and parts.scheme == "http" and parts.hostname in LOOPBACK
        if parts.scheme != "https" and not clear:
            raise StoreError(
                f"{self.url}: {key}: expected a link to https, found one to {parts.scheme}://{parts.hostname}; it was "
                "not followed"
            )
        return link

    def _ask(self, address: str, key: str, *, method: str = "GET") -> HTTPResponse:
        """One request with the token, to the gateway itself. Raises StoreError or _Redirected."""
        token = token_for(self._host)
        if token is None:
            raise ForbiddenError(
                f"{self.url}: {key}: expected a token for this gateway, found none. {self._where_tokens_go()}"
            )
        request = urllib.request.Request(
            self._base + address,
            method=method,
            headers={"Authorization": f"Bearer {token}", "User-Agent": "pe-data", "Accept-Encoding": "identity"},
        )
        try:
            # Redirects are followed by hand, because the library would send the token along.
            return self._web.answer(request, PACE, self._seconds, follow=False)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error, key) from None
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a header that is none
            reason = plain(getattr(error, "reason", error))
            raise StoreUnavailableError(
                f"{self.url}: {key}: no usable answer; check the address and the network, then try again ({reason})"
            ) from error

    def _read(self, response: HTTPResponse, key: str, limit: int) -> bytes:
        try:
            return response.read(limit)
        except (OSError, HTTPException, ValueError) as error:
            raise StoreUnavailableError(f"{self.url}: {key}: the answer broke off: {plain(error)}") from error

    def _refused(self, error: urllib.error.HTTPError, key: str) -> StoreError:
        if error.code in (302, 303, 307, 308):
            return _Redirected(error.headers.get("Location", ""))
        said = f"{self.url}: {key}: {_said(error)}"
        match error.code:
            case 401:
                return ForbiddenError(f"{said}. {self._where_tokens_go()}")
            case 403:
                return ForbiddenError(said)
            case 404:
                return ObjectNotFoundError(said)
            case 429:
                return GatewayError(said)
            case 503:
                return GatewayUnavailableError(said)
            case code if code >= 500:
                return StoreUnavailableError(said)
        return StoreError(said)

    def _where_tokens_go(self) -> str:
        return (
            f"Set {TOKEN_VARIABLE}, or write the token for {self._host} to {credentials_path()}; the operator of the "
            f"gateway gives it out. {TOKEN_VARIABLE} goes to the configured gateway only: write TOKEN@{self._host} for "
            "this one"
        )


class _Redirected(StoreError):
    """The answer leads elsewhere; never leaves this module."""

    def __init__(self, location: str) -> None:
        super().__init__("the gateway answered with a link where a document was expected")
        self.location = location


def _is_payload(key: str) -> bool:
    parsed = parse_object_key(key)
    return parsed is not None and parsed.kind is ObjectKind.PAYLOAD


def _date(text: str | None) -> datetime:
    try:
        return parsedate_to_datetime(text or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return datetime.now(UTC)


def _said(error: urllib.error.HTTPError) -> str:
    """Reason and advice of the answer, as one printable line."""
    try:
        document: Mapping[str, object] = json.loads(error.read(_ANSWER_LIMIT))["error"]
        text = f"the gateway refused: {document['reason']}. {document['advice']}"
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        text = f"the gateway answered with HTTP status {error.code}"
    return "".join(c for c in text if c.isprintable())[:_TEXT_LIMIT].rstrip(".")
