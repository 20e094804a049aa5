"""What a source is: one place that should have the bytes of one file, and the body that it sends."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from types import TracebackType

from pe_data.store.pace import Pace


class SourceError(Exception):
    """A source did not deliver; never reaches a caller of the package."""

    def __init__(self, reason: str, *, retry: bool, slow: bool = False) -> None:
        super().__init__(reason)
        self.retry = retry
        """True if asking again may help."""
        self.slow = slow
        """True if it was given up for its pace: what came is good, and more may come."""


class Body(AbstractContextManager["Body"]):
    """Bytes on their way."""

    start: int
    """Offset of the first byte that comes."""
    total: int | None
    """Size of the whole object, if the source says so."""
    validator: str | None = None
    """Changes when the object does, if the source says anything of the kind."""

    @abstractmethod
    def readinto(self, buffer: memoryview) -> int:
        """Fill a part of `buffer`; 0 at the end. Raises SourceError."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Give the connection back."""


class Source(ABC):
    """One place that should have the bytes."""

    name: str
    """As a person would write it, without credentials."""

    def paced(self, pace: Pace) -> "Source":
        """This source, giving up below `pace`; one that cannot tell waits as long as it does."""
        return self

    @abstractmethod
    def supports_ranges(self) -> bool:
        """Whether several parts can be read at once at the cost of those parts."""

    @abstractmethod
    def open(self, start: int, end: int | None = None) -> Body:
        """Read from `start` (to `end`, exclusive, if the source can stop there).

        The body may begin before `start` if the source cannot skip. Raises SourceError.
        """
