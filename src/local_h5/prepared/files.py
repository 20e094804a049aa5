"""The prepared files on disk: written by the prepare steps, memory-mapped by area jobs."""

from pathlib import Path

from msgspec import Struct

from local_h5.files.arrays import open_arrays
from local_h5.inputs.geography.block_table import BlockTable
from local_h5.inputs.membership import check_ids_fit
from local_h5.prepared.clones import CloneIndex
from local_h5.prepared.snapshot import SourceSnapshot
from local_h5.takeup.table import Takeup


class PreparedInputs(Struct, frozen=True):
    """All inputs of area builds, shared by the areas of a calibration package."""

    snapshot: SourceSnapshot
    blocks: BlockTable
    clones: CloneIndex
    takeup: Takeup

    def __post_init__(self) -> None:
        """Refuse more clones than fit into the ids of units (SourceError)."""
        check_ids_fit(self.snapshot.membership, self.clones.n_clones)


def open_prepared(snapshot: Path, blocks: Path, clones: Path, takeup: Path) -> PreparedInputs:
    """Memory-map everything that an area build reads.

    Raises:
        PreparedError: a file is missing, damaged or of another version.
    """
    return PreparedInputs(
        open_arrays(snapshot, SourceSnapshot),
        open_arrays(blocks, BlockTable),
        open_arrays(clones, CloneIndex),
        open_arrays(takeup, Takeup),
    )
