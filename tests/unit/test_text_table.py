"""Every small CSV table is read in one way."""

from collections.abc import Callable
from pathlib import Path

import pytest

from local_h5.areas import read_districts
from local_h5.errors import LocalH5Error
from local_h5.files.text_table import read_table
from local_h5.validation.structural.population import _from_table
from local_h5.validation.targets.training import read_training
from local_h5_example.acs import read_population

TABLES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "districts": ("district,code,state,state_fips,population_2024\nNC-01,3701,NC,37,700000\n", read_districts),
    "population": ("area_type,area_id,population\nstate,NC,10.5\n", _from_table),
    "acs": (
        "area_type,code,population,under_18,from_65\nstate,37,10,2,3\n",
        lambda path: str(read_population(path, "state")),
    ),
    "training": ("1\n2\n30\n", read_training),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_byte_order_mark_and_other_line_ends_change_nothing(name: str, tmp_path: Path) -> None:
    text, read = TABLES[name]
    path = tmp_path / "table.csv"
    path.write_text(text)
    expected = read(path)
    for form in (text.replace("\n", "\r\n"), text.replace("\n", "\r"), text + "\n\n", text.rstrip("\n")):
        for mark in (b"", b"\xef\xbb\xbf"):
            path.write_bytes(mark + form.encode())
            assert read(path) == expected


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("content", [b"caf\xe9\n", "é\n".encode("utf-16"), b"\xff\xfe"])
def test_another_encoding_is_refused_in_one_line(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(TABLES[name][0].encode() + content)
    with pytest.raises(LocalH5Error, match="bytes that are no UTF-8 in line") as refused:
        TABLES[name][1](path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["a,b\n1\n", "a,b\n1,2,3\n", "a,a\n1,2\n", 'a,b\n"1,2\n', "b\n1\n", ""])
def test_a_torn_table_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"cells in line|the columns|in line \d"):
        read_table(path, ["a"])
