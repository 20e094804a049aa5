"""Datasets are written as h5py writes them, byte for byte."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_h5.files.hdf5 import Datasets, create_h5

Columns = dict[str, dict[str, np.ndarray]]

ARRAYS = st.builds(
    lambda kind, rows, seed: np.random.default_rng(seed).integers(0, 2, rows).astype(kind),
    st.sampled_from(["float32", "float64", "int16", "int32", "int64", "uint8", "bool", "S1", "S15"]),
    st.sampled_from([0, 1, 2, 1000]),
    st.integers(0, 2**32 - 1),
)
PERIODS = st.dictionaries(st.sampled_from(["2024", "ETERNITY", *(f"2024-{n:02d}" for n in range(1, 13))]), ARRAYS)
COLUMNS = st.dictionaries(st.text("aé_9", min_size=1, max_size=40), PERIODS, max_size=12)


def by_h5py(path: Path, columns: Columns, **options: object) -> bytes:
    with create_h5(path) as file:
        for name, periods in columns.items():
            group = file.create_group(name)
            for period, values in periods.items():
                group.create_dataset(period, data=values, **options)
    return path.read_bytes()


def by_datasets(path: Path, columns: Columns, **options: object) -> bytes:
    with create_h5(path) as file:
        datasets = Datasets(file, **options)
        for name, periods in columns.items():
            group = datasets.group(name)
            for period, values in periods.items():
                datasets.put(group, period, values)
    return path.read_bytes()


@settings(max_examples=60, deadline=None)
@given(COLUMNS)
def test_the_bytes_are_those_of_h5py(tmp_path_factory: pytest.TempPathFactory, columns: Columns) -> None:
    folder = tmp_path_factory.getbasetemp()
    assert by_datasets(folder / "datasets.h5", columns) == by_h5py(folder / "h5py.h5", columns)


@pytest.mark.parametrize("compression", ["gzip", "lzf"])
def test_compressed_too(tmp_path: Path, compression: str) -> None:
    columns = {name: {"2024": np.arange(3000, dtype=np.int32), "2025": np.ones(3000, np.int32)} for name in "abc"}
    options = {"compression": compression, "shuffle": True}
    assert by_datasets(tmp_path / "a.h5", columns, **options) == by_h5py(tmp_path / "b.h5", columns, **options)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["c/2025"].compression == compression


def test_values_come_back(tmp_path: Path) -> None:
    columns = {"a": {"2024": np.arange(5), "2025": np.arange(5) * 2}, "b": {"2024": np.arange(5) * 3}}
    by_datasets(tmp_path / "a.h5", columns)
    with h5py.File(tmp_path / "a.h5") as file:
        assert {name: {p: file[name][p][()].tolist() for p in file[name]} for name in file} == {
            name: {period: values.tolist() for period, values in periods.items()} for name, periods in columns.items()
        }
