"""A read-only mirror behind a plain HTTP server, with or without range requests."""

from collections.abc import Iterator

from obstore.store import HTTPStore

from pe_data.errors import ListingNotSupportedError, RangeNotSupportedError
from pe_data.store.base import ObjectMeta, ReadOnlyStore
from pe_data.store.objects import ObjectStore
from pe_data.store.translate import translated
from pe_data.store.web_source import WebSource


class HttpStore(ReadOnlyStore, ObjectStore):
    """Objects below a base address; every write and the listing are refused by name."""

    listable = False
    read_only_because = "an HTTP mirror is read-only; write to the folder or bucket that it serves"

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

    def direct_source(self, key: str) -> WebSource:
        return WebSource(f"{self.url.rstrip('/')}/{key}", self.url)

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        raise ListingNotSupportedError(
            f"{self.url}: a plain HTTP mirror cannot list its objects; name the artifact or the "
            "channel, or use the store that the mirror was made from"
        )
