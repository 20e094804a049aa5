"""A store on top of one `obstore` client: S3, GCS, Azure and memory are this class as it is.

Conditional writes are the server's: `If-None-Match`/`If-Match` on S3 and Azure, generations on
GCS. Whether the server honours them is for `pe_data.store.probe` to find out.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from obstore.store import AzureStore, GCSStore, HTTPStore, LocalStore, MemoryStore, S3Store

from pe_data.errors import (
    InvalidDocumentError,
    ObjectNotFoundError,
    RangeNotSupportedError,
    StoreUnavailableError,
    VersionMismatchError,
)
from pe_data.names.digests import Sha256, check_bytes
from pe_data.store.base import (
    DOCUMENT_LIMIT,
    ObjectMeta,
    ObjectStream,
    Store,
    StoredDocument,
    VersionToken,
)
from pe_data.store.pace import PACE, Meter, TooSlowError, clock
from pe_data.store.translate import translated

if TYPE_CHECKING:
    import obstore

Client = AzureStore | GCSStore | HTTPStore | LocalStore | MemoryStore | S3Store

STREAM_BYTES = 4 * 1024 * 1024
"""Smallest piece of a stream; large pieces keep the per-piece cost small."""
LIST_CHUNK = 1000
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
        stream = self._open_document(key)
        buffer, meter = bytearray(), Meter(PACE)
        while True:
            began = clock()
            piece = next(stream.pieces, None)
            if piece is None:
                return StoredDocument(bytes(buffer), stream.meta)
            buffer += piece
            if len(buffer) > max_bytes:
                raise InvalidDocumentError(
                    f"{self.url}: {key}: expected a document of at most {max_bytes} bytes, found a larger one"
                )
            try:
                meter.note(len(piece), clock() - began)
            except TooSlowError as error:
                raise StoreUnavailableError(f"{self.url}: {key}: {error}") from error

    def head(self, key: str) -> ObjectMeta:
        with translated(self.url, key):
            return _meta(self.client.head(key))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        if length <= 0:
            return b""
        try:
            with translated(self.url, key):
                return self.client.get_range(key, start=start, length=length).to_bytes()
        except RangeNotSupportedError:
            return _take(self.open_stream(key, start=start).pieces, length)

    def open_stream(self, key: str, *, start: int = 0) -> ObjectStream:
        if start == 0:
            with translated(self.url, key):
                result = self.client.get(key)
                return ObjectStream(_meta(result.meta), 0, self._pieces(key, result))
        try:
            with translated(self.url, key):
                result = self.client.get(key, options={"range": {"offset": start}})
                return ObjectStream(_meta(result.meta), start, self._pieces(key, result))
        except RangeNotSupportedError:
            whole = self.open_stream(key)
            return ObjectStream(whole.meta, start, _skip(whole.pieces, start))

    def supports_ranges(self, key: str) -> bool:
        return True

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        with translated(self.url, prefix):
            for chunk in self.client.list(prefix.rstrip("/") or None, chunk_size=LIST_CHUNK):
                yield from (_meta(entry) for entry in chunk)

    def _open_document(self, key: str) -> ObjectStream:
        """As `open_stream`, in pieces as they come, so that their pace can be seen."""
        with translated(self.url, key):
            result = self.client.get(key)
            return ObjectStream(_meta(result.meta), 0, self._pieces(key, result, least=1))

    def _pieces(self, key: str, result: "obstore.GetResult", least: int = STREAM_BYTES) -> Iterator[bytes]:
        with translated(self.url, key):
            yield from result.stream(min_chunk_size=least)

    # --- writing ------------------------------------------------------------------------------

    def put_create(self, key: str, data: bytes) -> VersionToken:
        client = self._client_for(len(data))
        with translated(self.url, key):
            return _token(client.put(key, data, mode="create", use_multipart=False))

    def put_create_file(self, key: str, path: Path, sha256: Sha256) -> VersionToken:
        # A conditional write is one request, for which the client holds the whole body in
        # memory anyway; so the digest is taken from exactly the bytes that are sent.
        data = check_bytes(
            path.read_bytes(),
            sha256,
            what=f"{path}",
            advice="The file changed after it was hashed; nothing was written. Publish again.",
        )
        return self.put_create(key, data)

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


def _token(result: "obstore.PutResult") -> VersionToken:
    return VersionToken(result.get("e_tag"), result.get("version"))


def _meta(meta: "obstore.ObjectMeta") -> ObjectMeta:
    token = VersionToken(meta["e_tag"], meta["version"])
    return ObjectMeta(meta["path"], meta["size"], meta["last_modified"], token)


def _skip(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Drop the first `count` bytes of a stream."""
    for piece in pieces:
        if count >= len(piece):
            count -= len(piece)
        else:
            yield memoryview(piece)[count:].tobytes()
            count = 0


def _take(pieces: Iterator[bytes], length: int) -> bytes:
    """The first `length` bytes of a stream; the rest is not read."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        if len(buffer) >= length:
            break
    return bytes(buffer[:length])
