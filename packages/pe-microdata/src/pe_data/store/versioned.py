"""Replace a small document that has versions: archive what stood there, then swap.

The archived copy is written before the swap and is always a document that was really current. So the history is
complete whatever crashes, and a writer whose reply was lost can find out that it had won.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from pe_data.errors import (
    ConflictError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreUnavailableError,
    VersionMismatchError,
)
from pe_data.names.digests import Sha256
from pe_data.store.base import Store, VersionToken


@dataclass(frozen=True, slots=True)
class Replaced:
    """The document that another one takes the place of."""

    version: int
    sha256: Sha256
    """Of its body."""
    raw: bytes
    token: VersionToken


@dataclass(frozen=True, slots=True)
class Place:
    """Where the document and its earlier versions are."""

    key: str
    archived: Callable[[int, Sha256], str]
    """The key of an earlier version, by number and digest of its body."""
    limit: int
    """Largest document that is read, in bytes."""


def replace_version(
    store: Store,
    place: Place,
    data: bytes,
    version: int,
    sha256: Sha256,
    before: Replaced | None,
    conflict: Callable[[], ConflictError],
) -> None:
    """Archive what stood there, then write `data` over it; a lost reply is cleared up by reading back.

    Args:
        version, sha256: Of the body in `data`.
        before: What stood there when it was read; None for nothing.
        conflict: Makes the error for a writer who was not first.

    Raises:
        ConflictError: another writer was first.
    """
    if before:
        with suppress(ObjectExistsError):
            store.put_create(place.archived(before.version, before.sha256), before.raw)
    try:
        if before is None:
            store.put_create(place.key, data)
        else:
            store.put_swap(place.key, data, before.token)
    except (ObjectExistsError, VersionMismatchError) as error:
        if not _was_written(store, place, data, version, sha256):
            raise conflict() from error
    except StoreUnavailableError:
        if not _was_written(store, place, data, version, sha256):
            raise


def _was_written(store: Store, place: Place, data: bytes, version: int, sha256: Sha256) -> bool:
    """Whether `data` is the document now, or was until another writer archived it."""
    with suppress(ObjectNotFoundError):
        if store.get(place.key, max_bytes=place.limit).data == data:
            return True
    return store.exists(place.archived(version, sha256))
