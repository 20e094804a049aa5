"""The folder of verified files, and the stamps that make a hit cheap.

What lies where: `pe_data.cache.paths`. A file enters `artifacts/` by rename, after its sha256 was found right. A hit
compares size and mtime with the stamp; if they differ or the stamp is missing, the file is hashed again, and goes if it
is wrong. What this user may not read counts as absent. But for what is below `gated/`, modes follow the umask.
"""

import json
import os
import stat as stat_of
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pe_data.cache.batch import Batch
from pe_data.cache.paths import CachePaths, in_shard
from pe_data.errors import CacheError
from pe_data.files.atomic import PLAIN, local_errors, readable, write_atomic
from pe_data.files.private import Circle, close_to_others
from pe_data.names.countries import access_of
from pe_data.names.digests import Sha256, open_plain, read_kept, sha256_file

Suffix = Literal["h5", "parquet", "collection.json", "manifest.json", "unbound.json", "footer"]
PAYLOADS: tuple[Suffix, ...] = ("h5", "parquet", "collection.json")
_DATA: tuple[Suffix, ...] = ("h5", "parquet")
_ENTRIES: tuple[Suffix, ...] = (*PAYLOADS, "footer")
_STAMP = ".stamp"
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Entry:
    """One payload, collection or footer of a payload in the cache."""

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
    circle: Circle | None = None
    """Who may read the payloads that are put here; None: whoever the umask lets."""
    batch: Batch | None = field(default=None, compare=False, repr=False)
    """Of many files in one call; None: each is durable when it is there."""
    paths: CachePaths = field(init=False, compare=False, repr=False)
    """Where everything lies."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "paths", CachePaths(self.root))

    def for_country(self, code: str, group: str | None = None) -> "Cache":
        """The same cache for what belongs to a country; `group` may read its payloads if they are gated.

        Whether they are is said by the table of countries, never by what a store says of an artifact.
        """
        return replace(self, circle=Circle(code, group) if access_of(code) == "gated" else None)

    @contextmanager
    def many(self) -> Iterator["Cache"]:
        """The same cache for many files in one call. In the end, or after an error, all that came is durable."""
        batch = Batch()
        try:
            yield replace(self, batch=batch)
        finally:
            batch.sync()

    # --- paths --------------------------------------------------------------------------------

    def path(self, sha256: Sha256, suffix: Suffix) -> Path:
        """Where the bytes with that digest are or will be. (For a manifest: its payload's.)

        Raises InvalidNameError for anything but a digest: no text leads out of the cache.
        """
        return in_shard(self._folder(suffix), sha256, suffix)

    def partial(self, sha256: str, suffix: str) -> Path:
        """Where a download collects its bytes."""
        circle = self.circle.name if self.circle is not None and suffix in _DATA else None
        return self.paths.partial(sha256, suffix, circle)

    # --- hits ---------------------------------------------------------------------------------

    def find(self, sha256: Sha256, *, verify: bool = False, hashing: bool = True) -> Path | None:
        """The payload or collection with that digest, if it is there and right. Arguments as of `lookup`."""
        for suffix in PAYLOADS:
            path = self.lookup(sha256, suffix, verify=verify, hashing=hashing)
            if path is not None:
                return path
        return None

    def lookup(self, sha256: Sha256, suffix: Suffix, *, verify: bool = False, hashing: bool = True) -> Path | None:
        """The file with that digest and suffix, checked by stamp, or by hash with `verify`.

        Without `hashing` a file that would have to be hashed is left alone and counts as absent.

        A file whose bytes are not what its name says is removed, and None comes back; so it does if
        this user may not read it.
        """
        for path in self._places(sha256, suffix):
            if self._is_right(path, sha256, verify, hashing):
                if self.circle is not None and suffix in _DATA and path.parents[1] == self.paths.artifacts:
                    with local_errors(path):
                        close_to_others(path)
                return path
        return None

    def _is_right(self, path: Path, sha256: Sha256, verify: bool, hashing: bool) -> bool:
        try:
            stat = path.stat()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return False
        except OSError as error:
            raise CacheError(f"cache {path}: {error.strerror}") from error
        if not readable(path):
            return False
        if not stat_of.S_ISREG(stat.st_mode) and not stat_of.S_ISDIR(stat.st_mode):
            self.remove_file(path)  # a pipe or a device: reading it may never end
            return False
        if not verify and _is_stamped(path, stat):
            return True
        if not hashing:
            return False
        with local_errors(path):
            right = sha256_file(path) == sha256
        if right:
            self.stamp(path)
        else:
            self.remove_file(path)
        return right

    def stamp(self, path: Path) -> None:
        """Record size and mtime of a file whose hash was just found right.

        On a read-only cache nothing is recorded, and the next hit hashes again.
        """
        if os.access(path.parent, os.W_OK):
            write_atomic(_stamp_of(path), _stamp(path.stat()), sync=False)  # without one it is hashed again

    def adopt(self, temporary: Path, sha256: Sha256, suffix: Suffix) -> Path:
        """Move a verified and synced file to its place (the caller holds the lock)."""
        path = self.path(sha256, suffix)
        with local_errors(path):
            folder, batch = path.parent, self.batch or Batch()
            if self.circle is not None and suffix in _DATA:
                self.circle.make_folder(folder, self.paths.gated)
                self.circle.confine(temporary)
            else:
                folder.mkdir(parents=True, exist_ok=True)
                temporary.chmod(batch.mode(folder))
            temporary.replace(path)
            batch.renamed(folder)
            if self.batch is None:
                batch.sync()
        return path

    def remove(self, sha256: Sha256, suffix: Suffix) -> None:
        """Forget a file and its stamp; removing what is not there is no error."""
        self.remove_file(self.path(sha256, suffix))

    @staticmethod
    def remove_file(path: Path) -> None:
        """Forget a file of this cache and its stamp, wherever in it that is."""
        with local_errors(path):
            path.unlink(missing_ok=True)
            _stamp_of(path).unlink(missing_ok=True)

    # --- documents ----------------------------------------------------------------------------

    def read_manifest(self, sha256: Sha256, kind: Suffix = "manifest.json") -> bytes | None:
        """Plain JSON of the manifest of the payload `sha256`; the caller checks its digest."""
        return read_kept(self.path(sha256, kind))

    def write_document(self, sha256: Sha256, suffix: Suffix, data: bytes) -> Path:
        """Keep a manifest, a collection or a footer whose digest was checked."""
        path = self.path(sha256, suffix)
        manifest = suffix in ("manifest.json", "unbound.json")
        write_atomic(path, data, sync=not manifest)  # a manifest is checked whenever it is read
        if not manifest:
            self.stamp(path)
        return path

    # --- all of it ----------------------------------------------------------------------------

    def entries(self) -> Iterator[Entry]:
        """Payloads, collections and footers that this user may read, in order of digest."""
        for path in sorted(self.paths.all_artifacts(), key=lambda path: (path.name, str(path))):
            digest, _, suffix = path.name.partition(".")
            for known in _ENTRIES:
                if suffix == known and len(digest) == 64 and _HEX.issuperset(digest) and readable(path):
                    stamp = _stamp_of(path)
                    used = (stamp if stamp.exists() else path).stat().st_mtime
                    yield Entry(Sha256(digest), known, path, path.stat().st_size, used)

    def begin(self, partial: Path) -> int:
        """Make the folder of a partial file if only some may read it; returns the file's mode, before the umask."""
        with local_errors(partial):
            if self.circle is not None and partial.is_relative_to(self.paths.gated):
                self.circle.make_folder(partial.parent, self.paths.gated)
                return self.circle.file_mode
        return PLAIN

    def _folder(self, suffix: Suffix) -> Path:
        """Where files of that kind are put."""
        if self.circle is None or suffix not in _DATA:
            return self.paths.artifacts
        return self.paths.circle(self.circle.name)

    def _places(self, sha256: Sha256, suffix: Suffix) -> Iterator[Path]:
        """Where the file may be: at its own place, in another circle of its country, where it is public."""
        first = self.path(sha256, suffix)
        yield first
        if self.circle is not None and suffix in _DATA:
            others = (in_shard(folder, sha256, suffix) for folder in self.paths.circles(self.circle.country))
            yield from (path for path in others if path != first)
            yield in_shard(self.paths.artifacts, sha256, suffix)


def _stamp(about: os.stat_result) -> bytes:
    return json.dumps({"size": about.st_size, "mtime_ns": about.st_mtime_ns}).encode()


def _stamp_of(path: Path) -> Path:
    return Path(f"{path}{_STAMP}")


def _is_stamped(path: Path, about: os.stat_result) -> bool:
    """Whether a file is as it was when it was found right. Notes the hit, at most once an hour; `prune` goes by it."""
    stamp = _stamp_of(path)
    try:
        with open_plain(stamp) as handle:
            written = os.fstat(handle.fileno()).st_mtime
            if handle.read() != _stamp(about):
                return False
        if time.time() - written > 3600:
            with suppress(OSError):
                os.utime(stamp)
    except OSError:
        return False
    return True
