"""What the installed model declares of its variables, read from its source without importing it.

Importing the model takes 16 CPU-seconds. Its class of a variable is some lines of plain assignments, and a check before
a run reads those of the columns that a source has. What is declared in any other way is not answered.
``tests/integration/test_declared.py`` compares the answers with the model's own.
"""

import ast
import importlib.util
import re
from collections.abc import Collection, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from local_h5.inputs.columns import ColumnKind
from local_h5.inputs.membership import ENTITIES
from local_h5.prepared.places import GEOGRAPHIC

MODEL = "policyengine_us"

_ENTITY = {entity.replace("_", ""): entity for entity in ENTITIES}
_VALUE: Mapping[str, Literal["bool", "int", "float", "enum", "text"]] = {
    "bool": "bool", "int": "int", "float": "float", "Enum": "enum", "str": "text",
}  # fmt: skip
_PERIOD: Mapping[str, Literal["year", "month", "eternity"]] = {"YEAR": "year", "MONTH": "month", "ETERNITY": "eternity"}
_DEFAULTS: Mapping[str, Any] = {"bool": False, "int": 0, "float": 0.0, "text": ""}
_STOCKS = ("bool", "int", "enum", "text")
_COMPUTES = ("adds", "subtracts")
_DECLARES = "class {}(Variable)"
_CLASS = re.compile(r"^class (\w+)\(Variable\)", re.MULTILINE)


class Declared(Struct, frozen=True):
    """A variable of the model.

    Attributes:
        kind: what its column may hold; None where the class does not say it in plain assignments.
        computed: whether the model can compute it.
    """

    kind: ColumnKind | None
    computed: bool


class ModelSource(Struct, frozen=True, dict=True):
    """The source of an installed model.

    Attributes:
        folder: of its package.
    """

    folder: Path

    @classmethod
    @cache
    def installed(cls) -> "ModelSource | None":
        """That of the installed model; None without one. Nothing is imported."""
        found = importlib.util.find_spec(MODEL)
        return None if found is None or found.origin is None else cls(Path(found.origin).parent)

    def variables(self, names: Collection[str]) -> dict[str, Declared]:
        """Those of the variables that the model has."""
        found = {}
        for name in sorted(names):
            path = self._files.get(name)
            declared = None if path is None else _read(path, name)
            if declared is not None:
                found[name] = declared
        rest = set(names) - found.keys()
        for name in sorted(rest & self._declared_elsewhere.keys() if rest else ()):
            declared = _read(self._declared_elsewhere[name], name)
            if declared is not None:
                found[name] = declared
        return found

    @cached_property
    def refused(self) -> frozenset[str]:
        """Variables that the model refuses in a dataset, and all that it names beside them, here or where it has them
        from.
        """
        pending, words = [(self.folder / "spm.py", "REJECTED_DATASET_INPUTS")], set[str]()
        seen = set[tuple[Path, str]]()
        while pending:
            path, name = pending.pop()
            if (path, name) in seen or not path.is_file():
                continue
            seen.add((path, name))
            module = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(_assigned(module).get(name, ast.Constant(None))):
                if isinstance(node, ast.Name):
                    pending.append((path, node.id))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    words.add(node.value)
            for one in module.body:
                if isinstance(one, ast.ImportFrom) and one.module and name in {each.name for each in one.names}:
                    pending.append((_source_of(one.module), name))
        return frozenset(words)

    @cached_property
    def _files(self) -> Mapping[str, Path]:
        """Most files have the name of their variable."""
        return {path.stem: path for path in sorted((self.folder / "variables").rglob("*.py"))}

    @cached_property
    def _declared_elsewhere(self) -> Mapping[str, Path]:
        """Variables in a file of another name, for which every file is read (half a second)."""
        return {
            name: path
            for path in self._files.values()
            for name in _CLASS.findall(path.read_text(encoding="utf-8"))
            if name != path.stem
        }


def _read(path: Path, name: str) -> Declared | None:
    """A variable from its file; None if the file does not declare it."""
    text = path.read_text(encoding="utf-8")
    if _DECLARES.format(name) not in text:
        return None
    classes = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
    if name not in classes:
        return None
    body = _assigned(classes[name])
    functions = [node.name for node in classes[name].body if isinstance(node, ast.FunctionDef)]
    computed = any(one in _COMPUTES or one.startswith("formula") for one in (*body, *functions))
    return Declared(_kind(name, body, classes), computed)


def _kind(name: str, body: Mapping[str, ast.expr], classes: Mapping[str, ast.ClassDef]) -> ColumnKind | None:
    value = _VALUE.get(_word(body.get("value_type")))
    entity = _ENTITY.get(_word(body.get("entity")).lower())
    period = _PERIOD.get(_word(body.get("definition_period")))
    if value is None or entity is None or period is None:
        return None
    members: tuple[str, ...] = ()
    if value == "enum":
        listed = classes.get(_word(body.get("possible_values")))
        given = body.get("default_value")
        if listed is None or not isinstance(given, ast.Attribute):
            return None
        members, default = tuple(_assigned(listed)), given.attr
    else:
        default = _literal(body.get("default_value"), _DEFAULTS[value])
    unit, quantity = body.get("unit"), _word(body.get("quantity_type"))
    stock = quantity == "STOCK" or (not quantity and (value in _STOCKS or _literal(unit, None) == "/1"))
    return ColumnKind(
        name,
        entity,
        value,
        period,
        months="equal" if stock else "sum" if _word(unit) == "USD" else "refuse",
        members=members,
        default=default,
        codes=value == "text" and name in GEOGRAPHIC,
    )


def _source_of(module: str) -> Path:
    """The file of a module, without importing its package."""
    package, *rest = module.split(".")
    found = importlib.util.find_spec(package)
    folder = Path(found.origin).parent if found is not None and found.origin else Path()
    return folder.joinpath(*rest[:-1], f"{rest[-1]}.py") if rest else folder / "__init__.py"


def _assigned(of: ast.ClassDef | ast.Module) -> dict[str, ast.expr]:
    """Name → what a class or module assigns to it, in order."""
    return {
        target.id: node.value
        for node in of.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _word(node: ast.expr | None) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _literal(node: ast.expr | None, otherwise: Any) -> Any:
    try:
        return otherwise if node is None else ast.literal_eval(node)
    except ValueError:
        return otherwise
