"""Which formulas of a model may look beyond a household's own rows, found in its source.

A value depends on who else is in a file when its formula reads a weight or an id, asks whether it runs over a dataset,
ranks with ``MicroSeries``, or adds up over all rows. Found are candidates: what is read here says that it may, and a
comparison of a part with the whole says whether it does (``tests/integration/test_whole_file.py``).
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Any

_ENDS = {"_weight": "weights", "_id": "ids"}

_ASKS = {"is_over_dataset": "asks whether it runs over a dataset"}
_NAMES = {"MicroSeries": "ranks rows", "MicroDataFrame": "ranks rows", "random": "draws"}
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
        reads: variable → the variables that its formulas name, in ``adds`` and ``subtracts`` and ``defined_for`` too,
            lists in parameters followed. Names put together at run time are not seen.
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
        parameters: its tree of parameters, for lists that ``adds`` and ``subtracts`` name.
    """
    reads, signs = {}, {}
    for name, variable in variables.items():
        words: set[str] = {*_listed(variable.adds, parameters), *_listed(variable.subtracts, parameters)}
        condition = variable.defined_for
        if condition is not None:
            words.add(condition if isinstance(condition, str) else str(getattr(condition, "name", condition)))
        found: set[str] = set()
        for formula in variable.formulas.values():
            for function in _reached(formula):
                more = _look(function)
                words |= more[0]
                found |= more[1]
        read = frozenset((words & variables.keys()) - {name})
        found |= {f"reads {kind}" for end, kind in _ENDS.items() if any(other.endswith(end) for other in read)}
        reads[name] = read
        if found:
            signs[name] = tuple(sorted(found))
    return Source(reads, signs)


def _listed(given: Any, parameters: Any) -> set[str]:
    """Names in a list, or in every value that the parameter of that name ever had."""
    if given is None:
        return set()
    if not isinstance(given, str):
        return set(given)
    for part in given.split("."):
        parameters = getattr(parameters, part)
    return {name for item in parameters.values_list for name in item.value or ()}


def _reached(formula: Callable[..., Any]) -> Iterator[FunctionType]:
    """A formula and the functions of the model that it calls, directly or not."""
    first = inspect.unwrap(formula)
    home = _package(first)
    seen, waiting = set(), [first]
    while waiting:
        function = waiting.pop()
        if isinstance(function, FunctionType) and function not in seen and _package(function) == home:
            seen.add(function)
            yield function
            waiting += _look(function)[2]


def _package(function: Any) -> str:
    """Folder of the package that a function's file lies in; what a model imports is none of its formulas."""
    path = inspect.getfile(function)
    head, found, _ = path.partition("/policyengine_us/")
    return head + found if found else path


@cache
def _look(function: FunctionType) -> tuple[frozenset[str], frozenset[str], tuple[FunctionType, ...]]:
    """Words, signs and called functions of one function's own source."""
    words: set[str] = set()
    signs: set[str] = set()
    called: list[FunctionType] = []
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words.add(node.value)
        elif isinstance(node, ast.Attribute) and node.attr in _ASKS:
            signs.add(_ASKS[node.attr])
        elif isinstance(node, ast.Name):
            if node.id in _NAMES:
                signs.add(_NAMES[node.id])
            meant = function.__globals__.get(node.id)
            words |= set(_words(meant))
            if isinstance(meant, FunctionType):
                called.append(inspect.unwrap(meant))
        elif isinstance(node, ast.Call) and _over_rows(node):
            signs.add("adds up or ranks over all rows")
    return frozenset(words), frozenset(signs), tuple(called)


def _words(constant: Any) -> Iterator[str]:
    """Texts in a constant of a module, nested ones too."""
    if isinstance(constant, str):
        yield constant
    elif isinstance(constant, dict):
        yield from _words(list(constant.values()))
    elif isinstance(constant, list | tuple | set | frozenset):
        for item in constant:
            yield from _words(item)


def _over_rows(call: ast.Call) -> bool:
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in _OVER_ROWS:
        return False
    if any(word.arg == "axis" for word in call.keywords):
        return False
    of_numpy = isinstance(function.value, ast.Name) and function.value.id in ("np", "numpy", "pd")
    # An entity's own sum takes what is summed; an array's takes nothing.
    return of_numpy or not call.args or function.attr in ("groupby", "quantile", "rank")
