"""What a shell may complete: datasets and members of a store on this machine, since no key may wait for a network."""

from typing import Any

import click
from click.shell_completion import CompletionItem

from pe_data.errors import PeDataError
from pe_data.names.uri import SCHEME
from pe_data.read.options import Options
from pe_data.suggestions import completions

_LATEST = "@latest"


class DatasetName(click.ParamType):
    """`COUNTRY/DATASET`, which the command itself reads."""

    name = "dataset"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The datasets that begin so."""
        return [CompletionItem(one) for one in completions(incomplete, _datasets(ctx))]


class Address(click.ParamType):
    """The address of a file or dataset, which the command itself reads."""

    name = "address"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Addresses of `@latest` that begin so: of datasets, and of a collection's members once its name is written.

        bash takes the colon for the end of a word, so there the rest of an address begins with `//`.
        """
        head = next((head for head in (SCHEME, "//") if incomplete.startswith(head)), "")
        rest = incomplete.removeprefix(head)
        if not head and not SCHEME.startswith(rest):
            return [CompletionItem(incomplete, type="file")]
        names = "" if not head else rest.partition("@")[0]
        found = _members(ctx, names) if names.count("/") > 1 else _datasets(ctx)
        return [CompletionItem(f"{head or SCHEME}{one}{_LATEST}") for one in completions(names, found)]


DATASET_NAME = DatasetName()
ADDRESS = Address()


def _datasets(ctx: click.Context) -> list[str]:
    return list(dict.fromkeys(f"{one.country}/{one.dataset}" for one in _listed(ctx)))


def _members(ctx: click.Context, names: str) -> list[str]:
    country, dataset, _ = names.split("/", 2)
    found = _listed(ctx, country, dataset, members=True)
    return [f"{country}/{dataset}/{member.name}" for one in found for member in one.members]


def _listed(ctx: click.Context, *place: str, members: bool = False) -> list[Any]:
    from pe_data.read.listing import Listed, list_store

    try:
        options = Options.of(store=ctx.params.get("store"), cache=ctx.params.get("cache"), offline=True)
        return [one for one in list_store(options, *place, members=members) if isinstance(one, Listed)]
    except (PeDataError, OSError):
        return []
