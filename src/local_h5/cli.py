"""``local-h5``: what a run would do, why, and whether the files are what they should be."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from local_h5.errors import LocalH5Error
from local_h5.files.atomic import of_owner

_HOMES: Mapping[str, str] = {
    "plan": "local_h5.workflow.commands",
    "explain": "local_h5.workflow.commands",
    "verify": "local_h5.workflow.commands",
    "report": "local_h5.workflow.commands",
}
"""Command → the module that has it under the same name; imported when it is used."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _HOMES:
            return None
        command: click.Command = getattr(importlib.import_module(_HOMES[cmd_name]), cmd_name)
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="local-h5")
def _group() -> None:
    """Calibrated US microdata, one H5 per area. Run it in the folder that holds the Snakefile."""


def main() -> None:
    """Entry point; an error of ours, or of a file, is one line and exit status 1."""
    try:
        _group()
    except LocalH5Error as error:
        said = str(error)
    except OSError as error:
        path = Path(error.filename) if isinstance(error.filename, str) else None
        said = str(error) if path is None else f"{path}: {error.strerror}{of_owner(path)}"
    else:
        return
    click.echo(f"error: {said}", err=True)
    sys.exit(1)
