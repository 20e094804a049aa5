"""What this machine knows about revocations: files in the cache.

::

    revocations/us.json              the newest list of a country whose signatures were found right
    revocations/us.unchecked.json    the store's list, where no signature can be checked
    revocations/us.asked             its time is when the places were last asked for a list; what they answered
    artifacts/4e/4e92….us.tombstone.json   a tombstone that was found genuine (by earlier versions without `us.`)
    artifacts/4e/4e92….asked         before there is a list: its time is when the store was last asked for a tombstone

What was found genuine once is never forgotten, whatever a store says later. This module is on the way of every hit in
the cache and imports nothing heavy.
"""

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from pe_data.cache.entries import Cache
from pe_data.errors import CacheError, InvalidDocumentError
from pe_data.files.atomic import PLAIN, in_folder, write_atomic
from pe_data.names.digests import Sha256, read_kept, strict_json
from pe_data.names.keys import check_country

if TYPE_CHECKING:
    from pe_data.documents.revocations import RevocationList

SILENCE_SECONDS = 300.0
"""After no answer the places are left alone for so long."""
State = Literal["list", "none", "silent"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the places answered when they were last asked for the list of a country."""

    store: str
    """The store that was asked, with its mirrors."""
    state: State
    """A list decides; there is none yet, so that tombstones of the store do; or nobody answered."""
    problem: str = ""
    """Why the list is not to be relied on; empty if it is."""

    def holds(self, age: float, interval: float) -> bool:
        """Whether the answer still counts; one from the future never does."""
        known = self.state in get_args(State)  # a file may say anything
        return known and 0 <= age < (min(interval, SILENCE_SECONDS) if self.state == "silent" else interval)


@dataclass(frozen=True, slots=True)
class Known:
    """The memory in one cache folder."""

    cache: Cache

    # --- lists --------------------------------------------------------------------------------

    def list_path(self, country: str, kind: Literal["json", "unchecked.json", "asked"] = "json") -> Path:
        """Where the list of a country is kept."""
        return self.cache.paths.revocations(country, kind)

    def kept(self, country: str, *, checked: bool = True) -> "RevocationList | None":
        """The list that is kept; a damaged one is dropped, so that the places are asked again at once."""
        from pe_data.documents.revocations import RevocationList

        path = self.list_path(country, "json" if checked else "unchecked.json")
        raw = read_kept(path)
        if raw is None:
            return None
        try:
            found = RevocationList.from_bytes(raw, what=str(path))
            return found if found.country == country else None
        except InvalidDocumentError:
            _forget(path, self.list_path(country, "asked"))
            return None

    def keep(self, country: str, body: bytes | None, *, checked: bool = True) -> None:
        """Keep the body of a list, or none; a read-only cache keeps nothing."""
        path = self.list_path(country, "json" if checked else "unchecked.json")
        with suppress(CacheError):
            if body is None:
                _forget(path)
            else:
                write_atomic(path, body)

    def asked(self, country: str, interval: float) -> Asked | None:
        """What was answered, if that still counts."""
        path = self.list_path(country, "asked")
        raw = read_kept(path)
        try:
            found = Asked(**cast("Any", strict_json(raw, what=str(path)))) if raw else None
            age = time.time() - path.stat().st_mtime
        except (InvalidDocumentError, TypeError, OSError):
            return None
        return found if found is not None and found.holds(age, interval) else None

    def note(self, country: str, answer: Asked) -> None:
        """Remember what was answered now."""
        with suppress(CacheError):
            write_atomic(self.list_path(country, "asked"), json.dumps(asdict(answer)).encode(), sync=False)

    def countries(self) -> list[str]:
        """The countries of which a list is kept."""
        return self.cache.paths.revocation_countries()

    # --- tombstones ---------------------------------------------------------------------------

    def tombstone_paths(self, sha256: Sha256, country: str | None) -> list[Path]:
        """Where tombstones of an artifact may be: of a country, or of any."""
        first = self._beside(sha256, "tombstone.json")
        if country is not None:
            return [first, self._beside(sha256, f"{check_country(country)}.tombstone.json")]
        return [first, *sorted(first.parent.glob(f"{Sha256(sha256)}.*.tombstone.json"))]

    def remember(self, sha256: Sha256, body: bytes, country: str) -> None:
        """Keep a tombstone that was found genuine; a read-only cache keeps nothing."""
        with suppress(CacheError):
            write_atomic(self.tombstone_paths(sha256, country)[1], body)

    def forget(self, sha256: Sha256, path: Path) -> None:
        """Drop a tombstone that cannot be read, so that the store is asked again at once."""
        _forget(path, self._beside(sha256, "asked"))

    def is_due(self, sha256: Sha256, interval: float) -> bool:
        """Whether the store should be asked for a tombstone again. A time in the future counts for nothing."""
        try:
            age = time.time() - self._beside(sha256, "asked").stat().st_mtime
        except OSError:
            return True
        return not 0 <= age < interval

    def note_asked(self, sha256: Sha256) -> None:
        """Remember that the store was asked for a tombstone now, and answered."""
        _touch(self._beside(sha256, "asked"))

    # --- both ---------------------------------------------------------------------------------

    def is_open(self, country: str, digests: Sequence[Sha256], interval: float, offline: bool) -> bool:
        """Whether there is anything to look into: something that may be revoked, or places to be asked again."""
        lists = [read_kept(self.list_path(country)), read_kept(self.list_path(country, "unchecked.json"))]
        for sha256 in digests:
            if any(raw is not None and sha256.encode() in raw for raw in lists):
                return True
            if any(_is_there(path) for path in self.tombstone_paths(sha256, country)):
                return True
        if offline:
            return False
        asked = self.asked(country, interval)
        if asked is None or asked.problem:
            return True
        return asked.state == "none" and any(self.is_due(sha256, interval) for sha256 in digests)

    def _beside(self, sha256: Sha256, suffix: str) -> Path:
        return self.cache.paths.beside(sha256, suffix)


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except OSError:  # also where this user may not look
        return False
    return True


def _forget(*paths: Path) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _touch(path: Path) -> None:
    """Set the time of a file to now; a read-only cache remembers nothing."""
    with suppress(OSError):
        for _ in range(2):
            os.close(in_folder(path, lambda: os.open(path, os.O_RDONLY | os.O_CREAT, PLAIN)))
            try:
                return os.utime(path)
            except PermissionError:  # another user's, who shares the cache: the time of a file is its owner's
                path.unlink()
