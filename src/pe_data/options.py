"""How to resolve: which cache and store, whether the network may be used, what is told on the way."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pe_data import steps
from pe_data.cache.store import Cache
from pe_data.config import cache_folder, is_offline

if TYPE_CHECKING:
    from pe_data.cache.download import Progress


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
    on_step: steps.StepHook = steps.ignore

    @classmethod
    def of(
        cls,
        *,
        cache: Path | str | None = None,
        store: str | None = None,
        offline: bool | None = None,
        allow_stale: bool = False,
        verify: bool = False,
        progress: "Progress | None" = None,
    ) -> "Options":
        """Fill in the environment where an argument is None."""
        folder = cache_folder() if cache is None else Path(cache)
        return cls(
            Cache(folder),
            store,
            is_offline() if offline is None else offline,
            allow_stale,
            verify,
            progress,
        )
