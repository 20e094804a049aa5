"""The store and the mirrors of a country, in the order in which they are tried."""

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from pe_data.cache.entries import Cache
from pe_data.config.settings import StoreConfig, store_for
from pe_data.errors import (
    CacheWarning,
    DigestMismatchError,
    FetchError,
    GatewayError,
    InvalidDocumentError,
    ObjectNotFoundError,
    OfflineError,
    StoreError,
)
from pe_data.names.uri import StoreUri
from pe_data.read.options import Options
from pe_data.store.base import Store, Timeouts

if TYPE_CHECKING:
    from pe_data.cache.fetch import Skipped

T = TypeVar("T")

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look for what belongs to a country, and where it is kept; stores are opened when they are asked."""

    what: str
    """What is asked for, for messages."""
    options: Options
    config: StoreConfig
    cache: Cache
    patience: timedelta | None = None
    """For one answer, instead of the usual limits and without a second try."""
    _opened: dict[str, Store] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, uri: StoreUri, options: Options, *, patience: timedelta | None = None) -> "Places":
        """From the options, else the configuration."""
        return cls.serving(uri.country, options, what=str(uri), patience=patience)

    @classmethod
    def serving(cls, country: str, options: Options, *, what: str = "", patience: timedelta | None = None) -> "Places":
        """As `of`, for all that belongs to a country."""
        config = store_for(country, store=options.store)
        cache = options.cache.for_country(country, config.gated_group)
        return cls(what or country, options, config, cache, patience)

    def shows_token(self) -> bool:
        """Whether the store is behind a gateway, and this user has a token for it."""
        from urllib.parse import urlsplit

        from pe_data.config.credentials import token_for

        parts = urlsplit(self.config.url)
        return parts.scheme.startswith("gateway+") and token_for(parts.netloc) is not None

    def main(self) -> Store:
        """The store itself, which alone has channels. Raises OfflineError if it may not be asked."""
        if self.options.offline and not is_local(self.config.url):
            raise self._offline()
        return self._open(self.config.url)

    def all(self) -> list[Store]:
        """The store and its mirrors, without those that `offline` forbids."""
        urls = (self.config.url, *self.config.mirrors)
        allowed = [url for url in urls if not self.options.offline or is_local(url)]
        if not allowed:
            raise self._offline()
        return [self._open(url) for url in allowed]

    def some(self, urls: "Sequence[str]") -> list[Store]:
        """Those of the store and its mirrors that are named, without those that `offline` forbids."""
        return [self._open(url) for url in urls if not self.options.offline or is_local(url)]

    def document(self, uri: StoreUri, key: str, limit: int, check: Callable[[bytes, str], T]) -> T:
        """Read a small object from the first place that has it right.

        Args:
            uri: What it is for, for messages.
            key: Its key.
            limit: Largest size, in bytes.
            check: Gets the bytes and their place for messages; raises if they are wrong.

        Raises:
            ObjectNotFoundError: every place was asked, and none has it.
            GatewayError: a gateway refused, and no other place had it right.
            FetchError: some place had it wrong or did not answer, and no other had it right.
        """
        from pe_data.cache.fetch import Skipped

        skipped: list[Skipped] = []
        for store in self.all():
            try:
                result = check(store.get(key, max_bytes=limit).data, f"{store.url}: {key}")
            except (StoreError, DigestMismatchError, InvalidDocumentError) as error:
                skipped.append(Skipped(store.url, error))
            else:
                self._note(uri, skipped)
                self.warn(uri, skipped)
                return result
        reasons = "; ".join(str(one.error) for one in skipped)
        if all(isinstance(one.error, ObjectNotFoundError) for one in skipped):
            raise ObjectNotFoundError(f"{uri}: {reasons}")
        self._note(uri, skipped)
        for one in skipped:
            if isinstance(one.error, GatewayError):  # it says what to do, which a list of places would bury
                raise one.error
        raise FetchError(f"{uri}: no store delivered {key} ({reasons})")

    def warn(self, uri: StoreUri, skipped: "Sequence[Skipped]") -> None:
        """Say which places were skipped."""
        for one in skipped:
            warnings.warn(f"{uri}: skipped {one.source}: {one.reason}", CacheWarning, stacklevel=3)

    def _note(self, uri: StoreUri, skipped: "Sequence[Skipped]") -> None:
        from pe_data.cache.fetch import note_skipped

        note_skipped(self.cache, str(uri), skipped)

    def _open(self, url: str) -> Store:
        from pe_data.store.opening import open_store

        if url not in self._opened:
            options = self.config.options if url == self.config.url else None
            LOGGER.info("asking %s", url)
            self._opened[url] = open_store(url, options=options, timeouts=self._timeouts())
        return self._opened[url]

    def _timeouts(self) -> Timeouts | None:
        if self.patience is None:
            return None
        limit = self.patience
        return Timeouts(connect=limit, read=limit, request=limit, retry=limit, retries=0)

    def _offline(self) -> OfflineError:
        pin = "" if "@sha256:" in self.what else " Pin it with @sha256:… or allow what was used last."
        return OfflineError(
            f"{self.what}: the cache {self.cache.root} does not have it, and the network is forbidden (offline).{pin}"
        )


def is_local(url: str) -> bool:
    """Whether a store's address needs no network."""
    return "://" not in url or url.startswith(("file://", "memory://"))
