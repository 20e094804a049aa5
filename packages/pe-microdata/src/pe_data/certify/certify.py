"""Certify the data of a country: from signed nominations to documents that others can check."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pe_data.certify.checks import Nominated, check_nomination
from pe_data.certify.compatibility import compatible, model_of
from pe_data.certify.published import Published, find_published
from pe_data.certify.release import (
    Certification,
    CertifiedArtifact,
    DataRelease,
    HubPackage,
    Nomination,
    Own,
    Package,
    PathTemplate,
    StoredFile,
)
from pe_data.certify.statement import sign_statement, statement_of
from pe_data.certify.trace import trace_of
from pe_data.documents.tombstone import NAME_LIMIT, check_line
from pe_data.errors import (
    CertificationError,
    InvalidDocumentError,
)
from pe_data.files.atomic import replace_file
from pe_data.names import times
from pe_data.names.digests import canonical_json, sha256_bytes, sha256_file
from pe_data.names.keys import check_country, check_dataset, check_member
from pe_data.names.times import format_time
from pe_data.names.uri import StoreUri
from pe_data.read.channels import list_channels
from pe_data.read.options import Options
from pe_data.read.places import Places
from pe_data.read.revocations import Revocations
from pe_data.read.standing import read_nomination
from pe_data.store.artifacts import Depth, File

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

RELEASE_NAME = "data_release.json"
STATEMENT_NAME = "statement.intoto.json"
SIGNED_NAME = "statement.dsse.json"
TRACE_NAME = "trace.tro.jsonld"


@dataclass(frozen=True, slots=True)
class Certified:
    """What a certification gives; each document is canonical JSON."""

    release: DataRelease
    statement: dict[str, Any]
    """in-toto Statement v1 over every payload."""
    trace: dict[str, Any]
    """TRACE transparent research object, JSON-LD."""
    signed_statement: bytes | None
    """The statement in a DSSE envelope, if there was a key."""

    @property
    def block(self) -> dict[str, Any]:
        """The data-release block."""
        return self.release.to_json()

    def write(self, folder: Path) -> list[Path]:
        """Write the documents into `folder`, which is made; returns their paths."""
        documents = {
            RELEASE_NAME: self.release.to_bytes(),
            STATEMENT_NAME: canonical_json(self.statement),
            TRACE_NAME: canonical_json(self.trace),
        }
        if self.signed_statement is not None:
            documents[SIGNED_NAME] = self.signed_statement
        for name, data in documents.items():
            replace_file(folder / name, data)
        return [folder / name for name in documents]


def certify_data_release(
    country: str,
    *,
    data_producer: str,
    channel: str = "next",
    datasets: Iterable[str] | None = None,
    default_dataset: str | None = None,
    policyengine_version: str | None = None,
    bundle_id: str | None = None,
    release_manifest: Path | str | None = None,
    release_manifest_path: str = "release_manifest.json",
    model_version: str | None = None,
    model_fingerprint: str | None = None,
    model_wheel: Path | str | None = None,
    core_version: str | None = None,
    certified_by: str | None = None,
    depth: Depth = "full",
    store: Path | str | None = None,
    cache: Path | str | None = None,
    signers: "Sequence[Signer]" = (),
    now: datetime | None = None,
) -> Certified:
    """Certify what was nominated for a country.

    Args:
        data_producer: Who made the data: the name of the data package.
        channel: Only `next`, whose pointers are signed.
        datasets: Which ones; by default every dataset of the country with a nomination.
        default_dataset: Name of the entry that users get who ask for none; needed if the release manifest names none,
            there are several files and not exactly one of them is a member under `national/`.
        policyengine_version: Of the bundle that will take the block.
        bundle_id: Its name.
        release_manifest: What `snakemake publish` or `pe-data release-manifest` wrote about the files: where in the hub
            they lie, and which versions the publisher claims.
        release_manifest_path: Where that lies in the hub's repository.
        model_version: Certify for this version of the model; by default the installed one.
        model_wheel: Wheel of that version, whose sha256 goes into the block.
        core_version: The same for the core; `bundle_pin` to name none.
        model_fingerprint: Fingerprint of the data build with that model: a version other than the
            one that built the data is accepted if it is equal to the release's own, which is the
            fingerprint in the manifests or, if they differ, a digest over all of them.
        certified_by: Who certifies; by default the producer.
        depth: `full` hashes every payload in the store, `presence` compares sizes.
        signers: Sign the in-toto statement with these.
        now: When it is certified, as the documents say; by default the time of this machine's clock.

    Raises:
        CertificationError: `latest` was asked for, or the pointer on `next` has no signatures.
        SignatureError: one of its kinds; `ExpiredError` for a nomination past its date.
        RevokedError: something of it was revoked.
        CertificationError: something that it rests on is missing, unpinned, damaged, not validated, not in the release
            manifest, or built for another model; or what only the certifier knows was not said.
    """
    check_country(country)
    if channel != "next":
        raise CertificationError(
            f"{country}: channel: certification takes signed nominations, which are on 'next'; found {channel[:40]!r}, "
            "which is not signed. Nominate the artifact with `pe-data promote`"
        )
    check_line(data_producer, "data producer", NAME_LIMIT)
    version = check_line(_said("policyengine_version", policyengine_version), "policyengine version", NAME_LIMIT)
    bundle = check_line(_said("bundle_id", bundle_id), "bundle id", NAME_LIMIT)
    source = Path(_said("release_manifest", release_manifest))
    check_member(release_manifest_path)
    places = Places.serving(country, Options.of(cache=cache, store=store, offline=False))
    names = _datasets(country, datasets, places)
    addresses = [StoreUri(country, dataset, None, "next", None) for dataset in names]
    revocations = Revocations(addresses[0], places.options, places, now=True)
    nominated = []
    for address in addresses:
        try:
            pointer = read_nomination(address, places, places.options)
        except InvalidDocumentError as error:
            raise CertificationError(f"{country}/{address.dataset}: cannot be certified: {error}") from error
        nominated.append(check_nomination(pointer, places.main(), revocations, depth=depth))
    built = model_of(nominated)
    published = find_published(source, nominated, release_manifest_path)
    model = compatible(built, nominated, published, model_version, model_fingerprint, core_version)
    default = _default(published, default_dataset)
    manifest, place = published.manifest, published.place
    build_id = _build_id(country, nominated, published)
    package = Package(manifest.data_package.name, manifest.data_package.version)
    default_uri = published.uri(default)
    regions = {"national": PathTemplate(manifest.artifacts[default].path), **manifest.metadata.region_datasets}
    release = DataRelease(
        bundle_id=bundle,
        country_id=country,
        policyengine_version=version,
        version=build_id,
        build_id=build_id,
        data_producer=data_producer,
        model_package=Package(
            model.package, model.certified_for, sha256_file(Path(model_wheel)) if model_wheel is not None else None
        ),
        data_package=HubPackage(
            package.name, package.version, place.repo_id, place.repo_type, published.path, place.revision
        ),
        default_dataset=default,
        default_dataset_uri=default_uri,
        release_manifest_uri=published.url(published.path),
        source_manifest_uri=published.manifest_uri,
        datasets={name: published.reference(name) for name in published.files},
        region_datasets=regions,
        certified_data_artifact=CertifiedArtifact(
            package, build_id, default, default_uri, manifest.artifacts[default].sha256
        ),
        certification=Certification(
            compatibility_basis=model.basis,
            certified_for_model_version=model.certified_for,
            core_binding="bundle_pin" if model.core is None else "certified",
            built_with_model_version=model.built_with,
            data_build_id=build_id,
            certified_by=check_line(certified_by or data_producer, "certified by", NAME_LIMIT),
            certified_for_core_version=model.core,
            data_build_fingerprint=model.fingerprint,
        ),
        pe_data=Own(
            namespace=nominated[0].pointer.body.namespace,
            certified_at=format_time(now or times.now()),
            release_manifest_sha256=published.sha256,
            files={name: _stored(file, nominated) for name, file in published.files.items()},
            nominations=tuple(_nomination(one) for one in nominated),
            store=places.config.url if _reachable(places.config.url) else None,
        ),
    )
    statement = statement_of(release, published)
    signed = sign_statement(statement, signers).to_bytes() if signers else None
    return Certified(release, statement, trace_of(release, published), signed)


def _said(name: str, value: str | Path | None) -> str:
    text = str(value or "")
    if not text.strip():
        raise CertificationError(
            f"{name}: expected what only the certifier knows, found nothing. Say --{name.replace('_', '-')}"
        )
    return text


def _datasets(country: str, datasets: Iterable[str] | None, places: Places) -> list[str]:
    if datasets is not None:
        names = sorted({check_dataset(name) for name in datasets})
    else:
        names = sorted(one.dataset for one in list_channels(places.main(), country) if one.channel == "next")
    if not names:
        raise CertificationError(
            f"{country}: expected at least one nomination on the channel next, found none. `pe-data promote` makes one"
        )
    return names


def _stored(file: File, nominated: Sequence[Nominated]) -> StoredFile:
    body = next(one.pointer.body for one in nominated if one.pointer.body.dataset == file.address.dataset)
    member = file.member
    return StoredFile(
        uri=str(file.address),
        size_bytes=member.size_bytes,
        extension=member.extension,
        nominated=f"sha256:{body.artifact_sha256}",
        manifest_sha256=member.manifest_sha256,
    )


def _reachable(store_url: str) -> bool:
    """Whether a store's address means anything on another machine."""
    return "://" in store_url and not store_url.startswith("file:")


