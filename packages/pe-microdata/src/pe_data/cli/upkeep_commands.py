"""`pe-data mirror`, `fsck`, `gc` and `pin`: commands that look after a store."""

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click

from pe_data.cache.paths import CachePaths
from pe_data.cli.groups import Group
from pe_data.cli.options import (
    FILE,
    FOLDER,
    ChosenStore,
    Duration,
    artifact_argument,
    digest_of,
    json_option,
    store_option,
    workers_option,
)
from pe_data.cli.output import Output, progress
from pe_data.config.settings import cache_folder
from pe_data.keep.fsck import check_store, iterate_lines
from pe_data.keep.gc import KEEP_VERSIONS, CollectionReport, collect_garbage
from pe_data.keep.mirror import Root
from pe_data.keep.mirror import mirror as copy_artifacts
from pe_data.keep.pins import add_pin, list_pins, remove_pin
from pe_data.keep.reachable import find_reachable
from pe_data.names.digests import Sha256
from pe_data.names.keys import check_country
from pe_data.names.uri import StoreUri, parse_store_uri
from pe_data.read.standing import read_signed
from pe_data.store.base import Store
from pe_data.store.opening import open_store


@click.command()
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@click.argument("uris", nargs=-1, metavar="[URI]...")
@click.option(
    "--work", type=FOLDER, help="Folder for payloads on their way; keep it to continue in the middle of a large one."
)
@workers_option
@json_option
def mirror(source: str, target: str, uris: tuple[str, ...], work: Path | None, workers: int, output: Output) -> None:
    """Copy payloads, manifests and tombstones from one store to another, never channels.

    Every byte is checked against its sha256 before it gets its name. Run it again to continue.
    Without URI everything is copied; a plain HTTP source cannot be listed and needs URIs.

    \b
    Examples:
      pe-data mirror s3://bucket/data /srv/mirror
      pe-data mirror https://data.example.org ./store pe-data://us/local_areas@latest
      pe-data mirror ./store az://container/data pe-data://us/cps_2024@sha256:4e92…

    \b
    Exit codes: 0 the target has everything; 1 a source was wrong or out of reach (what was
    copied until then stays and is good); 2 wrong usage.
    """
    origin = open_store(source)
    roots = [_root(origin, parse_store_uri(uri)) for uri in uris] or None
    folder = work or CachePaths(cache_folder()).mirror_work
    with progress("Copying") as show:
        report = copy_artifacts(origin, open_store(target), work=folder, roots=roots, workers=workers, on_progress=show)
    line = (
        f"{report.copied} artifact(s) copied ({report.copied_bytes / 1e6:.1f} MB), "
        f"{report.already_there} already there; channels are not copied"
    )
    if report.revoked:
        line += f"; {report.revoked} of them revoked: the tombstone is there, the payload is not"
    output(report, [line])


def _root(source: Store, uri: StoreUri) -> Root:
    """What an address names in the source; a member brings its whole collection along."""
    if uri.sha256 is not None:
        return Root(uri.country, uri.sha256)
    body = read_signed(source, uri.country, uri.dataset, uri.channel or "latest").body
    return Root(uri.country, body.artifact_sha256, body.manifest_sha256)


@click.command()
@store_option
@click.option("--full", is_flag=True, help="Read every payload, also those unchanged since the last check.")
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to remember what was found right.  [default: one file per store in the cache]",
)
@json_option
def fsck(chosen: ChosenStore, full: bool, state: Path | None, output: Output) -> int:
    """Check every object against its digest and every reference against its object.

    Reads only. Payloads that have not changed since they were last found right are not read
    again, which makes a daily check of a remote store cheap.

    \b
    Examples:
      pe-data fsck
      pe-data fsck --store s3://bucket/data --json
      pe-data fsck --full

    Exit codes: 0 nothing is wrong; 1 problems were found (each is listed with what to do); 2 wrong usage.
    """
    store = chosen.of()
    path = state or CachePaths(cache_folder()).fsck_state(store.url)
    report = check_store(store, state_path=path, full=full)
    output({**asdict(report), "ok": report.ok}, iterate_lines(report))
    return 0 if report.ok else 1


