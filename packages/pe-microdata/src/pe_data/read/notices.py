"""What is told of the gated datasets of a store to everybody: name, licence and how to apply."""

from collections.abc import Container

from pe_data.documents.collection import NOTHING, licensed
from pe_data.documents.manifest import Manifest
from pe_data.documents.notice import Notice, is_gated
from pe_data.documents.pointer import PointerBody
from pe_data.errors import ObjectNotFoundError
from pe_data.read.channels import list_channels, read
from pe_data.store.artifacts import read_collection, read_manifest
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
            notice = notice_in(store, read(store, address.country, address.dataset).body)
            if notice is not None:
                found.append(notice)
    return found


def notice_in(store: Store, body: PointerBody) -> Notice | None:
    """The notice of what a channel stands at, with the licence of its first file; None if it is public."""
    country = body.country
    try:
        manifest = _first(store, body)
    except ObjectNotFoundError:  # swept away: what is told of it is what the table says
        manifest = None
    if not is_gated(country, manifest.access if manifest else None):
        return None
    return Notice.of(country, body.dataset, manifest.licence if manifest else None)


def _first(store: Store, body: PointerBody) -> Manifest | None:
    """The manifest of the file, or of the first one of a collection, with the licence in force."""
    sha256, bound, about = body.artifact_sha256, body.manifest_sha256, NOTHING
    if body.is_collection:
        found = read_collection(store, body.country, sha256)
        if found is None or not found[0].members:
            return None
        row = found[0].members[min(found[0].members)]
        sha256, bound, about = row.artifact_sha256, row.manifest_sha256, row.about
    return licensed(read_manifest(store, body.country, sha256, bound).manifest, about)
