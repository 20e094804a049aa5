"""Which persons and units belong to which household, and the ids of the units of a set of household clones.

Everything is a gather over compressed rows (``indptr``, ``rows``): no loop over households.

A unit's id is ``1 + clone × rows + source row``, where ``rows`` is the number of units of its entity in the source. It
depends on nothing else, so a unit has the same id in every file (``docs/decisions/ids-across-files.md``). Units of a
source that is not cloned keep their own ids.
"""

from collections.abc import Collection, Mapping
from typing import Self

import numpy as np
from msgspec import Struct

from local_h5.errors import SourceError
from local_h5.inputs.chunks import chunks

PERSON = "person"
HOUSEHOLD = "household"
SUB_ENTITIES = ("tax_unit", "spm_unit", "family", "marital_unit")
ENTITIES = (HOUSEHOLD, PERSON, *SUB_ENTITIES)
YEAR_KEY = "_time_period"
"""Key of the year in a file of tables of entities. No variable of the model has such a name."""

LARGEST_ID = 2**31 - 1
"""Ids are int32, as the model keeps them."""


class CompressedRows(Struct, frozen=True):
    """For every household, the source rows of one entity that belong to it, in source row order.

    ``rows[indptr[h]:indptr[h + 1]]`` are household ``h``'s rows; ``indptr`` int64 (n_households + 1,), ``rows``
    int32 (n_rows,).
    """

    indptr: np.ndarray
    rows: np.ndarray

    @classmethod
    def from_owner(cls, owner: np.ndarray, n_households: int) -> Self:
        """Group source rows by the household index ``owner`` (n_rows,) that each belongs to."""
        counts = np.bincount(owner, minlength=n_households)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(indptr, np.argsort(owner, kind="stable").astype(np.int32))

    def counts(self, households: np.ndarray) -> np.ndarray:
        """Number of rows of each of ``households``, int32."""
        if len(households) < len(self.indptr):
            return (self.indptr[households + 1] - self.indptr[households]).astype(np.int32)
        return np.diff(self.indptr).astype(np.int32)[households]

    def owner(self) -> np.ndarray:
        """Household index of each source row, int32 (n_rows,)."""
        owner = np.empty(len(self.rows), np.int32)
        owner[self.rows] = np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int32), np.diff(self.indptr))
        return owner

    def gather(self, households: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Source rows of ``households`` one household after the other, int32 (counts.sum(),)."""
        before = np.cumsum(counts) - counts
        place = np.repeat(self.indptr[households] - before, counts)
        place += np.arange(len(place))
        return self.rows[place]


class Membership(Struct, frozen=True):
    """Entity membership of the source.

    Attributes:
        members: entity → its rows by household (persons and every sub-entity; not household).
        person_unit: sub-entity → source row of the unit that each person is in, int32 (n_persons,).
        kept_ids: entity → ids by source row, int32, for a source whose units keep theirs; else empty.
    """

    members: Mapping[str, CompressedRows]
    person_unit: Mapping[str, np.ndarray]
    kept_ids: Mapping[str, np.ndarray] = {}

    @property
    def units(self) -> tuple[str, ...]:
        """Sub-entities: all but person and household."""
        return tuple(self.person_unit)

    def n_rows(self, entity: str) -> int:
        """Number of source rows of ``entity``."""
        return len(self.members[PERSON].indptr) - 1 if entity == HOUSEHOLD else len(self.members[entity].rows)

    def household_of(self, entity: str) -> np.ndarray:
        """Household index of each source row of ``entity``, int32 (n_rows,)."""
        if entity == HOUSEHOLD:
            return np.arange(self.n_rows(HOUSEHOLD), dtype=np.int32)
        return self.members[entity].owner()

    def clones_of(self, household_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Clone and source row of the households with the given ids of a file; row -1 for an id that no file has."""
        if self.kept_ids:
            rows = rows_with(self.kept_ids[HOUSEHOLD], household_ids)
            return np.zeros(len(rows), np.int64), rows
        clone, row = np.divmod(household_ids - 1, self.n_rows(HOUSEHOLD))
        return clone, np.where(household_ids > 0, row, -1)


class EntityRows(Struct, frozen=True):
    """One entity's rows in an area file.

    Attributes:
        source_row: int32 (n_rows,), row of the source.
        clone_position: int32 (n_rows,), position of the household clone that owns the row.
        counts: int32 (n_clones,), rows of each household clone.
    """

    source_row: np.ndarray
    clone_position: np.ndarray
    counts: np.ndarray


class Reindexed(Struct, frozen=True):
    """Rows, ids and links of an area file. Ids and links are computed on request.

    Attributes:
        rows: entity → its rows, in file order.
    """

    rows: Mapping[str, EntityRows]
    _first: Mapping[str, np.ndarray]
    """Entity → the id of source row 0 in each household clone, int32 (n_clones,)."""
    _person_unit: Mapping[str, np.ndarray]
    _kept_ids: Mapping[str, np.ndarray] = {}

    def n_rows(self, entity: str) -> int:
        """Number of rows of ``entity`` in the file."""
        return len(self.rows[entity].source_row)

    def ids(self, entity: str) -> np.ndarray:
        """Id of each row of ``entity``, int32 (n_rows,)."""
        rows = self.rows[entity]
        return self.named(entity, rows.clone_position, rows.source_row)

    def links(self, entity: str) -> np.ndarray:
        """Id of each person's ``entity`` (all but person), int32 (n_persons,)."""
        persons = self.rows[PERSON]
        if entity == HOUSEHOLD:
            return self.ids(HOUSEHOLD)[persons.clone_position]
        return self.named(entity, persons.clone_position, persons.source_row, self._person_unit[entity])

    def named(
        self, entity: str, clone_position: np.ndarray, row: np.ndarray, of: np.ndarray | None = None
    ) -> np.ndarray:
        """Ids of units of ``entity``, int32 (n,).

        Args:
            entity: of the units.
            clone_position: (n,), which household clone of the file each unit is in.
            row: (n,), its source row, or where ``of`` has it.
            of: source row of ``entity`` by ``row``.
        """
        if self._kept_ids:
            return self._kept_ids[entity][row if of is None else of[row]]
        first = self._first[entity]
        ids = np.empty(len(row), np.int32)
        for part in chunks(len(row)):
            source = row[part] if of is None else of[row[part]]
            np.add(first[clone_position[part]], source, out=ids[part])
        return ids


def reindex(
    membership: Membership, households: np.ndarray, clones: np.ndarray, entities: Collection[str] | None = None
) -> Reindexed:
    """Rows and ids for household clones, in file order.

    Args:
        membership: of the source.
        households: int (n,), source household index of each household clone; repeats are allowed.
        clones: int (n,), clone index of each; :func:`check_ids_fit` says how many there may be.
        entities: whose rows are wanted beside the households'; None for all.
    """
    rows = entity_rows(membership, households, entities)
    clones = np.asarray(clones, dtype=np.int64)
    first = {
        entity: (1 + clones * membership.n_rows(entity)).astype(np.int32) for entity in (HOUSEHOLD, *membership.members)
    }
    return Reindexed(rows, first, membership.person_unit, membership.kept_ids)


def check_ids_fit(membership: Membership, n_clones: int) -> None:
    """Refuse a source and a number of clones whose ids do not fit into int32.

    Raises:
        SourceError: with the numbers.
    """
    for entity in (HOUSEHOLD, *membership.members):
        rows = membership.n_rows(entity)
        if rows * n_clones > LARGEST_ID:
            raise SourceError(
                f"source and weights: {entity}_id: expected ids up to {LARGEST_ID:,} (int32, as the model keeps "
                f"them), found {n_clones:,} clones × {rows:,} rows of {entity} = {n_clones * rows:,}. Calibrate "
                "fewer clones, or a smaller source."
            )


def entity_rows(
    membership: Membership, households: np.ndarray, entities: Collection[str] | None = None
) -> dict[str, EntityRows]:
    """The rows of every entity alone, or of household and ``entities``; other arguments as for :func:`reindex`."""
    households = np.asarray(households, dtype=np.int32)
    positions = np.arange(len(households), dtype=np.int32)
    rows = {HOUSEHOLD: EntityRows(households, positions, np.ones(len(households), np.int32))}
    for entity, members in membership.members.items():
        if entities is not None and entity not in entities:
            continue
        counts = members.counts(households)
        source_row = np.empty(int(counts.sum()), np.int32)
        clone_position = np.empty_like(source_row)
        done = 0
        for part in chunks(len(households)):
            found = members.gather(households[part], counts[part])
            place = slice(done, done + len(found))
            source_row[place] = found
            clone_position[place] = np.repeat(positions[part], counts[part])
            done = place.stop
        rows[entity] = EntityRows(source_row, clone_position, counts)
    return rows


def rows_with(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Row of each wanted id; -1 where there is none.

    Args:
        ids: integers (n,), in any order; of one that stands several times the first row is meant.
        wanted: integers (m,).

    Returns:
        int64 (m,).
    """
    if not len(ids):
        return np.full(len(wanted), -1)
    order = None if np.all(ids[1:] > ids[:-1]) else np.argsort(ids, kind="stable")
    place = np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)
    rows = place if order is None else order[place]
    return np.where(ids[rows] == wanted, rows, -1)


def join_on_ids(
    where: object,
    *,
    ids: Mapping[str, np.ndarray],
    person_links: Mapping[str, np.ndarray],
) -> Membership:
    """Membership from id columns: joined on ids, never on rank.

    Args:
        where: the file, for messages.
        ids: entity → integer ids by source row; household, person and every sub-entity.
        person_links: entity (all but person) → the id, per person, of the unit that the person is in.

    Raises:
        SourceError: a duplicate id, a dangling link, a household or unit without persons, or a unit whose persons live
            in two households; names the entity, ids and rows.
    """
    n_households = len(ids[HOUSEHOLD])
    for entity, values in ids.items():
        _refuse_duplicates(where, entity, values)
    owner_of_person = _rows_of(where, HOUSEHOLD, ids[HOUSEHOLD], person_links[HOUSEHOLD])
    members = {PERSON: CompressedRows.from_owner(owner_of_person, n_households)}
    empty = np.flatnonzero(np.diff(members[PERSON].indptr) == 0)
    if len(empty):
        raise SourceError(
            f"{where}: household_id: expected at least one person in every household, found {len(empty)} without: "
            f"{_some(ids[HOUSEHOLD][empty])}. Drop the empty households, or correct person_household_id."
        )
    person_unit: dict[str, np.ndarray] = {}
    for entity, link in person_links.items():
        if entity == HOUSEHOLD:
            continue
        unit_of_person = _rows_of(where, entity, ids[entity], link)
        owner = np.full(len(ids[entity]), -1, np.int64)
        owner[unit_of_person] = owner_of_person
        split = np.unique(unit_of_person[owner[unit_of_person] != owner_of_person])
        if len(split):
            raise SourceError(
                f"{where}: person_{entity}_id: expected every {entity} within one household, found {len(split)} "
                f"shared by two or more: {_some(ids[entity][split])}. Give the persons of each household their "
                f"own {entity}."
            )
        orphans = np.flatnonzero(owner < 0)
        if len(orphans):
            raise SourceError(
                f"{where}: {entity}_id: expected at least one person in every {entity}, found {len(orphans)} "
                f"without: {_some(ids[entity][orphans])}. Drop the empty rows, or correct person_{entity}_id."
            )
        members[entity] = CompressedRows.from_owner(owner, n_households)
        person_unit[entity] = unit_of_person.astype(np.int32)
    return Membership(members, person_unit)


def keep_ids(where: object, membership: Membership, ids: Mapping[str, np.ndarray]) -> Membership:
    """The same membership, with the source's own ids in every file.

    Args:
        where: the file, for messages.
        membership: of the source.
        ids: entity → int64 ids by source row.

    Raises:
        SourceError: ids that int32 does not hold, or out of order.
    """
    kept = {}
    for entity, values in ids.items():
        wrong = np.flatnonzero((values < 0) | (values > LARGEST_ID))
        if len(wrong):
            raise SourceError(
                f"{where}: {entity}_id: expected ids from 0 to {LARGEST_ID:,} (int32, as the model keeps them), found "
                f"{len(wrong)} others, first {values[wrong[0]]} in row {wrong[0]}. Number the rows anew."
            )
        falls = np.flatnonzero(values[1:] < values[:-1])
        owner = membership.household_of(entity)
        by_household = np.all((owner[1:] > owner[:-1]) | ((owner[1:] == owner[:-1]) & (values[1:] > values[:-1])))
        if len(falls) and (entity == HOUSEHOLD or not by_household):
            row = falls[0] + 1
            raise SourceError(
                f"{where}: {entity}_id: expected ascending ids (of all rows, or of the rows of each household after "
                f"another), because files keep ids and order, found {values[row]} after {values[row - 1]} in row "
                f"{row}. Sort the table by {entity}_id."
            )
        kept[entity] = values.astype(np.int32)
    return Membership(membership.members, membership.person_unit, kept)


def _refuse_duplicates(where: object, entity: str, values: np.ndarray) -> None:
    order = np.argsort(values, kind="stable")
    same = np.flatnonzero(np.diff(values[order]) == 0)
    if len(same):
        first, second = order[same[0]], order[same[0] + 1]
        raise SourceError(
            f"{where}: {entity}_id: expected every id once, found {len(same)} repeated, first {values[first]} in "
            f"rows {first} and {second}. Give every row its own id."
        )


def _rows_of(where: object, entity: str, ids: np.ndarray, link: np.ndarray) -> np.ndarray:
    rows = rows_with(ids, link)
    dangling = np.flatnonzero(rows < 0)
    if len(dangling):
        raise SourceError(
            f"{where}: person_{entity}_id: expected ids that {entity}_id holds, found {len(dangling)} that it "
            f"does not, first {link[dangling[0]]} in row {dangling[0]}. Add the missing {entity} rows, or correct "
            "the links."
        )
    return rows


def _some(values: np.ndarray, limit: int = 5) -> str:
    shown = ", ".join(str(value) for value in values[:limit])
    return f"{shown}, …" if len(values) > limit else shown
