"""The page at `/`: the datasets that are served, with licence and how to apply; made anew now and then."""

import asyncio
import time
from collections.abc import Container

from anyio import to_thread

from pe_data.pages.gated import gated_page
from pe_data.read.notices import notices
from pe_data.store.base import Store

SECONDS = 60.0
"""So long a page is served: anybody may ask for it, and the store is asked for every dataset each time it is made."""


class FrontPage:
    """The page of one store; use from one event loop."""

    def __init__(self, store: Store, countries: Container[str]) -> None:
        self._store, self._countries = store, countries
        self._page, self._until = "", 0.0
        self._coming: asyncio.Task[str] | None = None

    async def get(self) -> str:
        """The page. Raises PeDataError if the store cannot be read."""
        if time.monotonic() < self._until:
            return self._page
        if self._coming is None:
            self._coming = asyncio.ensure_future(to_thread.run_sync(self._make))
            self._coming.add_done_callback(self._made)
        return await asyncio.shield(self._coming)  # one client that goes away must not end it for the others

    def _make(self) -> str:
        return gated_page(notices(self._store, self._countries))

    def _made(self, task: "asyncio.Task[str]") -> None:
        self._coming = None
        if not task.cancelled() and task.exception() is None:
            self._page, self._until = task.result(), time.monotonic() + SECONDS
