"""Settings: the store and mirrors of each country, and the cache folder.

In this order: the caller, the environment (`PE_DATA_STORE`, `PE_DATA_MIRRORS`), the configuration file, and a
folder in the user's data directory. Whoever names another store changes where bytes come from, and not whose
channels are believed: the namespace of the file holds for every store. The file is TOML, at
`PE_DATA_CONFIG` or `config.toml` in the user's configuration folder for `pe-data`::

    [stores.us]                       # or [stores.default] for every country without its own
    url = "s3://bucket/prefix"
    mirrors = ["https://mirror.example.org/prefix"]
    namespace = "policyengine"        # refuse channels of anybody else
    require_revocations = true        # refuse files while no signed revocation list holds
    options = { region = "us-east-1" }

    [stores.uk]
    url = "gateway+https://data.example.org"
    gated_group = "frs"               # members of this group may read its payloads in the cache

    [trust]
    root = "/etc/pe-data/root.json"   # whose signatures are believed; or PE_DATA_TRUST_ROOT
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pe_data.errors import ConfigError
from pe_data.names.countries import access_of

APP = "pe-data"
CACHE_VARIABLE = "PE_DATA_CACHE"
STORE_VARIABLE = "PE_DATA_STORE"
MIRRORS_VARIABLE = "PE_DATA_MIRRORS"
CONFIG_VARIABLE = "PE_DATA_CONFIG"
OFFLINE_VARIABLE = "PE_DATA_OFFLINE"
RECHECK_VARIABLE = "PE_DATA_REVOCATION_HOURS"
RECHECK_HOURS = 24.0
TRUST_ROOT_VARIABLE = "PE_DATA_TRUST_ROOT"
DEFAULT = "default"
_KEYS = {"url", "mirrors", "namespace", "options", "gated_group", "require_revocations"}
_GROUP = re.compile(r"[^/\x00-\x1f]{1,64}")


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """Where the artifacts of a country are."""

    url: str
    mirrors: tuple[str, ...] = ()
    """Addresses that hold the same objects (never channels), in the order to try."""
    namespace: str | None = None
    """The namespace that channels must have; None accepts any."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Settings of the store's backend."""
    gated_group: str | None = None
    """Group of this machine that may read the country's payloads in the cache, if they are gated."""
    require_revocations: bool = False
    """Refuse a file where no list says whether it was revoked."""


def store_for(country: str, environment: Mapping[str, str] | None = None, *, store: str | None = None) -> StoreConfig:
    """The store that serves `country`.

    Args:
        store: Address that the caller named; it goes before the environment, and has no mirrors.

    Raises:
        ConfigError: the file cannot be used.
    """
    env = os.environ if environment is None else environment
    stores = _read(config_path(env))
    configured = next((stores[name] for name in (country, DEFAULT) if name in stores), None)
    mirrors: tuple[str, ...] = ()
    if store is None and env.get(STORE_VARIABLE):
        store = env[STORE_VARIABLE]
        mirrors = tuple(m.strip() for m in env.get(MIRRORS_VARIABLE, "").split(",") if m.strip())
    if store is None:
        return configured or StoreConfig(_default_folder())
    if configured is None:
        return StoreConfig(store, mirrors)
    options = configured.options if configured.url.rstrip("/") == store.rstrip("/") else {}
    return replace(configured, url=store, mirrors=mirrors, options=options)


def is_configured(country: str, environment: Mapping[str, str] | None = None) -> bool:
    """Whether anybody said which store serves `country`. Raises ConfigError."""
    env = os.environ if environment is None else environment
    return bool(env.get(STORE_VARIABLE)) or not {country, DEFAULT}.isdisjoint(_read(config_path(env)))


