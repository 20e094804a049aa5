"""Draw an example calibration package (weights and exact geography) for an example source dataset."""

from pathlib import Path

from local_h5.workflow.command import run
from local_h5_example.acs import DISTRICT, read_population
from local_h5_example.microdata import YEAR
from local_h5_example.package import (
    PackageSettings,
    draw_package,
    measure,
    read_block_shares,
    read_households,
    write_package,
)

DEFAULT = PackageSettings()


def example_package(
    path_to_source: Path,
    path_to_blocks: Path,
    path_to_population: Path,
    path_to_weights: Path,
    path_to_geography: Path,
    path_to_metadata: Path,
    clones: int = DEFAULT.clones,
    seed: int = DEFAULT.seed,
    zero_share: float = DEFAULT.zero_share,
) -> None:
    """Write weights, geography and a sidecar in the forms of a production calibration.

    Args:
        path_to_source: source dataset of ``example_source.py`` (H5).
        path_to_blocks: block to district, with population shares (``block_cd_distributions.csv.gz``).
        path_to_population: CSV of ``example_population.py``.
        path_to_weights: ``calibration_weights.npy`` to write, float64, clone-major.
        path_to_geography: ``geography_assignment.npz`` to write.
        path_to_metadata: sidecar to write last (JSON).
        clones: clones of every household.
        seed: of every random draw.
        zero_share: share of a district's rows that get weight zero, in [0, 1); in a real package most are zero.

    Assumes:
        Blocks and population are of the same Congress.
    """
    settings = PackageSettings(clones, seed, zero_share)
    households = read_households(path_to_source, YEAR)
    districts = read_population(path_to_population, DISTRICT)
    package = draw_package(households, read_block_shares(path_to_blocks), districts, settings)
    measured = measure(package, households, districts)
    write_package(path_to_weights, path_to_geography, path_to_metadata, package, settings, measured)


if __name__ == "__main__":
    run(example_package)
