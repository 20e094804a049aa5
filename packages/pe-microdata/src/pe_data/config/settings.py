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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pe_data.errors import ConfigError

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
_GROUP = re.compile(r"[^/\x00-\x1f]{1,64}")
_KEYS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "url": ("an address or a folder", lambda found: isinstance(found, str) and found != ""),
    "mirrors": ("a list of addresses", lambda found: isinstance(found, list) and all(map(_KEYS["url"][1], found))),
    "namespace": ("a text", lambda found: isinstance(found, str)),
    "options": ("a table", lambda found: isinstance(found, dict)),
    "gated_group": (
        "the name of a group of this machine",
        lambda found: isinstance(found, str) and _GROUP.fullmatch(found) is not None,
    ),
    "require_revocations": ("true or false", lambda found: isinstance(found, bool)),
}
"""Key of a store → what it has to be."""


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


def store_for(country: str, *, store: str | None = None) -> StoreConfig:
    """The store that serves `country`.

    Args:
        store: Address that the caller named; it goes before the environment, and has no mirrors.

    Raises:
        ConfigError: the file cannot be used.
    """
    stores = _read(config_path())
    configured = next((stores[name] for name in (country, DEFAULT) if name in stores), None)
    mirrors: tuple[str, ...] = ()
    if store is None and os.environ.get(STORE_VARIABLE):
        store = os.environ[STORE_VARIABLE]
        mirrors = tuple(m.strip() for m in os.environ.get(MIRRORS_VARIABLE, "").split(",") if m.strip())
    if store is None:
        return configured or StoreConfig(_default_folder())
    if configured is None:
        return StoreConfig(store, mirrors)
    options = configured.options if configured.url.rstrip("/") == store.rstrip("/") else {}
    return replace(configured, url=store, mirrors=mirrors, options=options)


def is_configured(country: str) -> bool:
    """Whether anybody said which store serves `country`. Raises ConfigError."""
    return bool(os.environ.get(STORE_VARIABLE)) or not {country, DEFAULT}.isdisjoint(_read(config_path()))


def configured_urls() -> tuple[str, ...]:
    """Every store and mirror that the environment or the configuration file names. Raises ConfigError."""
    configs = [store_for(DEFAULT), *_read(config_path()).values()]
    return tuple(url for config in configs for url in (config.url, *config.mirrors))


def cache_folder() -> Path:
    """`PE_DATA_CACHE`, else the user's cache folder for `pe-data`."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE]).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path(APP, appauthor=False)


def config_path() -> Path:
    """The configuration file, whether it is there or not."""
    if os.environ.get(CONFIG_VARIABLE):
        return Path(os.environ[CONFIG_VARIABLE]).expanduser()
    import platformdirs

    return platformdirs.user_config_path(APP, appauthor=False) / "config.toml"


def trust_root() -> Path | None:
    """The configured trust root, a file or the folder that it is in; None if nothing is configured."""
    if os.environ.get(TRUST_ROOT_VARIABLE):
        return Path(os.environ[TRUST_ROOT_VARIABLE]).expanduser()
    path = config_path()
    table = _document(path).get("trust", {})
    if not isinstance(table, dict) or set(table) - {"root"}:
        raise ConfigError(f"{path}: trust: expected a table with the key root, found {table!r}")
    root = table.get("root")
    if root is not None and (not isinstance(root, str) or not root):
        raise ConfigError(f"{path}: trust.root: expected a path, found {root!r}")
    return Path(root).expanduser() if root else None


def is_offline() -> bool:
    """Whether `PE_DATA_OFFLINE` forbids the network."""
    return os.environ.get(OFFLINE_VARIABLE, "").lower() in ("1", "true", "yes", "on")


def recheck_seconds() -> float:
    """How long a cached file is used before the stores are asked again whether it was revoked.

    Raises:
        ConfigError: `PE_DATA_REVOCATION_HOURS` is no number of hours.
    """
    text = os.environ.get(RECHECK_VARIABLE) or str(RECHECK_HOURS)
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
    unknown = set(table) - _KEYS.keys()
    if unknown:
        raise ConfigError(f"{where}: expected the keys {', '.join(sorted(_KEYS))}, found {sorted(unknown)[0]!r}")
    for key, (expected, fits) in _KEYS.items():
        if (key in table or key == "url") and not fits(table.get(key)):
            raise ConfigError(f"{where}.{key}: expected {expected}, found {table.get(key)!r}")
    options = {str(key): str(value) for key, value in table.get("options", {}).items()}
    return StoreConfig(**{**table, "mirrors": tuple(table.get("mirrors", ())), "options": options})
