"""Read, move and look back along the channels of a store.

A move is: read the pointer, archive it under its own digest, swap it. The archived copy is
written before the swap and is always a body that was really current, so that the history is
complete whatever crashes, and a writer whose reply was lost can find out that it had won.
"""

import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from pe_data import steps
from pe_data.documents.pointer import (
    NAMESPACE,
    POINTER_LIMIT,
    PointerBody,
    SignedPointer,
    UnsignedPointer,
    check_place,
    parse_signed,
    parse_unsigned,
)
from pe_data.errors import (
    ConflictError,
    InvalidDocumentError,
    InvalidNameError,
    ObjectExistsError,
    ObjectNotFoundError,
    PointerMismatchError,
    StoreUnavailableError,
    VersionMismatchError,
)
from pe_data.names.digests import Sha256, check_bytes
from pe_data.names.keys import (
    CHANNELS,
    CHANNELS_PREFIX,
    ChannelName,
    channel_key,
    check_channel,
    history_key,
)
from pe_data.names.times import format_time
from pe_data.store.base import Store, VersionToken


@dataclass(frozen=True, slots=True)
class CurrentPointer:
    """A pointer as it stood when it was read."""

    pointer: UnsignedPointer
    raw: bytes
    token: VersionToken

    @property
    def body(self) -> PointerBody:
        """What the pointer says."""
        return self.pointer.body


@dataclass(frozen=True, slots=True)
class CurrentNomination:
    """A signed pointer as it stood when it was read; nothing of it has been checked."""

    pointer: SignedPointer
    raw: bytes
    token: VersionToken


@dataclass(frozen=True, slots=True)
class Replaced:
    """The pointer that another one takes the place of."""

    version: int
    sha256: Sha256
    """Of its body."""
    raw: bytes
    token: VersionToken


@dataclass(frozen=True, slots=True)
class Move:
    """Outcome of moving a channel."""

    pointer: UnsignedPointer
    moved: bool
    """False if the channel stood there already."""


@dataclass(frozen=True, slots=True)
class ChannelAddress:
    """Country, dataset and channel of one pointer in a store."""

    country: str
    dataset: str
    channel: ChannelName


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
        InvalidNameError: for `next`, which `pe_data.write.nominate.read_verified` reads.
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
    return CurrentNomination(
        parse_signed(document.data, what=f"{store.url}: {key}"), document.data, document.meta.token
    )


def move(
    store: Store,
    country: str,
    dataset: str,
    *,
    artifact_sha256: Sha256,
    manifest_sha256: Sha256,
    namespace: str,
    now: datetime,
    expected_version: int | None = None,
    on_step: steps.StepHook = steps.ignore,
) -> Move:
    """Point `latest` at an artifact whose objects are all in the store.

    Args:
        manifest_sha256: Digest of its manifest, or again `artifact_sha256` for a collection.
        expected_version: Refuse to move from any other version; 0 for "no pointer yet".

    Returns:
        The pointer that stands now; `moved` is False if it said so before.

    Raises:
        ConflictError: if another writer moved the channel in between.
        PointerMismatchError: if the channel belongs to another namespace.
    """
    if not NAMESPACE.fullmatch(namespace):
        raise InvalidNameError(
            "namespace: expected lower-case letters, digits and '._-' (such as 'policyengine'), "
            f"found {namespace[:80]!r}"
        )
    current: CurrentPointer | None = None
    with suppress(ObjectNotFoundError):
        current = read(store, country, dataset, namespace=namespace)
    version = current.body.version if current else 0
    if expected_version is not None and version != expected_version:
        raise conflict(store, country, dataset, expected_version + 1)
    if current and ((current.body.artifact_sha256, current.body.manifest_sha256) == (artifact_sha256, manifest_sha256)):
        return Move(current.pointer, moved=False)
    target = UnsignedPointer.of(
        PointerBody(
            namespace=namespace,
            country=country,
            dataset=dataset,
            channel="latest",
            version=version + 1,
            prev=current.pointer.sha256 if current else None,
            artifact_sha256=artifact_sha256,
            manifest_sha256=manifest_sha256,
            published_at=format_time(now),
            publication_id=uuid.uuid4().hex,
        )
    )
    before = Replaced(version, current.pointer.sha256, current.raw, current.token) if current else None
    replace_pointer(store, target.body, target.body.to_bytes(), target.sha256, before, on_step=on_step)
    return Move(target, moved=True)


