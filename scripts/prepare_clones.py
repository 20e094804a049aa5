"""Index the household clones with a positive weight, so that area jobs need not scan all of them."""

from pathlib import Path

from local_h5.files.arrays import open_arrays, write_arrays
from local_h5.inputs.geography.block_table import BlockTable
from local_h5.inputs.geography.canonical import Geography
from local_h5.inputs.weights import load_weights
from local_h5.prepared.clones import CloneIndex
from local_h5.workflow.command import run


def prepare_clones(path_to_weights: Path, path_to_geography: Path, path_to_blocks: Path, path_to_output: Path) -> None:
    """Write the index of the household clones that have a positive weight.

    Args:
        path_to_weights: calibrated weights (npy), clones x households, clone-major.
        path_to_geography: canonical geography (array file).
        path_to_blocks: its block table (array file).
        path_to_output: clone index to write (array file).

    Assumes:
        Geography and block table come from the same ``prepare_geography`` run.
    """
    geography = open_arrays(path_to_geography, Geography)
    weights = load_weights(path_to_weights, geography.n_households, geography.n_clones)
    blocks = open_arrays(path_to_blocks, BlockTable)
    write_arrays(path_to_output, CloneIndex.build(weights, geography, blocks))


if __name__ == "__main__":
    run(prepare_clones)
