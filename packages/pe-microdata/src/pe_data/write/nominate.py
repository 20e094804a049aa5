"""Nominate an artifact for certification: a signed pointer on the channel `next`.

`propose` writes down what is to be signed, after checking that the artifact is whole, validated and
not revoked. Any number of people sign the same bytes, on whatever machines. `nominate` checks the
signatures against the trust root and swaps the pointer in, as `latest` is moved.
"""

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pe_data.documents.collection import COLLECTION_LIMIT, Collection, Member
from pe_data.documents.encoding import READ_LIMIT, unpack
from pe_data.documents.envelope import SignedDocument
from pe_data.documents.manifest import Manifest
from pe_data.documents.pointer import PointerBody, SignedPointer
from pe_data.documents.validation import Validation
from pe_data.errors import InputError, InvalidDocumentError, ObjectNotFoundError
from pe_data.names.digests import Sha256, check_bytes, sha256_bytes
from pe_data.names.keys import channel_key, collection_key, manifest_key, payload_key
from pe_data.names.times import format_time, parse_time
from pe_data.read.channels import CurrentNomination, read, read_next
from pe_data.store.base import Store
from pe_data.store.probe import probe_conditional_writes
from pe_data.trust.nominations import VerifiedPointer, verify
from pe_data.trust.policy import TrustPolicy
from pe_data.write.bar import Bar
from pe_data.write.channels import Replaced, conflict, replace_pointer
from pe_data.write.relying import led_to, members_of, send_again

