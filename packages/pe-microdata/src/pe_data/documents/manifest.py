"""The manifest: a description of one artifact in about 3 kB.

Version policy. `schema_version` is `major.minor`. A reader accepts every minor of its own major
version and ignores keys that it does not know; it refuses a newer major by name. A new optional
field raises the minor, a change of meaning raises the major. Old majors stay readable: a reader
that drops one says in its changelog how to rewrite such manifests.

A manifest holds no times and no run id: the same file gives the same bytes. Its identity is the
sha256 of its canonical JSON (`to_bytes`), whichever way a store compresses it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import msgspec

from pe_data.documents.dictionary import PERIODS, PeriodKind, Variable, check_variables
from pe_data.documents.document import (
    Count,
    Country,
    Dataset,
    Digest,
    Document,
    Part,
    Refused,
    Size,
    Text,
    describe,
    matching,
)
from pe_data.documents.validation import Validation
from pe_data.names.digests import Sha256, canonical_json, first_twice, sha256_bytes
from pe_data.names.keys import MEDIA_TYPES, Extension, MediaType

SCHEMA_VERSION = "1.0"
VALIDATED_VERSION = "1.1"
"""Of manifests with `validation`; those without stay what they were, byte for byte."""
CONVENTIONS_VERSION = "1.2"
"""Of manifests with `conventions`, with `validation` or without."""
DICTIONARY_VERSION = "1.3"
"""Of manifests with `dictionary`, with the others or without."""
_EXTENSIONS: Mapping[MediaType, Extension] = {media: ext for ext, media in MEDIA_TYPES.items()}

Status = Literal["active", "revoked"]
Access = Literal["public", "gated"]

Names = Annotated[tuple[Text, ...], msgspec.Meta(extra_json_schema={"uniqueItems": True})]
Years = Annotated[
    tuple[int, ...],
    msgspec.Meta(min_length=1, description="one or more years, ascending", extra_json_schema={"uniqueItems": True}),
]
MajorVersion = Annotated[
    str, matching(r"1\.[0-9]+", "major version 1, such as 1.0 (a newer manifest needs a newer pe_data: upgrade it)")
]


class Artifact(Part, frozen=True):
    """The file that the manifest describes."""

    sha256: Digest
    size_bytes: Size
    media_type: MediaType

    @property
    def extension(self) -> Extension:
        """`h5` or `parquet`: the end of the payload's key."""
        return _EXTENSIONS[self.media_type]


@dataclass(frozen=True, slots=True)
class ColumnGroup:
    """The columns of one entity that share dtype and period kind, by name in alphabetical order."""

    entity: str
    dtype: str
    names: tuple[str, ...]
    period: PeriodKind = "year"


class Entity(Part, frozen=True):
    """One entity (person, household, …) of a file.

    Columns are listed by dtype: numpy's name (`float32`, `int64`, `bool`), `text`, or `text<n>` for fixed-width text.

    Attributes:
        id: The column that identifies a row.
        links: Other entity → the column of this entity that holds its id.
        weight: The column with the survey weight of a row.
        columns: With a value per year.
        monthly_columns: With a value per month.
        eternal_columns: Without a period.
    """

    rows: Count
    id: Text | None = None
    links: Mapping[str, Text] = {}
    weight: Text | None = None
    columns: Mapping[str, Names] = {}
    monthly_columns: Mapping[str, Names] = {}
    eternal_columns: Mapping[str, Names] = {}

    def __post_init__(self) -> None:
        known: set[str] = set()
        for field, columns in zip(("columns", "monthly_columns", "eternal_columns"), self.by_period(), strict=True):
            for dtype, names in columns.items():
                twice = next((name for name in names if name in known), None) or first_twice(names)
                if twice is not None:
                    raise Refused(f"{field}.{dtype}", "each column once", f"{describe(twice)} twice")
                known.update(names)
        lost = next((column for column in self.roles if column not in known), None)
        if lost is not None:
            raise Refused("columns", "id, links and weight among its columns", f"no column {describe(lost)}")

    @property
    def roles(self) -> dict[str, str]:
        """Column → `id`, `weight` or `link to …`, of those that have a role."""
        roles = {column: f"link to {other}" for other, column in self.links.items()}
        roles |= {self.id: "id"} if self.id else {}
        return roles | ({self.weight: "weight"} if self.weight else {})

    def by_period(self) -> tuple[Mapping[str, tuple[str, ...]], ...]:
        """Columns by dtype, for each of PERIODS."""
        return self.columns, self.monthly_columns, self.eternal_columns


class InputFile(Part, frozen=True):
    """One input that the file was built from."""

    name: Text
    sha256: Digest
    size_bytes: Count


def composite_digest(files: Iterable[InputFile]) -> Sha256:
    """One digest for a set of inputs, whatever their order."""
    return sha256_bytes(canonical_json({file.name: file.sha256 for file in files}))


class Inputs(Part, frozen=True):
    """What the file was built from; recorded, never used as the key."""

    composite_digest: Digest
    files: tuple[InputFile, ...] = ()

    def __post_init__(self) -> None:
        twice = first_twice(file.name for file in self.files)
        if twice is not None:
            raise Refused("files", "each name once", f"{describe(twice)} twice")
        if self.files and self.composite_digest != composite_digest(self.files):
            expected = f"{composite_digest(self.files)}, as its files give"
            raise Refused("composite_digest", expected, describe(self.composite_digest))


