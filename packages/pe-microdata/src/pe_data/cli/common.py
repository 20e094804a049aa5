"""Options and output that several commands share."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pe_data.cli.tables import printable
from pe_data.read.options import Options

if TYPE_CHECKING:
    from pe_data.cache.fetch import Progress

F = TypeVar("F", bound=Callable[..., Any])

as_json = click.option("--json", "json_output", is_flag=True, help="Print JSON for programs.")


def place_options(function: F) -> F:
    """`--store --cache --offline`, handed over under these names."""
    for option in (
        click.option("--offline", is_flag=True, default=None, help="Never use the network."),
        click.option("--cache", help="Cache folder.  [default: PE_DATA_CACHE]"),
        click.option("--store", help="Address of the store.  [default: PE_DATA_STORE]"),
    ):
        function = option(function)
    return function


def stale_option(function: F) -> F:
    """`--allow-stale`."""
    return click.option(
        "--allow-stale",
        is_flag=True,
        help="For @latest: if the store is out of reach, use what was used last (and say so).",
    )(function)


def options_of(store: str | None, cache: str | None, offline: bool | None, **more: Any) -> Options:
    """Options for the resolver from those of the command line."""
    return Options.of(store=store, cache=cache, offline=offline, **more)


def say(text: object = "", *, err: bool = False) -> None:
    """Print text of which anybody may have written a part; see `printable`."""
    click.echo("\n".join(map(printable, str(text).split("\n"))), err=err)


def print_json(value: Any) -> None:
    """One JSON document; dataclasses become objects. What a terminal would obey is written as `\\u009b`."""
    text = json.dumps(value, default=_plain, indent=2, ensure_ascii=False)
    lines = ("".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line) for line in text.split("\n"))
    click.echo("\n".join(lines))


def print_table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """A plain table."""
    from pe_data.cli.tables import text_table

    say(text_table(header, rows))


@contextmanager
def progress_bar(what: str) -> "Iterator[Progress | None]":
    """A bar on standard error if that is a terminal, else None; `what` is the address."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        name = what.partition("#")[0].rpartition("/")[2][:40]
        task = bar.add_task(name, total=None, visible=False)

        def advance(done: int, size: int | None) -> None:
            bar.update(task, completed=done, total=size, visible=True)

        yield advance


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)
