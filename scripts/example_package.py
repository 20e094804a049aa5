"""Draw an example calibration package (weights and exact geography) for an example source dataset."""

import argparse
import sys
from pathlib import Path

from local_h5.errors import LocalH5Error
from local_h5.example.acs import DISTRICT, read_population
from local_h5.example.microdata import YEAR
from local_h5.example.package import (
    PackageSettings,
    draw_package,
    measure,
    read_block_shares,
    read_households,
    write_package,
)


def example_package(
    path_to_source: Path,
    path_to_blocks: Path,
    path_to_population: Path,
    path_to_weights: Path,
    path_to_geography: Path,
    path_to_metadata: Path,
    settings: PackageSettings,
) -> None:
    """Write weights, geography and a sidecar in the forms that a production calibration writes.

    Args:
        path_to_source: example source H5.
        path_to_blocks: block to district, with population shares (``block_cd_distributions.csv.gz``).
        path_to_population: CSV of ``example_population.py``.
        path_to_weights: ``calibration_weights.npy`` to write, float64, clone-major.
        path_to_geography: ``geography_assignment.npz`` to write.
        path_to_metadata: JSON sidecar to write, last.
        settings: clones, seed and so on.

    Assumes:
        Blocks and population are of the same Congress.
    """
    households = read_households(path_to_source, YEAR)
    districts = read_population(path_to_population, DISTRICT)
    package = draw_package(households, read_block_shares(path_to_blocks), districts, settings)
    measured = measure(package, households, districts)
    write_package(path_to_weights, path_to_geography, path_to_metadata, package, settings, measured)


def main() -> int:
    default = PackageSettings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="example source H5")
    parser.add_argument("--blocks", type=Path, required=True, help="block to district (CSV)")
    parser.add_argument("--population", type=Path, required=True, help="population by area (CSV)")
    parser.add_argument("--weights", type=Path, required=True, help="npy to write")
    parser.add_argument("--geography", type=Path, required=True, help="npz to write")
    parser.add_argument("--metadata", type=Path, required=True, help="JSON to write")
    parser.add_argument("--clones", type=int, default=default.clones)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--zero-share", type=float, default=default.zero_share)
    args = parser.parse_args()
    settings = PackageSettings(args.clones, args.seed, args.zero_share)
    outputs = (args.weights, args.geography, args.metadata)
    try:
        example_package(args.source, args.blocks, args.population, *outputs, settings)
    except LocalH5Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
