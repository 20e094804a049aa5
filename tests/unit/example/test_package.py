import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from example_tiny import blocks_of
from hypothesis import given, settings
from hypothesis import strategies as st

from local_h5.errors import ConfigError, InputError
from local_h5_example.package import (
    PackageSettings,
    SourceHouseholds,
    draw_package,
    measure,
    read_block_shares,
    read_households,
    write_package,
)

DISTRICTS = {101: 700_000, 102: 760_000, 200: 730_000, 1198: 690_000}


def households(n: int, seed: int) -> SourceHouseholds:
    random = np.random.default_rng(seed)
    return SourceHouseholds(
        state=np.array([1, 2, 11])[np.arange(n) % 3],
        weight=random.uniform(1, 50_000, n),
        persons=random.integers(1, 8, n),
    )


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(3, 40),
    clones=st.integers(10, 30),
    zero_share=st.floats(0, 0.95),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_district_meets_its_population(n: int, clones: int, zero_share: float, seed: int) -> None:
    source = households(n, seed)
    blocks, districts = blocks_of(DISTRICTS)
    package = draw_package(source, blocks, districts, PackageSettings(clones, seed, zero_share))
    normalised = np.select([package.district == 200, package.district == 1198], [201, 1101], package.district)
    persons = package.weights * np.tile(source.persons, clones)
    for code, total in zip(districts.code, districts.total, strict=True):
        assert persons[normalised == code].sum() == pytest.approx(total, rel=1e-12)
    assert np.array_equal(package.block // 10**13, np.tile(source.state, clones))
    assert np.array_equal(package.block // 10**13, package.district // 100)
    assert np.isin(package.block, blocks.block).all()
    assert np.all(package.weights >= 0)
    zero = int((package.weights == 0).sum())
    assert n * clones * zero_share - len(districts.code) <= zero <= n * clones * zero_share
    assert measure(package, source, districts)["largest_population_error"] < 1e-12


def test_rows_follow_population_inside_a_state() -> None:
    blocks, districts = blocks_of({101: 900_000, 102: 100_000})
    source = SourceHouseholds(np.ones(10, np.int64), np.ones(10), np.ones(10, np.int64))
    package = draw_package(source, blocks, districts, PackageSettings(clones=20, zero_share=0))
    assert np.bincount(package.district)[101:].tolist() == [180, 20]


def test_a_district_without_rows_is_named() -> None:
    blocks, districts = blocks_of(dict.fromkeys(range(101, 121), 700_000))
    source = SourceHouseholds(np.ones(3, np.int64), np.ones(3), np.ones(3, np.int64))
    with pytest.raises(ConfigError, match=r"none in AL-.*Raise example\.clones"):
        draw_package(source, blocks, districts, PackageSettings(clones=2))


def test_districts_of_another_congress_are_refused() -> None:
    blocks, _ = blocks_of({101: 1, 103: 1})
    _, districts = blocks_of({101: 1, 102: 1})
    with pytest.raises(InputError, match="same Congress"):
        draw_package(households(3, 0), blocks, districts, PackageSettings())


@pytest.mark.parametrize("wrong", [PackageSettings(clones=0), PackageSettings(zero_share=1.0)])
def test_settings_out_of_range_are_refused(wrong: PackageSettings) -> None:
    blocks, districts = blocks_of(DISTRICTS)
    with pytest.raises(ConfigError, match="clones, zero_share"):
        draw_package(households(3, 0), blocks, districts, wrong)


def write(folder: Path, seed: int = 1) -> tuple[Path, Path, Path]:
    source = households(9, 2)
    blocks, districts = blocks_of(DISTRICTS)
    chosen = PackageSettings(clones=12, seed=seed)
    package = draw_package(source, blocks, districts, chosen)
    paths = (folder / "weights.npy", folder / "geography.npz", folder / "package.json")
    write_package(*paths, package, chosen, measure(package, source, districts))
    return paths


def test_files_have_the_production_forms(tmp_path: Path) -> None:
    weights_path, geography_path, metadata_path = write(tmp_path)
    weights = np.load(weights_path)
    assert (weights.dtype, weights.shape) == (np.dtype("<f8"), (108,))
    with np.load(geography_path, allow_pickle=False) as geography:
        assert {name: geography[name].dtype.str for name in geography.files} == {
            "block_geoid": "<U15",
            "cd_geoid": "<U4",
            "county_fips": "<U5",
            "state_fips": "<i8",
            "n_records": "<i8",
            "n_clones": "<i8",
        }
        assert (geography["n_records"], geography["n_clones"]) == (9, 12)
        assert set(geography["cd_geoid"]) == {"0101", "0102", "0200", "1198"}
        assert all(len(block) == 15 for block in geography["block_geoid"])
        assert set(geography["county_fips"]) == {"01000", "02000", "11000"}
        assert [int(b[:2]) for b in geography["block_geoid"]] == geography["state_fips"].tolist()
    metadata = json.loads(metadata_path.read_text())
    assert "synthetic" in metadata["notice"]["package"]
    assert metadata["measured"]["districts"] == 4


def test_equal_seeds_give_equal_bytes(tmp_path: Path) -> None:
    first, second, other = (write(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert first[1].read_bytes() != other[1].read_bytes()
    with zipfile.ZipFile(first[1]) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_blocks_are_read_and_ordered(tmp_path: Path) -> None:
    path = tmp_path / "blocks.csv"
    path.write_text(
        "cd_geoid,block_geoid,probability\n200,020130001001000,1.0\n102,010010001001000,1.0\n"
        "101,010030114191001,0.25\n101,010010114191001,0.75\n"
    )
    blocks = read_block_shares(path)
    assert blocks.block.tolist() == [10010114191001, 10030114191001, 10010001001000, 20130001001000]
    assert blocks.share.tolist() == [0.75, 0.25, 1.0, 1.0]
    assert blocks.normalised().tolist() == [101, 101, 102, 201]
    path.write_text("cd_geoid,block_geoid\n101,010030114191001\n")
    with pytest.raises(InputError, match=r"blocks\.csv.*probability"):
        read_block_shares(path)


def test_households_are_joined_on_ids(tmp_path: Path) -> None:
    path = tmp_path / "source.h5"
    with h5py.File(path, "w") as file:
        for name, values in {
            "household_id": [30, 10, 20],
            "state_fips": [1, 2, 4],
            "household_weight": [1.0, 2.0, 3.0],
            "person_household_id": [10, 30, 30, 20, 30],
        }.items():
            file[f"{name}/2024"] = np.array(values)
    assert read_households(path, 2024).persons.tolist() == [3, 1, 1]
    with pytest.raises(InputError, match=r"source\.h5"):
        read_households(path, 2025)
