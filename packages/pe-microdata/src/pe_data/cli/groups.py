"""Groups of commands that suggest what was meant, and `-v` and `-q`, which every command takes."""

from typing import Any

import click

from pe_data.cli.output import LEVELS, LOGGER
from pe_data.suggestions import did_you_mean


class Group(click.Group):
    """A group that answers a misspelt command with the closest one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            meant = did_you_mean(name, self.list_commands(ctx), most=2) or f"See {ctx.command_path} --help."
            ctx.fail(f"No such command {name!r}. {meant}")
        return super().resolve_command(ctx, args)


def say_how_much(command: click.Command) -> click.Command:
    """Give a command, and those below it, `-v` and `-q`; they work before and after its name."""
    if any(parameter.name == "quiet" for parameter in command.params):
        return command
    hidden = not isinstance(command, Group) or command.name != "app"
    command.params += [
        click.Option(
            ["-v", "--verbose"],
            count=True,
            expose_value=False,
            callback=_louder,
            hidden=hidden,
            help="Say what is asked of which store; twice for more.",
        ),
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_quieter,
            hidden=hidden,
            help="No warnings and no progress, only errors.",
        ),
    ]
    if isinstance(command, click.Group):
        for below in command.commands.values():
            say_how_much(below)
    return command


def _louder(context: click.Context, parameter: click.Parameter, value: int) -> None:
    if value:
        LOGGER.setLevel(LEVELS[min(1 + value, len(LEVELS) - 1)])


def _quieter(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value:
        LOGGER.setLevel(LEVELS[0])
