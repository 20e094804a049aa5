"""Many areas in one process, from one loaded state, for scripts, cloud functions and notebooks.

:func:`run_areas` builds typed requests and returns one outcome for each: completed, failed or skipped. A failed area
never stops the others. The files and their sidecars are, byte for byte, those of the workflow's area jobs.

In a notebook, in the folder of a finished run (the folder that holds ``results``):

>>> from pathlib import Path
>>> from local_h5.requests import AreaBuildRequest, AreaFilter
>>> from local_h5.worker import WorkItem, WorkerState, run_areas
>>> state = WorkerState.open(Path("results"))
>>> mecklenburg = AreaBuildRequest("custom", "mecklenburg", "Charlotte", (AreaFilter("county", "eq", ("37119",)),))
>>> typo = AreaBuildRequest("custom", "typo", "No such county", (AreaFilter("county", "eq", ("37991",)),))
>>> result = run_areas([WorkItem(mecklenburg), WorkItem(typo)], state, Path("own"))
>>> [(outcome.key, outcome.status, outcome.phase) for outcome in result.outcomes]
[('custom:mecklenburg', 'completed', None), ('custom:typo', 'failed', 'request')]
>>> sorted(path.name for path in Path("own", "custom").iterdir())
['mecklenburg.h5', 'mecklenburg.h5.result.json']
>>> print(result.outcomes[1].message)
custom typo: filter.county: expected codes that the geography has (6 known), found unknown 37991. Correct the code; ...

An item with the fingerprint of its file is skipped while the file is there and has that fingerprint; see
:class:`WorkItem`, and :mod:`local_h5.runs.work_items` for the fingerprints of a planned run.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from local_h5.contracts.work_items import WorkItem, read_items, write_items

if TYPE_CHECKING:
    from local_h5.contracts.work_results import AreaOutcome, WorkResult
    from local_h5.worker.legacy import legacy_view
    from local_h5.worker.service import run_areas
    from local_h5.worker.state import WorkerState

__all__ = [
    "AreaOutcome",
    "WorkItem",
    "WorkResult",
    "WorkerState",
    "legacy_view",
    "read_items",
    "run_areas",
    "write_items",
]

_ON_USE = {
    "AreaOutcome": "local_h5.contracts.work_results",
    "WorkResult": "local_h5.contracts.work_results",
    "WorkerState": "local_h5.worker.state",
    "legacy_view": "local_h5.worker.legacy",
    "run_areas": "local_h5.worker.service",
}
"""Names imported on use. An area job imports this package and needs none of them."""


def __getattr__(name: str) -> Any:
    if name in _ON_USE:
        return getattr(import_module(_ON_USE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
