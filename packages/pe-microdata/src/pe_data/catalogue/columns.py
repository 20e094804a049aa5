"""The columns of files, and what they mean: a page for each set of columns, which many files share."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from pe_data.documents.dictionary import Variable
from pe_data.documents.manifest import Entity, Manifest
from pe_data.names.digests import sha256_bytes


@dataclass(frozen=True, slots=True)
class Row:
    """One column."""

    variable: Variable
    dtype: str
    role: str
    """Id, weight or link; empty for others."""


@dataclass(slots=True)
class ColumnSet:
    """Columns that files have in common.

    Attributes:
        key: From its content: a set keeps its page from one run to the next.
        rows: By entity, then name.
        used: Version → number of its files that have just these.
    """

    key: str
    rows: Sequence[Row]
    used: dict[int, int] = field(default_factory=dict)

    @property
    def entities(self) -> list[str]:
        """Whose columns they are."""
        return sorted({row.variable.entity for row in self.rows})


class ColumnSets:
    """Those of a dataset, each once."""

    def __init__(self) -> None:
        self.found: dict[str, ColumnSet] = {}

    def of(self, manifest: Manifest, said: tuple[Variable, ...], version: int) -> ColumnSet:
        """The columns of a file; `said` is what its collection says of variables."""
        bare = {name: msgspec.structs.replace(entity, rows=0) for name, entity in manifest.entities.items()}
        told = (bare, manifest.dictionary, said)
        key = sha256_bytes(msgspec.json.encode(told, order="deterministic"))[:12]
        if key not in self.found:
            self.found[key] = ColumnSet(key, rows_of(manifest, said))
        found = self.found[key]
        found.used[version] = found.used.get(version, 0) + 1
        return found


def rows_of(manifest: Manifest, said: tuple[Variable, ...]) -> list[Row]:
    """The columns of a file, by entity, then name."""
    dtypes = {(group.entity, name): group.dtype for group in manifest.columns for name in group.names}
    rows = [
        Row(one, dtypes[one.entity, one.name], _role(one.name, manifest.entities[one.entity]))
        for one in manifest.variables(said)
    ]
    return sorted(rows, key=lambda row: (row.variable.entity, row.variable.name))


def _role(name: str, entity: Entity) -> str:
    if name == entity.id:
        return "id of a row"
    if name == entity.weight:
        return "weight"
    return next((f"id of its {other}" for other, column in entity.links.items() if column == name), "")
