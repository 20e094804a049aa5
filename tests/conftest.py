"""The golden case, and the path to helpers that several folders of tests share."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from local_h5.build import PreparedInputs
from local_h5.clones import CloneIndex
from local_h5.geography.blocks import build_block_table
from local_h5.geography.canonical import Geography
from local_h5.geography.load import load_geography
from local_h5.geography.tables import BlockTableFiles
from local_h5.prepare import load_variable_rules, prepare_snapshot, takeup_from_snapshot
from local_h5.snapshot import SourceSnapshot
from local_h5.source import read_source
from local_h5.takeup.programmes import load_programmes
from local_h5.takeup.table import Takeup
from local_h5.weights import load_weights

sys.path.insert(0, str(Path(__file__).parent / "support"))

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "data" / "golden"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one worker alone load the model, keep each other file together, and begin what takes long first.

    Workers (``-n 2 --dist loadgroup --no-loadscope-reorder``) take the groups in this order; the last ones are short.
    """
    order = []
    for item in items:
        model, workflow = (item.get_closest_marker(name) is not None for name in ("model", "workflow"))
        item.add_marker(pytest.mark.xdist_group("model" if model else str(item.path.relative_to(ROOT))))
        order.append((not model, not workflow, "pe_data" not in item.path.parts))
    items[:] = [items[place] for place in sorted(range(len(items)), key=order.__getitem__)]


def tables_in(folder: Path) -> BlockTableFiles:
    return BlockTableFiles(
        folder / "block_cd_distributions.csv.gz", folder / "block_crosswalk.csv.gz", folder / "msa_definitions.csv"
    )


@dataclass(frozen=True)
class GoldenCase:
    """The golden inputs; whatever needs the model comes from :func:`golden_snapshot`."""

    folder: Path
    weights: np.ndarray
    geography: Geography
    inputs_without_takeup: Callable[[SourceSnapshot, Takeup], PreparedInputs]


@pytest.fixture(scope="session")
def golden() -> GoldenCase:
    geography = load_geography(GOLDEN / "geography_plain.npz", 2000)
    weights = load_weights(GOLDEN / "weights.npy", 2000, 10)
    blocks = build_block_table(geography, tables_in(GOLDEN / "tables"))
    clones = CloneIndex.build(weights, geography, blocks)
    return GoldenCase(
        GOLDEN, weights, geography, lambda snapshot, takeup: PreparedInputs(snapshot, blocks, clones, takeup)
    )


@pytest.fixture(scope="session")
def golden_snapshot() -> SourceSnapshot:
    """The snapshot of the golden source by the installed model: the one import of it that these tests share."""
    rules = load_variable_rules(ROOT / "config" / "variables.yaml")
    return prepare_snapshot(read_source(GOLDEN / "dataset.h5"), rules, load_programmes())


@pytest.fixture(scope="session")
def golden_inputs(golden: GoldenCase, golden_snapshot: SourceSnapshot) -> PreparedInputs:
    """Prepared as a run prepares: reports anchor the draws, by clone."""
    takeup = takeup_from_snapshot(golden_snapshot, golden.geography, load_programmes())
    return golden.inputs_without_takeup(golden_snapshot, takeup)
