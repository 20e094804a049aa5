"""Print the table at the end of a run: areas, rows, sums against the ACS, bytes, time, and what to try next."""

import argparse
from pathlib import Path

from local_h5.settings import Settings
from local_h5.workflow.command import run
from local_h5.workflow.summary import render, summarise


def summarise_run(path_to_config: Path) -> str:
    """The table as text.

    Args:
        path_to_config: resolved configuration (JSON).

    Assumes:
        Every sidecar satisfies its schema; areas without one count as not built.
    """
    settings = Settings.read(path_to_config)
    return render(settings, summarise(settings))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="resolved configuration (JSON)")
    args = parser.parse_args()
    print(summarise_run(args.config), end="")


if __name__ == "__main__":
    run(main)
