"""Check, before bytes are returned, whether an artifact was revoked.

One list per country says it (`pe_data.documents.revocations`). It is asked for once per call and at most once per
interval: from the store, else from a mirror. The newest version whose signatures were right is kept and wins.
Before a store has its first list, the store itself is asked for the tombstone of each artifact.

A machine that cannot check signatures believes the store, and no mirror, as far as that stops a download.
"""

import threading
import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pe_data.cache.known_revocations import Asked, Known
from pe_data.documents.tombstone import TOMBSTONE_LIMIT, Tombstone
from pe_data.errors import (
    CacheWarning,
    GatewayError,
    InvalidDocumentError,
    InvalidTombstoneError,
    ObjectNotFoundError,
    OfflineError,
    StoreError,
    StorePermissionError,
    StoreUnavailableError,
    UncheckedRevocationError,
)
from pe_data.names.digests import Sha256, sha256_bytes
from pe_data.names.keys import revocations_key, tombstone_key
from pe_data.names.times import parse_time
from pe_data.read.options import Options
from pe_data.read.revoked import Revoked, remembered_tombstone
from pe_data.trust.anchor import kept_roles, why_unchecked

if TYPE_CHECKING:
    from pe_data.documents.revocations import Ended, RevocationList
    from pe_data.names.uri import StoreUri
    from pe_data.read.places import Places


PATIENCE_SECONDS = 3
"""For one answer: a hit in the cache must not wait for a dead store."""
SKEW = timedelta(minutes=10)
"""How far the clocks of a signer and a reader may differ."""


