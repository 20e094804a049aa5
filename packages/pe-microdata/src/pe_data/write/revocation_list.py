"""The next version of a country's revocation list: proposed from what the store has, and published once signed.

A version lists what the one before it listed, and every genuine tombstone of the store that is not on it yet. So the
first list is made of the tombstones alone, and two people who revoke at once lose nothing: the second proposes again.
"""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from pe_data.cache.entries import Cache
from pe_data.cache.known_revocations import Known
from pe_data.config.settings import cache_folder
from pe_data.documents.envelope import TOMBSTONE_TYPE as TOMBSTONE
from pe_data.documents.envelope import SignedDocument, parse_envelope
from pe_data.documents.revocations import LIST_LIMIT, Ended, RevocationList, parse_list
from pe_data.documents.tombstone import TOMBSTONE_LIMIT, Tombstone
from pe_data.errors import (
    CacheWarning,
    ConflictError,
    InputError,
    InvalidDocumentError,
    InvalidTombstoneError,
    ObjectNotFoundError,
)
from pe_data.names import times
from pe_data.names.digests import Sha256, sha256_bytes
from pe_data.names.keys import (
    REVOCATIONS_PREFIX,
    ObjectKind,
    parse_object_key,
    revocations_history_key,
    revocations_key,
    tombstone_key,
)
from pe_data.names.times import format_time
from pe_data.store.base import Store, VersionToken
from pe_data.store.probe import probe_conditional_writes
from pe_data.store.versioned import Place, Replaced, replace_version
from pe_data.trust.revocations import Verifier, reason_of

LIFETIME = timedelta(days=90)
LONGEST = timedelta(days=366)
_SHOWN = 20
"""Artifacts that are shown to whoever signs, the newest first."""
_BELIEVABLE = 1_000_000
"""Largest version that is counted on from where nobody can say whether it was signed."""


@dataclass(frozen=True, slots=True)
class CurrentList:
    """What stands in the place of the list."""

    genuine: RevocationList | None
    """None if it is not signed by enough of the keys of today."""
    version: int
    """As it says itself; 0 if it says nothing."""
    sha256: Sha256 | None
    """Of its body; None if it has none."""
    raw: bytes
    token: VersionToken

    @property
    def replaced(self) -> Replaced:
        """As what another list takes the place of."""
        return Replaced(self.version, self.sha256 or sha256_bytes(self.raw), self.raw, self.token)


def read_list(store: Store, country: str, verifier: Verifier) -> CurrentList | None:
    """The list of a country as it stands in a store; one that is not genuine is warned about.

    Raises:
        UncheckedRevocationError: there is one that cannot be checked on this machine.
    """
    key = revocations_key(country)
    what = f"{store.url}: {key}"
    try:
        there = store.get(key, max_bytes=LIST_LIMIT)
    except ObjectNotFoundError:
        return None
    version, digest = 0, None
    with suppress(InvalidDocumentError):
        body = parse_list(there.data, what=what).body
        digest = sha256_bytes(body)
        version = RevocationList.from_bytes(body, what).version
    try:
        genuine = verifier.check_list(there.data, country=country, what=what)
    except InvalidTombstoneError as error:
        warnings.warn(reason_of(error), CacheWarning, stacklevel=3)
        return CurrentList(None, version, digest, there.data, there.meta.token)
    return CurrentList(genuine, version, digest, there.data, there.meta.token)


def propose_list(
    store: Store,
    country: str,
    verifier: Verifier,
    *,
    stones: Iterable[Tombstone] = (),
    lifetime: timedelta = LIFETIME,
) -> RevocationList:
    """The next version, unsigned.

    Args:
        stones: Tombstones that are about to be written.
        lifetime: How long readers accept it before they expect a newer one.

    Raises:
        InputError: the lifetime is not between an hour and a year, or the list would be too long.
        UncheckedRevocationError: what the store has cannot be checked on this machine.
    """
    if not timedelta(hours=1) <= lifetime <= LONGEST:
        raise InputError(f"expires: expected between 1h and {LONGEST.days}d, found {lifetime}")
    moment = times.now()
    current = read_list(store, country, verifier)
    version, prev, base = _following(store, country, current, verifier)
    revoked = dict(base.revoked) if base else {}
    for stone in stones:
        ended = Ended(sha256_bytes(stone.to_bytes()), stone.date)
        revoked.update((sha256, ended) for sha256 in stone.covered)
    revoked.update(_standing(store, country, verifier, revoked))
    proposed = RevocationList(
        country=country,
        version=version,
        prev=prev,
        issued=format_time(moment),
        expires=format_time(moment + lifetime),
        revoked=revoked,
    )
    if len(proposed.to_bytes()) * 4 // 3 + 64 * 1024 > LIST_LIMIT:
        raise InputError(f"revocation list of {country}: {len(revoked)} artifacts do not fit into {LIST_LIMIT} bytes")
    return proposed


