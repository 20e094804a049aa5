"""A run's areas as batches for several workers, without Snakemake."""

import heapq
from collections.abc import Iterable, Sequence

from local_h5.contracts.work_items import WorkItem
from local_h5.contracts.work_results import AreaOutcome, WorkResult
from local_h5.errors import RequestError, ResultError
from local_h5.worker.state import WorkerState

AREA_COST = 14_000
"""Fixed cost of an area, in household clones: about 0.11 CPU-seconds for its groups and datasets, at about 8
microseconds a clone (benchmarks/README.md)."""


def costs(items: Iterable[WorkItem], state: WorkerState) -> list[int]:
    """Work of each item, in household clones. An area that cannot be built has the fixed cost only."""
    return [_clones(item, state) + AREA_COST for item in items]


def split(items: Sequence[WorkItem], costs: Sequence[int], n_batches: int) -> list[tuple[WorkItem, ...]]:
    """At most ``n_batches`` batches of about equal cost: the dearest item first, always to the cheapest batch.

    The longest batch is at most 4/3 of the best possible one (Graham). Equal arguments give equal batches; none is
    empty.

    Args:
        items: to split.
        costs: (len(items),), of each, at least 1.
        n_batches: at least 1.
    """
    if n_batches < 1:
        raise RequestError(f"batches: expected at least 1, found {n_batches}. Correct the argument.")
    batches: list[list[WorkItem]] = [[] for _ in range(min(n_batches, len(items)))]
    loads = [(0, number) for number in range(len(batches))]
    for cost, item in sorted(zip(costs, items, strict=True), key=lambda pair: -pair[0]):
        load, number = loads[0]
        batches[number].append(item)
        heapq.heapreplace(loads, (load + cost, number))
    return [tuple(batch) for batch in batches]


def lost(items: Iterable[WorkItem], error: BaseException) -> WorkResult:
    """The result of a batch whose worker ended before it could answer. Files that it finished are kept."""
    text = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(": ")
    message = f"the worker ended before it answered ({text}). Run again: what it had finished is skipped."
    return WorkResult(
        tuple(
            AreaOutcome(item.request, "failed", 0.0, phase="worker", error=type(error).__name__, message=message)
            for item in items
        )
    )


def collect(batches: Iterable[Sequence[WorkItem]], answers: Iterable[object]) -> WorkResult:
    """One result of many workers.

    Args:
        batches: as they were sent.
        answers: of each, in order: the JSON of its result, or the exception that came instead.
    """
    return WorkResult.joined(_answer(batch, answer) for batch, answer in zip(batches, answers, strict=True))


def _answer(batch: Sequence[WorkItem], answer: object) -> WorkResult:
    if isinstance(answer, BaseException):
        return lost(batch, answer)
    try:
        return WorkResult.from_json(answer)
    except ResultError as error:
        return lost(batch, error)


def _clones(item: WorkItem, state: WorkerState) -> int:
    inputs = state.packages.get(item.request.package)
    if inputs is None:
        return 0
    try:
        return len(inputs.clones.select(item.request, inputs.blocks))
    except RequestError:
        return 0
