"""Whether a tombstone is genuine: signed by enough of the keys that may revoke in its country.

The signatures are checked over the bytes as stored, before anything in them is parsed. Imports the
libraries behind the trust root; callers come here only when there is a tombstone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from pe_data.documents.envelope import TOMBSTONE_TYPE, SignedDocument, parse_envelope
from pe_data.documents.tombstone import Tombstone
from pe_data.errors import (
    ExpiredError,
    InvalidDocumentError,
    InvalidTombstoneError,
    MissingExtraError,
    PeDataError,
    SignatureError,
    TrustRootError,
    UncheckedRevocationError,
)
from pe_data.names.digests import Sha256
from pe_data.store.base import Store
from pe_data.trust.opening import open_policy
from pe_data.trust.policy import Role, TrustPolicy


@dataclass(frozen=True)
class Verifier:
    """Checks tombstones against the trust root of one store, which is opened at the first one."""

    open: Callable[[], TrustPolicy]
    """Gives the policy; called once."""
    now: datetime

    @classmethod
    def of(cls, store: Callable[[], Store], *, metadata: Path | None = None, now: datetime | None = None) -> "Verifier":
        """Against the root that `open_policy` walks to in the store, which is opened when it is needed."""
        moment = now or datetime.now(UTC)
        return cls(lambda: open_policy(store(), metadata=metadata, now=now), moment)

    @cached_property
    def policy(self) -> TrustPolicy:
        """The policy. Raises as `open_policy`."""
        return self.open()

    def check(self, raw: bytes, *, country: str, sha256: Sha256, what: str) -> Tombstone:
        """The tombstone in `raw`, which ends the artifact `sha256`.

        Args:
            raw: The envelope as stored.
            what: Where it comes from, for messages.

        Raises:
            InvalidTombstoneError: it is forged, damaged, or belongs elsewhere; it changes nothing.
            UncheckedRevocationError: its signatures cannot be checked on this machine.
        """
        try:
            document = parse_envelope(raw, payload_type=TOMBSTONE_TYPE, what=what)
            return self.check_document(document, country=country, sha256=sha256, what=what)
        except InvalidTombstoneError:
            raise
        except InvalidDocumentError as error:
            raise InvalidTombstoneError(str(error)) from error

    def check_document(self, document: SignedDocument, *, country: str, sha256: Sha256, what: str) -> Tombstone:
        """As `check`, for an envelope that is read already."""
        try:
            policy = self.policy
        except PeDataError as error:  # no root, no library, out of reach, past its date: ours, not the tombstone's
            raise _unchecked(what, error) from error
        try:
            policy.check(document, Role("revoke", country), what=what, now=self.now)
        except (ExpiredError, MissingExtraError) as error:
            raise _unchecked(what, error) from error
        except (SignatureError, TrustRootError) as error:
            raise InvalidTombstoneError(str(error)) from error
        tombstone = Tombstone.from_bytes(document.body, what=what)
        if not tombstone.covers(country, sha256):
            raise InvalidTombstoneError(
                f"{what}: expected the tombstone of {country} sha256:{sha256}, found that of {tombstone.country} "
                f"sha256:{tombstone.artifact_sha256}. Somebody copied it here"
            )
        return tombstone


def reason_of(error: PeDataError) -> str:
    """What to say of a tombstone that changes nothing."""
    return f"{error}. This tombstone is not genuine and changes nothing; tell whoever runs the store"


def _unchecked(what: str, error: PeDataError) -> UncheckedRevocationError:
    return UncheckedRevocationError(
        f"{what}: there is a tombstone for this artifact, and its signatures cannot be checked here: {error}. "
        "Until they are, the artifact counts as revoked"
    )
