"""Check areas' files against their targets and record the verdicts. The job succeeds also for a bad file."""

from pathlib import Path

from msgspec.structs import replace

from local_h5.contracts.records import write_record
from local_h5.contracts.results import read_sidecar
from local_h5.errors import ResultError
from local_h5.files.digests import DigestMemo
from local_h5.runs.target_records import record_basis
from local_h5.validation.targets.run import TargetRun
from local_h5.workflow.command import run


def validate_targets(
    path_to_config: Path, path_to_targets: Path, paths_to_sidecar: tuple[Path, ...], paths_to_record: tuple[Path, ...]
) -> None:
    """Record the errors of areas' files against their targets.

    Configuration, targets and each state's file are read once for all areas.

    Args:
        path_to_config: resolved configuration (JSON).
        path_to_targets: target database (SQLite).
        paths_to_sidecar: result sidecars of the areas (JSON), one or several.
        paths_to_record: record of the verdict (JSON) to write for each of them, in the same order.

    Assumes:
        ``simulate_targets.py`` has calculated the values.
    """
    if len(paths_to_sidecar) != len(paths_to_record):
        raise ResultError(
            f"records: expected as many as sidecars, {len(paths_to_sidecar)}, found {len(paths_to_record)}. Name "
            "one record for each sidecar."
        )
    target_run = TargetRun.read(path_to_config, path_to_targets)
    memo = DigestMemo.open(target_run.settings.layout.memo)
    records = {
        read_sidecar(path).request: to_write for path, to_write in zip(paths_to_sidecar, paths_to_record, strict=True)
    }
    for request, verdict in target_run.check(records):
        write_record(records[request], replace(verdict, basis=record_basis(target_run.settings, request, memo)))


if __name__ == "__main__":
    run(validate_targets)