def publish_list(store: Store, document: SignedDocument, *, verifier: Verifier, what: str) -> RevocationList:
    """Put a signed list in the place of the one before it; publishing the one that stands already changes nothing.

    Raises:
        InvalidTombstoneError: the signatures do not suffice.
        UncheckedRevocationError: they cannot be checked here.
        InputError: it leaves out what the one before it lists, or has ended.
        ConflictError: the list changed since it was proposed, or another writer was first.
        StoreError: the store ignores conditional writes.
    """
    country = RevocationList.from_bytes(document.body, what).country
    found, digest = verifier.check_list(document.to_bytes(), country=country, what=what), sha256_bytes(document.body)
    current = read_list(store, country, verifier)
    if current is not None and current.sha256 == digest and current.genuine:
        return found
    version, prev, base = _following(store, country, current, verifier)

    def lost() -> ConflictError:
        there = read_list(store, country, verifier)
        stands = f"version {there.version}" if there else "none"
        return ConflictError(
            f"{store.url}: {revocations_key(country)}: another writer was first: expected to write version "
            f"{found.version}, found {stands}. Tombstones that were signed count for the next list: make it with "
            f"`pe-data revoke --list {country}`"
        )

    if (found.version, found.prev) != (version, prev):
        raise lost()
    left_out = set(base.revoked) - set(found.revoked) if base else set()
    if left_out:
        raise InputError(f"{what}: leaves out sha256:{min(left_out)}, which version {version - 1} lists. Make it again")
    if found.ends() <= times.now():
        raise InputError(f"{what}: ended on {found.expires}. Make it again")
    probe_conditional_writes(store)
    before = current.replaced if current else None
    replace_version(store, place_of(country), document.to_bytes(), found.version, digest, before, lost)
    return found


def describe_list(proposed: RevocationList) -> list[str]:
    """What a signature would say, for the person who is asked for one."""
    newest = sorted(proposed.revoked.items(), key=lambda row: (row[1].date, row[0]), reverse=True)
    rows = [f"revoked      sha256:{sha256} on {ended.date[:10]}" for sha256, ended in newest[:_SHOWN]]
    more = len(newest) - len(rows)
    return [
        f"revocations  {proposed.country}, version {proposed.version}, {len(newest)} artifact(s)",
        *rows,
        *([f"             and {more} earlier one(s)"] if more else []),
        f"issued       {proposed.issued}",
        f"until        {proposed.expires}",
    ]


def place_of(country: str) -> Place:
    """Where the list of a country and its earlier versions are."""
    return Place(
        revocations_key(country), lambda version, digest: revocations_history_key(country, version, digest), LIST_LIMIT
    )


def _following(
    store: Store, country: str, current: CurrentList | None, verifier: Verifier
) -> tuple[int, Sha256 | None, RevocationList | None]:
    """Number and `prev` of the next version, and the list whose entries it goes on from."""
    if current is not None and current.genuine:
        return current.version + 1, current.sha256, current.genuine
    # Something else stands there, or nothing any more. What was signed earlier, or was right when this machine saw it
    # (the keys may have been replaced since), is not lost by that.
    candidates = list(_earlier(store, country, verifier))
    kept = Known(Cache(cache_folder())).kept(country)
    base = max((*candidates, *([kept] if kept else ())), key=lambda one: one.version, default=None)
    claimed = current.version if current and current.version <= _BELIEVABLE else 0
    version = max(claimed, base.version if base else 0) + 1
    if version == 1:
        return 1, None, None
    return version, current.sha256 if current and current.sha256 else base.sha256 if base else None, base


def _earlier(store: Store, country: str, verifier: Verifier) -> Iterator[RevocationList]:
    """The newest genuine list of the history, if any."""
    keys = sorted(meta.key for meta in store.list(f"{REVOCATIONS_PREFIX}{country}.history/"))
    for key in reversed(keys):
        with suppress(InvalidTombstoneError, ObjectNotFoundError):
            yield verifier.check_list(store.get(key, max_bytes=LIST_LIMIT).data, country=country, what=key)
            return


def _standing(
    store: Store, country: str, verifier: Verifier, listed: dict[Sha256, Ended]
) -> Iterator[tuple[Sha256, Ended]]:
    """The genuine tombstones of a store that are not on a list as they stand there."""
    for meta in store.list(f"{country}/"):
        parsed = parse_object_key(meta.key)
        if parsed is None or parsed.kind is not ObjectKind.TOMBSTONE:
            continue
        what = f"{store.url}: {meta.key}"
        try:
            raw = store.get(tombstone_key(country, parsed.sha256), max_bytes=TOMBSTONE_LIMIT).data
            digest = sha256_bytes(parse_envelope(raw, payload_type=TOMBSTONE, what=what).body)
            if parsed.sha256 in listed and listed[parsed.sha256].tombstone == digest:
                continue
            stone = verifier.check(raw, country=country, sha256=parsed.sha256, what=what)
        except ObjectNotFoundError:
            continue
        except InvalidDocumentError as error:
            warnings.warn(reason_of(error), CacheWarning, stacklevel=3)
            continue
        yield parsed.sha256, Ended(digest, stone.date)
