"""Which code decides values, as a digest that comments, docstrings and error messages do not move."""

import ast
import hashlib
import importlib.metadata
import platform
from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path

from local_h5.config_paths import shipped
from local_h5.errors import ConfigError, ModelError
from local_h5.workflow.digests import DigestMemo

LIBRARY = Path(__file__).resolve().parents[1]
SCRIPTS = Path("scripts")
"""Folder of the scripts, below the folder that the workflow runs in."""

_ARRAYS = ("arrayfile", "h5file")

AREA_MODULES = (
    *_ARRAYS, "area_job", "build", "chunks", "clones", "geography/block_table", "membership", "payload", "prepared",
    "requests", "results", "single", "snapshot", "text_table", "takeup/anchors", "takeup/assign", "takeup/draws",
    "takeup/eligibility",
    "takeup/rates", "takeup/store", "takeup/table", "us", "validation/area", "validation/common_schema",
    "validation/policy", "validation/population", "validation/records", "validation/structural", "writer",
    "scripts/build_area",
)  # fmt: skip
"""Code that decides the bytes of an area file, beyond what its prepared inputs hold, and its structural verdict."""

SNAPSHOT_MODULES = (
    *_ARRAYS, "chunks", "columns", "formulas", "housing", "id_columns", "membership", "missing", "model", "places",
    "prepare", "single", "snapshot", "source", "scripts/prepare_snapshot",
)  # fmt: skip
GEOGRAPHY_MODULES = (
    *_ARRAYS, "prepare", "geography/block_table", "geography/blocks", "geography/canonical", "geography/codes",
    "geography/frames", "geography/load", "geography/npy", "geography/safe_pickle", "geography/tables", "prepared",
    "us", "scripts/prepare_geography",
)  # fmt: skip
CLONE_MODULES = (
    *_ARRAYS, "clones", "geography/block_table", "geography/canonical", "geography/npy", "prepared",
    "single", "weights", "scripts/prepare_clones",
)  # fmt: skip
TAKEUP_MODULES = (
    *_ARRAYS, "geography/canonical", "housing", "prepare", "prepared", "snapshot", "takeup/anchors",
    "takeup/eligibility", "takeup/prepare", "takeup/programmes", "takeup/rates", "takeup/store", "takeup/table", "us",
    "scripts/prepare_takeup",
)  # fmt: skip
POPULATION_MODULES = ("example/acs", "text_table", "us", "scripts/example_population")
EXAMPLE_MODULES = (
    "example/acs", "example/households", "example/microdata", "example/package", "example/raking", "example/sampling",
    "example/source_h5", "h5file", "text_table", "us", "scripts/example_source", "scripts/example_package",
)  # fmt: skip
TARGET_MODULES = (
    *_ARRAYS, "chunks", "membership", "requests", "us", "validation/area_file", "validation/borrow",
    "validation/constraints", "validation/country_model", "validation/evaluate", "validation/model_facts",
    "validation/parts", "validation/policy", "validation/population", "validation/records", "validation/run",
    "validation/simulate",
    "validation/structural", "validation/targets_db", "validation/training", "validation/values",
    "scripts/simulate_targets", "scripts/validate_targets",
)  # fmt: skip
"""Code that decides what a file's targets come out as, and the verdict."""
EXAMPLE_TARGET_MODULES = (
    "example/acs", "example/targets", "example/targets_schema.sql", "text_table", "us", "scripts/example_targets",
)  # fmt: skip
PLAN_MODULES = ("workflow/fingerprint", "workflow/forecast", "workflow/plan_file", "scripts/plan_areas")
REPORT_MODULES = (
    "coverage", "report/causes", "report/collect", "report/figures", "report/identity", "report/page",
    "report/page.html", "report/tables", "report/tiles", "report/write", "results", "validation/belief",
    "validation/policy", "validation/population", "validation/records", "scripts/write_report",
)  # fmt: skip


def code_digest(modules: Iterable[str], memo: DigestMemo | None = None) -> str:
    """sha256 over what the modules do.

    Args:
        modules: paths below the library without suffix, for example ``takeup/draws``, or ``scripts/<name>``; what is
            no Python with its suffix.
        memo: remembers what was read before.

    Raises:
        ConfigError: a script is not there.
    """
    memo = DigestMemo(None) if memo is None else memo
    sha = hashlib.sha256()
    for module in sorted(modules):
        path = _source_of(module)
        key = memo.sha256(path)
        if key is None:
            raise ConfigError(
                path,
                expected="a file of this project",
                found="none",
                remedy="Run in the folder that holds the Snakefile and the folder scripts.",
            )
        digest = memo.derived(f"code {module}", key, partial(_digest, path))
        sha.update(f"{module}\0{digest}\0".encode())
    return sha.hexdigest()


def essence(source: str) -> str:
    """A module's syntax tree without comments, layout, docstrings and the texts of errors."""
    return ast.dump(_Essence().visit(ast.parse(source)))


def _source_of(module: str) -> Path:
    folder, _, name = module.rpartition("/")
    if folder == "scripts":
        return shipped(SCRIPTS / f"{name}.py")
    return LIBRARY / (module if "." in name else f"{module}.py")


def _digest(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return hashlib.sha256((essence(text) if path.suffix == ".py" else text).encode()).hexdigest()


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

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id.endswith("Error"):
            node.args, node.keywords = [], []
        return self.generic_visit(node)


@cache
def library_versions() -> dict[str, str]:
    """Installed versions of everything outside this project that can change a byte of a file."""
    packages = ("policyengine-us", "policyengine-core", "numpy", "h5py")
    try:
        versions = {name: importlib.metadata.version(name) for name in packages}
    except importlib.metadata.PackageNotFoundError as error:
        raise ModelError(
            str(error.name),
            expected="an installed package: its version is a part of every file's fingerprint",
            found="none",
            remedy="Install local-h5 with its extra: pip install 'local-h5[model]'.",
        ) from error
    return {**versions, "python": ".".join(platform.python_version_tuple()[:2])}
