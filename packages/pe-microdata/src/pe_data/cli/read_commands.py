"""Commands that read: list, resolve, ensure, fetch, schema, variables, export."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from pe_data.cli.completion import ADDRESS, DATASET_NAME
from pe_data.cli.options import (
    FOLDER,
    address_options,
    fetching_options,
    json_option,
    members_option,
    pickle_option,
    reading_options,
    where_options,
    workers_option,
)
from pe_data.cli.output import Output, download_progress, facts, plain, print_json, say
from pe_data.cli.tables import column_rows, entity_rows, member_rows, notes_of, summary_rows, variable_rows
from pe_data.documents.told import called
from pe_data.read.options import Options
from pe_data.texts import human_size, table

if TYPE_CHECKING:
    from pe_data.documents.notice import Notice
    from pe_data.exports.export import Format


@click.command("list")
@click.argument("what", type=DATASET_NAME, required=False, metavar="[COUNTRY[/DATASET]]")
@click.option("--search", default="", help="Only names that hold this text.")
@click.option("--members", is_flag=True, help="List the members of collections too.")
@reading_options
@json_option
def list_command(what: str | None, search: str, members: bool, options: Options, output: Output) -> None:
    """Show datasets, channels, members, years and sizes; fetches no payloads.

    A dataset (or its address) is shown with its members. Of a gated country, without a token for its gateway, there is
    no more than the name, the licence and how to apply.

    \b
    Examples:
      pe-data list
      pe-data list us/local_areas
      pe-data list us --search NC-
      pe-data list us --members --json
    """
    from pe_data.config.settings import store_for
    from pe_data.documents.notice import Notice
    from pe_data.read.listing import list_store, place_of

    country, dataset = place_of(what) if what else (None, None)
    found = list(list_store(options, country, dataset, search=search, members=members or dataset is not None))
    rows: list[tuple[str, ...]] = []
    more: list[str] = []
    for one in found:
        if isinstance(one, Notice):
            more.append(one.line())
            continue
        name = f"{one.country}/{one.dataset}@{one.channel}"
        years = ", ".join(map(str, one.years))
        count = str(one.member_count) if one.member_count else ""
        version = f"v{one.version}" if one.status == "active" else f"v{one.version} {one.status}"
        rows.append((name, version, years, count, human_size(one.size_bytes), "", ""))
        rows += [
            (f"  {m.name}", "", "", "", human_size(m.size_bytes), m.licence or "", called(m.title, m.area))
            for m in one.members
        ]
        more += [f"{one.country}/{one.dataset}: {note}" for note in notes_of([m.notes for m in one.members])]
    header = ("dataset", "version", "years", "members", "size", "licence", "title or area")
    lines = [*(table(header, rows) if rows else []), *more]
    if not found:
        place = store_for(country or "default", store=options.store).url
        name = "/".join(part for part in (country, dataset) if part)
        said = f"no name holds {search!r}" if search else f"nothing{f' of {name}' if name else ''} was published"
        lines = [f"{said} in {place} (PE_DATA_STORE or --store names another store)"]
    output({"datasets": found}, lines)


@click.command()
@click.argument("uri", type=ADDRESS)
@where_options
@json_option
def resolve(uri: str, where: dict[str, Any], output: Output) -> None:
    """Show what an address stands for now, and how to pin it; fetches no payload.

    \b
    Examples:
      pe-data resolve pe-data://us/local_areas/districts/NC-01@latest
    """
    from pe_data.read.resolver import resolve as resolved

    target = resolved(uri, **where)
    said = {**plain(target), "notes": "; ".join(target.notes) or None}
    rows = [(name.replace("_", " "), str(value)) for name, value in said.items() if value is not None]
    output(target, table(("field", "value"), rows))


@click.command()
@click.argument("uris", type=ADDRESS, nargs=-1, required=True, metavar="URI...")
@click.option("--sha256", help="Digest that the file must have (one hf:// or https:// address, or a path).")
@fetching_options
@json_option
def ensure(uris: tuple[str, ...], sha256: str | None, options: Options, output: Output) -> None:
    """Fetch files, verify them, and print their paths.

    \b
    Examples:
      pe-data ensure pe-data://us/local_areas/districts/NC-01@latest
      pe-data ensure pe-data://us/enhanced_cps_2024@sha256:4e92…
      pe-data ensure hf://policyengine/policyengine-us-data/enhanced_cps_2024.h5@1.2.3
      pe-data ensure https://example.org/file.h5 --sha256 4e92…
    """
    from pe_data.read.resolver import ensure_with

    if sha256 is not None and len(uris) > 1:
        raise click.UsageError(f"--sha256 is the digest of one file, and {len(uris)} addresses were named")
    paths: dict[str, str] = {}
    for uri in uris:
        with download_progress(uri) as bar:
            paths[uri] = str(ensure_with(uri, replace(options, progress=bar), sha256=sha256))
        if not output.as_json:
            say(paths[uri])
    output(paths)


@click.command()
@click.argument("uri", type=ADDRESS)
@members_option
@click.option("--to", type=FOLDER, help="Folder for the files under their names.")
@workers_option
@click.option("--dry-run", is_flag=True, help="Show names and sizes, download nothing.")
@click.option("--link", is_flag=True, help="Hard links to the cache instead of copies: do not edit them.")
@fetching_options
@json_option
def fetch(
    uri: str,
    members: tuple[str, ...],
    to: Path | None,
    workers: int,
    dry_run: bool,
    link: bool,
    options: Options,
    output: Output,
) -> None:
    """Fetch the members of a collection side by side, verify them, and put them into a folder.

    A call that was interrupted is completed by the same call.

    \b
    Examples:
      pe-data fetch pe-data://us/local_areas@latest --to areas
      pe-data fetch pe-data://us/local_areas@latest --members 'districts/NC-*' --dry-run
    """
    from pe_data.read.fetch import fetch_with

    with download_progress(uri) as bar:
        found = fetch_with(uri, options, members or None, to, workers, dry_run, link, bar)
    done = "to download" if dry_run else "downloaded"
    total = f"{len(found.files)} files, {human_size(found.size_bytes)}; {human_size(found.missing_bytes)} {done}"
    rows = [(file.name, human_size(file.size_bytes), "yes" if file.cached else "") for file in found.files]
    lines = [*table(("file", "size", "cached"), rows), total] if dry_run else [file.path for file in found.files]
    output({"files": found.files, "size_bytes": found.size_bytes, "missing_bytes": found.missing_bytes}, lines)


@click.command()
@click.argument("uri", type=ADDRESS)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "croissant", "frictionless"]),
    default="table",
    help="Croissant and Frictionless are exchange formats for data sets.",
)
@click.option("--search", default="", help="Only columns, or members of a collection, whose name holds this text.")
@click.option("--year", type=int, help="For a local file that does not say its year.")
@address_options
@json_option
def schema(uri: str, form: str, search: str, year: int | None, options: Options, output: Output) -> None:
    """Show entities, columns and provenance of a file; downloads the manifest only (about 3 kB).

    A collection is shown with its members. What its publication says of a member (area, licence, notes, citation) is
    shown with it. Of a gated country, without a token for its gateway, there is no more than the name, the licence and
    how to apply; Croissant and Frictionless, which are made to be passed on, never say more of it.

    \b
    Examples:
      pe-data schema pe-data://us/local_areas@latest
      pe-data schema pe-data://us/local_areas/districts/NC-01@latest
      pe-data schema pe-data://us/enhanced_cps_2024@latest --search income
      pe-data schema ./states/NC.h5 --format croissant
    """
    from pe_data.documents.collection import Collection
    from pe_data.documents.notice import Notice
    from pe_data.read.lookup import NOT_BOUND, no_file, shown

    output = Output(output.as_json or form == "json")
    entry = shown(uri, options, year=year)
    if isinstance(entry, Notice):
        _show_notice(entry, form, output)
        return
    if isinstance(entry, Collection):
        if form not in ("table", "json"):
            raise no_file(uri, entry)
        members = {name: one for name, one in sorted(entry.members.items()) if search.lower() in name.lower()}
        output(
            {"country": entry.country, "dataset": entry.dataset, "run_id": entry.run_id, "members": members},
            [
                *facts({"collection": f"{entry.country}/{entry.dataset}", "run": entry.run_id}),
                "",
                *table(("member", "title or area", "licence", "size", "sha256"), member_rows(members)),
                *notes_of([one.notes for one in members.values()]),
            ],
        )
        return
    manifest, about = entry.manifest, entry.about
    if not entry.bound and form in ("croissant", "frictionless"):
        say(f"pe-data: warning: {uri}: manifest {NOT_BOUND}", err=True)
    if output.as_json:
        told = {"dictionary": msgspec.to_builtins([one for one in entry.variables if one.is_told])}
        more = {**(told if told["dictionary"] else {}), **({} if entry.bound else {"bound": False})}
        print_json({**manifest.to_json(), **msgspec.to_builtins(about), **more})
    elif form == "croissant":
        from pe_data.documents.croissant import to_croissant

        print_json(to_croissant(manifest, entry.place, about=about, said=entry.said))
    elif form == "frictionless":
        from pe_data.documents.frictionless import to_frictionless

        print_json(to_frictionless(manifest, about=about, said=entry.said))
    else:
        rows = summary_rows(manifest, about) + ([] if entry.bound else [("manifest", NOT_BOUND)])
        header = ("entity", "column", "dtype", "period", "role", "label [unit]")
        columns = table(header, column_rows(manifest, search, entry.said))
        output(
            None,
            [
                *table(("", ""), rows)[1:],
                "",
                *table(("entity", "rows", "columns"), entity_rows(manifest)),
                "",
                *columns,
            ],
        )


def _show_notice(notice: "Notice", form: str, output: Output) -> None:
    """What is told of a gated file, in the form that was asked for."""
    if form == "croissant":
        from pe_data.documents.croissant import notice_to_croissant

        print_json(notice_to_croissant(notice))
    elif form == "frictionless":
        from pe_data.documents.frictionless import notice_to_frictionless

        print_json(notice_to_frictionless(notice))
    else:
        output(notice, [notice.line()])


@click.command()
@click.argument("uri", type=ADDRESS, required=False, metavar="[URI]")
@click.option("--search", default="", metavar="WORDS", help="Only variables that have each of these words.")
@click.option("--year", type=int, help="For a local file that does not say its year.")
@address_options
@json_option
def variables(uri: str | None, search: str, year: int | None, options: Options, output: Output) -> None:
    """Say what variables mean: label, unit, entity, period, values; fetches no payload.

    Of a file, each column; of a collection, what its dictionary says; without an address, every dataset of the store.
    Words are looked for in name, label, description, unit and entity. Of a gated country, without a token for its
    gateway, there is no more than the name, the licence and how to apply.

    \b
    Examples:
      pe-data variables pe-data://us/local_areas@latest --search income
      pe-data variables pe-data://us/local_areas/districts/NC-01@latest
      pe-data variables ./states/NC.h5 --search "person benefits"
      pe-data variables --search pension --json
    """
    from pe_data.documents.notice import Notice
    from pe_data.read.variables import variables_in_store, variables_of

    header = ("entity", "variable", "period", "label", "unit", "more")
    if uri is None:
        every = dict(variables_in_store(options, search))
        named = [
            (name, *row)
            for name, found in every.items()
            if not isinstance(found, Notice)
            for row in variable_rows(found)
        ]
        notices = [found.line() for found in every.values() if isinstance(found, Notice)]
        lines = [*(table(("dataset", *header), named) if named else []), *notices]
        output({"datasets": every}, lines or [_none_of(search)])
        return
    found = variables_of(uri, options, year=year, search=search)
    if isinstance(found, Notice):
        output(found, [found.line()])
    else:
        output({"variables": found}, table(header, variable_rows(found)) if found else [_none_of(search)])


def _none_of(search: str) -> str:
    return f"no variable has {search!r} in its name, label, description, unit or entity" if search else "no variables"


@click.command()
@click.argument("uri", type=ADDRESS)
@click.option("--to", type=click.Choice(["csv", "parquet", "stata", "duckdb"]), required=True)
@click.option("--out", default=".", show_default=True, help="Folder for the files.")
@click.option("--variables", help="Only these columns, comma-separated.")
@click.option(
    "--members",
    "-m",
    multiple=True,
    metavar="GLOB",
    help="Of a collection, the members whose name fits, such as 'districts/*', together.",
)
@click.option("--year", type=int, help="Which year of a file with several.")
@pickle_option
@where_options
@json_option
def export(
    uri: str,
    to: "Format",
    out: str,
    variables: str | None,
    members: tuple[str, ...],
    year: int | None,
    allow_pickle: bool,
    where: dict[str, Any],
    output: Output,
) -> None:
    """Write one CSV, Parquet or Stata file per entity, or one DuckDB file, with labels and what is said of the data.

    Codes are text with their leading zeros. Beside CSV files lie read.py, read.R and read.do, beside Stata files
    read.R, which read them with types and labels; datapackage.json says where the rows are from.

    \b
    Examples:
      pe-data export pe-data://us/local_areas/districts/NC-01@latest --to csv --out nc01
      pe-data export pe-data://us/local_areas@latest --members 'districts/*' --to stata --out districts
      pe-data export ./states/NC.h5 --to parquet --variables age,household_weight
    """
    from pe_data.exports.export import RENAMES
    from pe_data.exports.export import export as write

    chosen = [name.strip() for name in variables.split(",")] if variables else None
    written = write(uri, to, out, chosen, members=members or None, year=year, allow_pickle=allow_pickle, **where)
    if written.renamed:
        told = f"{written.renamed} columns have other names in {'Stata' if to == 'csv' else 'the files'}"
        say(f"pe-data: {told}: {Path(out) / RENAMES}", err=True)
    output({entity: str(path) for entity, path in written.items()}, dict.fromkeys(written.values()))


COMMANDS: dict[str, click.Command] = {
    "list": list_command,
    "resolve": resolve,
    "ensure": ensure,
    "fetch": fetch,
    "schema": schema,
    "variables": variables,
    "export": export,
}
