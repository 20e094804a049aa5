"""Prepared arrays come back as they went in, memory-mapped, and nothing else is taken for them."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from local_h5.errors import PreparedError
from local_h5.files.arrays import ArrayFile, write_array_file

ARRAYS = {
    "numbers": np.arange(6, dtype=np.int32).reshape(2, 3),
    "group/flags": np.array([True, False, True]),
    "group/words": np.array([b"", b"ab", b"abcde"]),
    "empty": np.empty((0, 4), np.float64),
    "turned": np.arange(12.0).reshape(3, 4).T,
}


def written(path: Path) -> Path:
    write_array_file(path, kind="things", version=2, arrays=ARRAYS, metadata={"year": 2024})
    return path


def test_arrays_and_metadata_come_back(tmp_path: Path) -> None:
    file = ArrayFile(written(tmp_path / "a.h5"), kind="things", version=2)
    assert sorted(file) == sorted(ARRAYS)
    assert file.metadata == {"year": 2024}
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(file[name], array)
        assert file[name].dtype == array.dtype
        assert file[name].ctypes.data % 64 == 0 or not array.size
        assert not file[name].flags.writeable or not array.size


def test_any_hdf5_tool_sees_the_same(tmp_path: Path) -> None:
    with h5py.File(written(tmp_path / "a.h5")) as file:
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(file["arrays"][name][()], array)


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    assert written(tmp_path / "a.h5").read_bytes() == written(tmp_path / "b.h5").read_bytes()


def repack(path: Path) -> None:
    with h5py.File(path) as old, h5py.File(path.with_suffix(".new"), "w") as new:
        for name in reversed(list(old)):
            old.copy(name, new)
    path.with_suffix(".new").replace(path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("damage", [repack, cut, Path.unlink, lambda path: path.write_bytes(b"no")])
def test_a_damaged_file_is_an_error(tmp_path: Path, damage) -> None:
    path = written(tmp_path / "a.h5")
    damage(path)
    with pytest.raises(PreparedError, match=r"a\.h5: expected a prepared things file, found .*Delete it"):
        ArrayFile(path, kind="things", version=2)


@pytest.mark.parametrize(("kind", "version"), [("others", 2), ("things", 3)])
def test_another_kind_or_version_is_an_error(tmp_path: Path, kind: str, version: int) -> None:
    with pytest.raises(PreparedError, match=rf"format: expected {kind} version {version}, found things version 2"):
        ArrayFile(written(tmp_path / "a.h5"), kind=kind, version=version)


def test_an_array_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PreparedError, match="none: expected an array of that name"):
        ArrayFile(written(tmp_path / "a.h5"), kind="things", version=2)["none"]
