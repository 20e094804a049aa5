"""Make a PolicyEngine source dataset of a few thousand households from the public CPS tax microdata."""

from pathlib import Path

from local_h5.files.atomic import sha256_of
from local_h5.workflow.command import run
from local_h5_example.acs import STATE, read_population
from local_h5_example.microdata import read_tax_units
from local_h5_example.source_h5 import SourceSettings, convert, write_source

DEFAULT = SourceSettings()


def example_source(
    path_to_microdata: Path,
    path_to_weights: Path,
    path_to_growth: Path,
    path_to_population: Path,
    path_to_output: Path,
    households: int = DEFAULT.households,
    seed: int = DEFAULT.seed,
    certainty_amount: float = DEFAULT.certainty_amount,
    minimum_per_state: int = DEFAULT.minimum_per_state,
) -> None:
    """Write a source dataset that is sampled from public microdata, and its sidecar ``<output>.json``.

    Args:
        path_to_microdata: tax units (``cps.csv.gz``).
        path_to_weights: their weights by year (``cps_weights.csv.gz``).
        path_to_growth: growth factors by year (``growfactors.csv``).
        path_to_population: CSV of ``example_population.py``.
        path_to_output: source dataset to write (H5).
        households: number of households.
        seed: of every random draw.
        certainty_amount: households with an amount above this (dollars of the file's year) are all taken.
        minimum_per_state: households drawn from each state besides those.

    Assumes:
        The three microdata files belong to the same release.
    """
    settings = SourceSettings(households, seed, certainty_amount, minimum_per_state)
    units = read_tax_units(path_to_microdata, path_to_weights, path_to_growth)
    converted = convert(units, read_population(path_to_population, STATE), settings)
    inputs = (path_to_microdata, path_to_weights, path_to_growth, path_to_population)
    write_source(path_to_output, converted, settings, {path.name: sha256_of(path) for path in inputs})


if __name__ == "__main__":
    run(example_source)
