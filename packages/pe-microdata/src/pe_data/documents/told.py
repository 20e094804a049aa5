"""What is known of a file, in words: the same on a terminal and on a page."""

from dataclasses import dataclass

from pe_data.documents.collection import About, Area
from pe_data.documents.dictionary import Variable
from pe_data.documents.manifest import Manifest
from pe_data.texts import human_size


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file."""

    variable: Variable
    dtype: str
    role: str
    """`id`, `weight` or `link to …`; empty for others."""


def columns_of(manifest: Manifest, said: tuple[Variable, ...] = ()) -> list[Column]:
    """The columns of a file, by entity, then name; `said` is what its collection says of variables."""
    dtypes = {(group.entity, name): group.dtype for group in manifest.columns for name in group.names}
    roles = {name: entity.roles for name, entity in manifest.entities.items()}
    found = [
        Column(one, dtypes[one.entity, one.name], roles[one.entity].get(one.name, ""))
        for one in manifest.variables(said)
    ]
    return sorted(found, key=lambda one: (one.variable.entity, one.variable.name))


def facts_of(manifest: Manifest, about: About) -> list[tuple[str, str]]:
    """Key facts as (name, value), in reading order; those that are not known are left out."""
    build, inputs, validation = manifest.build, manifest.inputs, manifest.validation
    model = f"{build.model_package} {build.model_version or '(unknown)'}" if build.model_package else ""
    rows = [
        ("title", about.title or ""),
        ("area", str(about.area or "")),
        ("cite as", about.citation or ""),
        *(("note", line) for line in about.notes),
        ("years", ", ".join(map(str, manifest.time_period))),
        *((name.replace("_", " "), text) for name, text in sorted(manifest.conventions.items())),
        ("artifact", f"sha256:{manifest.artifact.sha256}"),
        ("size", human_size(manifest.artifact.size_bytes)),
        ("media type", manifest.artifact.media_type),
        ("status", manifest.status),
        ("access", manifest.access),
        ("licence", manifest.licence),
        ("model", model),
        ("tools", ", ".join(f"{tool} {number}" for tool, number in sorted(build.tools.items()))),
        ("fingerprint", build.data_build_fingerprint or ""),
        ("validation", validation.summary().removeprefix("validation ") if validation else ""),
        ("inputs", f"{inputs.composite_digest} (files: {len(inputs.files)})" if inputs else ""),
    ]
    return [row for row in rows if row[1]]


def called(title: str | None, area: Area | None) -> str:
    """What a member is, in few words."""
    return title or (str(area) if area else "")
