"""Batches of about equal work."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worker_world import Prepared

from local_h5.errors import RequestError, ResultError
from local_h5.requests import AreaBuildRequest, AreaFilter
from local_h5.worker import WorkItem, WorkResult
from local_h5.worker.batches import AREA_COST, costs, lost, split


def items(number: int) -> list[WorkItem]:
    return [WorkItem(AreaBuildRequest("custom", f"a{place}", "")) for place in range(number)]


@settings(deadline=None)
@given(st.lists(st.integers(1, 10**7), max_size=60), st.integers(1, 12))
def test_every_item_once_and_loads_near_each_other(work: list[int], n_batches: int) -> None:
    listed = items(len(work))
    batches = split(listed, work, n_batches)
    assert sorted(item.request.area_id for batch in batches for item in batch) == sorted(
        item.request.area_id for item in listed
    )
    assert len(batches) == min(n_batches, len(listed))
    assert all(batches)
    cost = dict(zip(listed, work, strict=True))
    loads = [sum(cost[item] for item in batch) for batch in batches]
    if loads:
        # A batch got its last item while it was the cheapest.
        assert max(loads) <= sum(work) / len(loads) + max(work)
        assert all(loads[place] - cost[batch[-1]] <= min(loads) for place, batch in enumerate(batches))
    assert batches == split(listed, work, n_batches)


def test_the_dearest_goes_alone() -> None:
    nation, *others = items(7)
    batches = split([*others, nation], [1, 1, 1, 1, 1, 1, 100], 3)
    assert batches[0] == (nation,)
    assert [len(batch) for batch in batches] == [1, 3, 3]


def test_no_batches_is_refused() -> None:
    with pytest.raises(RequestError, match="batches: expected at least 1, found 0"):
        split(items(2), [1, 1], 0)


def test_costs_are_household_clones(prepared: Prepared) -> None:
    unknown = AreaBuildRequest("custom", "unknown", "?", (AreaFilter("county", "eq", ("37991",)),))
    elsewhere = AreaBuildRequest("custom", "elsewhere", "?", (), "national")
    nation, state = prepared.request("US"), prepared.request("NC")
    found = costs([WorkItem(request) for request in (nation, state, unknown, elsewhere)], prepared.state)
    clones = prepared.run.inputs.clones
    in_state = len(clones.select(state, prepared.run.inputs.blocks))
    assert found == [len(clones) + AREA_COST, in_state + AREA_COST, AREA_COST, AREA_COST]
    assert 0 < in_state < len(clones)


def test_a_lost_batch_says_so_for_each_area() -> None:
    result = lost(items(2), TimeoutError("after 3600 s\nand more"))
    assert [(o.status, o.phase, o.error) for o in result.outcomes] == [("failed", "worker", "TimeoutError")] * 2
    assert "(TimeoutError: after 3600 s)" in (result.outcomes[0].message or "")
    assert result.to_json()["counts"]["failed"] == 2


def test_counts_are_those_of_the_areas() -> None:
    item = WorkItem(AreaBuildRequest("district", "NC-01", "NC-01"))
    document = lost([item], RuntimeError("gone")).to_json()
    assert document["counts"] == {"completed": 0, "failed": 1, "skipped": 0}
    assert WorkResult.from_json(document).to_json() == document
    for wrong in ({"completed": 1, "failed": 0, "skipped": 0}, {"completed": 0, "failed": 0, "skipped": 0}):
        with pytest.raises(ResultError, match="counts: expected 0 completed, 1 failed, 0 skipped"):
            WorkResult.from_json({**document, "counts": wrong})
    del document["counts"]
    assert WorkResult.from_json(document).counts.failed == 1
