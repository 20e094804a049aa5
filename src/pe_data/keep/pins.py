"""Pins: an operator's word that an artifact stays, whatever the channels say.

Release bundles pin artifacts by digest, and a store cannot know that. An operator who runs the
garbage collection therefore pins here what bundles refer to.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from pe_data.documents.fields import Fields
from pe_data.errors import ObjectExistsError, ObjectNotFoundError
from pe_data.names.digests import Sha256, canonical_json, strict_json
from pe_data.names.keys import PINS_PREFIX, collection_key, manifest_key, pin_key
from pe_data.names.times import format_time
from pe_data.store.base import Store
from pe_data.write.marks import rescue


@dataclass(frozen=True, slots=True)
class Pin:
    """One pinned artifact."""

    country: str
    sha256: str
    reason: str
    pinned_at: str


def add_pin(store: Store, country: str, sha256: Sha256, *, reason: str, now: datetime) -> bool:
    """Pin an artifact; False if it was pinned before (the first reason stays).

    Raises:
        ObjectNotFoundError: if the store has neither a manifest nor a collection of it.
        ConflictError: if the garbage collection has begun to delete it.
    """
    key = pin_key(country, sha256)
    try:
        store.put_create(
            key,
            canonical_json({"schema_version": 1, "reason": reason, "pinned_at": format_time(now)}),
        )
        added = True
    except ObjectExistsError:
        added = False
    # First the pin, then the look: a collection that starts now already sees the pin.
    rescue(store, country, sha256, now)
    if not any(store.exists(make(country, sha256)) for make in (manifest_key, collection_key)):
        if added:
            store.delete(key)
        raise ObjectNotFoundError(f"{store.url}: there is no artifact sha256:{sha256} of {country} to pin")
    return added


def remove_pin(store: Store, country: str, sha256: Sha256) -> bool:
    """Take a pin away; False if there was none."""
    key = pin_key(country, sha256)
    there = store.exists(key)
    store.delete(key)
    return there


def list_pins(store: Store) -> Iterator[Pin]:
    """Every pin of the store."""
    for meta in store.list(PINS_PREFIX):
        with suppress(ObjectNotFoundError):
            what = f"{store.url}: {meta.key}"
            fields = Fields.of(strict_json(store.get(meta.key).data, what=what), what)
            country, _, name = meta.key.removeprefix(PINS_PREFIX).partition("/")
            yield Pin(country, name.removesuffix(".json"), fields.text("reason"), fields.text("pinned_at"))
