"""A prepared run in a folder, without the model, and nothing built in it: what a worker is tested on."""

import json
from dataclasses import dataclass
from pathlib import Path

from coded_world import CodedWorld
from plain_model import own_snapshot_without_model
from validation_world import Run

from local_h5.files.arrays import write_arrays
from local_h5.inputs.source import read_source
from local_h5.prepared.own import prepare_own_places
from local_h5.prepared.steps import load_variable_rules
from local_h5.requests import AreaBuildRequest
from local_h5.takeup.programmes import load_programmes
from local_h5.worker import WorkerState

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Prepared:
    """A folder in which a worker can run: ``results/prepared`` and the scripts."""

    folder: Path
    run: Run

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def state(self) -> WorkerState:
        return WorkerState.open(self.results)

    def request(self, area_id: str) -> AreaBuildRequest:
        return self.run.request(area_id)


def write_prepared(folder: Path, run: Run, name: str = "regional") -> Prepared:
    """Write a run's prepared inputs, of a package of that name, and its configuration where the workflow has them."""
    prepared = folder / "results" / "prepared"
    package = prepared / name
    package.mkdir(parents=True)
    write_arrays(prepared / "source_snapshot.h5", run.inputs.snapshot)
    write_arrays(package / "blocks.h5", run.inputs.blocks)
    write_arrays(package / "clones.h5", run.inputs.clones)
    write_arrays(package / "takeup.h5", run.inputs.takeup)
    (prepared / "config.json").write_text(json.dumps(run.config))
    for shipped in ("scripts", "config"):
        (folder / shipped).symlink_to(ROOT / shipped)
    return Prepared(folder, run)


def coded_run(folder: Path, like: Run) -> Run:
    """The prepared inputs of an area-coded dataset, with the configuration of another run besides."""
    world = CodedWorld(folder)
    world.write()
    source = read_source(world.source)
    made = prepare_own_places(source, load_programmes())
    snapshot = own_snapshot_without_model(source, load_variable_rules(ROOT / "config" / "variables.yaml"))
    inputs = {"dataset": str(world.source), "weights": "from_dataset", "geography": "from_dataset"}
    config = {**like.config, "inputs": {**like.config["inputs"], **inputs}}
    return Run(folder, config, made.with_snapshot(snapshot))
