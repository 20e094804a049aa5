"""The command line `pe-data`: `main` runs it, `app` is the click group.

Commands are loaded when they are named, so that `pe-data ensure` of a cached file does not pay for
the others. Whatever goes wrong on purpose is one line on standard error and an exit code.
"""

import sys
import warnings
from importlib import import_module
from importlib.metadata import entry_points, version

import click

from pe_data.errors import MissingExtraError, PeDataError
from pe_data.names.countries import COLLECTION_EXAMPLE, MEMBER_EXAMPLE, PUBLIC_EXAMPLE

_READ, _STORE = "pe_data.cli.read_commands", "pe_data.cli.store_commands"
_TRUST = "pe_data.cli.trust_commands"
_HOMES = {
    "list": _READ,
    "resolve": _READ,
    "ensure": _READ,
    "schema": _READ,
    "export": _READ,
    "cache": "pe_data.cli.cache_commands",
    "staleness": _READ,
    "publish": _STORE,
    "channel": _STORE,
    "mirror": _STORE,
    "fsck": _STORE,
    "gc": _STORE,
    "pin": _STORE,
    "promote": _TRUST,
    "sign": _TRUST,
    "certify": "pe_data.cli.certify_commands",
    "bundle-status": "pe_data.cli.certify_commands",
    "revoke": "pe_data.cli.revocation_commands",
    "key": "pe_data.cli.key_commands",
    "root": "pe_data.cli.root_commands",
}
DISTRIBUTION = "pe-microdata"
GROUP = "pe_data.commands"
"""Entry points of further commands, from other distributions; each names a click command."""
GATEWAY = "pe-microdata-gateway"
"""The distribution that has `serve`, `token` and `audit`."""
EPILOG = f"""\b
Try:
  pe-data list {PUBLIC_EXAMPLE.code}
  pe-data schema pe-data://{COLLECTION_EXAMPLE}/{MEMBER_EXAMPLE}@latest
  pe-data ensure pe-data://{COLLECTION_EXAMPLE}/{MEMBER_EXAMPLE}@latest
  pe-data COMMAND --help

\b
Where things are:
  PE_DATA_STORE    store: a folder, s3://…, gs://…, az://…, https://…, gateway+https://…
  PE_DATA_MIRRORS  further places with the same files, comma-separated
  PE_DATA_CACHE    verified files on this machine
  PE_DATA_OFFLINE  1 forbids the network
  PE_DATA_TOKEN    token for a gateway+https:// store
  PE_DATA_TRUST_ROOT  root.json that signatures are checked from
  PE_DATA_KEYS     folder with signing keys
  PE_DATA_REVOCATION_HOURS  how often cached files are checked for a revocation (24)
  PE_DATA_CONFIG   a file with stores per country instead of the above

\b
Exit codes:
  0  done                        (staleness: current; bundle-status: reproducible)
  1  it failed, and why is said  (staleness: stale; fsck, cache verify: damage; bundle-status: revoked)
  2  wrong usage or address      (staleness, bundle-status: cannot tell)
  3  payload missing             (bundle-status)
  130  interrupted
"""


class LazyGroup(click.Group):
    """A group whose commands live in modules of their own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_HOMES, *sorted({entry.name for entry in entry_points(group=GROUP)} - set(_HOMES))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        home = _HOMES.get(cmd_name)
        if home is None:
            return _elsewhere(cmd_name)
        commands: dict[str, click.Command] = import_module(home).COMMANDS
        return commands[cmd_name]


def _elsewhere(name: str) -> click.Command | None:
    """A command of another distribution. Raises MissingExtraError for a known one that is not installed."""
    for entry in entry_points(group=GROUP, name=name):
        command: click.Command = entry.load()
        return command
    if name in ("serve", "token", "audit"):
        raise MissingExtraError(
            f"{name}: expected the distribution {GATEWAY} {version(DISTRIBUTION)} beside this one, which brings "
            "the command; found none. Install it from where pe-data came"
        )
    return None


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name=DISTRIBUTION, prog_name="pe-data")
def app() -> None:
    """Microdata files by what they are: publish them, fetch them verified, look inside."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit the process."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command line; returns the exit code."""
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            result = app.main(arguments, prog_name="pe-data", standalone_mode=False)
        except PeDataError as error:
            _say(f"error: {error}")
            return error.exit_code
        except click.exceptions.Abort:
            _say("interrupted")
            return 130
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except OSError as error:
            _say(f"error: {error}")
            return 1
    return result if isinstance(result, int) else 0


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    _say(f"warning: {message}")


def _say(text: str) -> None:
    from pe_data.cli.common import say

    say(f"pe-data: {text}", err=True)
