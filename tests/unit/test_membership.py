"""Rows, ids and links against plain loops: one id a unit in all files, links complete, order kept."""

from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_h5.errors import SourceError
from local_h5.inputs import chunks
from local_h5.inputs.membership import (
    LARGEST_ID,
    CompressedRows,
    Membership,
    check_ids_fit,
    entity_rows,
    join_on_ids,
    reindex,
    rows_with,
)

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


def files_of(source: Source, data: st.DataObject) -> tuple[np.ndarray, np.ndarray]:
    """Household clones of a file in its order: clones and source households."""
    n_households = len(source.ids["household"])
    clones = st.tuples(st.integers(0, 5), st.integers(0, n_households - 1))
    chosen = sorted(data.draw(st.sets(clones, max_size=12)))
    return np.array([c for c, _ in chosen], dtype=int), np.array([h for _, h in chosen], dtype=int)


def joined(source: Source) -> Membership:
    return join_on_ids("source", ids=source.ids, person_links=source.links)


def by_loops(source: Source, clones: np.ndarray, households: np.ndarray) -> tuple[dict, dict, dict]:
    """Source rows, ids and links of a file, by plain loops over the source's id columns."""
    rows: dict[str, list[int]] = {entity: [] for entity in ("household", "person", *UNITS)}
    ids: dict[str, list[int]] = {entity: [] for entity in rows}
    links: dict[str, list[int]] = {entity: [] for entity in ("household", *UNITS)}
    row_of = {entity: {name: row for row, name in enumerate(names)} for entity, names in source.ids.items()}
    for clone, household in zip(clones.tolist(), households.tolist(), strict=True):
        persons = [p for p, home in enumerate(source.links["household"]) if home == source.ids["household"][household]]
        found = {"household": [household], "person": persons}
        for entity in UNITS:
            found[entity] = sorted({row_of[entity][source.links[entity][person]] for person in persons})
        for entity, members in found.items():
            rows[entity] += members
            ids[entity] += [1 + clone * len(source.ids[entity]) + member for member in members]
        for entity, link in links.items():
            units = [row_of[entity][source.links[entity][person]] for person in persons]
            link += [1 + clone * len(source.ids[entity]) + unit for unit in units]
    return rows, ids, links


@given(sources(), st.data())
def test_rows_ids_and_links_are_those_of_plain_loops(source: Source, data: st.DataObject) -> None:
    clones, households = files_of(source, data)
    result = reindex(joined(source), households, clones)
    rows, ids, links = by_loops(source, clones, households)
    assert {entity: found.source_row.tolist() for entity, found in result.rows.items()} == rows
    assert {entity: result.ids(entity).tolist() for entity in rows} == ids
    assert {entity: result.links(entity).tolist() for entity in links} == links
    assert {result.ids(entity).dtype for entity in rows} == {np.dtype(np.int32)}
    assert {result.links(entity).dtype for entity in links} == {np.dtype(np.int32)}


@given(sources(), st.data())
def test_a_unit_has_one_id_in_every_file_and_no_other_has_it(source: Source, data: st.DataObject) -> None:
    """Over any files: equal ids are equal (clone, source row), none is 0, and every link finds its unit in the file."""
    membership = joined(source)
    of_id: dict[str, dict[int, tuple[int, int]]] = {}
    id_of: dict[str, dict[tuple[int, int], int]] = {}
    for _ in range(data.draw(st.integers(1, 3))):
        clones, households = files_of(source, data)
        file = reindex(membership, households, clones)
        for entity, rows in file.rows.items():
            units = zip(clones[rows.clone_position].tolist(), rows.source_row.tolist(), strict=True)
            for unit, name in zip(units, file.ids(entity).tolist(), strict=True):
                assert name > 0
                assert of_id.setdefault(entity, {}).setdefault(name, unit) == unit
                assert id_of.setdefault(entity, {}).setdefault(unit, name) == name
            if entity == "person":
                continue
            assert set(file.links(entity).tolist()) == set(file.ids(entity).tolist())
            of_person = rows_with(file.ids(entity), file.links(entity))
            assert np.array_equal(rows.clone_position[of_person], file.rows["person"].clone_position)
            if entity != "household":
                persons = file.rows["person"].source_row
                assert np.array_equal(rows.source_row[of_person], membership.person_unit[entity][persons])


@given(sources(), st.data())
def test_named_units_are_found_by_their_ids(source: Source, data: st.DataObject) -> None:
    """What an id column names: any unit of a row's household clone, by its id in the file."""
    clones, households = files_of(source, data)
    membership = joined(source)
    file = reindex(membership, households, clones)
    persons = file.rows["person"]
    for target in ("person", "tax_unit"):
        home = membership.household_of(target)
        first = np.array([np.flatnonzero(home == h)[-1] for h in range(membership.n_rows("household"))])
        named = first[households[persons.clone_position]] if len(households) else np.array([], int)
        rows = rows_with(file.ids(target), file.named(target, persons.clone_position, named))
        assert file.rows[target].source_row[rows].tolist() == named.tolist()
        assert file.rows[target].clone_position[rows].tolist() == persons.clone_position.tolist()


@given(st.lists(st.integers(-5, 40), unique=True), st.lists(st.integers(-6, 41)))
def test_rows_with_is_a_look_up(ids: list[int], wanted: list[int]) -> None:
    found = rows_with(np.array(ids, np.int32), np.array(wanted, np.int32))
    assert found.tolist() == [ids.index(name) if name in ids else -1 for name in wanted]


def test_more_clones_than_ids_are_refused_with_the_numbers() -> None:
    rows = CompressedRows(np.array([0, 4, 5]), np.arange(5, dtype=np.int32))
    membership = Membership({"person": rows}, {})
    most = LARGEST_ID // 5
    check_ids_fit(membership, most)
    with pytest.raises(SourceError) as caught:
        check_ids_fit(membership, most + 1)
    assert "person_id: expected ids up to 2,147,483,647" in str(caught.value)
    assert f"found {most + 1:,} clones × 5 rows of person = {5 * (most + 1):,}" in str(caught.value)
    last = reindex(membership, np.array([1]), np.array([most - 1]))
    assert last.ids("person").tolist() == [5 * most]


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
        for name in ("indptr", "rows"):
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
    clones, households = files_of(source, data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK", rows)
        in_parts = reindex(joined(source), households, clones)
        ids = {entity: in_parts.ids(entity).tolist() for entity in in_parts.rows}
        links = {entity: in_parts.links(entity).tolist() for entity in ("household", *UNITS)}
    expected = by_loops(source, clones, households)
    assert ({entity: found.source_row.tolist() for entity, found in in_parts.rows.items()}, ids, links) == expected


@given(sources(), st.data())
def test_rows_of_some_entities_are_those_of_all(source: Source, data: st.DataObject) -> None:
    clones, chosen = files_of(source, data)
    membership = joined(source)
    wanted = data.draw(st.sets(st.sampled_from(["person", *UNITS])))
    every, some = reindex(membership, chosen, clones), reindex(membership, chosen, clones, wanted)
    assert some.rows.keys() == {"household", *wanted} == entity_rows(membership, chosen, wanted).keys()
    for entity, rows in some.rows.items():
        assert rows.source_row.tolist() == every.rows[entity].source_row.tolist()
        assert rows.clone_position.tolist() == every.rows[entity].clone_position.tolist()
        assert rows.counts.tolist() == np.bincount(rows.clone_position, minlength=len(chosen)).tolist()
