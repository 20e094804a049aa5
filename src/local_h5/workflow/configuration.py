"""The configuration of a run as Snakemake would put it together, for commands that run without it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from local_h5.errors import ConfigError
from local_h5.settings import Settings

DEFAULTS = Path("config/config.yaml")


def load_settings(configfiles: Sequence[Path] = (), overrides: Sequence[str] = ()) -> Settings:
    """The defaults, then each file, then each override, as ``snakemake --configfile … --config …`` merges them.

    Args:
        configfiles: YAML or JSON files.
        overrides: ``KEY=VALUE``, the value in YAML.

    Raises:
        ConfigError: a file is missing or malformed, an override has no ``=``, or the result breaks the schema.
    """
    config: dict[str, Any] = {}
    for path in (DEFAULTS, *configfiles):
        config = merge(config, _read(path))
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise ConfigError("--config", expected="KEY=VALUE", found=override, remedy="For example: results=elsewhere")
        try:
            config = merge(config, {key: yaml.safe_load(value)})
        except yaml.YAMLError as error:
            raise ConfigError("--config", field=key, expected="a value in YAML", found=str(error)) from error
    return Settings.load(config, ", ".join(map(str, (DEFAULTS, *configfiles))))


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` on top of ``under``; mappings are merged key by key, everything else is replaced."""
    merged = dict(under)
    for key, value in over.items():
        before = merged.get(key)
        merged[key] = merge(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        # JSON is YAML too, but ten thousand areas take a minute to read as such.
        data = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        remedy = "Run in the folder that holds the Snakefile." if path == DEFAULTS else None
        raise ConfigError(path, expected="a YAML configuration", found=str(error), remedy=remedy) from error
    if not isinstance(data, dict):
        raise ConfigError(path, expected="a mapping", found=type(data).__name__)
    return data
