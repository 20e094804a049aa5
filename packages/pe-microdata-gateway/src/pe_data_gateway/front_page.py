"""The page at `/`: the datasets that are served, with licence and how to apply; made anew now and then."""

import time
from collections.abc import Container

from pe_data.pages.gated import gated_page
from pe_data.read.notices import notices
from pe_data.store.base import Store
from pe_data_gateway.together import Together

SECONDS = 60.0
"""So long a page is served: anybody may ask for it, and the store is asked for every dataset each time it is made."""


class FrontPage:
    """The page of one store; use from one event loop."""

    def __init__(self, store: Store, countries: Container[str]) -> None:
        self._store, self._countries = store, countries
        self._page, self._until = "", 0.0
        self._coming: Together[None, None] = Together()

    async def get(self) -> str:
        """The page. Raises PeDataError if the store cannot be read."""
        if time.monotonic() >= self._until:
            await self._coming.get(None, self._make)
        return self._page

    def _make(self) -> None:
        page = gated_page(notices(self._store, self._countries))
        self._page, self._until = page, time.monotonic() + SECONDS