@click.command()
@store_option
@click.option(
    "--grace",
    type=Duration(),
    default="7d",
    show_default=True,
    help="How long an artifact stays after something last led to it; at least 1h.",
)
@click.option(
    "--keep-versions",
    type=click.IntRange(1),
    default=KEEP_VERSIONS,
    show_default=True,
    help="Versions of @latest that count as used.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@json_option
def gc(chosen: ChosenStore, grace: timedelta, keep_versions: int, dry_run: bool, output: Output) -> None:
    """Delete what no channel, nomination, pin or tombstone leads to.

    An artifact goes once nothing has led to it for the grace period. Everything that was ever nominated
    stays; pin what else release bundles refer to (`pe-data pin add`). Publications may run at the same time.

    \b
    Examples:
      pe-data gc --dry-run
      pe-data gc --grace 30d --keep-versions 5
      pe-data gc --store s3://bucket/data --json

    \b
    Exit codes: 0 done; 1 refused (a channel or collection cannot be read, so nothing was
    touched) or failed; 2 wrong usage.
    """
    report = collect_garbage(chosen.of(), grace=grace, keep_versions=keep_versions, dry_run=dry_run)
    output(report, _gc_lines(report))


def _gc_lines(report: CollectionReport) -> list[str]:
    would = "would be " if report.dry_run else ""
    lines = [f"{name} {would}deleted" for name in report.deleted]
    lines.append(
        f"{report.artifacts} artifacts, {report.reachable} in use; {len(report.waiting)} in their grace period, "
        f"{len(report.deleted)} {would}deleted ({report.deleted_bytes / 1e6:.1f} MB), {len(report.taken_back)} in "
        f"use again, {report.leftovers_removed} leftovers of killed writers removed"
    )
    if report.revoked_removed:
        lines.append(f"{len(report.revoked_removed)} payload(s) of revoked artifacts removed")
    return lines


@click.group(cls=Group)
def pin() -> None:
    """Keep artifacts that no channel leads to, such as those that release bundles pin.

    \b
    Examples:
      pe-data pin add us sha256:4e92… --reason "release 1.2"
      pe-data pin add --release data_release.json --reason "release 1.2"
      pe-data pin list
      pe-data pin remove us sha256:4e92…
    """


@pin.command(name="add")
@click.argument("country", required=False)
@click.argument("artifact", metavar="[sha256:DIGEST]", required=False)
@click.option("--release", type=FILE, help="Everything in a data_release.json, as `pe-data certify` writes it.")
@click.option("--reason", required=True, help="Why it must stay; shown by `pin list`.")
@store_option
@json_option
def pin_add(
    country: str | None, artifact: str | None, release: Path | None, reason: str, chosen: ChosenStore, output: Output
) -> None:
    """Pin an artifact, or every file of a release and the collections that list them.

    Pinning again changes nothing.

    \b
    Examples:
      pe-data pin add us sha256:4e92… --reason "release 1.2"
      pe-data pin add --release data_release.json --reason "release 1.2"
    """
    if release is not None:
        from pe_data.certify.reading import read_release

        if country or artifact:
            raise click.UsageError("--release names what to pin; leave the country and the digest out")
        block = read_release(release)
        country, pins = block.country_id, block.pins.values()
        digests = list(dict.fromkeys([*(one.nominated for one in pins), *(one.sha256 for one in pins)]))
        added = _add(chosen.of(country), country, digests, reason)
        output(
            {"added": added, "country": country, "sha256": digests},
            [f"pinned {len(added)} artifact(s) of {country}; {len(digests) - len(added)} were pinned already"],
        )
        return
    if country is None or artifact is None:
        raise click.UsageError("say what to pin: COUNTRY sha256:DIGEST, or --release FILE")
    check_country(country)
    digest = digest_of(artifact)
    added = _add(chosen.of(country), country, [digest], reason)
    verb = "pinned" if added else "was pinned already:"
    output({"added": bool(added), "country": country, "sha256": digest}, [f"{verb} {country} sha256:{digest}"])


def _add(store: Store, country: str, digests: list[Sha256], reason: str) -> list[Sha256]:
    held = find_reachable(store, 1).now
    return [one for one in digests if add_pin(store, country, one, reason=reason, held=held)]


@pin.command(name="remove")
@click.argument("country")
@artifact_argument
@store_option
@json_option
def pin_remove(country: str, artifact: str, chosen: ChosenStore, output: Output) -> None:
    """Take a pin away; the artifact stays for a grace period, like everything that nothing leads to.

    \b
    Example:
      pe-data pin remove us sha256:4e92…
    """
    check_country(country)
    digest = digest_of(artifact)
    removed = remove_pin(chosen.of(country), country, digest)
    verb = "unpinned" if removed else "was not pinned:"
    output({"removed": removed, "country": country, "sha256": digest}, [f"{verb} {country} sha256:{digest}"])


@pin.command(name="list")
@store_option
@json_option
def pin_list(chosen: ChosenStore, output: Output) -> None:
    """List the pins of a store with their reasons.

    \b
    Example:
      pe-data pin list --json
    """
    pins = list(list_pins(chosen.of()))
    lines = [f"{one.country}  sha256:{one.sha256}  {one.pinned_at}  {one.reason}" for one in pins]
    output({"pins": pins}, lines or ["no pins"])


COMMANDS: dict[str, click.Command] = {"mirror": mirror, "fsck": fsck, "gc": gc, "pin": pin}
