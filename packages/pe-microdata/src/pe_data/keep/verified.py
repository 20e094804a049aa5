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


class Verified:
    """What one check found right."""

    def __init__(self, versions: Mapping[str, str] | None = None) -> None:
        """`versions` is one text per key; nothing by default."""
        self._versions = dict(versions or {})

    @classmethod
    def load(cls, path: Path, url: str) -> "Verified":
        """What earlier checks of the store at `url` found right; anything unreadable counts as nothing."""
        with suppress(FileNotFoundError, InvalidDocumentError):
            found = Memory.from_bytes(path.read_bytes(), str(path))
            if found.store == url:
                return cls(found.verified)
        return cls()

    def save(self, path: Path, url: str) -> None:
        """Write everything to `path`, whole or not at all."""
        replace_file(path, Memory(url, self._versions).to_bytes(), sync=False)

    def unchanged(self, meta: ObjectMeta) -> bool:
        """Whether this very version of the object was found right."""
        return self._versions.get(meta.key) == _version(meta)

    def add(self, meta: ObjectMeta) -> None:
        """Remember that this version is right."""
        self._versions[meta.key] = _version(meta)


def _version(meta: ObjectMeta) -> str:
    return f"{meta.size} {meta.modified.isoformat()} {meta.token.e_tag or ''} {meta.token.version or ''}"
