"""Open a store by its address."""

import functools
import math
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store

from pe_data.errors import InvalidNameError
from pe_data.store.base import Store, Timeouts
from pe_data.store.folder import FolderStore
from pe_data.store.objects import Client, ObjectStore, memory_store
from pe_data.store.translate import short

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

SCHEMES = ("file", "s3", "gs", "az", "https", "http", "gateway+https", "gateway+http", "memory")
EXAMPLES = (
    "a folder (./store), s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, "
    "https://host/prefix, gateway+https://host/prefix or memory://"
)


def open_store(
    url: str,
    *,
    options: Mapping[str, str] | None = None,
    timeouts: Timeouts | None = None,
) -> Store:
    """Open the store at `url`; nothing is read or written yet.

    Args:
        url: A folder (with or without `file://`), `s3://`, `gs://`, `az://`, `https://`,
            `http://`, `gateway+https://` or `memory://`.
        options: Backend settings by the names of `obstore` (`endpoint`, `region`,
            `access_key_id`, `account_name`, …). Whatever is not given comes from the
            environment (`AWS_*`, `AZURE_*`, `GOOGLE_*`).
        timeouts: Limits on waiting.

    Raises:
        InvalidNameError: if the scheme is unknown, a part is missing, or a setting is wrong.
    """
    limits = timeouts or Timeouts()
    settings = dict(options or {})
    scheme, separator, _ = url.partition("://")
    if not separator:
        return FolderStore(_folder(url, url), timeouts=limits)
    parts = urlsplit(url)
    if parts.query or parts.fragment or parts.username or parts.password:
        raise InvalidNameError(
            f"store address {scheme}://{parts.hostname or ''}{parts.path}: no user, query or "
            "fragment belongs here; hand credentials over in the environment"
        )
    if scheme == "file":
        if parts.netloc:
            raise InvalidNameError(f"store address {url!r}: a folder needs three slashes, file:///folder")
        return FolderStore(_folder(unquote(parts.path), url), timeouts=limits)
    if scheme == "memory":
        return memory_store()
    if scheme not in SCHEMES:
        raise InvalidNameError(f"store address {url!r}: unknown scheme {scheme!r}; expected {EXAMPLES}")
    if not parts.hostname:
        raise InvalidNameError(f"store address {url!r}: expected a bucket, container or host after {scheme}://")
    if scheme.startswith("gateway+"):
        from pe_data.store.gateway import GatewayStore

        return GatewayStore(url, timeouts=limits)

    @functools.cache
    def upload_client(seconds: int) -> Client:
        limit = timedelta(seconds=seconds)
        return _client(scheme, url, settings, replace(limits, read=limit, request=limit))

    def uploader(size: int) -> Client:
        seconds = limits.read.total_seconds() + size / limits.slowest_upload
        # Powers of two, so that all files share a few clients and their connections.
        return upload_client(2 ** math.ceil(math.log2(max(seconds, 1))))

    try:
        client = _client(scheme, url, settings, limits)
    except (BaseError, ValueError) as error:
        raise InvalidNameError(f"store address {url!r}: {short(error)}") from error
    if isinstance(client, HTTPStore):
        from pe_data.store.http import HttpStore

        return HttpStore(client, url)
    return ObjectStore(client, url, uploader=uploader)


def _folder(text: str, url: str) -> Path:
    if not text:
        raise InvalidNameError(f"store address {url!r} is empty; expected {EXAMPLES}")
    return Path(text).expanduser()


def _client(scheme: str, url: str, settings: dict[str, str], limits: Timeouts) -> Client:
    parts = urlsplit(url)
    prefix = unquote(parts.path).strip("/") or None
    retry: RetryConfig = {"max_retries": limits.retries, "retry_timeout": limits.retry}
    web: ClientConfig = {
        "connect_timeout": limits.connect,
        "read_timeout": limits.read,
        "timeout": limits.request,
    }
    addresses = (url, settings.get("endpoint", ""), settings.get("base_url", ""))
    cloud = {"s3": "AWS", "az": "AZURE", "gs": "GOOGLE"}.get(scheme, "")
    allowed = os.environ.get(f"{cloud}_ALLOW_HTTP", "").lower() in ("1", "true")
    if any(address.startswith("http://") for address in addresses) or allowed:
        web["allow_http"] = True
    kinds: dict[str, type[S3Store | GCSStore | AzureStore]] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
    if scheme not in kinds:
        return HTTPStore.from_url(url, client_options=web, retry_config=retry)
    config = cast("Any", settings)  # each kind has names of its own
    return kinds[scheme](parts.netloc, prefix=prefix, config=config, client_options=web, retry_config=retry)
