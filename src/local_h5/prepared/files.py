"""The prepared files on disk: written by the prepare steps, memory-mapped by area jobs."""

from dataclasses import dataclass
from pathlib import Path

from local_h5.files.arrays import ArrayFile, write_array_file
from local_h5.inputs.geography.block_table import BlockTable
from local_h5.inputs.geography.canonical import Geography
from local_h5.inputs.membership import check_ids_fit
from local_h5.prepared.clones import CloneIndex
from local_h5.prepared.snapshot import SourceSnapshot
from local_h5.takeup.store import read_takeup
from local_h5.takeup.table import Takeup

GEOGRAPHY = ("geography", 1)
BLOCKS = ("block_table", 1)
"""Kind and version of the array files."""


@dataclass(frozen=True, slots=True)
class PreparedInputs:
    """Everything that area builds read; made once, shared by all areas of a calibration package."""

    snapshot: SourceSnapshot
    blocks: BlockTable
    clones: CloneIndex
    takeup: Takeup

    def __post_init__(self) -> None:
        """Refuse more clones than the ids of units have room for (SourceError)."""
        check_ids_fit(self.snapshot.membership, self.clones.n_clones)


def write_geography(path: Path, geography: Geography) -> None:
    """Write the canonical geography as one array file."""
    kind, version = GEOGRAPHY
    write_array_file(
        path,
        kind=kind,
        version=version,
        arrays=geography.to_arrays(),
        metadata={"digest": geography.digest()},
    )


def open_geography(path: Path) -> Geography:
    """Memory-map what :func:`write_geography` wrote."""
    kind, version = GEOGRAPHY
    return Geography.from_arrays_dict(ArrayFile(path, kind=kind, version=version))


def write_blocks(path: Path, blocks: BlockTable) -> None:
    """Write the block table as one array file."""
    kind, version = BLOCKS
    write_array_file(path, kind=kind, version=version, arrays=blocks.to_arrays(), metadata={})


def open_blocks(path: Path) -> BlockTable:
    """Memory-map what :func:`write_blocks` wrote."""
    kind, version = BLOCKS
    return BlockTable.from_arrays_dict(ArrayFile(path, kind=kind, version=version))


def open_prepared(snapshot: Path, blocks: Path, clones: Path, takeup: Path) -> PreparedInputs:
    """Memory-map everything that an area build reads.

    Raises:
        PreparedError: a file is missing, damaged or of another version.
    """
    return PreparedInputs(
        SourceSnapshot.open(snapshot), open_blocks(blocks), CloneIndex.open(clones), read_takeup(takeup)
    )
