"""The paths of a configuration, read in one way before anything uses them.

A path is used in shell commands, in Snakemake's file patterns and in messages. Spaces, quotes, ``$``, ``&`` and letters
of any script work everywhere, because every command quotes them. Some signs have another meaning: Snakemake reads
braces as wildcards and ``<name>`` as a variable, a shell reads ``~`` as the home folder, and a leading ``-`` begins an
option. A path with one of these is refused in one line, before anything is written.
"""

import os
import unicodedata
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from local_h5.contracts.config import Config
from local_h5.errors import ConfigError

T = TypeVar("T", bound=Struct)

PATHS = (
    "results", "variables", "areas.districts", "takeup.programmes", "example.cache",
    "inputs.weights", "inputs.geography", "inputs.dataset", "inputs.targets",
    "inputs.national.weights", "inputs.national.geography",
    "inputs.tables.block_districts", "inputs.tables.block_crosswalk", "inputs.tables.county_cbsa",
    "validation.population.table", "validation.training", "store.url",
)  # fmt: skip
"""Keys of the configuration that hold a path (``store.url``: or an address)."""

_KEPT = tuple(key for key in PATHS if key not in ("results", "example.cache"))
"""Inputs, tables and the store. They must not be lost together with the results."""

_PROJECT = (
    ".git", ".snakemake", ".venv", "adapters", "benchmarks", "config", "containers", "docs", "packages", "profiles",
    "rules", "schemas", "scripts", "src", "tests",
)  # fmt: skip
"""Folders of the project itself, below the folder that the workflow runs in."""

_PATTERN = "{}<>"

_SHIPPED = ("variables", "areas.districts", "takeup.programmes")
"""Keys whose defaults name a file of the project itself."""

_CHECKOUT = Path(__file__).resolve().parents[3]


def shipped(path: Path) -> Path:
    """A file of the project: in the folder that the workflow runs in, else beside the library.

    The folder is another one with ``snakemake -d`` and where another workflow uses this one as a module.
    """
    beside = _CHECKOUT / path
    return path if path.exists() or not beside.exists() else Path(os.path.relpath(beside))


def with_plain_paths(config: Config, where: object) -> Config:
    """A configuration in which every path has the one form that all parts of a run write.

    Relative paths stay relative (to the folder that the workflow runs in), without ``./``, ``//`` and needless ``..``.

    Args:
        config: as it was read.
        where: its file, for messages.

    Raises:
        ConfigError: a path that a shell or Snakemake would read as something else, or a results folder that holds
            what is not a result.
    """
    for key in PATHS:
        given = _value(config, key)
        if given is not None:
            plain = plain_path(given, where, key)
            config = _with(config, key.split("."), str(shipped(Path(plain))) if key in _SHIPPED else plain)
    _check_results(config, where)
    return config


def _value(config: Config, key: str) -> str | None:
    value: str | None = reduce(getattr, key.split("."), config)  # type: ignore[assignment]
    return value


def _with(section: T, names: Sequence[str], value: str) -> T:
    """A section with another value at a place inside it."""
    first, *inner = names
    return replace(section, **{first: _with(getattr(section, first), inner, value) if inner else value})


def plain_path(text: str, where: object, field: str) -> str:
    """One path in its plain form; an address with ``://`` stays as it is where the field may be one.

    Raises:
        ConfigError: as :func:`with_plain_paths`.
    """
    address = "://" in text
    plain = text if address else _plain(text)
    wrong = _wrong(text, may_be_address=field == "store.url") or _wrong(plain, may_be_address=address)
    if wrong is not None:
        raise ConfigError(f"{where}: {field}: expected {wrong[0]}, found {text!r}. {wrong[1]}")
    if not address and os.path.realpath(plain) != os.path.realpath(text):
        raise ConfigError(
            f"{where}: {field}: expected a path without .. after a link, found {text!r}. Write the path that is "
            f"meant: {os.path.realpath(text)}."
        )
    return plain


def _plain(text: str) -> str:
    try:
        plain = os.path.normpath(text) if text.startswith("/") else os.path.relpath(text)
    except ValueError:  # a null character; what is wrong with it is said of the text itself
        return text
    return plain[1:] if plain.startswith("//") else plain


def _wrong(text: str, *, may_be_address: bool) -> tuple[str, str] | None:
    """What was expected of a path that is wrong, and what to do. None for a good path."""
    if any(unicodedata.category(sign) in ("Cc", "Zl", "Zp") for sign in text):
        return "a path without line breaks and control characters", "Rename the folder or file."
    if text != text.strip():
        return "a path without spaces at its ends", "Spaces inside a path are fine."
    found = [sign for sign in _PATTERN if sign in text]
    if found:
        return f"a path without {' '.join(found)}, which Snakemake reads as a pattern", "Rename the folder or file."
    if "://" in text and not may_be_address:
        return "a path of this machine", "Fetch the file first, and give its path."
    if text.startswith("~"):
        known = os.path.expanduser(text)  # noqa: PTH111  (text, for the message alone)
        whole = f"Write the whole path: {known}." if known != text else "Write the whole path."
        return "a path without ~, which not every part of a run reads as the home folder", whole
    if text.startswith("-"):
        return "a path that does not begin with -, like an option", f"Write the whole path: {Path.cwd() / text}."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "a path that is text in UTF-8", "Rename the folder or file."
    return None


def _check_results(config: Config, where: object) -> None:
    """Refuse a results folder with other files: a run removes leftovers there, and ``make clean`` deletes it."""
    results = Path(config.results).resolve()
    here = Path.cwd().resolve()
    holds = None
    if results.exists() and not results.is_dir():
        holds = ("a folder", "a file")
    elif here.is_relative_to(results):
        holds = ("a folder of its own", "the folder that the workflow runs in, or one above it")
    elif inside := [name for name in _PROJECT if results.is_relative_to(here / name)]:
        holds = ("a folder of its own", f"the project's folder {inside[0]}")
    if holds is not None:
        raise ConfigError(
            f"{where}: results: expected {holds[0]}, found {config.results!r}, {holds[1]}. Everything that a "
            "run makes lies below results, and is removed with it; name a new folder."
        )
    for key in _KEPT:
        value = _value(config, key)
        if value is not None and "://" not in value and Path(value).resolve().is_relative_to(results):
            raise ConfigError(
                f"{where}: {key}: expected a path outside the results folder {config.results!r}, found "
                f"{value!r}. What a run makes is removed with its folder; keep this elsewhere, or set results to "
                "another folder."
            )
