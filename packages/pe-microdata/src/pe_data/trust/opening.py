"""Open the `TrustPolicy` of a store."""

from pathlib import Path
from typing import TYPE_CHECKING

from pe_data.documents.signing_libraries import need_libraries
from pe_data.trust.anchor import root_given
from pe_data.trust.policy import TrustPolicy

if TYPE_CHECKING:
    from pe_data.store.base import Store


def open_policy(store: "Store", *, metadata: Path | None = None) -> TrustPolicy:
    """The trust policy of a store, walked from the configured root through its `trust/` folder.

    Args:
        store: Where newer versions of the root are looked for.
        metadata: Folder that remembers what was seen, against rollbacks; by default in the cache.

    Raises:
        TrustRootError: no root is configured, or the store's does not follow from it.
        RollbackError: the store shows an older root than is known to exist.
        ExpiredError: the newest root or what hangs on it is past its date.
    """
    need_libraries()
    from pe_data.trust.client import walk

    return walk(store, metadata=metadata)


def policy_if_any(store: "Store") -> TrustPolicy | None:
    """As `open_policy`, but None on a machine that was given no root; one that is no use is for a person to mend."""
    return open_policy(store) if root_given() else None
