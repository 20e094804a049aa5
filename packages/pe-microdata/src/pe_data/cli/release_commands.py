"""`pe-data release-manifest` and `export-hub`: what was published, for those who read it from the hub."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from pe_data.cli.options import (
    FILE,
    PLACE,
    ChosenStore,
    Decorator,
    dataset_argument,
    json_option,
    reading_options,
    store_option,
    together,
)
from pe_data.cli.output import Output, download_progress
from pe_data.names.uri import in_full, parse_store_uri, split_dataset
from pe_data.read.options import Options
from pe_data.write.release_manifest import (
    REPO_TYPES,
    Release,
    RepoType,
    contents_manifest,
    published_manifest,
)


@dataclass(frozen=True, slots=True)
class ChosenRelease:
    """What the publisher says of a release."""

    repo: str | None = None
    repo_type: RepoType = "model"
    tag: str | None = None
    package: str | None = None
    default_dataset: str | None = None
    compatible: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise click.UsageError if repository or tag is missing."""
        for name, value in (("--repo", self.repo), ("--tag", self.tag)):
            if not value:
                raise click.UsageError(f"Missing option '{name}'.")

    def of(self, build_id: str, built_at: str, address: str) -> Release:
        """With what the store says. Raises InputError for a place that no hub has."""
        repo = self.repo or ""
        return Release(
            package=self.package or repo.rpartition("/")[2],
            version=self.tag or "",
            repo_id=repo,
            build_id=build_id,
            built_at=built_at,
            collection=address,
            default_datasets={"national": self.default_dataset} if self.default_dataset else {},
            repo_type=self.repo_type,
            compatible=self.compatible,
        )


release_options: Decorator[Any] = together(
    "release",
    ChosenRelease,
    click.option("--repo", metavar="OWNER/NAME", help="Repository of the hub that holds the files."),
    click.option("--repo-type", type=click.Choice(REPO_TYPES), default="model", show_default=True, help="Its kind."),
    click.option("--tag", help="Revision in it, and version of the data package."),
    click.option("--package", help="Name of the data package.  [default: that of the repository]"),
    click.option("--default-dataset", metavar="NAME", help="The nation's file, such as national/US."),
    click.option(
        "--compatible", multiple=True, metavar="VERSIONS", help="Claim such as '>=2.2,<3', besides what built it."
    ),
)


@click.command("release-manifest")
@dataset_argument
@release_options
@click.option("--local-area", metavar="NAME", help="Only this file, whose rows have their area's code, as no default.")
@click.option("--out", default="release_manifest.json", show_default=True, type=PLACE, help="File to write.")
@store_option
@json_option
def release_manifest(
    dataset: str, release: ChosenRelease, local_area: str | None, out: Path, chosen: ChosenStore, output: Output
) -> None:
    """Write the release_manifest.json of what @latest stands at, for those who read it from the hub.

    It says of every file where in the repository it lies, and its sha256. `snakemake publish` writes the same
    for a run.

    \b
    Example:
      pe-data release-manifest us/local_areas --repo example/areas --tag 2026-1 --default-dataset national/US
    """
    release.check()
    country, name = split_dataset(dataset)
    document = published_manifest(chosen.of(country), country, name, release.of, local_area=local_area)
    out.write_bytes(_written(document))
    output({"release_manifest": document, "file": out}, [f"written: {out}, {len(document['artifacts'])} artifact(s)"])


@click.command("export-hub")
@click.argument("address", metavar="COUNTRY/DATASET[@REFERENCE]")
@click.option(
    "--release-manifest",
    "files",
    multiple=True,
    type=FILE,
    help="As `snakemake publish` or `pe-data release-manifest` wrote it, instead of the options that make one; also "
    "one more, of the area-coded file.",
)
@release_options
@click.option("--local-area", metavar="NAME", help="Besides, a manifest of this file alone, in local_area/.")
@click.option("--main", is_flag=True, help="Let the branch main have the files too, by one commit of copies.")
@click.option("--dry-run", is_flag=True, help="Write nothing to the hub; say what would be done.")
@reading_options
@json_option
def export_hub(
    address: str,
    files: tuple[Path, ...],
    release: ChosenRelease,
    local_area: str | None,
    main: bool,
    dry_run: bool,
    options: Options,
    output: Output,
) -> None:
    """Bring what was published into a repository of the hub, under the names that its users know, with a tag.

    The files go onto a branch in commits of 50, release manifests and checksums last; then everything is looked at, and
    then there is a tag, which is never moved. Run it again to continue: what the hub has is not sent again. The
    repository has to exist. The token is that of the hub's own client (HF_TOKEN, `hf auth login`). Gated data are
    refused.

    \b
    Examples:
      pe-data export-hub us/local_areas --release-manifest results/release_manifest.json --dry-run
      pe-data export-hub us/local_areas@latest --repo example/areas --repo-type dataset --tag 2026-1 --main

    \b
    Exit codes: 0 the release is there; 1 refused or interrupted, and the reason is printed; 2 wrong usage.
    """
    from pe_data.names.digests import read_named
    from pe_data.read.places import Places
    from pe_data.store.artifacts import read_contents
    from pe_data.write import export_hub as hub

    if options.offline:
        raise click.UsageError("a hub cannot be reached offline")
    if files and (release != ChosenRelease() or local_area):
        raise click.UsageError("--release-manifest says repository, tag and claims; leave the options for them out")
    if not files:
        release.check()
    uri = parse_store_uri(in_full(address))
    store = Places.of(uri, options).main()
    pointer = hub.stood_at(store, uri)
    contents = read_contents(store, uri.country, pointer.artifact_sha256, pointer.manifest_sha256)
    hub.refuse_private(contents, store)
    manifests = [(str(path), read_named(path)) for path in files]
    for one in () if files else (None, local_area) if local_area else (None,):
        made = contents_manifest(contents, uri.dataset, pointer.published_at, release.of, local_area=one)
        manifests.append(("release manifest", _written(made)))
    pinned = replace(uri, channel=None, sha256=pointer.artifact_sha256)
    with download_progress(address) as bar:
        report = hub.export_hub(
            hub.plan_export(contents, pinned, manifests), options, main=main, dry_run=dry_run, on_progress=bar
        )
    output(report, report.lines())


def _written(document: object) -> bytes:
    return json.dumps(document, indent=2).encode() + b"\n"


COMMANDS: dict[str, click.Command] = {"release-manifest": release_manifest, "export-hub": export_hub}
