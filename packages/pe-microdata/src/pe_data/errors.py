"""The error tree of :mod:`pe_data`.

Every error that is raised on purpose is a :class:`PeDataError`. Its text is one line that says which file, object or
argument, what was expected, what was found and what to do, so that a command line can print it as it is. A class exists
where a caller does something about it: look elsewhere, try again, ask for a file, leave with another exit code.
"""

from importlib import import_module
from typing import ClassVar


class PeDataError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code: ClassVar[int] = 1
    """What `pe-data` returns for it."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


# --- what was handed in -------------------------------------------------------------------------


class InvalidNameError(PeDataError):
    """A name, a digest, a channel or an address is not well formed; the message names the part."""

    exit_code = 2


class ConfigError(PeDataError):
    """The configuration, an environment variable or a file of tokens cannot be used."""

    exit_code = 2


class InputError(PeDataError):
    """A file, a key, a year or a member that was asked for or handed in cannot be used as it is."""


class MissingExtraError(PeDataError):
    """A function needs a package that comes with an extra."""


def need(what: str, extra: str, *modules: str) -> None:
    """Import modules that come with an extra.

    Args:
        what: Who needs them, as the beginning of a sentence: `pages need`.

    Raises:
        MissingExtraError: one is not installed; says what to install.
    """
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            package = module.partition(".")[0]
            raise MissingExtraError(
                f"{what} the package {package}: install the extra {extra!r} of pe-microdata"
            ) from error


# --- documents and bytes ------------------------------------------------------------------------


class InvalidDocumentError(PeDataError):
    """A JSON document (pointer, manifest, collection, tombstone) is not what it should be."""


class InvalidTombstoneError(InvalidDocumentError):
    """A tombstone or a revocation list is unsigned, damaged, of another artifact or country, or of another type."""


class PointerMismatchError(PeDataError):
    """A pointer stands where another namespace, country, dataset or channel belongs."""


class DigestMismatchError(PeDataError):
    """Bytes do not have the sha256 or the size that was promised for them."""

    def __init__(self, what: str, *, expected: str, found: str, advice: str) -> None:
        super().__init__(f"{what}: expected {expected}, found {found}. {advice}")
        self.expected = expected
        self.found = found


# --- stores -------------------------------------------------------------------------------------


class StoreError(PeDataError):
    """A store could not do what it was asked, or is not safe to write to."""


class ObjectNotFoundError(StoreError):
    """The store has no object under the key."""


class ObjectExistsError(StoreError):
    """A create-only write found an object under the key."""


class VersionMismatchError(StoreError):
    """A compare-and-swap found another version than the expected one."""


class RangeNotSupportedError(StoreError):
    """The server answers only with whole objects."""


class ListingNotSupportedError(StoreError):
    """The store cannot list its objects (a plain HTTP mirror)."""


class StorePermissionError(StoreError):
    """The store refused the credentials, or they do not cover the operation."""


class StoreUnavailableError(StoreError):
    """The store did not answer within the time limits, or answered with a server error."""


class GatewayError(StoreError):
    """A gateway in front of a private store refused; the message has its reason and its advice."""


class ForbiddenError(GatewayError, StorePermissionError):
    """The gateway wants a token, does not know the one that it got, or the token does not cover what was asked for."""


class GatewayUnavailableError(GatewayError, StoreUnavailableError):
    """The gateway serves nothing at the moment, for example because it cannot write its audit log."""


class ConflictError(PeDataError):
    """Another writer moved the channel, or deleted what this one relied on. Doing it again is safe."""


class RemovalError(PeDataError):
    """A publication would take members away from everybody who reads the channel, and nobody said that it should."""

    def __init__(self, fact: str, *, advice: str, gone: tuple[str, ...]) -> None:
        super().__init__(f"{fact}. {advice}")
        self.fact = fact
        """What would happen, without what to do about it."""
        self.gone = gone
        """Names of the members; empty if a file and a collection would take each other's place."""


# --- signatures ---------------------------------------------------------------------------------


class SignatureError(PeDataError):
    """The signatures of a document do not suffice."""


class BelowThresholdError(SignatureError):
    """Fewer different keys signed than the role asks for."""

    def __init__(self, message: str, *, counted: int, threshold: int) -> None:
        super().__init__(message)
        self.counted = counted
        self.threshold = threshold


class ExpiredError(SignatureError):
    """A signed document, a role or the trust root is past its date, or from the future."""


class RollbackError(SignatureError):
    """A channel, a signed document or the trust root is older than one that this machine has seen or was given."""


class TrustRootError(PeDataError):
    """The trust root is missing, damaged, or not signed by the one before it."""


# --- fetching -----------------------------------------------------------------------------------


class OfflineError(PeDataError):
    """The network is needed and was forbidden, or nothing usable is in the cache."""


class FetchError(PeDataError):
    """No place delivered the bytes; the message lists what each one did."""


class CacheError(PeDataError):
    """The cache folder cannot be used."""


class NoRoomError(CacheError):
    """What is to be fetched does not fit on the disk of the cache."""


class CacheWarning(UserWarning):
    """Something is usable but not what was asked for: a stale fallback, a skipped mirror."""


class SmallSampleWarning(UserWarning):
    """An estimate rests on a small effective sample."""


class DemonstrationWarning(UserWarning):
    """The notes of the data say that they are a demonstration, or of no real population."""


# --- revocation and certification -----------------------------------------------------------------


class RevokedError(PeDataError):
    """The artifact was revoked: a valid tombstone or its own manifest says so."""

    def __init__(self, message: str, *, reason: str | None = None, date: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        """Why, in the words of whoever revoked it; None if only the manifest says so."""
        self.date = date
        """When, UTC; None if only the manifest says so."""


class UncheckedRevocationError(RevokedError):
    """Nobody here can tell whether it was revoked: signatures cannot be checked, or a list that must hold does not."""


class CertificationError(PeDataError):
    """An artifact cannot be certified: unsigned, unpinned, not validated, built for another model, or damaged."""


# --- the audit log --------------------------------------------------------------------------------


class AuditError(PeDataError):
    """The audit log cannot be read or written."""

    exit_code = 2


class AuditChainError(AuditError):
    """The audit log is not the one that was written: its chain of hashes is broken."""


# Names of earlier versions that the documentation gave; an `except` that uses one still works.
UnsignedPointerError = MissingDigestError = ChecksumError = CertificationError
MissingValidationError = FailedValidationError = IncompatibleModelError = CertificationError
UnauthorizedError = ForbiddenError
RateLimitedError = GatewayError
