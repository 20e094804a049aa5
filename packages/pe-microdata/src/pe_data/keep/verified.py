"""Remember which payloads `fsck` found right, by the version of the object.

The memory belongs to the one who checks, not to the store: an object that has not changed since
need not be read again.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pe_data.documents.document import Document, Text
from pe_data.errors import InvalidDocumentError
from pe_data.files.atomic import replace_file
from pe_data.store.base import ObjectMeta


class Memory(Document, frozen=True):
    """The file: key → version of its object."""

    store: Text
    verified: Mapping[str, str]


def load(path: Path, url: str) -> Mapping[str, str]:
    """What earlier checks of the store at `url` found right, as `save` got it; anything unreadable is nothing."""
    with suppress(FileNotFoundError, InvalidDocumentError):
        found = Memory.from_bytes(path.read_bytes(), str(path))
        if found.store == url:
            return found.verified
    return {}


def save(path: Path, url: str, verified: Mapping[str, str]) -> None:
    """Write key → version of what is right, whole or not at all."""
    replace_file(path, Memory(url, verified).to_bytes(), sync=False)


def version_of(meta: ObjectMeta) -> str:
    """One text for a version of an object."""
    return f"{meta.size} {meta.modified.isoformat()} {meta.token.e_tag or ''} {meta.token.version or ''}"
