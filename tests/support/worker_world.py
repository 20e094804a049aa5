"""A prepared run in a folder, without the model, and nothing built in it: what a worker is tested on."""

import json
from dataclasses import dataclass
from pathlib import Path

from validation_world import Run

from local_h5.files.arrays import write_arrays
from local_h5.requests import AreaBuildRequest
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


def write_prepared(folder: Path, run: Run) -> Prepared:
    """Write a run's prepared inputs and configuration where the workflow has them."""
    prepared = folder / "results" / "prepared"
    package = prepared / "regional"
    package.mkdir(parents=True)
    write_arrays(prepared / "source_snapshot.h5", run.inputs.snapshot)
    write_arrays(package / "blocks.h5", run.inputs.blocks)
    write_arrays(package / "clones.h5", run.inputs.clones)
    write_arrays(package / "takeup.h5", run.inputs.takeup)
    (prepared / "config.json").write_text(json.dumps(run.config))
    for name in ("scripts", "config"):
        (folder / name).symlink_to(ROOT / name)
    return Prepared(folder, run)
