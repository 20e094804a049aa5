"""Write the catalogue of a store into a folder, whole or not at all."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache as cache_of
from pathlib import Path

from pe_data.catalogue import places
from pe_data.catalogue.pages import DatasetPages, Maker, Page, Shown, assets
from pe_data.catalogue.read import Objects, Source, objects_of
from pe_data.config.settings import DEFAULT
from pe_data.documents.notice import Notice, WithheldError
from pe_data.errors import InputError
from pe_data.files.atomic import beside
from pe_data.pages.gated import gated_page
from pe_data.read.channels import list_channels
from pe_data.read.notices import notice_in
from pe_data.read.options import Options
from pe_data.read.places import Places, is_local

KIND = "catalogue"
TITLE = "Catalogue"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Site:
    """What was written."""

    folder: Path
    datasets: int
    """Public ones."""
    gated: int
    versions: int
    pages: int
    size_bytes: int


def site(
    store: "str | os.PathLike[str]",
    out: "str | os.PathLike[str]",
    *,
    title: str = TITLE,
    address: str | None = None,
    cache: Path | str | None = None,
    offline: bool | None = None,
    progress: Progress = lambda done, total: None,
) -> Site:
    """Write static pages about all that a store has: `out/index.html` is the first. They need no server, no network.

    Of gated datasets there is one page, `gated.html`, with name, licence and how to apply, whoever asks.

    Args:
        store: A folder, or an address of a store that can be listed.
        out: A folder that is not there, is empty, or holds an earlier catalogue, which is replaced.
        title: Of the catalogue.
        address: Of the store for those who read the pages; by default `store` itself. Of one on this machine nothing is
            said by itself: then readers need its address in their configuration.
        cache, offline: As for `ensure`.
        progress: Called with pages written, and how many there will be as far as that is known.

    Raises:
        InputError: nothing was published in the store; the folder holds other things, or cannot be written.
        MissingExtraError: jinja2 is not installed.
        ListingNotSupportedError: on a plain HTTP mirror.
        PeDataError: a document of the store cannot be read, or is damaged.
    """
    options, out = Options.of(cache=cache, store=str(store), offline=offline), Path(out)
    shown_address = address or (None if is_local(str(store)) else str(store))
    maker = Maker(title, shown_address)
    places_of = Places.serving(DEFAULT, options)
    channels = [one for one in list_channels(places_of.main()) if one.channel == "latest"]
    if not channels:
        raise InputError(f"{places_of.config.url}: expected a store with a dataset, found none. Look at its address")

    @cache_of
    def there(country: str) -> Objects:
        return objects_of(Places.serving(country, options).main(), country)

    with _replacing(out.expanduser()) as folder:
        writer = _Writer(folder, out, progress)
        shown: list[Shown] = []
        gated: list[Notice] = []
        versions = 0
        for one in sorted(channels, key=lambda channel: (channel.country, channel.dataset)):
            own = Places.serving(one.country, options, what=f"{one.country}/{one.dataset}")
            source = Source(own, one.country, one.dataset, there)
            notice = notice_in(own.main(), one.country, one.dataset)
            if notice is None:
                try:
                    pages = DatasetPages(maker, source)
                    writer.expect(sum(1 + len(version.rows) for version in source.versions))
                    writer.all(pages)
                    shown.append(pages.shown)
                    versions += len(source.versions)
                except WithheldError as error:  # an earlier version, or another member: then no page of it may be shown
                    notice = error.notice
                    writer.drop(f"{one.country}/{one.dataset}")
            if notice is not None:
                gated.append(notice)
        if gated:
            writer.put(Page(places.GATED, gated_page(gated)))
        writer.all(assets(shown))
        writer.put(maker.start(shown, len(gated)))
        writer.put(Page(places.ABOUT, _about(writer.top)))
        return Site(out, len(shown), len(gated), versions, writer.pages, writer.size)


class _Writer:
    """Writes pages into a folder, and counts them."""

    def __init__(self, folder: Path, out: Path, progress: Progress) -> None:
        self.folder, self.out, self.progress = folder, out, progress
        self.written: dict[str, int] = {}
        self._expected = 0

    @property
    def pages(self) -> int:
        return sum(path.endswith(".html") for path in self.written)

    @property
    def size(self) -> int:
        return sum(self.written.values())

    @property
    def top(self) -> list[str]:
        return sorted({path.partition("/")[0] for path in self.written})

    def expect(self, pages: int) -> None:
        self._expected += pages

    def all(self, pages: Iterable[Page]) -> None:
        for page in pages:
            self.put(page)

    def put(self, page: Page) -> None:
        path, raw = self.folder / page.path, page.text.encode()
        with _writing(self.out):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)
        self.written[page.path] = len(raw)
        self.progress(len(self.written), max(self._expected, len(self.written)))

    def drop(self, below: str) -> None:
        gone = self.folder / below
        with _writing(self.out):
            if gone.exists():
                shutil.rmtree(gone)
                if not any(gone.parent.iterdir()):
                    gone.parent.rmdir()
        self.written = {path: size for path, size in self.written.items() if not path.startswith(f"{below}/")}


def _about(top: list[str]) -> str:
    """What says that a folder holds a catalogue and nothing else."""
    return json.dumps({"kind": KIND, "entries": sorted({*top, places.ABOUT})}, indent=1) + "\n"


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A new folder beside `out`, which takes its place at the end; after an error `out` is as it was.

    Raises:
        InputError: `out` holds something that is no catalogue, or cannot be written.
    """
    target = out.resolve()
    new, old = beside(target), beside(target)
    with _writing(out):
        _check(target, out)
        target.parent.mkdir(parents=True, exist_ok=True)
        new.mkdir()
    try:
        yield new
        with _writing(out):
            _exchange(new, target, old)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _exchange(new: Path, target: Path, old: Path) -> None:
    """Put `new` where `target` is. What was there is removed only when the new one has its place."""
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except BaseException:  # an interruption, too
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror or error}") from error


def _check(target: Path, out: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(f"{out}: expected a folder for a catalogue, found a file")
    there = sorted(entry.name for entry in target.iterdir())
    if not there:
        return
    try:
        about = json.loads((target / places.ABOUT).read_bytes())
        ours = set(about["entries"]) if about["kind"] == KIND else set()
    except (OSError, ValueError, KeyError, TypeError):
        ours = set()
    strange = [name for name in there if name not in ours]
    if strange:
        raise InputError(
            f"{out}: expected an empty folder, or an earlier catalogue and nothing else, found {', '.join(strange[:5])}"
            f"{' …' if len(strange) > 5 else ''}. Name another folder"
        )
