"""What the commands that write to or look after a store have in common."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import click

from pe_data.cli.common import print_json, say
from pe_data.config.settings import DEFAULT, store_for
from pe_data.documents.pointer import DEFAULT_NAMESPACE
from pe_data.errors import InvalidNameError
from pe_data.names.countries import DATASET_EXAMPLE
from pe_data.names.keys import check_country, check_dataset
from pe_data.store.base import Store
from pe_data.store.opening import open_store

store_option = click.option(
    "--store",
    "store_url",
    metavar="URL",
    help="Folder, s3://, gs://, az:// or https:// address. Default: PE_DATA_STORE, else the "
    "configuration, else a folder in your data directory.",
)
namespace_option = click.option(
    "--namespace",
    metavar="NAME",
    help=f"Whose channels these are. Default: the configured one, else '{DEFAULT_NAMESPACE}'.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


def the_store(url: str | None, country: str = DEFAULT) -> Store:
    """The store that was named, else the configured one of the country."""
    config = store_for(country, store=url or None)
    return open_store(config.url, options=config.options)


def the_namespace(name: str | None, country: str) -> str:
    """The namespace that was named, else the configured one."""
    return name or store_for(country).namespace or DEFAULT_NAMESPACE


def split_dataset(text: str) -> tuple[str, str]:
    """`us/enhanced_cps_2024` → country and dataset; a full address works too."""
    names = text.removeprefix("pe-data://").partition("@")[0]
    country, slash, dataset = names.partition("/")
    if not slash:
        raise InvalidNameError(f"dataset: expected COUNTRY/DATASET such as {DATASET_EXAMPLE}, found {text[:120]!r}")
    return check_country(country), check_dataset(dataset)


def emit(as_json: bool, document: object, lines: Iterable[str]) -> None:
    """Print the result for a program or for a person."""
    if as_json:
        print_json(document)
    else:
        for line in lines:
            say(line)


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """A callback (done, total) that draws a bar on a terminal and does nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
