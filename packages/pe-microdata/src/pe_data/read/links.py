"""Which row of one entity belongs to which row of another, and the weight of each row (extra `frames`).

Ids and links are columns, as the manifest says; rows may stand in any order, and some may have been left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pe_data.describe.columns import PERSON
from pe_data.documents.manifest import Entity

if TYPE_CHECKING:
    import pandas as pd

Rows: TypeAlias = npt.NDArray[np.intp]


def weighted_unit(entities: Mapping[str, Entity], name: str) -> str | None:
    """The entity whose weight counts for the rows of `name`: its own; else that of a unit that it links to; else that
    of its persons. None if there is none."""
    if entities[name].weight:
        return name
    linked = next((other for other in entities[name].links if other in entities and entities[other].weight), None)
    if linked is not None or name == PERSON or PERSON not in entities or name not in entities[PERSON].links:
        return linked
    return weighted_unit(entities, PERSON)


@dataclass(frozen=True, slots=True)
class Links:
    """The rows of the entities of a file.

    Attributes:
        frames: Entity → data frame.
        entities: What is in the file.
    """

    frames: "Mapping[str, pd.DataFrame]"
    entities: Mapping[str, Entity]

    def has(self, name: str, column: str | None) -> bool:
        """Whether a column is there to be read."""
        return column is not None and name in self.frames and column in self.frames[name]

    def rows(self, name: str, other: str) -> Rows | None:
        """For each row of `name` the row of `other` that it lies in, −1 without; of a group's persons the first counts.

        None if no columns tell.
        """
        if name == other:
            return np.arange(len(self.frames[name]))
        link, key = self.entities[name].links.get(other), self.entities[other].id
        if self.has(name, link) and self.has(other, key):
            return _places(self.frames[other][key], self.frames[name][link])
        person = self.entities.get(PERSON)
        if person is None or PERSON in (name, other):
            return None
        of_person, own = person.links.get(name), self.entities[name].id
        if not (self.has(PERSON, of_person) and self.has(name, own)):
            return None
        lies_in = self.rows(PERSON, other)
        if lies_in is None:
            return None
        first = _places(self.frames[PERSON][of_person], self.frames[name][own])
        return _through(first, lies_in)

    def weights(self, name: str) -> "pd.Series[float] | None":
        """Entity's weights, one per row as float64, NaN where a row has none; None if no columns tell."""
        import pandas as pd

        unit = weighted_unit(self.entities, name)
        if unit is None or name not in self.frames or not self.has(unit, self.entities[unit].weight):
            return None
        rows = self.rows(name, unit)
        if rows is None:
            return None
        own = self.frames[unit][self.entities[unit].weight].to_numpy(np.float64, na_value=np.nan)
        found = np.where(rows >= 0, np.append(own, np.nan)[rows], np.nan)
        return pd.Series(found, self.frames[name].index, name="weight")


def _places(ids: "pd.Series[Any]", wanted: "pd.Series[Any]") -> Rows:
    """For each wanted id the row of it, the first of several; −1 for none."""
    import pandas as pd

    index = pd.Index(ids)
    first = np.flatnonzero(~index.duplicated())
    return _through(index[first].get_indexer(pd.Index(wanted)), first)


def _through(rows: Rows, further: Rows) -> Rows:
    """Rows of rows; −1 stays −1."""
    return np.where(rows >= 0, np.append(further, -1)[rows], -1).astype(np.intp)
