"""Verified copies of a dataset for given years, in a folder of the user's."""

import os
import shutil
from pathlib import Path

from pe_data.describe.file import Label, describe, file_extension
from pe_data.errors import CacheError, DigestMismatchError, InputError
from pe_data.files.atomic import PLAIN, SECRET, beside
from pe_data.files.private import close_to_others
from pe_data.names.countries import access_of
from pe_data.names.digests import CHUNK_BYTES, Sha256, sha256_file
from pe_data.names.uri import StoreUri, parse_uri
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
        from pe_data.read.remote import Remote

        covered = Remote(parsed, options).manifest.time_period
        _check(uri, years, covered)
    source = ensure_with(uri, options)
    sha256 = sha256_file(source) if not isinstance(parsed, StoreUri) else Sha256(source.stem)
    if not covered:
        covered = describe(source, Label("xx", "file"), sha256=sha256).time_period
        _check(uri, years, covered)
    extension = file_extension(source)
    gated = isinstance(parsed, StoreUri) and access_of(parsed.country) == "gated"
    targets = {(key := f"{name}_year_{year}"): folder / f"{key}.{extension}" for year in years}
    return {key: _copy(source, sha256, target, gated) for key, target in targets.items()}


def _check(uri: "str | os.PathLike[str]", years: tuple[int, ...], covered: tuple[int, ...]) -> None:
    for year in years:
        if year not in covered:
            listed = ", ".join(map(str, covered))
            raise InputError(
                f"{uri}: year: expected one of {listed}, which the data covers, found {year}. "
                "Ageing data to another year is the work of the country model"
            )


def _copy(source: Path, sha256: Sha256, target: Path, gated: bool) -> Path:
    """Put a verified copy at `target`, unless it is there; a different file is replaced."""
    try:
        if target.is_file() and sha256_file(target) == sha256:
            if gated:
                close_to_others(target)
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = beside(target)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            copy = os.open(temporary, flags, SECRET if gated else PLAIN)
            with os.fdopen(copy, "wb") as handle, source.open("rb") as original:
                shutil.copyfileobj(original, handle, CHUNK_BYTES)
                handle.flush()
                os.fsync(handle.fileno())
            found = sha256_file(temporary)
            if found != sha256:
                raise DigestMismatchError(
                    str(source),
                    expected=f"sha256 {sha256}",
                    found=f"sha256 {found}",
                    advice="The file changed in the cache; run `pe-data cache verify`.",
                )
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise CacheError(f"{target}: cannot be written: {error.strerror or error}") from error
    return target
