"""Handle one request: authenticate, authorise, write the audit record, then release.

Which documents are written down: a *manifest*, because its list of columns is what a licence covers; a
*collection*, which has no columns but says which areas exist; and every *link to a payload*, so that
nobody who knows a digest gets bytes past the log. Pointers and tombstones hold digests and reasons, no
column and no data: they need a token with a fitting scope and leave no record. A digest that is not
there and one of another dataset than the token's get the same answer, so that nobody learns from it
which of the two it is. No payload is released that was revoked; its manifest is, which says so.

The record is on the disk before a byte of the document leaves this module. If it cannot be written,
the answer is 503 and nothing else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from anyio import to_thread

from pe_data.documents.tombstone import Tombstone
from pe_data.errors import (
    AuditError,
    ConfigError,
    InvalidDocumentError,
    ObjectNotFoundError,
    PeDataError,
    StorePermissionError,
    StoreUnavailableError,
)
from pe_data.names.keys import CHANNELS_PREFIX
from pe_data.store.base import ObjectMeta, Store
from pe_data.store.byte_source import Body
from pe_data_gateway.audit.records import Action, Entry, Record
from pe_data_gateway.audit_log import AuditLog
from pe_data_gateway.documents import Document, Documents
from pe_data_gateway.front_page import FrontPage
from pe_data_gateway.limits import RateLimit
from pe_data_gateway.links import Links
from pe_data_gateway.refusal import Refusal
from pe_data_gateway.revocations import Revocations
from pe_data_gateway.tokens import Token, TokenBook
from pe_data_gateway.wanted import Wanted, listed, wanted

SMALL_LIMIT = 4 * 1024 * 1024
"""Largest pointer, tombstone or root that is passed on, in bytes."""
_BEARER = "bearer "
_AGENT_LIMIT = 200

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, as far as the connection says."""

    request: str
    """Id that the gateway gave to the request."""
    authorization: str | None
    client: str
    agent: str