class Build(Part, frozen=True):
    """What built the file.

    Attributes:
        tools: Tool or package → version.
    """

    tools: Mapping[str, Text] = {}
    model_package: Text | None = None
    model_version: Text | None = None
    data_build_fingerprint: Text | None = None


UNKNOWN_BUILD = Build()


class Manifest(Document, frozen=True):
    """The schema sidecar of one artifact.

    Attributes:
        time_period: The years that the file covers, ascending.
        conventions: How codes in the file are written, where there are several ways: `at_large_code` → `00`.
        validation: What was checked of the file; left out for a member, whose collection says it, or if nobody said.
        dictionary: What its columns mean; likewise.
    """

    HEAD: ClassVar[Mapping[str, int | str]] = {}
    artifact: Artifact
    country: Country
    dataset: Dataset
    time_period: Years
    entities: Mapping[str, Entity]
    licence: Text
    status: Status
    access: Access
    schema_version: MajorVersion
    inputs: Inputs | None = None
    build: Build = UNKNOWN_BUILD
    validation: Validation | None = None
    conventions: Mapping[str, Text] = {}
    dictionary: tuple[Variable, ...] = ()

    def __post_init__(self) -> None:
        if list(self.time_period) != sorted(set(self.time_period)):
            raise Refused("time_period", "one or more years, ascending", f"{list(self.time_period[:10])}")
        check_variables(self.dictionary, "dictionary")
        if self.build == UNKNOWN_BUILD:
            msgspec.structs.force_setattr(self, "build", UNKNOWN_BUILD)  # this very one is left out of the document

    def validated(self, validation: Validation) -> "Manifest":
        """This manifest with the outcome of a validation."""
        return msgspec.structs.replace(self, validation=validation)._with_its_version()

    def explained(self, variables: tuple[Variable, ...]) -> "Manifest":
        """This manifest with what its columns mean, as far as `variables` say it; with `()` it says nothing of that."""
        bare = msgspec.structs.replace(self, dictionary=())
        said = tuple(one for one in bare.variables(variables) if one.is_told)
        return self if said == self.dictionary else msgspec.structs.replace(bare, dictionary=said)._with_its_version()

    def _with_its_version(self) -> "Manifest":
        parts = {
            DICTIONARY_VERSION: self.dictionary,
            CONVENTIONS_VERSION: self.conventions,
            VALIDATED_VERSION: self.validation,
        }
        version = next((version for version, part in parts.items() if part), SCHEMA_VERSION)
        return msgspec.structs.replace(self, schema_version=version)

    def variables(self, said: tuple[Variable, ...] = ()) -> tuple[Variable, ...]:
        """What is known of each column, by name.

        Entity and period are the manifest's own. What somebody else said of a variable of another entity counts for
        nothing.

        Args:
            said: By its collection; of what that does not say, the manifest's own dictionary counts.
        """
        known = {(one.name, one.entity): one for one in (*self.dictionary, *said)}
        found = []
        for group in self.columns:
            for name in group.names:
                one = next((known[name, part] for part in group.entity.split("|") if (name, part) in known), None)
                own = Variable(name, group.entity, group.period)
                found.append(own if one is None else msgspec.structs.replace(one, entity=own.entity, period=own.period))
        return tuple(sorted(found, key=lambda one: (one.name, one.entity)))

    def described(self, said: tuple[Variable, ...] = ()) -> dict[str, list[tuple[ColumnGroup, Variable]]]:
        """Entity → its columns by name, each with what is known of it; arguments as of `variables`."""
        known = {(one.name, one.entity): one for one in self.variables(said)}
        found: dict[str, list[tuple[ColumnGroup, Variable]]] = {entity: [] for entity in sorted(self.entities)}
        for group in self.columns:
            found[group.entity] += [(group, known[name, group.entity]) for name in group.names]
        return {entity: sorted(columns, key=lambda column: column[1].name) for entity, columns in found.items()}

    @property
    def sha256(self) -> Sha256:
        """The identity of the manifest: sha256 of `to_bytes()`."""
        return sha256_bytes(self.to_bytes())

    @property
    def columns(self) -> tuple[ColumnGroup, ...]:
        """All columns, by entity, period and dtype."""
        return tuple(self._groups())

    def _groups(self) -> Iterator[ColumnGroup]:
        for name, entity in self.entities.items():
            for period, columns in zip(PERIODS, entity.by_period(), strict=True):
                yield from (ColumnGroup(name, dtype, names, period) for dtype, names in columns.items())

    def column_names(self, entity: str) -> tuple[str, ...]:
        """All columns of `entity`, alphabetically."""
        return tuple(sorted(n for columns in self.entities[entity].by_period() for ns in columns.values() for n in ns))

    def every_column(self) -> dict[str, tuple[str, ...]]:
        """Entity → all its columns, alphabetically."""
        return {entity: self.column_names(entity) for entity in self.entities}
