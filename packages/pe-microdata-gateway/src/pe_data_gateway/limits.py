"""Rate limits: one token bucket per user, in memory.

(The libraries for this bring storage backends and decorators for frameworks; what is needed here is
the arithmetic below.)
"""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float


class RateLimit:
    """At most `burst` requests at once, and `rate` per second in the long run, for each user."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, float(burst), clock
        self._buckets: dict[str, _Bucket] = {}

    def wait(self, user: str) -> float:
        """Count a request of `user`: 0 if it may go on, else the seconds until one may."""
        now = self._clock()
        bucket = self._buckets.setdefault(user, _Bucket(self._burst, now))
        bucket.level = min(self._burst, bucket.level + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.level >= 1:
            bucket.level -= 1
            return 0.0
        return (1 - bucket.level) / self._rate
