"""Make one area-coded file for the nation from the example, through the country model's own class."""

from pathlib import Path

from local_h5.workflow.command import run
from local_h5_example.area_coded import write_area_coded


def make_area_coded_file(path_to_nation: Path, path_to_output: Path) -> None:
    """Write a file in which every household has its own weight and places.

    Args:
        path_to_nation: the nation's H5 of the example, with its sidecar.
        path_to_output: area-coded file to write (pandas tables).

    Assumes:
        The installed ``policyengine_us`` has ``USSingleYearDataset``.
    """
    write_area_coded(path_to_nation, path_to_output)


if __name__ == "__main__":
    run(make_area_coded_file)
