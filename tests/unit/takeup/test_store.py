"""The prepared table comes back from its file unchanged, and an area job needs little to read it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from local_h5.errors import PreparedError
from local_h5.files.arrays import open_arrays, write_arrays
from local_h5.takeup.assign import inputs_digest, take_up
from local_h5.takeup.table import Takeup

World = Any


@pytest.mark.parametrize("options", [{}, {"reported": "ignore"}, {"scope": "area"}])
def test_round_trip(world: World, all_rows: np.ndarray, tmp_path: Path, options: dict[str, str]) -> None:
    path = tmp_path / "takeup.h5"
    takeup, area = world.prepare(**options), world.area(all_rows)
    write_arrays(path, takeup)
    again = open_arrays(path, Takeup)
    assert (again.year, again.reported, again.scope) == (takeup.year, takeup.reported, takeup.scope)
    assert [p.reports for p in again.programmes] == [p.reports for p in takeup.programmes]
    assert inputs_digest(again, area) == inputs_digest(takeup, area)
    expected = take_up(takeup, area)
    for variable, column in take_up(again, area).items():
        assert (column == expected[variable]).all()


def test_equal_tables_give_equal_bytes(world: World, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_arrays(tmp_path / name, world.prepare())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_missing_and_garbage_files(tmp_path: Path) -> None:
    with pytest.raises(PreparedError, match="no file"):
        open_arrays(tmp_path / "none.h5", Takeup)
    (tmp_path / "garbage.h5").write_bytes(b"\x89HDF but not really")
    with pytest.raises(PreparedError, match=r"garbage\.h5"):
        open_arrays(tmp_path / "garbage.h5", Takeup)


def test_an_area_job_imports_no_configuration_or_model() -> None:
    code = (
        "import sys, local_h5.takeup.assign, local_h5.files.arrays, local_h5.takeup.table\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"numpy", "h5py"} <= set(found)
    assert not {"yaml", "jsonschema", "pandas", "pyarrow", "scipy", "policyengine_us", "click"} & set(found)


def test_draws_need_numpy_alone() -> None:
    code = "import sys, local_h5.takeup.assign\nprint(*sorted({name.partition('.')[0] for name in sys.modules}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"h5py", "yaml", "jsonschema"} & set(found)
