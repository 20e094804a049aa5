"""What Snakemake measured of a job, from its benchmark file."""

import csv
from pathlib import Path


def seconds_of(path: Path) -> float | None:
    """Seconds that a job took the last time; None without a benchmark file.

    By the clock: Snakemake samples CPU time, so that a job of a quarter second has none.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return float(next(csv.DictReader(stream, delimiter="\t"))["s"])
    except (OSError, StopIteration, KeyError, ValueError, TypeError):
        return None
