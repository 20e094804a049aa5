"""``local-h5 report``: write the report of a run, finished or not."""

from pathlib import Path

import click

from local_h5.workflow.commands import _AsSnakemake, _with_configuration


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
    from local_h5.errors import ResultError
    from local_h5.report.write import write_report
    from local_h5.settings import Settings
    from local_h5.workflow.configuration import load_settings
    from local_h5.workflow.main_process import resolved_config

    if results is None:
        of_run = resolved_config(load_settings(configfiles, overrides))
        results = of_run.parents[1]
    else:
        of_run = results / "prepared" / "config.json"
    if not of_run.is_file():
        raise ResultError(
            results, expected="the folder of a run", found=f"no {of_run}", remedy="Run the workflow first: make all."
        )
    click.echo(write_report(Settings.read(of_run), output or results / "validation"))
