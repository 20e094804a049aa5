"""Pins: artifacts that an operator keeps, whatever the channels lead to.

Release bundles pin artifacts by digest, and a store cannot know that. What was nominated stays anyway; an operator pins
here whatever else bundles refer to. A pin that was taken away leaves its document, which says until when it held.
"""

from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass

from pe_data.documents.document import Document, Text, Time, check_times
from pe_data.errors import InvalidDocumentError, ObjectExistsError, ObjectNotFoundError
from pe_data.names import times
from pe_data.names.digests import Sha256, parse_sha256
from pe_data.names.keys import PINS_PREFIX, collection_key, manifest_key, pin_key
from pe_data.names.times import format_time
from pe_data.store.base import Store, VersionToken
from pe_data.write.relying import members_of, send_again


class PinFile(Document, frozen=True):
    """What a store keeps of a pin, whose key says what is pinned."""

    reason: Text
    pinned_at: Time
    removed_at: Time | None = None

    def __post_init__(self) -> None:
        check_times(self, "pinned_at", "removed_at")


@dataclass(frozen=True, slots=True)
class Pin:
    """One pinned artifact."""

    country: str
    sha256: Sha256
    reason: str
    pinned_at: str
    removed_at: str | None = None
    """When the pin was taken away, UTC; None while it holds."""


def add_pin(
    store: Store,
    country: str,
    sha256: Sha256,
    *,
    reason: str,
    held: Container[tuple[str, Sha256]] = (),
) -> bool:
    """Pin an artifact; False if it is pinned already (the first reason stays).

    Args:
        held: What something else leads to, as `pe_data.keep.reachable` finds it; that is not written again.

    Raises:
        ObjectNotFoundError: if the store has neither a manifest nor a collection of it.
    """
    if not any(store.exists(make(country, sha256)) for make in (manifest_key, collection_key)):
        raise ObjectNotFoundError(f"{store.url}: there is no artifact sha256:{sha256} of {country} to pin")
    key = pin_key(country, sha256)
    body = PinFile(reason, format_time(times.now())).to_bytes()
    try:
        store.put_create(key, body)
    except ObjectExistsError:
        there, token = _read(store, key)
        if there.removed_at is None:
            return False
        store.put_swap(key, body, token)
    # A collection that read the roots before this pin may be deleting the artifact: it leaves what is young.
    members = members_of(store, country, sha256)
    send_again(store, country, [one for one in (sha256, *members) if (country, one) not in held])
    return True


def remove_pin(store: Store, country: str, sha256: Sha256) -> bool:
    """Take a pin away; False if there was none."""
    key = pin_key(country, sha256)
    try:
        there, token = _read(store, key)
    except ObjectNotFoundError:
        return False
    if there.removed_at is not None:
        return False
    store.put_swap(key, PinFile(there.reason, there.pinned_at, format_time(times.now())).to_bytes(), token)
    return True


def list_pins(store: Store) -> Iterator[Pin]:
    """Every pin of the store that holds."""
    return (pin for pin in read_pins(store) if pin.removed_at is None)


def read_pins(store: Store) -> Iterator[Pin]:
    """Every pin of the store, and those that were taken away. Raises InvalidDocumentError for what is no pin."""
    for meta in store.list(PINS_PREFIX):
        with suppress(ObjectNotFoundError):
            yield _read(store, meta.key)[0]


def _read(store: Store, key: str) -> tuple[Pin, VersionToken]:
    what = f"{store.url}: {key}"
    country, _, name = key.removeprefix(PINS_PREFIX).partition("/")
    digest = parse_sha256(name.removesuffix(".json"))
    if key != pin_key(country, digest):
        raise InvalidDocumentError(f"{what}: expected pins/{{country}}/{{sha256}}.json, found another name")
    document = store.get(key)
    found = PinFile.from_bytes(document.data, what)
    return Pin(country, digest, found.reason, found.pinned_at, found.removed_at), document.meta.token
