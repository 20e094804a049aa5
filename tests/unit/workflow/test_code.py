"""Which modules count as code that decides values, and which edits count."""

import ast
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_h5.runs import code
from local_h5.runs.code import LIBRARY, code_digest, essence

ROOT = LIBRARY.parents[1]

HARMLESS = {
    "areas", "contracts/config", "files/forms", "contracts/results", "contracts/work_items", "errors",
    "files/atomic", "files/strict_yaml", "files/text_table", "inputs/pickles", "prepared/garbage", "requests",
    "suggestions",
}  # fmt: skip
"""They raise, write whole files or nothing, and check forms; what they hold is in requests and configuration."""

PICKLES = {"../foreign_pickle/__init__", "../foreign_pickle/frames", "../foreign_pickle/reader"}

TABLES = {"inputs/entity_tables", "inputs/geography/own", "inputs/pandas_tables", "inputs/weights"}
"""How a source of tables is read."""

DICTIONARY = {"contracts/dictionary", "prepared/dictionary"}

ELSEWHERE: dict[str, set[str]] = {
    # imported for a type, or for what another component of the fingerprint covers
    "AREA_MODULES": {*PICKLES, "inputs/geography/canonical"},
    "SNAPSHOT_MODULES": {
        *PICKLES, "inputs/geography/block_table", "inputs/geography/blocks", "inputs/geography/canonical",
        "inputs/geography/codes", "inputs/geography/load", "inputs/geography/tables", "inputs/npy", "inputs/weights",
        "takeup/anchors", "takeup/eligibility", "takeup/prepare", "takeup/programmes", "takeup/rates",
        "takeup/table", "us",
    },
    "GEOGRAPHY_MODULES": {
        *DICTIONARY, *TABLES, "files/single", "inputs/columns", "inputs/id_columns", "inputs/membership",
        "inputs/missing",
        "inputs/source", "inputs/stored", "prepared/formulas", "prepared/given", "prepared/held", "prepared/housing",
        "prepared/model", "prepared/places", "prepared/snapshot", "takeup/anchors", "takeup/eligibility",
        "takeup/prepare", "takeup/programmes",
        "takeup/rates", "takeup/table",
    },
    "CLONE_MODULES": {*PICKLES, "inputs/geography/codes", "us"},
    "TAKEUP_MODULES": {
        *DICTIONARY, *PICKLES, *TABLES, "files/single", "inputs/chunks", "inputs/columns",
        "inputs/geography/block_table",
        "inputs/geography/blocks", "inputs/geography/codes", "inputs/geography/load", "inputs/geography/tables",
        "inputs/id_columns", "inputs/membership", "inputs/missing", "inputs/npy", "inputs/source", "inputs/stored",
        "prepared/formulas", "prepared/given", "prepared/held", "prepared/model", "prepared/places",
    },
    "OWN_MODULES": {
        "inputs/geography/canonical", "inputs/npy", "prepared/files", "prepared/snapshot", "takeup/anchors",
        "takeup/eligibility", "takeup/rates",
    },
    "EXAMPLE_MODULES": set(),
    "NATION_MODULES": PICKLES,
}  # fmt: skip


def imported(module: str) -> Iterator[str]:
    """The modules of this project that a module or script imports, as :mod:`local_h5.runs.code` names them."""
    path = ROOT / f"{module}.py" if module.startswith("scripts/") else LIBRARY / f"{module}.py"
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [*(f"{node.module}.{alias.name}" for alias in node.names), node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            face = "/__init__" if name == "foreign_pickle" else ""
            file = LIBRARY.parent / f"{name.replace('.', '/')}{face}.py"
            if file.is_file():
                yield os.path.relpath(file, LIBRARY).removesuffix(".py")


@pytest.mark.parametrize("name", list(ELSEWHERE))
def test_the_set_is_closed_under_imports(name: str) -> None:
    modules = set(getattr(code, name))
    closure, pending = set(modules), list(modules)
    while pending:
        for module in imported(pending.pop()):
            if module not in closure and module not in HARMLESS and not module.startswith("workflow/"):
                closure.add(module)
                pending.append(module)
    assert closure - modules <= ELSEWHERE[name]


@pytest.mark.parametrize("name", [*ELSEWHERE, "POPULATION_MODULES", "PLAN_MODULES"])
def test_every_module_exists(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(LIBRARY.parents[1])
    assert len(code_digest(getattr(code, name))) == 64


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("contracts/results", ["AREA_MODULES"]),
        ("contracts/records", ["AREA_MODULES", "TARGET_MODULES"]),
        ("files/text_table", ["AREA_MODULES", "POPULATION_MODULES", "EXAMPLE_MODULES", "EXAMPLE_TARGET_MODULES"]),
        ("../local_h5_example/targets_schema.sql", ["EXAMPLE_TARGET_MODULES"]),
    ],
)
def test_a_change_of_what_writes_results_is_seen(
    module: str, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(LIBRARY.parents[1])
    before = [code_digest(getattr(code, name)) for name in names]
    for package in ("local_h5", "local_h5_example"):
        shutil.copytree(LIBRARY.parent / package, tmp_path / package)
    monkeypatch.setattr(code, "LIBRARY", tmp_path / "local_h5")
    assert [code_digest(getattr(code, name)) for name in names] == before
    path = code._source_of(module)
    path.write_text(f"{path.read_text()}\nCHANGED = 1\n")
    after = [code_digest(getattr(code, name)) for name in names]
    assert all(old != new for old, new in zip(before, after, strict=True))


BASE = '''
"""Docs."""
def rate(x: float) -> float:
    """More."""
    if x < 0:
        raise ValueError(f"bad {x}")
    return x * 2
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Docs."""', '"""Other docs."""'),
        ("    return x * 2", "    # why\n\n    return x * 2"),
        ('f"bad {x}"', '"very bad"'),
        ('"""More."""', "'''More.'''"),
    ],
)
def test_what_does_not_count(old: str, new: str) -> None:
    assert essence(BASE.replace(old, new)) == essence(BASE)


@pytest.mark.parametrize(
    ("old", "new"), [("x * 2", "x * 3"), ("x < 0", "x <= 0"), ("ValueError(", "TypeError("), ("-> float", "-> int")]
)
def test_what_counts(old: str, new: str) -> None:
    assert essence(BASE.replace(old, new)) != essence(BASE)
