"""The one engine that moves bytes to this machine: a file is there whole and right in the end, or not at all.

Sources are tried in order; one that fails is skipped and noted, and only if all fail is there an
error, which says what each one did. Bytes that a killed or broken download left behind are used
again. If they turn out wrong with the rest of a source, that source gets one clean second try:
the wrong bytes may have been the old ones.

A source that drips is given up as long as there is another one; what it sent stays. If nobody else has
the file, it is asked once more, and then for as long as it takes: a slow line is better than none.

A large file that one connection does not bring in a second is read by several, span by span; the spans are put
together in order, so that the file on the disk only ever grows at its end.
"""

import json
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

from pe_data.cache.entries import Cache
from pe_data.cache.part import Part
from pe_data.errors import CacheError, FetchError, NoRoomError, PeDataError, StoreError, StoreUnavailableError
from pe_data.files.atomic import local_errors
from pe_data.files.locks import NoLocksError, exclusive
from pe_data.names.digests import Sha256
from pe_data.names.keys import SIZE_LIMIT, Extension
from pe_data.store.byte_source import PIECE_BYTES, Body, Source
from pe_data.store.pace import PACE, Pace, TooSlowError, clock, metered

PROGRESS_BYTES = 1024 * 1024
"""Who breaks off after fewer bytes than this has not helped, and is asked again a few times only."""
_OF_THREAD = threading.local()
"""Buffers: to make them anew for each of many small files would take longer than to fill them."""
Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the size of the whole, if known."""


def no_progress(done: int, size: int | None) -> None:
    """The default: say nothing."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How to move bytes; the defaults suit a fast line and a slow one."""

    parallel_from: int = 64 * 1024 * 1024
    """Files of this size (bytes) and more may be read by several connections."""
    solo_seconds: float = 1.0
    """That long one connection may try alone: on a fast line several only get in each other's way."""
    connections: int = 4
    span_bytes: int = 8 * 1024 * 1024
    """Bytes that one request reads; as many spans as connections, and one, are held in memory."""
    attempts: int = 4
    """Times that a source may break off without having sent anything new."""
    pause_seconds: float = 0.5
    """Before the second attempt; doubles each time."""
    pace: Pace | None = None
    """Below which a source is given up while there are others; None: `PACE`."""
    progress: Progress = no_progress


@dataclass(frozen=True, slots=True)
class Wanted:
    """The bytes that are asked for."""

    sha256: Sha256
    suffix: Extension | None
    """None where each source says what it has."""
    size: int | None
    """Bytes; None where nobody vouches for it, and each source says how much it has."""
    what: str
    """For messages: the address as the user gave it."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A source that did not deliver."""

    source: str
    error: Exception

    @property
    def reason(self) -> str:
        """Why not, for a line that begins with the source."""
        return str(self.error).removeprefix(f"{self.source}: ")

    @property
    def slow(self) -> bool:
        """It was given up for its pace alone."""
        return isinstance(self.error, TooSlowError)


@dataclass(frozen=True, slots=True)
class Fetched:
    """The outcome of a fetch."""

    path: Path
    source: str
    """Who delivered; `cache` if another process had done it meanwhile."""
    skipped: tuple[Skipped, ...]


