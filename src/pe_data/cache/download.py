"""Fetch one artifact into the cache: whole and verified, or not at all.

Sources are tried in order; one that fails is skipped and noted, and only if all fail is there an
error, which says what each one did. Bytes that a killed or broken download left behind are used
again. If they turn out wrong with the rest of a source, that source gets one clean second try:
the wrong bytes may have been the old ones.
"""

import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pe_data import steps
from pe_data.cache.files import local_errors
from pe_data.cache.locks import exclusive
from pe_data.cache.partial import PART_BYTES, Partial
from pe_data.cache.store import Cache, Suffix
from pe_data.digests import Sha256
from pe_data.errors import FetchError
from pe_data.sources.base import Body, Source, SourceError

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
        CacheError: the cache folder cannot be written (full, read-only).
    """
    with exclusive(cache.lock(wanted.sha256)):
        on_step("locked")
        there = cache.lookup(wanted.sha256, wanted.suffix)
        if there is not None:
            return Fetched(there, "cache", ())
        partial_path = cache.partial(wanted.sha256, wanted.suffix)
        skipped: list[Skipped] = []
        with Partial(partial_path, wanted.size, cache.begin(partial_path)) as partial:
            on_step("partial-opened")
            source = _first_that_delivers(partial, wanted, sources, skipped, tuning or Tuning(), progress, on_step)
            note_skipped(cache, wanted.what, skipped)
            if source is None:
                if not partial.resumed:
                    partial.discard()
                raise _nobody(wanted, skipped)
            on_step("verified")
            partial.sync()
            on_step("synced")
            path = cache.adopt(partial_path, wanted.sha256, wanted.suffix)
            on_step("renamed")
            partial.forget_parts()
        cache.stamp(path)
        on_step("stamped")
        return Fetched(path, source, tuple(skipped))


def note_skipped(cache: Cache, what: str, skipped: Sequence[Skipped]) -> None:
    """Append to the log of mirrors in the cache, one JSON object per line."""
    if not skipped:
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    lines = "".join(
        json.dumps({"time": now, "source": s.source, "wanted": what, "reason": s.reason}) + "\n" for s in skipped
    )
    with local_errors(cache.mirror_log):
        cache.root.mkdir(parents=True, exist_ok=True)
        with cache.mirror_log.open("a", encoding="utf-8") as log:
            log.write(lines)


def _first_that_delivers(
    partial: Partial,
    wanted: Wanted,
    sources: Sequence[Source],
    skipped: list[Skipped],
    tuning: Tuning,
    progress: Progress,
    on_step: steps.StepHook,
) -> str | None:
    for source in sources:
        for _ in range(2):
            resumed = partial.resumed
            try:
                _transfer(partial, wanted.size, source, tuning, progress, on_step)
            except SourceError as error:
                skipped.append(Skipped(source.name, str(error)))
                if not error.retry and not resumed:
                    partial.clear()
                break
            on_step("body-done")
            found = partial.digest(wanted.size)
            if found == wanted.sha256:
                return source.name
            partial.clear()
            if not resumed:
                reason = f"expected sha256 {wanted.sha256}, found sha256 {found}"
                skipped.append(Skipped(source.name, reason))
                break
    return None


def _transfer(
    partial: Partial,
    size: int,
    source: Source,
    tuning: Tuning,
    progress: Progress,
    on_step: steps.StepHook,
) -> None:
    """Fill `partial` from one source, or raise SourceError; what came stays."""
    attempt = 0
    several = size >= tuning.parallel_from and tuning.connections > 1
    alone = tuning.solo_seconds if several else None
    while partial.prefix < size or size == 0:
        before = sum(end - start for start, end in partial.missing(1))
        try:
            if alone != 0:
                done = _sequential(partial, size, source, progress, on_step, alone)
                if done:
                    return
                alone = 0.0 if source.supports_ranges() else None
            elif source.supports_ranges():
                _parallel(partial, size, source, tuning, progress, on_step)
                return
            else:
                alone = None
        except SourceError as error:
            after = sum(end - start for start, end in partial.missing(1))
            attempt = 1 if after < before else attempt + 1
            if not error.retry or attempt >= tuning.attempts:
                raise
            time.sleep(tuning.pause_seconds * 2 ** (attempt - 1))


def _sequential(
    partial: Partial,
    size: int,
    source: Source,
    progress: Progress,
    on_step: steps.StepHook,
    seconds: float | None,
) -> bool:
    """One connection from the end of the prefix to the end of the body.

    False if that took more than `seconds`; then it stopped after a whole part.
    """
    start, started = partial.prefix, time.monotonic()
    with closing(source.open(start)) as body:
        position = _skip_to(body, start, size)
        buffer = memoryview(bytearray(BUFFER_BYTES))
        while position < size:
            limit = min(len(buffer), size - position, PART_BYTES - position % PART_BYTES)
            count = body.readinto(buffer[:limit])
            if count == 0:
                raise SourceError(f"expected {size} bytes, found the end after {position}", retry=True)
            partial.write(buffer[:count], position)
            position += count
            progress(position, size)
            if position % PART_BYTES == 0 or position == size:
                partial.complete((position - 1) // PART_BYTES)
                on_step("part-written")
                if seconds is not None and position < size and time.monotonic() - started > seconds:
                    return False
        if body.readinto(buffer[:1]):
            raise SourceError(f"expected {size} bytes, found a body that goes on", retry=False)
    return True


def _parallel(
    partial: Partial,
    size: int,
    source: Source,
    tuning: Tuning,
    progress: Progress,
    on_step: steps.StepHook,
) -> None:
    """Several connections, each reading the first span that nobody has taken yet."""
    spans = iter(partial.missing(tuning.span_parts))
    turn, stop = threading.Lock(), threading.Event()

    def work() -> None:
        buffer = memoryview(bytearray(BUFFER_BYTES))
        while not stop.is_set():
            with turn:
                span = next(spans, None)
            if span is None:
                return
            try:
                _span(partial, size, source, span, buffer, stop)
            except BaseException:
                stop.set()
                raise
            with turn:
                progress(size - sum(e - s for s, e in partial.missing(1)), size)
                on_step("part-written")

    with ThreadPoolExecutor(tuning.connections, thread_name_prefix="pe-data-get") as pool:
        tasks = [pool.submit(work) for _ in range(tuning.connections)]
        try:
            for task in tasks:
                task.result()
        except BaseException:  # also an interrupt: the other connections must not go on
            stop.set()
            raise


def _span(
    partial: Partial,
    size: int,
    source: Source,
    span: tuple[int, int],
    buffer: memoryview,
    stop: threading.Event,
) -> None:
    start, end = span
    with closing(source.open(start, end)) as body:
        position = _skip_to(body, start, size)
        while position < end and not stop.is_set():
            limit = min(len(buffer), end - position, PART_BYTES - position % PART_BYTES)
            count = body.readinto(buffer[:limit])
            if count == 0:
                raise SourceError(f"expected {size} bytes, found the end after {position}", retry=True)
            partial.write(buffer[:count], position)
            position += count
            if position % PART_BYTES == 0 or position == size:
                partial.complete((position - 1) // PART_BYTES)


def _skip_to(body: Body, start: int, size: int) -> int:
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
        f"that has them ({tried}). Nothing was kept; try again later, add a mirror, or ask the publisher"
    )
