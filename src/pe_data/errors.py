"""Everything that `pe_data` raises on purpose descends from `PeDataError`.

A message says which file, object or argument is concerned, what was expected and what was
found, and what to do about it. `exit_code` is what the command line returns for the error.
"""

from typing import ClassVar


class PeDataError(Exception):
    """Base of every error of this package."""

    exit_code: ClassVar[int] = 1


class InvalidNameError(PeDataError):
    """A country, dataset, channel, member name or digest is not well formed."""

    exit_code = 2


class InvalidDocumentError(PeDataError):
    """A JSON document (pointer, manifest, collection, mark) cannot be read as what it should be."""


class DigestMismatchError(PeDataError):
    """Bytes do not have the sha256 or the size that was promised for them."""

    def __init__(self, what: str, *, expected: str, found: str, advice: str) -> None:
        super().__init__(f"{what}: expected {expected}, found {found}. {advice}")
        self.expected = expected
        self.found = found


# --- stores -----------------------------------------------------------------------------------


class StoreError(PeDataError):
    """A store could not do what it was asked."""


class InvalidStoreUrlError(StoreError):
    """A store address has an unknown scheme or a missing part."""

    exit_code = 2


class ObjectNotFoundError(StoreError):
    """The store has no object under the key."""


class ObjectExistsError(StoreError):
    """A create-only write found an object under the key."""


class VersionMismatchError(StoreError):
    """A compare-and-swap found another version than the expected one."""


class StoreReadOnlyError(StoreError):
    """A write or a delete was asked of a store that only reads."""


class RangeNotSupportedError(StoreError):
    """The server answers only with whole objects."""


class ListingNotSupportedError(StoreError):
    """The store cannot enumerate its objects (a plain HTTP mirror)."""


class StorePermissionError(StoreError):
    """The store refused the credentials, or they do not cover the operation."""


class StoreUnavailableError(StoreError):
    """The store did not answer within the time limits, or answered with a server error."""


class UnsafeStoreError(StoreError):
    """The capability probe found that the store ignores conditional writes."""


# --- channels ---------------------------------------------------------------------------------


class UnsupportedChannelError(PeDataError):
    """The channel does not exist here, or needs signing that this version does not have."""

    exit_code = 2


class PointerMismatchError(PeDataError):
    """A pointer stands where another namespace, country, dataset or channel belongs."""


class ChannelConflictError(PeDataError):
    """Another writer moved the channel first."""


# --- trust: keys, signatures and the root ----------------------------------------------------------


class SignatureError(PeDataError):
    """A signed document does not carry what it takes to be believed."""


class UnknownKeyError(SignatureError):
    """Nobody who is trusted for the role has signed the document."""


class BadSignatureError(SignatureError):
    """A signature does not fit the bytes of the document."""


class BelowThresholdError(SignatureError):
    """Fewer different keys signed than the role asks for."""

    def __init__(self, message: str, *, counted: int, threshold: int) -> None:
        super().__init__(message)
        self.counted = counted
        self.threshold = threshold


class ExpiredError(SignatureError):
    """A signed document, a role or the trust root is past its date, or from the future."""


class RollbackError(SignatureError):
    """A signed document or the trust root is older than one that is known to exist."""


class TrustRootError(PeDataError):
    """The trust root is missing, damaged, or not signed by the one before it."""


class KeyFileError(PeDataError):
    """A signing key cannot be made, found, opened or used."""


class NominationError(PeDataError):
    """An artifact may not be nominated, or what was handed in is no nomination."""


# --- publishing and collection ----------------------------------------------------------------


class PublishError(PeDataError):
    """What was handed in for publication is not consistent."""


class BeingDeletedError(PeDataError):
    """Garbage collection is deleting an artifact that a publication needs."""


class GarbageCollectionError(PeDataError):
    """Garbage collection was asked for something that is not safe."""


# --- addresses, cache and resolver -------------------------------------------------------------


class InvalidUriError(PeDataError):
    """An artifact address does not follow the grammar; the message names the part."""

    exit_code = 2


class ConfigError(PeDataError):
    """The configuration file or an environment variable cannot be used."""

    exit_code = 2


class OfflineError(PeDataError):
    """The network is needed and was forbidden, or nothing usable is in the cache."""


class ChannelRollbackError(PeDataError):
    """A channel shows an older version than this machine has already seen."""


class FetchError(PeDataError):
    """No mirror delivered the bytes; the message lists what each one did."""


class CacheError(PeDataError):
    """The cache folder cannot be used."""


class NoRoomError(CacheError):
    """What is to be fetched does not fit on the disk of the cache."""


class RevokedError(PeDataError):
    """The artifact was revoked: a valid tombstone or its own manifest says so."""

    def __init__(self, message: str, *, reason: str | None = None, date: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        """Why, in the words of whoever revoked it; None if only the manifest says so."""
        self.date = date
        """When, UTC; None if only the manifest says so."""


class UncheckedRevocationError(RevokedError):
    """There is a tombstone whose signatures cannot be checked on this machine."""


class CertificationError(PeDataError):
    """An artifact cannot be certified; the kinds below say why."""


class UnsignedPointerError(CertificationError):
    """Certification was asked to rest on a pointer that nobody signed."""


class MissingDigestError(CertificationError):
    """Something that must be pinned has no sha256."""


class IncompatibleModelError(CertificationError):
    """The data was not built for the model version that it should be certified for."""


class MissingValidationError(CertificationError):
    """Nobody said that the artifact was validated."""


class FailedValidationError(CertificationError):
    """The artifact was validated and did not pass."""


class ChecksumError(CertificationError):
    """What lies in the store is not what the pointer, the collection or the manifest promises."""


class RevocationError(PeDataError):
    """A revocation cannot be made or published as it was asked for."""


class InvalidTombstoneError(InvalidDocumentError):
    """A tombstone that is not what it should be: unsigned, of another artifact, of another type."""


class MemberNotFoundError(PeDataError):
    """A collection has no member of that name, or the artifact is not a collection."""


class PeriodNotCoveredError(PeDataError):
    """A year was asked for that the artifact does not cover."""


class MissingExtraError(PeDataError):
    """A function needs a package that comes with an extra."""


class UnsupportedFileError(PeDataError):
    """A file is not in a form that can be described or read here."""


# --- gateway and audit log ---------------------------------------------------------------------


class GatewayError(StoreError):
    """A gateway in front of a private store refused; the message has its reason and its advice."""


class UnauthorizedError(GatewayError, StorePermissionError):
    """The gateway wants a token, or does not know the one that it got."""


class ForbiddenError(GatewayError, StorePermissionError):
    """The token does not cover what was asked for."""


class RateLimitedError(GatewayError):
    """Too many requests in too short a time."""


class GatewayUnavailableError(GatewayError, StoreUnavailableError):
    """The gateway serves nothing at the moment, for example because it cannot write its audit log."""


class CredentialsError(PeDataError):
    """A file with tokens cannot be used: missing, damaged, or readable by others."""

    exit_code = 2


class AuditError(PeDataError):
    """The audit log cannot be read or written."""

    exit_code = 2


class AuditChainError(AuditError):
    """The audit log is not the one that was written: its chain of hashes is broken."""


class CacheWarning(UserWarning):
    """Something is usable but not what was asked for: a stale fallback, a skipped mirror."""
