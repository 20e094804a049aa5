"""Collections: one artifact that lists many, so that a channel moves all of them at once.

A collection names its members by relative name (`districts/NC-01`), each with the digest of its
payload and of its manifest. The document itself is content-addressed by the sha256 of its bytes
and is its own manifest.

What follows from the bytes of a file stands in its manifest, one for each sha256; the first that was
published stays. What a publication says of a member stands here, in the member's row: which area it
is, under which licence, with which notes. It is new with every publication, wins over the manifest
where both say something, and differs between members that share their bytes.

Version policy. The rows' optional fields leave `schema_version` at 1: a reader that does not know them
ignores them and reads the members, and a collection without them has the bytes that it always had.
Only a change of meaning raises it, and such a collection is refused by name.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar

import msgspec

from pe_data.documents.dictionary import Variable, check_variables
from pe_data.documents.document import (
    Country,
    Dataset,
    Digest,
    Document,
    Part,
    Refused,
    Size,
    Text,
    Version,
    check_lines,
    describe,
    matching,
)
from pe_data.documents.manifest import Manifest
from pe_data.documents.validation import Validation
from pe_data.errors import InvalidNameError
from pe_data.names.digests import Sha256, sha256_bytes
from pe_data.names.keys import (
    MEMBER,
    Extension,
)
from pe_data.suggestions import did_you_mean

COLLECTION_LIMIT = 64 * 1024 * 1024
"""Largest collection document that is read, in bytes (about 250,000 members)."""
LINE_LIMIT = 500
"""Longest line that is said of a member, in characters."""
NOTES_LIMIT = 100
"""Most notes of a member."""
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,127}")
RunId = Annotated[str, matching(RUN_ID.pattern, "a run id")]
Name = Annotated[str, matching(MEMBER, "a member's name: segments of letters, digits, '-', '_' and single '.'")]


class Area(Part, frozen=True):
    """The area that a file is of.

    Attributes:
        type: Such as national, state or district.
        id: Unique within its type.
        name: For people.
        congress: Whose congressional districts the file's codes are of, where there are such.
    """

    type: Text
    id: Text
    name: Text
    congress: Version | None = None

    def __post_init__(self) -> None:
        check_lines(self, LINE_LIMIT, "type", "id", "name")

    def __str__(self) -> str:
        congress = f", Congress {self.congress}" if self.congress is not None else ""
        return f"{self.type} {self.id}{f' ({self.name})' if self.name != self.id else ''}{congress}"


_DEMONSTRATION = re.compile(r"\bdemonstration\b|\bsynthetic\b|\bnot an estimate\b", re.IGNORECASE)


def demonstrations(notes: Iterable[str]) -> tuple[str, ...]:
    """The notes that say that the data are a demonstration, or of no real population."""
    return tuple(note for note in notes if _DEMONSTRATION.search(note))


class About(Part, frozen=True, kw_only=True):
    """What a publication says of a file; none of it follows from the file's bytes.

    Attributes:
        area: The area that it is of.
        title: For people.
        licence: Under which it is published; wins over the one in its manifest.
        notes: What a reader has to know, a line for each.
        citation: How to cite it.
    """

    area: Area | None = None
    title: Text | None = None
    licence: Text | None = None
    notes: Annotated[
        tuple[Text, ...], msgspec.Meta(max_length=NOTES_LIMIT, description=f"at most {NOTES_LIMIT} lines")
    ] = ()
    citation: Text | None = None

    def __post_init__(self) -> None:
        check_lines(self, LINE_LIMIT, "title", "licence", "notes", "citation")
        if len(self.notes) > NOTES_LIMIT:
            raise Refused("notes", f"at most {NOTES_LIMIT} lines", describe(self.notes))

    def over(self, other: "About") -> "About":
        """This, and where it says nothing, what `other` says; the notes of both, each once."""
        own = {name: getattr(self, name) for name in ABOUT if getattr(self, name)}
        notes = tuple(dict.fromkeys((*self.notes, *other.notes)))
        return About(**{name: getattr(other, name) for name in ABOUT} | own | {"notes": notes})


ABOUT: tuple[str, ...] = About.__struct_fields__
NOTHING = About()


def licensed(manifest: Manifest, about: About) -> Manifest:
    """The manifest with the licence in force: the one that a publication says, else its own."""
    return manifest if about.licence is None else msgspec.structs.replace(manifest, licence=about.licence)


class Member(About, frozen=True):
    """One artifact of a collection, and what is said of it."""

    artifact_sha256: Digest
    manifest_sha256: Digest
    size_bytes: Size
    extension: Extension

    @property
    def bare(self) -> "Member":
        """The file alone, with nothing said of it."""
        return Member(self.artifact_sha256, self.manifest_sha256, self.size_bytes, self.extension)

    @property
    def about(self) -> About:
        """What is said of it."""
        return About(**{name: getattr(self, name) for name in ABOUT})

    def saying(self, about: About) -> "Member":
        """The same file with this said of it."""
        return msgspec.structs.replace(self, **{name: getattr(about, name) for name in ABOUT})


class Collection(Document, frozen=True):
    """The members of one publish run by relative name.

    Attributes:
        run_id: Which run of the producer made the members.
        validation: What was checked of the members; left out if the producer did not say.
        dictionary: What the variables of the members mean; a member need not have all of them.
    """

    HEAD: ClassVar[Mapping[str, int | str]] = {"schema_version": 1, "kind": "collection"}
    country: Country
    dataset: Dataset
    run_id: RunId
    members: Mapping[Name, Member]
    validation: Validation | None = None
    dictionary: tuple[Variable, ...] = ()

    def __post_init__(self) -> None:
        check_variables(self.dictionary, "dictionary")

    @property
    def sha256(self) -> Sha256:
        """Identity of the collection: the sha256 of `to_bytes`."""
        return sha256_bytes(self.to_bytes())

    def member(self, name: str) -> Member:
        """The member `name`; InvalidNameError with the closest names if there is none."""
        if name in self.members:
            return self.members[name]
        raise InvalidNameError(
            f"collection {self.country}/{self.dataset} (run {self.run_id}) has no member "
            f"{name!r} among its {len(self.members)}. {did_you_mean(name, sorted(self.members))}".rstrip(". ")
        )
