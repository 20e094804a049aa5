"""Collections: one artifact that lists many, so that a channel moves all of them at once.

A collection names its members by relative name (`districts/NC-01`), each with the digest of its
payload and of its manifest. The document itself is content-addressed by the sha256 of its bytes
and is its own manifest.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pe_data.documents.document import Country, Dataset, Digest, Document, Part, Size, matching
from pe_data.documents.validation import Validation
from pe_data.errors import InvalidNameError
from pe_data.names.digests import Sha256, sha256_bytes
from pe_data.names.keys import (
    MEMBER,
    Extension,
)

COLLECTION_LIMIT = 64 * 1024 * 1024
"""Largest collection document that is read, in bytes (about 250,000 members)."""
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,127}")
RunId = Annotated[str, matching(RUN_ID.pattern, "a run id")]
Name = Annotated[str, matching(MEMBER, "a member's name: segments of letters, digits, '-', '_' and single '.'")]


class Member(Part, frozen=True):
    """One artifact of a collection."""

    artifact_sha256: Digest
    manifest_sha256: Digest
    size_bytes: Size
    extension: Extension


class Collection(Document, frozen=True):
    """The members of one publish run by relative name.

    Attributes:
        run_id: Which run of the producer made the members.
        validation: What was checked of the members; left out if the producer did not say.
    """

    HEAD: ClassVar[Mapping[str, int | str]] = {"schema_version": 1, "kind": "collection"}
    country: Country
    dataset: Dataset
    run_id: RunId
    members: Mapping[Name, Member]
    validation: Validation | None = None

    @property
    def sha256(self) -> Sha256:
        """Identity of the collection: the sha256 of `to_bytes`."""
        return sha256_bytes(self.to_bytes())

    def member(self, name: str) -> Member:
        """The member `name`; InvalidNameError with the closest names if there is none."""
        if name in self.members:
            return self.members[name]
        near = difflib.get_close_matches(name, self.members, n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise InvalidNameError(
            f"collection {self.country}/{self.dataset} (run {self.run_id}) has no member "
            f"{name!r} among its {len(self.members)}{hint}"
        )
