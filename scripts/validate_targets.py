"""One area's file against its targets; the verdict is recorded, and a bad file is no failure of this job."""

from dataclasses import replace
from pathlib import Path

from local_h5.results import read_sidecar
from local_h5.settings import Settings
from local_h5.validation.records import write_record
from local_h5.validation.run import TargetRun
from local_h5.workflow.command import run
from local_h5.workflow.digests import DigestMemo
from local_h5.workflow.main_process import memo_path
from local_h5.workflow.target_records import record_basis


def validate_targets(path_to_config: Path, path_to_targets: Path, path_to_sidecar: Path, path_to_record: Path) -> None:
    """Record how far an area's file is off its targets.

    Args:
        path_to_config: resolved configuration (JSON).
        path_to_targets: target database (SQLite).
        path_to_sidecar: result sidecar of the area (JSON).
        path_to_record: record of the verdict (JSON), to write.

    Assumes:
        ``simulate_targets.py`` has calculated the values.
    """
    settings = Settings.read(path_to_config)
    request = read_sidecar(path_to_sidecar).request
    basis = record_basis(settings, request, DigestMemo.open(memo_path(settings)))
    record = TargetRun.open(settings, path_to_targets).validate(request)
    write_record(path_to_record, replace(record, basis=basis))


if __name__ == "__main__":
    run(validate_targets)
