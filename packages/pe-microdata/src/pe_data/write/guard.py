"""Nobody loses a member of `latest` because somebody published a part.

A collection replaces the one before as a whole. What it does not have is gone for everybody who reads the channel, so a
publication that would take members away is refused unless its publisher says that it should. Members that were revoked
cannot be read any more and may go. It is looked at before anything is sent, and again for the very pointer that is
replaced.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pe_data.documents.collection import Member
from pe_data.documents.pointer import PointerBody
from pe_data.errors import ObjectNotFoundError, RemovalError
from pe_data.names.digests import Sha256
from pe_data.read.channels import read
from pe_data.store.artifacts import read_collection
from pe_data.store.base import Store
from pe_data.write.revocation_bar import Bar

NAMED = 5
"""Members that a message names."""
ADVICE = "If that is meant, say --allow-removal (allow_removal=True)"


@dataclass(frozen=True, slots=True)
class Guard:
    """Holds the names of a publication against those of the channel."""

    store: Store
    country: str
    dataset: str
    names: frozenset[str] | None
    """Of the members that are published; None for a single file."""
    allow: bool
    """Refuse nothing."""
    _agreed: set[Sha256] = field(default_factory=set, repr=False)
    """Artifacts that lose nothing."""

    def look(self) -> None:
        """Hold them against what `latest` leads to now. Raises RemovalError."""
        try:
            body = read(self.store, self.country, self.dataset).body
        except ObjectNotFoundError:
            return
        self.agree(body)

    def agree(self, body: PointerBody | None) -> None:
        """Hold them against what a pointer leads to; None for no pointer yet.

        Raises:
            RemovalError: it leads to members that the publication does not have.
        """
        if body is None or self.allow or body.artifact_sha256 in self._agreed:
            return
        gone, there = self._gone(body)
        if gone is not None:
            raise RemovalError(
                f"{self.country}/{self.dataset}: expected all that version {body.version} of @latest leads to "
                f"({there}), found {self._found(gone)}. Whoever reads them through @latest would lose them, so the "
                "channel is not moved",
                advice=ADVICE,
                gone=gone,
            )
        self._agreed.add(body.artifact_sha256)

    def _gone(self, body: PointerBody) -> tuple[tuple[str, ...] | None, str]:
        """The members that would be lost, None for nothing; and in words what is there."""
        if not body.is_collection:
            return (None if self.names is None else ()), "a single file"
        found = read_collection(self.store, self.country, body.artifact_sha256)
        there = found[0].members if found else {}  # what is gone already cannot be lost
        gone = sorted(there.keys() - (self.names or frozenset()))
        return self._readable(body, gone, there) or None, f"{len(there):,} members"

    def _readable(self, body: PointerBody, names: list[str], members: Mapping[str, Member]) -> tuple[str, ...]:
        """Those that were not revoked, alone or with the whole."""
        bar = Bar.of(self.store)
        if not names or bar.has_ended(self.country, body.artifact_sha256):
            return ()
        return tuple(name for name in names if not bar.has_ended(self.country, members[name].artifact_sha256))

    def _found(self, gone: tuple[str, ...]) -> str:
        if self.names is None:
            return "a single file"
        if not gone:
            return f"a collection of {len(self.names):,}"
        more = f" and {len(gone) - NAMED:,} more" if len(gone) > NAMED else ""
        return f"{len(self.names):,} without {', '.join(gone[:NAMED])}{more}"
