"""Compute the fingerprint that the file of each area must have."""

from pathlib import Path

from local_h5.config.settings import Settings
from local_h5.runs.forecast import compute
from local_h5.runs.plan_file import write_catalog, write_dictionary, write_plan, write_requests
from local_h5.workflow.command import run


def plan_areas(path_to_config: Path, path_to_catalog: Path, path_to_dictionary: Path, path_to_plan: Path) -> None:
    """Write the area catalog, the request of each area's job, what the variables mean, and the plan.

    Args:
        path_to_config: resolved configuration (JSON).
        path_to_catalog: typed requests of all areas (JSON), to write.
        path_to_dictionary: what the variables of the files mean, as the snapshot has it (JSON), to write.
        path_to_plan: fingerprint of every area (JSON), to write last.

    Assumes:
        The prepared files below ``results/prepared`` are up to date.
    """
    settings = Settings.read(path_to_config)
    expected = compute(settings)
    write_requests(settings, expected)
    write_catalog(path_to_catalog, settings.requests)
    write_dictionary(settings, path_to_dictionary)
    write_plan(path_to_plan, expected)


if __name__ == "__main__":
    run(plan_areas)
