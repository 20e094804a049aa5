"""A manifest as text: what `pe-data schema` prints."""

from collections import Counter
from collections.abc import Mapping, Sequence

from pe_data.documents.collection import NOTHING, About, Area, Member
from pe_data.documents.dictionary import Variable
from pe_data.documents.manifest import Entity, Manifest
from pe_data.texts import cut, human_size


def about_rows(about: About) -> list[tuple[str, str]]:
    """What is said of a file, besides its licence."""
    rows = [("title", about.title or ""), ("area", str(about.area or "")), ("cite as", about.citation or "")]
    return [row for row in [*rows, *(("note", line) for line in about.notes)] if row[1]]


def summary_rows(manifest: Manifest, about: About = NOTHING) -> list[tuple[str, str]]:
    """Key facts as (name, value), in reading order."""
    build, inputs = manifest.build, manifest.inputs
    rows = [
        ("dataset", f"{manifest.country}/{manifest.dataset}"),
        *about_rows(about),
        ("years", ", ".join(map(str, manifest.time_period))),
        *((name.replace("_", " "), text) for name, text in sorted(manifest.conventions.items())),
        ("artifact", f"sha256:{manifest.artifact.sha256}"),
        ("size", human_size(manifest.artifact.size_bytes)),
        ("media type", manifest.artifact.media_type),
        ("status", manifest.status),
        ("access", manifest.access),
        ("licence", manifest.licence),
    ]
    if build.model_package:
        rows.append(("model", f"{build.model_package} {build.model_version or '(unknown)'}"))
    if build.tools:
        rows.append(("tools", ", ".join(f"{k} {v}" for k, v in sorted(build.tools.items()))))
    if build.data_build_fingerprint:
        rows.append(("fingerprint", build.data_build_fingerprint))
    if manifest.validation:
        rows.append(("validation", manifest.validation.summary().removeprefix("validation ")))
    if inputs:
        rows.append(("inputs", f"{inputs.composite_digest} ({len(inputs.files)} files)"))
        rows += [("", f"{f.name}  {f.sha256[:12]}…  {human_size(f.size_bytes)}") for f in inputs.files]
    return rows


def column_rows(
    manifest: Manifest, search: str = "", said: tuple[Variable, ...] = ()
) -> list[tuple[str, str, str, str, str, str]]:
    """One row per column: entity, name, dtype, period, role, label and unit; filtered by a part of name or label."""
    rows = []
    labels = {(one.name, one.entity): labelled(one) for one in manifest.variables(said)}
    roles = {name: _roles(entity) for name, entity in manifest.entities.items()}
    for group in manifest.columns:
        rows += [
            (group.entity, name, group.dtype, group.period, roles[group.entity].get(name, ""), label)
            for name in group.names
            for label in (labels[name, group.entity],)
            if search.lower() in f"{name}\n{label}".lower()
        ]
    return sorted(rows)


def labelled(variable: Variable) -> str:
    """Its label, with the unit behind it."""
    unit = f" [{variable.unit}]" if variable.unit else ""
    return f"{variable.label or ''}{unit}".strip()


VALUES_SHOWN = 6


def variable_rows(variables: Sequence[Variable]) -> list[tuple[str, str, str, str, str, str]]:
    """One row per variable: entity, name, period, label, unit, values and description."""
    return [
        (one.entity, one.name, one.period, one.label or "", one.unit or "", _more(one))
        for one in sorted(variables, key=lambda one: (one.entity, one.name))
    ]


def _more(variable: Variable) -> str:
    values = variable.values or ()
    shown = ", ".join(values[:VALUES_SHOWN]) + (f", … ({len(values)} values)" if len(values) > VALUES_SHOWN else "")
    return "; ".join(part for part in (f"one of {shown}" if shown else "", cut(variable.description or "", 80)) if part)


def _roles(entity: Entity) -> dict[str, str]:
    roles = {column: f"link to {other}" for other, column in entity.links.items()}
    if entity.id:
        roles[entity.id] = "id"
    if entity.weight:
        roles[entity.weight] = "weight"
    return roles


def entity_rows(manifest: Manifest) -> list[tuple[str, str, str]]:
    """One row per entity: name, rows, number of columns."""
    columns = manifest.every_column()
    return [(name, f"{entity.rows:,}", str(len(columns[name]))) for name, entity in sorted(manifest.entities.items())]


def member_rows(members: Mapping[str, Member]) -> list[tuple[str, str, str, str, str]]:
    """One row per member of a collection: name, what it is, licence if that is said, size, digest."""
    return [
        (
            name,
            called(one.title, one.area),
            one.licence or "",
            human_size(one.size_bytes),
            f"sha256:{one.artifact_sha256}",
        )
        for name, one in members.items()
    ]


def called(title: str | None, area: Area | None) -> str:
    """What a member is, in few words."""
    return title or (str(area) if area else "")


def notes_of(members: Sequence[tuple[str, ...]]) -> list[str]:
    """The notes of some members, each once, with the number of members where not all have it."""
    having = Counter(line for notes in members for line in dict.fromkeys(notes))
    total = len(members)
    return [f"note: {line}{'' if n == total else f' ({n} of {total} members)'}" for line, n in having.items()]
