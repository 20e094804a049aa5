"""The commands ``plan``, ``explain``, ``verify`` and ``report`` of ``local-h5``."""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import click

from local_h5.config.layout import Layout
from local_h5.config.settings import Settings
from local_h5.errors import ResultError, WriteError
from local_h5.files.digests import DigestMemo
from local_h5.runs.forecast import forecast
from local_h5.workflow.configuration import load_settings

_FILES = ("--configfile", "--configfiles")
_VALUES = ("--config", "-C")


class _AsSnakemake(click.Command):
    """A command whose ``--configfile`` and ``--config`` take several values and count once, as Snakemake's do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest: list[str] = []
        taken: dict[str, list[str]] = {}
        last: list[str] | None = None
        waiting = list(args)
        while waiting:
            head = waiting.pop(0)
            if head == "--":
                rest += [head, *waiting]
                break
            name, equals, value = head.partition("=")
            if head.startswith("-C") and head != "-C":
                name, equals, value = "-C", "=", head[2:]
            option = next((names[0] for names in (_FILES, _VALUES) if name in names), None)
            if option is None:
                rest.append(head)
                continue
            if option in taken:
                click.echo(f"{option} is given twice: as in Snakemake, the last one counts.", err=True)
            last = taken[option] = [value] if equals else []
            while not equals and waiting and not waiting[0].startswith("-"):
                last.append(waiting.pop(0))
            if not last and option == "--configfile":
                raise click.UsageError(f"Option '{option}' requires an argument.", ctx)
        needs = any(isinstance(parameter, click.Argument) and parameter.required for parameter in self.params)
        if needs and last and not any(not part.startswith("-") for part in rest):
            rest.append(last.pop())  # Snakemake would take it for a value; a command that needs it may have it
        options = [part for option, values in taken.items() for value in values for part in (option, value)]
        return super().parse_args(ctx, [*options, *rest])


def _with_configuration(command: Callable[..., None]) -> Callable[..., None]:
    """The options by which Snakemake is told its configuration."""
    files = click.option(
        "--configfile",
        "configfiles",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        multiple=True,
        metavar="FILE...",
        help="Configuration on top of config/config.yaml, one or several files, as for Snakemake.",
    )
    overrides = click.option(
        "--config", "overrides", multiple=True, metavar="KEY=VALUE...", help="Overrides, as for Snakemake."
    )
    return files(overrides(command))


@click.command(cls=_AsSnakemake)
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@_with_configuration
def plan(form: str, configfiles: tuple[Path, ...], overrides: tuple[str, ...]) -> None:
    """What a run would build and why; writes nothing."""
    from local_h5.runs.plan import make_plan
    from local_h5.runs.plan_text import as_json, as_markdown, as_text

    settings = load_settings(configfiles, overrides)
    memo = _memo(settings)
    made = make_plan(settings, forecast(settings, memo))
    _save(memo)
    if form == "json":
        click.echo(as_json(made))
    else:
        click.echo(as_markdown(made) if form == "markdown" else as_text(made))


@click.command(cls=_AsSnakemake)
@click.argument("area")
@_with_configuration
def explain(area: str, configfiles: tuple[Path, ...], overrides: tuple[str, ...]) -> None:
    """What decides AREA's file (for example NC-01), and what of it changed since it was built."""
    from local_h5.runs.explain import as_lines, find_request
    from local_h5.runs.explain import explain as explain_area

    settings = load_settings(configfiles, overrides)
    request = find_request(settings, area)
    memo = _memo(settings)
    explanation = explain_area(settings, request, forecast(settings, memo), memo)
    _save(memo)
    click.echo("\n".join(as_lines(explanation)))


@click.command(cls=_AsSnakemake)
@click.option("--deep", is_flag=True, help="Read all inputs again too, and look into every H5.")
@click.option("--delete-stale", is_flag=True, help="Delete what is stale or corrupt, so that the next run builds it.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@_with_configuration
def verify(
    deep: bool, delete_stale: bool, form: str, configfiles: tuple[Path, ...], overrides: tuple[str, ...]
) -> None:
    """Check each file against its sidecar and the inputs; exit status 1 when one is not as it should be."""
    from local_h5.runs import verify as checks
    from local_h5.runs.run_lock import hold_run_lock

    settings = load_settings(configfiles, overrides)
    memo = _memo(settings)
    lock = hold_run_lock(settings.results) if delete_stale else None
    verification = checks.verify(settings, memo, deep=deep)
    _save(memo)
    click.echo(checks.as_json(verification) if form == "json" else "\n".join(checks.as_lines(verification)))
    if lock is not None:
        for path in checks.delete_stale(settings, verification):
            click.echo(f"deleted {path}", err=True)
        lock.release()
    sys.exit(0 if verification.good else 1)


@click.command(name="report", cls=_AsSnakemake)
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the run [that of the configuration].",
)
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder to write to [validation/].")
@_with_configuration
def report(
    results: Path | None, output: Path | None, configfiles: tuple[Path, ...], overrides: tuple[str, ...]
) -> None:
    """Write the report of a run: one HTML page that needs no network, its tables and figures.

    What is not built or not validated yet is shown as such, so the command works on a run that stopped half-way.
    """
    from local_h5.report.write import write_report

    if results is None:
        results = load_settings(configfiles, overrides).results
    layout = Layout(results)
    of_run = layout.config
    if not of_run.is_file():
        raise ResultError(
            f"{results}: expected the folder of a run, found no {of_run}. Run the workflow first: make all."
        )
    click.echo(write_report(Settings.read(of_run), output or layout.validation))


def _memo(settings: Settings) -> DigestMemo:
    return DigestMemo.open(settings.layout.memo)


def _save(memo: DigestMemo) -> None:
    """The memo is all that these commands write, and only where a run has been; it only saves time."""
    if memo.path is not None and memo.path.parent.is_dir():
        with contextlib.suppress(WriteError):  # a folder of somebody else, which may be read
            memo.save()
