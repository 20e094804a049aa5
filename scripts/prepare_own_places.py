"""Read places, weights and take-up of a dataset that has them itself, in place of a calibration package."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_h5.files.arrays import write_arrays
from local_h5.inputs.missing import MissingRules
from local_h5.inputs.source import read_source
from local_h5.prepared.own import prepare_own_places
from local_h5.takeup.programmes import load_programmes
from local_h5.workflow.command import run


def write_own_places(
    path_to_dataset: Path,
    path_to_districts: Path,
    path_to_programmes: Path,
    path_to_output_blocks: Path,
    path_to_output_clones: Path,
    path_to_output_takeup: Path,
    missing: Mapping[str, Any] | None = None,
    year: int | None = None,
    units: Mapping[str, Any] | None = None,
) -> None:
    """Write the table of places, the index of the households by place, and which take-up the dataset has.

    Args:
        path_to_dataset: area-coded dataset: each household has its weight and its places.
        path_to_districts: districts that the dataset must have, no more and no fewer (CSV).
        path_to_programmes: list of take-up programmes (YAML). The dataset has drawn them, or lacks them.
        path_to_output_blocks: table of places to write (array file).
        path_to_output_clones: index of households to write (array file).
        path_to_output_takeup: take-up table to write (array file).
        missing: values for codes that mean "missing", as in ``inputs.missing``.
        year: which one of a dataset of several years.
        units: entity to how its units are made, as in ``inputs.units``.

    Assumes:
        The dataset does not change until the source snapshot is made from it too.
    """
    source = read_source(path_to_dataset, missing=MissingRules.from_config(missing), year=year, units=units)
    made = prepare_own_places(source, load_programmes(path_to_programmes), path_to_districts)
    write_arrays(path_to_output_blocks, made.blocks)
    write_arrays(path_to_output_clones, made.clones)
    write_arrays(path_to_output_takeup, made.takeup)


if __name__ == "__main__":
    run(write_own_places)
