"""Codes become integers, districts are normalised, contradictions are errors."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentence import parts_of

from local_h5 import us
from local_h5.errors import InputError
from local_h5.files.arrays import open_arrays, write_arrays
from local_h5.inputs.chunks import CHUNK
from local_h5.inputs.geography import Geography, codes

BLOCK = "370010201001000"
OTHER = "010010201001001"


def make(blocks: Any, districts: Any, **more: Any) -> Geography:
    sizes = {"n_records": len(blocks), "n_clones": 1} | more
    return Geography.from_arrays(blocks, districts, where="weights.npz", **sizes)


@pytest.mark.parametrize(
    "blocks",
    [
        np.array([BLOCK, OTHER]),
        np.array([BLOCK, OTHER], dtype=">U15"),
        np.array([BLOCK, OTHER], dtype="<U20"),
        np.array([BLOCK, OTHER], dtype="S15"),
        np.array([BLOCK, OTHER], dtype=object),
        np.array([BLOCK.encode(), int(OTHER)], dtype=object),
        np.array([int(BLOCK), np.int64(int(OTHER))], dtype=object),
        np.array([int(BLOCK), int(OTHER)]),
        np.array([int(BLOCK), int(OTHER)], dtype=np.uint64),
        [BLOCK, OTHER],
    ],
    ids=lambda blocks: str(getattr(blocks, "dtype", "list")),
)
def test_every_unambiguous_form_of_blocks_gives_the_same_geography(blocks: Any) -> None:
    geography = make(blocks, ["3701", "101"])
    assert geography.block.tolist() == [int(BLOCK), int(OTHER)]
    assert geography.block.dtype == np.int64
    assert geography.county.tolist() == [37001, 1001]
    assert geography.state.tolist() == [37, 1]
    assert geography == make([BLOCK, OTHER], ["3701", "0101"])


@pytest.mark.parametrize(
    ("state", "written", "canonical"),
    [
        ("02", "200", 201),
        ("02", "0200", 201),
        ("02", "201", 201),
        ("02", "0201", 201),
        ("02", 200, 201),
        ("11", "1198", 1101),
        ("11", "1100", 1101),
        ("11", 1101, 1101),
        ("11", 1198, 1101),
        ("37", "3701", 3701),
        ("06", "652", 652),
        ("06", "0652", 652),
    ],
)
def test_district_codes_are_normalised_once(state: str, written: Any, canonical: int) -> None:
    block = f"{state}0010201001000"
    for values in ([written], np.array([written]), np.array([written], dtype=object)):
        geography = make([block], values)
        assert geography.district.tolist() == [canonical]
        assert geography.district.dtype == np.int32
        assert geography.digest() == make([block], [canonical]).digest()


def test_whole_arrays_are_normalised_as_single_codes_are() -> None:
    every = np.arange(1, 10_000)
    assert codes.normalise_districts(every).tolist() == [us.normalise_district(code) for code in every.tolist()]
    assert codes.normalise_districts(np.array([0])).tolist() == [0]


@given(st.lists(st.sampled_from([BLOCK, OTHER, ""]), min_size=1, max_size=12), st.data())
def test_text_integers_and_objects_agree(blocks: list[str], data: st.DataObject) -> None:
    districts = [data.draw(st.sampled_from(["3701", "3712"] if b == BLOCK else ["101", "0107"])) for b in blocks]
    text = make(np.array(blocks, dtype="U15"), np.array(districts))
    objects = make(np.array([b or None for b in blocks], dtype=object), np.array(districts, dtype=object))
    integers = make(np.array([int(b or 0) for b in blocks]), np.array([int(d) for d in districts]))
    assert text == objects == integers
    assert text.digest() == objects.digest() == integers.digest()


@given(
    st.lists(st.text("0123 +-_x\u0663", max_size=3) | st.sampled_from(["37", "1", "06", ""]), min_size=1, max_size=6)
)
def test_text_is_a_code_if_it_is_so_many_ascii_digits_of_a_state(texts: list[str]) -> None:
    wrong = [row for row, text in enumerate(texts) if text and not _is_state(text)]
    for column in (np.array(texts), np.array(texts, dtype=object), np.array([*texts, None], dtype=object)):
        parts = [column[:2], column[2:]] if column.size > 2 else [column]
        if wrong:
            with pytest.raises(InputError, match=rf"found {len(wrong)} of {column.size} rows .* in row {wrong[0]}"):
                codes.parse_codes(parts, column.size, codes.STATE, "file", "state_fips")
        else:
            parsed = codes.parse_codes(parts, column.size, codes.STATE, "file", "state_fips")
            assert parsed.tolist() == [int(text or 0) for text in column]


def _is_state(text: str) -> bool:
    return re.fullmatch("[0-9]{1,2}", text) is not None and int(text) in us.STATE_POSTAL


def test_long_columns_are_parsed_across_chunks() -> None:
    rows = CHUNK + 3
    blocks = np.full(rows, BLOCK)
    blocks[-1] = OTHER
    districts = np.full(rows, "3701")
    districts[-1] = "0102"
    geography = make(blocks, districts)
    assert (geography.block[:-1] == int(BLOCK)).all()
    assert (geography.block[-1], geography.district[-1]) == (int(OTHER), 102)
    blocks[-2] = "12345"
    with pytest.raises(InputError, match=rf"1 of 16,387 rows .* '12345' in row {rows - 2}"):
        make(blocks, districts)


def test_digest_depends_on_every_part() -> None:
    blocks, districts = [BLOCK] * 4, ["3701"] * 4
    digests = {
        make(blocks, districts, n_records=4, n_clones=1).digest(),
        make(blocks, districts, n_records=2, n_clones=2).digest(),
        make(blocks, ["3702", *districts[1:]]).digest(),
        make(["370010201001001", *blocks[1:]], districts).digest(),
    }
    assert len(digests) == 4


def test_an_empty_block_stays_empty_and_keeps_its_district() -> None:
    geography = make(["", BLOCK], ["3701", "3701"])
    assert geography.block.tolist() == [0, int(BLOCK)]
    assert geography.district.tolist() == [3701, 3701]
    assert geography.county.tolist() == [0, 37001]


def test_a_file_reads_back_as_the_same_geography(tmp_path: Path) -> None:
    geography = make([BLOCK, OTHER, BLOCK, OTHER], ["3701", "101"] * 2, n_records=2, n_clones=2)
    write_arrays(tmp_path / "geography.h5", geography)
    again = open_arrays(tmp_path / "geography.h5", Geography)
    assert again == geography
    assert (again.n_households, again.n_clones, len(again)) == (2, 2, 4)
    assert again.digest() == geography.digest()


GOOD = {"block_geoid": [BLOCK] * 2, "cd_geoid": ["3701"] * 2, "county_fips": ["37001"] * 2, "state_fips": [37] * 2}


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("block_geoid", [BLOCK, "12345"], "'12345' in row 1"),
        ("block_geoid", [BLOCK, "37001020100100"], "'37001020100100' in row 1"),
        ("block_geoid", [BLOCK, "1001020100100"], "row 1"),
        ("block_geoid", [BLOCK, BLOCK + "0"], "row 1"),
        ("block_geoid", [BLOCK, "999999999999999"], "'999999999999999' in row 1"),
        ("block_geoid", [BLOCK, "37001020100100A"], "'37001020100100A' in row 1"),
        ("block_geoid", [BLOCK, " 37001020100100"], "row 1"),
        ("block_geoid", [BLOCK, "３70010201001000"], "row 1"),
        ("block_geoid", [BLOCK, "x" * 1000], "dtype <U1000"),
        ("block_geoid", np.array([BLOCK, "x" * 1000], dtype=object), "xxx... in row 1"),
        ("block_geoid", np.array([BLOCK, float("nan")], dtype=object), "nan in row 1"),
        ("block_geoid", np.array([BLOCK, True], dtype=object), "True in row 1"),
        ("block_geoid", np.array([BLOCK, "nan"], dtype=object), "'nan' in row 1"),
        ("block_geoid", np.array([int(BLOCK), -int(BLOCK)]), "row 1"),
        ("block_geoid", np.array([int(BLOCK), 12345]), "12345 in row 1"),
        ("block_geoid", np.array([int(BLOCK), 2**63 + 5], dtype=np.uint64), "row 1"),
        ("block_geoid", np.array([3.7e14, 3.7e14]), "dtype <f8"),
        ("block_geoid", [BLOCK], "1"),
        ("block_geoid", [], "none: it is empty"),
        ("block_geoid", [[BLOCK, BLOCK]], "shape (1, 2)"),
        ("block_geoid", BLOCK, "shape ()"),
        ("block_geoid", [BLOCK, OTHER], "block 010010201001001 with 3701 in row 1"),
        ("cd_geoid", ["3701", "37"], "'37' in row 1"),
        ("cd_geoid", ["3701", "NC01"], "'NC01' in row 1"),
        ("cd_geoid", ["3701", "9901"], "'9901' in row 1"),
        ("cd_geoid", ["3701", "0101"], "block 370010201001000 with 101 in row 1"),
        ("cd_geoid", ["3701", ""], "with 0 in row 1"),
        ("cd_geoid", ["3701"], "1"),
        ("county_fips", ["37001", "37003"], "block 370010201001000 with 37003 in row 1"),
        ("county_fips", ["37001", "county"], "'county' in row 1"),
        ("county_fips", ["37001"], "1"),
        ("state_fips", [37, 1], "block 370010201001000 with 1 in row 1"),
        ("state_fips", [37, 99], "99 in row 1"),
        ("state_fips", [37, 37, 37], "3"),
        ("n_records", 0, "0"),
        ("n_records", "two", "'two'"),
        ("n_clones", 1.5, "1.5"),
        ("n_clones", [1, 2], "[1, 2]"),
        ("n_clones", 10_001, "10,001"),
    ],
)
def test_bad_fields_are_refused_by_name(field: str, value: Any, found: str, one_line: Any) -> None:
    fields: dict[str, Any] = {**GOOD, "n_records": 2, "n_clones": 1, field: value}
    with pytest.raises(InputError) as caught:
        Geography.from_arrays(**fields, where="assignment.npz")
    error = caught.value
    # A block in another state than its district is told as the district's contradiction.
    named = "cd_geoid" if found.startswith("block 0100") else field
    assert parts_of(error).field == named
    assert one_line(error, "assignment.npz", named)
    assert found in parts_of(error).found


def test_integers_with_a_lost_leading_zero_are_not_short() -> None:
    assert make(np.array([10010201001001]), [101]).block.tolist() == [10010201001001]


def test_a_geography_is_not_equal_to_something_else() -> None:
    assert make([BLOCK], ["3701"]) != "geography"
    assert make([BLOCK], ["3701"]) != make([BLOCK], ["3702"])
