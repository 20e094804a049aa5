"""Commands that compare: diff and staleness."""

from typing import Any

import click

from pe_data.cli.completion import ADDRESS
from pe_data.cli.options import json_option, members_option, pickle_option, reading_options, where_options
from pe_data.cli.output import Output, say
from pe_data.errors import PeDataError
from pe_data.names.countries import PUBLIC_EXAMPLE
from pe_data.read.options import Options


@click.command()
@click.argument("a", type=ADDRESS)
@click.argument("b", type=ADDRESS)
@members_option
@click.option("--deep", is_flag=True, help="Fetch and read what differs: weighted totals and values of every column.")
@click.option("--limit", type=click.IntRange(0), default=20, show_default=True, help="Of each kind; 0 shows all.")
@click.option("--markdown", is_flag=True, help="Print Markdown, for release notes.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if something differs.")
@click.option("--year", type=int, help="Which year of files with several, or of a local file that does not say.")
@pickle_option
@where_options
@json_option
def diff(
    a: str,
    b: str,
    members: tuple[str, ...],
    deep: bool,
    limit: int,
    markdown: bool,
    exit_code: bool,
    year: int | None,
    allow_pickle: bool,
    where: dict[str, Any],
    output: Output,
) -> int:
    """Show what changed from A to B: members, rows, columns, weights; reads no payload unless --deep.

    A and B are addresses (COUNTRY/DATASET means @latest), versions (@v3, as `history` numbers them), folders of
    files, the results of a run, or single files.

    \b
    Examples:
      pe-data diff us/local_areas@v1 us/local_areas@latest
      pe-data diff us/local_areas results/example --members 'states/*'
      pe-data diff us/local_areas/districts/NC-01@v1 us/local_areas/districts/NC-01@v2 --deep
      pe-data diff us/local_areas@v1 us/local_areas@v2 --markdown > changes.md

    \b
    Exit codes: 0 compared, with --exit-code 0 the same and 1 different or withheld; 1 failed; 2 wrong usage.
    """
    from pe_data.documents.notice import WithheldError
    from pe_data.read.diff import diff as compare

    if markdown and output.as_json:
        raise click.UsageError("say --json or --markdown")
    try:
        found = compare(a, b, members=members or None, deep=deep, year=year, allow_pickle=allow_pickle, **where)
    except WithheldError as error:
        output(error.notice, [error.notice.line()])
        return 1 if exit_code else 0
    shown = limit or None
    output(found.to_json(), [found.markdown(shown) if markdown else found.text(shown)])
    return 1 if exit_code and found else 0


@click.command()
@click.argument("uris", type=ADDRESS, nargs=-1, metavar="[URI]...")
@click.option("--country", help="Every dataset of this country that this machine has used.")
@click.option(
    "--release",
    metavar="FILE|PACKAGE",
    help="The datasets of a data_release.json, a bundle's manifest or an installed package.",
)
@reading_options
@json_option
def staleness(uris: tuple[str, ...], country: str | None, release: str | None, options: Options, output: Output) -> int:
    """Check whether our data is out of date, for a job that runs every day.

    Stale: the channel has moved on, the installed model is another version than the one that built
    the data (of a release: that it is certified for), or the pointer has expired.

    \b
    Examples:
      pe-data staleness --country us
      pe-data staleness pe-data://us/enhanced_cps_2024@sha256:4e92…
      pe-data staleness --release data_release.json

    \b
    Exit codes: 0 current, 1 stale, 2 cannot tell or wrong usage, 3 the check failed.
    """
    from pe_data.names.keys import check_country as check_code
    from pe_data.read.staleness import check_country, check_uri, overall

    if not uris and not country and not release:
        raise click.UsageError(f"say --country {PUBLIC_EXAMPLE.code}, --release FILE, or an address")
    try:
        verdicts = check_country(check_code(country), options) if country else []
        verdicts += [check_uri(uri, options) for uri in uris]
        if release:
            from pe_data.certify.release_staleness import check_release

            verdicts += check_release(release, options)
    except (PeDataError, OSError) as error:
        if isinstance(error, PeDataError) and error.exit_code == 2:
            raise
        say(f"pe-data: error: {error}", err=True)
        return 3
    state = overall(verdicts)
    lines = [line for one in verdicts for line in (f"{one.dataset}: {one.state}", *(f"  {why}" for why in one.reasons))]
    if not verdicts:
        lines.append(f"{country}: this machine has not used any of its datasets")
    output({"state": state, "datasets": verdicts}, [*lines, f"overall: {state}"])
    return state.exit_code


COMMANDS: dict[str, click.Command] = {"diff": diff, "staleness": staleness}
