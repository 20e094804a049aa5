"""Compute take-up rates, eligibility and rates adjusted for reported recipients, once for a source and a geography."""

import argparse
from pathlib import Path
from typing import cast

from local_h5.prepare import takeup_from_snapshot
from local_h5.prepared import open_geography
from local_h5.snapshot import SourceSnapshot
from local_h5.takeup.programmes import load_programmes
from local_h5.takeup.store import write_takeup
from local_h5.takeup.table import Reported, Scope
from local_h5.workflow.command import run


def prepare_takeup_table(
    path_to_snapshot: Path,
    path_to_geography: Path,
    path_to_programmes: Path,
    reported: Reported,
    scope: Scope,
    path_to_takeup: Path,
) -> None:
    """Write the take-up table; weights and areas have no part in it.

    Args:
        path_to_snapshot: source snapshot.
        path_to_geography: canonical geography.
        path_to_programmes: list of take-up programmes.
        reported: ``anchor`` or ``ignore``.
        scope: ``clone`` (as the calibration adjusted) or ``area``.
        path_to_takeup: array file to write.

    Assumes:
        The snapshot was made with the same programmes, so that it holds the values that they need.
    """
    takeup = takeup_from_snapshot(
        SourceSnapshot.open(path_to_snapshot),
        open_geography(path_to_geography),
        load_programmes(path_to_programmes),
        reported=reported,
        scope=scope,
    )
    write_takeup(path_to_takeup, takeup)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--snapshot", type=Path, required=True, help="source snapshot")
    parser.add_argument("--geography", type=Path, required=True, help="canonical geography")
    parser.add_argument("--programmes", type=Path, required=True, help="take-up programmes (YAML)")
    parser.add_argument("--reported", choices=("anchor", "ignore"), default="anchor")
    parser.add_argument("--scope", choices=("clone", "area"), default="clone")
    parser.add_argument("--output", type=Path, required=True, help="array file to write")
    args = parser.parse_args()
    prepare_takeup_table(
        args.snapshot,
        args.geography,
        args.programmes,
        cast(Reported, args.reported),
        cast(Scope, args.scope),
        args.output,
    )


if __name__ == "__main__":
    run(main)
