"""Build one area's H5 and, last, its result sidecar. Imports numpy and h5py, never the model."""

import argparse
import json
from pathlib import Path

from local_h5.build import BuildOptions, Provenance, build_area
from local_h5.prepared import open_prepared
from local_h5.requests import AreaBuildRequest
from local_h5.results import Fingerprint, write_sidecar
from local_h5.workflow.command import run
from local_h5.workflow.digests import write_mark


def build_area_file(
    path_to_order: Path,
    path_to_snapshot: Path,
    path_to_blocks: Path,
    path_to_clones: Path,
    path_to_takeup: Path,
    path_to_results: Path,
    path_to_marks: Path,
    options: BuildOptions,
) -> None:
    """Build the area that an order names.

    Args:
        path_to_order: request and fingerprint (JSON).
        path_to_snapshot: source snapshot.
        path_to_blocks: block table of the area's package.
        path_to_clones: clone index of the area's package.
        path_to_takeup: take-up table of the area's package.
        path_to_results: output folder; the file goes to its place in the published layout.
        path_to_marks: folder of digest marks, so that planning need not read the file again.
        options: compression and take-up filter.

    Assumes:
        The order was made from the same prepared files.
    """
    order = json.loads(path_to_order.read_text(encoding="utf-8"))
    request = AreaBuildRequest.from_json(order["request"], path_to_order)
    inputs = open_prepared(path_to_snapshot, path_to_blocks, path_to_clones, path_to_takeup)
    result = build_area(
        request, inputs, path_to_results, options=options, provenance=Provenance(Fingerprint(**order["fingerprint"]))
    )
    h5 = path_to_results / result.output.path
    write_mark(path_to_marks, h5, result.output.sha256)
    write_sidecar(h5, result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--order", type=Path, required=True, help="request and fingerprint (JSON)")
    parser.add_argument("--snapshot", type=Path, required=True, help="source snapshot")
    parser.add_argument("--blocks", type=Path, required=True, help="block table")
    parser.add_argument("--clones", type=Path, required=True, help="clone index")
    parser.add_argument("--takeup", type=Path, required=True, help="take-up table")
    parser.add_argument("--results", type=Path, required=True, help="output folder")
    parser.add_argument("--marks", type=Path, required=True, help="folder of digest marks")
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
        args.results,
        args.marks,
        BuildOptions(args.compression, chosen),
    )


if __name__ == "__main__":
    run(main)
