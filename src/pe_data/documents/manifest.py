"""The manifest: what an artifact is, told in about two kilobytes.

Version policy. `schema_version` is `major.minor`. A reader accepts every minor of its own major
version and ignores keys that it does not know; it refuses a newer major by name. A new optional
field raises the minor, a change of meaning raises the major. Old majors stay readable: a reader
that drops one says in its changelog how to rewrite such manifests.

A manifest holds no times and no run id: the same file gives the same bytes. Its identity is the
sha256 of its canonical JSON (`to_bytes`), whichever way a store compresses it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from pe_data.documents.fields import Described, Fields, describe
from pe_data.documents.validation import Validation
from pe_data.names.digests import Sha256, canonical_json, first_twice, sha256_bytes, strict_json
from pe_data.names.keys import MEDIA_TYPES, SIZE_LIMIT, Extension

SCHEMA_VERSION = "1.0"
VALIDATED_VERSION = "1.1"
"""Of manifests with `validation`; those without stay what they were, byte for byte."""
_EXTENSIONS: Mapping[str, Extension] = {media: ext for ext, media in MEDIA_TYPES.items()}

Status = Literal["active", "revoked"]
Access = Literal["public", "gated"]
PeriodKind = Literal["year", "month", "eternity"]

_KEY_OF_PERIOD: Mapping[PeriodKind, str] = {
    "year": "columns",
    "month": "monthly_columns",
    "eternity": "eternal_columns",
}
_VERSION = re.compile(r"(\d+)\.(\d+)")
_COUNTRY = re.compile(r"[a-z]{2,3}")
_DATASET = re.compile(r"[a-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Artifact:
    """The file that the manifest describes."""

    sha256: Sha256
    size_bytes: int
    media_type: str

    @property
    def extension(self) -> Extension:
        """`h5` or `parquet`: the end of the payload's key."""
        return _EXTENSIONS[self.media_type]


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity (person, household, …) of a file."""

    rows: int
    id: str | None = None
    """The column that identifies a row."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Other entity → the column of this entity that holds its id."""
    weight: str | None = None
    """The column with the survey weight of a row."""


