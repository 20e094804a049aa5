"""Fetch one artifact into the cache: whole and verified, or not at all.

Sources are tried in order; one that fails is skipped and noted, and only if all fail is there an
error, which says what each one did. Bytes that a killed or broken download left behind are used
again. If they turn out wrong with the rest of a source, that source gets one clean second try:
the wrong bytes may have been the old ones.

A source that drips is given up as long as there is another one; what it sent stays. If nobody else has
the file, it is asked once more, and then for as long as it takes: a slow line is better than none.
"""

import json
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pe_data import steps
from pe_data.cache.entries import Cache, Suffix
from pe_data.cache.partial import PART_BYTES, Partial
from pe_data.errors import CacheError, FetchError, NoRoomError
from pe_data.files.atomic import local_errors
from pe_data.files.locks import exclusive
from pe_data.names.digests import Sha256
from pe_data.store.byte_source import Body, Source, SourceError
from pe_data.store.pace import PACE, Meter, Pace, TooSlowError, clock

BUFFER_BYTES = 512 * 1024
Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the size of the whole, if known."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How to move bytes; the defaults suit a fast line and a slow one."""

    parallel_from: int = 64 * 1024 * 1024
    """Files of this size (bytes) and more may be read by several connections."""
    solo_seconds: float = 1.0
    """That long one connection may try alone: on a fast line several only get in each other's way."""
    connections: int = 4
    span_parts: int = 32
    """Parts of 1 MiB that one request reads."""
    attempts: int = 4
    """Times that a source may break off without having sent anything new."""
    pause_seconds: float = 0.5
    """Before the second attempt; doubles each time."""
    pace: Pace | None = None
    """Below which a source is given up while there are others; None: `PACE`."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The bytes that are asked for."""

    sha256: Sha256
    suffix: Suffix
    size: int
    what: str
    """For messages: the address as the user gave it."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A source that did not deliver."""

    source: str
    reason: str
    slow: bool = False
    """It was given up for its pace alone."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The outcome of a fetch."""

    path: Path
    source: str
    """Who delivered; `cache` if another process had done it meanwhile."""
    skipped: tuple[Skipped, ...]


def no_progress(done: int, size: int | None) -> None:
    """The default: say nothing."""


def fetch(
    cache: Cache,
    wanted: Wanted,
    sources: Sequence[Source],
    *,
    tuning: Tuning | None = None,
    progress: Progress = no_progress,
    on_step: steps.StepHook = steps.ignore,
) -> Fetched:
    """Bring `wanted` into the cache and return its path.

    Processes that ask for the same artifact wait for one download.

    Raises:
        FetchError: no source delivered.
        CacheError: the cache folder cannot be written (full, read-only); NoRoomError if that is certain before.
    """
    skipped: list[Skipped] = []
    fetched = try_fetch(cache, wanted, sources, skipped, tuning=tuning, progress=progress, on_step=on_step)
    if fetched is None:
        raise _nobody(wanted, skipped)
    return fetched


def try_fetch(
    cache: Cache,
    wanted: Wanted,
    sources: Sequence[Source],
    skipped: list[Skipped],
    *,
    others: bool = False,
    tuning: Tuning | None = None,
    progress: Progress = no_progress,
    on_step: steps.StepHook = steps.ignore,
) -> Fetched | None:
    """As `fetch`, but None if no source delivered; who did not is added to `skipped`.

    Args:
        others: The caller has further places to ask, so that none of these is the last.

    Raises:
        CacheError: as `fetch`.
    """
    with exclusive(cache.lock(wanted.sha256)):
        on_step("locked")
        there = cache.lookup(wanted.sha256, wanted.suffix)
        if there is not None:
            return Fetched(there, "cache", ())
        partial_path = cache.partial(wanted.sha256, wanted.suffix)
        before = len(skipped)
        with Partial(partial_path, wanted.size, cache.begin(partial_path)) as partial:
            on_step("partial-opened")
            _check_room(partial, wanted)
            run = _Run(partial, wanted, tuning or Tuning(), progress, on_step)
            try:
                source = run.first_that_delivers(sources, skipped, others)
            except CacheError:
                if not partial.resumed:  # less than a part is of no use to a later call
                    partial.discard()
                raise
            note_skipped(cache, wanted.what, skipped[before:])
            if source is None:
                if not partial.resumed:
                    partial.discard()
                return None
            on_step("verified")
            partial.sync()
            on_step("synced")
            path = cache.adopt(partial_path, wanted.sha256, wanted.suffix)
            on_step("renamed")
            partial.forget_parts()
        cache.stamp(path)
        on_step("stamped")
        return Fetched(path, source, tuple(skipped[before:]))


