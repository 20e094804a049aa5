"""Population of every state and congressional district, as one CSV, from the ACS table S0101."""

import argparse
import sys
from pathlib import Path

from local_h5.errors import LocalH5Error
from local_h5.example.acs import DISTRICT, STATE, read_s0101, write_population


def example_population(path_to_states: Path, path_to_districts: Path, path_to_output: Path) -> None:
    """Write ``area_type, area_id, code, state_fips, population, under_18, from_65``, states first.

    Args:
        path_to_states: S0101 by state, JSON as the Census Bureau's API gives it.
        path_to_districts: S0101 by congressional district.
        path_to_output: the CSV.
    """
    tables = (read_s0101(path_to_states, STATE), read_s0101(path_to_districts, DISTRICT))
    write_population(path_to_output, tables)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=Path, required=True, help="S0101 by state (JSON)")
    parser.add_argument("--districts", type=Path, required=True, help="S0101 by district (JSON)")
    parser.add_argument("--output", type=Path, required=True, help="CSV to write")
    args = parser.parse_args()
    try:
        example_population(args.states, args.districts, args.output)
    except LocalH5Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
