"""What this machine knows about revocations: files in the cache, beside the stamps.

::

    artifacts/4e/4e92….tombstone.json   a tombstone whose signatures were found right
    artifacts/4e/4e92….us.tombstone.json   the same, if there is one of another country already
    artifacts/4e/4e92….asked            its time is when a store was last asked for a tombstone
    revocation/{store}.silent           its time is when that store last did not answer

A tombstone once seen is never forgotten, whatever a store says later. This module is on the way of
every hit in the cache and imports nothing heavy.
"""

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pe_data.cache.entries import Cache
from pe_data.errors import CacheError
from pe_data.files.atomic import PLAIN, write_atomic
from pe_data.names.digests import Sha256, open_plain
from pe_data.names.keys import check_country

SILENCE_SECONDS = 300.0
"""A store that did not answer is left alone for so long."""


@dataclass(frozen=True, slots=True)
class Known:
    """The memory in one cache folder."""

    cache: Cache

    def tombstone_path(self, sha256: Sha256) -> Path:
        """Where the tombstone of an artifact is kept."""
        return self._beside(sha256, "tombstone.json")

    def tombstone(self, sha256: Sha256) -> bytes | None:
        """The body of the tombstone that was seen first for an artifact, if any and if this user may read it."""
        return self.read(self.tombstone_path(sha256))

    def tombstone_paths(self, sha256: Sha256, country: str | None) -> list[Path]:
        """Where tombstones of an artifact may be: the first that was seen, and one of the country (None: of any)."""
        first = self.tombstone_path(sha256)
        if country is not None:
            return [first, self._beside(sha256, f"{check_country(country)}.tombstone.json")]
        return [first, *sorted(first.parent.glob(f"{Sha256(sha256)}.*.tombstone.json"))]

    @staticmethod
    def read(path: Path) -> bytes | None:
        """What was kept there, if this user may read it."""
        try:
            with open_plain(path) as handle:
                return handle.read()
        except OSError:
            return None

    def remember(self, sha256: Sha256, body: bytes, country: str) -> None:
        """Keep a tombstone whose signatures were checked; a read-only cache keeps nothing."""
        first, own = self.tombstone_paths(sha256, country)
        with suppress(CacheError):
            write_atomic(first if self.read(first) is None else own, body)

    def forget_damaged(self, sha256: Sha256, path: Path) -> None:
        """Drop a memory that cannot be read, so that the stores are asked again at once."""
        for one in (path, self._asked_path(sha256)):
            with suppress(OSError):
                one.unlink(missing_ok=True)

    def is_due(self, sha256: Sha256, interval: float) -> bool:
        """Whether the stores should be asked again. A time in the future counts for nothing.

        So they should if there is a tombstone that only another user of the cache may read.
        """
        if not _within(self._asked_path(sha256), interval):
            return True
        first = self.tombstone_path(sha256)
        return _is_there(first) and self.read(first) is None

    def is_open(self, sha256: Sha256, interval: float, offline: bool) -> bool:
        """Whether there is anything to look into: a tombstone, or stores to be asked again."""
        return _is_there(self.tombstone_path(sha256)) or (not offline and self.is_due(sha256, interval))

    def note_asked(self, sha256: Sha256) -> None:
        """Remember that the stores were asked now, and all of them answered."""
        _touch(self._asked_path(sha256), time.time())

    def note_unanswered(self, sha256: Sha256, interval: float) -> None:
        """Remember that some store did not answer: ask again before the interval is over."""
        _touch(self._asked_path(sha256), time.time() - max(0.0, interval - SILENCE_SECONDS))

    def is_silent(self, store_url: str) -> bool:
        """Whether a store did not answer a moment ago."""
        return _within(self._silent_path(store_url), SILENCE_SECONDS)

    def note_silent(self, store_url: str) -> None:
        """Remember that a store does not answer."""
        _touch(self._silent_path(store_url), time.time())

    def _asked_path(self, sha256: Sha256) -> Path:
        return self._beside(sha256, "asked")

    def _beside(self, sha256: Sha256, suffix: str) -> Path:
        digest = Sha256(sha256)
        return self.cache.root / "artifacts" / digest[:2] / f"{digest}.{suffix}"

    def _silent_path(self, store_url: str) -> Path:
        name = hashlib.sha256(store_url.rstrip("/").encode()).hexdigest()[:16]
        return self.cache.root / "revocation" / f"{name}.silent"


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except OSError:  # also where this user may not look
        return False
    return True


def _within(path: Path, interval: float) -> bool:
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return False
    return 0 <= age < interval


def _touch(path: Path, moment: float) -> None:
    """Set the time of a file; a read-only cache remembers nothing."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            os.close(os.open(path, os.O_RDONLY | os.O_CREAT, PLAIN))
            try:
                return os.utime(path, (moment, moment))
            except PermissionError:  # another user's, who shares the cache: the time of a file is its owner's
                path.unlink()
