"""The example's target database has the production schema, and every state and district its ages and SNAP."""

import json
import sqlite3
from pathlib import Path

import pytest

from local_h5.errors import InputError
from local_h5.requests import AreaBuildRequest
from local_h5.validation.targets.database import TargetDatabase
from local_h5_example.targets import write_targets

REAL = Path(__file__).parents[2] / "data" / "validation" / "policy_data.db"


def table(folder: Path, name: str, prefix: str, columns: list[str], rows: dict[str, list[int]]) -> Path:
    path = folder / f"{name}.json"
    lines = [["GEO_ID", "NAME", *columns], *([f"{prefix}US{code}", code, *map(str, row)] for code, row in rows.items())]
    path.write_text(json.dumps(lines))
    return path


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path, Path]:
    ages = [f"S0101_C01_{number:03d}E" for number in range(2, 20)]
    districts = {"3701": [10] * 18, "3702": [20] * 18, "1198": [5] * 18, "7298": [9] * 18}
    states = {"37": [30] * 18, "11": [5] * 18, "72": [9] * 18}
    snap = {"3701": [3], "3702": [4], "1198": [2], "7298": [1]}
    return (
        table(tmp_path, "age_state", "0400000", ages, states),
        table(tmp_path, "age_district", "5001900", ages, districts),
        table(tmp_path, "snap", "5001900", ["S2201_C03_001E"], snap),
    )


def test_the_schema_is_the_production_one(tables: tuple[Path, Path, Path], tmp_path: Path) -> None:
    write_targets(tmp_path / "t.db", *tables)

    def objects(path: Path) -> dict[str, str]:
        with sqlite3.connect(path) as connection:
            rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
            lines = {
                name: [line.strip() for line in sql.splitlines() if not line.strip().startswith("--")]
                for name, sql in rows
            }
        return {name: " ".join(filter(None, text)) for name, text in lines.items()}

    assert objects(tmp_path / "t.db") == objects(REAL)


def test_every_area_has_its_targets(tables: tuple[Path, Path, Path], tmp_path: Path) -> None:
    assert write_targets(tmp_path / "t.db", *tables) == 19 * (1 + 2 + 3)
    database = TargetDatabase.read(tmp_path / "t.db", 2024)
    assert set(database.by_area) == {
        ("national", "US"), ("state", "NC"), ("state", "DC"),
        ("district", "NC-01"), ("district", "NC-02"), ("district", "DC-01"),
    }  # fmt: skip
    ages = {t.condition: t.value for t in database.of(AreaBuildRequest("national", "US", "")) if "age" in t.condition}
    assert len(ages) == 18
    assert ages["age < 5, age > -1"] == 35
    assert ages["age < 1000, age > 84"] == 35
    snap = {key: targets[-1].value for key, targets in database.by_area.items()}
    assert {t.variable for targets in database.by_area.values() for t in targets} == {"person_count", "household_count"}
    assert snap[("state", "NC")] == 7  # the sum of its districts


def test_another_table_is_refused(tables: tuple[Path, Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="S2201_C03_001E"):
        write_targets(tmp_path / "t.db", tables[0], tables[1], tables[1])
    assert not (tmp_path / "t.db").exists()
