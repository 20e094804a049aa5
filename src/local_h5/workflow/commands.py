"""The commands ``plan``, ``explain`` and ``verify`` of ``local-h5``."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import click

from local_h5.settings import Settings
from local_h5.workflow.configuration import load_settings
from local_h5.workflow.digests import DigestMemo
from local_h5.workflow.forecast import forecast
from local_h5.workflow.main_process import memo_path


def _with_configuration(command: Callable[..., None]) -> Callable[..., None]:
    """The options by which Snakemake is told its configuration."""
    files = click.option(
        "--configfile",
        "configfiles",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        multiple=True,
        help="Configuration on top of config/config.yaml, as for Snakemake.",
    )
    overrides = click.option(
        "--config", "overrides", multiple=True, metavar="KEY=VALUE", help="Overrides, as for Snakemake."
    )
    return files(overrides(command))


@click.command()
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@_with_configuration
def plan(form: str, configfiles: tuple[Path, ...], overrides: tuple[str, ...]) -> None:
    """What a run would build and why; writes nothing."""
    from local_h5.workflow.plan import make_plan
    from local_h5.workflow.plan_text import as_json, as_markdown, as_text

    settings = load_settings(configfiles, overrides)
    memo = _memo(settings)
    made = make_plan(settings, forecast(settings, memo))
    _save(memo)
    if form == "json":
        click.echo(json.dumps(as_json(made), indent=1))
    else:
        click.echo(as_markdown(made) if form == "markdown" else as_text(made))


@click.command()
@click.argument("area")
@_with_configuration
def explain(area: str, configfiles: tuple[Path, ...], overrides: tuple[str, ...]) -> None:
    """What decides AREA's file (for example NC-01), and what of it changed since it was built."""
    from local_h5.workflow.explain import as_lines, find_request
    from local_h5.workflow.explain import explain as explain_area

    settings = load_settings(configfiles, overrides)
    request = find_request(settings, area)
    memo = _memo(settings)
    explanation = explain_area(settings, request, forecast(settings, memo), memo)
    _save(memo)
    click.echo("\n".join(as_lines(explanation)))


@click.command()
@click.option("--deep", is_flag=True, help="Read all inputs again too, and look into every H5.")
@click.option("--delete-stale", is_flag=True, help="Delete what is stale or corrupt, so that the next run builds it.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@_with_configuration
def verify(
    deep: bool, delete_stale: bool, form: str, configfiles: tuple[Path, ...], overrides: tuple[str, ...]
) -> None:
    """Check each file against its sidecar and the inputs; exit status 1 when one is not as it should be."""
    from local_h5.workflow import verify as checks
    from local_h5.workflow.run_lock import hold_run_lock

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


def _memo(settings: Settings) -> DigestMemo:
    return DigestMemo.open(memo_path(settings))


def _save(memo: DigestMemo) -> None:
    """The memo is all that these commands write, and only where a run has been."""
    if memo.path is not None and memo.path.parent.is_dir():
        memo.save()
