"""The folder of verified files, and the stamps that make a hit cheap.

::

    artifacts/4e/4e92….h5             verified bytes, read-only
    artifacts/4e/4e92….h5.stamp       size and mtime when they were verified
    artifacts/4e/4e92….manifest.json  plain JSON of the manifest
    artifacts/4e/4e92….collection.json
    partial/4e92….h5.part, .parts     a download that is under way, and which parts it has
    channels/{store}/us/name.json     the last pointer seen on a channel
    locks/4e92….lock                  one download at a time
    mirrors.jsonl                     mirrors that were skipped, and why

A file enters `artifacts/` by rename, after its sha256 was found right. A hit compares size and
mtime with the stamp; if they differ or the stamp is missing, the file is hashed again, and goes
if it is wrong.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pe_data.cache.files import local_errors, sync_folder, write_atomic
from pe_data.digests import Sha256, sha256_file
from pe_data.errors import CacheError

Suffix = Literal["h5", "parquet", "collection.json", "manifest.json"]
PAYLOADS: tuple[Suffix, ...] = ("h5", "parquet", "collection.json")
_STAMP = ".stamp"
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Entry:
    """One payload or collection in the cache."""

    sha256: Sha256
    suffix: Suffix
    path: Path
    size: int
    used: float
    """Seconds since 1970 of the last hit."""


@dataclass(frozen=True, slots=True)
class Cache:
    """A cache folder; makes nothing until something is written."""

    root: Path

    # --- paths --------------------------------------------------------------------------------

    def path(self, sha256: Sha256, suffix: Suffix) -> Path:
        """Where the bytes with that digest are or will be. (For a manifest: its payload's.)"""
        return self.root / "artifacts" / sha256[:2] / f"{sha256}.{suffix}"

    def partial(self, sha256: str, suffix: str) -> Path:
        """Where a download collects its bytes."""
        return self.root / "partial" / f"{sha256}.{suffix}.part"

    def lock(self, name: str) -> Path:
        """The lock file for one artifact or channel."""
        return self.root / "locks" / f"{name}.lock"

    @property
    def mirror_log(self) -> Path:
        return self.root / "mirrors.jsonl"

    # --- hits ---------------------------------------------------------------------------------

    def find(self, sha256: Sha256, *, verify: bool = False) -> Path | None:
        """The payload or collection with that digest, if it is there and right."""
        for suffix in PAYLOADS:
            path = self.lookup(sha256, suffix, verify=verify)
            if path is not None:
                return path
        return None

    def lookup(self, sha256: Sha256, suffix: Suffix, *, verify: bool = False) -> Path | None:
        """The file with that digest and suffix, checked by stamp, or by hash with `verify`.

        A file whose bytes are not what its name says is removed, and None comes back.
        """
        path = self.path(sha256, suffix)
        try:
            stat = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise CacheError(f"cache {path}: {error.strerror}") from error
        if not verify and self._stamp(path) == (stat.st_size, stat.st_mtime_ns):
            _touch(_stamp_of(path))
            return path
        with local_errors(path):
            right = sha256_file(path) == sha256
        if not right:
            self.remove(sha256, suffix)
            return None
        self.stamp(path)
        return path

    def stamp(self, path: Path) -> None:
        """Record size and mtime of a file whose hash was just found right.

        On a read-only cache nothing is recorded, and the next hit hashes again.
        """
        stat = path.stat()
        document = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        if os.access(path.parent, os.W_OK):
            write_atomic(_stamp_of(path), json.dumps(document).encode())

    def adopt(self, temporary: Path, sha256: Sha256, suffix: Suffix) -> Path:
        """Move a verified and synced file to its place (the caller holds the lock)."""
        path = self.path(sha256, suffix)
        with local_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.chmod(0o444)
            temporary.replace(path)
            sync_folder(path.parent)
        return path

    def remove(self, sha256: Sha256, suffix: Suffix) -> None:
        """Forget a file and its stamp; removing what is not there is no error."""
        path = self.path(sha256, suffix)
        with local_errors(path):
            path.unlink(missing_ok=True)
            _stamp_of(path).unlink(missing_ok=True)

    # --- documents ----------------------------------------------------------------------------

    def read_manifest(self, sha256: Sha256) -> bytes | None:
        """Plain JSON of the manifest of the payload `sha256`; the caller checks its digest."""
        try:
            return self.path(sha256, "manifest.json").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write_document(self, sha256: Sha256, suffix: Suffix, data: bytes) -> Path:
        """Keep a manifest or a collection whose digest was checked."""
        path = self.path(sha256, suffix)
        write_atomic(path, data, sync=suffix != "manifest.json")  # a manifest is checked whenever it is read
        if suffix != "manifest.json":
            self.stamp(path)
        return path

    # --- all of it ----------------------------------------------------------------------------

    def entries(self) -> Iterator[Entry]:
        """Payloads and collections, in order of digest."""
        for path in sorted((self.root / "artifacts").glob("??/*")):
            digest, _, suffix = path.name.partition(".")
            for known in PAYLOADS:
                if suffix == known and len(digest) == 64 and _HEX.issuperset(digest):
                    stamp = _stamp_of(path)
                    used = (stamp if stamp.exists() else path).stat().st_mtime
                    yield Entry(Sha256(digest), known, path, path.stat().st_size, used)

    def _stamp(self, path: Path) -> tuple[int, int] | None:
        try:
            document = json.loads(_stamp_of(path).read_bytes())
            return document["size"], document["mtime_ns"]
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _stamp_of(path: Path) -> Path:
    return path.with_name(path.name + _STAMP)


def _touch(stamp: Path) -> None:
    """Note a hit, at most once an hour; `prune` goes by it."""
    with suppress(OSError):
        if time.time() - stamp.stat().st_mtime > 3600:
            os.utime(stamp)
