"""`pe-data publish`, `channel` and `history`."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from pe_data.cli.groups import Group
from pe_data.cli.options import (
    ChosenStore,
    artifact_argument,
    dataset_argument,
    digest_of,
    json_option,
    key_option,
    namespace_of,
    namespace_option,
    said_options,
    seal_of,
    store_option,
    workers_option,
    years_option,
)
from pe_data.cli.output import Output, facts, plain, progress, say
from pe_data.describe.columns import inputs_of
from pe_data.describe.file import Label
from pe_data.documents.manifest import Access, InputFile
from pe_data.documents.pointer import Said, UnsignedPointer
from pe_data.documents.validation import from_records, records_in
from pe_data.errors import PeDataError
from pe_data.names.countries import UNSPECIFIED
from pe_data.names.digests import sha256_file
from pe_data.names.uri import split_dataset
from pe_data.read import channels
from pe_data.read.catalogue import history as history_of
from pe_data.read.diff import SHORT, Diff
from pe_data.read.variables import DICTIONARY_FILE, said_by
from pe_data.texts import human_size
from pe_data.trust.nominations import VerifiedPointer
from pe_data.write.folder import item_of, items_in
from pe_data.write.guard import ADVICE
from pe_data.write.preview import (
    Preview,
    changes,
    preview_artifact,
    preview_collection,
    side_of_artifact,
    side_of_items,
)
from pe_data.write.publish import PublishReport, publish_artifact, publish_collection, set_channel
from pe_data.write.upload import Item

ANY = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("path", type=ANY)
@dataset_argument
@click.option("--run-id", metavar="ID", help="For a folder: which run of the producer made the files.")
@years_option
@click.option("--licence", default=UNSPECIFIED, help="Licence. Gated files, and what is promoted, have to name one.")
@click.option("--note", "notes", multiple=True, metavar="TEXT", help="For a folder: a line that readers have to know.")
@click.option("--citation", metavar="TEXT", help="For a folder: how to cite it, in one line.")
@click.option(
    "--access",
    type=click.Choice(["public", "gated"]),
    help="Whether everybody may read it.  [default: as usual in the country]",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=FILE",
    help="What it was built from, for the manifest: a name such as a survey and its wave, and the file.",
)
@click.option(
    "--validation",
    "records",
    type=ANY,
    multiple=True,
    help="Validation records: of a file, each of them; of a folder, the folder that they are in. "
    "Without them it cannot be nominated.",
)
@click.option(
    "--dictionary",
    "dictionary_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What variables mean: the dictionary.json of a run.  [default: the one in the folder, else what files say]",
)
@click.option(
    "--dry-run", is_flag=True, help="Write nothing: show what would change, what would be sent and the digest."
)
@click.option("--allow-removal", is_flag=True, help="Also take away members that @latest has and the folder has not.")
@workers_option
@said_options
@key_option
@store_option
@namespace_option
@json_option
def publish(
    path: Path,
    dataset: str,
    run_id: str | None,
    years: tuple[int, ...],
    licence: str,
    notes: tuple[str, ...],
    citation: str | None,
    access: str | None,
    inputs: tuple[str, ...],
    records: tuple[Path, ...],
    dictionary_file: Path | None,
    dry_run: bool,
    allow_removal: bool,
    workers: int,
    said: Said,
    keys: tuple[str, ...],
    chosen: ChosenStore,
    namespace: str | None,
    output: Output,
) -> int:
    """Put a file, or a folder of files, into the store and move @latest to it.

    A file becomes a dataset of its own. A folder becomes a collection whose members are its .h5
    and .parquet files by relative name, so that the channel moves for all of them at once.
    What changes for the readers of @latest is shown; a folder without some of its members is refused.
    What the channel leads to already is not sent again; publishing the same twice changes nothing
    and says so. A run of the workflow is published with `snakemake publish`. With --key the pointer is
    signed, for stores whose trust root names a role latest-COUNTRY.

    \b
    Examples:
      pe-data publish enhanced_cps_2024.h5 us/enhanced_cps_2024
      pe-data publish areas/ us/local_areas --run-id 2026-01-31 --dry-run
      pe-data publish areas/ us/local_areas --run-id 2026-01-31 --validation areas/validation
      pe-data publish cps.parquet us/cps_2024 --year 2024 --store s3://bucket/data
      pe-data publish areas/ us/local_areas --run-id r7 --json | jq .artifact_sha256

    \b
    Exit codes: 0 published or nothing to do; 1 refused or failed (members would be lost, another
    writer was first, the store ignores conditional writes, a file does not fit its manifest), also
    what a dry run says would be refused; 2 wrong usage.
    """
    country, name = split_dataset(dataset)
    space = namespace_of(namespace, country)
    declared: Access | None = "gated" if access == "gated" else "public" if access else None
    said_inputs = inputs_of(map(_input, inputs))
    label = Label(country, name, licence, declared, said_inputs, notes=notes, citation=citation)
    dictionary = said_by(dictionary_file or path / DICTIONARY_FILE)
    if not path.is_dir():
        if notes or citation:
            raise click.UsageError(
                "--note and --citation stand in the row of a collection: publish the folder that the file is in"
            )
        item = item_of(path, label, years=years)
        _check_inputs(label, {name: item})
        if dictionary is not None:
            item = replace(item, manifest=item.manifest.explained(dictionary))
        if records:
            manifest = item.manifest
            item = replace(item, manifest=manifest.validated(from_records({name: (manifest.artifact.sha256, records)})))
        store = chosen.of(country)
        diff = changes(store, country, name, side_of_items(path, item))
        if dry_run:
            foreseen = preview_artifact(store, item, namespace=space, allow_removal=allow_removal, sealed=bool(keys))
            return _foresee(foreseen, diff, output)
        _show(diff, output)
        report = publish_artifact(
            store, item, namespace=space, said=said, seal=seal_of(keys), allow_removal=allow_removal
        )
        return _say(report, diff, output)
    if run_id is None:
        raise click.UsageError(
            "a folder is published as a collection, which needs --run-id, the name of the run that made it: any "
            "that you will know again, such as --run-id 2026-01-31"
        )
    items = items_in(path, label, years=years)
    _check_inputs(label, items)
    checked = {name: (item.manifest.artifact.sha256, _below(records, name)) for name, item in items.items()}
    validation = from_records(checked) if records else None
    store = chosen.of(country)
    diff = changes(store, country, name, side_of_items(path, items, run_id))
    what: dict[str, Any] = {
        "country": country,
        "dataset": name,
        "run_id": run_id,
        "validation": validation,
        "namespace": space,
        "allow_removal": allow_removal,
        "dictionary": dictionary,
    }
    if dry_run:
        return _foresee(preview_collection(store, items, **what, sealed=bool(keys)), diff, output)
    _show(diff, output)
    with progress(f"Publishing {len(items)} files") as show:
        report = publish_collection(
            store,
            items,
            **what,
            seal=seal_of(keys),
            workers=workers,
            said=said,
            on_progress=lambda at: show(at.done, at.total),
        )
    return _say(report, diff, output)


def _show(diff: Diff | None, output: Output) -> None:
    """What changes, short, if something does."""
    if diff and not output.as_json:
        say(f"{diff.text(SHORT)}\n")


def _foresee(preview: Preview, diff: Diff | None, output: Output) -> int:
    """What a dry run found; exit code 1 if the publication would be refused."""
    _show(diff, output)
    output({**asdict(preview), "diff": diff.to_json() if diff else None}, [preview.summary()])
    if preview.refused:
        say(f"pe-data: error: it would be refused: {preview.refused}. {ADVICE}", err=True)
    return 1 if preview.refused else 0


def _say(report: PublishReport, diff: Diff | None, output: Output) -> int:
    kept = "the same bytes have a manifest already, which is written once and stays (nothing is wrong): "
    more = [kept + ", ".join(report.manifests_kept)] if report.manifests_kept else []
    found = {"nothing_to_do": report.nothing_to_do, "diff": diff.to_json() if diff else None}
    output({**asdict(report), **found}, [report.summary(), *more, *report.warnings()])
    return 0


def _input(text: str) -> InputFile:
    name, equals, file = text.partition("=")
    path = Path(file)
    if not (equals and name.strip() and path.is_file()):
        raise click.BadParameter(f"expected NAME=FILE with a file that is there, found {text!r}", param_hint="--input")
    return InputFile(name.strip(), sha256_file(path), path.stat().st_size)


def _check_inputs(label: Label, items: Mapping[str, Item]) -> None:
    """Inputs that were named must not be lost because a result sidecar names others."""
    for item in items.values():
        if label.inputs is not None and item.manifest.inputs != label.inputs:
            raise click.UsageError(f"{item.path}: its result sidecar says what it was built from; leave --input out")


def _below(folders: tuple[Path, ...], name: str) -> list[Path]:
    return [record for folder in folders for record in records_in(folder, name)]


@click.group(cls=Group)
def channel() -> None:
    """Show a channel or its history, or move it to an artifact that is in the store.

    \b
    Examples:
      pe-data channel show us/local_areas
      pe-data channel history us/local_areas
      pe-data channel set us/local_areas sha256:4e92… --expected-version 7
    """


@channel.command()
@dataset_argument
@click.option("--channel", "name", default="latest", show_default=True, help="latest or next.")
@store_option
@json_option
def show(dataset: str, name: str, chosen: ChosenStore, output: Output) -> None:
    """Print where a channel stands; `next` only if its signatures are good, with who signed.

    \b
    Examples:
      pe-data channel show us/enhanced_cps_2024
      pe-data channel show us/local_areas --store https://mirror.example.org/data --json
    """
    country, dataset = split_dataset(dataset)
    store = chosen.of(country)
    if name == "next":
        from pe_data.read.nominations import read_verified
        from pe_data.trust.opening import open_policy

        _, verified = read_verified(store, country, dataset, open_policy(store))
        document = {**_document(verified), "signed_by": list(verified.key_ids)}
    else:
        document = _document(channels.read(store, country, dataset, name).pointer)
    output(document, facts(document))


@click.command()
@dataset_argument
@click.option("--limit", type=click.IntRange(1), help="Only the newest ones.")
@store_option
@json_option
def history(dataset: str, limit: int | None, chosen: ChosenStore, output: Output) -> None:
    """List the versions of @latest, newest first: who moved it, why, which run, how many members, how large.

    The chain of digests is checked on the way.

    \b
    Examples:
      pe-data history us/enhanced_cps_2024 --limit 5
      pe-data channel history us/local_areas --json | jq '.versions[].artifact_sha256'
    """
    country, name = split_dataset(dataset)
    found = history_of(dataset, limit=limit, store=chosen.store)
    rows = [
        _document(one.pointer) | {"run_id": one.run_id, "members": one.members, "size_bytes": one.size_bytes}
        for one in found
    ]
    lines: list[str] = []
    for one, row in zip(found, rows, strict=True):
        size = "gone" if one.size_bytes is None else human_size(one.size_bytes)
        what = f"{one.members} members, {size}, run {one.run_id}" if one.members is not None else size
        lines.append(f"{row['version']:>5}  {row['published_at']}  sha256:{row['artifact_sha256']}  {what}")
        lines += [f"       {name}: {row[name]}" for name in ("reason", "by") if row[name]]
    output({"country": country, "dataset": name, "versions": rows}, lines)


channel.add_command(history)


@channel.command(name="set")
@dataset_argument
@artifact_argument
@click.option(
    "--expected-version",
    type=click.IntRange(0),
    help="Only move if the channel stands at this version (0: it does not exist yet).",
)
@said_options
@key_option
@store_option
@namespace_option
@json_option
def set_(
    dataset: str,
    artifact: str,
    expected_version: int | None,
    said: Said,
    keys: tuple[str, ...],
    chosen: ChosenStore,
    namespace: str | None,
    output: Output,
) -> None:
    """Move @latest to an artifact that is in the store, for example back to an earlier one.

    What changes for the readers of @latest is shown. The version still grows by one: going back is a new
    publication of the old bytes.

    \b
    Examples:
      pe-data channel history us/local_areas
      pe-data channel set us/local_areas sha256:4e92… --reason "wrong weights in CA" --by ada@example.org
    """
    country, dataset = split_dataset(dataset)
    digest = digest_of(artifact)
    space = namespace_of(namespace, country)
    store = chosen.of(country)
    diff = None
    with suppress(PeDataError):  # what is wrong with the artifact is said by the move
        diff = changes(store, country, dataset, side_of_artifact(store, country, dataset, digest))
    outcome = set_channel(
        store,
        country,
        dataset,
        digest,
        namespace=space,
        expected_version=expected_version,
        seal=seal_of(keys),
        said=said,
    )
    document = {"moved": outcome.moved, **_document(outcome.pointer), "diff": diff.to_json() if diff else None}
    _show(diff, output)
    verb = "is now" if outcome.moved else "stood already at"
    output(document, [f"{country}/{dataset}@latest {verb} version {document['version']}, sha256:{digest}"])


def _document(pointer: UnsignedPointer | VerifiedPointer) -> dict[str, object]:
    body = pointer.body
    return {**plain(body), "is_collection": body.is_collection, "body_sha256": pointer.sha256}


COMMANDS: dict[str, click.Command] = {"publish": publish, "channel": channel, "history": history}
