"""Checks that publishers and mirrors run, so that a revoked artifact is never added again."""

import threading
import warnings
from dataclasses import dataclass, field

from pe_data.documents.revocations import RevocationList
from pe_data.documents.tombstone import TOMBSTONE_LIMIT, Tombstone
from pe_data.errors import (
    CacheWarning,
    InvalidTombstoneError,
    ObjectNotFoundError,
    RevokedError,
)
from pe_data.names.digests import Sha256
from pe_data.names.keys import tombstone_key
from pe_data.store.base import Store
from pe_data.trust.revocations import Verifier, reason_of
from pe_data.write.revocation_list import read_list


@dataclass(frozen=True, slots=True)
class Bar:
    """The revocation lists and the tombstones of one store; for one piece of work, in any thread."""

    store: Store
    verifier: Verifier
    _lists: dict[str, RevocationList | None] = field(default_factory=dict, repr=False)
    _reading: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def of(cls, store: Store) -> "Bar":
        """Judged by the trust root that belongs to `store`."""
        return cls(store, Verifier.of(lambda: store))

    def listed(self, country: str) -> RevocationList | None:
        """The genuine list of a country, read once; one that is not genuine is warned about.

        Raises:
            UncheckedRevocationError: there is one that cannot be checked on this machine.
        """
        with self._reading:
            if country not in self._lists:
                current = read_list(self.store, country, self.verifier)
                self._lists[country] = current.genuine if current else None
            return self._lists[country]

    def find(self, country: str, sha256: Sha256) -> tuple[Tombstone, bytes] | None:
        """The genuine tombstone of an artifact and its envelope; one that is not genuine is warned about.

        Raises:
            UncheckedRevocationError: there is one that cannot be checked on this machine.
        """
        key = tombstone_key(country, sha256)
        what = f"{self.store.url}: {key}"
        try:
            raw = self.store.get(key, max_bytes=TOMBSTONE_LIMIT).data
            return self.verifier.check(raw, country=country, sha256=sha256, what=what), raw
        except ObjectNotFoundError:
            return None
        except InvalidTombstoneError as error:
            warnings.warn(reason_of(error), CacheWarning, stacklevel=3)
            return None

    def is_listed(self, country: str, sha256: Sha256) -> bool:
        """Whether the list says that an artifact was revoked. Raises as `listed`."""
        listed = self.listed(country)
        return listed is not None and sha256 in listed.revoked

    def has_ended(self, country: str, sha256: Sha256) -> bool:
        """Whether an artifact was revoked: by the list, or before there is one by its tombstone. Raises as `listed`."""
        if self.listed(country) is not None:
            return self.is_listed(country, sha256)
        return self.find(country, sha256) is not None

    def refuse(self, country: str, sha256: Sha256, what: str) -> None:
        """Raise RevokedError if the artifact was revoked; `what` is what wants to use it."""
        found, listed = self.find(country, sha256), self.listed(country)
        ended = listed.revoked.get(sha256) if listed else None
        if found is None and ended is None:
            return
        stone = found[0] if found else None
        told = f"by {stone.revoked_by} (licence {stone.licence}): {stone.reason}" if stone else "as the list says"
        date = stone.date if stone else ended.date if ended else ""
        raise RevokedError(
            f"{what}: sha256:{sha256} was revoked on {date[:10]} {told}. A revoked artifact never becomes active "
            "again: use other bytes",
            reason=stone.reason if stone else None,
            date=date,
        )
