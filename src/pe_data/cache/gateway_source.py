"""A payload behind a gateway: ask for a link with the token, read the link without it."""

from dataclasses import dataclass

from pe_data.cache.sources import Body, Source, SourceError, WebSource
from pe_data.errors import StoreError, StoreUnavailableError
from pe_data.store.gateway import GatewayStore


@dataclass(frozen=True, slots=True)
class GatewaySource(Source):
    """One payload; its link is asked for once, and again when it has expired."""

    store: GatewayStore
    key: str

    @property
    def name(self) -> str:  # type: ignore[override]
        """The address of the gateway; links are secrets."""
        return self.store.url

    def supports_ranges(self) -> bool:
        return True

    def open(self, start: int, end: int | None = None) -> Body:
        try:
            return self._web(renew=False).open(start, end)
        except SourceError as error:
            if error.retry:
                raise
        return self._web(renew=True).open(start, end)

    def _web(self, *, renew: bool) -> WebSource:
        try:
            return WebSource(self.store.link(self.key, renew=renew), self.name)
        except StoreError as error:
            raise SourceError(str(error), retry=isinstance(error, StoreUnavailableError)) from error
