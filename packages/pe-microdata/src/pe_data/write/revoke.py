"""Revoke: write the tombstone and the next list, then remove the payload.

Readers obey the list. A crash before it leaves a tombstone that is not on it, which `fsck` names and the next list
takes up; a crash after it leaves a payload, which the next revocation of the same artifact, or the garbage
collection, removes. A genuine tombstone is never written again. One that is not genuine, put there to be in the
way, is replaced.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from pe_data.documents.collection import NOTHING, Collection
from pe_data.documents.envelope import SignedDocument
from pe_data.documents.manifest import Manifest
from pe_data.documents.revocations import RevocationList
from pe_data.documents.tombstone import NAME_LIMIT, REASON_LIMIT, TOMBSTONE_LIMIT, Tombstone, check_line
from pe_data.errors import (
    InputError,
    InvalidTombstoneError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
    StoreUnavailableError,
)
from pe_data.names import times
from pe_data.names.countries import UNSPECIFIED
from pe_data.names.digests import Sha256
from pe_data.names.keys import EXTENSIONS, payload_key, tombstone_key
from pe_data.names.times import format_time
from pe_data.names.uri import StoreUri
from pe_data.store.artifacts import read_collection, read_manifest
from pe_data.store.base import Store
from pe_data.trust.revocations import Verifier
from pe_data.write.revocation_bar import Bar
from pe_data.write.revocation_list import publish_list, read_list


@dataclass(frozen=True, slots=True)
class RevocationReport:
    """What a revocation did."""

    store: str
    country: str
    dataset: str
    artifact_sha256: Sha256
    reason: str
    date: str
    revoked_by: str
    tombstones: int
    """Written now."""
    there_already: int
    """Genuine tombstones that stood there, which stay as they are."""
    payloads_removed: int
    bytes_removed: int
    list_version: int | None = None
    """Of the revocation list that was written; None if none was."""

    @property
    def nothing_to_do(self) -> bool:
        """Whether all of it had been done before."""
        return self.tombstones == 0 and self.payloads_removed == 0 and self.list_version is None

    def summary(self) -> str:
        """One line for a person."""
        what = f"{self.country}/{self.dataset} sha256:{self.artifact_sha256}"
        told = f"on {self.date[:10]} by {self.revoked_by}: {self.reason}"
        if self.nothing_to_do:
            return f"nothing to do: {what} was revoked {told}"
        return (
            f"{what} is revoked {told}; {self.tombstones} tombstone(s) written, {self.there_already} there already, "
            f"{self.payloads_removed} payload(s) removed ({self.bytes_removed / 1e6:.1f} MB)"
            + (f"; version {self.list_version} of the revocation list" if self.list_version else "")
        )


def tombstone_for(
    store: Store,
    uri: StoreUri,
    *,
    reason: str,
    revoked_by: str,
    licence: str | None = None,
    with_members: bool = False,
) -> Tombstone:
    """The tombstone, unsigned, of the artifact that a pinned address names.

    Args:
        uri: With a digest. With a member path, the member is revoked, not its collection.
        reason: One line for those who will be refused.
        revoked_by: Who decides: a person or an office.
        licence: The licence that ended; by default that of the member in its collection, else of the manifest.
        with_members: Of a collection: end every member as well, wherever else it is listed.

    Raises:
        InputError: the address is not pinned, or `with_members` for a single artifact.
        InvalidTombstoneError: a text is no line; for reason and name the store was not asked.
        ObjectNotFoundError: the store has no such artifact.
    """
    if uri.sha256 is None:
        raise InputError(
            f"{uri}: revoking is for ever, so it takes the digest: expected …@sha256:…, found @{uri.channel}. "
            f"`pe-data resolve {uri}` prints the pinned address"
        )
    check_line(reason, "reason", REASON_LIMIT)
    check_line(revoked_by, "revoked by", NAME_LIMIT)
    collection = _collection(store, uri, uri.sha256)
    sha256, members, about = uri.sha256, tuple[Sha256, ...](), NOTHING
    if uri.member is not None:
        if collection is None:
            raise InputError(f"{uri}: expected a collection for the member, found a single artifact")
        about = collection.member(uri.member)
        sha256, collection = about.artifact_sha256, None
    if with_members:
        if collection is None:
            raise InputError(f"{uri}: --members is for collections, found a single artifact")
        members = tuple(sorted({member.artifact_sha256 for member in collection.members.values()}))
    described: Sha256 | None = sha256
    if collection is not None:
        first = min(collection.members, default=None)
        about = collection.members[first] if first else NOTHING
        described = collection.members[first].artifact_sha256 if first else None
    manifest = None if described is None else _manifest(store, uri.country, described)
    if collection is None and manifest is None:
        raise ObjectNotFoundError(
            f"{store.url}: {uri.country}/sha256:{sha256}: expected a manifest or a collection, found neither. "
            "Nothing is revoked that was never published here"
        )
    if collection is None and manifest is not None and uri.member is None and manifest.dataset != uri.dataset:
        raise InputError(f"{uri}: expected dataset {manifest.dataset!r} as in the manifest, found {uri.dataset!r}")
    named = licence or about.licence or (manifest.licence if manifest else UNSPECIFIED)
    return Tombstone(
        country=uri.country,
        dataset=uri.dataset,
        artifact_sha256=sha256,
        reason=reason,
        date=format_time(times.now()),
        revoked_by=revoked_by,
        licence=check_line(named, "licence", NAME_LIMIT),
        members=members,
    )


def finish(store: Store, wanted: Tombstone, verifier: Verifier) -> RevocationReport | None:
    """Complete what `wanted` asks for if every artifact of it has a genuine tombstone and is on the list, else None.

    Where there is no list yet, the tombstones are enough.

    Raises:
        UncheckedRevocationError: there is a tombstone that cannot be checked here.
    """
    bar = Bar(store, verifier)
    stones: list[Tombstone] = []
    for sha256 in wanted.covered:
        there = bar.find(wanted.country, sha256)
        if there is None:
            return None
        stones.append(there[0])
    current = read_list(store, wanted.country, verifier)
    if current is not None and not (current.genuine and set(wanted.covered) <= set(current.genuine.revoked)):
        return None
    removed, size = remove_payloads(store, wanted.country, wanted.covered)
    return _report(store, wanted, stones[0], 0, removed, size, None)


def publish_tombstone(
    store: Store,
    document: SignedDocument,
    *,
    verifier: Verifier,
    what: str,
    listed: SignedDocument | None = None,
) -> RevocationReport:
    """Write a signed tombstone under the key of everything that it covers and the next list, then remove the payloads.

    The signatures are checked before anything is written. Publishing the same again, or after a
    crash, completes what is missing.

    Args:
        listed: The next version of the revocation list, signed; None leaves the list as it is.

    Raises:
        InvalidTombstoneError: the signatures do not suffice; nothing was written.
        UncheckedRevocationError: they cannot be checked here; nothing was written.
        ConflictError: another writer changed the list first; the tombstone is written, the payloads are gone.
        StoreError: the store only reads.
    """
    _check_writable(store)
    claimed = Tombstone.from_bytes(document.body, what=what)
    stone = verifier.check_document(document, country=claimed.country, sha256=claimed.artifact_sha256, what=what)
    if listed is not None:
        verifier.check_list(listed.to_bytes(), country=stone.country, what=what)
    raw = document.to_bytes()
    first, written = stone, 0
    for sha256 in stone.covered:
        there = write_tombstone(store, stone.country, sha256, raw, verifier)
        if there is None:
            written += 1
        elif sha256 == stone.artifact_sha256:
            first = there
    version = None
    try:
        if listed is not None:
            version = publish_list(store, listed, verifier=verifier, what=what).version
    finally:
        removed, size = remove_payloads(store, stone.country, stone.covered)
    return _report(store, stone, first, written, removed, size, version)


def publish_listed(
    store: Store,
    listed: SignedDocument,
    *,
    verifier: Verifier,
    what: str,
) -> RevocationList:
    """Publish the next list alone, and remove the payloads of what it lists. Raises as `publish_tombstone`."""
    _check_writable(store)
    found = publish_list(store, listed, verifier=verifier, what=what)
    remove_payloads(store, found.country, [Sha256(one) for one in found.revoked])
    return found


def _check_writable(store: Store) -> None:
    if not store.writable:
        raise StoreError(f"{store.url}: a revocation needs a store that can be written")


def _report(
    store: Store, stone: Tombstone, first: Tombstone, written: int, removed: int, size: int, version: int | None
) -> RevocationReport:
    return RevocationReport(
        store=store.url,
        country=stone.country,
        dataset=stone.dataset,
        artifact_sha256=stone.artifact_sha256,
        reason=first.reason,
        date=first.date,
        revoked_by=first.revoked_by,
        tombstones=written,
        there_already=len(stone.covered) - written,
        payloads_removed=removed,
        bytes_removed=size,
        list_version=version,
    )


def remove_payloads(store: Store, country: str, digests: Iterable[Sha256]) -> tuple[int, int]:
    """Remove what was ended; how many payloads that were, and their bytes."""
    removed = size = 0
    for sha256 in digests:
        for extension in EXTENSIONS:
            key = payload_key(country, sha256, extension)
            try:
                found = store.head(key).size
            except ObjectNotFoundError:
                continue
            store.delete(key)
            removed += 1
            size += found
    return removed, size


def write_tombstone(store: Store, country: str, sha256: Sha256, raw: bytes, verifier: Verifier) -> Tombstone | None:
    """Write the tombstone of one artifact; the genuine one that stands there already, if any."""
    key = tombstone_key(country, sha256)
    what = f"{store.url}: {key}"
    try:
        store.put_create(key, raw)
    except (ObjectExistsError, StoreUnavailableError) as error:
        try:
            there = store.get(key, max_bytes=TOMBSTONE_LIMIT)
        except ObjectNotFoundError:
            raise error from None
        if there.data == raw:  # our own write, now or in a run that was killed
            return verifier.check(raw, country=country, sha256=sha256, what=what)
        try:
            return verifier.check(there.data, country=country, sha256=sha256, what=what)
        except InvalidTombstoneError:
            store.put_swap(key, raw, there.meta.token)
    return None


def _collection(store: Store, uri: StoreUri, sha256: Sha256) -> Collection | None:
    found = read_collection(store, uri.country, sha256, advice="Run pe-data fsck.")
    if found is None:
        return None
    collection = found[0]
    if collection.dataset != uri.dataset:
        raise InputError(
            f"{uri}: expected the collection of {uri.country}/{uri.dataset}, found that of "
            f"{collection.country}/{collection.dataset}"
        )
    return collection


def _manifest(store: Store, country: str, sha256: Sha256) -> Manifest | None:
    with suppress(ObjectNotFoundError):
        return read_manifest(store, country, sha256, advice="Run pe-data fsck.").manifest
    return None
