"""The block table: right rows, widths of the whole table, and an error for every bad block or bad table."""

import gzip
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence import parts_of

from local_h5.errors import InputError
from local_h5.files.arrays import open_arrays, write_arrays
from local_h5.inputs.geography import BlockTable, Geography
from local_h5.inputs.geography.block_table import TEXT_FIELDS
from local_h5.inputs.geography.blocks import UnknownBlocksWarning, build_block_table
from local_h5.inputs.geography.tables import BlockTableFiles, read_block_districts, read_county_cbsa, read_crosswalk

from .conftest import BLOCK_DISTRICTS, BLOCKS, COUNTY_CBSA, CROSSWALK, DISTRICTS, Made


def geography(blocks: list[str] = BLOCKS, districts: list[str] = DISTRICTS) -> Geography:
    return Geography.from_arrays(blocks, districts, n_records=len(blocks), n_clones=1)


def files(made: Made, **content: str) -> BlockTableFiles:
    return BlockTableFiles(
        made.block_districts(content.get("block_districts", BLOCK_DISTRICTS)),
        made.crosswalk(content.get("crosswalk", CROSSWALK)),
        made.county_cbsa(content.get("county_cbsa", COUNTY_CBSA)),
    )


def stored(table: BlockTable, path: Path) -> bytes:
    """The table's file: equal for equal tables."""
    write_arrays(path, table)
    return path.read_bytes()


def test_the_table_has_the_facts_of_every_block_in_use(made: Made) -> None:
    table = build_block_table(geography(), files(made))
    assert table.geoid.tolist() == sorted({int(block) for block in BLOCKS})
    assert table.geoid.dtype == np.int64
    assert table.district.tolist() == [201, 201, 1101, 3701, 3702]
    assert table.district.dtype == np.int32
    assert table.known.all()
    assert table.n_unknown == 0
    assert tuple(table.fields) == TEXT_FIELDS
    rows = table.rows(np.array([370010201001000, 110010001011000, 20130001001001]))
    text = {name: table.text(name, rows).tolist() for name in TEXT_FIELDS}
    assert text == {
        "sldu": [b"024", b"", b"00S"],
        "sldl": [b"063", b"", b"037"],
        "place_fips": [b"09060", b"", b"00650"],
        "vtd": [b"00012E", b"", b"000040"],
        "puma": [b"01500", b"", b"00400"],
        "zcta": [b"27217", b"", b""],
        "cbsa_code": [b"15500", b"", b""],
    }


def test_widths_come_from_the_whole_tables(made: Made) -> None:
    one = build_block_table(geography(["020130001001000"], ["0200"]), files(made))
    every = build_block_table(geography(), files(made))
    for name in TEXT_FIELDS:
        assert one.fields[name].values.dtype == every.fields[name].values.dtype, name
        assert one.fields[name].values[0] == b""
        assert (one.fields[name].values[1:] > one.fields[name].values[:-1]).all()
    assert one.fields["sldl"].values.dtype == "S4"  # the four characters stand in a row that nobody uses


def test_several_geographies_share_one_table(made: Made) -> None:
    parts = [geography(BLOCKS[:2], DISTRICTS[:2]), geography(BLOCKS[2:], DISTRICTS[2:])]
    whole = build_block_table(geography(), files(made))
    both = build_block_table(parts, files(made))
    assert stored(both, made.folder / "both.h5") == stored(whole, made.folder / "whole.h5")