def replace_pointer(
    store: Store,
    body: PointerBody,
    data: bytes,
    sha256: Sha256,
    before: Replaced | None,
    *,
    on_step: steps.StepHook = steps.ignore,
) -> None:
    """Archive the pointer that stood there, then write `data` over it.

    Args:
        body: What `data` says, signed or not.
        sha256: Of the body's bytes.
        before: What stood there when it was read; None for nothing.

    Raises:
        ConflictError: if another writer moved the channel in between.
    """
    if before:
        archived = history_key(body.country, body.dataset, body.channel, before.version, before.sha256)
        with suppress(ObjectExistsError):
            store.put_create(archived, before.raw)
    on_step("history-done")
    _swap(store, body, data, sha256, before)
    on_step("pointer-done")


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
        check_bytes(raw, prev, what=what, advice="The history was tampered with.")
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


def list_channels(store: Store, country: str | None = None) -> Iterator[ChannelAddress]:
    """Every channel that has a pointer, of one country or of all; order of the store."""
    prefix = f"{CHANNELS_PREFIX}{country}/" if country else CHANNELS_PREFIX
    for meta in store.list(prefix):
        parts = meta.key.removeprefix(CHANNELS_PREFIX).split("/")
        for channel in CHANNELS:
            if len(parts) == 3 and parts[2] == f"{channel}.json":
                yield ChannelAddress(parts[0], parts[1], channel)


def _swap(store: Store, body: PointerBody, data: bytes, sha256: Sha256, before: Replaced | None) -> None:
    """Write `data` over `before`; a lost reply is cleared up by reading back."""
    key = channel_key(body.country, body.dataset, body.channel)
    try:
        if before is None:
            store.put_create(key, data)
        else:
            store.put_swap(key, data, before.token)
    except (ObjectExistsError, VersionMismatchError) as error:
        if not _was_written(store, body, data, sha256):
            raise conflict(store, body.country, body.dataset, body.version, body.channel) from error
    except StoreUnavailableError:
        if not _was_written(store, body, data, sha256):
            raise


def _was_written(store: Store, body: PointerBody, data: bytes, sha256: Sha256) -> bool:
    """Whether `data` is the pointer now, or was until another writer archived it."""
    key = channel_key(body.country, body.dataset, body.channel)
    with suppress(ObjectNotFoundError):
        if store.get(key, max_bytes=POINTER_LIMIT).data == data:
            return True
    return store.exists(history_key(body.country, body.dataset, body.channel, body.version, sha256))


def conflict(store: Store, country: str, dataset: str, version: int, channel: ChannelName = "latest") -> ConflictError:
    """The error for a writer who wanted to write `version` and was not first."""
    found = "no pointer"
    with suppress(ObjectNotFoundError, InvalidDocumentError, PointerMismatchError):
        if channel == "next":
            winner = read_next(store, country, dataset).pointer.claimed()
        else:
            winner = read(store, country, dataset).body
        found = f"version {winner.version} at sha256:{winner.artifact_sha256}"
    again = "publish" if channel == "latest" else "promote"
    return ConflictError(
        f"{store.url}: channel {channel} of {country}/{dataset}: another writer was first: expected "
        f"to write version {version}, found {found}. Your files are in the store, the channel was "
        f"not moved by you. Look at `pe-data channel show`, then {again} again if yours is newer"
    )
