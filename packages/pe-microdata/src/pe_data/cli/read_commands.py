"""Commands that read: list, resolve, ensure, schema, export, staleness."""

from dataclasses import asdict
from pathlib import Path

import click

from pe_data.cli.common import (
    as_json,
    options_of,
    place_options,
    print_json,
    print_table,
    progress_bar,
    say,
    stale_option,
)
from pe_data.cli.tables import (
    column_rows,
    entity_rows,
    human_size,
    summary_rows,
    text_table,
)
from pe_data.names.countries import PUBLIC_EXAMPLE


@click.command("list")
@click.argument("what", required=False, metavar="[COUNTRY[/DATASET]]")
@click.option("--search", default="", help="Only names that hold this text.")
@click.option("--members", is_flag=True, help="List the members of collections too.")
@place_options
@as_json
def list_command(
    what: str | None,
    search: str,
    members: bool,
    store: str | None,
    cache: str | None,
    offline: bool | None,
    json_output: bool,
) -> None:
    """Show datasets, channels, members, years and sizes; fetches no payloads.

    A dataset (or its address) is shown with its members.

    \b
      pe-data list
      pe-data list us/local_areas
      pe-data list us --search NC-
      pe-data list us --members --json
    """
    from pe_data.config.settings import store_for
    from pe_data.read.listing import list_store, place_of

    country, dataset = place_of(what) if what else (None, None)
    members = members or dataset is not None
    options = options_of(store, cache, offline)
    found = list(list_store(options, country, dataset, search=search, members=members))
    if json_output:
        print_json(found)
        return
    rows: list[tuple[str, ...]] = []
    for one in found:
        name = f"{one.country}/{one.dataset}@{one.channel}"
        years = ", ".join(map(str, one.years))
        count = str(one.member_count) if one.member_count else ""
        version = f"v{one.version}" if one.status == "active" else f"v{one.version} {one.status}"
        rows.append((name, version, years, count, human_size(one.size_bytes)))
        rows += [(f"  {m.name}", "", "", "", human_size(m.size_bytes)) for m in one.members]
    if rows:
        print_table(("dataset", "version", "years", "members", "size"), rows)
    else:
        place = store_for(country or "default", store=options.store).url
        name = "/".join(part for part in (country, dataset) if part)
        about = f" of {name}" if name else ""
        said = f"no name holds {search!r}" if search else f"nothing{about} was published"
        say(f"{said} in {place} (PE_DATA_STORE or --store names another store)")


@click.command()
@click.argument("uri")
@place_options
@stale_option
@as_json
def resolve(
    uri: str,
    store: str | None,
    cache: str | None,
    offline: bool | None,
    allow_stale: bool,
    json_output: bool,
) -> None:
    """Say what an address stands for now, and how to pin it; fetches no payload.

    \b
      pe-data resolve pe-data://us/local_areas/districts/NC-01@latest
    """
    from pe_data.names.uri import parse_store_uri
    from pe_data.read.locate import target as target_of
    from pe_data.read.places import Places

    options = options_of(store, cache, offline, allow_stale=allow_stale)
    parsed = parse_store_uri(uri)
    target = target_of(parsed, Places.of(parsed, options))
    if json_output:
        print_json(target)
        return
    rows = [(name.replace("_", " "), str(value)) for name, value in asdict(target).items()]
    print_table(("field", "value"), [row for row in rows if row[1] != "None"])


@click.command()
@click.argument("uris", nargs=-1, required=True, metavar="URI...")
@click.option("--sha256", help="Digest that the file must have (hf://, https:// and paths).")
@click.option("--verify", is_flag=True, help="Hash cached files again.")
@click.option("--allow-revoked", is_flag=True, help="Hand out a revoked file that is in the cache (and say so).")
@place_options
@stale_option
@as_json
def ensure(
    uris: tuple[str, ...],
    sha256: str | None,
    verify: bool,
    allow_revoked: bool,
    store: str | None,
    cache: str | None,
    offline: bool | None,
    allow_stale: bool,
    json_output: bool,
) -> None:
    """Fetch files, verify them, and print their paths.

    \b
      pe-data ensure pe-data://us/local_areas/districts/NC-01@latest
      pe-data ensure pe-data://us/enhanced_cps_2024@sha256:4e92…
      pe-data ensure hf://policyengine/policyengine-us-data/enhanced_cps_2024.h5@1.2.3
      pe-data ensure https://example.org/file.h5 --sha256 4e92…
    """
    from dataclasses import replace

    from pe_data.read.resolver import ensure_with

    options = options_of(store, cache, offline, allow_stale=allow_stale, verify=verify, allow_revoked=allow_revoked)
    paths: dict[str, str] = {}
    for uri in uris:
        with progress_bar(uri) as progress:
            path = ensure_with(uri, replace(options, progress=progress), sha256=sha256)
        paths[uri] = str(path)
        if not json_output:
            say(path)
    if json_output:
        print_json(paths)


