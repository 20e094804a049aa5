"""Read the channels of a store, and look back along them. `pe_data.write.channels` moves them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from pe_data.documents.pointer import (
    POINTER_LIMIT,
    PointerBody,
    SignedPointer,
    UnsignedPointer,
    body_of,
    check_place,
    parse_signed,
    parse_unsigned,
)
from pe_data.errors import (
    InvalidDocumentError,
    InvalidNameError,
    ObjectNotFoundError,
)
from pe_data.names.digests import check_bytes
from pe_data.names.keys import (
    CHANNELS_PREFIX,
    ChannelKey,
    channel_key,
    check_channel,
    history_key,
    parse_channel_key,
)
from pe_data.store.base import Store, VersionToken

P = TypeVar("P", UnsignedPointer, SignedPointer)


@dataclass(frozen=True, slots=True)
class Current(Generic[P]):
    """A pointer as it stood when it was read."""

    pointer: P
    raw: bytes
    token: VersionToken


class CurrentPointer(Current[UnsignedPointer]):
    """That of `latest`."""

    __slots__ = ()

    @property
    def body(self) -> PointerBody:
        """What the pointer says."""
        return self.pointer.body


CurrentNomination = Current[SignedPointer]
"""That of `next`; nothing of it has been checked."""


def read(
    store: Store,
    country: str,
    dataset: str,
    channel: str = "latest",
    *,
    namespace: str | None = None,
) -> CurrentPointer:
    """Read the pointer of `latest` and check that it belongs there.

    Args:
        namespace: The namespace that is expected; None accepts any.

    Raises:
        ObjectNotFoundError: if nothing was ever published on the channel.
        PointerMismatchError: if the pointer was made for another place.
        InvalidNameError: for `next`, which `pe_data.read.nominations.read_verified` reads.
    """
    key = channel_key(country, dataset, channel)
    what = f"{store.url}: {key}"
    if check_channel(channel) == "next":
        raise InvalidNameError(f"{what}: next holds signed nominations, which are read with their signatures")
    document = store.get(key, max_bytes=POINTER_LIMIT)
    pointer = parse_unsigned(document.data, what=what)
    check_place(
        pointer.body,
        country=country,
        dataset=dataset,
        channel=channel,
        namespace=namespace,
        what=what,
    )
    return CurrentPointer(pointer, document.data, document.meta.token)


def read_next(store: Store, country: str, dataset: str) -> CurrentNomination:
    """Read the pointer of `next` without checking anything about it.

    Raises:
        ObjectNotFoundError: if nothing was ever nominated.
        InvalidDocumentError: if it is no envelope of a pointer.
    """
    key = channel_key(country, dataset, "next")
    document = store.get(key, max_bytes=POINTER_LIMIT)
    return Current(parse_signed(document.data, what=f"{store.url}: {key}"), document.data, document.meta.token)


def history(store: Store, country: str, dataset: str) -> Iterator[UnsignedPointer]:
    """The pointers of `latest`, newest first, along the chain of `prev`.

    Raises:
        ObjectNotFoundError: if nothing was ever published on the channel.
        InvalidDocumentError: if the chain breaks; everything before it has been yielded.
    """
    pointer = read(store, country, dataset).pointer
    yield pointer
    while pointer.body.prev is not None:
        version, prev = pointer.body.version - 1, pointer.body.prev
        key = history_key(country, dataset, "latest", version, prev)
        what = f"{store.url}: {key}"
        try:
            raw = store.get(key, max_bytes=POINTER_LIMIT).data
        except ObjectNotFoundError as error:
            raise InvalidDocumentError(
                f"{what}: the history breaks here: version {version} is missing; run pe-data fsck"
            ) from error
        check_bytes(body_of(raw, what=what), prev, what=what, advice="The history was tampered with.")
        pointer = parse_unsigned(raw, what=what)
        if pointer.body.version != version:
            raise InvalidDocumentError(f"{what}: expected version {version}, found {pointer.body.version}")
        check_place(
            pointer.body,
            country=country,
            dataset=dataset,
            channel="latest",
            namespace=None,
            what=what,
        )
        yield pointer


def list_channels(store: Store, country: str | None = None) -> Iterator[ChannelKey]:
    """Every channel that has a pointer, of one country or of all; order of the store."""
    prefix = f"{CHANNELS_PREFIX}{country}/" if country else CHANNELS_PREFIX
    for meta in store.list(prefix):
        parsed = parse_channel_key(meta.key)
        if parsed is not None and parsed.body is None:
            yield parsed
