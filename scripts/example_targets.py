"""The example's target database from ACS tables of ages and SNAP, in the production schema."""

from pathlib import Path

from local_h5.workflow.command import run
from local_h5_example.targets import write_targets


def example_targets(
    path_to_age_by_state: Path, path_to_age_by_district: Path, path_to_snap_by_district: Path, path_to_output: Path
) -> None:
    """Write the example's target database: ages and SNAP of every state and district.

    Args:
        path_to_age_by_state: ACS S0101 by state, JSON as the Census Bureau's API gives it.
        path_to_age_by_district: ACS S0101 by congressional district (JSON).
        path_to_snap_by_district: ACS S2201 by congressional district (JSON).
        path_to_output: database to write (SQLite).
    """
    count = write_targets(path_to_output, path_to_age_by_state, path_to_age_by_district, path_to_snap_by_district)
    print(f"{count} targets in {path_to_output}")


if __name__ == "__main__":
    run(example_targets)
