"""What the calibration thought, from a package of the real shape, and the training mask in it."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from local_h5.contracts.records import TargetRow
from local_h5.errors import ConfigError, InputError
from local_h5.report.belief import read_beliefs
from local_h5.validation.targets.training import read_training

MATRIX = np.array([[1.0, 0, 2, 0], [0, 3, 0, 0], [1, 1, 1, 1]])
WEIGHTS = np.array([10.0, 20, 30, 0])


def package(folder: Path, **changes: Any) -> Path:
    frame = pd.DataFrame(
        {"target_id": [7, 8, 9], "variable": ["snap", "person_count", "household_count"], "value": [69.0, 60.0, 61.0]}
    )
    data = {
        "X_sparse": sp.csr_matrix(MATRIX),
        "targets_df": frame,
        "target_names": ["cd/snap", "cd/persons", "cd/households"],
        "metadata": {"seed": 1},
        "initial_weights": np.ones(4),
        "cd_geoid": np.array(["3701"] * 4),
        "block_geoid": np.array(["370010201001000"] * 4),
    }
    data |= changes
    path = folder / "calibration_package.pkl"
    path.write_bytes(pickle.dumps({name: value for name, value in data.items() if value is not None}))
    return path


def row(target_id: int, value: float | None) -> TargetRow:
    return TargetRow(target_id, 1, "snap", 2024, 0, "", 69.0, value, None, None, None, None, "passed", "")


@pytest.mark.parametrize("layout", [sp.csr_matrix, sp.csc_matrix, sp.coo_matrix])
def test_weights_times_matrix_beside_the_built_value(tmp_path: Path, layout: Any) -> None:
    path = package(tmp_path, X_sparse=layout(MATRIX))
    beliefs = read_beliefs(path, WEIGHTS, [row(7, 68.0), row(9, None)])
    assert beliefs is not None
    assert [(b.target_id, b.name, b.target, b.believed, b.built) for b in beliefs] == [
        (7, "cd/snap", 69.0, 70.0, 68.0),
        (8, "cd/persons", 60.0, 60.0, None),
        (9, "cd/households", 61.0, 60.0, None),
    ]


@pytest.mark.parametrize("lost", ["X_sparse", "targets_df", "target_names"])
def test_a_package_without_them_has_no_beliefs(tmp_path: Path, lost: str) -> None:
    assert read_beliefs(package(tmp_path, **{lost: None}), WEIGHTS, []) is None


def test_parts_of_different_lengths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="target_names"):
        read_beliefs(package(tmp_path, target_names=["one"]), WEIGHTS, [])
    with pytest.raises(InputError, match="4"):
        read_beliefs(package(tmp_path), WEIGHTS[:3], [])


def test_a_hostile_package_is_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return print, ("run",)

    with pytest.raises(InputError):
        read_beliefs(package(tmp_path, X_sparse=Hostile()), WEIGHTS, [])


def test_the_training_mask_is_the_packages_targets(tmp_path: Path) -> None:
    assert read_training(package(tmp_path)) == {7, 8, 9}
    (tmp_path / "ids.txt").write_text("3\n4\n")
    assert read_training(tmp_path / "ids.txt") == {3, 4}
    (tmp_path / "ids.txt").write_text("three")
    with pytest.raises(ConfigError, match=r"validation\.training"):
        read_training(tmp_path / "ids.txt")
