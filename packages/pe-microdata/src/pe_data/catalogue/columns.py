"""The columns of files, and what they mean: a page for each set of columns, which many files share."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from pe_data.documents.dictionary import Variable
from pe_data.documents.manifest import Manifest
from pe_data.documents.told import Column, columns_of
from pe_data.names.digests import sha256_bytes


@dataclass(slots=True)
class ColumnSet:
    """Columns that files have in common.

    Attributes:
        key: From its content: a set keeps its page from one run to the next.
        rows: By entity, then name.
        used: Version → number of its files that have just these.
    """

    key: str
    rows: Sequence[Column]
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
            self.found[key] = ColumnSet(key, columns_of(manifest, said))
        found = self.found[key]
        found.used[version] = found.used.get(version, 0) + 1
        return found
