"""Payloads of a store that were found right, each with the version of its object.

The memory belongs to the one who checks, not to the store: an object that has not changed since
need not be read again.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pe_data.documents.fields import Fields
from pe_data.errors import InvalidDocumentError
from pe_data.files.atomic import beside
from pe_data.names.digests import canonical_json, strict_json
from pe_data.store.base import ObjectMeta


class Verified:
    """What one check found right."""

    def __init__(self, versions: Mapping[str, str] | None = None) -> None:
        """`versions` is one text per key; nothing by default."""
        self._versions = dict(versions or {})

    @classmethod
    def load(cls, path: Path, url: str) -> "Verified":
        """What earlier checks of the store at `url` found right; anything unreadable counts as nothing."""
        with suppress(FileNotFoundError, InvalidDocumentError):
            fields = Fields.of(strict_json(path.read_bytes(), what=str(path)), str(path))
            if fields.text("store") == url:
                return cls(fields.text_map("verified"))
        return cls()

    def save(self, path: Path, url: str) -> None:
        """Write everything to `path`, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = beside(path)
        with temporary.open("xb") as handle:
            handle.write(canonical_json({"schema_version": 1, "store": url, "verified": self._versions}))
        temporary.replace(path)

    def unchanged(self, meta: ObjectMeta) -> bool:
        """Whether this very version of the object was found right."""
        return self._versions.get(meta.key) == _version(meta)

    def add(self, meta: ObjectMeta) -> None:
        """Remember that this version is right."""
        self._versions[meta.key] = _version(meta)


def _version(meta: ObjectMeta) -> str:
    return f"{meta.size} {meta.modified.isoformat()} {meta.token.e_tag or ''} {meta.token.version or ''}"
