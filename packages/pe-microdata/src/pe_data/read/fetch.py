"""Many files in one call: the members of a collection, side by side, under names that people read.

The channel, the collection and what was revoked are looked at once; a digest with several names is downloaded once.
What is interrupted is gone on with by the next call; a file is there whole, or not at all.
"""

import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pe_data.errors import InputError, PeDataError
from pe_data.files.place import place
from pe_data.names.countries import access_of
from pe_data.names.digests import Sha256, sha256_file
from pe_data.names.keys import Extension
from pe_data.names.uri import HubUri, PathUri, StoreUri, WebUri, parse_uri
from pe_data.read.locate import Located, look
from pe_data.read.options import Options
from pe_data.read.payload import complete, note_use
from pe_data.read.places import Places
from pe_data.read.progress import BYTES, bar, short
from pe_data.read.resolver import ensure_with
from pe_data.read.revocations import Revocations

if TYPE_CHECKING:
    from pe_data.cache.fetch import Progress

WORKERS = 8


@dataclass(frozen=True, slots=True)
class File:
    """One file of a fetch."""

    name: str
    """Of the member; of a single file, the dataset or the file name."""
    uri: str
    """Pinned, if it comes from a store."""
    sha256: Sha256
    size_bytes: int
    cached: bool
    """It was in the cache before."""
    path: Path | None
    """Where it is: below `to`, else in the cache. None in a dry run."""


@dataclass(frozen=True, slots=True)
class Files:
    """What a fetch brought, or would bring, by name."""

    files: tuple[File, ...]

    @property
    def paths(self) -> dict[str, Path]:
        """Name → path; empty after a dry run."""
        return {file.name: file.path for file in self.files if file.path is not None}

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def missing_bytes(self) -> int:
        """What has to be downloaded, or had to be; a digest with several names counts once."""
        return sum({file.sha256: file.size_bytes for file in self.files if not file.cached}.values())


class _Row(NamedTuple):
    """One file that is meant."""

    name: str
    located: Located
    size_bytes: int
    extension: Extension


def fetch(
    uri: "str | os.PathLike[str]",
    members: str | Iterable[str] | None = None,
    to: "str | os.PathLike[str] | None" = None,
    *,
    workers: int = WORKERS,
    dry_run: bool = False,
    link: bool = False,
    cache: Path | str | None = None,
    store: Path | str | None = None,
    offline: bool | None = None,
    allow_stale: bool = False,
    verify: bool = False,
    allow_revoked: bool = False,
    progress: "Progress | bool | None" = None,
) -> Files:
    """Fetch the members of a collection, or one file, and verify them.

    Args:
        uri: As for `ensure`; without a member, all members of the collection are meant.
        members: Only those whose name fits one of these patterns, such as `districts/*` (`*` fits any text).
        to: A folder for the files under their names, `{member}.h5`; without it they are in the cache. A file there with
            other bytes is replaced.
        workers: Files at a time.
        dry_run: Download no payload; say what would be fetched.
        link: Put hard links into `to`: no bytes are copied, but who edits such a file edits the cache.
        progress: Called with the bytes that are there and those of all files; None shows a bar in a terminal or a
            notebook, False none.

    Raises:
        InputError: no member fits.
        PeDataError: as `ensure`; the files that are done stay.
    """
    options = Options.of(
        cache=cache,
        store=store,
        offline=offline,
        allow_stale=allow_stale,
        verify=verify,
        allow_revoked=allow_revoked,
    )
    folder = None if to is None else Path(to)
    wanted = [members] if isinstance(members, str) else None if members is None else list(members)
    if callable(progress):
        return fetch_with(uri, options, wanted, folder, workers, dry_run, link, progress)
    with bar(short(uri), *BYTES, show=progress) as shown:
        return fetch_with(uri, options, wanted, folder, workers, dry_run, link, shown)


def fetch_with(
    uri: "str | os.PathLike[str]",
    options: Options,
    members: Sequence[str] | None,
    to: Path | None,
    workers: int,
    dry_run: bool,
    link: bool,
    progress: "Progress | None",
) -> Files:
    """`fetch` with ready-made options."""
    if workers < 1:
        raise InputError(f"workers: expected at least 1, found {workers}")
    parsed = parse_uri(uri)
    if not isinstance(parsed, StoreUri):
        if members is not None:
            raise InputError(f"{uri}: members: expected the address of a collection, found that of one file")
        return Files((_other(uri, parsed, options, to, dry_run, link),))
    with options.cache.many() as cache:
        places = Places.of(parsed, replace(options, cache=cache))
        root, rows = _rows(parsed, places, members)
        files = _bring_all(parsed, places, rows, to, workers, dry_run, link, progress)
    if not dry_run:
        note_use(root, places)
    return files


