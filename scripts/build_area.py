"""Build one area's H5 and, last, its result sidecar. Imports numpy and h5py, never the model."""

import argparse
import json
from pathlib import Path

from local_h5.area_job import run_area_job
from local_h5.build import BuildOptions
from local_h5.prepared import open_prepared
from local_h5.requests import AreaBuildRequest, results_folder
from local_h5.results import Fingerprint
from local_h5.validation.area import StructuralPolicy
from local_h5.validation.common_schema import common_schema
from local_h5.workflow.command import end_in_one_line
from local_h5.workflow.digests import write_mark


def build_area_file(
    path_to_order: Path,
    path_to_snapshot: Path,
    path_to_blocks: Path,
    path_to_clones: Path,
    path_to_takeup: Path,
    path_to_output: Path,
    path_to_marks: Path,
    path_to_config: Path,
    path_to_record: Path,
    options: BuildOptions,
) -> None:
    """Build the area that an order names.

    Args:
        path_to_order: request and fingerprint (JSON).
        path_to_snapshot: source snapshot.
        path_to_blocks: block table of the area's package.
        path_to_clones: clone index of the area's package.
        path_to_takeup: take-up table of the area's package.
        path_to_output: H5 to write, at its place in the published layout: ``…/districts/NC-01.h5``.
        path_to_marks: folder of digest marks, so that planning need not read the file again.
        path_to_config: configuration (JSON) with ``validation``, which says what the file has to satisfy, ``inputs``
            and ``areas.districts``.
        path_to_record: record of the structural checks (JSON), to write. A file that fails them fails no job.
        options: compression and take-up filter.

    Assumes:
        The order was made from the same prepared files.
    """
    order = json.loads(path_to_order.read_text(encoding="utf-8"))
    request = AreaBuildRequest.from_json(order["request"], path_to_order)
    inputs = open_prepared(path_to_snapshot, path_to_blocks, path_to_clones, path_to_takeup)
    result = run_area_job(
        request,
        inputs,
        results_folder(request, path_to_output),
        path_to_record,
        options=options,
        fingerprint=Fingerprint(**order["fingerprint"]),
        schema=common_schema(inputs),
        structural=StructuralPolicy.from_config(json.loads(path_to_config.read_text(encoding="utf-8"))),
    )
    write_mark(path_to_marks, path_to_output, result.output.sha256)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--order", type=Path, required=True, help="request and fingerprint (JSON)")
    parser.add_argument("--snapshot", type=Path, required=True, help="source snapshot")
    parser.add_argument("--blocks", type=Path, required=True, help="block table")
    parser.add_argument("--clones", type=Path, required=True, help="clone index")
    parser.add_argument("--takeup", type=Path, required=True, help="take-up table")
    parser.add_argument("--output", type=Path, required=True, help="H5 to write")
    parser.add_argument("--marks", type=Path, required=True, help="folder of digest marks")
    parser.add_argument("--config", type=Path, required=True, help="configuration (JSON)")
    parser.add_argument("--record", type=Path, required=True, help="record of the structural checks to write (JSON)")
    parser.add_argument("--compression", choices=("none", "gzip", "lzf"), default="none")
    parser.add_argument("--takeup-filter", nargs="*", help="programmes to draw; the others are all true")
    args = parser.parse_args()
    chosen = None if args.takeup_filter is None else tuple(args.takeup_filter)
    build_area_file(
        args.order,
        args.snapshot,
        args.blocks,
        args.clones,
        args.takeup,
        args.output,
        args.marks,
        args.config,
        args.record,
        BuildOptions(args.compression, chosen),
    )


if __name__ == "__main__":
    end_in_one_line(main)
