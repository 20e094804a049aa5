"""What stops a publisher or a mirror: a revoked artifact never becomes active again."""

import warnings
from dataclasses import dataclass

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
from pe_data.trust.tombstones import Verifier, reason_of


@dataclass(frozen=True, slots=True)
class Bar:
    """The tombstones of one store."""

    store: Store
    verifier: Verifier

    @classmethod
    def of(cls, store: Store) -> "Bar":
        """Judged by the trust root that belongs to `store`."""
        return cls(store, Verifier.of(lambda: store))

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

    def refuse(self, country: str, sha256: Sha256, what: str) -> None:
        """Raise RevokedError if the artifact was revoked; `what` is what wants to use it."""
        found = self.find(country, sha256)
        if found is not None:
            stone = found[0]
            raise RevokedError(
                f"{what}: sha256:{sha256} was revoked on {stone.date[:10]} by {stone.revoked_by} "
                f"(licence {stone.licence}): {stone.reason}. A revoked artifact never becomes active again: use "
                "other bytes",
                reason=stone.reason,
                date=stone.date,
            )
