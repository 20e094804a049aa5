"""Read the data-release block of a file, of today's form or the earlier one."""

from collections.abc import Mapping
from pathlib import Path

from pe_data.certify.earlier_release import EarlierRelease
from pe_data.certify.release import OWN_KEY, DataRelease
from pe_data.names.digests import read_named, strict_json


def read_release(path: Path) -> DataRelease | EarlierRelease:
    """The data-release block in a file. Raises as `read_named`, and InvalidDocumentError if it is no such block."""
    return parse_release(strict_json(read_named(path), what=str(path)), str(path))


def parse_release(document: Mapping[str, object], what: str) -> DataRelease | EarlierRelease:
    """The same for what `strict_json` has read. Raises InvalidDocumentError if it is no such block."""
    return (EarlierRelease if is_earlier(document) else DataRelease).from_json(document, what)


def is_earlier(document: Mapping[str, object]) -> bool:
    """Whether it has the form in which everything stood at the top."""
    return "nominations" in document and OWN_KEY not in document
