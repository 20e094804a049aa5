import csv
import json
from pathlib import Path

import pytest

from local_h5.errors import InputError
from local_h5.us import STATE_POSTAL, district_name
from local_h5_example.acs import DISTRICT, STATE, read_population, read_s0101, write_population

ROOT = Path(__file__).parents[3]
HEADER = ["GEO_ID", "S0101_C01_001E", "S0101_C01_022E", "S0101_C01_030E"]
DISTRICTS = [
    HEADER,
    ["5001900US1198", "700", "150", "90"],
    ["5001900US0200", "740", "170", "100"],
    ["5001900US0101", "760", "160", "150"],
    ["5001900US7298", "3000", "400", "700"],
]
STATES = [HEADER, ["0400000US11", "700", "150", "90"], ["0400000US02", "740", "170", "100"]]


def write(path: Path, rows: object) -> Path:
    path.write_text(json.dumps(rows))
    return path


def test_districts_are_normalised_sorted_and_without_territories(tmp_path: Path) -> None:
    table = read_s0101(write(tmp_path / "d.json", DISTRICTS), DISTRICT)
    assert table.code.tolist() == [101, 201, 1101]
    assert table.area_ids() == ["AL-01", "AK-01", "DC-01"]
    assert table.total.tolist() == [760, 740, 700]
    assert table.from_65.tolist() == [150, 100, 90]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    tables = (
        read_s0101(write(tmp_path / "s.json", STATES), STATE),
        read_s0101(write(tmp_path / "d.json", DISTRICTS), DISTRICT),
    )
    path = tmp_path / "population.csv"
    write_population(path, tables)
    for table in tables:
        again = read_population(path, table.area_type)
        assert again.code.tolist() == table.code.tolist()
        assert again.under_18.tolist() == table.under_18.tolist()
    assert path.read_text().splitlines()[1] == "state,AK,2,2,740,170,100"


@pytest.mark.parametrize(
    "rows",
    [
        {"no": "rows"},
        [HEADER[:2], ["5001900US0101", "1"]],
        [HEADER, ["5001900US0101", "many", "1", "1"]],
        [HEADER, ["0400000US01", "1", "1", "1"]],
        [HEADER, ["5001900US0101", "5", "1", "1"], ["5001900US0101", "5", "1", "1"]],
        [HEADER, ["5001900US0101", "-888888888", "1", "1"]],
        [HEADER],
    ],
)
def test_a_wrong_table_is_one_line_with_its_name(tmp_path: Path, rows: object) -> None:
    with pytest.raises(InputError, match=r"d\.json") as caught:
        read_s0101(write(tmp_path / "d.json", rows), DISTRICT)
    assert "\n" not in str(caught.value)


def test_the_committed_districts_are_those_of_the_119th_congress() -> None:
    with (ROOT / "config" / "districts_119.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 436
    assert len({row["state"] for row in rows}) == len(STATE_POSTAL)
    assert [int(row["code"]) for row in rows] == sorted(int(row["code"]) for row in rows)
    for row in rows:
        code = int(row["code"])
        assert row["district"] == district_name(code)
        assert (STATE_POSTAL[code // 100], code // 100) == (row["state"], int(row["state_fips"]))
    assert sum(int(row["population_2024"]) for row in rows) == 340_110_990
