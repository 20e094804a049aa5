"""What a reader is told of a revoked artifact, and when it gets the bytes all the same."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pe_data.cache.known_revocations import Known
from pe_data.documents.tombstone import Tombstone
from pe_data.errors import CacheWarning, InvalidDocumentError, RevokedError, UncheckedRevocationError
from pe_data.names.digests import Sha256, read_kept
from pe_data.read.options import Options

if TYPE_CHECKING:
    from pe_data.names.uri import HubUri, StoreUri, WebUri

    AnyUri = StoreUri | WebUri | HubUri

_HOW = "Use a newer version. Bytes that this machine holds are handed out offline, or with --allow-revoked"


@dataclass(frozen=True, slots=True)
class Revoked:
    """One revoked artifact on the way to what was asked for."""

    sha256: Sha256
    """The artifact: the payload, or the collection that it was reached through."""
    tombstone: Tombstone | None
    """None if it could not be read, or nobody here can check it."""
    problem: str = ""
    """Why nobody can; empty if it is known to be revoked."""
    date: str | None = None
    """When, as the list says."""

    @property
    def checked(self) -> bool:
        """Whether signatures say so. If not, it stops a download and nothing else."""
        return not self.problem

    def error(self, uri: "AnyUri") -> RevokedError:
        """What a reader is told: reason and date, or why there are none."""
        if self.problem:
            return UncheckedRevocationError(f"{uri}: {self.problem}. {_HOW}")
        stone = self.tombstone
        if stone is None:
            date = self.date or ""
            told = f"was revoked on {date[:10]}; its tombstone, with the reason, could not be read"
            return RevokedError(f"{uri}: sha256:{self.sha256} {told}. {_HOW}", date=date)
        along = "" if self.sha256 == stone.artifact_sha256 else f" with collection sha256:{stone.artifact_sha256}"
        return RevokedError(
            f"{uri}: sha256:{self.sha256} was revoked on {stone.date[:10]}{along} by {stone.revoked_by} "
            f"(licence {stone.licence}): {stone.reason}. {_HOW}",
            reason=stone.reason,
            date=stone.date,
        )


def obey(found: Revoked, uri: "AnyUri", options: Options, *, cached: bool) -> None:
    """Refuse a revoked artifact, or warn where that is all that is right.

    Bytes that are in the cache are handed out with a warning offline (somebody may be in the middle of a run), with
    `allow_revoked`, and where nobody here can check what the store says.

    Raises:
        RevokedError: naming reason and date.
    """
    error = found.error(uri)
    if not cached or not (options.offline or options.allow_revoked or not found.checked):
        raise error
    warnings.warn(f"REVOKED: {error}", CacheWarning, stacklevel=3)


def refuse_remembered(uri: "WebUri | HubUri", sha256: Sha256, options: Options, *, cached: bool) -> None:
    """For addresses that no store stands behind: refuse bytes that this machine knows to be revoked.

    Raises:
        RevokedError: as `obey`.
    """
    known = Known(options.cache)
    stone = remembered_tombstone(known, sha256, None)
    found = None if stone is None else Revoked(sha256, stone)
    for country in known.countries() if found is None else ():
        kept = known.kept(country)
        if kept is not None and sha256 in kept.revoked:
            found = Revoked(sha256, None, date=kept.revoked[sha256].date)
    if found is not None:
        obey(found, uri, options, cached=cached)


def remembered_tombstone(known: Known, sha256: Sha256, country: str | None) -> Tombstone | None:
    """The tombstone that this machine has seen for an artifact of a country; of any country if that is None."""
    for path in known.tombstone_paths(sha256, country):
        body = read_kept(path)
        if body is None:
            continue
        try:
            stone = Tombstone.from_bytes(body, what=str(path))
        except InvalidDocumentError:
            known.forget(sha256, path)
            continue
        # Whoever revokes for one country says nothing of the artifacts of another.
        if stone.covers(stone.country if country is None else country, sha256):
            return stone
    return None