def configured_urls(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Every store and mirror that the environment or the configuration file names. Raises ConfigError."""
    env = os.environ if environment is None else environment
    configs = [store_for(DEFAULT, env), *_read(config_path(env)).values()]
    return tuple(url for config in configs for url in (config.url, *config.mirrors))


def gated_group(country: str, environment: Mapping[str, str] | None = None) -> str | None:
    """The group that may read the payloads of a gated country in the cache; None for the reader alone.

    It is of the configuration file alone: another store (`PE_DATA_STORE`) changes nothing about who is licensed.

    Raises:
        ConfigError: the file cannot be used.
    """
    if access_of(country) != "gated":
        return None
    stores = _read(config_path(os.environ if environment is None else environment))
    return next((stores[name].gated_group for name in (country, DEFAULT) if name in stores), None)


def cache_folder(environment: Mapping[str, str] | None = None) -> Path:
    """`PE_DATA_CACHE`, else the user's cache folder for `pe-data`."""
    env = os.environ if environment is None else environment
    if env.get(CACHE_VARIABLE):
        return Path(env[CACHE_VARIABLE]).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path(APP, appauthor=False)


def config_path(environment: Mapping[str, str] | None = None) -> Path:
    """The configuration file, whether it is there or not."""
    env = os.environ if environment is None else environment
    if env.get(CONFIG_VARIABLE):
        return Path(env[CONFIG_VARIABLE]).expanduser()
    import platformdirs

    return platformdirs.user_config_path(APP, appauthor=False) / "config.toml"


def trust_root(environment: Mapping[str, str] | None = None) -> Path | None:
    """The configured trust root, a file or the folder that it is in; None if nothing is configured."""
    env = os.environ if environment is None else environment
    if env.get(TRUST_ROOT_VARIABLE):
        return Path(env[TRUST_ROOT_VARIABLE]).expanduser()
    path = config_path(env)
    table = _document(path).get("trust", {})
    if not isinstance(table, dict) or set(table) - {"root"}:
        raise ConfigError(f"{path}: trust: expected a table with the key root, found {table!r}")
    root = table.get("root")
    if root is not None and (not isinstance(root, str) or not root):
        raise ConfigError(f"{path}: trust.root: expected a path, found {root!r}")
    return Path(root).expanduser() if root else None


def is_offline(environment: Mapping[str, str] | None = None) -> bool:
    """Whether `PE_DATA_OFFLINE` forbids the network."""
    env = os.environ if environment is None else environment
    return env.get(OFFLINE_VARIABLE, "").lower() in ("1", "true", "yes", "on")


def recheck_seconds(environment: Mapping[str, str] | None = None) -> float:
    """How long a cached file is used before the stores are asked again whether it was revoked.

    Raises:
        ConfigError: `PE_DATA_REVOCATION_HOURS` is no number of hours.
    """
    env = os.environ if environment is None else environment
    text = env.get(RECHECK_VARIABLE) or str(RECHECK_HOURS)
    try:
        hours = float(text)
    except ValueError:
        hours = -1.0
    if not 0 <= hours < 1e6:
        raise ConfigError(f"{RECHECK_VARIABLE}: expected a number of hours (0 asks every time), found {text[:40]!r}")
    return hours * 3600


def _default_folder() -> str:
    import platformdirs

    return str(platformdirs.user_data_path(APP, appauthor=False) / "store")


def _document(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as TOML: {error}") from error
    unknown = set(document) - {"stores", "trust"}
    if unknown:
        raise ConfigError(f"{path}: expected the tables [stores] and [trust], found key {sorted(unknown)[0]!r}")
    return document


def _read(path: Path) -> dict[str, StoreConfig]:
    tables = _document(path).get("stores", {})
    if not isinstance(tables, dict):
        raise ConfigError(f"{path}: stores: expected tables such as [stores.{DEFAULT}]")
    return {name: _store(path, name, table) for name, table in tables.items()}


def _store(path: Path, name: str, table: object) -> StoreConfig:
    where = f"{path}: stores.{name}"
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: expected a table with the key url")
    unknown = set(table) - _KEYS
    if unknown:
        raise ConfigError(f"{where}: expected the keys {', '.join(sorted(_KEYS))}, found {sorted(unknown)[0]!r}")
    url, mirrors = table.get("url"), table.get("mirrors", [])
    namespace, options = table.get("namespace"), table.get("options", {})
    if not isinstance(url, str) or not url:
        raise ConfigError(f"{where}.url: expected an address or a folder, found {url!r}")
    if not isinstance(mirrors, list) or not all(isinstance(m, str) and m for m in mirrors):
        raise ConfigError(f"{where}.mirrors: expected a list of addresses, found {mirrors!r}")
    if namespace is not None and not isinstance(namespace, str):
        raise ConfigError(f"{where}.namespace: expected a text, found {namespace!r}")
    if not isinstance(options, dict):
        raise ConfigError(f"{where}.options: expected a table, found {options!r}")
    group = table.get("gated_group")
    if group is not None and not (isinstance(group, str) and _GROUP.fullmatch(group)):
        raise ConfigError(f"{where}.gated_group: expected the name of a group of this machine, found {group!r}")
    required = table.get("require_revocations", False)
    if not isinstance(required, bool):
        raise ConfigError(f"{where}.require_revocations: expected true or false, found {required!r}")
    texts = {str(key): str(value) for key, value in options.items()}
    return StoreConfig(url, tuple(mirrors), namespace, texts, group, required)
