"""Work of the store that many requests ask for at once, done once."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from anyio import to_thread

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Together(Generic[K, T]):
    """What is under way, by what it is for; use from one event loop."""

    def __init__(self) -> None:
        self._coming: dict[K, asyncio.Task[T]] = {}

    async def get(self, place: K, work: Callable[..., T], *arguments: object) -> T:
        """What `work` returns, in a thread, unless it is under way for that place already."""
        task = self._coming.get(place)
        if task is None:
            task = asyncio.ensure_future(to_thread.run_sync(work, *arguments))
            self._coming[place] = task
            task.add_done_callback(lambda _: self._coming.pop(place, None))
        return await asyncio.shield(task)  # one client that goes away must not end it for the others
