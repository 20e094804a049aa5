"""What is prepared of a dataset with weights and places of its own, in place of a calibration package."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from local_h5.areas import read_districts
from local_h5.contracts.results import OwnTakeup
from local_h5.inputs.geography.block_table import BlockTable
from local_h5.inputs.geography.own import OwnPlaces, read_own_places
from local_h5.inputs.membership import keep_ids
from local_h5.inputs.source import SourceDataset
from local_h5.prepared.clones import CloneIndex
from local_h5.prepared.files import PreparedInputs
from local_h5.prepared.snapshot import SourceSnapshot
from local_h5.takeup.programmes import Programme
from local_h5.takeup.table import Takeup


class OwnInputs(NamedTuple):
    """What is prepared of a source with weights and places of its own, besides its snapshot."""

    blocks: BlockTable
    clones: CloneIndex
    takeup: Takeup
    places: OwnPlaces

    def with_snapshot(self, snapshot: SourceSnapshot) -> PreparedInputs:
        """All inputs of area builds."""
        return PreparedInputs(snapshot, self.blocks, self.clones, self.takeup)


def prepare_own_places(
    source: SourceDataset, programmes: Sequence[Programme], districts: Path | None = None
) -> OwnInputs:
    """Places, weights and take-up of a source that has them itself. Each household is one row; nothing is drawn.

    Args:
        source: checked.
        programmes: whose take-up is listed, as kept or as absent.
        districts: table of the districts that the source must have, no more and no fewer; None for any.

    Raises:
        InputError: malformed, contradicting itself, or of another Congress.
    """
    keep_ids(source.path, source.membership, source.ids)  # refuses what the snapshot would, before the model is loaded
    places = read_own_places(source, () if districts is None else read_districts(districts), districts)
    rows = np.flatnonzero(places.weight > 0)
    clones = CloneIndex.of_rows(
        rows,
        places.weight[rows],
        places.block[rows],
        places.district[rows],
        np.unique(places.district),
        places.blocks,
        len(places.weight),
        1,
    )
    names = [programme.variable for programme in programmes]
    own = OwnTakeup(
        tuple(name for name in names if name in source.periods),
        tuple(name for name in names if name not in source.periods),
    )
    return OwnInputs(places.blocks, clones, Takeup(source.year, "anchor", "clone", (), own), places)
