"""The report of a run: one HTML page, its figures, and its tables as Parquet."""

from pathlib import Path

from local_h5.config.settings import Settings
from local_h5.report import writer
from local_h5.workflow.command import run


def report_run(path_to_config: Path, path_to_folder: Path) -> None:
    """Write the report of a run: one HTML page, its figures, and its tables as Parquet.

    Args:
        path_to_config: resolved configuration (JSON).
        path_to_folder: folder to write to.
    """
    print(writer()(Settings.read(path_to_config), path_to_folder))


if __name__ == "__main__":
    run(report_run)
