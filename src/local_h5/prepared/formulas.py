"""The variables that the model's formulas can read, from their code. No formula is run, so no data decide.

A formula names the variables that it reads as text. So do a helper that it calls, a list of names in the parameters
that it sums, and the condition ``defined_for``. All of them count, on every branch and for every year. The answer is
"can read", which is safe for deciding what must not be kept.
"""

import sys
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from types import CodeType, FunctionType, ModuleType
from typing import Any, Self

HIDDEN = "(code that cannot be looked into)"
"""In place of the variables that code reads which cannot be examined."""

_MODEL = ("policyengine_us", "spm_calculator")
"""Packages whose helpers are followed. The core reads no variable by name."""

_SEVERAL = 5000
"""Longer collections are tables of data, not lists of variables."""


@dataclass
class FormulaReads:
    """Which variables each variable's formulas can read.

    Attributes:
        variables: name → the model's variable.
        parameters: the model's parameter tree.
    """

    variables: Mapping[str, Any]
    parameters: Any
    _known: dict[str, frozenset[str]] = field(default_factory=dict)
    _codes: dict[str, "tuple[_Code, ...]"] = field(default_factory=dict)

    def functions(self, name: str) -> tuple[FunctionType, ...]:
        """The formulas of ``name`` and what they call of the model's own, directly or not; each once."""
        return tuple(dict.fromkeys(function for code in self._code(name) for function in code.functions))

    def of(self, name: str) -> frozenset[str]:
        """The variables that the formulas of ``name`` can read themselves; empty for an input."""
        if name not in self._known:
            self._known[name] = self.named(name) | frozenset(self._listed(name)) - {name}
        return self._known[name]

    def named(self, name: str) -> frozenset[str]:
        """:meth:`of` without lists of the parameters that a formula may reach by attributes.

        These are recognised by single words of the path, so some of them are not really read. Where that would be too
        many, this method is the better one.
        """
        return frozenset(self._direct(name)) - {name}

    def chain(self, name: str, targets: Collection[str], *, stops: Collection[str] = ()) -> tuple[str, ...] | None:
        """The shortest chain by which ``name`` can read one of ``targets``: ``name``, …, target. None when it cannot.

        Args:
            name: a variable with formulas.
            targets: variables, or :data:`HIDDEN`.
            stops: variables whose own formulas are not followed.
        """
        queue, before = deque([name]), {name: ""}
        while queue:
            at = queue.popleft()
            for read in sorted(self.of(at) - before.keys()):
                before[read] = at
                if read in targets:
                    way = [read]
                    while way[-1] != name:
                        way.append(before[way[-1]])
                    return tuple(reversed(way))
                if read in self.variables and read not in stops:
                    queue.append(read)
        return None

    def _code(self, name: str) -> "tuple[_Code, ...]":
        """Texts, names and functions of each formula's code."""
        if name not in self._codes:
            self._codes[name] = tuple(_Code.of(formula) for formula in self.variables[name].formulas.values())
        return self._codes[name]

    def _direct(self, name: str) -> Iterator[str]:
        variable = self.variables[name]
        if variable.defined_for is not None:
            yield from self._named(str(variable.defined_for))
        for listed in (variable.adds, variable.subtracts):
            if isinstance(listed, str):
                yield from self._lists.get(listed, {HIDDEN})
            else:
                yield from (name for name in listed or () if name in self.variables)
        for code in self._code(name):
            if not code.functions:
                yield HIDDEN
            yield from (read for text in code.texts for read in self._named(text))

    def _listed(self, name: str) -> Iterator[str]:
        for code in self._code(name):
            for path, names in self._lists.items():
                if code.names.issuperset(path.split(".")):
                    yield from names

    def _named(self, text: str) -> Collection[str]:
        return {text} if text in self.variables else self._lists.get(text, ())

    @cached_property
    def _lists(self) -> Mapping[str, frozenset[str]]:
        """Parameter → the variables that it lists in any year."""
        found: dict[str, frozenset[str]] = {}
        for parameter in self.parameters.get_descendants():
            dated = [at.value for at in getattr(parameter, "values_list", None) or () if isinstance(at.value, list)]
            if dated:
                names = {name for value in dated for name in value if isinstance(name, str)}
                found[parameter.name] = frozenset(names & self.variables.keys())
        return found


class _Code:
    """All texts and names in a function, and in what it calls of the model's own."""

    def __init__(self) -> None:
        self.texts: set[str] = set()
        self.names: set[str] = set()
        self.functions: list[FunctionType] = []
        self._seen: set[int] = set()

    @classmethod
    def of(cls, formula: Any) -> Self:
        """Of a formula; empty when it is no function and cannot be examined."""
        code = cls()
        if isinstance(formula, FunctionType):
            code.function(formula)
        return code

    def function(self, function: FunctionType) -> None:
        if id(function) in self._seen or not _of_model(function):
            return
        self._seen.add(id(function))
        self.functions.append(function)
        cells = (_contents(cell) for cell in function.__closure__ or ())
        for value in (*cells, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._value(value)
        self._code(function.__code__, function.__globals__)

    def _code(self, code: CodeType, names: Mapping[str, Any]) -> None:
        self.names.update(code.co_names)
        for value in code.co_consts:
            self._code(value, names) if isinstance(value, CodeType) else self._value(value)
        spaces = [names, *(vars(sys.modules[name]) for name in code.co_names if name in sys.modules and _ours(name))]
        for space in spaces:
            for name in code.co_names:
                value = space.get(name)
                if isinstance(value, ModuleType):
                    if _ours(value.__name__):
                        for inner in code.co_names:
                            self._value(vars(value).get(inner))
                else:
                    self._value(value)

    def _value(self, value: Any) -> None:
        if isinstance(value, str):
            self.texts.add(value)
        elif isinstance(value, FunctionType):
            self.function(value)
        elif isinstance(value, tuple | list | set | frozenset | dict):
            if len(value) < _SEVERAL:
                for item in value:
                    self._value(item)
                if isinstance(value, dict):
                    for item in value.values():
                        self._value(item)
        elif wrapped := _wrapped(value):
            self.function(wrapped)
        elif _is_helper(value) and id(value) not in self._seen:
            self._seen.add(id(value))
            for member in vars(value).values():
                self._value(getattr(member, "__func__", member))


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is not bound yet
        return None


def _wrapped(value: Any) -> FunctionType | None:
    inner = getattr(value, "__wrapped__", None) if callable(value) else None
    return inner if isinstance(inner, FunctionType) else None


def _is_helper(value: Any) -> bool:
    """Whether a value is a class of the model that is neither a variable nor an enum."""
    if not isinstance(value, type) or not _ours(value.__module__) or value.__module__ in _SYSTEM:
        return False
    return not issubclass(value, Enum) and not hasattr(value, "definition_period")


def _of_model(function: Callable[..., Any]) -> bool:
    # The model gives its variables' modules names of its own making; only other packages are left out.
    module = function.__module__ or ""
    return module not in _SYSTEM and (module.partition(".")[0] not in _FOREIGN or _ours(module))


def _ours(module: str) -> bool:
    return module.partition(".")[0] in _MODEL


_SYSTEM = ("policyengine_us.system",)
"""This module makes the model from all its variables. A formula that makes another model refers to it, and through it
to every variable. Such a formula reads only what it names itself."""

_FOREIGN = frozenset(sys.stdlib_module_names) | {"numpy", "pandas", "policyengine_core", "microdf"}
