"""The calibration's fitted values (weights × matrix) beside the values of the built files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foreign_pickle import read_frame, read_sparse
from local_h5.contracts.records import TargetRow
from local_h5.errors import InputError
from local_h5.inputs.geography.load import load_package
from local_h5.inputs.pickles import pickle_errors

MATRIX, TARGETS, NAMES = "X_sparse", "targets_df", "target_names"


@dataclass(frozen=True, slots=True)
class Belief:
    """One target of the calibration.

    Attributes:
        target_id: in the target database.
        name: in the calibration.
        target: the value of the fit.
        believed: weights × matrix.
        built: the value of the built file; None when it was not validated.
    """

    target_id: int
    name: str
    target: float
    believed: float
    built: float | None


def read_beliefs(package_path: Path, weights: np.ndarray, rows: Iterable[TargetRow]) -> tuple[Belief, ...] | None:
    """The calibration's fitted values, beside those of the built files.

    Args:
        package_path: ``calibration_package.pkl``, read without running its code.
        weights: of the files; float64 (n_clones × n_households,).
        rows: of all validated areas.

    Returns:
        One per row of the matrix; None when the package carries no matrix, targets or names.

    Raises:
        InputError: the package is damaged, its parts have different lengths, or the weights belong to another matrix.
    """
    package = load_package(package_path)
    if any(package.get(name) is None for name in (MATRIX, TARGETS, NAMES)):
        return None
    with pickle_errors():
        matrix = read_sparse(package[MATRIX], f"{package_path}: {MATRIX}")
        frame = read_frame(package[TARGETS], f"{package_path}: {TARGETS}", ["target_id", "value"])
    names = package[NAMES]
    lengths = {TARGETS: len(frame["target_id"]), NAMES: len(names) if isinstance(names, list | tuple) else -1}
    for name, length in lengths.items():
        if length != matrix.shape[0]:
            raise InputError(
                f"{package_path}: {name}: expected {matrix.shape[0]} entries, a row of {MATRIX} each, found "
                f"{str(length) if length >= 0 else 'no list'}. The package is inconsistent; save it again with "
                "the calibration's own code."
            )
    if len(weights) != matrix.shape[1]:
        raise InputError(
            f"{package_path}: {MATRIX}: expected {len(weights):,} columns, one for each weight, found "
            f"{matrix.shape[1]:,}. Give the package and the weights of the same calibration."
        )
    built: Mapping[int, float | None] = {row.target_id: row.value for row in rows}
    believed = matrix.times(weights.astype(np.float64))
    columns = zip(frame["target_id"].tolist(), names, frame["value"].tolist(), believed.tolist(), strict=True)  # type: ignore[call-overload]
    return tuple(
        Belief(int(number), str(name), float(target), value, built.get(int(number)))
        for number, name, target, value in columns
    )
