"""What is told of the gated datasets of a store to everybody: name, licence and how to apply."""

from collections.abc import Container
from contextlib import suppress

from pe_data.documents.collection import licensed
from pe_data.documents.notice import Notice, is_gated
from pe_data.errors import ObjectNotFoundError
from pe_data.read.channels import list_channels
from pe_data.read.history import versions
from pe_data.store.artifacts import read_manifest
from pe_data.store.base import Store


def notices(store: Store, countries: Container[str] | None = None) -> list[Notice]:
    """The notices of the datasets of a store that are gated now, by country and name, whoever asks.

    Args:
        countries: Only of these.

    Raises:
        ListingNotSupportedError: on a plain HTTP mirror.
        StoreError, InvalidDocumentError, DigestMismatchError: something of the store cannot be read, or is damaged.
    """
    found = []
    for address in sorted(list_channels(store), key=lambda one: (one.country, one.dataset)):
        if address.channel == "latest" and (countries is None or address.country in countries):
            notice = notice_in(store, address.country, address.dataset)
            if notice is not None:
                found.append(notice)
    return found


def notice_in(store: Store, country: str, dataset: str) -> Notice | None:
    """The notice of what `latest` stands at, with the licence of its first file; None if it is public."""
    rows = next(versions(store, country, dataset)).rows
    manifest = None
    with suppress(ObjectNotFoundError):  # swept away: what is told of it is what the table says
        if rows:
            row = rows[min(rows)]
            found = read_manifest(store, country, row.artifact_sha256, row.manifest_sha256)
            manifest = licensed(found.manifest, row.about)
    if not is_gated(country, manifest.access if manifest else None):
        return None
    return Notice.of(country, dataset, manifest.licence if manifest else None)