def test_gzip_and_small_batches_make_no_difference(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = build_block_table(geography(), files(made))
    monkeypatch.setattr("local_h5.inputs.geography.tables._READ_BYTES", 130)
    packed = BlockTableFiles(
        made.file("districts.csv.gz", gzip.compress(BLOCK_DISTRICTS.encode())),
        made.file("crosswalk.csv.gz", gzip.compress(CROSSWALK.encode())),
        made.file("cbsa.csv.gz", gzip.compress(COUNTY_CBSA.encode())),
    )
    again = build_block_table(geography(), packed)
    assert stored(again, made.folder / "again.h5") == stored(plain, made.folder / "plain.h5")
    twice = CROSSWALK + CROSSWALK.splitlines(keepends=True)[1]  # far from the first one
    with pytest.raises(InputError, match=r"every block once, found 1 repeated, such as 020130001001000"):
        build_block_table(geography(), files(made, crosswalk=twice))


def test_the_table_reads_back_memory_mapped(made: Made) -> None:
    table = build_block_table(geography(), files(made))
    stored(table, made.folder / "blocks.h5")
    again = open_arrays(made.folder / "blocks.h5", BlockTable)
    assert tuple(again.fields) == TEXT_FIELDS
    rows = np.arange(len(table))
    assert len(again) == len(table) == 5
    for name in TEXT_FIELDS:
        assert again.text(name, rows).tolist() == table.text(name, rows).tolist()
    with pytest.raises(InputError, match=r"2 blocks that it lacks, such as 370010201001009\. Prepare again"):
        again.rows(np.array([370010201001000, 370010201001009, 560459513003062]))


def test_empty_blocks_are_left_out(made: Made) -> None:
    blocks, districts = ["", *BLOCKS], ["3701", *DISTRICTS]
    assert len(build_block_table(geography(blocks, districts), files(made))) == 5
    nowhere = build_block_table(geography([""], [""]), files(made))
    assert len(nowhere) == 0
    with pytest.raises(InputError):
        nowhere.rows(np.array([370010201001000]))


UNPOPULATED = "370010201001002"
UNKNOWN = "370019999991000"
NO_COUNTY = "379990201001000"


def test_a_block_of_the_crosswalk_alone_is_known(made: Made) -> None:
    table = build_block_table(geography([UNPOPULATED], ["3702"]), files(made))
    assert table.known.tolist() == [True]
    assert table.district.tolist() == [0]
    assert table.text("sldl", np.array([0])).tolist() == [b"0064"]


@pytest.mark.parametrize(
    ("blocks", "districts", "policy", "field", "found"),
    [
        (
            [UNKNOWN, *BLOCKS],
            ["3701", *DISTRICTS],
            "error",
            "block_geoid",
            f"1 of 6 distinct blocks unknown, such as {UNKNOWN}",
        ),
        (
            [NO_COUNTY],
            ["3701"],
            "error",
            "block_geoid",
            f"unknown, 1 of them in counties that do not exist, such as {NO_COUNTY}",
        ),
        (
            [NO_COUNTY, UNKNOWN],
            ["3701", "3701"],
            "allow",
            "block_geoid",
            f"2 of 2 distinct blocks unknown, 1 of them in counties that do not exist, such as {NO_COUNTY}",
        ),
        (
            [BLOCKS[0]] * 3,
            ["3701", "3702", "3702"],
            "error",
            "cd_geoid",
            "2 rows (1 blocks) that disagree: block 370010201001000 in 3702 instead of 3701",
        ),
        ([BLOCKS[0]], ["3714"], "allow", "cd_geoid", "block 370010201001000 in 3714 instead of 3701"),
        (["110010001011000"], ["1102"], "error", "cd_geoid", "block 110010001011000 in 1102 instead of 1101"),
    ],
)
def test_unknown_and_contradicting_blocks_are_refused(
    made: Made, blocks: list[str], districts: list[str], policy: Any, field: str, found: str, one_line: Any
) -> None:
    with pytest.raises(InputError) as caught:
        build_block_table(geography(blocks, districts), files(made), policy, where="geography.npz")
    assert found in parts_of(caught.value).found
    assert one_line(caught.value, "geography.npz", field)


def test_unknown_blocks_of_known_counties_may_be_allowed(made: Made) -> None:
    with pytest.warns(UnknownBlocksWarning, match=rf"1 of 6 distinct blocks are in no block table, such as {UNKNOWN}"):
        table = build_block_table(geography([UNKNOWN, *BLOCKS], ["3714", *DISTRICTS]), files(made), "allow")
    row = table.rows(np.array([int(UNKNOWN)]))
    assert table.known[row].tolist() == [False]
    assert table.district[row].tolist() == [0]
    assert table.n_unknown == 1
    assert {name: table.text(name, row)[0] for name in TEXT_FIELDS} == dict.fromkeys(TEXT_FIELDS, b"") | {
        "cbsa_code": b"15500"
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build_block_table(geography(), files(made), "allow")


@pytest.mark.parametrize("missing", ["block_districts", "crosswalk", "county_cbsa"])
def test_a_missing_table_is_an_error(made: Made, missing: str, one_line: Any) -> None:
    tables = files(made)
    path: Path = getattr(tables, missing)
    path.unlink()
    with pytest.raises(InputError, match="never taken for empty fields") as caught:
        build_block_table(geography(), tables)
    assert one_line(caught.value, path, None)


def test_a_missing_reader_is_named(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"expected the package pyarrow.*extra 'frames' of local-h5"):
        read_block_districts(made.block_districts())


DISTRICT_HEAD = "cd_geoid,block_geoid\n"


@pytest.mark.parametrize(
    ("table", "content", "found"),
    [
        ("block_districts", "", "Empty CSV file"),
        ("block_districts", DISTRICT_HEAD, "no rows"),
        ("block_districts", "district,block_geoid\n3701,370010201001000\n", "cd_geoid"),
        ("block_districts", DISTRICT_HEAD + "3701,block\n", "invalid value 'block'"),
        ("block_districts", DISTRICT_HEAD + "3701,12345\n", "12345"),
        ("block_districts", DISTRICT_HEAD + "3701,\n", "such as 0"),
        ("block_districts", DISTRICT_HEAD + "101,370010201001000\n", "block 370010201001000 in district 101"),
        ("block_districts", DISTRICT_HEAD + ",370010201001000\n", "in district 0"),
        ("block_districts", DISTRICT_HEAD + "3701,370010201001000\n3702,370010201001000\n", "1 repeated"),
        ("crosswalk", "block_geoid,sldu\n370010201001000,024\n", "sldl"),
        ("crosswalk", CROSSWALK + "370010201001000,024,063,09060,00012E,01500,27217\n", "1 repeated"),
        ("crosswalk", CROSSWALK + "99,,,,,,\n", "such as 99"),
        ("crosswalk", CROSSWALK + "370010201001000,024\n", "Expected 7 columns, got 2"),
        ("crosswalk", CROSSWALK.replace("024", "Ä24"), "'Ä24'"),
        ("county_cbsa", "county,cbsa\n37001,15500\n", "columns county, cbsa"),
        ("county_cbsa", COUNTY_CBSA + "37001,99999,Elsewhere\n", "two for county 37001"),
        ("county_cbsa", "", "Empty CSV file"),
    ],
)
def test_malformed_tables_are_refused(made: Made, table: str, content: str, found: str) -> None:
    tables = files(made, **{table: content})
    with pytest.raises(InputError) as caught:
        build_block_table(geography(), tables)
    assert str(caught.value).startswith(str(getattr(tables, table)))
    assert found in parts_of(caught.value).found
    assert "\n" not in str(caught.value)
    assert parts_of(caught.value).remedy


def test_a_truncated_table_is_refused(made: Made) -> None:
    data = gzip.compress(BLOCK_DISTRICTS.encode())
    with pytest.raises(InputError, match="expected a complete CSV table"):
        read_block_districts(made.file("districts.csv.gz", data[: len(data) // 2]))
    with pytest.raises(InputError, match="expected a complete CSV table"):
        read_block_districts(made.file("districts.csv.gz", b"no gzip"))


def test_the_county_table_may_name_its_columns_plainly(made: Made) -> None:
    table = read_county_cbsa(made.county_cbsa("county_fips,cbsa_code\n37037,20500\n01001,33860\n37037,20500\n"))
    assert table.county.tolist() == [1001, 37037]
    assert table.cbsa.tolist() == [b"33860", b"20500"]


def test_reading_the_crosswalk_for_no_block_still_reads_it(made: Made) -> None:
    crosswalk = read_crosswalk(made.crosswalk(), np.array([], dtype=np.int64))
    assert crosswalk.counties.tolist() == [2013, 37001]
    assert crosswalk.fields["sldl"].values.dtype == "S4"


def test_an_area_job_imports_numpy_only() -> None:
    code = (
        "import sys, local_h5.inputs.geography, local_h5.inputs.weights\n"
        "loaded = {'pandas', 'pyarrow', 'scipy', 'h5py', 'policyengine_us'} & set(sys.modules)\n"
        "sys.exit(f'also imported: {loaded}' if loaded else 0)"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
