"""What a reader does before it hands out bytes: has any of these artifacts been revoked?

A tombstone that this machine has seen counts for ever. Beyond that the store and every mirror are
asked, at most once per interval for bytes that are in the cache and always before a download. One
genuine tombstone in any place is enough; one that cannot be checked on this machine counts if it lies in the
store itself, and not on a mirror. A place that has none, or does not answer in time, says
nothing. So a mirror that strips tombstones hides them only from those who ask nobody else.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pe_data.cache.known_revocations import Known
from pe_data.config.settings import store_for
from pe_data.documents.tombstone import TOMBSTONE_LIMIT, Tombstone
from pe_data.errors import (
    CacheWarning,
    GatewayError,
    InvalidDocumentError,
    InvalidTombstoneError,
    ObjectNotFoundError,
    OfflineError,
    RevokedError,
    StoreError,
    StorePermissionError,
    StoreUnavailableError,
    UncheckedRevocationError,
)
from pe_data.names.digests import Sha256
from pe_data.names.keys import tombstone_key
from pe_data.read.options import Options

if TYPE_CHECKING:
    from pe_data.names.uri import HubUri, StoreUri, WebUri
    from pe_data.read.places import Places
    from pe_data.store.base import Store
    from pe_data.trust.tombstones import Verifier

    AnyUri = StoreUri | WebUri | HubUri

PATIENCE_SECONDS = 3
"""For one answer about a tombstone: a hit in the cache must not wait for a dead store."""
_HOW = "Use a newer version. Bytes that this machine holds are handed out offline, or with --allow-revoked"


@dataclass(frozen=True, slots=True)
class Revoked:
    """One revoked artifact on the way to what was asked for."""

    sha256: Sha256
    """The artifact: the payload, or the collection that it was reached through."""
    tombstone: Tombstone | None
    """None if there is one whose signatures cannot be checked on this machine."""
    problem: str = ""
    """Why they cannot."""

    def error(self, uri: "AnyUri") -> RevokedError:
        """What a reader is told: reason and date, or why there are none."""
        stone = self.tombstone
        if stone is None:
            return UncheckedRevocationError(f"{uri}: {self.problem}. {_HOW}")
        along = "" if self.sha256 == stone.artifact_sha256 else f" with collection sha256:{stone.artifact_sha256}"
        return RevokedError(
            f"{uri}: sha256:{self.sha256} was revoked on {stone.date[:10]}{along} by {stone.revoked_by} "
            f"(licence {stone.licence}): {stone.reason}. {_HOW}",
            reason=stone.reason,
            date=stone.date,
        )


def find_revoked(
    uri: "StoreUri", digests: Sequence[Sha256], options: Options, *, fresh: bool, places: "Places | None" = None
) -> Revoked | None:
    """The first revoked artifact among `digests`, or None.

    Args:
        uri: What is being resolved.
        digests: The artifact, and the collection that it is reached through, if any.
        fresh: Ask now, however recently the stores were asked (before a download).
        places: Of the country, if they are at hand, with the stores that are open; for many `fresh` questions.
    """
    known = Known(options.cache)
    for sha256 in digests:
        remembered = remembered_tombstone(known, sha256, uri.country)
        if remembered is not None:
            return Revoked(sha256, remembered)
    if options.offline and not fresh:
        return None
    due = [sha256 for sha256 in digests if fresh or known.is_due(sha256, options.recheck)]
    return _ask(uri, due, options, known, fresh, places) if due else None


def remembered_tombstone(known: Known, sha256: Sha256, country: str | None) -> Tombstone | None:
    """The tombstone that this machine has seen for an artifact of a country; of any country if that is None."""
    for path in known.tombstone_paths(sha256, country):
        body = known.read(path)
        if body is None:
            continue
        try:
            stone = Tombstone.from_bytes(body, what=str(path))
        except InvalidDocumentError:
            known.forget_damaged(sha256, path)
            continue
        # Whoever revokes for one country says nothing of the artifacts of another.
        if stone.covers(stone.country if country is None else country, sha256):
            return stone
    return None


def refuse_remembered(uri: "WebUri | HubUri", sha256: Sha256, options: Options, *, cached: bool) -> None:
    """For addresses that no store stands behind: refuse bytes that this machine knows to be revoked.

    Raises:
        RevokedError: as `obey`.
    """
    stone = remembered_tombstone(Known(options.cache), sha256, None)
    if stone is not None:
        obey(Revoked(sha256, stone), uri, options, cached=cached)


def obey(found: Revoked, uri: "AnyUri", options: Options, *, cached: bool) -> None:
    """Refuse a revoked artifact, or warn where that is all that is right.

    Offline, bytes that are in the cache are handed out with a warning: somebody may be in the
    middle of a run. With `allow_revoked` the same holds online.

    Raises:
        RevokedError: naming reason and date.
    """
    error = found.error(uri)
    if not cached or not (options.offline or options.allow_revoked):
        raise error
    warnings.warn(f"REVOKED: {error}", CacheWarning, stacklevel=3)


def _ask(
    uri: "StoreUri", due: Sequence[Sha256], options: Options, known: Known, fresh: bool, places: "Places | None"
) -> Revoked | None:
    config = places.config if places else store_for(uri.country, store=options.store)
    urls = [url for url in (config.url, *config.mirrors) if "://" in url or Path(url).expanduser().is_dir()]
    asked = [url for url in urls if fresh or not known.is_silent(url)]
    found, answered = None, True
    if asked:
        found, answered = _Question(uri, options, known, fresh, places).ask(due, asked)
    if found is not None:
        return found  # remembered if it is genuine; if it cannot be checked, the question stays open
    for sha256 in due:
        if answered and asked == urls:
            known.note_asked(sha256)
        else:
            known.note_unanswered(sha256, options.recheck)
    return None


class _Question:
    """One round through the places."""

    def __init__(self, uri: "StoreUri", options: Options, known: Known, fresh: bool, places: "Places | None") -> None:
        from datetime import timedelta

        from pe_data.read.places import Places

        self._uri, self._known = uri, known
        patience = None if fresh else timedelta(seconds=PATIENCE_SECONDS)
        self._places = places or Places.of(uri, options, patience=patience)
        self._verifier: Verifier | None = None

    def ask(self, due: Sequence[Sha256], urls: Sequence[str]) -> tuple[Revoked | None, bool]:
        """What was found, and whether every place answered."""
        try:
            stores = self._places.some(urls)
        except (StoreError, OfflineError) as error:
            self._warn(str(error))
            return None, False
        answered = len(stores) == len(urls)
        for store in stores:
            for sha256 in due:
                key = tombstone_key(self._uri.country, sha256)
                try:
                    raw = store.get(key, max_bytes=TOMBSTONE_LIMIT).data
                except ObjectNotFoundError:
                    continue
                except StoreUnavailableError:
                    self._known.note_silent(store.url)
                    answered = False
                    break
                except (GatewayError, StoreError, InvalidDocumentError) as error:
                    if isinstance(error, StorePermissionError) and not isinstance(error, GatewayError):
                        continue  # how a bucket that may not be listed says "not there"
                    self._warn(f"no answer about a revocation: {error}")
                    answered = False
                    break
                found = self._judge(raw, store, sha256, key)
                if found is not None:
                    return found, answered
        return None, answered

    def _judge(self, raw: bytes, store: "Store", sha256: Sha256, key: str) -> Revoked | None:
        from pe_data.trust.tombstones import Verifier, reason_of

        self._verifier = self._verifier or Verifier.of(self._places.main)
        try:
            stone = self._verifier.check(raw, country=self._uri.country, sha256=sha256, what=f"{store.url}: {key}")
        except InvalidTombstoneError as error:
            self._warn(reason_of(error))
            return None
        except UncheckedRevocationError as error:
            if store.url != self._places.main().url:  # whoever runs a mirror cannot end an artifact without a key
                self._warn(f"a mirror has a tombstone that nobody here can check, so it changes nothing: {error}")
                return None
            return Revoked(sha256, None, str(error))
        self._known.remember(sha256, stone.to_bytes(), self._uri.country)
        return Revoked(sha256, stone)

    def _warn(self, text: str) -> None:
        warnings.warn(f"{self._uri}: {text}", CacheWarning, stacklevel=6)
