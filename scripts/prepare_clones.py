"""Index the household clones with a positive weight, so that an area's rows are found without scanning."""

import argparse
from pathlib import Path

from local_h5.clones import CloneIndex
from local_h5.prepared import open_blocks, open_geography
from local_h5.weights import load_weights
from local_h5.workflow.command import run


def prepare_clones(path_to_weights: Path, path_to_geography: Path, path_to_blocks: Path, path_to_clones: Path) -> None:
    """Write the clone index.

    Args:
        path_to_weights: ``.npy``, clones x households, clone-major.
        path_to_geography: canonical geography.
        path_to_blocks: its block table.
        path_to_clones: array file to write.

    Assumes:
        Geography and block table come from the same ``prepare_geography`` run.
    """
    geography = open_geography(path_to_geography)
    weights = load_weights(path_to_weights, geography.n_households, geography.n_clones)
    CloneIndex.build(weights, geography, open_blocks(path_to_blocks)).write(path_to_clones)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="calibrated weights (npy)")
    parser.add_argument("--geography", type=Path, required=True, help="canonical geography")
    parser.add_argument("--blocks", type=Path, required=True, help="block table")
    parser.add_argument("--output", type=Path, required=True, help="array file to write")
    args = parser.parse_args()
    prepare_clones(args.weights, args.geography, args.blocks, args.output)


if __name__ == "__main__":
    run(main)