@click.command()
@click.argument("uri")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "croissant", "frictionless"]),
    default="table",
    help="Croissant and Frictionless are exchange formats for data sets.",
)
@click.option("--search", default="", help="Only columns whose name holds this text.")
@click.option("--year", type=int, help="For a local file that does not say its year.")
@place_options
@stale_option
@as_json
def schema(
    uri: str,
    form: str,
    search: str,
    year: int | None,
    store: str | None,
    cache: str | None,
    offline: bool | None,
    allow_stale: bool,
    json_output: bool,
) -> None:
    """Show what is inside a file: entities, columns, provenance; about 2 KB of traffic.

    \b
      pe-data schema pe-data://us/local_areas/districts/NC-01@latest
      pe-data schema pe-data://us/enhanced_cps_2024@latest --search income
      pe-data schema ./states/NC.h5 --format croissant
    """
    from pe_data.read.lookup import NOT_BOUND, is_bound, manifest_for

    options = options_of(store, cache, offline, allow_stale=allow_stale)
    manifest, address = manifest_for(uri, options, year=year)
    bound = is_bound(uri)
    if not bound and form in ("croissant", "frictionless"):
        say(f"pe-data: warning: {uri}: manifest {NOT_BOUND}", err=True)
    if json_output or form == "json":
        print_json(manifest.to_json() | ({} if bound else {"bound": False}))
    elif form == "croissant":
        from pe_data.documents.croissant import to_croissant

        print_json(to_croissant(manifest, address))
    elif form == "frictionless":
        from pe_data.documents.frictionless import to_frictionless

        print_json(to_frictionless(manifest))
    else:
        rows = summary_rows(manifest) + ([] if bound else [("manifest", NOT_BOUND)])
        say(text_table(("", ""), rows).lstrip())
        say()
        print_table(("entity", "rows", "columns"), entity_rows(manifest))
        say()
        header = ("entity", "column", "dtype", "period", "role")
        print_table(header, column_rows(manifest, search))


@click.command()
@click.argument("uri")
@click.option("--to", type=click.Choice(["parquet", "csv"]), required=True)
@click.option("--out", default=".", show_default=True, help="Folder for one file per entity.")
@click.option("--variables", help="Only these columns, comma-separated.")
@click.option("--year", type=int, help="Which year of a file with several.")
@click.option(
    "--allow-pickle",
    is_flag=True,
    help="Read files that pandas wrote as HDF5, which can run code of whoever made them.",
)
@place_options
@stale_option
@as_json
def export(
    uri: str,
    to: str,
    out: str,
    variables: str | None,
    year: int | None,
    allow_pickle: bool,
    store: str | None,
    cache: str | None,
    offline: bool | None,
    allow_stale: bool,
    json_output: bool,
) -> None:
    """Write one Parquet or CSV file per entity.

    \b
      pe-data export pe-data://us/local_areas/districts/NC-01@latest --to csv --out nc01
      pe-data export ./states/NC.h5 --to parquet --variables age,household_weight
    """
    from pe_data.read.frames import FORMATS
    from pe_data.read.frames import export as export_frames

    written = export_frames(
        uri,
        FORMATS[0] if to == FORMATS[0] else FORMATS[1],
        Path(out),
        [name.strip() for name in variables.split(",")] if variables else None,
        year=year,
        allow_pickle=allow_pickle,
        store=store,
        cache=cache,
        offline=offline,
        allow_stale=allow_stale,
    )
    if json_output:
        print_json({entity: str(path) for entity, path in written.items()})
    else:
        for path in written.values():
            say(path)


@click.command()
@click.argument("uris", nargs=-1, metavar="[URI]...")
@click.option("--country", help="Every dataset of this country that this machine has used.")
@place_options
@as_json
def staleness(
    uris: tuple[str, ...],
    country: str | None,
    store: str | None,
    cache: str | None,
    offline: bool | None,
    json_output: bool,
) -> int:
    """Is our data out of date? For a job that runs every day.

    Stale: the channel has moved on, the installed model is another version than the one that built
    the data, or the pointer has expired.

    \b
      pe-data staleness --country us
      pe-data staleness pe-data://us/enhanced_cps_2024@sha256:4e92…

    \b
    Exit codes: 0 current, 1 stale, 2 cannot tell.
    """
    from pe_data.names.keys import check_country as check_code
    from pe_data.read.staleness import check_country, check_uri, overall

    if not uris and not country:
        raise click.UsageError(f"say --country {PUBLIC_EXAMPLE.code}, or an address")
    options = options_of(store, cache, offline)
    verdicts = check_country(check_code(country), options) if country else []
    verdicts += [check_uri(uri, options) for uri in uris]
    state = overall(verdicts)
    if json_output:
        print_json({"state": state, "datasets": verdicts})
        return state.exit_code
    for verdict in verdicts:
        say(f"{verdict.dataset}: {verdict.state}")
        for reason in verdict.reasons:
            say(f"  {reason}")
    if not verdicts:
        say(f"{country}: this machine has not used any of its datasets")
    say(f"overall: {state}")
    return state.exit_code


COMMANDS: dict[str, click.Command] = {
    "list": list_command,
    "resolve": resolve,
    "ensure": ensure,
    "schema": schema,
    "export": export,
    "staleness": staleness,
}
