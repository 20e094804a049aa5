"""Publish the area files of a finished run as one collection, and write the old layout's release manifest."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_h5.config.settings import Settings
from local_h5.contracts import schemas
from local_h5.contracts.results import run_id, sidecar_path
from local_h5.errors import ResultError
from local_h5.files.atomic import write_text
from local_h5.files.digests import DigestMemo
from local_h5.runs.staleness import is_approved, read_built, read_json
from local_h5.workflow.command import run

try:
    from pe_data.config.settings import store_for
    from pe_data.describe.file import Label
    from pe_data.describe.from_sidecar import about_from, lines_of, manifest_from, read_sidecar
    from pe_data.documents.pointer import DEFAULT_NAMESPACE
    from pe_data.documents.validation import Validation, from_records
    from pe_data.errors import InputError, PeDataError, RemovalError
    from pe_data.names.countries import UNSPECIFIED
    from pe_data.names.digests import strict_json
    from pe_data.read.diff import SHORT
    from pe_data.store.opening import open_store
    from pe_data.write.preview import changes, preview_collection, side_of_items
    from pe_data.write.publish import Progress, publish_collection
    from pe_data.write.release_manifest import Release, published_manifest, release_manifest
    from pe_data.write.upload import Item
except ModuleNotFoundError as error:  # a distribution of its own, which the workflow alone does not need
    sys.exit(
        f"pe_data: expected the distribution pe-microdata with its extra h5, found no package {error.name}. "
        "Install it from packages/pe-microdata of this project."
    )

COUNTRY, DATASET = "us", "local_areas"
AREA_CODED = "national/US"  # every household in it carries the code of its area
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
        notes: what readers have to know, besides the notes in the files; name and text.
        allow_removal: publish although the store's newest run has areas that this one does not have.
        dry_run: write nothing; print what would change, what would be sent, and the digest that the channel would get.

    Assumes:
        Every area is built, and each H5 has its own sidecar.

    Returns:
        Exit status: 0, or 1 when a dry run finds that areas would be removed.
    """
    settings = Settings.read(path_to_config)
    label = Label(COUNTRY, DATASET, licence=licence, notes=lines_of(notes or {}), citation=citation)
    items = read_run(settings, label)
    build = run_id({name: item.manifest.artifact.sha256 for name, item in items.items()})
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
            default_datasets={"national": AREA_CODED} if AREA_CODED in items else {},
        )

    release_manifest({name: item.manifest for name, item in items.items()}, release(build, "", address))  # refuse early
    own = store_for(COUNTRY)
    opened = open_store(store) if store else open_store(own.url, options=own.options)
    diff = changes(opened, COUNTRY, DATASET, side_of_items(settings.results, items, build))
    news = f"\n\n{diff.text(SHORT)}" if diff else ""
    chosen: dict[str, Any] = {
        "country": COUNTRY, "dataset": DATASET, "run_id": build, "allow_removal": allow_removal,
        "validation": read_validation(settings, items), "namespace": own.namespace or DEFAULT_NAMESPACE,
    }  # fmt: skip
    if dry_run:
        foreseen = preview_collection(opened, items, **chosen)
        print(f"{foreseen.summary()}{news}")
        if foreseen.refused:
            print(f"would be refused: {foreseen.refused}. {ALLOW}", file=sys.stderr)
        return 1 if foreseen.refused else 0
    try:
        report = publish_collection(opened, items, on_progress=show, **chosen)
    except RemovalError as error:
        print(news.lstrip())
        raise InputError(f"not published: {error.fact}. {ALLOW}") from error
    local_area = path_to_release_manifest.parent / "local_area" / path_to_release_manifest.name
    local_area.unlink(missing_ok=True)  # of an earlier publication
    for name, path in ((None, path_to_release_manifest), (AREA_CODED, local_area)):
        if name is None or name in items:
            document = published_manifest(opened, COUNTRY, DATASET, release, local_area=name)
            write_text(path, json.dumps(document, indent=2) + "\n")
    fetch = f"fetch: pe-data ensure {address}/{min(items)}@latest --store {opened.url}"
    print("\n".join([report.summary(), *report.warnings(), fetch, f"old layout: {path_to_release_manifest}{news}"]))
    return 0


def read_run(settings: Settings, label: Label) -> dict[str, Item]:
    """Every area of the run as its sidecar describes it, by relative name without extension.

    Raises:
        ResultError: a sidecar is not what its published schema says.
        InputError: if areas are not approved, because they failed their validation; every one is named.
    """
    items, refused, memo = {}, [], DigestMemo(None)
    for request in settings.requests:
        sidecar = sidecar_path(path := settings.layout.output(request))
        document = strict_json(sidecar.read_bytes(), what=str(sidecar))
        schemas.check("area_result", document, sidecar, ResultError)
        found = read_sidecar(document, where=str(sidecar))
        items[request.name] = Item(path, manifest_from(found, label), about_from(found, label, where=str(sidecar)))
        if not is_approved(settings, request, read_built(path)[1], memo):
            refused.append(str(path))
    if refused:
        raise InputError(
            "not published, because these areas have no approval of rules/validate.smk (they failed their validation, "
            f"their sidecar was changed, or their records are others now): {', '.join(refused)}"
        )
    return items


def read_validation(settings: Settings, items: Mapping[str, Item]) -> Validation | None:
    """The verdicts of the run's records, of the levels in the approvals; None if there are no levels.

    Raises:
        InputError: a record is missing, or of another file than the one that is published.
    """
    files = {}
    for request in settings.requests:
        levels = (read_json(settings.layout.approval(request)) or {}).get("validation")
        if not levels:
            return None
        records = [settings.layout.record(level, request) for level in levels]
        files[request.name] = (items[request.name].manifest.artifact.sha256, records)
    return from_records(files)


def show(at: Progress) -> None:
    if at.done % 50 == 0 or at.done == at.total:
        print(f"{at.done} of {at.total} areas, {at.bytes_done} of {at.bytes_total} bytes", file=sys.stderr)


if __name__ == "__main__":
    run(publish_run, errors=(PeDataError,))
