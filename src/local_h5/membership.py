"""Which persons and units belong to which household, and the dense ids of a set of household clones.

Everything is a gather over compressed rows (``indptr``, ``rows``): no loop over households.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from local_h5.chunks import chunks
from local_h5.errors import SourceError

PERSON = "person"
HOUSEHOLD = "household"


@dataclass(frozen=True, slots=True)
class CompressedRows:
    """For every household, the source rows of one entity that belong to it, in source row order.

    ``rows[indptr[h]:indptr[h + 1]]`` are household ``h``'s rows; ``indptr`` int64 (n_households + 1,), ``rows``
    int32 (n_rows,), ``local`` int32 (n_rows,): by source row, the row's rank within its household.
    """

    indptr: np.ndarray
    rows: np.ndarray
    local: np.ndarray

    @classmethod
    def from_owner(cls, owner: np.ndarray, n_households: int) -> Self:
        """Group source rows by the household index ``owner`` (n_rows,) that each belongs to."""
        counts = np.bincount(owner, minlength=n_households)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        rows = np.argsort(owner, kind="stable").astype(np.int32)
        local = np.empty(len(owner), np.int32)
        local[rows] = np.arange(len(owner)) - np.repeat(indptr[:-1], counts)
        return cls(indptr, rows, local)

    def counts(self, households: np.ndarray) -> np.ndarray:
        """Number of rows of each of ``households``, int32."""
        return np.diff(self.indptr).astype(np.int32)[households]

    def gather(self, households: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Source rows of ``households`` one household after the other, int32 (counts.sum(),)."""
        before = np.cumsum(counts) - counts
        place = np.repeat(self.indptr[households] - before, counts)
        place += np.arange(len(place))
        return self.rows[place]


@dataclass(frozen=True, slots=True)
class Membership:
    """Entity membership of the source.

    Attributes:
        members: entity → its rows by household (persons and every sub-entity; not household).
        person_unit: sub-entity → source row of the unit that each person is in, int32 (n_persons,).
    """

    members: Mapping[str, CompressedRows]
    person_unit: Mapping[str, np.ndarray]

    @property
    def units(self) -> tuple[str, ...]:
        """Sub-entities: all but person and household."""
        return tuple(self.person_unit)


@dataclass(frozen=True, slots=True)
class EntityRows:
    """One entity's rows in an area file.

    Attributes:
        source_row: int32 (n_rows,), row of the source.
        clone_position: int32 (n_rows,), position of the household clone that owns the row.
        counts: int32 (n_clones,), rows of each household clone.
    """

    source_row: np.ndarray
    clone_position: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True, slots=True)
class Reindexed:
    """Rows and links of an area file.

    Attributes:
        rows: entity → its rows, in file order; a row's new id is its position (0…n−1).
        links: sub-entity → new unit id of every person, int32 (n_persons,).
    """

    rows: Mapping[str, EntityRows]
    links: Mapping[str, np.ndarray]

    def n_rows(self, entity: str) -> int:
        """Number of rows of ``entity`` in the file."""
        return len(self.rows[entity].source_row)


def reindex(membership: Membership, households: np.ndarray) -> Reindexed:
    """Rows and dense ids for household clones whose source households are ``households``, in file order.

    Args:
        membership: of the source.
        households: int (n_clones,), source household index of each household clone; repeats are allowed.
    """
    rows = entity_rows(membership, households)
    persons = rows[PERSON]
    first = {unit: _starts(rows[unit].counts) for unit in membership.units}
    local = {unit: membership.members[unit].local[row] for unit, row in membership.person_unit.items()}
    links = {unit: np.empty(len(persons.source_row), np.int32) for unit in membership.units}
    for part in chunks(len(persons.source_row)):
        position, source = persons.clone_position[part].astype(np.intp), persons.source_row[part].astype(np.intp)
        for unit, link in links.items():
            np.add(first[unit][position], local[unit][source], out=link[part])
    return Reindexed(rows, {HOUSEHOLD: persons.clone_position} | links)


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


def _starts(counts: np.ndarray) -> np.ndarray:
    """Where each stretch begins when they lie one after another, int32."""
    return (np.cumsum(counts) - counts).astype(np.int32)


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
            where,
            field="household_id",
            expected="at least one person in every household",
            found=f"{len(empty)} without: {_some(ids[HOUSEHOLD][empty])}",
            remedy="Drop the empty households, or correct person_household_id.",
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
                where,
                field=f"person_{entity}_id",
                expected=f"every {entity} within one household",
                found=f"{len(split)} shared by two or more: {_some(ids[entity][split])}",
                remedy=f"Give the persons of each household their own {entity}.",
            )
        orphans = np.flatnonzero(owner < 0)
        if len(orphans):
            raise SourceError(
                where,
                field=f"{entity}_id",
                expected=f"at least one person in every {entity}",
                found=f"{len(orphans)} without: {_some(ids[entity][orphans])}",
                remedy=f"Drop the empty rows, or correct person_{entity}_id.",
            )
        members[entity] = CompressedRows.from_owner(owner, n_households)
        person_unit[entity] = unit_of_person.astype(np.int32)
    return Membership(members, person_unit)


def _refuse_duplicates(where: object, entity: str, values: np.ndarray) -> None:
    order = np.argsort(values, kind="stable")
    same = np.flatnonzero(np.diff(values[order]) == 0)
    if len(same):
        first, second = order[same[0]], order[same[0] + 1]
        raise SourceError(
            where,
            field=f"{entity}_id",
            expected="every id once",
            found=f"{len(same)} repeated, first {values[first]} in rows {first} and {second}",
            remedy="Give every row its own id.",
        )


def _rows_of(where: object, entity: str, ids: np.ndarray, link: np.ndarray) -> np.ndarray:
    order = np.argsort(ids, kind="stable")
    place = np.minimum(np.searchsorted(ids, link, sorter=order), len(ids) - 1)
    rows = order[place]
    dangling = np.flatnonzero(ids[rows] != link)
    if len(dangling):
        raise SourceError(
            where,
            field=f"person_{entity}_id",
            expected=f"ids that {entity}_id holds",
            found=f"{len(dangling)} that it does not, first {link[dangling[0]]} in row {dangling[0]}",
            remedy=f"Add the missing {entity} rows, or correct the links.",
        )
    return rows


def _some(values: np.ndarray, limit: int = 5) -> str:
    shown = ", ".join(str(value) for value in values[:limit])
    return f"{shown}, …" if len(values) > limit else shown