class Revocations:
    """What is known of the revocations in one country; asks the places at most once. For one call, in any thread."""

    def __init__(self, uri: "StoreUri", options: Options, places: "Places | None" = None, *, now: bool = False) -> None:
        """
        Args:
            uri: What is being resolved: its country counts, and messages name it.
            places: Of the country, if they are at hand.
            now: Ask, however recently the places were asked (to certify).
        """
        self._uri, self._options, self._now = uri, options, now
        self._country = uri.country
        self._known = Known(options.cache)
        self._given = places
        self._lock = threading.Lock()
        self._answer: Asked | None = None
        self._asked: set[Sha256] = set()
        self._asking: dict[Sha256, threading.Lock] = {}
        self._stones: dict[Sha256, Tombstone | None] = {}
        self._loaded = False
        self._kept: RevocationList | None = None
        self._unchecked: RevocationList | None = None

    def find(self, digests: Sequence[Sha256], *, cached: bool) -> Revoked | None:
        """The first revoked artifact among `digests`, or None.

        Args:
            digests: The artifact, and the collection that it is reached through, if any.
            cached: Its bytes are here: nothing is downloaded, and a dead store is not waited for.

        Raises:
            UncheckedRevocationError: the configuration wants a list that holds, and there is none.
        """
        for sha256 in digests:
            stone = self._remembered(sha256)
            if stone is not None:
                return Revoked(sha256, stone)
        quiet = self._options.offline and cached
        answer = self._ask(cached, quiet=quiet)
        found = self._listed(digests)
        if found is not None or answer is None:
            return found
        self._require(answer)
        if answer.state == "none":
            for sha256 in digests:
                with self._asking.setdefault(sha256, threading.Lock()):  # a collection is asked for with each member
                    if not self._is_open(sha256, cached):
                        continue
                    found = self._at_the_store(sha256, cached)
                    if found is not None:
                        return found
                    self._asked.add(sha256)
        return None

    def asks_for_each(self, digests: Sequence[Sha256]) -> bool:
        """Whether `find` of what is cached would ask the store for the tombstone of one of them."""
        answer = self._ask(True, quiet=self._options.offline)
        if answer is None or answer.state != "none":
            return False
        return any(self._is_open(sha256, True) for sha256 in digests)

    @property
    def kept(self) -> "RevocationList | None":
        """The newest list whose signatures were right, as far as `find` has read it; None if there is none."""
        return self._kept

    @property
    def decided(self) -> bool:
        """Whether a list says it of all artifacts, as far as `find` has asked; else each tombstone is asked for."""
        return self._answer is not None and self._answer.state == "list"

    def _remembered(self, sha256: Sha256) -> Tombstone | None:
        """The tombstone that this machine has seen; a collection is asked for with each member, and looked for once."""
        if sha256 not in self._stones:
            self._stones[sha256] = remembered_tombstone(self._known, sha256, self._country)
        return self._stones[sha256]

    def _is_open(self, sha256: Sha256, cached: bool) -> bool:
        """Whether the store has to be asked for its tombstone: not in this call, and not lately of what is cached."""
        if sha256 in self._asked:
            return False
        return not cached or self._now or self._known.is_due(sha256, self._options.recheck)

    def _listed(self, digests: Sequence[Sha256]) -> Revoked | None:
        for sha256 in digests:
            ended = self._kept.revoked.get(sha256) if self._kept else None
            if ended is not None:
                return Revoked(sha256, self._stone(sha256, ended), date=ended.date)
        for sha256 in digests:
            if self._unchecked and sha256 in self._unchecked.revoked:
                why = "and its list cannot be checked here, so that nothing of it is downloaded until it can be"
                reason = why_unchecked() or "its trust root could not be followed"
                return Revoked(sha256, None, f"the store says that sha256:{sha256} was revoked, {why}: {reason}")
        return None

    def _keep(self, found: "RevocationList | None", body: bytes | None, *, checked: bool) -> None:
        """Go by a list from now on, also in a cache that cannot be written."""
        if checked:
            self._kept = found
        else:
            self._unchecked = found
        self._known.keep(self._country, body, checked=checked)

    # --- asking for the list ------------------------------------------------------------------

    def _ask(self, cached: bool, *, quiet: bool) -> Asked | None:
        """What the places say, asked once; None if nobody is to be asked."""
        with self._lock:
            if not self._loaded:
                self._loaded = True
                self._kept = self._known.kept(self._country)
                self._unchecked = self._known.kept(self._country, checked=False)
            if self._answer is None and not quiet:
                places = self._places(cached)
                required = places.config.require_revocations
                kept = None if self._now else self._known.asked(self._country, self._options.recheck)
                if kept is not None and kept.store == places.config.url and not (required and kept.problem):
                    self._answer = kept
                else:
                    self._answer = self._ask_now(places)
                    if required:
                        self._answer = replace(self._answer, problem=self._doubt(self._answer))
                    elif self._answer.problem:
                        self._warn(
                            f"{self._answer.problem}, so nobody can tell what was revoked since (refused with "
                            "`require_revocations = true` in the configuration)"
                        )
                    self._known.note(self._country, self._answer)
            return self._answer

    def _ask_now(self, places: "Places") -> Asked:
        url, unable = places.config.url, why_unchecked()
        told: list[Asked] = []
        for place in (url,) if unable else (url, *places.config.mirrors):
            told.append(self._ask_one(place, places, unable))
            if told[-1].state == "list" and not told[-1].problem:
                return told[-1]
        main, problem = told[0], next((one.problem for one in told if one.problem), "")
        if main.state == "none":
            self._keep(None, None, checked=False)
            if not problem and not unable and self._is_anybodys(places):
                problem = f"{url}: expected a revocation list of {self._country}, found none"
        decided = main.state == "list" or self._kept is not None
        return Asked(url, "list" if decided else main.state, problem)

    def _is_anybodys(self, places: "Places") -> bool:
        """Whether anybody may sign a list, as far as this machine has followed the trust root."""
        roles = kept_roles(places.main(), self._options.cache.paths.trust)
        return roles is None or f"revoke-{self._country}" in roles

    def _ask_one(self, url: str, places: "Places", unable: str) -> Asked:
        """What one place has: a list that was kept, none that changes anything, or no answer."""
        main = places.config.url
        if "://" not in url and not Path(url).expanduser().is_dir():
            return Asked(main, "silent")
        key = revocations_key(self._country)
        try:
            (store,) = places.some([url])
            raw = store.get(key, max_bytes=_limit()).data
        except ObjectNotFoundError:
            return Asked(main, "none")
        except (StoreUnavailableError, ValueError):  # the latter: offline forbids this one
            return Asked(main, "silent")
        except (GatewayError, StoreError, InvalidDocumentError, OfflineError) as error:
            if isinstance(error, StorePermissionError) and not isinstance(error, GatewayError):
                return Asked(main, "none")  # how a bucket that may not be listed says "not there"
            self._warn(f"no answer about revocations: {error}")
            return Asked(main, "silent")
        return self._judge(raw, f"{store.url}: {key}", main, url == main, unable)

    def _judge(self, raw: bytes, what: str, main: str, is_main: bool, unable: str) -> Asked:
        from pe_data.documents.envelope import REVOCATIONS_TYPE
        from pe_data.documents.revocations import parse_list
        from pe_data.trust.revocations import check_apart, list_of, reason_of

        kept = self._kept
        try:
            body = parse_list(raw, what=what).body
            if kept is None or sha256_bytes(body) != kept.sha256:  # what was found right once is not checked again
                if unable:
                    raise UncheckedRevocationError(unable)
                body = check_apart(
                    raw,
                    REVOCATIONS_TYPE,
                    country=self._country,
                    store=main,
                    metadata=self._options.cache.paths.trust,
                    what=what,
                )
            found = list_of(body, country=self._country, what=what)
        except UncheckedRevocationError as error:
            return self._take_unchecked(body, what, main, is_main, "" if unable else str(error))
        except InvalidDocumentError as error:
            self._warn(reason_of(error))
            return Asked(main, "none")
        problem = _problem(found, kept, what)
        if kept is None or found.version > kept.version:
            self._keep(found, body, checked=True)
            self._keep(None, None, checked=False)
        return Asked(main, "list", problem)

    def _take_unchecked(self, body: bytes, what: str, main: str, is_main: bool, problem: str) -> Asked:
        """Keep a list that nobody here can check, if it is the store's own."""
        from pe_data.trust.revocations import list_of, reason_of

        if not is_main:
            return Asked(main, "silent")
        try:
            found = list_of(body, country=self._country, what=what)
        except InvalidTombstoneError as error:
            self._warn(reason_of(error))
            return Asked(main, "none")
        self._keep(found, body, checked=False)
        return Asked(main, "list", problem)

    # --- what else is asked -------------------------------------------------------------------

    def _require(self, answer: Asked) -> None:
        """Raise UncheckedRevocationError if the configuration wants a list that holds, and there is none."""
        if not self._places(True).config.require_revocations:
            return
        problem = self._doubt(answer)
        if problem:
            raise UncheckedRevocationError(
                f"{self._uri}: expected a revocation list of {self._country} that holds, as `require_revocations` in "
                f"the configuration says, found: {problem}. Ask whoever runs the store for `pe-data revoke --list "
                f"{self._country}`"
            )

    def _doubt(self, answer: Asked) -> str:
        """Why no list is to be relied on; empty if one is."""
        if answer.problem or why_unchecked():
            return answer.problem or f"its signatures cannot be checked here: {why_unchecked()}"
        if self._kept is None:
            return "no place has one"
        ended = self._kept.ends() <= datetime.now(UTC)
        return f"version {self._kept.version} ended on {self._kept.expires}" if ended else ""

    def _at_the_store(self, sha256: Sha256, cached: bool) -> Revoked | None:
        """The tombstone of one artifact in the store, which counts until there is a list."""
        from pe_data.documents.envelope import TOMBSTONE_TYPE
        from pe_data.trust.revocations import check_apart, reason_of, tombstone_of

        places, key = self._places(cached), tombstone_key(self._country, sha256)
        what = f"{places.config.url}: {key}"
        try:
            raw = places.main().get(key, max_bytes=TOMBSTONE_LIMIT).data
        except (ObjectNotFoundError, StoreUnavailableError, OfflineError):
            raw = b""
        except (StoreError, InvalidDocumentError) as error:
            raw = b""
            if not isinstance(error, StorePermissionError) or isinstance(error, GatewayError):
                self._warn(f"no answer about a revocation: {error}")
        if not raw:
            self._known.note_asked(sha256)
            return None
        try:
            unable = why_unchecked()
            if unable:
                raise UncheckedRevocationError(f"{what}: its signatures cannot be checked here: {unable}")
            metadata = self._options.cache.paths.trust
            body = check_apart(
                raw, TOMBSTONE_TYPE, country=self._country, store=places.config.url, metadata=metadata, what=what
            )
            stone = tombstone_of(body, country=self._country, sha256=sha256, what=what)
        except InvalidTombstoneError as error:
            self._known.note_asked(sha256)
            self._warn(reason_of(error))
            return None
        except UncheckedRevocationError as error:  # the question stays open
            return Revoked(
                sha256, None, f"there is a tombstone for it. Until it can be checked, it stops downloads: {error}"
            )
        self._known.remember(sha256, stone.to_bytes(), self._country)
        self._stones[sha256] = stone
        return Revoked(sha256, stone)

    def _stone(self, sha256: Sha256, ended: "Ended") -> Tombstone | None:
        """The tombstone that a list names, from any place: its digest says that it is the right one."""
        from pe_data.documents.envelope import TOMBSTONE_TYPE, parse_envelope

        if self._options.offline:
            return None
        key = tombstone_key(self._country, sha256)
        places = self._places(True)
        for url in (places.config.url, *places.config.mirrors):
            try:
                (store,) = places.some([url])
                what = f"{store.url}: {key}"
                raw = store.get(key, max_bytes=TOMBSTONE_LIMIT).data
                body = parse_envelope(raw, payload_type=TOMBSTONE_TYPE, what=what).body
                if sha256_bytes(body) == ended.tombstone:
                    self._known.remember(sha256, body, self._country)
                    self._stones[sha256] = Tombstone.from_bytes(body, what=what)
                    return self._stones[sha256]
            except (StoreError, OfflineError, InvalidDocumentError, ValueError):
                continue
        return None

    def _places(self, cached: bool) -> "Places":
        from pe_data.read.places import Places

        if self._given is None:
            self._given = Places.of(
                self._uri, self._options, patience=timedelta(seconds=PATIENCE_SECONDS) if cached else None
            )
        return self._given

    def _warn(self, text: str) -> None:
        warnings.warn(f"{self._uri}: {text}", CacheWarning, stacklevel=6)


def _problem(found: "RevocationList", kept: "RevocationList | None", what: str) -> str:
    """Why a genuine list is not to be relied on; empty if it is."""
    now = datetime.now(UTC)
    if kept is not None and found.version < kept.version:
        return f"{what}: expected version {kept.version} or later, which this machine has seen, found {found.version}"
    if kept is not None and found.version == kept.version and found.sha256 != kept.sha256:
        return f"{what}: found another list of version {found.version} than the one that this machine has seen"
    if found.ends() <= now:
        return f"{what}: version {found.version} ended on {found.expires}, and it is {now:%Y-%m-%d %H:%M} UTC"
    if parse_time(found.issued) > now + SKEW:
        return f"{what}: version {found.version} is dated {found.issued}, and it is {now:%Y-%m-%d %H:%M} UTC"
    return ""


def _limit() -> int:
    from pe_data.documents.revocations import LIST_LIMIT

    return LIST_LIMIT
