"""``local-h5 report``: write the report of a run, finished or not."""

from pathlib import Path

import click


@click.command(name="report")
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Folder of the run.",
)
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder to write to [validation/].")
def report(results: Path, output: Path | None) -> None:
    """Write the report of a run: one HTML page that needs no network, its tables and figures.

    What is not built or not validated yet is shown as such, so the command works on a run that stopped half-way.
    """
    from local_h5.report.write import write_report
    from local_h5.settings import Settings

    settings = Settings.read(results / "prepared" / "config.json")
    click.echo(write_report(settings, output or results / "validation"))
