"""A single file behind http or https.

With a digest the file is an artifact like any other: cached by sha256, resumed, fetched once.
Without one nothing says what the right bytes are, and the server's word has to do: the file is
fetched again when the server's `ETag` or date changed, and a warning gives the digest to pin.
"""

import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

from pe_data.cache.fetch import Progress, Wanted, fetch, no_progress, receive
from pe_data.cache.part import Part
from pe_data.documents.document import Digest, Document, Size, Text
from pe_data.errors import (
    CacheWarning,
    FetchError,
    InvalidDocumentError,
    OfflineError,
    StoreError,
)
from pe_data.files.atomic import write_atomic
from pe_data.files.locks import exclusive
from pe_data.names.digests import check_digest, read_kept, sha256_bytes
from pe_data.names.keys import Extension
from pe_data.names.uri import WebUri
from pe_data.read.options import Options
from pe_data.read.revoked import refuse_remembered
from pe_data.store.byte_source import Body, Source
from pe_data.store.web_source import Web

LONGEST = 16 << 30
"""Bytes of a file whose size nobody vouches for; a server may send for ever."""


class _Record(Document, frozen=True):
    """What is known about an address without a digest."""

    HEAD: ClassVar[Mapping[str, int | str]] = {}
    url: Text
    sha256: Digest
    size: Size
    validator: Text


def ensure_web(uri: WebUri, options: Options) -> Path:
    """The verified file in the cache. Raises PeDataError."""
    if uri.sha256:
        cached = options.cache.find(uri.sha256, verify=options.verify)
        refuse_remembered(uri, uri.sha256, options, cached=cached is not None)
        if cached is not None:
            return cached
    if options.offline:
        return _offline(uri, options)
    source = Source(uri.url.partition("?")[0], partial(Web().open, uri.url, str(uri)))
    try:
        with source.open() as body:
            if uri.sha256 is None or body.total is None:
                return _ensure_streamed(uri, body, options)
            size = body.total
    except StoreError as error:
        raise FetchError(str(error)) from error
    wanted = Wanted(uri.sha256, _suffix(uri.url), size, str(uri))
    return fetch(options.cache, wanted, [source], options.tuning()).path


def _ensure_streamed(uri: WebUri, body: Body, options: Options) -> Path:
    """Without digest or size: believe the server's validator, or read the body to its end."""
    cache = options.cache
    record = _read_record(options, uri.url)
    if record and uri.sha256 is None and body.validator == record.validator:
        cached = cache.find(record.sha256, verify=options.verify)
        if cached is not None and body.total in (None, record.size):
            refuse_remembered(uri, record.sha256, options, cached=True)
            return cached
    name = sha256_bytes(uri.url.encode())
    path = cache.partial(name, "web")
    with exclusive(cache.paths.lock(name)):
        with Part(path, most=0) as part:
            try:
                _receive(uri, part, body, options.progress or no_progress)
                size, sha256 = part.size, part.digest()
                if uri.sha256 is not None:
                    check_digest(sha256, uri.sha256, what=str(uri), advice="The file was not stored.")
                refuse_remembered(uri, sha256, options, cached=False)
                part.sync()
                adopted = cache.adopt(path, sha256, _suffix(uri.url))
            finally:
                path.unlink(missing_ok=True)
        cache.stamp(adopted)
    if uri.sha256 is None:
        if body.validator:
            record = _Record(uri.url.partition("?")[0], sha256, size, body.validator)
            write_atomic(cache.paths.web_record(uri.url), record.to_bytes())
        warnings.warn(
            f"{uri}: nothing says what the right bytes are. Pin them: {uri.url}#sha256={sha256}",
            CacheWarning,
            stacklevel=4,
        )
    return adopted


def _receive(uri: WebUri, part: Part, body: Body, progress: Progress) -> None:
    """Read to the end of a body that no digest vouches for, but not for ever."""
    if body.total is None or body.total <= LONGEST:
        for there in receive(part, body, body.total):
            if there > LONGEST:
                break
            progress(there, body.total)
        else:
            return
    raise FetchError(f"{uri}: found more bytes than a file without a digest may have. Give its digest (#sha256=…)")


def _offline(uri: WebUri, options: Options) -> Path:
    record = _read_record(options, uri.url)
    if options.allow_stale and record and uri.sha256 is None:
        cached = options.cache.find(record.sha256, verify=options.verify)
        if cached is not None:
            refuse_remembered(uri, record.sha256, options, cached=True)
            warnings.warn(
                f"{uri}: STALE: offline, using the bytes fetched last (sha256 {record.sha256})",
                CacheWarning,
                stacklevel=4,
            )
            return cached
    raise OfflineError(
        f"{uri}: the cache does not have it, and the network is forbidden (offline). Pin it with "
        "#sha256=… once it is cached"
    )


def _suffix(url: str) -> Extension:
    return "parquet" if url.partition("?")[0].endswith(".parquet") else "h5"


def _read_record(options: Options, url: str) -> _Record | None:
    raw = read_kept(options.cache.paths.web_record(url))
    try:
        return _Record.from_bytes(raw or b"")
    except InvalidDocumentError:
        return None
