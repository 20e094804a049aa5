"""Read the data-release block of a file, of today's form or the earlier one."""

from collections.abc import Mapping
from pathlib import Path

from pe_data.certify.earlier_release import EarlierRelease
from pe_data.certify.release import OWN_KEY, DataRelease
from pe_data.errors import InputError, InvalidDocumentError
from pe_data.names.digests import strict_json

RELEASE_LIMIT = 64 * 1024 * 1024
"""Largest file of a release that is read, in bytes."""


def read_release(path: Path) -> DataRelease | EarlierRelease:
    """The data-release block in a file. Raises as `release_bytes`, and InvalidDocumentError if it is no such block."""
    return parse_release(strict_json(release_bytes(path), what=str(path)), str(path))


def parse_release(document: Mapping[str, object], what: str) -> DataRelease | EarlierRelease:
    """The same for what `strict_json` has read. Raises InvalidDocumentError if it is no such block."""
    return (EarlierRelease if is_earlier(document) else DataRelease).from_json(document, what)


def is_earlier(document: Mapping[str, object]) -> bool:
    """Whether it has the form in which everything stood at the top."""
    return "nominations" in document and OWN_KEY not in document


def release_bytes(path: Path) -> bytes:
    """What is in the file of a release.

    Raises:
        InputError: it cannot be read.
        InvalidDocumentError: it is larger than any release.
    """
    try:
        with path.open("rb") as handle:
            raw = handle.read(RELEASE_LIMIT + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(raw) > RELEASE_LIMIT:
        raise InvalidDocumentError(f"{path}: expected at most {RELEASE_LIMIT} bytes, found more")
    return raw
