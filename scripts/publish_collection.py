"""Publish the area files of a finished run as one collection, and write the old layout's release manifest."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from local_h5.config.layout import NATION
from local_h5.config.settings import Settings
from local_h5.files.atomic import write_text
from local_h5.workflow.command import run

try:
    from local_h5.report.release import COUNTRY, DATASET, release_of
    from pe_data.documents.pointer import Said
    from pe_data.errors import InputError, PeDataError, RemovalError
    from pe_data.names.countries import UNSPECIFIED
    from pe_data.read.diff import SHORT
    from pe_data.write.publish import Progress, publish_collection
    from pe_data.write.release_manifest import Release, published_manifest, release_manifest
except ModuleNotFoundError as error:  # a distribution of its own, which the workflow alone does not need
    sys.exit(
        f"pe_data: expected the distribution pe-microdata with its extra h5, found no package {error.name}. "
        "Install it from packages/pe-microdata of this project."
    )

ALLOW = "If that is meant, set store.allow_removal: true in the configuration"


def publish_run(
    path_to_config: Path,
    path_to_release_manifest: Path,
    store: str | None = None,
    package: str | None = None,
    repo: str | None = None,
    version: str | None = None,
    licence: str = UNSPECIFIED,
    citation: str | None = None,
    reason: str | None = None,
    by: str | None = None,
    notes: Mapping[str, str] | None = None,
    allow_removal: bool = False,
    dry_run: bool = False,
) -> int:
    """Publish every area of the run and print a summary. Files that the store has are not sent again.

    Args:
        path_to_config: resolved configuration (JSON).
        path_to_release_manifest: ``release_manifest.json`` of the old layout, to write; ``local_area/`` beside it gets
            the one of the area-coded file of the nation, if the run has one.
        store: folder or address; the user's own store by default.
        package: data package of the old layout; by default as configured.
        repo: repository of the old layout; by default as configured.
        version: version and revision of the old layout; by default the configured tag, else the run's id.
        licence: identifier or address of the files' licence.
        citation: how to cite them, in one line.
        reason: why they are published, in one line; the history of the channel shows it.
        by: who publishes them, in one line.
        notes: what readers have to know, besides the notes in the files; name and text.
        allow_removal: publish although the store's newest run has areas that this one does not have.
        dry_run: write nothing; print what would change, what would be sent, and the digest that the channel would get.

    Assumes:
        Every area is built, and each H5 has its own sidecar.

    Returns:
        Exit status: 0, or 1 when a dry run finds that areas would be removed.
    """
    said = Said(reason, by)
    settings = Settings.read(path_to_config)
    run_now = release_of(settings, store=store, licence=licence, citation=citation, notes=notes)
    items, build, opened = run_now.items, run_now.run, run_now.store
    address, configured = f"pe-data://{COUNTRY}/{DATASET}", settings.config.store.release

    def release(build_id: str, built_at: str, collection: str) -> Release:
        return Release(
            package=package or configured.package,
            version=version or configured.tag or build_id,
            repo_id=repo or configured.repo,
            repo_type=configured.repo_type,
            build_id=build_id,
            built_at=built_at,
            collection=collection,
            compatible=configured.compatible,
            default_datasets={"national": NATION} if NATION in items else {},
        )

    release_manifest({name: item.manifest for name, item in items.items()}, release(build, "", address))  # refuse early
    diff = run_now.changes()
    news = f"\n\n{diff.text(SHORT)}" if diff else ""
    if dry_run:
        foreseen = run_now.preview(allow_removal=allow_removal)
        print(f"{foreseen.summary()}{news}")
        if foreseen.refused:
            print(f"would be refused: {foreseen.refused}. {ALLOW}", file=sys.stderr)
        return 1 if foreseen.refused else 0
    try:
        report = publish_collection(
            opened,
            items,
            country=COUNTRY,
            dataset=DATASET,
            run_id=build,
            allow_removal=allow_removal,
            validation=run_now.validation,
            namespace=run_now.namespace,
            dictionary=run_now.dictionary,
            said=said,
            on_progress=show,
        )
    except RemovalError as error:
        print(news.lstrip())
        raise InputError(f"not published: {error.fact}. {ALLOW}") from error
    local_area = path_to_release_manifest.parent / "local_area" / path_to_release_manifest.name
    local_area.unlink(missing_ok=True)  # of an earlier publication
    for name, path in ((None, path_to_release_manifest), (NATION, local_area)):
        if name is None or name in items:
            document = published_manifest(opened, COUNTRY, DATASET, release, local_area=name)
            write_text(path, json.dumps(document, indent=2) + "\n")
    fetch = f"fetch: pe-data ensure {address}/{min(items)}@latest --store {opened.url}"
    print(
        "\n".join(
            [
                report.summary(),
                *report.warnings(),
                fetch,
                f"for readers by release manifest: {path_to_release_manifest}{news}",
            ]
        )
    )
    return 0


def show(at: Progress) -> None:
    if at.done % 50 == 0 or at.done == at.total:
        print(f"{at.done} of {at.total} files, {at.bytes_done} of {at.bytes_total} bytes", file=sys.stderr)


if __name__ == "__main__":
    run(publish_run, errors=(PeDataError,))
