"""Which formulas of a model may look beyond a household's own rows, found in their source.

A value depends on who else is in a file when its formula reads a weight or an id, asks whether it runs over a dataset,
ranks with ``MicroSeries``, or adds up over all rows. Found are candidates: what is read here says that it may, and a
comparison of a part with the whole says whether it does (``tests/integration/test_whole_file.py``).
"""

import ast
import inspect
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Any

from local_h5.prepared.formulas import HIDDEN, FormulaReads

_ENDS = {"_weight": "weights", "_id": "ids"}

_ASKS = {"is_over_dataset": "asks whether it runs over a dataset"}
_NAMES = {"MicroSeries": "ranks rows", "MicroDataFrame": "ranks rows", "random": "draws"}
_SUMS = "adds up or ranks over all rows"
_OVER_ROWS = frozenset(
    {
        "argmax", "argmin", "argsort", "average", "bincount", "cumsum", "default_rng", "groupby", "histogram",
        "lexsort", "max", "mean", "median", "min", "partition", "percentile", "quantile", "random", "rank", "sort",
        "std", "sum", "unique", "var",
    }
)  # fmt: skip
"""Of numpy and pandas, over all rows unless an axis is named."""


@dataclass(frozen=True, slots=True)
class Source:
    """What the source of a model says.

    Attributes:
        reads: variable → the variables that its formulas name (:meth:`local_h5.prepared.formulas.FormulaReads.named`).
        signs: candidate → what makes it one, in words, sorted.
    """

    reads: Mapping[str, frozenset[str]]
    signs: Mapping[str, tuple[str, ...]]

    def closure(self, names: Iterable[str]) -> set[str]:
        """The variables named, and all that depend on them."""
        readers: dict[str, list[str]] = {}
        for name, read in self.reads.items():
            for other in read:
                readers.setdefault(other, []).append(name)
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += readers.get(name, ())
        return found


def read_source(variables: Mapping[str, Any], parameters: Any) -> Source:
    """Read the formulas of all variables.

    Args:
        variables: of the model's system: objects with ``formulas``, ``adds``, ``subtracts``, ``defined_for``.
        parameters: its tree of parameters, for lists that formulas and ``adds`` and ``subtracts`` name.
    """
    formulas = FormulaReads(variables, parameters)
    reads, signs = {}, {}
    for name in variables:
        read = formulas.named(name)
        found = {f"reads {kind}" for end, kind in _ENDS.items() if any(other.endswith(end) for other in read)}
        if HIDDEN in read:
            found.add("has code that cannot be looked into")
        for function in formulas.functions(name):
            found |= _signs(function)
        reads[name] = read & variables.keys()
        if found:
            signs[name] = tuple(sorted(found))
    return Source(reads, signs)


@cache
def _signs(function: FunctionType) -> frozenset[str]:
    """Signs in one function's own source, or in the names of a function that was made without one."""
    signs: set[str] = set()
    try:
        source = inspect.getsource(function)
    except OSError:
        names = set(function.__code__.co_names)
        signs.update(said for name, said in (*_ASKS.items(), *_NAMES.items()) if name in names)
        signs.update({_SUMS} if names & _OVER_ROWS else ())
        return frozenset(signs)
    for node in ast.walk(ast.parse(textwrap.dedent(source))):
        if isinstance(node, ast.Attribute) and node.attr in _ASKS:
            signs.add(_ASKS[node.attr])
        elif isinstance(node, ast.Name) and node.id in _NAMES:
            signs.add(_NAMES[node.id])
        elif isinstance(node, ast.Call) and _over_rows(node):
            signs.add(_SUMS)
    return frozenset(signs)


def _over_rows(call: ast.Call) -> bool:
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in _OVER_ROWS:
        return False
    if any(word.arg == "axis" for word in call.keywords):
        return False
    of_numpy = isinstance(function.value, ast.Name) and function.value.id in ("np", "numpy", "pd")
    # An entity's own sum takes what is summed; an array's takes nothing.
    return of_numpy or not call.args or function.attr in ("groupby", "quantile", "rank")
