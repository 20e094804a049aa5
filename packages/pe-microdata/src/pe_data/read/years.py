"""Verified copies of a dataset for given years, in a folder of the user's."""

import os
from pathlib import Path

from pe_data.describe.file import file_extension
from pe_data.errors import InputError
from pe_data.files.place import place
from pe_data.names.countries import access_of
from pe_data.names.uri import StoreUri, parse_uri
from pe_data.read.lookup import opened
from pe_data.read.options import Options


def place_years(
    name: str, uri: "str | os.PathLike[str]", years: tuple[int, ...], folder: Path, options: Options
) -> dict[str, Path]:
    """`{name}_year_{year}` → a verified copy in `folder`, for years that the data covers.

    Raises InputError before anything is downloaded where a manifest tells, and
    CacheError if `folder` cannot be written. A copy of gated data is its reader's alone.
    """
    entry, brought = opened(uri, options)
    covered = entry.manifest.time_period
    other = next((year for year in years if year not in covered), None)
    if other is not None:
        raise InputError(
            f"{uri}: year: expected one of {', '.join(map(str, covered))}, which the data covers, found {other}. "
            "Ageing data to another year is the work of the country model"
        )
    source, sha256 = brought(), entry.manifest.artifact.sha256
    extension = file_extension(source)
    parsed = parse_uri(uri)
    gated = isinstance(parsed, StoreUri) and access_of(parsed.country) == "gated"
    targets = {(key := f"{name}_year_{year}"): folder / f"{key}.{extension}" for year in years}
    return {key: place(source, sha256, target, private=gated) for key, target in targets.items()}
