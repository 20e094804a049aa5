"""`pe-data site`: the catalogue of a store as static pages."""

from pathlib import Path

import click

from pe_data.cli.options import json_option
from pe_data.cli.output import Output, progress
from pe_data.texts import human_size


@click.command()
@click.argument("store")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--title", help="Of the catalogue.  [default: Catalogue]")
@click.option(
    "--address",
    metavar="URL",
    help="Of the store for readers, in lines that fetch.  [default: STORE, unless it is on this machine]",
)
@json_option
def site(store: str, out: Path, title: str | None, address: str | None, output: Output) -> None:
    """Write static pages about all that a store has: OUT/index.html is the first.

    A page for each dataset, version and file: columns and what they mean, notes, licence, where it comes from, lines
    that fetch it, and what changed. They need no server and no network. OUT is replaced as a whole if it holds an
    earlier catalogue; a folder with other things is refused. Of gated datasets there is one page, with name, licence
    and how to apply. Needs the extra `site`.

    \b
    Examples:
      pe-data site ./store build/catalogue
      pe-data site s3://bucket/data /srv/www/data --address https://data.example.org --title "Local areas"
    """
    from pe_data.catalogue.write import TITLE
    from pe_data.catalogue.write import site as write

    with progress("Pages") as show:
        done = write(store, out, title=title or TITLE, address=address, progress=show)
    of = f"{done.datasets} dataset(s) in {done.versions} version(s), {done.gated} gated"
    output(done, [f"{done.pages:,} page(s), {human_size(done.size_bytes)}: {of}", done.folder / "index.html"])


COMMANDS: dict[str, click.Command] = {"site": site}
