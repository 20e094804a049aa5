"""A manifest as text: what `pe-data schema` prints."""

from collections import Counter
from collections.abc import Mapping, Sequence

from pe_data.documents.collection import NOTHING, About, Member
from pe_data.documents.dictionary import Variable
from pe_data.documents.manifest import Manifest
from pe_data.documents.told import called, columns_of, facts_of
from pe_data.texts import cut, human_size


def summary_rows(manifest: Manifest, about: About = NOTHING) -> list[tuple[str, str]]:
    """Key facts as (name, value), and a row for each input."""
    files = manifest.inputs.files if manifest.inputs else ()
    return [
        ("dataset", f"{manifest.country}/{manifest.dataset}"),
        *facts_of(manifest, about),
        *(("", f"{one.name}  {one.sha256[:12]}…  {human_size(one.size_bytes)}") for one in files),
    ]


def column_rows(
    manifest: Manifest, search: str = "", said: tuple[Variable, ...] = ()
) -> list[tuple[str, str, str, str, str, str]]:
    """One row per column: entity, name, dtype, period, role, label and unit; filtered by a part of name or label."""
    rows = [
        (one.entity, one.name, column.dtype, one.period, column.role, _labelled(one))
        for column in columns_of(manifest, said)
        for one in (column.variable,)
    ]
    return [row for row in rows if search.lower() in f"{row[1]}\n{row[5]}".lower()]


def _labelled(variable: Variable) -> str:
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


def notes_of(members: Sequence[tuple[str, ...]]) -> list[str]:
    """The notes of some members, each once, with the number of members where not all have it."""
    having = Counter(line for notes in members for line in dict.fromkeys(notes))
    total = len(members)
    return [f"note: {line}{'' if n == total else f' ({n} of {total} members)'}" for line, n in having.items()]
