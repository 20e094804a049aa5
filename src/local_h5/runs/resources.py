"""Memory and run time that jobs ask of a cluster. A run on one machine ignores them.

An area's job needs a fixed amount for its start and an amount per household clone. The number of clones of an area is
estimated without reading the clone index: the size of the index gives the number of all clones, and the type of the
area a share that no area of that type exceeds by much. A job that was stopped for its memory or time asks for more: all
is multiplied by Snakemake's ``attempt``.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

_BYTES_PER_CLONE_OF_INDEX = 48
_START_MB = 600  # 110 of an area job, 150 of the Snakemake that runs it, and its forks where shared pages count twice
_MB_PER_CLONE = 0.6e-3  # measured: 0.37 for 3.1 M clones, 0.43 for 1 M
_MB_PER_CLONE_IN_TABLES = 3.2e-3  # the columns of the whole file are in memory together
_MINUTES_PER_CLONE = 1e-6  # measured: 12 µs of wall time; shared file systems are slower
_START_MINUTES = 4
_SHARES = {"national": 1.0, "states": 0.15, "districts": 0.01, "cities": 0.05, "custom": 0.15}

Resource = Callable[[Any, int], int]


def area_memory_mb(folder: str, clone_index: Path, attempt: int = 1, form: str = "periods") -> int:
    """Megabytes for an area job.

    Args:
        folder: of the area's type, for example ``districts``.
        clone_index: the package's ``clones.h5``; one that is not made yet counts as empty.
        attempt: 1 for the first.
        form: of the files, as ``output.form`` of the configuration.
    """
    each = _MB_PER_CLONE_IN_TABLES if form == "tables" else _MB_PER_CLONE
    return attempt * math.ceil(_START_MB + each * _SHARES[folder] * _clones(clone_index))


def area_minutes(folder: str, clone_index: Path, attempt: int = 1) -> int:
    """Minutes after which an area job may be stopped; arguments as for :func:`area_memory_mb`."""
    return attempt * math.ceil(_START_MINUTES + _MINUTES_PER_CLONE * _SHARES[folder] * _clones(clone_index))


def growing(first: int) -> Resource:
    """A resource that grows with the attempt."""

    def amount(wildcards: Any, attempt: int) -> int:
        return first * attempt

    return amount


def _clones(index: Path) -> int:
    try:
        return index.stat().st_size // _BYTES_PER_CLONE_OF_INDEX
    except FileNotFoundError:
        return 0
