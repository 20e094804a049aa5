"""A read-only mirror behind a plain HTTP server, with or without range requests."""

from collections.abc import Iterator

from pe_data.errors import ListingNotSupportedError
from pe_data.store.base import ObjectMeta, ReadOnlyStore
from pe_data.store.byte_source import Body
from pe_data.store.objects import Client, ObjectStore
from pe_data.store.pace import Pace
from pe_data.store.web_source import Web


class HttpStore(ReadOnlyStore, ObjectStore):
    """Objects below a base address; every write and the listing are refused by name."""

    listable = False
    read_only_because = "an HTTP mirror is read-only; write to the folder or bucket that it serves"

    def __init__(self, client: Client, url: str) -> None:
        super().__init__(client, url)
        self._web = Web()

    def open(self, key: str, start: int = 0, length: int | None = None, pace: Pace | None = None) -> Body:
        base = self.url.rstrip("/")
        return self._web.open(f"{base}/{key}", f"{self.url}: {key}", start, length, pace=pace)

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        raise ListingNotSupportedError(
            f"{self.url}: a plain HTTP mirror cannot list its objects; name the artifact or the "
            "channel, or use the store that the mirror was made from"
        )
