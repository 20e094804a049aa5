"""A manifest as a Frictionless data package: one resource per entity."""

import re
from typing import Any

import msgspec

from pe_data.documents.collection import NOTHING, About
from pe_data.documents.dictionary import Variable
from pe_data.documents.manifest import ColumnGroup, Manifest
from pe_data.documents.notice import Notice, notice_of

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def notice_to_frictionless(notice: Notice) -> dict[str, Any]:
    """The descriptor of a gated dataset: its name, the licence and how to apply, and no resource to fetch."""
    name = slug(f"{notice.country}-{notice.dataset}")
    how = f"Gated microdata. How to apply: {notice.how_to_apply}."
    return {
        "profile": "data-package",
        "name": name,
        "title": f"{notice.country}/{notice.dataset}",
        "description": how,
        "licenses": [licence_row(notice.licence)],
        "resources": [{"name": name, "description": how, "data": []}],
    }


def to_frictionless(manifest: Manifest, *, about: About = NOTHING, said: tuple[Variable, ...] = ()) -> dict[str, Any]:
    """The descriptor (`datapackage.json`); of a gated file that of `notice_to_frictionless`.

    Args:
        manifest: What to describe.
        about: What the publication says of it. `citation` and `area` are names of our own.
        said: What its collection says of variables. `unit` and `origin` of a field are names of our own.
    """
    notice = notice_of(manifest)
    if notice is not None:
        return notice_to_frictionless(notice)
    return {
        **package_head(manifest, about),
        "resources": [_resource(manifest, *one) for one in manifest.described(said).items()],
    }


def package_head(manifest: Manifest, about: About) -> dict[str, Any]:
    """What a descriptor says of the whole."""
    said = msgspec.to_builtins(about)
    return {
        "profile": "data-package",
        "name": slug(f"{manifest.country}-{manifest.dataset}"),
        "title": about.title or f"{manifest.country}/{manifest.dataset}{f', {about.area}' if about.area else ''}",
        **({"description": "\n".join(about.notes)} if about.notes else {}),
        **{name: said[name] for name in ("area", "citation") if name in said},
        "version": manifest.schema_version,
        "licenses": [licence_row(manifest.licence)],
    }


def licence_row(text: str) -> dict[str, str]:
    """By address or by identifier, as the standard has it; other words get a name that it accepts."""
    if text.startswith(("https://", "http://")):
        return {"path": text}
    return {"name": text if _IDENTIFIER.fullmatch(text) else slug(text), "title": text}


def _resource(manifest: Manifest, entity: str, columns: list[tuple[ColumnGroup, Variable]]) -> dict[str, Any]:
    artifact, described = manifest.artifact, manifest.entities[entity]
    fields = [
        {"name": known.name, "type": _type(group.dtype), **told(known), **_constraints(group.dtype, known)}
        for group, known in columns
    ]
    schema: dict[str, Any] = {"fields": fields}
    if described.id:
        schema["primaryKey"] = [described.id]
    keys = [
        {"fields": [column], "reference": {"resource": slug(other), "fields": [target]}}
        for other, column in sorted(described.links.items())
        if (target := manifest.entities[other].id)
    ]
    if keys:
        schema["foreignKeys"] = keys
    return {
        "name": slug(entity),
        "type": "table",
        "path": f"{artifact.sha256}.{artifact.extension}",
        "format": artifact.extension,
        "mediatype": artifact.media_type,
        "bytes": artifact.size_bytes,
        "hash": f"sha256:{artifact.sha256}",
        "rows": described.rows,
        "schema": schema,
    }


def _type(dtype: str) -> str:
    if dtype == "bool":
        return "boolean"
    if dtype.startswith(("int", "uint")):
        return "integer"
    return "number" if dtype.startswith("float") else "string"


def told(known: Variable) -> dict[str, Any]:
    """What is said of a variable, as the standard names it: the label is a field's title."""
    said = {"title": known.label, "description": known.description, "unit": known.unit, "origin": known.source}
    return {name: text for name, text in said.items() if text}


def _constraints(dtype: str, known: Variable) -> dict[str, Any]:
    width = dtype.removeprefix("text")
    found = {
        **({"maxLength": int(width)} if width.isdecimal() else {}),
        **({"enum": list(known.values)} if known.values and dtype.startswith("text") else {}),
    }
    return {"constraints": found} if found else {}


def slug(text: str) -> str:
    """Lower-case letters, digits, `-`, `_` and `.`: what a name may hold."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in text.lower()) or "unnamed"
