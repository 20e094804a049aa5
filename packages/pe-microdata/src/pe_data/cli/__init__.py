"""The command line `pe-data`: `main` runs it, `app` is the click group.

Commands are loaded when they are named, so that `pe-data ensure` of a cached file does not pay for
the others. Whatever goes wrong on purpose is one line on standard error and an exit code.
"""

import sys
from importlib import import_module

import click

from pe_data.cli.groups import Group, say_how_much
from pe_data.cli.output import noted, say
from pe_data.errors import MissingExtraError, PeDataError
from pe_data.names.countries import COLLECTION_EXAMPLE, MEMBER_EXAMPLE, PUBLIC_EXAMPLE

_READ, _PUBLISH = "pe_data.cli.read_commands", "pe_data.cli.publish_commands"
_UPKEEP, _TRUST = "pe_data.cli.upkeep_commands", "pe_data.cli.trust_commands"
_CERTIFY, _COMPARE = "pe_data.cli.certify_commands", "pe_data.cli.compare_commands"
_RELEASE = "pe_data.cli.release_commands"
SECTIONS = {
    "Read": {
        "list": _READ,
        "resolve": _READ,
        "ensure": _READ,
        "fetch": _READ,
        "schema": _READ,
        "variables": _READ,
        "diff": _COMPARE,
        "export": _READ,
        "history": _PUBLISH,
        "staleness": _COMPARE,
    },
    "Publish": {
        "publish": _PUBLISH,
        "channel": _PUBLISH,
        "promote": _TRUST,
        "site": "pe_data.cli.site_commands",
        "release-manifest": _RELEASE,
        "export-hub": _RELEASE,
        "certify": _CERTIFY,
        "bundle-status": _CERTIFY,
    },
    "Look after": {
        "cache": "pe_data.cli.cache_commands",
        "mirror": _UPKEEP,
        "fsck": _UPKEEP,
        "gc": _UPKEEP,
        "pin": _UPKEEP,
    },
    "Trust": {
        "sign": _TRUST,
        "revoke": "pe_data.cli.revocation_commands",
        "key": "pe_data.cli.key_commands",
        "root": "pe_data.cli.root_commands",
    },
    "Gateway": {},
}
"""Section of `--help` → command → module with its `COMMANDS`."""
_HOMES = {name: home for section in SECTIONS.values() for name, home in section.items()}
DISTRIBUTION = "pe-microdata"
GROUP = "pe_data.commands"
"""Entry points of further commands, from other distributions; each names a click command."""
GATEWAY = "pe-microdata-gateway"
"""The distribution that has the commands below."""
GATEWAY_COMMANDS = ("serve", "token", "audit")
EPILOG = f"""\b
Try:
  pe-data list {PUBLIC_EXAMPLE.code}
  pe-data schema pe-data://{COLLECTION_EXAMPLE}/{MEMBER_EXAMPLE}@latest
  pe-data ensure pe-data://{COLLECTION_EXAMPLE}/{MEMBER_EXAMPLE}@latest
  pe-data COMMAND --help

\b
Environment:
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
  0    done; staleness: current; bundle-status: reproducible
  1    failed, and the reason is printed; or what was checked is not as it should be
       (staleness: stale; fsck, cache verify: damaged; bundle-status: revoked; root verify, audit verify;
       diff --exit-code: different)
  2    wrong usage, address or configuration; staleness, bundle-status: cannot tell
  3    staleness: the check itself failed; bundle-status: a payload is missing
  130  interrupted
"""


class LazyGroup(Group):
    """A group whose commands live in modules of their own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from importlib.metadata import entry_points  # slow to import, and no command of this distribution needs it

        return [*_HOMES, *sorted({entry.name for entry in entry_points(group=GROUP)} - set(_HOMES))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        home = _HOMES.get(cmd_name)
        found = _elsewhere(cmd_name) if home is None else import_module(home).COMMANDS[cmd_name]
        return None if found is None else say_how_much(found)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        names = self.list_commands(ctx)
        shown = {title: list(section) for title, section in SECTIONS.items()}
        shown["Gateway"] = [name for name in names if name in GATEWAY_COMMANDS]
        shown["Others"] = [name for name in names if name not in _HOMES and name not in GATEWAY_COMMANDS]
        for title, section in shown.items():
            found = ((name, self.get_command(ctx, name)) for name in section)
            rows = [(name, one.get_short_help_str(60)) for name, one in found if one is not None]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _elsewhere(name: str) -> click.Command | None:
    """A command of another distribution. Raises MissingExtraError for a known one that is not installed."""
    from importlib.metadata import entry_points, version

    for entry in entry_points(group=GROUP, name=name):
        command: click.Command = entry.load()
        return command
    if name in GATEWAY_COMMANDS:
        raise MissingExtraError(
            f"{name}: expected the distribution {GATEWAY} {version(DISTRIBUTION)} beside this one, which brings "
            "the command; found none. Install it from where pe-data came"
        )
    return None


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name=DISTRIBUTION, prog_name="pe-data")
def app() -> None:
    """Publish, fetch and inspect microdata files, identified by SHA-256."""


say_how_much(app)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit the process."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command line; returns the exit code."""
    with noted():
        try:
            result = app.main(arguments, prog_name="pe-data", standalone_mode=False)
        except PeDataError as error:
            return _failed(error, error.exit_code)
        except click.exceptions.Abort:
            say("pe-data: interrupted", err=True)
            return 130
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except OSError as error:
            return _failed(error, 1)
    return result if isinstance(result, int) else 0


def _failed(error: Exception, code: int) -> int:
    say(f"pe-data: error: {error}", err=True)
    return code
