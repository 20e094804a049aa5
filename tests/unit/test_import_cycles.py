"""What may import what, imports inside functions included: no module leads back to itself, and each layer imports only
those above it."""

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
    assert len(_modules(SOURCE / package)) > 80
    assert _cycle(SOURCE / package) == []


LAYERS = (
    "errors",
    "us",
    "files",
    "requests",
    "areas",
    "contracts",
    "inputs",
    "config",
    "takeup",
    "prepared",
    "build",
    "facade",
    "validation.structural",
    "validation.targets",
    "worker",
    "report",
    "runs",
    "workflow",
    "cli",
)
"""Packages and files of the library, each above what imports it. docs/architecture.md says what they hold."""


def _layer(module: str) -> int | None:
    """Place of a module in the order; None for what holds no code."""
    below = module.removeprefix("local_h5").removeprefix(".")
    return next((n for n, name in enumerate(LAYERS) if below == name or below.startswith(f"{name}.")), None)


def test_the_layers_of_the_library() -> None:
    modules = _modules(SOURCE / "local_h5")
    climbs = [
        f"{name} imports {other}"
        for name, path in modules.items()
        for other in _imported(name, path, set(modules))
        if (low := _layer(name)) is not None and (high := _layer(other)) is not None and high > low
    ]
    assert climbs == []
    assert {_layer(name) for name in modules} == {None, *range(len(LAYERS))}


@pytest.mark.parametrize(("package", "below"), [("foreign_pickle", ()), ("local_h5_example", ("local_h5",))])
def test_what_stands_beside_the_library(package: str, below: tuple[str, ...]) -> None:
    ours = {"foreign_pickle", "local_h5", "local_h5_example", "pe_data"}
    modules = _modules(SOURCE / package)
    for name, path in modules.items():
        used = {other.partition(".")[0] for other in _imported(name, path, set(modules))} & ours
        assert used <= {package, *below}, name


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
