"""What jobs ask of a cluster grows with the clones and with the attempt."""

from pathlib import Path

import pytest

from local_h5.runs.resources import area_memory_mb, area_minutes, growing

MEASURED_MB = {"national": (3_096_000, 1250), "states": (358_552, 222), "districts": (7_539, 113)}
"""Area type → household clones and peak memory of its largest job in benchmarks/README.md, 60 % of weights positive."""


@pytest.fixture
def production_index(tmp_path: Path) -> Path:
    """As large as the clone index of 3.1 M clones; sparse."""
    path = tmp_path / "clones.h5"
    with path.open("wb") as stream:
        stream.truncate(48 * 3_096_000)
    return path


@pytest.mark.parametrize("folder", MEASURED_MB)
def test_an_area_gets_what_was_measured_and_a_snakemake_beside_it(folder: str, production_index: Path) -> None:
    asked = area_memory_mb(folder, production_index)
    assert MEASURED_MB[folder][1] + 250 < asked < 3 * (MEASURED_MB[folder][1] + 250)


def test_the_next_attempt_gets_more(production_index: Path) -> None:
    assert area_memory_mb("states", production_index, 2) == 2 * area_memory_mb("states", production_index)
    assert area_minutes("states", production_index, 3) == 3 * area_minutes("states", production_index)
    assert growing(2000)(None, 2) == 4000


def test_the_nation_gets_more_than_a_district(production_index: Path) -> None:
    assert area_memory_mb("national", production_index) > 2 * area_memory_mb("districts", production_index)
    assert area_minutes("national", production_index) > area_minutes("districts", production_index)


def test_tables_get_room_for_a_whole_file(production_index: Path) -> None:
    largest = 4_696  # MB of the nation's file: benchmarks/README.md
    assert area_memory_mb("national", production_index, 1, "tables") > 1.5 * largest
    assert area_memory_mb("districts", production_index, 2, "tables") < 3 * area_memory_mb(
        "districts", production_index
    )


def test_before_anything_is_prepared_there_is_an_answer(tmp_path: Path) -> None:
    assert area_memory_mb("districts", tmp_path / "clones.h5") == 600
    assert area_minutes("districts", tmp_path / "clones.h5") == 4


def test_every_area_type_has_a_share(tmp_path: Path) -> None:
    from local_h5.requests import FOLDERS

    assert all(area_memory_mb(folder, tmp_path / "clones.h5") == 600 for folder in FOLDERS.values())
