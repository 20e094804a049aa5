"""Certify the data of a country: from signed nominations to documents that others can check."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pe_data.certify.checks import Nominated, check_nomination
from pe_data.certify.compatibility import Model, compatible
from pe_data.certify.release import (
    Certification,
    CertifiedArtifact,
    DataRelease,
    DatasetPin,
    Nomination,
    Package,
    StorePackage,
)
from pe_data.certify.statement import sign_statement, statement_of
from pe_data.certify.trace import trace_of
from pe_data.documents.tombstone import NAME_LIMIT, check_line
from pe_data.errors import (
    CertificationError,
    InvalidDocumentError,
)
from pe_data.files.atomic import beside
from pe_data.names.digests import canonical_json, sha256_bytes
from pe_data.names.keys import check_country, check_dataset, payload_key
from pe_data.names.times import format_time
from pe_data.names.uri import StoreUri
from pe_data.read.channels import list_channels
from pe_data.read.options import Options
from pe_data.read.places import Places
from pe_data.read.revocations import Revocations
from pe_data.read.standing import read_nomination
from pe_data.store.artifacts import Depth

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
    block: dict[str, Any]
    """The data-release block."""
    statement: dict[str, Any]
    """in-toto Statement v1 over every payload."""
    trace: dict[str, Any]
    """TRACE transparent research object, JSON-LD."""
    signed_statement: bytes | None
    """The statement in a DSSE envelope, if there was a key."""

    def write(self, folder: Path) -> list[Path]:
        """Write the documents into `folder`, which is made; returns their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        documents = {
            RELEASE_NAME: canonical_json(self.block),
            STATEMENT_NAME: canonical_json(self.statement),
            TRACE_NAME: canonical_json(self.trace),
        }
        if self.signed_statement is not None:
            documents[SIGNED_NAME] = self.signed_statement
        paths = []
        for name, data in documents.items():
            path = folder / name
            temporary = beside(path)
            with temporary.open("xb") as handle:
                handle.write(data + b"\n")
            temporary.replace(path)
            paths.append(path)
        return paths


def certify_data_release(
    country: str,
    *,
    data_producer: str,
    channel: str = "next",
    datasets: Iterable[str] | None = None,
    default_dataset: str | None = None,
    model_version: str | None = None,
    model_fingerprint: str | None = None,
    certified_by: str | None = None,
    depth: Depth = "full",
    store: str | None = None,
    cache: Path | str | None = None,
    signers: "Sequence[Signer]" = (),
    now: datetime | None = None,
) -> Certified:
    """Certify what was nominated for a country.

    Args:
        data_producer: Who made the data: the name of the data package.
        channel: Only `next`, whose pointers are signed.
        datasets: Which ones; by default every dataset of the country with a nomination.
        default_dataset: Name of the entry that users get who ask for none; needed if there are
            several files and not exactly one of them is a member under `national/`.
        model_version: Certify for this version of the model; by default the installed one.
        model_fingerprint: Fingerprint of the data build with that model: a version other than the
            one that built the data is accepted if it is equal to the release's own, which is the
            fingerprint in the manifests or, if they differ, a digest over all of them.
        certified_by: Who certifies; by default the producer.
        depth: `full` hashes every payload in the store, `presence` compares sizes.
        signers: Sign the in-toto statement with these.

    Raises:
        CertificationError: `latest` was asked for, or the pointer on `next` has no signatures.
        SignatureError: one of its kinds; `ExpiredError` for a nomination past its date.
        RevokedError: something of it was revoked.
        CertificationError: something that it rests on is missing, unpinned, damaged, not validated, or built for
            another model.
    """
    check_country(country)
    if channel != "next":
        raise CertificationError(
            f"{country}: channel: certification takes signed nominations, which are on 'next'; found {channel[:40]!r}, "
            "which is not signed. Nominate the artifact with `pe-data promote`"
        )
    check_line(data_producer, "data producer", NAME_LIMIT)
    moment = now or datetime.now(UTC)
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
    return _certified(
        country,
        nominated,
        data_producer=data_producer,
        store_url=places.config.url,
        default_dataset=default_dataset,
        model=compatible(nominated, model_version, model_fingerprint),
        certified_by=certified_by or data_producer,
        signers=signers,
        moment=moment,
    )


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


def _certified(
    country: str,
    nominated: Sequence[Nominated],
    *,
    data_producer: str,
    store_url: str,
    default_dataset: str | None,
    model: Model,
    certified_by: str,
    signers: "Sequence[Signer]",
    moment: datetime,
) -> Certified:
    pins = {file.name: _pin(one, index) for one in nominated for index, file in enumerate(one.files)}
    build_id = _build_id(country, nominated)
    default = _default(pins, default_dataset)
    release = DataRelease(
        country_id=country,
        build_id=build_id,
        data_producer=data_producer,
        data_package=StorePackage(data_producer, build_id, store_url, nominated[0].pointer.body.namespace),
        default_dataset=default,
        datasets=pins,
        certified_data_artifact=CertifiedArtifact(
            Package(data_producer, build_id), build_id, default, pins[default].uri, pins[default].sha256
        ),
        nominations=tuple(_nomination(one) for one in nominated),
        certification=Certification(
            compatibility_basis=model.basis,
            model_package=model.package,
            built_with_model_version=model.built_with,
            certified_for_model_version=model.certified_for,
            data_build_id=build_id,
            data_build_fingerprint=model.fingerprint,
            certified_by=check_line(certified_by, "certified by", NAME_LIMIT),
            certified_at=format_time(moment),
        ),
    )
    statement = statement_of(release, nominated)
    signed = sign_statement(statement, signers).to_bytes() if signers else None
    return Certified(release, release.to_json(), statement, trace_of(release, nominated), signed)


def _pin(one: Nominated, index: int) -> DatasetPin:
    file, body = one.files[index], one.pointer.body
    member = file.member
    return DatasetPin(
        path=payload_key(body.country, member.artifact_sha256, member.extension),
        uri=str(file.uri),
        revision=f"sha256:{body.artifact_sha256}",
        sha256=member.artifact_sha256,
        size_bytes=member.size_bytes,
        metadata_sha256=member.manifest_sha256,
    )


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


def _build_id(country: str, nominated: Sequence[Nominated]) -> str:
    """The producer's run for one collection, else a name from the digests: the same for the same data."""
    if len(nominated) == 1 and nominated[0].run_id:
        return nominated[0].run_id
    lines = sorted(f"{one.pointer.body.dataset} {one.pointer.body.artifact_sha256}\n" for one in nominated)
    return f"{country}-{sha256_bytes(''.join(lines).encode())[:16]}"


def _default(pins: dict[str, DatasetPin], wanted: str | None) -> str:
    national = [name for name, pin in pins.items() if (pin.address.member or "").startswith("national/")]
    candidates = [wanted] if wanted is not None else list(pins) if len(pins) == 1 else national
    if len(candidates) != 1 or candidates[0] not in pins:
        shown = ", ".join(sorted(pins)[:5]) + (" …" if len(pins) > 5 else "")
        found = repr(wanted) if wanted is not None else f"{len(candidates)} candidates"
        raise CertificationError(
            f"default dataset: expected the name of one of the {len(pins)} files ({shown}), found {found}. "
            "Say --default-dataset"
        )
    return candidates[0]