@dataclass(frozen=True, slots=True)
class ColumnGroup:
    """The columns of one entity that share dtype and period kind, by name in alphabetical order."""

    entity: str
    dtype: str
    """numpy's name (`float32`, `int64`, `bool`), `text` or `text<n>` for fixed-width text."""
    names: tuple[str, ...]
    period: PeriodKind = "year"


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input that the file was built from."""

    name: str
    sha256: Sha256
    size_bytes: int


def composite_digest(files: Iterable[InputFile]) -> Sha256:
    """One digest for a set of inputs, whatever their order."""
    return sha256_bytes(canonical_json({file.name: file.sha256 for file in files}))


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the file was built from; recorded, never used as the key."""

    composite_digest: Sha256
    files: tuple[InputFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Build:
    """What built the file."""

    tools: Mapping[str, str] = field(default_factory=dict)
    """Tool or package → version."""
    model_package: str | None = None
    model_version: str | None = None
    data_build_fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """The schema sidecar of one artifact. `from_bytes` and `to_bytes` are inverse."""

    artifact: Artifact
    country: str
    dataset: str
    time_period: tuple[int, ...]
    """The years that the file covers, ascending."""
    entities: Mapping[str, Entity]
    columns: tuple[ColumnGroup, ...]
    inputs: Inputs | None = None
    build: Build = field(default_factory=Build)
    licence: str = "unspecified"
    status: Status = "active"
    access: Access = "public"
    schema_version: str = SCHEMA_VERSION
    validation: Validation | None = None
    """What was checked of the file; None for a member, whose collection says it, or if nobody said."""

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "manifest") -> "Manifest":
        """Read canonical or any other JSON; `where` names the document in errors.

        Raises InvalidDocumentError: not JSON, duplicate keys, NaN, a field that is missing or
        of the wrong kind, or a newer major `schema_version`.
        """
        root = Fields.of(strict_json(data, what=where), where)
        _check_version(root)
        artifact = _artifact(root.sub("artifact"))
        fields = list(root.sub("entities").items())
        entities = {name: _entity(f) for name, f in fields}
        columns = tuple(group for name, f in fields for group in _groups(name, f))
        _check_roles(root, entities, columns)
        return cls(
            artifact=artifact,
            country=root.text("country", pattern=_COUNTRY, what="a lower-case country code"),
            dataset=root.text("dataset", pattern=_DATASET, what="a dataset name ([a-z0-9_]+)"),
            time_period=_years(root),
            entities=entities,
            columns=columns,
            inputs=_inputs(root.sub("inputs")) if root.has("inputs") else None,
            build=_build(root.sub("build")) if root.has("build") else Build(),
            licence=root.text("licence"),
            status=cast(Status, root.one_of("status", ("active", "revoked"))),
            access=cast(Access, root.one_of("access", ("public", "gated"))),
            schema_version=root.text("schema_version"),
            validation=Validation.read(root.sub("validation")) if root.has("validation") else None,
        )

    def validated(self, validation: Validation) -> "Manifest":
        """This manifest with the outcome of a validation."""
        return replace(self, validation=validation, schema_version=VALIDATED_VERSION)

    def to_dict(self) -> dict[str, Any]:
        """The JSON document; fields that are unset are left out."""
        return _compact(
            {
                "schema_version": self.schema_version,
                "artifact": {
                    "sha256": self.artifact.sha256,
                    "size_bytes": self.artifact.size_bytes,
                    "media_type": self.artifact.media_type,
                },
                "country": self.country,
                "dataset": self.dataset,
                "time_period": list(self.time_period),
                "entities": self._entities_dict(),
                "inputs": _inputs_dict(self.inputs) if self.inputs else None,
                "build": _compact(
                    {
                        "tools": dict(self.build.tools),
                        "model_package": self.build.model_package,
                        "model_version": self.build.model_version,
                        "data_build_fingerprint": self.build.data_build_fingerprint,
                    }
                ),
                "licence": self.licence,
                "status": self.status,
                "access": self.access,
                "validation": self.validation.to_dict() if self.validation else None,
            }
        )

    def to_bytes(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces, UTF-8."""
        return canonical_json(self.to_dict())

    def _entities_dict(self) -> dict[str, Any]:
        """By name; columns by dtype, and by period kind where that is not the year."""
        by_entity, result = _by_entity(self.columns), {}
        for name, entity in sorted(self.entities.items()):
            columns: dict[str, dict[str, list[str]]] = {}
            for group in by_entity.get(name, ()):
                columns.setdefault(_KEY_OF_PERIOD[group.period], {})[group.dtype] = list(group.names)
            result[name] = _compact(
                {
                    "rows": entity.rows,
                    "id": entity.id,
                    "links": dict(entity.links),
                    "weight": entity.weight,
                    **columns,
                }
            )
        return result

    @property
    def sha256(self) -> Sha256:
        """The identity of the manifest: sha256 of `to_bytes()`."""
        return sha256_bytes(self.to_bytes())

    def column_names(self, entity: str) -> tuple[str, ...]:
        """All columns of `entity`, alphabetically."""
        return tuple(sorted(n for g in self.columns if g.entity == entity for n in g.names))

    def every_column(self) -> dict[str, tuple[str, ...]]:
        """Entity → all its columns, alphabetically; one pass for all entities."""
        by_entity = _by_entity(self.columns)
        return {e: tuple(sorted(n for g in by_entity.get(e, ()) for n in g.names)) for e in self.entities}


def _check_version(root: Fields) -> None:
    version = root.text("schema_version")
    match = _VERSION.fullmatch(version)
    if match is None:
        raise root.fail("schema_version", "major.minor, such as " + SCHEMA_VERSION, version)
    own = int(SCHEMA_VERSION.partition(".")[0])
    if int(match[1]) != own:
        raise root.fail(
            "schema_version",
            f"major version {own} (a newer manifest needs a newer pe_data: upgrade it)",
            version,
        )


def _artifact(f: Fields) -> Artifact:
    return Artifact(
        f.sha256("sha256"), f.integer("size_bytes", maximum=SIZE_LIMIT), f.one_of("media_type", tuple(_EXTENSIONS))
    )


def _entity(f: Fields) -> Entity:
    return Entity(f.integer("rows"), f.optional_text("id"), f.text_map("links"), f.optional_text("weight"))


def _groups(entity: str, f: Fields) -> Iterator[ColumnGroup]:
    for period, key in _KEY_OF_PERIOD.items():
        if not f.has(key):
            continue
        by_dtype = f.sub(key)
        for dtype in by_dtype.value:
            yield ColumnGroup(entity, dtype, by_dtype.texts(dtype), period)


def _check_roles(root: Fields, entities: Mapping[str, Entity], columns: tuple[ColumnGroup, ...]) -> None:
    by_entity = _by_entity(columns)
    for name, entity in entities.items():
        listed = [column for group in by_entity.get(name, ()) for column in group.names]
        twice = first_twice(listed)
        if twice is not None:
            raise root.fail(f"entities.{name}", "each column once", Described(f"{describe(twice)} twice"))
        names = frozenset(listed)
        for role in (entity.id, entity.weight, *entity.links.values()):
            if role is not None and role not in names:
                raise root.fail(f"entities.{name}", "id, links and weight among its columns", role)


def _by_entity(columns: tuple[ColumnGroup, ...]) -> dict[str, list[ColumnGroup]]:
    """The groups of each entity, in their order; one pass, because a hostile manifest has many of both."""
    groups: dict[str, list[ColumnGroup]] = {}
    for group in columns:
        groups.setdefault(group.entity, []).append(group)
    return groups


def _years(root: Fields) -> tuple[int, ...]:
    years = root.integers("time_period")
    if not years or list(years) != sorted(set(years)):
        raise root.fail("time_period", "one or more years, ascending", Described(f"{list(years[:10])}"))
    return years


def _inputs(f: Fields) -> Inputs:
    files = tuple(
        InputFile(row.text("name"), row.sha256("sha256"), row.integer("size_bytes")) for row in f.rows("files")
    )
    composite = f.sha256("composite_digest")
    twice = first_twice(file.name for file in files)
    if twice is not None:
        raise f.fail("files", "each name once", Described(f"{describe(twice)} twice"))
    if files and composite != composite_digest(files):
        raise f.fail("composite_digest", f"{composite_digest(files)}, as its files give", composite)
    return Inputs(composite, files)


def _build(f: Fields) -> Build:
    return Build(
        tools=f.text_map("tools"),
        model_package=f.optional_text("model_package"),
        model_version=f.optional_text("model_version"),
        data_build_fingerprint=f.optional_text("data_build_fingerprint"),
    )


def _inputs_dict(inputs: Inputs) -> dict[str, Any]:
    rows = [{"name": f.name, "sha256": f.sha256, "size_bytes": f.size_bytes} for f in inputs.files]
    return {"composite_digest": inputs.composite_digest, "files": rows}


def _compact(document: dict[str, Any]) -> dict[str, Any]:
    """Without unset values and empty objects; empty lists stay."""
    return {k: v for k, v in document.items() if v is not None and v != {}}
