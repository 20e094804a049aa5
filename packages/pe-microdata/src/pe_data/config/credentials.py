"""Find the token for a gateway: `PE_DATA_TOKEN`, or a file that binds each token to a host.

The file is TOML, at `PE_DATA_CREDENTIALS` or `credentials.toml` beside the configuration, and must not
be readable by others::

    [gateways."data.example.org"]
    token = "pedata_…"

`PE_DATA_TOKEN` is bound to a host as well: written as `pedata_…@data.example.org` it goes there and
nowhere else; without a host it goes to the gateways that the configuration names (`PE_DATA_STORE`, or
the file) and to this machine. A store that is named for one call only (`--store`, `store=`) gets a token
that was written down for its host, or none. An address of an artifact never names a host.
"""

import os
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

from pe_data.config.settings import config_path, configured_urls
from pe_data.errors import ConfigError
from pe_data.files.private import check_private

TOKEN_VARIABLE = "PE_DATA_TOKEN"
CREDENTIALS_VARIABLE = "PE_DATA_CREDENTIALS"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def token_for(host: str) -> str | None:
    """The token for the gateway at `host` (with its port, if the address has one).

    Raises:
        ConfigError: the file is readable by others, or is not what it should be.
    """
    if os.environ.get(TOKEN_VARIABLE):
        text, at, bound = _checked(os.environ[TOKEN_VARIABLE].strip(), TOKEN_VARIABLE).partition("@")
        if bound.lower() == host.lower() if at else _is_ours(host):
            return text
    path = credentials_path()
    if not path.exists():
        return None
    check_private(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as TOML: {type(error).__name__}") from error
    gateways = document.get("gateways", {})
    if not isinstance(gateways, dict):
        raise ConfigError(f'{path}: gateways: expected tables such as [gateways."{host}"], found something else')
    table = next((gateways[name] for name in gateways if name.lower() == host.lower()), None)
    if table is None:
        return None
    token = table.get("token") if isinstance(table, dict) else None
    if not isinstance(token, str) or not token:
        raise ConfigError(f'{path}: gateways."{host}".token: expected a text, found none')
    return _checked(token, f'{path}: gateways."{host}".token')


def _is_ours(host: str) -> bool:
    """Whether a gateway is one of the configuration, or on this machine."""
    if urlsplit(f"//{host}").hostname in LOOPBACK:
        return True
    return any(
        url.startswith("gateway+") and url.partition("://")[2].partition("/")[0].lower() == host.lower()
        for url in configured_urls()
    )


def credentials_path() -> Path:
    """The file with tokens, whether it is there or not."""
    if os.environ.get(CREDENTIALS_VARIABLE):
        return Path(os.environ[CREDENTIALS_VARIABLE]).expanduser()
    return config_path().with_name("credentials.toml")


def _checked(token: str, where: str) -> str:
    """A token goes into a header: one printable word. The message does not repeat it."""
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"{where}: expected one word of printable characters, found something else")
    return token
