"""A manifest from the result sidecar of an area build, without opening the H5 again.

The sidecar lists what the builder wrote and re-read: rows per entity, columns with entity, dtype
and periods, inputs, versions, and the sha256 and size of the file. Which area it is and what readers have
to know of it stands in the sidecar too; that is said of a member, and does not follow from its bytes.
"""

import textwrap
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

import msgspec

from pe_data.describe.columns import PERSON, Column, Content, inputs_of, normal_dtype, period_kind, years_of
from pe_data.describe.file import Label, manifest_of
from pe_data.documents.collection import LINE_LIMIT, About, Area
from pe_data.documents.document import Count, Digest, Part, Refused, Size, Text, Version, convert, describe
from pe_data.documents.manifest import Artifact, Build, InputFile, Manifest
from pe_data.errors import InvalidDocumentError
from pe_data.names.keys import MEDIA_TYPES

MODEL_PREFIX = "policyengine-"
"""The model package is the one of this family that is not the core."""


class SidecarFile(Part, frozen=True, rename={"size": "bytes"}):
    """Digest and size of a file."""

    sha256: Digest
    size: Size


class SidecarInput(SidecarFile, frozen=True, kw_only=True):
    """The same of a named one."""

    name: Text


class SidecarColumn(Part, frozen=True):
    """One column of the output."""

    name: Text
    entity: Text
    dtype: Text
    periods: tuple[str | int, ...]


class SidecarWeights(Part, frozen=True):
    """Sums of the weights.

    Attributes:
        households: Sum of the weights of households.
        persons: Sum over persons of the weights of their households.
        effective_sample_size: Kish's (Σw)² / Σw², in households.
    """

    households: float
    persons: float
    effective_sample_size: float

    def by_entity(self) -> dict[str, float]:
        """Entity → sum of the weights of its rows."""
        return {"household": self.households, PERSON: self.persons}


class SidecarFingerprint(Part, frozen=True):
    """Fingerprint of the area's build."""

    digest: Digest


class SidecarRequest(Part, frozen=True):
    """Which area was built."""

    area_type: Text
    area_id: Text
    display_name: str = ""
    congress: Version | None = None


class Sidecar(Part, frozen=True):
    """What is read of a result sidecar."""

    schema_version: Literal[1, 2]
    status: Literal["completed"]
    period: Version
    output: SidecarFile
    rows: Mapping[str, Count]
    columns: Annotated[tuple[SidecarColumn, ...], msgspec.Meta(min_length=1, description="at least one column")]
    inputs: tuple[SidecarInput, ...] = ()
    versions: Mapping[str, Text] = {}
    fingerprint: SidecarFingerprint | None = None
    request: SidecarRequest | None = None
    notes: Mapping[str, str] = {}
    at_large_code: Text | None = None
    weights: SidecarWeights | None = None

    def __post_init__(self) -> None:
        for number, column in enumerate(self.columns):
            if column.entity not in self.rows:
                expected = f"one of {', '.join(self.rows)}"
                raise Refused(f"columns.{number}.entity", expected, describe(column.entity))
        years = self.years()
        if years and self.period not in years:
            listed = ", ".join(map(str, years))
            raise Refused("period", f"one of the years of its columns ({listed})", describe(self.period))
        if len(self.models()) > 1:
            raise Refused("versions", "one model package", ", ".join(self.models()))

    def years(self) -> tuple[int, ...]:
        """The years of the columns, ascending."""
        return tuple(sorted(years_of({str(period) for column in self.columns for period in column.periods})))

    def models(self) -> list[str]:
        """The packages that may be the model."""
        return sorted(one for one in self.versions if one.startswith(MODEL_PREFIX) and not one.endswith("-core"))


def read_sidecar(document: Mapping[str, object], *, where: str = "result sidecar") -> Sidecar:
    """A sidecar as a structure.

    Raises:
        InvalidDocumentError: another sidecar version, a field that is missing or of the wrong
            kind, or a build that did not complete.
    """
    return convert(document, Sidecar, where)


def manifest_from(sidecar: Sidecar, label: Label) -> Manifest:
    """The manifest of the file that a sidecar describes; inputs and build are its own, whatever `label` has."""
    columns = tuple(
        Column(row.name, row.entity, normal_dtype(row.dtype), period_kind(map(str, row.periods)))
        for row in sidecar.columns
    )
    content = Content(columns, sidecar.rows, sidecar.years())
    model = next(iter(sidecar.models()), None)
    build = Build(
        tools={name: text for name, text in sidecar.versions.items() if name != model},
        model_package=model,
        model_version=sidecar.versions[model] if model else None,
        data_build_fingerprint=sidecar.fingerprint.digest if sidecar.fingerprint else None,
    )
    inputs = inputs_of(InputFile(one.name, one.sha256, one.size) for one in sidecar.inputs)
    artifact = Artifact(sidecar.output.sha256, sidecar.output.size, MEDIA_TYPES["h5"])
    conventions = {"at_large_code": sidecar.at_large_code} if sidecar.at_large_code else {}
    return manifest_of(replace(label, inputs=inputs, build=build), artifact, content, (sidecar.period,), conventions)


def about_from(sidecar: Sidecar, label: Label, *, where: str = "result sidecar") -> About:
    """What the row of a collection says of the file: the area and the notes of the sidecar, and what `label` says.

    Raises:
        InvalidDocumentError: something that is no line.
    """
    asked = sidecar.request
    try:
        area = None
        if asked is not None:
            area = Area(asked.area_type, asked.area_id, asked.display_name or asked.area_id, asked.congress)
        return label.about().over(About(area=area, notes=lines_of(sidecar.notes)))
    except Refused as problem:
        raise InvalidDocumentError(f"{where}: {problem}") from None


def lines_of(notes: Mapping[str, str]) -> tuple[str, ...]:
    """Named notes as lines of a collection's row; a longer one takes several."""
    texts = (" ".join(f"{name}: {text}".split()) for name, text in notes.items())
    return tuple(line for text in texts for line in textwrap.wrap(text, LINE_LIMIT))
