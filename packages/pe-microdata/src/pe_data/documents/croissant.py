"""A manifest as Croissant 1.0 (JSON-LD): one record set per entity."""

from typing import Any

from pe_data.documents.collection import NOTHING, About
from pe_data.documents.dictionary import Variable
from pe_data.documents.manifest import ColumnGroup, Manifest
from pe_data.documents.notice import Notice, notice_of

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


_CONFORMS = "http://mlcommons.org/croissant/1.0"


def notice_to_croissant(notice: Notice) -> dict[str, Any]:
    """The JSON-LD document of a gated dataset: its name, the licence and how to apply."""
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": _CONFORMS,
        "name": f"{notice.country}-{notice.dataset}",
        "description": f"Gated microdata. How to apply: {notice.how_to_apply}.",
        "license": notice.licence,
        "url": f"pe-data://{notice.country}/{notice.dataset}@latest",
    }


def to_croissant(
    manifest: Manifest,
    content_url: str,
    *,
    about: About = NOTHING,
    said: tuple[Variable, ...] = (),
) -> dict[str, Any]:
    """The JSON-LD document; of a gated file that of `notice_to_croissant`.

    Args:
        manifest: What to describe.
        content_url: Where the payload is; relative to the document or absolute.
        about: What the publication says of it.
        said: What its collection says of variables.
    """
    notice = notice_of(manifest)
    if notice is not None:
        return notice_to_croissant(notice)
    artifact = manifest.artifact
    title = about.title or f"{manifest.country}-{manifest.dataset}"
    years = ", ".join(map(str, manifest.time_period))
    area = f", {about.area}" if about.area else ""
    description = [f"Microdata {manifest.country}/{manifest.dataset}{area}, years {years}.", *about.notes]
    file_id = f"{artifact.sha256}.{artifact.extension}"
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": _CONFORMS,
        "name": title,
        "description": "\n".join(description),
        **({"citeAs": about.citation} if about.citation else {}),
        **({"spatialCoverage": about.area.name} if about.area else {}),
        "license": manifest.licence,
        "version": "1.0.0",
        "url": content_url,
        "identifier": f"sha256:{artifact.sha256}",
        "temporalCoverage": f"{manifest.time_period[0]}/{manifest.time_period[-1]}",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": file_id,
                "name": file_id,
                "contentUrl": content_url,
                "contentSize": f"{artifact.size_bytes} B",
                "encodingFormat": artifact.media_type,
                "sha256": artifact.sha256,
            }
        ],
        "recordSet": [_record_set(manifest, *one, file_id) for one in manifest.described(said).items()],
    }


def _record_set(
    manifest: Manifest, entity: str, columns: list[tuple[ColumnGroup, Variable]], file_id: str
) -> dict[str, Any]:
    described = manifest.entities[entity]
    identity = _identifier(entity)
    record_set: dict[str, Any] = {
        "@type": "cr:RecordSet",
        "@id": identity,
        "name": identity,
        "description": f"One row per {entity}: {described.rows} rows.",
        "field": [_field(manifest, *column, identity, file_id) for column in columns],
    }
    if described.id:
        record_set["key"] = {"@id": f"{identity}/{described.id}"}
    return record_set


def _field(manifest: Manifest, group: ColumnGroup, known: Variable, identity: str, file_id: str) -> dict[str, Any]:
    name = known.name
    unit = f"unit {known.unit}" if known.unit else None
    told = [*filter(None, (known.label, known.description, unit)), f"{group.dtype}, per {group.period}"]
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{identity}/{name}",
        "name": name,
        "description": ". ".join(line.rstrip(".") for line in told),
        "dataType": _data_type(group.dtype),
        "source": {"fileObject": {"@id": file_id}, "extract": {"column": name}},
    }
    for other, column in manifest.entities[group.entity].links.items():
        target = manifest.entities[other].id
        if column == name and target:
            field["references"] = {"field": {"@id": f"{_identifier(other)}/{target}"}}
    return field


def _identifier(entity: str) -> str:
    return entity.replace("|", "_or_").replace("/", "_")


def _data_type(dtype: str) -> str:
    if dtype == "bool":
        return "sc:Boolean"
    if dtype.startswith(("int", "uint")):
        return "sc:Integer"
    return "sc:Float" if dtype.startswith("float") else "sc:Text"
