"""The golden case, and the path to helpers that several folders of tests share."""

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from local_h5.inputs.geography.blocks import build_block_table
from local_h5.inputs.geography.canonical import Geography
from local_h5.inputs.geography.load import load_geography
from local_h5.inputs.geography.tables import BlockTableFiles
from local_h5.inputs.source import read_source
from local_h5.inputs.weights import load_weights
from local_h5.prepared.clones import CloneIndex
from local_h5.prepared.files import PreparedInputs
from local_h5.prepared.snapshot import SourceSnapshot
from local_h5.prepared.steps import load_variable_rules, prepare_snapshot, takeup_from_snapshot
from local_h5.takeup.programmes import load_programmes
from local_h5.takeup.table import Takeup

sys.path.insert(0, str(Path(__file__).parent / "support"))

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "data" / "golden"


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores it, and so would all processes that the tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin what takes long first: with ``--no-loadscope-reorder``, workers take the files in this order.

    The worker that loads the model begins with the snapshots of the workflow's tests, whose turn comes later.
    """

    def rank(item: pytest.Item) -> tuple[bool, bool, bool, bool]:
        model, workflow = (item.get_closest_marker(name) is not None for name in ("model", "workflow"))
        return not model, not (model and workflow), "pe_data" not in item.path.parts, not workflow

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadfile``: files whole, and all that load the model to one worker."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class OneModel(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "model" if loads_model(ROOT / file) else file

    return OneModel(config, log)


@cache
def loads_model(file: Path) -> bool:
    """Whether a file's tests are marked so: the process that gives out tests has read none of them."""
    return "pytest.mark.model" in file.read_text()


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