def _bring_all(
    uri: StoreUri,
    places: Places,
    rows: "Sequence[_Row]",
    to: Path | None,
    workers: int,
    dry_run: bool,
    link: bool,
    progress: "Progress | None",
) -> Files:
    """Files of a store, some at a time; each under its names."""
    options = places.options
    asked = Revocations(uri, options, places)
    total = _Total(sum({row.located.sha256: row.size_bytes for row in rows}.values()), progress)
    by_digest: dict[Sha256, list[_Row]] = {}
    for row in rows:
        by_digest.setdefault(row.located.sha256, []).append(row)

    def look_and_bring(same: list[_Row]) -> list[File]:
        return one(same, there(same, verify=options.verify))

    def there(same: list[_Row], **how: bool) -> Path | None:
        return places.cache.lookup(same[0].located.sha256, same[0].extension, **how)

    def one(same: list[_Row], cached: Path | None) -> list[File]:
        located, files = same[0].located, _said(same, cached)
        told = replace(places, options=replace(options, progress=total.of(located.sha256)))
        path = complete(located, told, cached, asked)
        total.done(located.sha256, same[0].size_bytes)
        if to is None:
            return [replace(file, path=path) for file in files]
        private = access_of(uri.country) == "gated"
        targets = [to / f"{row.name}.{row.extension}" for row in same]
        return [
            replace(file, path=place(path, located.sha256, target, private=private, link=link))
            for file, target in zip(files, targets, strict=True)
        ]

    found: list[File] = []
    if dry_run:
        for same in by_digest.values():
            found += _said(same, there(same))
        return _in_order(found)
    with ThreadPoolExecutor(workers, thread_name_prefix="pe-data-fetch") as pool:
        tasks: list[Future[list[File]]] = []
        try:
            for same in by_digest.values():
                located, cached = same[0].located, None
                if not options.verify and (to is None or link):
                    cached = there(same, hashing=False)
                # With nothing to hash or copy, a thread would cost more than all that is done.
                if cached is not None and not asked.asks_for_each(located.digests):
                    found += one(same, cached)
                else:
                    tasks.append(pool.submit(look_and_bring, same))
            for task in as_completed(tasks):
                found += task.result()
        except BaseException:  # also an interrupt: what is under way stops at its next piece, and is kept
            total.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return _in_order(found)


def _said(same: list[_Row], cached: Path | None) -> list[File]:
    """What is said of one artifact under each of its names, before it has a place."""
    return [
        File(row.name, _pinned(row.located), row.located.sha256, row.size_bytes, cached is not None, None)
        for row in same
    ]


def _in_order(files: list[File]) -> Files:
    return Files(tuple(sorted(files, key=lambda file: file.name)))


def _rows(uri: StoreUri, places: Places, members: Sequence[str] | None) -> tuple[Located, list[_Row]]:
    """What the address leads to, and name, artifact, bytes and extension of every file that is meant."""
    located, described = look(uri, places)
    if described is not None:
        if members is not None:
            raise InputError(f"{uri}: members: expected the address of a collection, found that of one file")
        artifact = described.manifest.artifact
        name = uri.member or uri.dataset
        return located, [_Row(name, located, artifact.size_bytes, artifact.extension)]
    every = located.collection.members if located.collection else {}
    chosen = [name for name in sorted(every) if members is None or any(fnmatchcase(name, one) for one in members)]
    if not chosen:
        shown = ", ".join(sorted(every)[:3])
        raise InputError(
            f"{uri}: members: expected a pattern that fits some of {len(every)} members ({shown}, …), found "
            f"{', '.join(members or ())!r}"
        )
    return located, [_Row(name, located.member(name), every[name].size_bytes, every[name].extension) for name in chosen]


def _pinned(located: Located) -> str:
    return str(replace(located.uri, channel=None, sha256=located.root))


def _other(
    uri: "str | os.PathLike[str]",
    parsed: HubUri | WebUri | PathUri,
    options: Options,
    to: Path | None,
    dry_run: bool,
    link: bool,
) -> File:
    """A file that is no part of a store."""
    if dry_run:
        raise InputError(f"{uri}: dry run: expected the address of a store (pe-data://…), whose sizes are known before")
    path = ensure_with(uri, options)
    name, sha256, size = parsed.name, parsed.sha256 or sha256_file(path), path.stat().st_size
    if to is not None:
        suffix = path.suffix or ".h5"
        path = place(path, sha256, to / (name if name.endswith(suffix) else f"{name}{suffix}"), link=link)
    return File(name, str(uri), sha256, size, False, path)


class _StoppedError(PeDataError):
    """Another file failed, or the user had enough; what came of this one stays."""


class _Total:
    """The progress of all files together."""

    def __init__(self, size: int, progress: "Progress | None") -> None:
        self._size, self._progress = size, progress
        self._there: dict[Sha256, int] = {}
        self._sum = 0
        self._lock = threading.Lock()
        self._stopped = False

    def of(self, sha256: Sha256) -> "Progress":
        """The progress of one file."""
        return lambda done, size: self.done(sha256, done)

    def done(self, sha256: Sha256, there: int) -> None:
        """So many bytes of one file are there."""
        if self._stopped:
            raise _StoppedError("stopped, because another file failed")
        if self._progress is None:
            return
        with self._lock:
            self._sum += there - self._there.get(sha256, 0)
            self._there[sha256] = there
            self._progress(self._sum, self._size)

    def stop(self) -> None:
        """Let every download end at its next piece."""
        self._stopped = True
