"""A store in a local folder: create-only by hard link, compare-and-swap by lock and rename.

`obstore`'s local client reads, lists and deletes. It has no compare-and-swap, and its create
does not reach the disk before it answers, so both writes are done here:

* An object is written to `.staging/`, flushed to the disk, and given its name by a hard link,
  which fails if the name is taken. A crash leaves at most a file in `.staging/`.
* A swap holds the lock of its key under `.locks/`, compares the version, and renames the staged
  file over the old one. The operating system frees the lock of a killed process.
"""

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from obstore.store import LocalStore

from pe_data.errors import (
    DigestMismatchError,
    InvalidNameError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
    StoreUnavailableError,
    VersionMismatchError,
)
from pe_data.names.digests import check_plain, copy_checked, open_plain
from pe_data.store.base import Content, ObjectMeta, Timeouts, VersionToken
from pe_data.store.byte_source import Body
from pe_data.store.objects import CHANGED, ObjectStore
from pe_data.store.pace import Pace
from pe_data.store.translate import translated

STAGING = ".staging"
LOCKS = ".locks"
_REWRITES = "rewrites"
"""Name of the lock that writing an object again and deleting one hold."""
_KEY = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_WRITE_ONCE = 0o444
_SWAPPABLE = 0o666


class FolderStore(ObjectStore):
    """A store below one folder, which is created by the first write.

    Args:
        root: The folder.
        timeouts: Only `retry` matters: how long a swap waits for the lock of its key.
    """

    client: LocalStore

    def __init__(self, root: Path, *, timeouts: Timeouts | None = None) -> None:
        self.root = root.absolute()
        self.url = str(self.root)
        self._lock_seconds = (timeouts or Timeouts()).retry.total_seconds()
        if self.root.is_dir():
            self._connect()

    def _connect(self) -> None:
        self.client = LocalStore(self.root)

    def _require(self, key: str) -> None:
        """Reading before anything was ever written: the folder need not exist. No client is sent to a pipe."""
        with translated(self.url, key), suppress(FileNotFoundError, NotADirectoryError):
            check_plain((self.root / key).stat().st_mode)
        if not hasattr(self, "client"):
            if not self.root.is_dir():
                raise ObjectNotFoundError(f"{self.url}: {key}: the folder does not exist (yet)")
            self._connect()

    def head(self, key: str) -> ObjectMeta:
        self.local_path(key)  # refuses what would leave the folder
        self._require(key)
        return super().head(key)

    def open(self, key: str, start: int = 0, length: int | None = None, pace: Pace | None = None) -> Body:
        # Plain reads: the client reads local files in small blocks, several times slower.
        path = self.local_path(key)
        self._require(key)
        with translated(self.url, key):
            handle = open_plain(path)
            handle.seek(start)

        def read(buffer: memoryview) -> int:
            with translated(self.url, key):
                return handle.readinto(buffer)

        return Body(read, handle.close, total=os.fstat(handle.fileno()).st_size, start=start, length=length)

    def _whole(self, key: str) -> tuple[ObjectMeta, Body]:
        # The version is read before the bytes: whoever swaps with it then may lose, never win wrongly.
        return self.head(key), self.open(key)

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        if not self.root.is_dir():
            return
        self._require(prefix)
        for meta in super().list(prefix):
            if not meta.key.startswith("."):
                yield meta

    def local_path(self, key: str) -> Path:
        """Where the object `key` lies on this machine, whether or not it is there.

        Raises:
            InvalidNameError: if the key would leave the folder.
        """
        if not _KEY.fullmatch(key) or ".." in key.split("/"):
            raise InvalidNameError(f"{self.url}: {key[:120]!r} is not a key of this store")
        return self.root / key

    # --- writing ------------------------------------------------------------------------------

    def put_create(self, key: str, content: Content) -> VersionToken:
        target = self.local_path(key)
        with translated(self.url, key):
            if target.exists():  # before anything is copied
                raise ObjectExistsError(f"{self.url}: {key}: an object is there already")
        staged = self._stage(key, content, mode=_WRITE_ONCE)
        try:
            with translated(self.url, key):
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(staged, target)
                except FileExistsError as error:
                    raise ObjectExistsError(f"{self.url}: {key}: an object is there already") from error
                _flush_folder(target.parent)
        finally:
            staged.unlink(missing_ok=True)
        return self.head(key).token

    def put_swap(self, key: str, data: bytes, expected: VersionToken) -> VersionToken:
        self._require(key)
        target = self.local_path(key)
        with self._locked(key):
            try:
                current = self.head(key).token
            except ObjectNotFoundError:
                current = None
            if current != expected:
                raise VersionMismatchError(f"{self.url}: {key}: the object was changed by someone else")
            self._replace(key, self._stage(key, data, mode=_SWAPPABLE), target)
            return self.head(key).token

    def put_again(self, key: str, content: Content) -> None:
        target = self.local_path(key)
        staged = self._stage(key, content, mode=_WRITE_ONCE)
        try:
            with self._locked(_REWRITES):
                self._replace(key, staged, target)
        finally:
            staged.unlink(missing_ok=True)

    def delete_unchanged(self, seen: ObjectMeta) -> bool:
        with self._locked(_REWRITES):
            return super().delete_unchanged(seen)

    def delete(self, key: str) -> None:
        with suppress(ObjectNotFoundError):
            self._require(key)
            super().delete(key)

    def remove_stale_staging(self, older_than: datetime) -> int:
        """Delete staged files of writers that were killed; returns how many."""
        removed = 0
        staging = self.root / STAGING
        for path in staging.iterdir() if staging.is_dir() else ():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < older_than.timestamp():
                    path.unlink()
                    removed += 1
        return removed

    def _replace(self, key: str, staged: Path, target: Path) -> None:
        with translated(self.url, key):
            target.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(target)
            _flush_folder(target.parent)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        from filelock import FileLock, Timeout  # for writing; readers need not wait for it

        path = self.root / LOCKS / f"{name}.lock"
        with translated(self.url, name):
            path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=self._lock_seconds)
        try:
            lock.acquire()
        except Timeout as error:
            raise StoreUnavailableError(
                f"{self.url}: {name}: another process held the lock {path} for "
                f"{self._lock_seconds:.0f} s; look for a process that hangs"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _stage(self, key: str, content: Content, *, mode: int) -> Path:
        """Write a temporary file that is on the disk when this returns; removed on any error."""
        staging = self.root / STAGING
        staged = staging / uuid.uuid4().hex
        try:
            with translated(self.url, key):
                staging.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
                with os.fdopen(descriptor, "wb") as handle:
                    _write(handle, content)
                    handle.flush()
                    os.fsync(handle.fileno())
        except (DigestMismatchError, StoreError):
            with suppress(OSError):  # a folder that may not be entered has nothing of it
                staged.unlink()
            raise
        return staged


def _write(handle: BinaryIO, content: Content) -> None:
    if isinstance(content, bytes):
        handle.write(content)
        return
    with content.path.open("rb") as source:
        copy_checked(source, handle, content.sha256, what=str(content.path), advice=CHANGED)


def _flush_folder(folder: Path) -> None:
    """Make a new name in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
