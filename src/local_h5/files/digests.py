"""sha256 of files, remembered by (size, mtime, change time, inode), so that planning reads only what changed."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from os import stat_result
from pathlib import Path
from typing import Any

from local_h5.files.atomic import sha256_of, write_text

_SETTLED = 100_000_000
"""Nanoseconds after which a later change shows in a file's times. Clocks of file systems tick every few ms."""


@dataclass(slots=True)
class DigestMemo:
    """A memo of digests, kept in one JSON file.

    A file keeps its digest while its size, modification time, change time and inode are the same. A restored or copied
    file has another change time, even with the same modification time, so it is read again. A file that changed less
    than 100 ms ago is not remembered.

    Attributes:
        path: the file; None for a memo that remembers nothing.
    """

    path: Path | None
    _known: dict[str, list[Any]] = field(default_factory=dict)
    _derived: dict[str, list[Any]] = field(default_factory=dict)
    _changed: bool = False

    @classmethod
    def open(cls, path: Path) -> "DigestMemo":
        """Read the memo; a missing or damaged one is empty."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(path, dict(data["files"]), dict(data["derived"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls(path)

    def sha256(self, path: Path) -> str | None:
        """Digest of a file's bytes; None when there is no such file."""
        try:
            stat = path.stat()
        except OSError:
            return None
        identity = _identity(stat)
        key = str(path)
        known = self._known.get(key)
        if known is not None and known[:-1] == identity:
            return str(known[-1])
        digest = sha256_of(path)
        if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) < _SETTLED:
            return digest
        if self.path is not None:
            self._known[key] = [*identity, digest]
            self._changed = True
        return digest

    def derived(self, name: str, key: str, compute: Callable[[], Any]) -> Any:
        """The value that ``compute`` returned for the same ``key``.

        Args:
            name: of the value.
            key: digest of everything that the value depends on.
            compute: gives something that JSON can hold.
        """
        known = self._derived.get(name)
        if known is not None and known[0] == key:
            return known[1]
        value = compute()
        if self.path is not None:
            self._derived[name] = [key, value]
            self._changed = True
        return value

    def save(self) -> None:
        """Write the memo if it learned something."""
        if self.path is not None and self._changed:
            data = {"files": self._known, "derived": self._derived}
            write_text(self.path, json.dumps(data, indent=0, sort_keys=True))
            self._changed = False


def _identity(stat: stat_result) -> list[int]:
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
