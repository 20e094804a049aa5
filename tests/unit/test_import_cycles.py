"""What may import what, imports inside functions included: no module leads back to itself, and each layer imports only
those above it."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {path.name: path for pattern in ("src/*", "packages/*/src/*") for path in ROOT.glob(pattern)}


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


@pytest.mark.parametrize(("package", "least"), [("local_h5", 80), ("pe_data", 80), ("pe_data_gateway", 15)])
def test_no_cycle(package: str, least: int) -> None:
    assert len(_modules(SOURCES[package])) > least
    assert _cycle(SOURCES[package]) == []


LIBRARY = (
    "errors",
    "suggestions",
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
    "runs",
    "report",
    "workflow",
    "cli",
)
STORE = (
    "errors",
    "suggestions",
    "texts",
    "names",
    "documents",
    "files",
    "maps",
    "pages",
    "config",
    "describe",
    "store",
    "cache",
    "trust",
    "read",
    "exports",
    "policyengine",
    "write",
    "keep",
    "certify",
    "catalogue",
    "cli",
)
LAYERS = {"local_h5": LIBRARY, "pe_data": STORE}
"""Packages and files of each, each above what imports it. docs/architecture.md says what they hold."""


def _layer(module: str) -> int | None:
    """Place of a module in the order; None for what holds no code."""
    package, _, below = module.partition(".")
    return next((n for n, name in enumerate(LAYERS[package]) if below == name or below.startswith(f"{name}.")), None)


def _climbs(folder: Path) -> list[str]:
    """Imports of what stands below the importing module. Without them, no two packages import each other."""
    modules = _modules(folder)
    return [
        f"{name} imports {other}"
        for name, path in modules.items()
        for other in _imported(name, path, set(modules))
        if other in modules
        if (low := _layer(name)) is not None and (high := _layer(other)) is not None and high > low
    ]


@pytest.mark.parametrize("package", LAYERS)
def test_the_layers(package: str) -> None:
    assert _climbs(SOURCES[package]) == []
    assert {_layer(name) for name in _modules(SOURCES[package])} == {None, *range(len(LAYERS[package]))}


def test_an_import_that_climbs_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "pe_data"
    for package in ("names", "read"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    (folder / "read/one.py").write_text("from pe_data.names import two\n")
    (folder / "names/two.py").write_text("import os\n")
    assert _climbs(folder) == []
    (folder / "names/three.py").write_text("def later():\n    from pe_data.read import one\n    return one\n")
    assert _climbs(folder) == ["pe_data.names.three imports pe_data.read.one"]


@pytest.mark.parametrize(
    ("package", "below"),
    [
        ("foreign_pickle", ()),
        ("local_h5", ("foreign_pickle", "pe_data")),
        ("local_h5_example", ("local_h5",)),
        ("pe_data", ()),
        ("pe_data_gateway", ("pe_data",)),
    ],
)
def test_what_stands_beside_the_library(package: str, below: tuple[str, ...]) -> None:
    ours = {"foreign_pickle", "local_h5", "local_h5_example", "pe_data", "pe_data_gateway"}
    modules = _modules(SOURCES[package])
    for name, path in modules.items():
        used = {other.partition(".")[0] for other in _imported(name, path, set(modules))} & ours
        assert used <= {package, *below}, name


def test_only_the_report_uses_the_store() -> None:
    """Building needs no `pe_data`; the report draws its maps with it, and compares with what was published."""
    modules = _modules(SOURCES["local_h5"])
    users = {
        name
        for name, path in modules.items()
        if any(other.partition(".")[0] == "pe_data" for other in _imported(name, path, set(modules)))
    }
    assert {name.rpartition(".")[0] for name in users} == {"local_h5.report"}


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
