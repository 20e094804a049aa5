"""Which row of one entity belongs to which row of another, and the weight of each row (extra `frames`).

Ids and links are columns, as the manifest says; rows may stand in any order, and some may have been left out.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pe_data.describe.columns import PERSON
from pe_data.documents.manifest import Entity
from pe_data.errors import InputError
from pe_data.read.together import HOWS, How, together
from pe_data.read.weighted import Rows
from pe_data.suggestions import did_you_mean


def weighted_unit(entities: Mapping[str, Entity], name: str) -> str | None:
    """The entity whose weight counts for the rows of `name`: its own; else that of a unit that it links to; else that
    of its persons. None if there is none."""
    if entities[name].weight:
        return name
    linked = next((other for other in entities[name].links if other in entities and entities[other].weight), None)
    if linked is not None or name == PERSON or PERSON not in entities or name not in entities[PERSON].links:
        return linked
    return weighted_unit(entities, PERSON)


class Linked(dict[str, pd.DataFrame]):
    """Entity → data frame, as any mapping, whose rows are linked.

    Attributes:
        entities: What the manifest says of ids, links and weights.
        what: The address, for messages.
    """

    def __init__(
        self, frames: Mapping[str, pd.DataFrame], entities: Mapping[str, Entity], *, what: str = "frames"
    ) -> None:
        super().__init__(frames)
        self.entities, self.what = dict(entities), what

    # --- as far as columns tell -------------------------------------------------------------------

    def _has(self, name: str, column: str | None) -> bool:
        """Whether a column is there to be read."""
        return column is not None and name in self and column in self[name]

    def _rows(self, name: str, other: str) -> Rows | None:
        """For each row of `name` the row of `other` that it lies in, −1 without; of a group's persons the first counts.

        None if no columns tell.
        """
        if name == other:
            return np.arange(len(self[name]))
        link, key = self.entities[name].links.get(other), self.entities[other].id
        if self._has(name, link) and self._has(other, key):
            return _places(self[other][key], self[name][link])
        person = self.entities.get(PERSON)
        if person is None or PERSON in (name, other):
            return None
        of_person, own = person.links.get(name), self.entities[name].id
        if not (self._has(PERSON, of_person) and self._has(name, own)):
            return None
        lies_in = self._rows(PERSON, other)
        if lies_in is None:
            return None
        first = _places(self[PERSON][of_person], self[name][own])
        return _through(first, lies_in)

    def raw_weight(self, name: str) -> pd.Series | None:
        """Entity's weights, one per row as float64, NaN where a row has none; None if no columns tell."""
        unit = weighted_unit(self.entities, name)
        if unit is None or name not in self or not self._has(unit, self.entities[unit].weight):
            return None
        rows = self._rows(name, unit)
        if rows is None:
            return None
        own = self[unit][self.entities[unit].weight].to_numpy(np.float64, na_value=np.nan)
        found = np.where(rows >= 0, np.append(own, np.nan)[rows], np.nan)
        return pd.Series(found, self[name].index, name="weight")

    # --- or an error that says what is missing ----------------------------------------------------

    def weight(self, unit: str = PERSON) -> pd.Series:
        """The weight of each row of an entity, float64: how many such units it stands for.

        An entity without a weight of its own has that of the unit that it lies in: a person that of the household.

        Raises:
            InputError: no weight reaches the entity, or one is missing, not finite or negative.
        """
        self._frame(unit)
        found = self.raw_weight(unit)
        if found is None:
            raise InputError(
                f"{self.what}: weight of {unit}: expected a weight column and the ids that lead to it, found none. "
                "Open the file with all its variables, or one that has weights"
            )
        for name in (unit, weighted_unit(self.entities, unit) or unit):
            self._once(name)
        wrong = ~(np.isfinite(found) & (found >= 0))
        if wrong.any():
            raise InputError(
                f"{self.what}: weight of {unit}: expected a number of at least 0 for each row, found "
                f"{found[wrong].iloc[0]} and the like in {wrong.sum():,} of {len(found):,} rows. Leave those rows out"
            )
        return found

    def to(self, unit: str, column: str, how: How = "sum", *, of: str | None = None) -> pd.Series:
        """A column of another entity, one value per row of `unit`, with its index.

        From a group to what lies in it (household → person) every row gets its group's value. From what lies in a group
        (person → household) the values are taken together:

        | `how` | gives | of a group without rows |
        |---|---|---|
        | `sum` | int64 or float64; of true and false how many are true | 0 |
        | `mean` | float64 | NaN |
        | `max`, `min` | the same dtype | NaN |
        | `any` | bool: whether one is true or not 0 | False |
        | `first` | the value of the first row, text too | missing |

        A missing value makes that of its group missing. Nothing is weighted.

        Args:
            of: The entity that has the column, where several have one of that name.

        Raises:
            InputError: no such entity, column or link; rows whose link leads nowhere; neither entity lies in the other;
                text where a number is needed.
        """
        if how not in HOWS:
            raise InputError(f"{self.what}: how: expected one of {', '.join(HOWS)}, found {how!r}")
        self._frame(unit)
        source = of or self._home(column)
        if column not in self._frame(source):
            raise InputError(f"{self.what}: {source}: expected a column {column!r}, found none")
        if source == unit:
            return self[unit][column]
        here, there, inside = self._pairs(source, unit)
        values = self[source][column]
        if inside:
            return values.iloc[here].set_axis(self[unit].index)
        return together(values, here, there, self[unit].index, how, f"{self.what}: {column}")

    def size(self, unit: str) -> pd.Series:
        """How many persons there are in each row of a group, int64."""
        self._frame(unit)
        _, there, _ = self._pairs(PERSON, unit)
        return pd.Series(np.bincount(there, minlength=len(self[unit])), self[unit].index, name="size")

    def _frame(self, unit: str) -> pd.DataFrame:
        if unit not in self or unit not in self.entities:
            raise InputError(f"{self.what}: unit: expected one of {', '.join(self)}, found {unit!r}")
        return self[unit]

    def _home(self, column: str) -> str:
        """The one entity that has a column."""
        homes = [name for name, frame in self.items() if column in frame]
        if len(homes) == 1:
            return homes[0]
        if homes:
            raise InputError(
                f"{self.what}: {column}: expected it in one entity, found it in {', '.join(homes)}. Say of="
            )
        every = {str(name) for frame in self.values() for name in frame}
        hint = did_you_mean(column, sorted(every))
        raise InputError(f"{self.what}: expected a column of the frames, found {column!r}. {hint}".rstrip(". "))

    def _pairs(self, source: str, unit: str) -> tuple[Rows, Rows, bool]:
        """Rows of two entities that belong together, and whether each row of `unit`, in its order, lies in one of
        `source`."""
        entities = self.entities
        if unit == PERSON or source in entities[unit].links:
            found = self._all(self._rows(unit, source), unit, source)
            return found, np.arange(len(found)), True
        if source == PERSON or unit in entities[source].links:
            found = self._all(self._rows(source, unit), source, unit)
            return np.arange(len(found)), found, False
        if PERSON not in self or PERSON not in entities:
            self._all(None, source, unit)
        each = [self._all(self._rows(PERSON, name), PERSON, name) for name in (source, unit)]
        here, there = np.unique(np.stack(each), axis=1)
        if len(np.unique(there)) == len(there) == len(self[unit]):
            order = np.argsort(there)
            return here[order], there[order], True
        if len(np.unique(here)) == len(here):
            return here, there, False
        raise InputError(
            f"{self.what}: expected each {source} to lie in one {unit}, or the other way round, found some that share "
            "persons with several. Go over the persons: bring the column to person first"
        )

    def _all(self, rows: Rows | None, name: str, other: str) -> Rows:
        """The rows, if each leads somewhere and no id stands twice. Raises InputError."""
        self._once(name)
        self._once(other)
        if rows is None:
            raise InputError(
                f"{self.what}: expected ids that link {name} and {other}, found none. Open the file with a "
                "variable of both"
            )
        lost = int((rows < 0).sum())
        if lost:
            raise InputError(
                f"{self.what}: expected a {other} for each {name}, found none for {lost:,} of {len(rows):,}. If rows "
                "were left out of one, leave out those that belong to them as well"
            )
        return rows

    def _once(self, unit: str) -> None:
        """Raise InputError if an id of the entity stands in two rows, so that nobody knows which is meant."""
        key = self.entities[unit].id
        if key in self[unit] and not self[unit][key].is_unique:
            twice = self[unit][key][self[unit][key].duplicated()].iloc[0]
            raise InputError(f"{self.what}: {key}: expected each id once, found {twice} twice")


def _places(ids: pd.Series, wanted: pd.Series) -> Rows:
    """For each wanted id the row of it, the first of several; −1 for none."""
    index = pd.Index(ids)
    first = np.flatnonzero(~index.duplicated())
    return _through(index[first].get_indexer(pd.Index(wanted)), first)


def _through(rows: Rows, further: Rows) -> Rows:
    """Rows of rows; −1 stays −1."""
    return np.where(rows >= 0, np.append(further, -1)[rows], -1).astype(np.intp)
