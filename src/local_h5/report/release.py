"""A finished run as publishing sees it: files with manifests, the validation, and where the channel would go."""

from collections.abc import Mapping
from dataclasses import dataclass

from local_h5.config.layout import NATION
from local_h5.config.settings import Settings
from local_h5.contracts import schemas
from local_h5.contracts.results import run_id, sidecar_path
from local_h5.errors import ResultError
from local_h5.files.digests import DigestMemo
from local_h5.runs.staleness import compare_steps, is_approved, read_built, read_json
from local_h5.runs.steps import NATION_PARQUET, declared_steps
from pe_data.config.settings import store_for
from pe_data.describe.file import Label
from pe_data.describe.from_sidecar import about_from, lines_of, manifest_from, read_sidecar
from pe_data.documents.dictionary import Variable
from pe_data.documents.pointer import DEFAULT_NAMESPACE
from pe_data.documents.validation import Validation, from_records
from pe_data.errors import InputError
from pe_data.names.countries import UNSPECIFIED
from pe_data.names.digests import strict_json
from pe_data.read.diff import Diff
from pe_data.read.variables import said_by
from pe_data.store.base import Store
from pe_data.store.opening import open_store
from pe_data.write.folder import item_of
from pe_data.write.preview import Preview, changes, preview_collection, side_of_items
from pe_data.write.upload import Item

COUNTRY, DATASET = "us", "local_areas"


@dataclass(frozen=True, slots=True)
class Release:
    """What a publication of a run consists of.

    Attributes:
        settings: of the run.
        store: that it goes to.
        namespace: of the channel.
        items: name of an area, or of a part of the nation by district, → its file and manifest.
        run: its id.
        validation: the verdicts of its records; None without levels.
        dictionary: what the variables mean; None for a run that has no such file.
    """

    settings: Settings
    store: Store
    namespace: str
    items: Mapping[str, Item]
    run: str
    validation: Validation | None
    dictionary: tuple[Variable, ...] | None

    def changes(self) -> Diff | None:
        """What would change for those who read the channel; None if nothing was published yet."""
        return changes(self.store, COUNTRY, DATASET, side_of_items(self.settings.results, self.items, self.run))

    def preview(self, *, allow_removal: bool) -> Preview:
        """Where the channel would go. Writes nothing.

        Raises:
            PeDataError: it would be refused, for another reason than removals.
        """
        return preview_collection(
            self.store,
            self.items,
            country=COUNTRY,
            dataset=DATASET,
            run_id=self.run,
            validation=self.validation,
            namespace=self.namespace,
            allow_removal=allow_removal,
            dictionary=self.dictionary,
        )


def release_of(
    settings: Settings,
    *,
    store: str | None,
    licence: str | None,
    citation: str | None,
    notes: Mapping[str, str] | None,
    check_schemas: bool = True,
) -> Release:
    """Read a finished run.

    Args:
        settings: of the run.
        store: folder or address; the user's own store if None.
        licence: identifier or address of the files' licence.
        citation: how to cite them, in one line.
        notes: what readers have to know, besides the notes in the files; name and text.
        check_schemas: hold each sidecar against its published schema, which takes half of the time.

    Raises:
        ResultError: a sidecar is not what its published schema says.
        InputError: of `pe_data`: areas are not approved, a record is missing, or the nation has to be split again.
    """
    label = Label(COUNTRY, DATASET, licence=licence or UNSPECIFIED, notes=lines_of(notes or {}), citation=citation)
    areas = read_run(settings, label, check_schemas=check_schemas)
    own = store_for(COUNTRY)
    return Release(
        settings,
        open_store(store) if store else open_store(own.url, options=own.options),
        own.namespace or DEFAULT_NAMESPACE,
        areas | (read_split(settings, label) if settings.config.output.nation_parquet else {}),
        run_id({name: item.manifest.artifact.sha256 for name, item in areas.items()}),
        read_validation(settings, areas),
        said_by(settings.layout.dictionary),
    )


def read_run(settings: Settings, label: Label, *, check_schemas: bool = True) -> dict[str, Item]:
    """Every area of the run as its sidecar describes it, by relative name without extension.

    Raises:
        ResultError: a sidecar is not what its published schema says.
        InputError: if areas are not approved, because they failed their validation; every one is named.
    """
    items, refused, memo = {}, [], DigestMemo(None)
    for request in settings.requests:
        sidecar = sidecar_path(path := settings.layout.output(request))
        document = strict_json(sidecar.read_bytes(), what=str(sidecar))
        if check_schemas:
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


def read_split(settings: Settings, label: Label) -> dict[str, Item]:
    """The nation by district, by relative name without extension (``national/US/person``).

    Raises:
        InputError: the files are not those of the present nation.
    """
    memo = DigestMemo(None)
    step = declared_steps(settings, memo)[NATION_PARQUET]
    status = compare_steps(settings, memo, [step])[NATION_PARQUET]
    if not status.up_to_date:
        raise InputError(
            f"not published, because {settings.layout.nation_by_district} has to be made again "
            f"({', '.join(status.reasons)}). `snakemake {NATION_PARQUET}` makes it"
        )
    return {f"{NATION}/{role}": item_of(path, label) for role, path in step.outputs.items()}


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
