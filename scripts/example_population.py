"""Population of every state and congressional district, as one CSV, from the ACS table S0101."""

from pathlib import Path

from local_h5.workflow.command import run
from local_h5_example.acs import DISTRICT, STATE, read_s0101, write_population


def example_population(path_to_states: Path, path_to_districts: Path, path_to_output: Path) -> None:
    """Write ``area_type, area_id, code, state_fips, population, under_18, from_65``, states first.

    Args:
        path_to_states: S0101 by state, JSON as the Census Bureau's API gives it.
        path_to_districts: S0101 by congressional district (JSON).
        path_to_output: table to write (CSV).
    """
    tables = (read_s0101(path_to_states, STATE), read_s0101(path_to_districts, DISTRICT))
    write_population(path_to_output, tables)


if __name__ == "__main__":
    run(example_population)