class WrongBytesError(StoreError):
    """A source has other bytes than those that are asked for."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}, found {found}")
        self.expected, self.found = expected, found


class _NoRangesError(Exception):
    """A source sends the whole whatever part it is asked for."""


class NobodyError(FetchError):
    """No source delivered."""

    def __init__(self, wanted: Wanted, skipped: Sequence[Skipped]) -> None:
        tried = "; ".join(f"{s.source}: {s.reason}" for s in skipped) or "no source is configured"
        size = "" if wanted.size is None else f"{wanted.size} "
        super().__init__(
            f"{wanted.what}: expected {size}bytes with sha256 {wanted.sha256}, found no source that has them "
            f"({tried}). Try again later (what came is kept for it), add a mirror, or ask the publisher"
        )
        self.skipped = tuple(skipped)


def fetch(cache: Cache, wanted: Wanted, sources: Sequence[Source], tuning: Tuning | None = None) -> Fetched:
    """Bring `wanted` into the cache and return its path.

    Processes that ask for the same artifact wait for one download.

    Raises:
        NobodyError: no source delivered.
        CacheError: the cache folder cannot be written (full, read-only); NoRoomError if that is certain before.
    """
    tuning = tuning or Tuning()
    try:
        return _fetch(cache, wanted, sources, tuning, lock=True)
    except NoLocksError:
        with exclusive(cache.paths.lock(wanted.sha256)):
            return _fetch(cache, wanted, sources, tuning, lock=False)


def _fetch(cache: Cache, wanted: Wanted, sources: Sequence[Source], tuning: Tuning, *, lock: bool) -> Fetched:
    """The same, with the partial file as the lock, or within another one."""
    skipped = list[Skipped]()
    path = cache.partial(wanted.sha256, wanted.suffix or "h5")
    with Part(path, cache.begin(path), most=wanted.size, lock=lock) as part:
        # Another process may have had the partial file until now.
        there = cache.lookup(wanted.sha256, wanted.suffix) if wanted.suffix else cache.find(wanted.sha256)
        if there is not None:
            return Fetched(there, "cache", ())
        try:
            source = fill(part, wanted, sources, skipped, tuning)
        finally:
            note_skipped(cache, wanted.what, skipped)
        if source is None:
            raise NobodyError(wanted, skipped)
        part.sync()
        if part.left:
            path.with_suffix(".parts").unlink(missing_ok=True)  # of an earlier version
        path = cache.adopt(path, wanted.sha256, source.suffix or wanted.suffix or "h5")
        cache.stamp(path)
        return Fetched(path, source.name, tuple(skipped))


def fill(
    part: Part, wanted: Wanted, sources: Sequence[Source], skipped: list[Skipped], tuning: Tuning
) -> Source | None:
    """Complete `part`, wherever it lies; the source whose bytes were right, or None. Others are added to `skipped`.

    Raises:
        CacheError: the disk is full, or may not be written.
    """
    run, pace = _Run(part, wanted, tuning), tuning.pace or PACE
    slow: list[Source] = []
    for again in (False, True):
        turn = [*slow] if again else sources
        for number, source in enumerate(turn):
            last = number == len(turn) - 1 and (again or not slow)
            error = run.take(source, None if last else pace)
            if error is None:
                return source
            skipped.append(Skipped(source.name, error))
            if isinstance(error, TooSlowError) and not again:
                slow.append(source)
    return None


def receive(part: Part, body: Body, size: int | None = None, pace: Pace | None = None) -> Iterator[int]:
    """Append what a body sends, up to `size` bytes in all or to its end; yields the bytes that are there.

    Raises:
        StoreUnavailableError: it broke off; TooSlowError: it is below `pace`.
        WrongBytesError: it is longer than `size`.
    """
    read = metered(body.readinto, pace)
    part.wait()  # what broke off before may still be hashed out of these buffers
    for buffer in cycle(_buffers()):
        if part.size == size:
            break
        count = read(buffer if size is None else buffer[: size - part.size])
        if not count and size is not None:
            raise StoreUnavailableError(f"expected {size} bytes, found the end after {part.size}")
        if not count:
            return
        part.append(buffer[:count])
        yield part.size
    if body.readinto(memoryview(bytearray(1))):
        raise WrongBytesError(f"{size} bytes", f"more than {size} bytes")


def _buffers() -> tuple[memoryview, memoryview]:
    """Two, so that one can be hashed while the other is filled. A thread has the same for all its files."""
    if not hasattr(_OF_THREAD, "buffers"):
        _OF_THREAD.buffers = memoryview(bytearray(PIECE_BYTES)), memoryview(bytearray(PIECE_BYTES))
    both: tuple[memoryview, memoryview] = _OF_THREAD.buffers
    return both


def note_skipped(cache: Cache, what: str, skipped: Sequence[Skipped]) -> None:
    """Append to the log of mirrors in the cache, one JSON object per line."""
    if not skipped:
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    lines = "".join(
        json.dumps({"time": now, "source": s.source, "wanted": what, "reason": s.reason}) + "\n" for s in skipped
    )
    with suppress(CacheError), local_errors(cache.paths.mirror_log):  # a log that cannot be kept is in nobody's way
        cache.root.mkdir(parents=True, exist_ok=True)
        with cache.paths.mirror_log.open("a", encoding="utf-8") as log:
            log.write(lines)


@dataclass(slots=True)
class _Run:
    """One download: what is wanted, what is there, and how it is moved."""

    part: Part
    wanted: Wanted
    tuning: Tuning
    size: int | None = None
    """Bytes of the whole, once they are known."""

    def take(self, source: Source, pace: Pace | None) -> PeDataError | None:
        """Get what is missing from one source; None if the whole is right then, else why not."""
        part, expected = self.part, self.wanted.sha256
        while True:
            resumed = part.size > 0
            try:
                self._transfer(source, pace)
            except NoRoomError as error:
                if self.wanted.size is not None:
                    raise
                return error  # for what a source merely claims
            except StoreError as error:
                if not isinstance(error, StoreUnavailableError) and not resumed:
                    part.clear()
                return error
            found = part.digest()
            if found == expected:
                part.whole = True
                return None
            part.clear()
            if not resumed:
                return WrongBytesError(f"sha256 {expected}", f"sha256 {found}")

    def _transfer(self, source: Source, pace: Pace | None) -> None:
        """Append what is missing, or raise StoreError; what came stays."""
        part, tuning = self.part, self.tuning
        attempt, solo, several = 0, tuning.solo_seconds, tuning.connections > 1
        self.size = self.wanted.size
        while True:
            before = part.size
            try:
                if self.size is None and before:
                    with source.open(0, 1, pace) as body:
                        self._learn(body)
                if self.size is not None and part.size == self.size > 0:
                    return
                if several and solo == 0 and (self.size or 0) >= tuning.parallel_from:
                    self._spans(source, pace)
                    return
                if self._stream(source, solo if several else None, pace):
                    return
                solo = 0
            except _NoRangesError:
                several = False
            except TooSlowError:
                raise
            except StoreUnavailableError:
                attempt = 1 if part.size - before >= PROGRESS_BYTES else attempt + 1
                if attempt >= tuning.attempts:
                    raise
                time.sleep(tuning.pause_seconds * 2 ** (attempt - 1))

    def _stream(self, source: Source, seconds: float | None, pace: Pace | None) -> bool:
        """One connection to the end of the body. False if that took more than `seconds` for a large file."""
        part, started = self.part, clock()
        with source.open(part.size, None, pace) as body:
            size = self._learn(body)
            for there in receive(part, body, size, pace):
                self._note(there)
                large = seconds is not None and there < size and size >= self.tuning.parallel_from
                if large and clock() - started > (seconds or 0):
                    return False
        return True

    def _learn(self, body: Body) -> int:
        """The size of the whole, which every body has to agree with. Raises WrongBytesError, NoRoomError."""
        if self.size is None:
            if body.total is None or body.total > SIZE_LIMIT:
                found = "no size" if body.total is None else str(body.total)
                raise WrongBytesError(f"at most {SIZE_LIMIT} bytes", f"a claim of {found}")
            self.size = body.total
            if self.part.size > self.size:
                self.part.clear()
        elif body.total not in (None, self.size):
            raise WrongBytesError(f"{self.size} bytes", f"{body.total}")
        folder, missing = self.part.path.parent, self.size - self.part.size
        free = shutil.disk_usage(folder).free
        if missing > free:  # instead of filling the disk with a part of what can never fit
            raise NoRoomError(
                f"cache {folder}: {self.wanted.what}: expected room for {missing} bytes, found {free}. "
                "Free some space (`pe-data cache prune`), or choose another folder with PE_DATA_CACHE"
            )
        return self.size

    def _spans(self, source: Source, pace: Pace | None) -> None:
        """Several connections, each reading a span into memory; appended in order."""
        part, size, tuning = self.part, self.size or 0, self.tuning
        pace, stop = pace and pace.shared(tuning.connections), threading.Event()

        def get(start: int) -> memoryview:
            span = memoryview(bytearray(min(tuning.span_bytes, size - start)))
            with source.open(start, len(span), pace) as body:
                self._learn(body)
                if not body.ranged:
                    raise _NoRangesError
                read, there = metered(body.readinto, pace), 0
                while there < len(span) and not stop.is_set():
                    count = read(span[there : there + PIECE_BYTES])
                    if not count:
                        raise StoreUnavailableError(f"expected {size} bytes, found the end after {start + there}")
                    there += count
            return span

        waiting: deque[Future[memoryview]] = deque()
        with ThreadPoolExecutor(tuning.connections, thread_name_prefix="pe-data-get") as pool:
            try:
                for start in range(part.size, size, tuning.span_bytes):
                    waiting.append(pool.submit(get, start))
                    if len(waiting) > tuning.connections:
                        part.append(waiting.popleft().result())
                        self._note(part.size)
                while waiting:
                    part.append(waiting.popleft().result())
                    self._note(part.size)
            except BaseException:  # also an interrupt: the other connections must not go on
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _note(self, there: int) -> None:
        self.tuning.progress(there, self.size)
