"""Options of every read: cache, store, offline, progress."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pe_data.cache.entries import Cache
from pe_data.config.settings import RECHECK_HOURS, cache_folder, is_offline, recheck_seconds

if TYPE_CHECKING:
    from pe_data.cache.fetch import Progress, Tuning


def listed(words: str | Iterable[str] | None) -> list[str] | None:
    """One word, or several, as a list; None stays None."""
    return [words] if isinstance(words, str) else None if words is None else list(words)


@dataclass(frozen=True, slots=True)
class Options:
    """How to resolve; the defaults are what `ensure` does."""

    cache: Cache
    store: str | None = None
    """Address of a store that overrides the configuration, for every country."""
    offline: bool = False
    """Forbid the network."""
    allow_stale: bool = False
    """For `@latest` only: if the store cannot be reached, take what was seen last, and warn."""
    verify: bool = False
    """Hash cached files again instead of trusting their stamp."""
    progress: "Progress | None" = None
    allow_revoked: bool = False
    """Return a cached artifact even if it was revoked, with a warning; never fetch one."""
    recheck: float = RECHECK_HOURS * 3600
    """Seconds until the stores are asked again whether a cached file was revoked."""

    def tuning(self) -> "Tuning":
        """How a download is told of."""
        from pe_data.cache.fetch import Tuning, no_progress

        return Tuning(progress=self.progress or no_progress)

    @classmethod
    def of(
        cls,
        *,
        cache: Path | str | None = None,
        store: Path | str | None = None,
        offline: bool | None = None,
        allow_stale: bool = False,
        verify: bool = False,
        progress: "Progress | None" = None,
        allow_revoked: bool = False,
    ) -> "Options":
        """Fill in the environment where an argument is None."""
        folder = cache_folder() if cache is None else Path(cache)
        return cls(
            Cache(folder),
            None if store is None else str(store),
            is_offline() if offline is None else offline,
            allow_stale,
            verify,
            progress,
            allow_revoked=allow_revoked,
            recheck=recheck_seconds(),
        )
