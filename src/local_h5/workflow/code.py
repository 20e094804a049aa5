"""Which code decides values, as a digest that comments, docstrings and error messages do not move."""

import ast
import hashlib
import importlib.metadata
import platform
from collections.abc import Iterable
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[1]

AREA_MODULES = (
    "arrayfile", "build", "clones", "geography/block_table", "membership", "payload", "requests", "snapshot",
    "takeup/anchors", "takeup/assign", "takeup/draws", "takeup/eligibility", "takeup/rates", "takeup/store",
    "takeup/table", "us", "validation/area", "validation/common_schema", "validation/policy", "validation/population",
    "validation/structural", "writer",
)  # fmt: skip
"""Modules that decide the bytes of an area file and its structural verdict."""

SNAPSHOT_MODULES = ("arrayfile", "membership", "model", "snapshot", "source")
GEOGRAPHY_MODULES = (
    "arrayfile", "areas", "geography/block_table", "geography/blocks", "geography/canonical", "geography/codes",
    "geography/load", "geography/npy", "geography/safe_pickle", "geography/tables", "us",
)  # fmt: skip
CLONE_MODULES = ("arrayfile", "clones", "geography/canonical", "weights")
TAKEUP_MODULES = (
    "arrayfile", "housing", "takeup/anchors", "takeup/eligibility", "takeup/prepare", "takeup/programmes",
    "takeup/rates", "takeup/store", "takeup/table", "us",
)  # fmt: skip
EXAMPLE_MODULES = (
    "example/acs", "example/households", "example/microdata", "example/package", "example/raking", "example/sampling",
    "example/source_h5", "us",
)  # fmt: skip


def code_digest(modules: Iterable[str]) -> str:
    """sha256 over what the modules do.

    Args:
        modules: paths below the library without suffix, for example ``takeup/draws``.
    """
    sha = hashlib.sha256()
    for module in sorted(modules):
        source = (LIBRARY / f"{module}.py").read_text(encoding="utf-8")
        sha.update(f"{module}\0{essence(source)}\0".encode())
    return sha.hexdigest()


def essence(source: str) -> str:
    """A module's syntax tree without comments, layout, docstrings and the texts of raised errors."""
    return ast.dump(_Essence().visit(ast.parse(source)))


class _Essence(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None  # a docstring, of a function or of a field
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
        node.cause = None
        return node


@cache
def library_versions() -> dict[str, str]:
    """Installed versions of everything outside this project that can change a byte of a file."""
    packages = ("policyengine-us", "policyengine-core", "numpy", "h5py")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {**versions, "python": ".".join(platform.python_version_tuple()[:2])}