WORKERS = 8
LIFETIME = timedelta(days=30)
LONGEST = timedelta(days=366)
_DAMAGED = "It was changed or damaged. Run pe-data fsck"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An artifact that may be nominated."""

    country: str
    dataset: str
    artifact_sha256: Sha256
    manifest_sha256: Sha256
    """Again `artifact_sha256` for a collection."""
    members: int | None
    """None for a single file."""
    validation: Validation


def candidate(store: Store, country: str, dataset: str, artifact: Sha256 | None = None) -> Candidate:
    """Check that an artifact may be nominated.

    Args:
        artifact: Its digest; None for what `latest` stands at.

    Raises:
        InputError: it was not validated, its validation did not pass, or it is of another dataset.
        RevokedError: it, or a member, was revoked.
        ObjectNotFoundError: something of it is not in the store.
    """
    digest = artifact or read(store, country, dataset).body.artifact_sha256
    what = f"{country}/{dataset} sha256:{digest}"
    bar = Bar.of(store)
    bar.refuse(country, digest, what)
    try:
        raw = store.get(collection_key(country, digest), max_bytes=COLLECTION_LIMIT).data
    except ObjectNotFoundError:
        manifest, manifest_sha256 = _manifest(store, country, digest)
        found: Manifest | Collection = manifest
        members = None
    else:
        check_bytes(raw, digest, what=f"{store.url}: {what}", advice=_DAMAGED)
        found = Collection.from_bytes(raw, what=what)
        manifest_sha256, members = digest, len(found.members)

        def check_member(row: tuple[str, Member]) -> None:
            name, member = row
            bar.refuse(country, member.artifact_sha256, f"{what}: member {name}")
            store.head(payload_key(country, member.artifact_sha256, member.extension))

        with ThreadPoolExecutor(WORKERS) as pool:
            for _ in pool.map(check_member, found.members.items()):
                pass
    if (found.country, found.dataset) != (country, dataset):
        raise InputError(f"{what}: expected an artifact of this dataset, found one of {found.country}/{found.dataset}")
    validation = found.validation
    if validation is None:
        raise InputError(
            f"{what}: expected a validation record that passed, found none: it was published without one. Publish it "
            "with `pe-data publish --validation` or `snakemake publish`, then promote that"
        )
    if validation.status != "passed":
        raise InputError(f"{what}: expected a validation record that passed, found {validation.summary()}")
    return Candidate(country, dataset, digest, manifest_sha256, members, validation)


def propose(
    store: Store,
    chosen: Candidate,
    *,
    namespace: str,
    lifetime: timedelta = LIFETIME,
    now: datetime | None = None,
) -> PointerBody:
    """The body that is to be signed: the version after the one that stands.

    A pointer that no longer verifies (its key was taken out of the root) is followed all the same:
    what it says is not believed, only counted on from.

    Raises:
        InputError: the lifetime is not between a minute and a year.
        InvalidDocumentError: something stands on the channel that is no pointer.
    """
    if not timedelta(minutes=1) <= lifetime <= LONGEST:
        raise InputError(f"expires: expected between 1m and {LONGEST.days}d, found {lifetime}")
    moment = now or datetime.now(UTC)
    current = _current(store, chosen.country, chosen.dataset)
    before = current.pointer.claimed() if current else None
    return PointerBody(
        namespace=namespace,
        country=chosen.country,
        dataset=chosen.dataset,
        channel="next",
        version=before.version + 1 if before else 1,
        prev=current.pointer.sha256 if current else None,
        artifact_sha256=chosen.artifact_sha256,
        manifest_sha256=chosen.manifest_sha256,
        published_at=format_time(moment),
        publication_id=uuid.uuid4().hex,
        expires=format_time(moment + lifetime),
    )


def nominate(
    store: Store, document: SignedDocument, policy: TrustPolicy, *, now: datetime | None = None
) -> VerifiedPointer:
    """Publish a signed nomination; publishing the one that stands already changes nothing.

    Raises:
        SignatureError: one of its kinds: below the threshold, unknown key, expired, …
        InputError, RevokedError: the artifact may not be nominated (any more).
        ConflictError: the channel moved since it was proposed, or another writer was first.
        StoreError: the store ignores conditional writes.
    """
    moment = now or datetime.now(UTC)
    claimed = SignedPointer(document, "nomination").claimed()
    country, dataset = claimed.country, claimed.dataset
    key = channel_key(country, dataset, "next")
    pointer = SignedPointer(document, f"nomination for {key}")
    verified = verify(pointer, policy, country=country, dataset=dataset, namespace=claimed.namespace, now=moment)
    body = verified.body
    current = _current(store, country, dataset)
    if current and current.pointer.sha256 == verified.sha256:
        return verified
    expected = (current.pointer.claimed().version + 1, current.pointer.sha256) if current else (1, None)
    if (body.version, body.prev) != expected:
        raise conflict(store, country, dataset, body.version, "next")
    chosen = candidate(store, country, dataset, body.artifact_sha256)
    if chosen.manifest_sha256 != body.manifest_sha256:
        raise InputError(
            f"{pointer.what}: expected manifest sha256 {chosen.manifest_sha256}, found {body.manifest_sha256}. "
            "Nominate it again"
        )
    probe_conditional_writes(store)
    held = led_to(store, country, dataset)
    nominated = [chosen.artifact_sha256, *members_of(store, country, chosen.artifact_sha256)]
    send_again(store, country, [one for one in nominated if one not in held], moment)
    before = (
        Replaced(body.version - 1, current.pointer.sha256, current.raw, current.token) if current is not None else None
    )
    replace_pointer(store, body, document.to_bytes(), verified.sha256, before)
    return verified


def describe(body: PointerBody) -> list[str]:
    """What a signature would say, for the person who is asked for one."""
    kind = "collection" if body.is_collection else "file"
    return [
        f"nomination   {body.country}/{body.dataset}@next, version {body.version}, namespace {body.namespace}",
        f"artifact     sha256:{body.artifact_sha256} ({kind})",
        f"manifest     sha256:{body.manifest_sha256}",
        f"proposed     {body.published_at}",
        f"until        {body.expires} ({_days(body)} days)",
    ]


def _days(body: PointerBody) -> int:
    ends = parse_time(body.expires) if body.expires else parse_time(body.published_at)
    return (ends - parse_time(body.published_at)).days


def _current(store: Store, country: str, dataset: str) -> CurrentNomination | None:
    with suppress(ObjectNotFoundError):
        return read_next(store, country, dataset)
    return None


def _manifest(store: Store, country: str, digest: Sha256) -> tuple[Manifest, Sha256]:
    key = manifest_key(country, digest)
    what = f"{store.url}: {key}"
    plain = unpack(store.get(key, max_bytes=READ_LIMIT).data, what)
    manifest = Manifest.from_bytes(plain, what)
    if manifest.artifact.sha256 != digest:
        raise InvalidDocumentError(f"{what}: expected the manifest of this artifact. {_DAMAGED}")
    store.head(payload_key(country, digest, manifest.artifact.extension))
    return manifest, sha256_bytes(plain)
