"""Build a manifest from a data file of any supported format; reads metadata only.

H5 and Parquet are told apart by their first bytes. `h5py` and `pyarrow` (extra `frames`) are
loaded on use.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pe_data.describe.columns import Content, entities_of
from pe_data.documents.collection import About
from pe_data.documents.dictionary import Variable
from pe_data.documents.manifest import (
    CONVENTIONS_VERSION,
    SCHEMA_VERSION,
    UNKNOWN_BUILD,
    Access,
    Artifact,
    Build,
    Inputs,
    Manifest,
)
from pe_data.errors import InputError, need
from pe_data.names.countries import UNSPECIFIED, access_of
from pe_data.names.digests import Sha256, sha256_file
from pe_data.names.keys import MEDIA_TYPES, Extension

_MAGIC: Mapping[bytes, Extension] = {b"\x89HDF": "h5", b"PAR1": "parquet"}
_YEAR_IN_NAME = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")


@dataclass(frozen=True, slots=True)
class Label:
    """What a manifest says that the file itself does not."""

    country: str
    dataset: str
    licence: str = UNSPECIFIED
    access: Access | None = None
    """None for what is usual in the country."""
    inputs: Inputs | None = None
    build: Build = UNKNOWN_BUILD
    notes: tuple[str, ...] = ()
    """Lines for readers; they stand in the row of a collection, not in a manifest."""
    citation: str | None = None
    """How to cite it; likewise."""

    def about(self) -> About:
        """What the row of a collection says of each file."""
        licence = None if self.licence == UNSPECIFIED else self.licence
        return About(licence=licence, notes=self.notes, citation=self.citation)


def describe(
    path: Path,
    label: Label,
    *,
    years: tuple[int, ...] = (),
    default_years: tuple[int, ...] = (),
    sha256: Sha256 | None = None,
) -> Manifest:
    """The manifest of an H5 (period-grouped or pandas HDFStore) or Parquet file.

    Args:
        path: The file.
        label: Country, dataset, licence and provenance.
        years: Which years the file covers, for one that does not say; of one that says several, which of them. A
            label that contradicts the file would stay with it for good.
        default_years: For a file that declares none; without them a year in the name of the
            dataset counts.
        sha256: The digest if it is known; computed otherwise.

    Raises:
        InputError: neither H5 nor Parquet, damaged, without any year, or of other years than `years`.
        MissingExtraError: the package that reads such files is not installed.
    """
    extension = file_extension(path)
    content = _reader(extension, path)(path)
    check_years(years, content.years, what=str(path))
    covered = years or content.years or default_years or _years_in(label.dataset)
    if not covered:
        raise InputError(
            f"{path}: expected a year in the file or in the dataset's name, found none. "
            "Say which years it covers (--year 2024)."
        )
    artifact = Artifact(sha256 or sha256_file(path), path.stat().st_size, MEDIA_TYPES[extension])
    return manifest_of(label, artifact, content, tuple(sorted(set(covered))))


def dictionary_in(path: Path) -> tuple[Variable, ...]:
    """What an H5 file says of its variables; nothing where it does not.

    Raises:
        MissingExtraError: nothing here reads H5.
        InputError, InvalidDocumentError: what it says cannot be read.
    """
    with path.open("rb") as handle:
        if _MAGIC.get(handle.read(4)) != "h5":
            return ()
    need(f"{path}: looking into it needs", "h5", "h5py", "numpy")
    from pe_data.describe.from_h5 import said_in

    return said_in(path)


def check_years(said: tuple[int, ...], found: tuple[int, ...], *, what: str) -> None:
    """Raise InputError if somebody says years that the file, which says its own, does not have."""
    wrong = sorted(set(said) - set(found))
    if found and wrong:
        raise InputError(
            f"{what}: year: expected {' or '.join(map(str, sorted(found)))}, as the periods in the file say, found "
            f"{', '.join(map(str, wrong))}. Leave the year out (--year is for a file that does not say)"
        )


def _reader(extension: Extension, path: Path) -> Callable[[Path], Content]:
    if extension == "h5":
        need(f"{path}: looking into it needs", "h5", "h5py", "numpy")
        from pe_data.describe.from_h5 import read_h5

        return read_h5
    need(f"{path}: looking into it needs", "frames", "pyarrow")
    from pe_data.describe.from_parquet import read_parquet

    return read_parquet


def manifest_of(
    label: Label,
    artifact: Artifact,
    content: Content,
    years: tuple[int, ...],
    conventions: Mapping[str, str] = MappingProxyType({}),
) -> Manifest:
    """Put label, file and content together."""
    manifest = Manifest(
        artifact=artifact,
        country=label.country,
        dataset=label.dataset,
        time_period=years,
        entities=entities_of(content.columns, content.rows),
        inputs=label.inputs,
        build=label.build,
        licence=label.licence,
        status="active",
        access=label.access or access_of(label.country),
        schema_version=CONVENTIONS_VERSION if conventions else SCHEMA_VERSION,
        conventions=dict(conventions),
    )
    return manifest.explained(content.dictionary)


def file_extension(path: Path) -> Extension:
    """`h5` or `parquet` by the first bytes of a file; InputError for anything else."""
    try:
        with path.open("rb") as handle:
            start = handle.read(4)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if start not in _MAGIC:
        raise InputError(f"{path}: expected an H5 or Parquet file, found one that starts with {start!r}")
    return _MAGIC[start]


def _years_in(dataset: str) -> tuple[int, ...]:
    return tuple(int(year) for year in _YEAR_IN_NAME.findall(dataset.replace("_", " ")))
