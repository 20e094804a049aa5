"""Bring an exact geography into its one canonical form and look its blocks up in the block tables."""

import argparse
from pathlib import Path

from local_h5.geography.tables import BlockTableFiles
from local_h5.prepare import prepare_geography
from local_h5.prepared import write_blocks, write_geography
from local_h5.workflow.command import run


def write_prepared_geography(
    path_to_geography: Path,
    path_to_dataset: Path,
    tables: BlockTableFiles,
    path_to_districts: Path,
    unknown_blocks: str,
    path_to_canonical: Path,
    path_to_blocks: Path,
) -> None:
    """Write the canonical geography and the block table of all its blocks.

    Args:
        path_to_geography: any of the three forms of an exact geography.
        path_to_dataset: source dataset; its households are counted.
        tables: the public block tables.
        path_to_districts: districts that the geography must have, no more and no fewer.
        unknown_blocks: ``error`` or ``allow``.
        path_to_canonical: array file to write.
        path_to_blocks: array file to write.

    Assumes:
        Block tables and districts are of the same Congress.
    """
    geography, blocks = prepare_geography(
        path_to_geography,
        path_to_dataset,
        tables,
        path_to_districts,
        "allow" if unknown_blocks == "allow" else "error",
    )
    write_geography(path_to_canonical, geography)
    write_blocks(path_to_blocks, blocks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--geography", type=Path, required=True, help="npz, package or stacked blocks")
    parser.add_argument("--dataset", type=Path, required=True, help="source dataset H5")
    parser.add_argument("--block-districts", type=Path, required=True, help="block to district (CSV)")
    parser.add_argument("--block-crosswalk", type=Path, required=True, help="block to other fields (CSV)")
    parser.add_argument("--county-cbsa", type=Path, required=True, help="county to CBSA (CSV)")
    parser.add_argument("--districts", type=Path, required=True, help="districts to expect (CSV)")
    parser.add_argument("--unknown-blocks", choices=("error", "allow"), default="error")
    parser.add_argument("--output-geography", type=Path, required=True, help="array file to write")
    parser.add_argument("--output-blocks", type=Path, required=True, help="array file to write")
    args = parser.parse_args()
    write_prepared_geography(
        args.geography,
        args.dataset,
        BlockTableFiles(args.block_districts, args.block_crosswalk, args.county_cbsa),
        args.districts,
        args.unknown_blocks,
        args.output_geography,
        args.output_blocks,
    )


if __name__ == "__main__":
    run(main)
