"""The bytes of one file as they arrive, from any kind of source."""

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from pe_data.names.keys import Extension
from pe_data.store.pace import Pace

PIECE_BYTES = 512 * 1024
"""Small enough to stay in the processor's cache."""


class Body(AbstractContextManager["Body"]):
    """Bytes of one object from `start` on, for `length` bytes or to the end.

    A place that ignores ranges sends the whole: what comes before and after is read away here, and `ranged` is
    False, so that nobody asks it for many parts.
    """

    def __init__(
        self,
        read: Callable[[memoryview], int],
        close: Callable[[], None] = lambda: None,
        *,
        total: int | None,
        start: int = 0,
        length: int | None = None,
        begins: int | None = None,
        validator: str | None = None,
    ) -> None:
        """Wrap what a place sends.

        Args:
            read: Fills a part of a buffer and returns how much, 0 at the end. Raises StoreError.
            close: Gives the connection back.
            total: Size of the whole object, if the place says so, in bytes.
            start: Offset that was asked for.
            length: Bytes that were asked for; None to the end.
            begins: Offset of the first byte that `read` gives, if that is not `start`.
            validator: Changes when the object does, if the place says anything of the kind.
        """
        self.start, self.total, self.validator = start, total, validator
        self.ranged = begins in (None, start)
        self._skip = 0 if begins is None else start - begins
        self._read, self._left, self.close = read, length, close

    @classmethod
    def of(cls, data: bytes, start: int = 0, length: int | None = None) -> "Body":
        """A body of bytes that are here already."""
        return cls(io.BytesIO(data[start:]).readinto, total=len(data), start=start, length=length)

    def readinto(self, buffer: memoryview) -> int:
        """Fill a part of `buffer`; 0 at the end. Raises StoreError."""
        while self._skip:
            count = self._read(buffer[: self._skip])
            if not count:
                return 0
            self._skip -= count
        if self._left is None:
            return self._read(buffer)
        count = self._read(buffer[: self._left]) if self._left else 0
        self._left -= count
        return count

    def pieces(self) -> Iterator[bytes]:
        """All of it, piece by piece; closes the body at the end."""
        buffer = memoryview(bytearray(PIECE_BYTES))
        with self:
            while count := self.readinto(buffer):
                yield bytes(buffer[:count])

    def read(self, most: int | None = None) -> bytes:
        """All of it, or as soon as there are more than `most` bytes, what came so far; closes the body."""
        data = bytearray()
        for piece in self.pieces():
            data += piece
            if most is not None and len(data) > most:
                self.close()
                break
        return bytes(data)

    def __exit__(self, *_: object) -> None:
        self.close()


class Opener(Protocol):
    """Opens one file, as `Store.open` does with its key bound."""

    def __call__(self, start: int = 0, length: int | None = None, pace: Pace | None = None) -> Body:
        """Read from `start`. Raises StoreError; StoreUnavailableError if asking again may help."""


@dataclass(frozen=True, slots=True)
class Source:
    """One place that should have the bytes of one file."""

    name: str
    """As a person would write it, without credentials."""
    open: Opener
    suffix: Extension | None = None
    """Of the file that it is, if the place says so."""