def _check_room(partial: Partial, wanted: Wanted) -> None:
    """Refuse at once what can never fit, instead of filling the disk with a part of it. Raises NoRoomError."""
    free = shutil.disk_usage(partial.path.parent).free
    if partial.remaining > free:
        if not partial.resumed:
            partial.discard()
        raise NoRoomError(
            f"cache {partial.path.parent}: {wanted.what}: expected room for {partial.remaining} bytes, found {free}. "
            "Free some space (`pe-data cache prune`), or choose another folder with PE_DATA_CACHE"
        )


def note_skipped(cache: Cache, what: str, skipped: Sequence[Skipped]) -> None:
    """Append to the log of mirrors in the cache, one JSON object per line."""
    if not skipped:
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    lines = "".join(
        json.dumps({"time": now, "source": s.source, "wanted": what, "reason": s.reason}) + "\n" for s in skipped
    )
    with suppress(CacheError), local_errors(cache.mirror_log):  # a log that cannot be kept is in nobody's way
        cache.root.mkdir(parents=True, exist_ok=True)
        with cache.mirror_log.open("a", encoding="utf-8") as log:
            log.write(lines)


@dataclass(frozen=True, slots=True)
class _Run:
    """One download: what is wanted, what is there, and how it is moved."""

    partial: Partial
    wanted: Wanted
    tuning: Tuning
    progress: Progress
    on_step: steps.StepHook

    def first_that_delivers(self, sources: Sequence[Source], skipped: list[Skipped], others: bool) -> str | None:
        """The name of the source whose bytes are right, or None."""
        pace = self.tuning.pace or PACE
        slow: list[Source] = []
        for number, source in enumerate(sources):
            last = not others and number == len(sources) - 1 and not slow
            reason = self._from(source, None if last else pace)
            if reason is None:
                return source.name
            skipped.append(reason)
            if reason.slow:
                slow.append(source)
        for number, source in enumerate([] if others else slow):
            reason = self._from(source, None if number == len(slow) - 1 else pace)
            if reason is None:
                return source.name
            skipped.append(reason)
        return None

    def _from(self, source: Source, pace: Pace | None) -> Skipped | None:
        """Get what is missing from one source; None if the whole is right then, else why not."""
        partial, paced = self.partial, source.paced(pace) if pace else source
        for _ in range(2):
            resumed = partial.resumed
            try:
                self._transfer(paced, pace)
            except SourceError as error:
                if not error.retry and not error.slow and not resumed:
                    partial.clear()
                return Skipped(source.name, str(error), error.slow)
            self.on_step("body-done")
            found = partial.digest(self.wanted.size)
            if found == self.wanted.sha256:
                return None
            partial.clear()
            if not resumed:
                break
        return Skipped(source.name, f"expected sha256 {self.wanted.sha256}, found sha256 {found}")

    def _transfer(self, source: Source, pace: Pace | None) -> None:
        """Fill `partial` from one source, or raise SourceError; what came stays."""
        partial, size, tuning = self.partial, self.wanted.size, self.tuning
        attempt = 0
        several = size >= tuning.parallel_from and tuning.connections > 1
        alone = tuning.solo_seconds if several else None
        while partial.prefix < size or size == 0:
            before = partial.remaining
            try:
                if alone != 0:
                    done = self._sequential(source, alone, pace)
                    if done:
                        return
                    alone = 0.0 if source.supports_ranges() else None
                elif source.supports_ranges():
                    self._parallel(source, pace)
                    return
                else:
                    alone = None
            except SourceError as error:
                attempt = 1 if partial.remaining < before else attempt + 1
                if not error.retry or attempt >= tuning.attempts:
                    raise
                time.sleep(tuning.pause_seconds * 2 ** (attempt - 1))

    def _sequential(self, source: Source, seconds: float | None, pace: Pace | None) -> bool:
        """One connection from the end of the prefix to the end of the body.

        False if that took more than `seconds`; then it stopped after a whole part.
        """
        partial, size = self.partial, self.wanted.size
        start, started = partial.prefix, clock()
        with closing(source.open(start)) as opened:
            body = _Metered(opened, pace)
            position = _skip_to(body, start, size)
            buffer = memoryview(bytearray(BUFFER_BYTES))
            while position < size:
                limit = min(len(buffer), size - position, PART_BYTES - position % PART_BYTES)
                count = body.readinto(buffer[:limit])
                if count == 0:
                    raise SourceError(f"expected {size} bytes, found the end after {position}", retry=True)
                partial.write(buffer[:count], position)
                position += count
                self.progress(position, size)
                if position % PART_BYTES == 0 or position == size:
                    partial.complete((position - 1) // PART_BYTES)
                    self.on_step("part-written")
                    if seconds is not None and position < size and clock() - started > seconds:
                        return False
            if body.readinto(buffer[:1]):
                raise SourceError(f"expected {size} bytes, found a body that goes on", retry=False)
        return True

    def _parallel(self, source: Source, pace: Pace | None) -> None:
        """Several connections, each reading the first span that nobody has taken yet."""
        connections = self.tuning.connections
        if pace is not None:
            pace = pace.shared(connections)
            source = source.paced(pace)
        spans = self.partial.spans(self.tuning.span_parts)
        turn, stop = threading.Lock(), threading.Event()

        def work() -> None:
            buffer = memoryview(bytearray(BUFFER_BYTES))
            while not stop.is_set():
                with turn:
                    span = next(spans, None)
                if span is None:
                    return
                try:
                    self._span(source, span, buffer, stop, pace)
                except BaseException:
                    stop.set()
                    raise
                with turn:
                    self.progress(self.wanted.size - self.partial.remaining, self.wanted.size)
                    self.on_step("part-written")

        with ThreadPoolExecutor(connections, thread_name_prefix="pe-data-get") as pool:
            tasks = [pool.submit(work) for _ in range(connections)]
            try:
                for task in tasks:
                    task.result()
            except BaseException:  # also an interrupt: the other connections must not go on
                stop.set()
                raise

    def _span(
        self, source: Source, span: tuple[int, int], buffer: memoryview, stop: threading.Event, pace: Pace | None
    ) -> None:
        (start, end), size = span, self.wanted.size
        with closing(source.open(start, end)) as opened:
            body = _Metered(opened, pace)
            position = _skip_to(body, start, size)
            while position < end and not stop.is_set():
                limit = min(len(buffer), end - position, PART_BYTES - position % PART_BYTES)
                count = body.readinto(buffer[:limit])
                if count == 0:
                    raise SourceError(f"expected {size} bytes, found the end after {position}", retry=True)
                self.partial.write(buffer[:count], position)
                position += count
                if position % PART_BYTES == 0 or position == size:
                    self.partial.complete((position - 1) // PART_BYTES)


class _Metered:
    """A body whose pace is watched between two reads, whatever kind of source it comes from."""

    def __init__(self, body: Body, pace: Pace | None) -> None:
        self.start, self.total = body.start, body.total
        self._body = body
        self._meter = Meter(pace) if pace else None

    def readinto(self, buffer: memoryview) -> int:
        if self._meter is None:
            return self._body.readinto(buffer)
        began = clock()
        count = self._body.readinto(buffer)
        if count:
            try:
                self._meter.note(count, clock() - began)
            except TooSlowError as error:
                raise SourceError(str(error), retry=False, slow=True) from error
        return count


def _skip_to(body: _Metered, start: int, size: int) -> int:
    """Check the announced size, and read away what comes before `start`."""
    if body.total is not None and body.total != size:
        raise SourceError(f"expected {size} bytes, found {body.total}", retry=False)
    if body.start > start:
        raise SourceError(f"expected bytes from {start}, found them from {body.start}", retry=False)
    position = body.start
    buffer = memoryview(bytearray(BUFFER_BYTES)) if position < start else memoryview(b"")
    while position < start:
        count = body.readinto(buffer[: start - position])
        if count == 0:
            raise SourceError(f"expected {size} bytes, found the end after {position}", retry=True)
        position += count
    return position


def _nobody(wanted: Wanted, skipped: Sequence[Skipped]) -> FetchError:
    tried = "; ".join(f"{s.source}: {s.reason}" for s in skipped) or "no source is configured"
    return FetchError(
        f"{wanted.what}: expected {wanted.size} bytes with sha256 {wanted.sha256}, found no source "
        f"that has them ({tried}). Try again later (whole parts that came are kept for it), add a mirror, or ask the "
        "publisher"
    )
