"""The store of a country and its mirrors: who may be asked, in which order, and what they did."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

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


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look for one address; stores are opened when they are asked."""

    uri: StoreUri
    options: Options
    config: StoreConfig
    patience: timedelta | None = None
    """For one answer, instead of the usual limits and without a second try."""
    _opened: dict[str, Store] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, uri: StoreUri, options: Options, *, patience: timedelta | None = None) -> "Places":
        """From the options, else the configuration."""
        return cls(uri, options, store_for(uri.country, store=options.store), patience)

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

    def document(self, key: str, limit: int, check: Callable[[bytes, str], T]) -> T:
        """Read a small object from the first place that has it right.

        Args:
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
        refused: GatewayError | None = None
        everywhere_absent = True
        for store in self.all():
            try:
                result = check(store.get(key, max_bytes=limit).data, f"{store.url}: {key}")
            except (StoreError, DigestMismatchError, InvalidDocumentError) as error:
                skipped.append(Skipped(store.url, error))
                everywhere_absent &= isinstance(error, ObjectNotFoundError)
                refused = refused or (error if isinstance(error, GatewayError) else None)
            else:
                self.note(skipped)
                return result
        reasons = "; ".join(one.reason for one in skipped)
        if everywhere_absent:
            raise ObjectNotFoundError(f"{self.uri}: {reasons}")
        self.note(skipped, warn=False)
        if refused is not None:  # it says what to do, which a list of places would bury
            raise refused
        raise FetchError(f"{self.uri}: no store delivered {key} ({reasons})")

    def note(self, skipped: "Sequence[Skipped]", *, warn: bool = True) -> None:
        """Record the places that were skipped, and warn about each."""
        from pe_data.cache.fetch import note_skipped

        note_skipped(self.options.cache, str(self.uri), skipped)
        if warn:
            self.warn(skipped)

    def warn(self, skipped: "Sequence[Skipped]") -> None:
        """Say which places were skipped."""
        for one in skipped:
            warnings.warn(f"{self.uri}: skipped {one.source}: {one.reason}", CacheWarning, stacklevel=3)

    def _open(self, url: str) -> Store:
        from pe_data.store.opening import open_store

        if url not in self._opened:
            options = self.config.options if url == self.config.url else None
            self._opened[url] = open_store(url, options=options, timeouts=self._timeouts())
        return self._opened[url]

    def _timeouts(self) -> Timeouts | None:
        if self.patience is None:
            return None
        limit = self.patience
        return Timeouts(connect=limit, read=limit, request=limit, retry=limit, retries=0)

    def _offline(self) -> OfflineError:
        pin = "" if self.uri.sha256 else " Pin it with @sha256:… or allow what was used last."
        return OfflineError(
            f"{self.uri}: the cache {self.options.cache.root} does not have it, and the network is "
            f"forbidden (offline).{pin}"
        )


def is_local(url: str) -> bool:
    """Whether a store's address needs no network."""
    return "://" not in url or url.startswith(("file://", "memory://"))
