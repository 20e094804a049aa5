"""Store a manifest: plain JSON while it is small, gzip above that.

The identity of a manifest is the sha256 of its plain JSON, so the compressor and its version never
matter. Readers take both forms and stop at `READ_LIMIT` bytes, so that a small hostile file cannot
unpack into a large one.
"""

import gzip
import zlib

from pe_data.errors import InvalidDocumentError

PLAIN_LIMIT = 2048
"""Manifests up to this size (bytes) are stored as they are."""
READ_LIMIT = 4 << 20
"""No manifest unpacks to more than this (bytes)."""
_MAGIC = b"\x1f\x8b"


def pack(document: bytes) -> bytes:
    """The bytes to store for the plain JSON `document`; the same ones for the same zlib."""
    if len(document) <= PLAIN_LIMIT:
        return document
    return gzip.compress(document, compresslevel=9, mtime=0)


def unpack(stored: bytes, where: str = "manifest") -> bytes:
    """The plain JSON behind `stored`.

    Raises InvalidDocumentError if it is damaged or larger than `READ_LIMIT`.
    """
    if not stored.startswith(_MAGIC):
        if len(stored) > READ_LIMIT:
            raise InvalidDocumentError(f"{where}: expected at most {READ_LIMIT} bytes, found {len(stored)}")
        return stored
    engine = zlib.decompressobj(wbits=31)
    try:
        document = engine.decompress(stored, READ_LIMIT + 1)
    except zlib.error as error:
        raise InvalidDocumentError(f"{where}: expected a whole gzip stream, found {error}") from error
    if len(document) > READ_LIMIT or not engine.eof:
        found = "more" if len(document) > READ_LIMIT else "a stream that is cut short"
        raise InvalidDocumentError(f"{where}: expected at most {READ_LIMIT} bytes unpacked, found {found}")
    if engine.unused_data:
        raise InvalidDocumentError(f"{where}: expected one gzip stream, found bytes after it")
    return document
