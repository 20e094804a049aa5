"""Make a PolicyEngine source dataset of a few thousand households from the public CPS tax microdata."""

import argparse
import sys
from pathlib import Path

from local_h5.errors import LocalH5Error
from local_h5.example.acs import STATE, read_population
from local_h5.example.microdata import read_tax_units
from local_h5.example.source_h5 import SourceSettings, convert, write_source
from local_h5.files import sha256_of


def example_source(
    path_to_microdata: Path,
    path_to_weights: Path,
    path_to_growth: Path,
    path_to_population: Path,
    path_to_output: Path,
    settings: SourceSettings,
) -> None:
    """Write the source H5 and its sidecar ``<output>.json``.

    Args:
        path_to_microdata: tax units (``cps.csv.gz``).
        path_to_weights: their weights by year (``cps_weights.csv.gz``).
        path_to_growth: growth factors by year (``growfactors.csv``).
        path_to_population: CSV of ``example_population.py``.
        path_to_output: the H5.
        settings: sample size, seed and so on.

    Assumes:
        The three microdata files belong to the same release.
    """
    units = read_tax_units(path_to_microdata, path_to_weights, path_to_growth)
    converted = convert(units, read_population(path_to_population, STATE), settings)
    inputs = (path_to_microdata, path_to_weights, path_to_growth, path_to_population)
    write_source(path_to_output, converted, settings, {path.name: sha256_of(path) for path in inputs})


def main() -> int:
    default = SourceSettings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--microdata", type=Path, required=True, help="tax units (CSV)")
    parser.add_argument("--weights", type=Path, required=True, help="their weights by year (CSV)")
    parser.add_argument("--growth", type=Path, required=True, help="growth factors by year (CSV)")
    parser.add_argument("--population", type=Path, required=True, help="population by area (CSV)")
    parser.add_argument("--output", type=Path, required=True, help="H5 to write")
    parser.add_argument("--households", type=int, default=default.households)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--certainty-amount", type=float, default=default.certainty_amount)
    parser.add_argument("--minimum-per-state", type=int, default=default.minimum_per_state)
    args = parser.parse_args()
    settings = SourceSettings(args.households, args.seed, args.certainty_amount, args.minimum_per_state)
    try:
        example_source(args.microdata, args.weights, args.growth, args.population, args.output, settings)
    except LocalH5Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
