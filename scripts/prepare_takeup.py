"""Compute take-up rates, eligibility and rates adjusted for reported recipients, once for a source and a geography."""

from pathlib import Path

from local_h5.files.arrays import open_arrays, write_arrays
from local_h5.inputs.geography.canonical import Geography
from local_h5.prepared.snapshot import SourceSnapshot
from local_h5.prepared.steps import takeup_from_snapshot
from local_h5.takeup.programmes import load_programmes
from local_h5.takeup.table import Reported, Scope
from local_h5.workflow.command import run


def prepare_takeup_table(
    path_to_snapshot: Path,
    path_to_geography: Path,
    path_to_programmes: Path,
    path_to_output: Path,
    reported: Reported = "anchor",
    scope: Scope = "clone",
) -> None:
    """Write the take-up table. It does not depend on weights and areas.

    Args:
        path_to_snapshot: source snapshot (array file).
        path_to_geography: canonical geography (array file).
        path_to_programmes: list of take-up programmes (YAML).
        path_to_output: take-up table to write (array file).
        reported: ``anchor``, or ``ignore``: draw as if nobody reported receipt.
        scope: ``clone``: rates adjusted as in the calibration; ``area``: within each file.

    Assumes:
        The snapshot was made with the same programmes, so that it holds the values that they need.
    """
    takeup = takeup_from_snapshot(
        open_arrays(path_to_snapshot, SourceSnapshot),
        open_arrays(path_to_geography, Geography),
        load_programmes(path_to_programmes),
        reported=reported,
        scope=scope,
    )
    write_arrays(path_to_output, takeup)


if __name__ == "__main__":
    run(prepare_takeup_table)
