"""A read-only mirror behind a plain HTTP server, with or without range requests."""

from collections.abc import Iterator
from pathlib import Path

from obstore.store import HTTPStore

from pe_data.digests import Sha256
from pe_data.errors import ListingNotSupportedError, RangeNotSupportedError, StoreReadOnlyError
from pe_data.store.base import ObjectMeta, VersionToken
from pe_data.store.objects import ObjectStore
from pe_data.store.translate import translated


class HttpStore(ObjectStore):
    """Objects below a base address; every write and the listing are refused by name."""

    writable = False
    listable = False

    def __init__(self, client: HTTPStore, url: str) -> None:
        super().__init__(client, url)
        self._ranges: bool | None = None

    def supports_ranges(self, key: str) -> bool:
        if self._ranges is None:
            try:
                with translated(self.url, key):
                    self.client.get_range(key, start=0, length=1)
                self._ranges = True
            except RangeNotSupportedError:
                self._ranges = False
        return self._ranges

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        raise ListingNotSupportedError(
            f"{self.url}: a plain HTTP mirror cannot list its objects; name the artifact or the "
            "channel, or use the store that the mirror was made from"
        )

    def put_create(self, key: str, data: bytes) -> VersionToken:
        raise self._read_only(key)

    def put_create_file(self, key: str, path: Path, sha256: Sha256) -> VersionToken:
        raise self._read_only(key)

    def put_swap(self, key: str, data: bytes, expected: VersionToken) -> VersionToken:
        raise self._read_only(key)

    def delete(self, key: str) -> None:
        raise self._read_only(key)

    def _read_only(self, key: str) -> StoreReadOnlyError:
        return StoreReadOnlyError(
            f"{self.url}: {key}: an HTTP mirror is read-only; write to the folder or bucket that it serves"
        )
