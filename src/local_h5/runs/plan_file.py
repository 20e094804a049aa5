"""The plan: the fingerprint that each area must have, and one file per area for its job.

``plan.json`` has all of them, for the main process. ``requests/<folder>/<area>.json`` has the part that one job needs:
reading the plan of 50,000 areas would take longer than the job.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from local_h5.config.settings import Settings
from local_h5.contracts.dictionary import RunDictionary
from local_h5.contracts.results import Fingerprint
from local_h5.contracts.work_items import WorkItem
from local_h5.errors import PreparedError
from local_h5.files import forms
from local_h5.files.atomic import write_text
from local_h5.requests import AreaBuildRequest


def write_catalog(path: Path, requests: tuple[AreaBuildRequest, ...]) -> None:
    """Write the areas of a run."""
    write_text(path, forms.text(requests, path, PreparedError))


def read_catalog(path: Path) -> tuple[AreaBuildRequest, ...]:
    """What :func:`write_catalog` wrote.

    Raises:
        PreparedError: missing, not JSON, or of another form.
    """
    return forms.read(path, tuple[AreaBuildRequest, ...], PreparedError, "the areas of a run", PLAN_AGAIN)


def write_plan(path: Path, expected: Mapping[str, Fingerprint]) -> None:
    """Write the fingerprint that each area must have, by relative path."""
    write_text(path, forms.text(dict(expected), path, PreparedError, indent=0, sort=True))


def write_dictionary(settings: Settings, path: Path) -> None:
    """Write what the variables of the run's files mean, as the snapshot has it."""
    # Imported on use: numpy and h5py, which the main process does without.
    from local_h5.files.arrays import open_arrays
    from local_h5.prepared.snapshot import SourceSnapshot

    made = open_arrays(settings.layout.snapshot, SourceSnapshot).dictionary
    empty = forms.text(RunDictionary(()), path, PreparedError, sort=True)
    write_text(path, made.tobytes().decode() if made.size else empty)


def read_plan(path: Path) -> dict[str, Fingerprint]:
    """What :func:`write_plan` wrote.

    Raises:
        PreparedError: missing, not JSON, or of another form.
    """
    return forms.read(path, dict[str, Fingerprint], PreparedError, "the plan of a run", PLAN_AGAIN)


PLAN_AGAIN = "Let the workflow plan: snakemake --cores 2 results/prepared/plan.json."


def write_requests(settings: Settings, expected: Mapping[str, Fingerprint]) -> None:
    """Write the request of each area's job where it is missing or differs."""
    for request in lost_requests(settings, settings.requests, expected):
        path = settings.layout.request(request)
        write_text(path, forms.text(_item(request, expected), path, PreparedError, sort=True))


def lost_requests(
    settings: Settings, requests: Iterable[AreaBuildRequest], expected: Mapping[str, Fingerprint]
) -> list[AreaBuildRequest]:
    """The areas whose file of :func:`write_requests` is missing or differs."""
    layout = settings.layout
    return [
        request
        for request in requests
        if not forms.is_written(layout.request(request), _item(request, expected), PreparedError, sort=True)
    ]


def _item(request: AreaBuildRequest, expected: Mapping[str, Fingerprint]) -> WorkItem:
    return WorkItem(request, expected[request.key])
