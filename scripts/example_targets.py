"""The example's target database from ACS tables of ages and SNAP, in the production schema."""

import argparse
from pathlib import Path

from local_h5.example.targets import write_targets
from local_h5.workflow.command import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--age-by-state", type=Path, required=True, help="ACS S0101 by state (JSON)")
    parser.add_argument("--age-by-district", type=Path, required=True, help="ACS S0101 by district (JSON)")
    parser.add_argument("--snap-by-district", type=Path, required=True, help="ACS S2201 by district (JSON)")
    parser.add_argument("--output", type=Path, required=True, help="SQLite database to write")
    args = parser.parse_args()
    count = write_targets(args.output, args.age_by_state, args.age_by_district, args.snap_by_district)
    print(f"{count} targets in {args.output}")


if __name__ == "__main__":
    run(main)
