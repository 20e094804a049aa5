"""Verified copies of a dataset for given years, in a folder of the user's."""

import os
from pathlib import Path

from pe_data.describe.file import Label, describe, file_extension
from pe_data.errors import InputError
from pe_data.files.place import place
from pe_data.names.countries import access_of
from pe_data.names.digests import Sha256, sha256_file
from pe_data.names.uri import StoreUri, parse_uri
from pe_data.read.lookup import entry_for
from pe_data.read.options import Options
from pe_data.read.resolver import ensure_with


def place_years(
    name: str, uri: "str | os.PathLike[str]", years: tuple[int, ...], folder: Path, options: Options
) -> dict[str, Path]:
    """`{name}_year_{year}` → a verified copy in `folder`, for years that the data covers.

    Raises InputError before anything is downloaded where a manifest tells, and
    CacheError if `folder` cannot be written. A copy of gated data is its reader's alone.
    """
    parsed = parse_uri(uri)
    covered: tuple[int, ...] = ()
    if isinstance(parsed, StoreUri):
        covered = entry_for(uri, options).manifest.time_period
        _check(uri, years, covered)
    source = ensure_with(uri, options)
    sha256 = Sha256(source.stem) if isinstance(parsed, StoreUri) else parsed.sha256 or sha256_file(source)
    if not covered:
        covered = describe(source, Label("xx", "file"), sha256=sha256).time_period
        _check(uri, years, covered)
    extension = file_extension(source)
    gated = isinstance(parsed, StoreUri) and access_of(parsed.country) == "gated"
    targets = {(key := f"{name}_year_{year}"): folder / f"{key}.{extension}" for year in years}
    return {key: place(source, sha256, target, private=gated) for key, target in targets.items()}


def _check(uri: "str | os.PathLike[str]", years: tuple[int, ...], covered: tuple[int, ...]) -> None:
    for year in years:
        if year not in covered:
            listed = ", ".join(map(str, covered))
            raise InputError(
                f"{uri}: year: expected one of {listed}, which the data covers, found {year}. "
                "Ageing data to another year is the work of the country model"
            )
