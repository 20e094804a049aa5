"""Build one area's H5 and, last, its result sidecar. It imports numpy and h5py, never the model."""

from pathlib import Path
from typing import Literal

from local_h5 import us
from local_h5.build.area import BuildOptions
from local_h5.contracts.work_items import read_request
from local_h5.requests import results_folder
from local_h5.worker.area_job import run_area_job
from local_h5.worker.opened import open_once
from local_h5.workflow.command import run


def build_area_file(
    path_to_request: Path,
    path_to_snapshot: Path,
    path_to_blocks: Path,
    path_to_clones: Path,
    path_to_takeup: Path,
    path_to_output: Path,
    path_to_config: Path,
    path_to_record: Path,
    compression: Literal["none", "gzip", "lzf"] = "none",
    takeup_filter: tuple[str, ...] | None = None,
    at_large_code: us.AtLargeCode = "00",
    form: Literal["periods", "tables"] = "periods",
) -> None:
    """Build one area's H5 and, last, its result sidecar.

    Args:
        path_to_request: request and fingerprint (JSON).
        path_to_snapshot: source snapshot.
        path_to_blocks: block table of the area's package.
        path_to_clones: clone index of the area's package.
        path_to_takeup: take-up table of the area's package.
        path_to_output: H5 to write, at its place in the published layout: ``…/districts/NC-01.h5``.
        path_to_config: configuration (JSON) with ``validation``, ``inputs`` and ``areas.districts``, for the checks.
        path_to_record: record of the structural checks (JSON), to write. The job succeeds also if the file fails them.
        compression: of the columns.
        takeup_filter: programmes to draw. All others are true.
        at_large_code: digits by which the file writes the district of an at-large seat.
        form: a dataset for each variable and period, or a table for each entity.

    Assumes:
        The fingerprint was made from the same prepared files.
    """
    planned = read_request(path_to_request)
    opened = open_once(path_to_snapshot, path_to_blocks, path_to_clones, path_to_takeup, path_to_config)
    run_area_job(
        planned.request,
        opened.inputs,
        results_folder(planned.request, path_to_output),
        path_to_record,
        options=BuildOptions(compression, takeup_filter, at_large_code, form),
        fingerprint=planned.fingerprint,
        schema=opened.schema,
        structural=opened.structural,
    )


if __name__ == "__main__":
    run(build_area_file)
