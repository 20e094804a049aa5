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


class RevokedError(PeDataError):
    """The manifest says that the artifact was revoked."""


class MemberNotFoundError(PeDataError):
    """A collection has no member of that name, or the artifact is not a collection."""


class PeriodNotCoveredError(PeDataError):
    """A year was asked for that the artifact does not cover."""


class MissingExtraError(PeDataError):
    """A function needs a package that comes with an extra."""


class UnsupportedFileError(PeDataError):
    """A file is not in a form that can be described or read here."""


class CacheWarning(UserWarning):
    """Something is usable but not what was asked for: a stale fallback, a skipped mirror."""
