"""A run's areas for a worker (:mod:`local_h5.worker`): planned fingerprints, and those of this machine's inputs."""

from pathlib import Path

from local_h5.config.layout import Layout
from local_h5.contracts.work_items import WorkItem
from local_h5.errors import PreparedError
from local_h5.runs.fingerprint import Fingerprints
from local_h5.runs.plan_file import PLAN_AGAIN, read_catalog, read_plan
from local_h5.worker.service import FingerprintOf
from local_h5.worker.state import WorkerState


def planned_items(results: Path) -> tuple[WorkItem, ...]:
    """Every area of a planned run, with the fingerprint that its file must have.

    Args:
        results: the run's results folder.

    Raises:
        PreparedError: there is no plan, or it is not the catalog's.
    """
    layout = Layout(results)
    catalog = read_catalog(layout.catalog)
    plan = read_plan(layout.plan)
    if plan.keys() != {request.key for request in catalog}:
        raise PreparedError(
            f"{layout.prepared}: expected catalog.json and plan.json of one run, found other areas in each. "
            f"{PLAN_AGAIN}"
        )
    return tuple(WorkItem(request, plan[request.key]) for request in catalog)


def fingerprints_here(state: WorkerState) -> FingerprintOf:
    """The fingerprint of each area from this process's prepared files, code and versions.

    They are computed as in planning, so that a worker writes the same sidecars as the workflow, and at the same cost
    per area. Run it in the folder of ``scripts``, because they count as code.

    Args:
        state: the worker's.
    """
    made = {name: Fingerprints(inputs, state.options) for name, inputs in state.packages.items()}
    return lambda request: made[request.package].of(request, state.structural.decides(request))
