"""The digest of the code that decides values. Comments, docstrings and error texts do not change it."""

import ast
import hashlib
import importlib.metadata
import importlib.util
import platform
from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path

from local_h5.config.paths import shipped
from local_h5.errors import ConfigError, ModelError
from local_h5.files.digests import DigestMemo

LIBRARY = Path(__file__).resolve().parents[1]
SCRIPTS = Path("scripts")
"""Folder of the scripts, below the folder that the workflow runs in."""

_ARRAYS = ("files/arrays", "files/hdf5")
_TABLES = ("inputs/chunks", "inputs/entity_tables", "inputs/membership", "inputs/pandas_tables")
_PICKLES = ("../foreign_pickle/__init__", "../foreign_pickle/frames", "../foreign_pickle/reader")

AREA_MODULES = (
    *_ARRAYS, *_TABLES, "build/area", "build/payload", "build/tables", "build/writer", "contracts/policy",
    "contracts/records", "contracts/results", "files/kept", "files/single", "files/text_table", "inputs/area_columns",
    "inputs/geography/block_table", "inputs/geography/codes", "inputs/stored", "prepared/clones", "prepared/files",
    "prepared/snapshot", "requests", "scripts/build_area", "takeup/anchors", "takeup/assign", "takeup/draws",
    "takeup/eligibility", "takeup/rates", "takeup/table", "us", "validation/structural/checks",
    "validation/structural/common_schema", "validation/structural/population", "validation/structural/verdict",
    "worker/area_job", "worker/opened",
)  # fmt: skip
"""Code that decides the bytes of an area file, given its prepared inputs, and its structural verdict."""

SNAPSHOT_MODULES = (
    *_ARRAYS, *_PICKLES, *_TABLES, "contracts/dictionary", "files/single", "inputs/columns", "inputs/geography/own",
    "inputs/id_columns", "inputs/missing", "inputs/source", "inputs/stored", "prepared/dictionary",
    "prepared/formulas", "prepared/given", "prepared/held", "prepared/housing", "prepared/model", "prepared/places",
    "prepared/snapshot", "prepared/steps", "scripts/prepare_snapshot",
)  # fmt: skip
GEOGRAPHY_MODULES = (
    *_ARRAYS, *_PICKLES, "inputs/chunks", "inputs/geography/block_table", "inputs/geography/blocks",
    "inputs/geography/canonical", "inputs/geography/codes", "inputs/geography/load", "inputs/geography/tables",
    "inputs/npy", "prepared/steps", "scripts/prepare_geography", "us",
)  # fmt: skip
CLONE_MODULES = (
    *_ARRAYS, "files/single", "inputs/chunks", "inputs/geography/block_table", "inputs/geography/canonical",
    "inputs/npy", "inputs/weights", "prepared/clones", "scripts/prepare_clones",
)  # fmt: skip
TAKEUP_MODULES = (
    *_ARRAYS, "inputs/geography/canonical", "prepared/housing", "prepared/snapshot", "prepared/steps",
    "scripts/prepare_takeup", "takeup/anchors", "takeup/eligibility", "takeup/prepare", "takeup/programmes",
    "takeup/rates", "takeup/table", "us",
)  # fmt: skip
OWN_MODULES = (
    *_ARRAYS, *_PICKLES, *_TABLES, "areas", "files/single", "files/text_table", "inputs/columns",
    "inputs/geography/block_table", "inputs/geography/codes", "inputs/geography/own", "inputs/missing",
    "inputs/source", "inputs/stored", "inputs/weights", "prepared/clones", "prepared/own",
    "scripts/prepare_own_places", "takeup/programmes", "takeup/table", "us",
)  # fmt: skip
"""Code that decides what is prepared of a dataset with weights and places of its own."""
POPULATION_MODULES = ("../local_h5_example/acs", "files/text_table", "scripts/example_population", "us")
EXAMPLE_MODULES = (
    "../local_h5_example/acs", "../local_h5_example/households", "../local_h5_example/microdata",
    "../local_h5_example/package", "../local_h5_example/raking", "../local_h5_example/sampling",
    "../local_h5_example/source_h5", "files/hdf5", "files/text_table", "scripts/example_package",
    "scripts/example_source", "us",
)  # fmt: skip
TARGET_MODULES = (
    *_ARRAYS, *_TABLES, "config/parts", "contracts/policy", "contracts/records", "files/kept", "inputs/area_columns",
    "requests", "scripts/simulate_targets", "scripts/validate_targets", "us", "validation/structural/checks",
    "validation/structural/population", "validation/targets/borrow", "validation/targets/constraints",
    "validation/targets/country_model", "validation/targets/database", "validation/targets/evaluate",
    "validation/targets/loaded_area", "validation/targets/model_facts", "validation/targets/run",
    "validation/targets/simulate", "validation/targets/training", "validation/targets/values",
)  # fmt: skip
"""Code that decides the values of a file's targets, and the verdict."""
EXAMPLE_TARGET_MODULES = (
    "../local_h5_example/acs", "../local_h5_example/targets", "../local_h5_example/targets_schema.sql",
    "files/text_table", "scripts/example_targets", "us",
)  # fmt: skip
NATION_MODULES = (
    *_ARRAYS, *_TABLES, "build/by_district", "contracts/results", "files/single", "inputs/area_columns",
    "inputs/geography/codes", "inputs/stored", "scripts/nation_parquet", "us",
)  # fmt: skip
"""Code that decides how the nation is split by district."""
PLAN_MODULES = ("runs/fingerprint", "runs/forecast", "runs/plan_file", "scripts/plan_areas")
REPORT_MODULES = (
    "contracts/coverage", "contracts/policy", "contracts/records", "contracts/results", "report/__init__",
    "report/against", "report/belief", "report/causes", "report/charts", "report/collect", "report/district_map",
    "report/identity", "report/page", "report/page.css", "report/page.html", "report/page.js", "report/release",
    "report/tables", "report/write", "scripts/write_report", "validation/structural/population",
)  # fmt: skip


