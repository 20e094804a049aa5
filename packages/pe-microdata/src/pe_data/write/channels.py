"""Move a channel.

A move is: read the pointer, archive it under its own digest, swap it. The archived copy is
written before the swap and is always a body that was really current, so that the history is
complete whatever crashes, and a writer whose reply was lost can find out that it had won.
"""

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from pe_data.documents.pointer import NAMESPACE, NOTHING_SAID, POINTER_LIMIT, PointerBody, Said, UnsignedPointer
from pe_data.errors import (
    ConflictError,
    InvalidDocumentError,
    InvalidNameError,
    ObjectNotFoundError,
    PointerMismatchError,
)
from pe_data.names import times
from pe_data.names.digests import Sha256
from pe_data.names.keys import ChannelName, channel_key, history_key
from pe_data.names.times import format_time
from pe_data.read.channels import CurrentNomination, CurrentPointer, read, read_next
from pe_data.store.base import Store
from pe_data.store.versioned import Place, Replaced, replace_version

Seal = Callable[[bytes], bytes]
"""From the body of a pointer to its envelope with signatures."""


@dataclass(frozen=True, slots=True)
class Move:
    """Outcome of moving a channel."""

    pointer: UnsignedPointer
    moved: bool
    """False if the channel stood there already."""


def move(
    store: Store,
    country: str,
    dataset: str,
    *,
    artifact_sha256: Sha256,
    manifest_sha256: Sha256,
    namespace: str,
    expected_version: int | None = None,
    said: Said = NOTHING_SAID,
    seal: Seal | None = None,
    agree: Callable[[PointerBody | None], None] = lambda before: None,
) -> Move:
    """Point `latest` at an artifact whose objects are all in the store.

    Args:
        manifest_sha256: Digest of its manifest, or again `artifact_sha256` for a collection.
        expected_version: Refuse to move from any other version; 0 for "no pointer yet".
        seal: Signs the pointer, where the trust root has `latest` signed; one that stands there bare is replaced.
        said: Why, and by whom; written into the pointer.
        agree: Gets what stands there, or None for nothing yet, and raises if that must not be replaced.

    Returns:
        The pointer that stands now; `moved` is False if it said so before.

    Raises:
        ConflictError: if another writer moved the channel in between.
        PointerMismatchError: if the channel belongs to another namespace.
    """
    check_namespace(namespace)
    current: CurrentPointer | None = None
    with suppress(ObjectNotFoundError):
        current = read(store, country, dataset, namespace=namespace)
    version = current.body.version if current else 0
    if expected_version is not None and version != expected_version:
        raise conflict(store, country, dataset, expected_version + 1)
    if current and stands_at(current, artifact_sha256, manifest_sha256, sealed=seal is not None):
        return Move(current.pointer, moved=False)
    agree(current.body if current else None)
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
            published_at=format_time(times.now()),
            publication_id=uuid.uuid4().hex,
            reason=said.reason,
            by=said.by,
        )
    )
    data = target.body.to_bytes()
    replace_pointer(store, target.body, seal(data) if seal else data, target.sha256, current)
    return Move(target, moved=True)


def stands_at(current: CurrentPointer | None, artifact: Sha256, manifest: Sha256, *, sealed: bool) -> bool:
    """Whether a channel need not move to lead there; a bare pointer has to, where it is to be signed."""
    if current is None or (sealed and current.pointer.document is None):
        return False
    return (current.body.artifact_sha256, current.body.manifest_sha256) == (artifact, manifest)


def check_namespace(namespace: str) -> None:
    """Raise InvalidNameError for what is none."""
    if not NAMESPACE.fullmatch(namespace):
        raise InvalidNameError(
            "namespace: expected lower-case letters, digits and '._-' (such as 'policyengine'), "
            f"found {namespace[:80]!r}"
        )


def replace_pointer(
    store: Store,
    body: PointerBody,
    data: bytes,
    sha256: Sha256,
    current: CurrentPointer | CurrentNomination | None,
) -> None:
    """Archive the pointer that stood there, then write `data` over it.

    Args:
        body: What `data` says, signed or not.
        sha256: Of the body's bytes.
        current: What stood there when it was read, the version before; None for nothing.

    Raises:
        ConflictError: if another writer moved the channel in between.
    """
    country, dataset, channel = body.country, body.dataset, body.channel
    place = Place(
        channel_key(country, dataset, channel),
        lambda version, digest: history_key(country, dataset, channel, version, digest),
        POINTER_LIMIT,
    )

    def lost() -> ConflictError:
        return conflict(store, country, dataset, body.version, channel)

    before = Replaced(body.version - 1, current.pointer.sha256, current.raw, current.token) if current else None
    replace_version(store, place, data, body.version, sha256, before, lost)


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
