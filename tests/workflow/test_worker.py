"""A worker in a real run's folder writes what the area jobs wrote, and the workflow takes it for its own."""

import json

import pytest
from small_project import ALL, Project

from local_h5.runs.work_items import planned_items
from local_h5.worker import WorkResult, write_items

pytestmark = pytest.mark.workflow


def test_a_worker_mends_a_run(project: Project) -> None:
    expected = project.bytes_of_results()
    gone = ("districts/NC-01", "states/NY", "national/US")
    for area in gone:
        project.h5(area).unlink()
    project.sidecar("cities/NYC").unlink()
    items = planned_items(project.path("results"))
    assert {item.request.name for item in items} == ALL
    project.path("items.json").write_text(json.dumps(write_items(items)))
    project.command("scripts/run_worker.py", "--requests", "items.json", "--result", "result.json")
    result = WorkResult.from_json(json.loads(project.path("result.json").read_text()))
    built = {o.request.name for o in result.outcomes if o.status == "completed"}
    assert built == {*gone, "cities/NYC"}
    assert result.to_json()["counts"] == {"completed": 4, "failed": 0, "skipped": len(ALL) - 4}
    assert project.bytes_of_results() == expected
    # The same outside the run's folder, from the requests alone: the worker finds the fingerprints itself.
    requests = {"schema_version": 1, "areas": [{"request": item.request.to_json()} for item in items]}
    project.path("items.json").write_text(json.dumps(requests))
    project.command("scripts/run_worker.py", "--requests", "items.json", "--output", "own", "--result", "own.json")
    project.path("results").rename(project.path("kept"))
    project.path("own").rename(project.path("results"))
    assert project.bytes_of_results() == expected
    project.path("results").rename(project.path("own"))
    project.path("kept").rename(project.path("results"))
    assert project.run().built == set()
