"""A store on top of one `obstore` client: S3, GCS, Azure and memory are this class as it is.

Conditional writes are the server's: `If-None-Match`/`If-Match` on S3 and Azure, generations on
GCS. Whether the server honours them is for `pe_data.store.probe` to find out.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from obstore.store import AzureStore, GCSStore, HTTPStore, LocalStore, MemoryStore, S3Store

from pe_data.errors import InvalidDocumentError, ObjectNotFoundError, RangeNotSupportedError, VersionMismatchError
from pe_data.names.digests import check_bytes
from pe_data.store.base import DOCUMENT_LIMIT, Content, ObjectMeta, Store, StoredDocument, VersionToken
from pe_data.store.byte_source import PIECE_BYTES, Body
from pe_data.store.pace import PACE, Pace, TooSlowError, metered
from pe_data.store.translate import translated

if TYPE_CHECKING:
    import obstore

Client = AzureStore | GCSStore | HTTPStore | LocalStore | MemoryStore | S3Store

CHANGED = "The file changed after it was hashed; nothing was written. Publish again."
LIST_CHUNK = 1000
DOCUMENT_PIECE = 64 * 1024
"""Bytes; most documents are shorter."""
SMALL_WRITE = 1024 * 1024
"""Writes up to this size, in bytes, go through the client with the short limits."""


class ObjectStore(Store):
    """A store whose reads and conditional writes are those of an `obstore` client."""

    def __init__(self, client: Client, url: str, *, uploader: Callable[[int], Client] | None = None) -> None:
        """Wrap `client`.

        Args:
            client: For everything but large writes.
            url: Address for messages.
            uploader: Gives the client for a write of so many bytes. The limit on waiting for an
                answer counts from the beginning of a request, so that a client with a short one
                cannot send a large body over a slow line.
        """
        self.client = client
        self.url = url
        self._uploader = uploader

    # --- reading ------------------------------------------------------------------------------

    def get(self, key: str, *, max_bytes: int = DOCUMENT_LIMIT) -> StoredDocument:
        meta, body = self._whole(key)
        read, data, buffer = metered(body.readinto, PACE), bytearray(), memoryview(bytearray(DOCUMENT_PIECE))
        with body:
            try:
                while len(data) <= max_bytes and (count := read(buffer)):
                    data += buffer[:count]
            except TooSlowError as error:
                raise TooSlowError(f"{self.url}: {key}: {error}") from error
        if len(data) > max_bytes:
            raise InvalidDocumentError(
                f"{self.url}: {key}: expected a document of at most {max_bytes} bytes, found a larger one"
            )
        return StoredDocument(bytes(data), meta)

    def head(self, key: str) -> ObjectMeta:
        with translated(self.url, key):
            return _meta(self.client.head(key))

    def open(self, key: str, start: int = 0, length: int | None = None, pace: Pace | None = None) -> Body:
        if length == 0:
            return Body.of(b"")
        wanted: obstore.GetOptions = {"range": {"offset": start} if length is None else (start, start + length)}
        whole = start == 0 and length is None
        try:
            with translated(self.url, key):
                result, begins = self.client.get(key, options=None if whole else wanted), start
        except RangeNotSupportedError:
            with translated(self.url, key):
                result, begins = self.client.get(key), 0
        read = self._reader(key, result, PIECE_BYTES)
        return Body(read, total=result.meta["size"], start=start, length=length, begins=begins)

    def _whole(self, key: str) -> tuple[ObjectMeta, Body]:
        """A document and its version, in pieces as they come, so that their pace can be seen."""
        with translated(self.url, key):
            result = self.client.get(key)
        return _meta(result.meta), Body(self._reader(key, result, 1), total=result.meta["size"])

    def _reader(self, key: str, result: "obstore.GetResult", least: int) -> Callable[[memoryview], int]:
        """Fills buffers with what comes, in pieces of at least so many bytes."""
        pieces, rest = iter(result.stream(min_chunk_size=least)), memoryview(b"")

        def read(buffer: memoryview) -> int:
            nonlocal rest
            while not rest:
                with translated(self.url, key):
                    piece = next(pieces, None)
                if piece is None:
                    return 0
                rest = memoryview(piece).cast("B")
            count = min(len(buffer), len(rest))
            buffer[:count] = rest[:count]
            rest = rest[count:]
            return count

        return read

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        with translated(self.url, prefix):
            for chunk in self.client.list(prefix.rstrip("/") or None, chunk_size=LIST_CHUNK):
                yield from (_meta(entry) for entry in chunk)

    # --- writing ------------------------------------------------------------------------------

    def put_create(self, key: str, content: Content) -> VersionToken:
        data = _bytes_of(content)
        client = self._client_for(len(data))
        with translated(self.url, key):
            return _token(client.put(key, data, mode="create", use_multipart=False))

    def put_again(self, key: str, content: Content) -> None:
        data = _bytes_of(content)
        client = self._client_for(len(data))
        with translated(self.url, key):
            client.put(key, data, use_multipart=False)

    def _client_for(self, size: int) -> Client:
        if self._uploader is None or size <= SMALL_WRITE:
            return self.client
        return self._uploader(size)

    def put_swap(self, key: str, data: bytes, expected: VersionToken) -> VersionToken:
        version: obstore.UpdateVersion = {}
        if expected.e_tag is not None:
            version["e_tag"] = expected.e_tag
        if expected.version is not None:
            version["version"] = expected.version
        try:
            with translated(self.url, key):
                return _token(self.client.put(key, data, mode=version, use_multipart=False))
        except ObjectNotFoundError as error:
            raise VersionMismatchError(f"{self.url}: {key}: the object was deleted by someone else") from error

    def delete(self, key: str) -> None:
        with suppress(ObjectNotFoundError), translated(self.url, key):
            self.client.delete(key)


def memory_store() -> ObjectStore:
    """An empty store in the memory of this process, for tests and trials."""
    return ObjectStore(MemoryStore(), "memory://")


def _bytes_of(content: Content) -> bytes:
    """All of it: a write is one request, for which the client holds the whole body in memory anyway."""
    if isinstance(content, bytes):
        return content
    return check_bytes(content.path.read_bytes(), content.sha256, what=str(content.path), advice=CHANGED)


def _token(result: "obstore.PutResult") -> VersionToken:
    return VersionToken(result.get("e_tag"), result.get("version"))


def _meta(meta: "obstore.ObjectMeta") -> ObjectMeta:
    token = VersionToken(meta["e_tag"], meta["version"])
    return ObjectMeta(meta["path"], meta["size"], meta["last_modified"], token)
