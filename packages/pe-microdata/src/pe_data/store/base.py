"""What a store is: the abstract `Store` that every backend implements.

The rules that callers rely on, and that the contract test checks for every backend:

* Keys are relative, `/`-separated, and were made by `pe_data.names.keys`.
* `put_create` either creates the whole object or raises `ObjectExistsError`; no reader ever sees a
  part of an object.
* `put_swap` replaces an object only if its version is still the expected one, else
  `VersionMismatchError`.
* A version token is opaque: it comes from `get`, `head` or a write of the same store.
* Every call ends within the limits of `Timeouts`; a dead endpoint is `StoreUnavailableError`.
* `open` gives exactly the bytes that were asked for, also from a server that ignores ranges.
* `get` refuses documents above `max_bytes`, so that a hostile endless body cannot fill memory, and servers
  that drip (`pe_data.store.pace`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar

from pe_data.errors import ObjectNotFoundError, StoreError
from pe_data.names.digests import Sha256
from pe_data.names.keys import EXTENSIONS
from pe_data.store.byte_source import Body, Source
from pe_data.store.pace import Pace

DOCUMENT_LIMIT = 16 * 1024 * 1024
"""Largest JSON document that `Store.get` reads into memory by default, in bytes."""


CLOCK_STEP = timedelta(seconds=2)
"""Times of one object that are closer are the same: a listing may give fractions of a second that `head` does not."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits on waiting for a store; the defaults of HTTP clients can hang for minutes."""

    connect: timedelta = timedelta(seconds=5)
    """Until a connection stands."""
    read: timedelta = timedelta(seconds=20)
    """Between two pieces of a body, and until the first one."""
    request: timedelta = timedelta(hours=1)
    """For one whole download (500 MB on a slow line must fit)."""
    slowest_upload: int = 200_000
    """Bytes per second below which an upload counts as dead."""
    retry: timedelta = timedelta(seconds=20)
    """No retry starts after this."""
    retries: int = 3
    """Attempts after the first one, with exponential pauses."""


@dataclass(frozen=True, slots=True)
class VersionToken:
    """Opaque version of an object; S3 and Azure swap on `e_tag`, GCS on `version`."""

    e_tag: str | None
    version: str | None


@dataclass(frozen=True, slots=True)
class ObjectMeta:
    """What a store knows about an object without its bytes."""

    key: str
    size: int
    """Bytes."""
    modified: datetime
    """UTC, by the store's clock."""
    token: VersionToken


@dataclass(frozen=True, slots=True)
class LocalFile:
    """The bytes of a file on this machine, which are hashed on the way."""

    path: Path
    sha256: Sha256


Content = bytes | LocalFile


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A small object with its bytes."""

    data: bytes
    meta: ObjectMeta


class Store(ABC):
    """A place with write-once objects and swappable pointers; see the module for the rules."""

    url: str
    """Address as a person would write it, without credentials; for messages."""
    writable: bool = True
    """False for mirrors that only serve."""
    listable: bool = True
    """False for a plain HTTP server."""

    @abstractmethod
    def get(self, key: str, *, max_bytes: int = DOCUMENT_LIMIT) -> StoredDocument:
        """Read a whole small object.

        Raises:
            ObjectNotFoundError: if there is none.
            InvalidDocumentError: if it is larger than `max_bytes`.
        """

    @abstractmethod
    def head(self, key: str) -> ObjectMeta:
        """Size, time and version of an object; ObjectNotFoundError if there is none."""

    @abstractmethod
    def open(self, key: str, start: int = 0, length: int | None = None, pace: Pace | None = None) -> Body:
        """Read an object from `start` on; memory does not depend on its size.

        Args:
            length: Bytes to read, fewer only at the end of the object; None to the end.
            pace: Below which the server is given up, where the store can tell.

        Raises:
            ObjectNotFoundError: if there is none.
        """

    @abstractmethod
    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        """Objects whose key starts with `prefix` (which ends in `/`, or is empty), any order.

        Raises:
            ListingNotSupportedError: on a store that is not `listable`.
        """

    @abstractmethod
    def put_create(self, key: str, content: Content) -> VersionToken:
        """Create an object.

        Raises:
            ObjectExistsError: if there is one, whatever its bytes.
            DigestMismatchError: if a file's bytes are not what its digest says; nothing was created.
        """

    @abstractmethod
    def put_swap(self, key: str, data: bytes, expected: VersionToken) -> VersionToken:
        """Replace an object if its version is still `expected`, else VersionMismatchError."""

    @abstractmethod
    def put_again(self, key: str, content: Content) -> None:
        """Write the bytes that a write-once object has, or had, once more: it is there afterwards, and young.

        Raises:
            DigestMismatchError: if a file's bytes are not what its digest says.
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object; removing what is not there is no error."""

    def delete_unchanged(self, seen: ObjectMeta) -> bool:
        """Remove an object unless it was written again since it was `seen`; whether it is gone.

        A folder looks and removes in one step. A server is asked twice, and a write between the two is lost.
        """
        try:
            found = self.head(seen.key)
        except ObjectNotFoundError:
            return True
        if found.modified - seen.modified >= CLOCK_STEP:
            return False
        self.delete(seen.key)
        return True

    def exists(self, key: str) -> bool:
        """Whether there is an object under `key`."""
        try:
            self.head(key)
        except ObjectNotFoundError:
            return False
        return True

    def source(self, key: str) -> Source:
        """The object as the source of a download."""
        suffix = next((extension for extension in EXTENSIONS if key.endswith(f".{extension}")), None)
        return Source(self.url, partial(self.open, key), suffix)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"


class ReadOnlyStore(Store):
    """A store whose every write is refused by name."""

    writable = False
    read_only_because: ClassVar[str]
    """Ends the message: what the store is, and where to write instead."""

    def put_create(self, key: str, content: Content) -> VersionToken:
        raise self._read_only(key)

    def put_swap(self, key: str, data: bytes, expected: VersionToken) -> VersionToken:
        raise self._read_only(key)

    def put_again(self, key: str, content: Content) -> None:
        raise self._read_only(key)

    def delete(self, key: str) -> None:
        raise self._read_only(key)

    def _read_only(self, key: str) -> StoreError:
        return StoreError(f"{self.url}: {key}: {self.read_only_because}")
