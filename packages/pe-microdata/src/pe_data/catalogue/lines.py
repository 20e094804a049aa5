"""Lines that fetch a file or a collection, for Python, R and a shell."""

import json
import shlex
from dataclasses import replace
from typing import NamedTuple

from pe_data.names.digests import Sha256
from pe_data.names.keys import payload_key
from pe_data.names.uri import StoreUri


class Lines(NamedTuple):
    """What to type in one language."""

    language: str
    text: str


def of_file(uri: StoreUri, sha256: Sha256, extension: str, store: str | None) -> list[Lines]:
    """For one file.

    Args:
        uri: Its address.
        store: Address of the store for readers; None if they have it in their configuration.
    """
    name = uri.name
    python = (
        f'import pe_data\n\naddress = "{uri}"\npath = pe_data.ensure(address{_argument(store)})  # a verified file\n'
    )
    python += f"frames = pe_data.open(address{_argument(store)})  # person, household, … as data frames"
    shell = f"pe-data ensure '{uri}'{_option(store)}"
    if store is not None and store.startswith(("https://", "http://")):
        file = f"{name}.{extension}"
        place = f"{store.rstrip('/')}/{payload_key(uri.country, sha256, extension)}"
        shell += f"\n\n# or without pe-data\ncurl --fail --location --output {file} {shlex.quote(place)}\n"
        shell += f"echo '{sha256}  {file}' | sha256sum --check"
    return [Lines("Python", python), Lines("R", _in_r(uri, store)), Lines("Shell", shell)]


def of_collection(uri: StoreUri, example: str, store: str | None) -> list[Lines]:
    """For all files of a collection.

    Args:
        uri: Its address.
        example: A member.
        store: As for `of_file`.
    """
    name = uri.dataset
    python = f'import pe_data\n\naddress = "{uri}"\n'
    python += f'paths = pe_data.fetch(address, to="{name}"{_argument(store)})  # all files'
    shell = f"pe-data fetch '{uri}' --to {name}{_option(store)}"
    folder = example.rpartition("/")[0]
    if folder:
        shell += f"\npe-data fetch '{uri}' --members '{folder}/*' --to {name}{_option(store)}  # some"
    return [
        Lines("Python", python),
        Lines("R", f"# one file; the page of each has its own lines\n{_in_r(replace(uri, member=example), store)}"),
        Lines("Shell", shell),
    ]


def of_diff(dataset: str, before: int, after: int, store: str | None) -> str:
    """All that changed between two versions of a dataset (`us/local_areas`), with the values."""
    return f"pe-data diff {dataset}@v{before} {dataset}@v{after} --deep{_option(store)}"


def _in_r(uri: StoreUri, store: str | None) -> str:
    more = "" if store is None else f', "--store", shQuote({json.dumps(store, ensure_ascii=False)})'
    return (
        f'address <- "{uri}"\n'
        f'system2("pe-data", c("export", shQuote(address), "--to", "csv", "--out", "{uri.name}"{more}))\n'
        f'source("{uri.name}/read.R", encoding = "UTF-8")\n'
        f'tables <- read_tables("{uri.name}")  # a data frame for each entity, with labels'
    )


def _argument(store: str | None) -> str:
    return "" if store is None else f", store={store!r}"


def _option(store: str | None) -> str:
    return "" if store is None else f" --store {shlex.quote(store)}"
