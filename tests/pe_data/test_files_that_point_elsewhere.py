"""H5 files whose values lie in other files, and files that run code when they are read: refused by every reader."""

import contextlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

import pe_data
from local_h5.files.hdf5 import outside as outside_of
from pe_data.cli import run
from pe_data.describe.file import Label, describe
from pe_data.describe.self_contained import outside
from pe_data.errors import InputError


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PE_DATA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PE_DATA_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "none.toml"))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """What the reader may read, and whoever made the file should not learn."""
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["age/2024"] = np.arange(3)
    return path


def external_values(group: h5py.Group, name: str, secret: Path) -> None:
    group.create_dataset(name, (3,), "u1", external=[(str(secret), 0, 3)])


def external_link(group: h5py.Group, name: str, secret: Path) -> None:
    group[name] = h5py.ExternalLink(str(secret), "/age/2024")


def virtual(group: h5py.Group, name: str, secret: Path) -> None:
    layout = h5py.VirtualLayout((3,), "i8")
    layout[:] = h5py.VirtualSource(str(secret), "age/2024", (3,))
    group.create_virtual_dataset(name, layout)


def soft_link_over_a_link(group: h5py.Group, name: str, secret: Path) -> None:
    group.file["hidden"] = h5py.ExternalLink(str(secret), "/age")
    group[name] = h5py.SoftLink("/hidden/2024")


WAYS = [external_values, external_link, virtual, soft_link_over_a_link]


def write(path: Path, way: Callable[[h5py.Group, str, Path], None] | None, secret: Path, where: str) -> Path:
    with h5py.File(path, "w") as file:
        for name in ("person_id", "household_id", "person_household_id"):
            file[f"{name}/2024"] = np.arange(3)
        if way is not None:
            parent, _, name = where.rpartition("/")
            way(file.require_group(parent) if parent else file, name, secret)
    return path


@pytest.mark.parametrize("where", ["age/2024", "age", "deep/er/down/x"])
@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_points_elsewhere_is_refused(
    tmp_path: Path, secret: Path, way: Callable[[h5py.Group, str, Path], None], where: str
) -> None:
    path = write(tmp_path / "a.h5", way, secret, where)
    with pytest.raises(InputError, match="Expected a file that holds all of its data"):
        pe_data.open(str(path), year=2024)
    with pytest.raises(InputError, match=r"(other|another) file"):
        describe(path, Label("us", "cps_2024"))
    assert run(["publish", str(path), "us/cps_2024"]) == 1
    assert run(["schema", str(path)]) == 1
    with h5py.File(path) as file:
        assert outside_of(file) is not None


def test_links_within_a_file_are_its_own_business(tmp_path: Path, secret: Path) -> None:
    path = write(tmp_path / "a.h5", None, secret, "")
    with h5py.File(path, "r+") as file:
        file["age/2024"] = np.arange(3)
        file["age/2025"] = h5py.SoftLink("/age/2024")
        file["nowhere"] = h5py.SoftLink("/not/there")
        file["again/round"] = file["/"]
        file["kind"] = np.dtype("i4")
        layout = h5py.VirtualLayout((3,), "i8")
        layout[:] = h5py.VirtualSource(".", "age/2024", (3,))
        file.create_virtual_dataset("own", layout)
    with h5py.File(path) as file:
        assert outside(file) is None
        assert outside_of(file) is None


def test_both_packages_say_the_same(tmp_path: Path, secret: Path) -> None:
    """Neither imports the other, so each has its own few lines."""
    for number, way in enumerate((None, *WAYS)):
        path = write(tmp_path / f"{number}.h5", way, secret, "age/2024")
        with h5py.File(path) as file:
            assert (outside(file) is None) == (outside_of(file) is None) == (way is None)


class Evil:
    """Runs something when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("command", ["open", "export", "command"])
def test_pickles_run_only_when_asked(tmp_path: Path, command: str) -> None:
    path, mark = tmp_path / "x.h5", tmp_path / "it ran"
    with pd.HDFStore(path, "w") as store:
        frame = pd.DataFrame({"person_id": [1, 2], "name": ["a", "b"]})
        store.put("person/_2024", frame, format="table", track_times=False)
    with h5py.File(path, "r+") as file:
        file["person/_2024"].attrs["non_index_axes"] = np.bytes_(pickle.dumps(Evil(mark), 0))
    if command == "open":
        with pytest.raises(InputError, match="allow_pickle=True"):
            pe_data.open(str(path), year=2024)
    elif command == "export":
        with pytest.raises(InputError, match="allow_pickle=True"):
            pe_data.export(str(path), "csv", tmp_path / "out", year=2024)
    else:
        assert run(["export", str(path), "--to", "csv", "--out", str(tmp_path / "out"), "--year", "2024"]) == 1
    assert not mark.exists()
    # So it is no empty threat: who asks for it gets it.
    with contextlib.suppress(InputError, TypeError, AttributeError, KeyError):
        pe_data.open(str(path), year=2024, allow_pickle=True)
    assert mark.exists()
