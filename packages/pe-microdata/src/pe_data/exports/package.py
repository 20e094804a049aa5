"""`datapackage.json` beside exported files (Frictionless)."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pe_data.documents.frictionless import licence_row, slug, told
from pe_data.documents.notice import notice_of
from pe_data.exports.said import Said
from pe_data.exports.table import Field, Table
from pe_data.read.lookup import Entry

_TYPES = {"bool": "boolean", "int": "integer", "float": "number"}


def descriptor(
    origins: Mapping[str, Entry],
    said: Said,
    tables: Iterable[Table],
    files: Mapping[str, str],
    names_in_file: Mapping[str, str],
    columns_in_file: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """The descriptor. `area`, `citation`, and of a field `unit`, `origin` and `variable` are names of our own.

    Of gated data it lists no columns: whoever has the files has them there.

    Args:
        origins: Files that the rows are from; none for a frame of somebody's own.
        said: Of the whole.
        tables: What was written.
        files: Table → name of its file.
        names_in_file: Table → its name, in a file with several.
        columns_in_file: Table → column → its name in the file, where it has another.
    """
    gated = any(notice_of(one.manifest) is not None for one in origins.values())
    resources = []
    for table in sorted(tables, key=lambda table: table.name):
        file = files[table.name]
        resource: dict[str, Any] = {
            "name": slug(table.name),
            "type": "table",
            "path": file,
            "format": file.rpartition(".")[2],
        }
        if list(files.values()).count(file) > 1 or resource["format"] == "duckdb":
            resource["dialect"] = {"table": names_in_file[table.name]}
        if not gated:
            names = columns_in_file[table.name]
            resource["schema"] = {
                "fields": [_field(field, names.get(field.name, field.name)) for field in table.fields]
            }
        resources.append(resource)
    head: dict[str, Any] = {
        "profile": "data-package",
        "name": slug(said.name),
        "title": said.title,
        "description": "\n".join(said.notes),
        "citation": "\n".join(said.citations),
        "licenses": [licence_row(licence) for licence in said.licences],
        "sources": [{"title": text} for text in said.sources],
    }
    if len(origins) == 1:
        (only,) = origins.values()
        head |= {"area": msgspec.to_builtins(only.about.area), "version": only.manifest.schema_version}
    return {**{name: value for name, value in head.items() if value}, "resources": resources}


def _field(field: Field, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": _TYPES.get(field.kind, "string"),
        **(told(field.said) if field.said else {}),
        **({"title": field.label} if field.label else {}),
        **({"constraints": {"enum": list(field.values)}} if field.values else {}),
        **({"variable": field.name} if name != field.name else {}),
    }
