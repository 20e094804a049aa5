"""A manifest from the result sidecar of an area build, without opening the H5 again.

The sidecar lists what the builder wrote and re-read: rows per entity, columns with entity, dtype
and periods, inputs, versions, and the sha256 and size of the file.
"""

from collections.abc import Mapping
from dataclasses import replace

from pe_data.describe.columns import Column, inputs_of, normal_dtype, period_kind, years_of
from pe_data.describe.content import Content
from pe_data.describe.file import Label, manifest_of
from pe_data.documents.fields import Described, Fields
from pe_data.documents.manifest import Artifact, Build, InputFile, Manifest
from pe_data.names.keys import MEDIA_TYPES

SIDECAR_VERSIONS = (1, 2)
MODEL_PREFIX = "policyengine-"
"""The model package is the one of this family that is not the core."""


def from_sidecar(document: Mapping[str, object], label: Label, *, where: str = "result sidecar") -> Manifest:
    """The manifest of the file that `document` describes.

    Inputs and build come from the sidecar; those of `label` are replaced.

    Raises:
        InvalidDocumentError: another sidecar version, a field that is missing or of the wrong
            kind, or a build that did not complete.
    """
    root = Fields.of(document, where)
    version = root.integer("schema_version")
    if version not in SIDECAR_VERSIONS:
        raise root.fail("schema_version", " or ".join(map(str, SIDECAR_VERSIONS)), version)
    if root.text("status") != "completed":
        raise root.fail("status", "completed", root.value["status"])
    output = root.sub("output")
    artifact = Artifact(output.sha256("sha256"), output.integer("bytes"), MEDIA_TYPES["h5"])
    content, year = _content(root), root.integer("period", minimum=1)
    if content.years and year not in content.years:
        listed = ", ".join(map(str, content.years))
        raise root.fail("period", f"one of the years of its columns ({listed})", year)
    label = replace(label, inputs=inputs_of(_inputs(root)), build=_build(root))
    return manifest_of(label, artifact, content, (year,))


def _content(root: Fields) -> Content:
    rows_field = root.sub("rows")
    rows = {entity: rows_field.integer(entity) for entity in rows_field.value}
    columns = tuple(
        Column(
            row.text("name"),
            row.one_of("entity", tuple(rows)),
            normal_dtype(row.text("dtype")),
            period_kind(str(period) for period in row.list_of("periods")),
        )
        for row in root.rows("columns")
    )
    if not columns:
        raise root.fail("columns", "at least one column", Described("none"))
    periods = {str(period) for row in root.rows("columns") for period in row.list_of("periods")}
    return Content(columns, rows, tuple(sorted(years_of(periods))))


def _inputs(root: Fields) -> tuple[InputFile, ...]:
    return tuple(InputFile(row.text("name"), row.sha256("sha256"), row.integer("bytes")) for row in root.rows("inputs"))


def _build(root: Fields) -> Build:
    versions = root.text_map("versions")
    models = [name for name in versions if name.startswith(MODEL_PREFIX) and not name.endswith("-core")]
    if len(models) > 1:
        raise root.fail("versions", "one model package", Described(", ".join(sorted(models))))
    model = models[0] if models else None
    fingerprint = root.sub("fingerprint").sha256("digest") if root.has("fingerprint") else None
    return Build(
        tools={name: text for name, text in versions.items() if name != model},
        model_package=model,
        model_version=versions[model] if model else None,
        data_build_fingerprint=fingerprint,
    )
