"""Collections: one artifact that lists many, so that a channel moves all of them at once.

A collection names its members by relative name (`districts/NC-01`), each with the digest of its
payload and of its manifest. The document itself is content-addressed by the sha256 of its bytes
and is its own manifest.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pe_data.documents.fields import Fields
from pe_data.documents.validation import Validation
from pe_data.errors import InvalidDocumentError, InvalidNameError
from pe_data.names.digests import Sha256, canonical_json, sha256_bytes, strict_json
from pe_data.names.keys import (
    EXTENSIONS,
    SIZE_LIMIT,
    Extension,
    check_country,
    check_dataset,
    check_extension,
    check_member,
)

SCHEMA_VERSION = 1
COLLECTION_LIMIT = 64 * 1024 * 1024
"""Largest collection document that is read, in bytes (about 250,000 members)."""
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,127}")


@dataclass(frozen=True, slots=True)
class Member:
    """One artifact of a collection."""

    artifact_sha256: Sha256
    manifest_sha256: Sha256
    size_bytes: int
    extension: Extension


@dataclass(frozen=True, slots=True)
class Collection:
    """The members of one publish run by relative name."""

    country: str
    dataset: str
    run_id: str
    """Which run of the producer made the members."""
    members: Mapping[str, Member]
    validation: Validation | None = None
    """What was checked of the members; None if the producer did not say."""

    @classmethod
    def from_bytes(cls, raw: bytes, *, what: str) -> "Collection":
        """Read a collection document.

        Raises:
            InvalidDocumentError: naming the field that is wrong.
            InvalidNameError: if a member's name could leave its place.
        """
        fields = Fields.of(strict_json(raw, what=what), what)
        schema = fields.integer("schema_version", minimum=1)
        if schema > SCHEMA_VERSION:
            raise InvalidDocumentError(
                f"{what}: collection schema {schema} is newer than the {SCHEMA_VERSION} that "
                "this version of pe-data reads; upgrade it"
            )
        members = {
            check_member(name): Member(
                artifact_sha256=row.sha256("artifact_sha256"),
                manifest_sha256=row.sha256("manifest_sha256"),
                size_bytes=row.integer("size_bytes", maximum=SIZE_LIMIT),
                extension=check_extension(row.one_of("extension", EXTENSIONS)),
            )
            for name, row in fields.sub("members").items()
        }
        return cls(
            country=check_country(fields.text("country")),
            dataset=check_dataset(fields.text("dataset")),
            run_id=fields.text("run_id", pattern=RUN_ID, what="a run id"),
            members=members,
            validation=Validation.read(fields.sub("validation")) if fields.has("validation") else None,
        )

    def to_bytes(self) -> bytes:
        """Canonical JSON; the sha256 of these bytes is the identity of the collection."""
        validation = {"validation": self.validation.to_dict()} if self.validation else {}
        return canonical_json(
            {
                **validation,
                "schema_version": SCHEMA_VERSION,
                "kind": "collection",
                "country": self.country,
                "dataset": self.dataset,
                "run_id": self.run_id,
                "members": {
                    name: {
                        "artifact_sha256": member.artifact_sha256,
                        "manifest_sha256": member.manifest_sha256,
                        "size_bytes": member.size_bytes,
                        "extension": member.extension,
                    }
                    for name, member in self.members.items()
                },
            }
        )

    @property
    def sha256(self) -> Sha256:
        """Identity of the collection."""
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
