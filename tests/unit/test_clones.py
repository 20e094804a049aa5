"""Selection against a brute-force mask over all rows."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_h5 import us
from local_h5.errors import EmptySelectionError, InputError, RequestError
from local_h5.files.arrays import open_arrays, write_arrays
from local_h5.inputs.geography.block_table import TEXT_FIELDS, BlockTable, TextField
from local_h5.inputs.geography.canonical import Geography
from local_h5.prepared.clones import CloneIndex
from local_h5.requests import CODE_WIDTH, FILTER_FIELDS, WITHIN_STATE, AreaBuildRequest, AreaFilter

COLUMN = {
    "puma": "puma",
    "place": "place_fips",
    "zcta": "zcta",
    "cbsa": "cbsa_code",
    "sldu": "sldu",
    "sldl": "sldl",
}
BLOCKS = np.array(
    sorted(
        int(f"{county}{tract:06d}{block:04d}")
        for county in ("06037", "06073", "11001", "36005", "36061", "37001", "37037")
        for tract in (100, 200)
        for block in (1000, 2000)
    )
)
DISTRICT = (BLOCKS // 10**13 * 100 + 1 + BLOCKS // 10**4 % 2 + BLOCKS // 10**10 % 3).astype(np.int32)


def block_table() -> BlockTable:
    """Short text codes that several blocks share; a third of each field empty."""
    random = np.random.default_rng(8)
    fields = {}
    for name in TEXT_FIELDS:
        width = 3 if name in ("sldu", "sldl", "vtd") else 5
        texts = np.array([b"", *(f"{code:0{width}d}".encode() for code in (2, 30, 400))])
        fields[name] = TextField(random.choice(4, len(BLOCKS), p=[0.4, 0.2, 0.2, 0.2]).astype(np.int32), texts)
    return BlockTable(BLOCKS, DISTRICT, np.ones(len(BLOCKS), bool), fields)


TABLE = block_table()


def code_of(field: str, row: int) -> str:
    """The code that a block has in a field, in plain text; empty when it has none."""
    block = f"{BLOCKS[row]:015d}"
    if field in COLUMN:
        text = TABLE.fields[COLUMN[field]]
        return text.values[text.codes[row]].decode()
    if field == "district":
        return f"{DISTRICT[row]:04d}"
    return block[: CODE_WIDTH[field]]


@st.composite
def packages(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, Geography]:
    """Weights, row of the block table of every household clone, and the geography."""
    n_households, n_clones = draw(st.integers(1, 7)), draw(st.integers(1, 5))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = random.integers(0, len(BLOCKS), n_households * n_clones)
    weights = random.random(rows.size) * (random.random(rows.size) < draw(st.sampled_from([0.2, 0.7, 1.0])))
    weights[draw(st.integers(0, rows.size - 1))] = 1.5
    return weights, rows, Geography(BLOCKS[rows], DISTRICT[rows], n_households, n_clones)


@st.composite
def filters(draw: st.DrawFn, rows: np.ndarray) -> AreaFilter:
    """A filter on codes that the geography has."""
    field = draw(st.sampled_from(FILTER_FIELDS))
    known = sorted({code_of(field, row) for row in rows.tolist()} - {""})
    if not known:
        field, known = "state", sorted({code_of("state", row) for row in rows.tolist()})
    if field in WITHIN_STATE:
        known += sorted(
            {f"{BLOCKS[row]:015d}"[:2] + code_of(field, row) for row in rows.tolist() if code_of(field, row)}
        )
    values = tuple(draw(st.lists(st.sampled_from(known), min_size=1, max_size=4, unique=True)))
    return AreaFilter(field, "in" if len(values) > 1 else draw(st.sampled_from(["in", "eq"])), values)


@settings(deadline=None)
@given(packages(), st.data())
def test_selection_is_the_brute_force_mask(package: tuple, data: st.DataObject) -> None:
    weights, rows, geography = package
    chosen = tuple(data.draw(st.lists(filters(rows), max_size=3)))
    request = AreaBuildRequest("custom", "area", "Area", chosen)
    expected = [
        row for row in range(weights.size) if weights[row] > 0 and all(meant(item, rows[row]) for item in chosen)
    ]
    index = CloneIndex.build(weights, geography, TABLE)
    if any(item.field in WITHIN_STATE for item in chosen) and not any(item.says_state for item in chosen):
        with pytest.raises(RequestError, match="codes with their state") as refused:
            index.select(request, TABLE)
        assert all(name in str(refused.value) for name in states_of_refused(chosen))
        return
    if data.draw(st.booleans()):
        with tempfile.TemporaryDirectory() as folder:
            write_arrays(Path(folder) / "index.h5", index)
            check(open_arrays(Path(folder) / "index.h5", CloneIndex), request, expected, package)
    else:
        check(index, request, expected, package)


def meant(item: AreaFilter, row: int) -> bool:
    """Whether a block meets a filter, in plain text: the code, or the code with its state in front."""
    code, state = code_of(item.field, row), f"{BLOCKS[row]:015d}"[:2]
    return bool(code) and (code in item.values or (item.field in WITHIN_STATE and f"{state}{code}" in item.values))


def check(index: CloneIndex, request: AreaBuildRequest, expected: list[int], package: tuple) -> None:
    weights, rows, geography = package
    if not expected:
        with pytest.raises(EmptySelectionError):
            index.select(request, TABLE)
        return
    found = index.select(request, TABLE)
    assert (found.clone.astype(int) * geography.n_households + found.household).tolist() == expected
    assert found.weight.tolist() == weights[expected].tolist()
    assert TABLE.geoid[found.block].tolist() == BLOCKS[rows[expected]].tolist()
    assert found.district.tolist() == DISTRICT[rows[expected]].tolist()


def states_of_refused(chosen: tuple[AreaFilter, ...]) -> set[str]:
    """Postal codes of all states that have the first code which says none."""
    item = next(item for item in chosen if item.field in WITHIN_STATE and not item.says_state)
    code = next(code for state, code in item.of_states() if state is None)
    return {us.STATE_POSTAL[BLOCKS[row] // 10**13] for row in range(len(BLOCKS)) if code_of(item.field, row) == code}


@given(packages(), st.sampled_from(sorted(WITHIN_STATE)))
def test_a_whole_code_of_a_state_that_lacks_it_is_unknown(package: tuple, field: str) -> None:
    weights, _, geography = package
    have = {f"{BLOCKS[row]:015d}"[:2] + code_of(field, row) for row in range(len(BLOCKS)) if code_of(field, row)}
    lacking = sorted({state + full[2:] for full in have for state in ("06", "11", "36", "37", "48")} - have)
    for code in lacking[:3]:
        request = AreaBuildRequest("custom", "area", "Area", (AreaFilter(field, "eq", (code,)),))
        with pytest.raises(RequestError, match=f"unknown {code}"):
            CloneIndex.build(weights, geography, TABLE).select(request, TABLE)


@given(packages(), st.sampled_from(FILTER_FIELDS), st.data())
def test_a_code_that_the_geography_lacks_is_an_error(package: tuple, field: str, data: st.DataObject) -> None:
    weights, rows, geography = package
    unknown = {"block": "480010001001000", "tract": "48001000100", "county": "48001", "district": "4801", "state": "48"}
    known = sorted({code_of(field, row) for row in rows.tolist()} - {""})
    beside = data.draw(st.lists(st.sampled_from(known), max_size=2, unique=True)) if known else []
    strange = unknown.get(field, "999" if field.startswith("sld") else "99999")
    values = tuple(data.draw(st.permutations([*beside, strange])))
    # some household of the geography is in the state of its first row, so the filter by state is satisfiable
    state = AreaFilter("state", "eq", (code_of("state", rows[0]),))
    request = AreaBuildRequest("custom", "area", "Area", (AreaFilter(field, "in", values), state))
    with pytest.raises(RequestError, match=f"unknown {strange}"):
        CloneIndex.build(weights, geography, TABLE).select(request, TABLE)


@given(packages(), st.data())
def test_an_active_row_without_a_block_is_an_error(package: tuple, data: st.DataObject) -> None:
    weights, _, geography = package
    row = data.draw(st.integers(0, weights.size - 1))
    block = geography.block.copy()
    block[row] = 0
    without = Geography(block, geography.district, geography.n_households, geography.n_clones)
    if weights[row] > 0:
        with pytest.raises(InputError, match=f"first in row {row}"):
            CloneIndex.build(weights, without, TABLE)
    else:
        assert len(CloneIndex.build(weights, without, TABLE)) == (weights > 0).sum()


def test_weights_of_another_length_are_an_error() -> None:
    geography = Geography(BLOCKS[:6], DISTRICT[:6], 3, 2)
    with pytest.raises(InputError, match="expected 6"):
        CloneIndex.build(np.ones(7), geography, TABLE)


@pytest.mark.parametrize("weight", [1e-50, 1e-41, 3.5e39, np.inf])
def test_a_weight_that_the_file_would_not_hold_is_an_error(weight: float) -> None:
    geography = Geography(BLOCKS[:6], DISTRICT[:6], 3, 2)
    weights = np.ones(6)
    weights[4] = weight
    with pytest.raises(InputError, match=r"numbers that float32 holds.* in row 4"):
        CloneIndex.build(weights, geography, TABLE)


@pytest.mark.parametrize(("given_code", "code"), [(200, 201), (201, 201), (1198, 1101), (3701, 3701), (3700, 3701)])
def test_district_codes_are_normalised_in_filters(given_code: int, code: int) -> None:
    assert us.normalise_district(given_code) == code
    assert AreaFilter.from_json({"field": "district", "op": "eq", "value": str(given_code)}).values == (
        f"{given_code:04d}",
    )
