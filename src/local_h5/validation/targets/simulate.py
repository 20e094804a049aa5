"""Run the model over every household once, with several files in each run.

A file's households are cut into pieces. Pieces of several files form one run, until it has ``persons_per_run`` persons
or would have a household twice. Values of content that has not changed are kept. When there is nothing to calculate,
the model is not started.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from local_h5.errors import ModelError
from local_h5.files.arrays import write_arrays
from local_h5.inputs.membership import HOUSEHOLD, PERSON
from local_h5.validation.targets.country_model import Model
from local_h5.validation.targets.loaded_area import AreaFile
from local_h5.validation.targets.values import Values, Wanted, join, reform_name

INCOME_TAX = "income_tax"


@dataclass(frozen=True, slots=True)
class Task:
    """Households of a file that have to be calculated.

    Attributes:
        name: of the file, for messages.
        households: their rows in the file, ascending.
        content: these households alone.
        path: where their values go.
        whole: what is calculated instead, in one run of the whole file with its weights; None for a household's own
            values, which may be calculated in pieces and with those of other files.
    """

    name: str
    households: np.ndarray
    content: AreaFile
    path: Path
    whole: Wanted | None = None


@dataclass(slots=True)
class Runs:
    """What the runs cost."""

    baseline: int = 0
    reform: int = 0
    persons: int = 0
    reused: int = 0
    limit: int | None = None
    """``persons_per_run``, if a file was too large to be run as a whole."""
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Pending:
    """A task whose pieces are being calculated."""

    task: Task
    key: str
    pieces: list[dict[str, tuple[str, np.ndarray]]] = field(default_factory=list)
    problem: str = ""


def simulate(tasks: Iterable[Task], wanted: Wanted, start_model: Callable[[], Model], *, persons_per_run: int) -> Runs:
    """Calculate the values that are missing, and write them.

    Args:
        tasks: read one after the other, so that a generator keeps one file in memory.
        wanted: variables and reforms.
        start_model: called at most once, when something has to be calculated.
        persons_per_run: most persons of a model run, but for a household that alone has more. A file that is wanted
            whole and has more is left out.

    Returns:
        How many runs it took. A file that the model refuses is a problem in there and in its values, no exception.
    """
    runs = Runs()
    model: Model | None = None
    run: list[tuple[_Pending, AreaFile]] = []
    room = persons_per_run
    waiting: list[_Pending] = []
    for task in tasks:
        if task.whole is not None and task.content.n_rows[PERSON] > persons_per_run:
            task.path.unlink(missing_ok=True)
            runs.limit = persons_per_run
            continue
        key = (task.whole or wanted).key(task.content.digest(weights=task.whole is not None))
        if Values.read_if_current(task.path, key) is not None:
            runs.reused += 1
            continue
        pending = _Pending(task, key)
        if task.whole is not None:
            model = model or start_model()
            _calculate([(pending, task.content)], task.whole, model, runs)
            _finish([pending], task.whole, model, runs)
            continue
        waiting.append(pending)
        for piece in _pieces(task.content, persons_per_run):
            if run and (piece.n_rows[PERSON] > room or _shares_households(piece, run)):
                model = model or start_model()
                _calculate(run, wanted, model, runs)
                run, room = [], persons_per_run
                _finish([item for item in waiting if item is not pending], wanted, model, runs)
                waiting = [pending]
            run.append((pending, piece))
            room -= piece.n_rows[PERSON]
    if run:
        model = model or start_model()
        _calculate(run, wanted, model, runs)
        _finish(waiting, wanted, model, runs)
    return runs


def _shares_households(piece: AreaFile, run: Sequence[tuple[_Pending, AreaFile]]) -> bool:
    """Whether another file has brought one of the households to the run; an id may be there only once."""
    return any(np.isin(piece.ids[HOUSEHOLD], other.ids[HOUSEHOLD]).any() for _, other in run)


def _pieces(content: AreaFile, persons_per_run: int) -> Iterator[AreaFile]:
    if content.n_rows[PERSON] <= persons_per_run:
        yield content
        return
    size = np.bincount(content.unit_of[HOUSEHOLD], minlength=content.n_rows[HOUSEHOLD])
    part = np.maximum(np.cumsum(size) - 1, 0) // persons_per_run
    for number in np.unique(part):
        yield content.take(part == number)


def _calculate(run: Sequence[tuple[_Pending, AreaFile]], wanted: Wanted, model: Model, runs: Runs) -> None:
    """Run several pieces at once. If the model refuses them, run each alone, so that only the one at fault fails."""
    try:
        values = _run(AreaFile.concatenate([piece for _, piece in run]), wanted, model, runs)
    except ModelError as error:
        if len(run) == 1:
            run[0][0].problem = str(error)
            return
        for item in run:
            _calculate([item], wanted, model, runs)
        return
    start = dict.fromkeys(run[0][1].entities, 0)
    for pending, piece in run:
        end = {entity: first + piece.n_rows[entity] for entity, first in start.items()}
        pending.pieces.append(
            {name: (entity, array[start[entity] : end[entity]]) for name, (entity, array) in values.items()}
        )
        start = end


def _run(content: AreaFile, wanted: Wanted, model: Model, runs: Runs) -> dict[str, tuple[str, np.ndarray]]:
    known = [name for name in wanted.variables if model.entity_of(name) is not None]
    reforms = [name for name in wanted.reforms if model.entity_of(name) is not None]
    asked = model.in_order({*known, *([INCOME_TAX] if reforms else [])})
    with tempfile.TemporaryDirectory(prefix="local_h5_") as folder:
        path = Path(folder) / "households.h5"
        content.write(path)
        runs.baseline += 1
        runs.persons += content.n_rows[PERSON]
        values = dict(model.calculate(path, asked, wanted.year))
        gains = {}
        for name in reforms:
            runs.reform += 1
            gains[reform_name(name)] = model.income_tax_without(path, name, wanted.year) - values[INCOME_TAX]
    calculated = {name: (str(model.entity_of(name)), values[name]) for name in known}
    tax_unit = str(model.entity_of(INCOME_TAX)) if reforms else ""
    return calculated | {name: (tax_unit, gain) for name, gain in gains.items()}


def _finish(done: Iterable[_Pending], wanted: Wanted, model: Model, runs: Runs) -> None:
    unknown = tuple(name for name in (*wanted.variables, *wanted.reforms) if model.entity_of(name) is None)
    for item in done:
        if item.problem:
            runs.problems[item.task.name] = item.problem
        found = {} if item.problem else join(item.pieces)
        values = Values(item.key, item.task.households.astype(np.int64), found, unknown, item.problem)
        write_arrays(item.task.path, values)
