"""Verify every file of the cache, and remove the ones used longest ago."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pe_data.cache.entries import Cache, Entry
from pe_data.files.atomic import local_errors
from pe_data.files.locks import NoLocksError, lock_open
from pe_data.names.digests import sha256_file

ABANDONED_SECONDS = 7 * 24 * 3600
"""A partial download that nobody went on with for so long goes."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One entry after a full check."""

    entry: Entry
    right: bool
    """False if its bytes were wrong; it was removed then."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What `prune` removed."""

    removed: tuple[Entry, ...]
    kept_bytes: int
    partials: int
    """Abandoned downloads that went too."""


def verify_cache(cache: Cache) -> Iterator[Checked]:
    """Hash every file; wrong ones are removed, right ones stamped anew."""
    for entry in cache.entries():
        with local_errors(entry.path):
            right = sha256_file(entry.path) == entry.sha256
        if right:
            cache.stamp(entry.path)
        else:
            cache.remove_file(entry.path)
        yield Checked(entry, right)


def prune(cache: Cache, max_bytes: int, *, dry_run: bool = False) -> Pruned:
    """Remove the files that were used longest ago until at most `max_bytes` remain.

    Collections and manifests stay (they are small, and pins need them). Whatever goes can be
    fetched again.
    """
    files = sorted(
        (e for e in cache.entries() if e.suffix != "collection.json"),
        key=lambda entry: (entry.used, entry.sha256),
    )
    total = sum(entry.size for entry in files)
    removed: list[Entry] = []
    for entry in files:
        if total <= max_bytes:
            break
        if not dry_run:
            cache.remove_file(entry.path)
        removed.append(entry)
        total -= entry.size
    return Pruned(tuple(removed), total, 0 if dry_run else _abandoned(cache))


def _abandoned(cache: Cache) -> int:
    """Remove partial downloads that are old and that no process is working on."""
    count = 0
    for part in cache.paths.all_partials():
        with local_errors(part):
            if time.time() - part.stat().st_mtime < ABANDONED_SECONDS:
                continue
            try:
                with FileLock(cache.paths.lock(part.name.partition(".")[0]), timeout=0):
                    _remove(part)
            except (Timeout, BlockingIOError):
                continue
        count += 1
    return count


def _remove(part: Path) -> None:
    """Remove a partial file, which is its own lock. Raises BlockingIOError where somebody is at it."""
    with ExitStack() as held:
        with suppress(NoLocksError):
            try:  # to be written: over NFS only such a file can be locked
                found = os.open(part, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
            except OSError:  # no file that anybody could download to, or not ours
                pass
            else:
                held.callback(os.close, found)
                if not lock_open(found, part, wait=False):
                    raise BlockingIOError
        part.unlink(missing_ok=True)
        part.with_suffix(".parts").unlink(missing_ok=True)