@dataclass(frozen=True, slots=True)
class Link:
    """Where a payload is to be had."""

    address: str
    presigned: bool
    """True: a whole address at the store. False: the last part of one of this gateway."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A private store, and what it takes to be let in."""

    store: Store
    logs: Mapping[str, AuditLog]
    """By country; no other country is served."""
    tokens: TokenBook
    limit: RateLimit
    links: Links
    documents: Documents
    revocations: Revocations
    front: FrontPage

    # --- requests -----------------------------------------------------------------------------

    async def document(self, key: str, asked: Asked) -> bytes | Link:
        """A document of the store, or for a payload the link to it. Raises Refusal."""
        token = self._who(asked)
        want = self._within(wanted(key), token)
        if want.kind == "tombstone":
            return await self._tombstone(want, token)
        if want.kind in ("channel", "revocations", "trust"):
            return await _refusing(self.documents.fresh(want.key, SMALL_LIMIT))
        document = await self._described(want, token)
        if want.kind == "payload":
            await self._check_revoked(want)
            await _refusing(to_thread.run_sync(self.store.head, want.key))
            await self._record("payload", want, document, token, asked)
            if self.links.presigned:
                return Link(await _refusing(to_thread.run_sync(self.links.presign, want.key)), True)
            return Link(self.links.make(want.key, token.id), False)
        await self._record("manifest" if want.kind == "manifest" else "collection", want, document, token, asked)
        return document.raw

    async def size(self, key: str, asked: Asked) -> ObjectMeta:
        """Size and time of an object, which is no release. Raises Refusal."""
        token = self._who(asked)
        want = self._within(wanted(key), token)
        if want.kind == "tombstone":
            await self._tombstone(want, token)
        if want.kind in ("manifest", "collection", "payload"):
            await self._described(want, token)
        if want.kind == "payload":
            await self._check_revoked(want)
        return await _refusing(to_thread.run_sync(self.store.head, want.key))

    async def page(self) -> str:
        """What everybody is told: names and licences of the datasets, and how to apply. Raises Refusal."""
        return await _refusing(self.front.get())

    async def channels(self, prefix: str, asked: Asked) -> list[ObjectMeta]:
        """The pointers below a prefix that the token covers. Raises Refusal."""
        token = self._who(asked)
        country, dataset = listed(prefix)
        if country is not None:
            self._check_country(country)
            self._check_scope(token, country, dataset)
        found: list[ObjectMeta] = await _refusing(to_thread.run_sync(lambda: list(self.store.list(prefix))))
        return [meta for meta in found if self._may_see(meta.key, token)]

    async def payload(self, link: str) -> tuple[str, ObjectMeta]:
        """Key and size of what a link of this gateway leads to. Raises Refusal."""
        key, token_id = self.links.read(link)
        if not _credentials(lambda: self.tokens.is_active(token_id)):
            raise Refusal(403, "link-revoked", "the token that this link was made for has ended", "Ask for a new token")
        await self._check_revoked(wanted(key))
        return key, await _refusing(to_thread.run_sync(self.store.head, key))

    async def stream(self, key: str, start: int, length: int) -> Body:
        """`length` bytes of a payload from `start` on. Raises Refusal."""
        return await _refusing(to_thread.run_sync(lambda: self.store.open(key, start, length)))

    # --- steps --------------------------------------------------------------------------------

    def _who(self, asked: Asked) -> Token:
        """The token of a request, if it may ask now."""
        text = asked.authorization or ""
        if text[: len(_BEARER)].lower() != _BEARER:
            raise _unauthorized("token-missing", "no token was sent", "Send `Authorization: Bearer …`")
        token = _credentials(lambda: self.tokens.find(text[len(_BEARER) :].strip()))
        if token is None:
            raise _unauthorized(
                "token-refused", "the token is not known, has expired or was revoked", "Ask the operator for a new one"
            )
        seconds = self.limit.wait(token.user)
        if seconds:
            whole = max(1, round(seconds + 0.5))
            raise Refusal(
                429,
                "too-many-requests",
                "too many requests in too short a time",
                f"Ask again in {whole} s",
                {"Retry-After": str(whole)},
            )
        return token

    def _within(self, want: Wanted, token: Token) -> Wanted:
        """`want`, if its country is served here and the token covers it as far as the key tells."""
        if want.country is not None:
            self._check_country(want.country)
            self._check_scope(token, want.country, want.dataset)
        return want

    async def _described(self, want: Wanted, token: Token) -> Document:
        """The manifest or collection behind `want`, once the token is known to cover its dataset."""
        read = self.documents.collection if want.kind == "collection" else self.documents.manifest
        document = await _refusing(read(*want.artifact), token)
        if not token.covers(want.artifact[0], document.dataset):
            raise _absent(token) from _OutOfScope(f"the token does not cover {want.country}/{document.dataset}")
        return document

    async def _tombstone(self, want: Wanted, token: Token) -> bytes:
        """A tombstone, if the token covers the dataset that it names or that its artifact is of. Raises Refusal."""
        country, _ = want.artifact
        raw = await _refusing(self.documents.fresh(want.key, SMALL_LIMIT), token)
        dataset = _dataset_of(raw, want.key)
        if dataset is not None and token.covers(country, dataset):
            return raw
        for read in (self.documents.manifest, self.documents.collection):
            try:
                document = await _refusing(read(*want.artifact))
            except Refusal:
                continue
            if token.covers(country, document.dataset):
                return raw
        raise _absent(token) from _OutOfScope("the token covers no dataset of this tombstone")

    async def _check_revoked(self, want: Wanted) -> None:
        """Raises Refusal if what is wanted was revoked."""
        reason = await _refusing(self.revocations.reason(*want.artifact))
        if reason:
            raise Refusal(410, "revoked", reason, "Use a newer version")

    async def _record(self, action: Action, want: Wanted, document: Document, token: Token, asked: Asked) -> None:
        """Returns once the record is on the disk. Raises Refusal."""
        country, sha256 = want.artifact
        entry = Entry(
            action=action,
            country=country,
            request=asked.request,
            user=token.user,
            token=token.id,
            dataset=document.dataset,
            artifact=sha256,
            manifest=document.digest,
            client=asked.client,
            agent=asked.agent[:_AGENT_LIMIT],
            inputs=document.inputs,
        )
        future: asyncio.Future[Record | AuditError] = asyncio.get_running_loop().create_future()

        def answer(result: Record | AuditError) -> None:
            if not future.done():  # it is if the client went away
                future.set_result(result)

        self.logs[country].submit(entry, answer)
        result = await future
        if isinstance(result, AuditError):
            raise Refusal(
                503,
                "audit-unavailable",
                "the access log cannot be written, and without it nothing is released",
                "Try again later; the operator sees the cause in the gateway's log",
            ) from result

    def _check_country(self, country: str) -> None:
        if country not in self.logs:
            served = ", ".join(sorted(self.logs))
            raise Refusal(
                404,
                "country-elsewhere",
                f"this gateway serves {served}, not {country[:8]}",
                "Public countries need no gateway: name their own store",
            )

    @staticmethod
    def _check_scope(token: Token, country: str, dataset: str | None) -> None:
        if not token.covers(country, dataset):
            raise Refusal(
                403,
                "out-of-scope",
                f"the token covers {', '.join(token.scopes)}, which this is not part of",
                "Ask the operator for a token with that scope",
            )

    def _may_see(self, key: str, token: Token) -> bool:
        country, _, rest = key.removeprefix(CHANNELS_PREFIX).partition("/")
        return country in self.logs and token.covers(country, rest.partition("/")[0])


class _OutOfScope(Exception):
    """Why something counts as absent: for the operator's log, never for the answer."""


async def _refusing(work: Awaitable[T], token: Token | None = None) -> T:
    """Wait for something that asks the store; what goes wrong becomes an answer."""
    try:
        return await work
    except ObjectNotFoundError:
        raise _absent(token) from None
    except (StoreUnavailableError, StorePermissionError) as error:
        raise Refusal(
            503, "store-unavailable", "the store behind the gateway does not answer", "Try again later"
        ) from error
    except PeDataError as error:
        raise Refusal(
            502, "store-damaged", "what the store has under that key cannot be used", "Tell the operator"
        ) from error


def _credentials(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except ConfigError as error:
        raise Refusal(
            503, "tokens-unavailable", "the gateway cannot read its file of tokens", "Try again later"
        ) from error


def _absent(token: Token | None) -> Refusal:
    """The same for what is not there and for what the token does not cover."""
    reason = "there is no such object"
    if token is not None:
        reason += f", or the token does not cover it: it covers {', '.join(token.scopes)}"
    return Refusal(404, "not-found", reason, "Check the address; `pe-data list` shows what is there")


def _dataset_of(raw: bytes, key: str) -> str | None:
    """The dataset that a tombstone names, whoever signed it; None if it is not one."""
    from pe_data.documents.envelope import TOMBSTONE_TYPE, parse_envelope

    try:
        return Tombstone.from_bytes(parse_envelope(raw, payload_type=TOMBSTONE_TYPE, what=key).body, what=key).dataset
    except InvalidDocumentError:
        return None


def _unauthorized(code: str, reason: str, advice: str) -> Refusal:
    return Refusal(401, code, reason, advice, {"WWW-Authenticate": 'Bearer realm="pe-data"'})
