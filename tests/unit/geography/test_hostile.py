"""Pickles inside a geography are read without running their code, whatever file and field they stand in."""

import builtins
import os
import pickle
import zipfile
from typing import Any

import numpy as np
import pytest
from hostile_pickles import Call
from sentence import parts_of

from local_h5.errors import InputError
from local_h5.inputs.geography.load import load_geography
from local_h5.inputs.weights import load_weights

from .conftest import BLOCKS, HOUSEHOLDS, Made


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_hostile_package_is_refused(made: Made, protocol: int, one_line: Any) -> None:
    marker = made.folder / "marker"
    path = made.package(protocol, metadata=[Call(os.system, f"touch {marker}")])
    with pytest.raises(InputError) as caught:
        load_geography(path, HOUSEHOLDS)
    assert "system" in parts_of(caught.value).found
    assert one_line(caught.value, path, None)
    assert not marker.exists()


def test_a_hostile_object_array_in_an_npz_is_refused(made: Made, one_line: Any) -> None:
    marker = made.folder / "marker"
    array = np.array([*BLOCKS[:-1], Call(os.system, f"touch {marker}")], dtype=object)
    path = made.npz(block_geoid=array)
    with pytest.raises(InputError) as caught:
        load_geography(path, HOUSEHOLDS)
    assert "system" in parts_of(caught.value).found
    assert one_line(caught.value, f"{path}: block_geoid", None)
    assert not marker.exists()


@pytest.mark.parametrize("field", ["n_records", "n_clones", "cd_geoid", "county_fips", "state_fips"])
def test_every_field_of_an_npz_is_read_safely(made: Made, field: str) -> None:
    marker = made.folder / "marker"
    array = np.array([Call(os.system, f"touch {marker}")] * 6, dtype=object)
    with pytest.raises(InputError):
        load_geography(made.npz(**{field: array}), HOUSEHOLDS)
    assert not marker.exists()


def test_a_bare_pickle_inside_an_npz_is_not_run(made: Made) -> None:
    marker = made.folder / "marker"
    path = made.npz(drop=("block_geoid",))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("block_geoid.npy", pickle.dumps(Call(os.system, f"touch {marker}")))
    with pytest.raises(InputError, match="block_geoid"):
        load_geography(path, HOUSEHOLDS)
    assert not marker.exists()


def test_hostile_npy_files_are_refused(made: Made) -> None:
    marker = made.folder / "marker"
    path = made.blocks(np.array([Call(builtins.eval, f"open({str(marker)!r}, 'w')")] * 6, dtype=object))
    with pytest.raises(InputError, match=r"builtins\.eval"):
        load_geography(path, HOUSEHOLDS, made.block_districts())
    with pytest.raises(InputError, match="dtype object"):
        load_weights(path)
    assert not marker.exists()
