"""The report of a run: one HTML page, its figures, and its tables as Parquet."""

import argparse
from pathlib import Path

from local_h5.report.write import write_report
from local_h5.settings import Settings
from local_h5.workflow.command import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="resolved configuration (JSON)")
    parser.add_argument("--folder", type=Path, required=True, help="folder to write to")
    args = parser.parse_args()
    print(write_report(Settings.read(args.config), args.folder))


if __name__ == "__main__":
    run(main)
