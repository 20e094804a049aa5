"""Convert an exact geography to its canonical form, and look its blocks up in the block tables."""

from pathlib import Path

from local_h5.files.arrays import write_arrays
from local_h5.inputs.geography.blocks import UnknownBlocks
from local_h5.inputs.geography.tables import BlockTableFiles
from local_h5.prepared.steps import prepare_geography
from local_h5.workflow.command import run


def write_prepared_geography(
    path_to_geography: Path,
    path_to_dataset: Path,
    path_to_block_districts: Path,
    path_to_block_crosswalk: Path,
    path_to_county_cbsa: Path,
    path_to_districts: Path,
    path_to_output_geography: Path,
    path_to_output_blocks: Path,
    unknown_blocks: UnknownBlocks = "error",
) -> None:
    """Write the canonical geography of a package and the block table of all its blocks.

    Args:
        path_to_geography: any of the three forms of an exact geography: npz, package or stacked blocks.
        path_to_dataset: source dataset H5; its households are counted.
        path_to_block_districts: block to district (CSV).
        path_to_block_crosswalk: block to other fields (CSV).
        path_to_county_cbsa: county to CBSA (CSV).
        path_to_districts: districts that the geography must have, no more and no fewer (CSV).
        path_to_output_geography: geography to write (array file).
        path_to_output_blocks: block table to write (array file).
        unknown_blocks: whether a block that is in no table is an error.

    Assumes:
        Block tables and districts are of the same Congress.
    """
    tables = BlockTableFiles(path_to_block_districts, path_to_block_crosswalk, path_to_county_cbsa)
    geography, blocks = prepare_geography(path_to_geography, path_to_dataset, tables, path_to_districts, unknown_blocks)
    write_arrays(path_to_output_geography, geography)
    write_arrays(path_to_output_blocks, blocks)


if __name__ == "__main__":
    run(write_prepared_geography)