def _nomination(one: Nominated) -> Nomination:
    pointer, body = one.pointer, one.pointer.body
    assert body.expires is not None, "a verified nomination has a date"
    return Nomination(
        dataset=body.dataset,
        channel="next",
        version=body.version,
        pointer_sha256=pointer.sha256,
        artifact_sha256=body.artifact_sha256,
        manifest_sha256=body.manifest_sha256,
        key_ids=pointer.key_ids,
        root_version=pointer.root_version,
        expires=body.expires,
        validation=one.validation,
    )


def _build_id(country: str, nominated: Sequence[Nominated], published: Published) -> str:
    """The producer's run for one collection, else as in the release manifest, else a name from the digests."""
    if len(nominated) == 1 and nominated[0].run_id:
        return nominated[0].run_id
    if published.manifest.build.build_id is not None:
        return published.manifest.build.build_id
    lines = sorted(f"{one.pointer.body.dataset} {one.pointer.body.artifact_sha256}\n" for one in nominated)
    return f"{country}-{sha256_bytes(''.join(lines).encode())[:16]}"


def _default(published: Published, wanted: str | None) -> str:
    """Name of the default. `wanted` may also be what `pe-data://COUNTRY/` is followed by."""
    files, declared = published.files, published.manifest.default_datasets.get("national")
    asked = wanted if wanted is None else next((name for name, one in files.items() if wanted == one.full_name), wanted)
    if asked is not None and declared is not None and asked != declared:
        raise CertificationError(
            f"default dataset: expected {declared!r}, which the release manifest declares, found {wanted!r}"
        )
    national = [name for name in files if name.startswith("national/")]
    chosen = asked or declared
    candidates = [chosen] if chosen is not None else list(files) if len(files) == 1 else national
    if len(candidates) != 1 or candidates[0] not in files:
        shown = ", ".join(sorted(files)[:5]) + (" …" if len(files) > 5 else "")
        found = repr(chosen) if chosen is not None else f"{len(candidates)} candidates"
        raise CertificationError(
            f"default dataset: expected the name of one of the {len(files)} files ({shown}), found {found}. "
            "Say --default-dataset"
        )
    return candidates[0]
