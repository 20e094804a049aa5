"""Refuse to release revoked artifacts, even if their payload is still in the store.

A revocation writes tombstones first and removes payloads then. If it was killed in between, or a backup
was put back, the payload is there and its tombstone beside it. So before a payload, a link to one or its
size goes out, the store is asked for a tombstone. One answer serves all requests of the next hundredth of
a second, as with the file of tokens; a tombstone that was found genuine is not asked for again.

The revocation list of the country is looked at as well, and read again when it has changed.

Both are judged as by a reader: one that is not genuine changes nothing and is told to the
operator; one whose signatures cannot be checked here counts.
"""

import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass

from pe_data.documents.revocations import LIST_LIMIT, RevocationList, parse_list
from pe_data.documents.tombstone import TOMBSTONE_LIMIT
from pe_data.errors import (
    InvalidDocumentError,
    InvalidTombstoneError,
    ObjectNotFoundError,
    StorePermissionError,
    UncheckedRevocationError,
)
from pe_data.names.digests import Sha256, sha256_bytes
from pe_data.names.keys import revocations_key, tombstone_key
from pe_data.store.base import Store, VersionToken
from pe_data_gateway.logs import LOGGER
from pe_data_gateway.together import Together

LOOK_SECONDS = 0.01
"""How long the answer "no tombstone" is cached."""
JUDGED_SECONDS = 60.0
"""How long the verdict on a tombstone that is not genuine holds: the trust root may have changed since."""
_KEPT = 8192


@dataclass(frozen=True, slots=True)
class _Look:
    at: float
    reason: str
    """Why the artifact is not released; empty if it is."""
    final: bool
    """A genuine tombstone: there is no way back."""


@dataclass(frozen=True, slots=True)
class _List:
    """A list as it was judged."""

    token: VersionToken
    at: float
    found: RevocationList | None
    """None if it is not genuine."""
    final: bool
    """It was found genuine."""


class Revocations:
    """Looks for lists and tombstones in one store; use from one event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._looks: OrderedDict[tuple[str, Sha256], _Look] = OrderedDict()
        self._coming: Together[tuple[str, Sha256], _Look] = Together()
        self._not_genuine: dict[tuple[str, Sha256], float] = {}
        """When a tombstone (key, digest of its bytes) was found not to be genuine."""
        self._lists: dict[str, _List] = {}
        self._newest: dict[str, RevocationList] = {}
        """The newest genuine list of each country while the gateway runs."""

    async def reason(self, country: str, sha256: Sha256) -> str:
        """Why an artifact is not released, empty if it is. Raises StoreError if the store cannot say."""
        place = (country, sha256)
        known = self._looks.get(place)
        if known is not None and (known.final or time.monotonic() - known.at < LOOK_SECONDS):
            return known.reason
        look = await self._coming.get(place, self._look, country, sha256)
        self._looks[place] = look
        self._looks.move_to_end(place)
        while len(self._looks) > _KEPT:
            self._looks.popitem(last=False)
        return look.reason

    def _look(self, country: str, sha256: Sha256) -> _Look:
        now = time.monotonic()
        listed = self._listed(country)
        newest = self._newest.get(country)
        ended = newest.revoked.get(sha256) if newest else None
        if ended is None and listed is not None and sha256 in listed.revoked:
            return _Look(now, "a list says that it was revoked, whose signatures the gateway cannot check", False)
        look = self._tombstone(country, sha256)
        if ended is not None and not look.final:
            return _Look(now, f"it was revoked on {ended.date[:10]}", True)
        return look

    def _listed(self, country: str) -> RevocationList | None:
        """The list as it stands, unless it is not genuine; the newest genuine one is kept."""
        from pe_data.trust.revocations import Verifier, reason_of

        key = revocations_key(country)
        what, now = f"{self._store.url}: {key}", time.monotonic()
        known = self._lists.get(country)
        try:
            token = self._store.head(key).token
            if known and known.token == token and (known.final or now - known.at < JUDGED_SECONDS):
                return known.found
            raw = self._store.get(key, max_bytes=LIST_LIMIT).data
        except (ObjectNotFoundError, StorePermissionError):
            return None
        except InvalidDocumentError as error:
            LOGGER.error("%r", reason_of(error))
            return None
        try:
            found = Verifier.of(lambda: self._store).check_list(raw, country=country, what=what)
        except InvalidTombstoneError as error:
            LOGGER.error("%r", reason_of(error))
            self._lists[country] = _List(token, now, None, False)
            return None
        except UncheckedRevocationError as error:
            LOGGER.error("%r", str(error))
            claimed = None
            with suppress(InvalidDocumentError):
                claimed = RevocationList.from_bytes(parse_list(raw, what=what).body, what)
            self._lists[country] = _List(token, now, claimed, False)
            return claimed
        newest = self._newest.get(country)
        if newest is not None and found.version < newest.version:
            LOGGER.error("%r", f"{what}: expected version {newest.version} or later, found {found.version}: set back")
        else:
            self._newest[country] = found
        self._lists[country] = _List(token, now, found, True)
        return found

    def _tombstone(self, country: str, sha256: Sha256) -> _Look:
        key = tombstone_key(country, sha256)
        now = time.monotonic()
        try:
            raw = self._store.get(key, max_bytes=TOMBSTONE_LIMIT).data
        except (ObjectNotFoundError, StorePermissionError):  # the latter from a bucket that may not be listed
            return _Look(now, "", False)
        except InvalidDocumentError as error:
            LOGGER.error("a tombstone that is none: %r", str(error))
            return _Look(now, "", False)
        seen = (key, sha256_bytes(raw))
        if now - self._not_genuine.get(seen, -JUDGED_SECONDS) < JUDGED_SECONDS:
            return _Look(now, "", False)
        return self._judge(raw, country, sha256, key, seen)

    def _judge(self, raw: bytes, country: str, sha256: Sha256, key: str, seen: tuple[str, Sha256]) -> _Look:
        from pe_data.trust.revocations import Verifier, reason_of

        what = f"{self._store.url}: {key}"
        try:
            stone = Verifier.of(lambda: self._store).check(raw, country=country, sha256=sha256, what=what)
        except InvalidTombstoneError as error:
            LOGGER.error("%r", reason_of(error))
            self._not_genuine[seen] = time.monotonic()
            return _Look(time.monotonic(), "", False)
        except UncheckedRevocationError as error:
            LOGGER.error("%r", str(error))
            reason = "there is a tombstone for it, whose signatures the gateway cannot check"
            return _Look(time.monotonic(), reason, False)
        reason = f"it was revoked on {stone.date[:10]} by {stone.revoked_by} (licence {stone.licence}): {stone.reason}"
        return _Look(time.monotonic(), reason, True)
