"""A source that keeps its values in other files is refused: its digest would not cover what was read."""

from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from tiny_world import source_columns, write_source

from local_h5.errors import SourceError
from local_h5.inputs.source import read_source


def external_values(file: h5py.File, name: str, other: Path) -> None:
    values = file[name][()]
    del file[name]
    other.write_bytes(values.tobytes())
    file.create_dataset(name, values.shape, values.dtype, external=[(str(other), 0, values.nbytes)])


def external_link(file: h5py.File, name: str, other: Path) -> None:
    with h5py.File(other, "w") as target:
        target["values"] = file[name][()]
    del file[name]
    file[name] = h5py.ExternalLink(str(other), "/values")


def virtual(file: h5py.File, name: str, other: Path) -> None:
    values = file[name][()]
    with h5py.File(other, "w") as target:
        target["values"] = values
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[:] = h5py.VirtualSource(str(other), "values", values.shape)
    del file[name]
    file.create_virtual_dataset(name, layout)


@pytest.mark.parametrize("name", ["employment_income/2024", "person_id/2024"])
@pytest.mark.parametrize("way", [external_values, external_link, virtual])
def test_a_source_that_points_elsewhere_is_refused(
    tmp_path: Path, way: Callable[[h5py.File, str, Path], None], name: str
) -> None:
    path = tmp_path / "source.h5"
    write_source(path, source_columns())
    read_source(path)
    with h5py.File(path, "r+") as file:
        way(file, name, tmp_path / "other")
    with pytest.raises(SourceError, match=f"expected a file that holds all of its data.*found '{name}'"):
        read_source(path)
