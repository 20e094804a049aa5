"""The training mask: which targets the calibration was fitted on."""

from pathlib import Path

from foreign_pickle import read_frame
from local_h5.errors import ConfigError
from local_h5.files.text_table import read_text
from local_h5.inputs.geography.load import load_package
from local_h5.inputs.pickles import pickle_errors

_ID = "target_id"


def read_training(path: Path) -> frozenset[int]:
    """Target ids from a calibration package's ``targets_df``, or from a text file with one id per line.

    Raises:
        ConfigError: a text file that holds something else.
        InputError: the package is missing, damaged, or its targets have no ids.
    """
    if path.suffix == ".pkl":
        with pickle_errors():
            frame = read_frame(load_package(path).get("targets_df"), f"{path}: targets_df", [_ID])
        return frozenset(int(value) for value in frame[_ID].tolist())
    try:
        return frozenset(int(line) for line in read_text(path).split())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: validation.training: expected target ids, one a line, or a calibration_package.pkl, found "
            f"{error}. Correct the file, or set it to null."
        ) from error
