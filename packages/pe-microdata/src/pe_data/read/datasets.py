"""Fetch several datasets in one call, as country packages do."""

import os
from collections.abc import Iterable
from pathlib import Path

from pe_data.errors import InvalidNameError
from pe_data.names.uri import parse_uri
from pe_data.read.options import Options
from pe_data.read.resolver import ensure_with
from pe_data.read.years import place_years


def ensure_datasets(
    datasets: "str | os.PathLike[str] | Iterable[str | os.PathLike[str]]",
    years: Iterable[int] | None = None,
    data_folder: Path | str = "./data",
    *,
    cache: Path | str | None = None,
    store: Path | str | None = None,
    offline: bool | None = None,
    allow_stale: bool = False,
) -> dict[str, Path]:
    """Resolve and verify several datasets.

    Without `years`: short name → verified file in the cache. With `years`:
    `{name}_year_{year}` → a verified file in `data_folder`, for years that the data covers.

    Raises:
        InputError: for a year that a dataset does not cover.
        PeDataError: whatever `ensure` raises.
    """
    options = Options.of(cache=cache, store=store, offline=offline, allow_stale=allow_stale)
    if isinstance(datasets, str | os.PathLike):
        uris = [datasets]
    elif isinstance(datasets, Iterable):
        uris = list(datasets)
    else:
        raise InvalidNameError(f"datasets: expected addresses, found {type(datasets).__name__}")
    named: dict[str, str | os.PathLike[str]] = {}
    for uri in uris:
        name = parse_uri(uri).name
        if name in named and named[name] != uri:
            raise InvalidNameError(
                f"datasets: expected different names, found {name!r} for both {named[name]} and "
                f"{uri}. Ask for them in two calls"
            )
        named[name] = uri
    if years is None:
        return {name: ensure_with(uri, options) for name, uri in named.items()}
    wanted = tuple(years)
    result: dict[str, Path] = {}
    for name, uri in named.items():
        result |= place_years(name, uri, wanted, Path(data_folder), options)
    return result
