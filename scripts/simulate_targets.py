"""Model runs for the targets: each household once, several files in a run, and nothing twice."""

import json
from dataclasses import asdict
from pathlib import Path

from local_h5.config.settings import Settings
from local_h5.files.atomic import write_text
from local_h5.files.digests import DigestMemo
from local_h5.runs.target_records import simulation_basis
from local_h5.validation.targets.country_model import CountryModel
from local_h5.validation.targets.run import TargetRun
from local_h5.workflow.command import run


def simulate_targets(path_to_config: Path, path_to_targets: Path, part: int, path_to_output: Path) -> None:
    """Calculate the values that a part of the areas needs.

    Args:
        path_to_config: resolved configuration (JSON).
        path_to_targets: target database (SQLite).
        part: number of the process.
        path_to_output: number of runs (JSON), to write last.

    Assumes:
        The areas of the part are built. Their values are stored below ``validation/values`` and used again.
    """
    settings = Settings.read(path_to_config)
    basis = simulation_basis(settings, part, DigestMemo.open(settings.layout.memo))
    target_run = TargetRun.open(settings, path_to_targets)
    runs = target_run.simulate_part(part, CountryModel)
    values = [path.relative_to(settings.results).as_posix() for path in target_run.values_of_part(part)]
    write_text(path_to_output, json.dumps({**asdict(runs), "values": values, "basis": basis}, indent=1) + "\n")


if __name__ == "__main__":
    run(simulate_targets)
