"""Reindexing against plain loops: ids dense, links complete, order kept."""

from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_h5 import chunks
from local_h5.errors import SourceError
from local_h5.membership import entity_rows, join_on_ids, reindex

UNITS = ("tax_unit", "spm_unit", "family", "marital_unit")


@dataclass(frozen=True)
class Source:
    """Id columns of a source."""

    ids: dict[str, np.ndarray]
    links: dict[str, np.ndarray]


@st.composite
def sources(draw: st.DrawFn) -> Source:
    """Households of one to five persons, rows of every entity in any order, ids neither dense nor ordered."""
    n_households = draw(st.integers(1, 6))
    sizes = draw(st.lists(st.integers(1, 5), min_size=n_households, max_size=n_households))
    owner = np.repeat(np.arange(n_households), sizes)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    owner = random.permutation(owner)

    def names(count: int) -> np.ndarray:
        return random.choice(10 * count + 5, count, replace=False)

    ids = {"household": names(n_households), "person": names(owner.size)}
    links = {"household": ids["household"][owner]}
    for entity in UNITS:
        keys, unit = np.unique(owner * 3 + random.integers(0, 3, owner.size), return_inverse=True)
        ids[entity] = names(keys.size)
        links[entity] = ids[entity][unit]
    return Source(ids, links)


def households_of(source: Source, data: st.DataObject) -> list[int]:
    n_households = len(source.ids["household"])
    return data.draw(st.lists(st.integers(0, n_households - 1), max_size=12))


@given(sources(), st.data())
def test_reindexed_rows_are_those_of_plain_loops(source: Source, data: st.DataObject) -> None:
    chosen = households_of(source, data)
    result = reindex(join_on_ids("source", ids=source.ids, person_links=source.links), np.array(chosen, dtype=int))
    persons: list[int] = []
    units: dict[str, list[int]] = {entity: [] for entity in UNITS}
    links: dict[str, list[int]] = {entity: [] for entity in ("household", *UNITS)}
    owners: list[int] = []
    for position, household in enumerate(chosen):
        name = source.ids["household"][household]
        members = [row for row, owner in enumerate(source.links["household"]) if owner == name]
        persons += members
        owners += [position] * len(members)
        links["household"] += [position] * len(members)
        for entity in UNITS:
            of_members = {source.links[entity][row] for row in members}
            first = len(units[entity])
            rows = [row for row, unit in enumerate(source.ids[entity]) if unit in of_members]
            units[entity] += rows
            place = {source.ids[entity][row]: first + rank for rank, row in enumerate(rows)}
            links[entity] += [place[source.links[entity][row]] for row in members]
    assert result.rows["household"].source_row.tolist() == chosen
    assert result.rows["person"].source_row.tolist() == persons
    assert result.rows["person"].clone_position.tolist() == owners
    for entity in UNITS:
        assert result.rows[entity].source_row.tolist() == units[entity]
    assert {entity: link.tolist() for entity, link in result.links.items()} == links


@given(sources(), st.data())
def test_links_are_complete_and_ids_dense(source: Source, data: st.DataObject) -> None:
    chosen = households_of(source, data)
    membership = join_on_ids("source", ids=source.ids, person_links=source.links)
    result = reindex(membership, np.array(chosen, dtype=int))
    for entity in ("household", *UNITS):
        link, count = result.links[entity], result.n_rows(entity)
        assert link.dtype == np.int32
        assert sorted(set(link.tolist())) == list(range(count))  # every unit has a person, every link a unit
    persons = result.rows["person"].source_row
    for entity in UNITS:
        unit = result.rows[entity].source_row[result.links[entity]]
        assert source.ids[entity][unit].tolist() == source.links[entity][persons].tolist()
        position = result.rows[entity].clone_position
        assert (np.diff(position) >= 0).all()
        assert position[result.links[entity]].tolist() == result.links["household"].tolist()
        assert result.rows[entity].counts.tolist() == np.bincount(position, minlength=len(chosen)).tolist()


@given(sources(), st.randoms(use_true_random=False))
def test_membership_does_not_depend_on_id_values(source: Source, random: Random) -> None:
    """Any other ids with the same links give the same membership: joined on ids, never on their rank."""
    shift = {entity: random.randint(1, 10**6) for entity in source.ids}
    renamed = Source(
        {entity: 2_000_003 - 7 * ids + shift[entity] for entity, ids in source.ids.items()},
        {entity: 2_000_003 - 7 * link + shift[entity] for entity, link in source.links.items()},
    )
    before, after = (join_on_ids("source", ids=each.ids, person_links=each.links) for each in (source, renamed))
    for entity, rows in before.members.items():
        for name in ("indptr", "rows", "local"):
            assert getattr(rows, name).tolist() == getattr(after.members[entity], name).tolist()
    for entity in UNITS:
        assert before.person_unit[entity].tolist() == after.person_unit[entity].tolist()


@given(sources(), st.data())
def test_a_household_without_persons_is_found_wherever_it_is(source: Source, data: st.DataObject) -> None:
    """The fault that shifts all later persons into the wrong household cannot happen: it is an error with the id."""
    place = data.draw(st.integers(0, len(source.ids["household"])))
    stranger = int(source.ids["household"].max()) + 1
    ids = {**source.ids, "household": np.insert(source.ids["household"], place, stranger)}
    with pytest.raises(SourceError, match=f"1 without: {stranger}"):
        join_on_ids("source", ids=ids, person_links=source.links)


@given(sources(), st.sampled_from(["household", *UNITS]), st.data())
def test_a_dangling_link_is_found_wherever_it_is(source: Source, entity: str, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(source.ids["person"]) - 1))
    stranger = int(source.ids[entity].max()) + data.draw(st.integers(1, 10))
    link = source.links[entity].copy()
    link[row] = stranger
    with pytest.raises(SourceError, match=f"{stranger} in row {row}"):
        join_on_ids("source", ids=source.ids, person_links={**source.links, entity: link})


@pytest.mark.parametrize("rows", [1, 2, 5])
@given(source=sources(), data=st.data())
def test_stretches_do_not_show(rows: int, source: Source, data: st.DataObject) -> None:
    chosen = np.array(households_of(source, data), dtype=int)
    membership = join_on_ids("source", ids=source.ids, person_links=source.links)
    at_once = reindex(membership, chosen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK", rows)
        in_parts = reindex(membership, chosen)
    for entity, expected in at_once.rows.items():
        found = in_parts.rows[entity]
        assert found.source_row.tolist() == expected.source_row.tolist()
        assert found.clone_position.tolist() == expected.clone_position.tolist()
    assert {entity: link.tolist() for entity, link in in_parts.links.items()} == {
        entity: link.tolist() for entity, link in at_once.links.items()
    }


@given(sources(), st.data())
def test_rows_of_some_entities_are_those_of_all(source: Source, data: st.DataObject) -> None:
    membership = join_on_ids("source", ids=source.ids, person_links=source.links)
    chosen = np.array(households_of(source, data), dtype=int)
    wanted = data.draw(st.sets(st.sampled_from(["person", *UNITS])))
    every, some = entity_rows(membership, chosen), entity_rows(membership, chosen, wanted)
    assert some.keys() == {"household", *wanted}
    for entity, rows in some.items():
        assert rows.source_row.tolist() == every[entity].source_row.tolist()
        assert rows.clone_position.tolist() == every[entity].clone_position.tolist()
