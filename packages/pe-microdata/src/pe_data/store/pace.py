"""Give up a server that sends too slowly.

A limit on the wait between two pieces is met by a server that sends one byte now and then. So the bytes
of a window of time are counted, and a server below the floor is given up where somebody else may do better.
Only the time that is spent waiting counts: a slow disk or a suspended process is not the server's fault.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from pe_data.errors import StoreUnavailableError


class TooSlowError(StoreUnavailableError):
    """A server stayed below the floor, or took too long for its answer: what came is good, and more may come."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The least that a server has to deliver."""

    floor: float = 10_000.0
    """Bytes per second."""
    window: float = 30.0
    """Seconds of waiting after which it is judged."""

    def shared(self, connections: int) -> "Pace":
        """For each of several connections to one server."""
        return replace(self, floor=self.floor / connections)


PACE = Pace()


class Meter:
    """Counts what comes over one connection, window by window."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._count = 0
        self._waited = 0.0

    @property
    def left(self) -> float:
        """Seconds of waiting until the window ends."""
        return max(0.0, self._pace.window - self._waited)

    def note(self, count: int, waited: float) -> None:
        """`count` bytes came after `waited` seconds. Raises TooSlowError at the end of a bad window."""
        self._count += count
        self._waited += waited
        if self._waited < self._pace.window:
            return
        if self._count < self._pace.floor * self._waited:
            found = f"{self._count} in {self._waited:.0f} s"
            raise TooSlowError(f"too slow: expected {self._pace.floor:.0f} bytes per second, found {found}")
        self._count, self._waited = 0, 0.0


def metered(read: Callable[[memoryview], int], pace: Pace | None) -> Callable[[memoryview], int]:
    """`read`, judged by `pace` after each call that brings something; None judges nothing."""
    if pace is None:
        return read
    meter = Meter(pace)

    def judged(buffer: memoryview) -> int:
        began = clock()
        count = read(buffer)
        if count:
            meter.note(count, clock() - began)
        return count

    return judged


def clock() -> float:
    """Seconds of a clock that never goes back."""
    return time.monotonic()
