"""Whether a tombstone or a revocation list is genuine: signed by enough of the keys that may revoke in its country.

The signatures are checked over the bytes as stored, before anything in them is parsed. That needs the libraries
behind the trust root. A reader of a pin does not load them: what it has not seen before, a process of its own checks
(`python -m pe_data.trust.revocations`), once per new list.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pe_data.documents.envelope import REVOCATIONS_TYPE, TOMBSTONE_TYPE, SignedDocument, parse_envelope
from pe_data.documents.revocations import RevocationList
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

_SECONDS = 120
"""For another process to check a document."""


@dataclass(frozen=True)
class Verifier:
    """Checks revocations against the trust root of one store, which is opened at the first one."""

    open: Callable[[], TrustPolicy]
    """Gives the policy; called once."""

    @classmethod
    def of(cls, store: Callable[[], Store], *, metadata: Path | None = None) -> "Verifier":
        """Against the root that `open_policy` walks to in the store, which is opened when it is needed."""
        return cls(lambda: open_policy(store(), metadata=metadata))

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
        document = _parse(raw, TOMBSTONE_TYPE, what)
        return self.check_document(document, country=country, sha256=sha256, what=what)

    def check_document(self, document: SignedDocument, *, country: str, sha256: Sha256, what: str) -> Tombstone:
        """As `check`, for an envelope that is read already."""
        return tombstone_of(self._signed(document, country, what), country=country, sha256=sha256, what=what)

    def check_list(self, raw: bytes, *, country: str, what: str) -> RevocationList:
        """The revocation list in `raw`, whatever its version and dates.

        Raises:
            InvalidTombstoneError: it is forged, damaged, or of another country; it changes nothing.
            UncheckedRevocationError: its signatures cannot be checked on this machine.
        """
        document = _parse(raw, REVOCATIONS_TYPE, what)
        return list_of(self._signed(document, country, what), country=country, what=what)

    def _signed(self, document: SignedDocument, country: str, what: str) -> bytes:
        """The body of a document that enough people signed who may revoke."""
        try:
            policy = self.policy
        except PeDataError as error:  # no root, no library, out of reach, past its date: ours, not the document's
            raise _unchecked(what, error) from error
        try:
            policy.check(document, Role("revoke", country), what=what)
        except (ExpiredError, MissingExtraError) as error:
            raise _unchecked(what, error) from error
        except (SignatureError, TrustRootError) as error:
            raise InvalidTombstoneError(str(error)) from error
        return document.body


def check_apart(
    raw: bytes, kind: str, *, country: str, store: str, metadata: Path, what: str, seconds: float = _SECONDS
) -> bytes:
    """The body of a document whose signatures another process finds right, so that this one loads no library.

    Args:
        raw: The envelope as stored.
        kind: Its payload type.
        store: Address of the store whose trust root counts.

    Raises:
        InvalidTombstoneError: as `Verifier.check`.
        UncheckedRevocationError: they cannot be checked on this machine.
    """
    document = _parse(raw, kind, what)
    if "tuf" in sys.modules:  # nothing would be saved
        return check_here(raw, kind, country=country, store=store, metadata=metadata, what=what)
    command = [sys.executable, "-m", __name__, kind, country, store, str(metadata), what]
    try:
        done = subprocess.run(command, input=raw, capture_output=True, timeout=seconds, check=False)
        answer = json.loads(done.stdout)
        problem, message = answer["problem"], str(answer["message"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise UncheckedRevocationError(f"{what}: its signatures could not be checked: {error}") from error
    if problem == "invalid":
        raise InvalidTombstoneError(message)
    if problem:
        raise UncheckedRevocationError(message)
    return document.body


def check_here(raw: bytes, kind: str, *, country: str, store: str, metadata: Path, what: str) -> bytes:
    """As `check_apart`, in this process."""
    from pe_data.config.settings import store_for
    from pe_data.store.opening import open_store

    config = store_for(country, store=store)
    verifier = Verifier.of(lambda: open_store(config.url, options=config.options), metadata=metadata)
    return verifier._signed(_parse(raw, kind, what), country, what)


def list_of(body: bytes, *, country: str, what: str) -> RevocationList:
    """The list in a body, if it is of this country. Raises InvalidTombstoneError."""
    found = RevocationList.from_bytes(body, what=what)
    if found.country != country:
        raise InvalidTombstoneError(
            f"{what}: expected the revocations of {country}, found those of {found.country}. Somebody copied it here"
        )
    return found


def tombstone_of(body: bytes, *, country: str, sha256: Sha256, what: str) -> Tombstone:
    """The tombstone in a body, if it ends this artifact. Raises InvalidTombstoneError."""
    try:
        tombstone = Tombstone.from_bytes(body, what=what)
    except InvalidDocumentError as error:
        raise InvalidTombstoneError(str(error)) from error
    if not tombstone.covers(country, sha256):
        raise InvalidTombstoneError(
            f"{what}: expected the tombstone of {country} sha256:{sha256}, found that of {tombstone.country} "
            f"sha256:{tombstone.artifact_sha256}. Somebody copied it here"
        )
    return tombstone


def reason_of(error: PeDataError) -> str:
    """What to say of a document that changes nothing."""
    return f"{error}. It is not genuine and changes nothing; tell whoever runs the store"


def _parse(raw: bytes, kind: str, what: str) -> SignedDocument:
    try:
        return parse_envelope(raw, payload_type=kind, what=what)
    except InvalidDocumentError as error:
        raise InvalidTombstoneError(str(error)) from error


def _unchecked(what: str, error: PeDataError) -> UncheckedRevocationError:
    return UncheckedRevocationError(f"{what}: the signatures of a revocation cannot be checked here: {error}")


def main(arguments: list[str]) -> None:
    """Check the envelope on standard input; print what is wrong with it as JSON."""
    kind, country, store, metadata, what = arguments
    problem = message = ""
    try:
        check_here(sys.stdin.buffer.read(), kind, country=country, store=store, metadata=Path(metadata), what=what)
    except InvalidTombstoneError as error:
        problem, message = "invalid", str(error)
    except PeDataError as error:
        problem, message = "unchecked", str(error)
    sys.stdout.write(json.dumps({"problem": problem, "message": message}))


if __name__ == "__main__":
    main(sys.argv[1:])
