"""What may import what, imports inside functions included: no module leads back to itself, and the library knows no
workflow."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"


def _modules(folder: Path) -> dict[str, Path]:
    names = {path: ".".join(path.relative_to(folder.parent).with_suffix("").parts) for path in folder.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for path, name in names.items()}


def _imported(name: str, path: Path, known: set[str]) -> Iterator[str]:
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                module = f"{base}.{alias.name}"
                yield module if module in known else base


def _cycle(folder: Path) -> list[str]:
    """The modules of one cycle, its first repeated at the end; none for a package without."""
    modules = _modules(folder)
    known = set(modules)
    graph = {name: (set(_imported(name, path, known)) & known) - {name} for name, path in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


@pytest.mark.parametrize("package", ["local_h5", "pe_data"])
def test_no_cycle(package: str) -> None:
    assert len(_modules(SOURCE / package)) > 100
    assert _cycle(SOURCE / package) == []


def test_the_library_knows_no_workflow() -> None:
    modules = _modules(SOURCE / "local_h5")
    workflow = {name for name in modules if name.startswith("local_h5.workflow")}
    users = {name for name, path in modules.items() if workflow & set(_imported(name, path, set(modules)))}
    assert users
    assert users <= workflow


def test_a_cycle_through_a_lazy_import_is_seen(tmp_path: Path) -> None:
    package = tmp_path / "things"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "one.py").write_text("from things import two\n")
    (package / "two.py").write_text("def later():\n    from .three import it\n    return it\n")
    (package / "three.py").write_text("import os\n\nit = os\n")
    assert _cycle(package) == []
    (package / "three.py").write_text("import os\n\nfrom things.one import two as it\n")
    assert set(_cycle(package)) == {"things.one", "things.two", "things.three"}