def code_digest(modules: Iterable[str], memo: DigestMemo | None = None) -> str:
    """sha256 over the syntax trees of modules.

    Args:
        modules: paths below the library without suffix, for example ``takeup/draws``, or ``scripts/<name>``; other
            files with their suffix.
        memo: of digests.

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
                f"{path}: expected a file of this project, found none. Run in the folder that holds the Snakefile "
                "and the folder scripts."
            )
        digest = memo.derived(f"code {module}", key, partial(_digest, path, key))
        sha.update(f"{module}\0{digest}\0".encode())
    return sha.hexdigest()


def package_digest(package: str, *folders: str) -> str | None:
    """sha256 over the files of some folders of an installed package, which is not imported; None without it."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return None
    root, sha = Path(found.origin).parent, hashlib.sha256()
    for path in sorted(path for folder in folders for path in (root / folder).glob("*.*")):
        sha.update(f"{path.relative_to(root)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\0".encode())
    return sha.hexdigest()


def essence(source: str) -> str:
    """A module's syntax tree without comments, layout, docstrings and the texts of errors."""
    return ast.dump(_Essence().visit(ast.parse(source)))


def _source_of(module: str) -> Path:
    folder, _, name = module.rpartition("/")
    if folder == "scripts":
        return shipped(SCRIPTS / f"{name}.py")
    return LIBRARY / (module if "." in name else f"{module}.py")


@cache
def _digest(path: Path, key: str) -> str:
    """Digest of a module's essence; of the same bytes, whose digest is ``key``, once per process."""
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
            f"{error.name}: expected an installed package: its version is a part of every file's fingerprint, "
            "found none. Install the extra 'model' of local-h5."
        ) from error
    return {**versions, "python": ".".join(platform.python_version_tuple()[:2])}
