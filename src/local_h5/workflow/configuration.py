"""The configuration of a run, merged as Snakemake merges it, for commands that run without Snakemake.

Importing Snakemake takes several times as long as a plan, so its few rules for merging are written here again.
tests/unit/workflow/test_configuration.py compares them with Snakemake's own functions.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from local_h5.config.settings import Settings, merge
from local_h5.errors import ConfigError

DEFAULTS = Path("config/config.yaml")

_KEY = re.compile(r"[a-zA-Z_][\w-]*\w$")
_USE_YTE = "__use_yte__"


def load_settings(configfiles: Sequence[Path] = (), overrides: Sequence[str] = ()) -> Settings:
    """The defaults, then each file, then each override, as ``snakemake --configfile … --config …`` merges them.

    Args:
        configfiles: YAML or JSON files.
        overrides: ``KEY=VALUE``, as :func:`parse_overrides` reads it.

    Raises:
        ConfigError: a file is missing or malformed, an override has no ``=``, or the result breaks the schema.
    """
    config: dict[str, Any] = {}
    for path in (DEFAULTS, *configfiles):
        config = merge(config, read_config(path))
    given = parse_overrides(overrides)
    return Settings.load(merge(config, given), ", ".join(map(str, (DEFAULTS, *configfiles))), given)


def parse_overrides(entries: Sequence[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` as Snakemake does: a number, True, False, else YAML with texts only, else text.

    :meth:`local_h5.config.settings.Settings.load` gives the texts inside sections the types of a file.

    Raises:
        ConfigError: an entry has no ``=``, or its key is no identifier.
    """
    given: dict[str, Any] = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        value = value.strip("'\"")
        if not equals or not _KEY.match(key):
            raise ConfigError(f"--config: expected KEY=VALUE, found {entry}. For example: results=elsewhere")
        read = _value(value)
        if read is None and value:  # only a comment, which Snakemake also reads as no value
            raise ConfigError(f"--config: {key}: expected a value, found {value}. Put it into a file.")
        given = merge(given, {key: read})
    return given


def read_config(path: Path) -> dict[str, Any]:
    """Read a configuration file: JSON, else YAML, with templates of ``yte`` if the file asks for them.

    Raises:
        ConfigError: missing, malformed, or no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = _parsed(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        remedy = ". Run in the folder that holds the Snakefile." if path == DEFAULTS else ""
        raise ConfigError(f"{path}: expected a YAML configuration, found {problem_of(error)}{remedy}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping, found {type(data).__name__}")
    use_yte = data.pop(_USE_YTE, None)
    return _with_templates(path, text) if use_yte else data


def problem_of(error: Exception) -> str:
    """Why a file cannot be read, in a few words; for YAML with the line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{error.problem} in line {mark.line + 1}, column {mark.column + 1}"
    if isinstance(error, UnicodeDecodeError):
        return f"bytes that are no UTF-8 ({error.reason} at byte {error.start})"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)  # ten thousand areas take a minute to read as YAML
    except ValueError:
        return yaml.safe_load(text)


def _with_templates(path: Path, text: str) -> dict[str, Any]:
    try:
        import yte
    except ImportError as error:
        raise ConfigError(
            f"{path}: {_USE_YTE}: expected the package yte, which comes with Snakemake, found none. Install it, "
            "or write the file without templates."
        ) from error
    try:
        data: dict[str, Any] = yte.process_yaml(text, require_use_yte=True)
    except Exception as error:  # the file's own expressions
        raise ConfigError(f"{path}: {_USE_YTE}: expected templates that can be filled in, found {error}") from error
    return data


def _value(text: str) -> Any:
    if not text:
        return None
    parsers: tuple[Callable[[str], Any], ...] = (int, float, _bool, _texts)
    for parse in parsers:
        try:
            return parse(text)
        except Exception:  # the next parser may read it
            continue
    return text


def _bool(text: str) -> bool:
    return {"True": True, "False": False}[text]


def _texts(text: str) -> Any:
    return yaml.load(text, Loader=yaml.BaseLoader)  # builds nothing but texts, lists and mappings
