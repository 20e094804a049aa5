"""Nominate an artifact for certification: a signed pointer on the channel `next`.

`propose` writes down what is to be signed, after checking that the artifact is whole, validated and
not revoked. Any number of people sign the same bytes, on whatever machines. `nominate` checks the
signatures against the trust root and swaps the pointer in, as `latest` is moved.
"""

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from pe_data.documents.envelope import SignedDocument
from pe_data.documents.pointer import NOTHING_SAID, PointerBody, Said, SignedPointer
from pe_data.documents.validation import Validation
from pe_data.errors import InputError, ObjectNotFoundError
from pe_data.names import times
from pe_data.names.countries import UNSPECIFIED
from pe_data.names.digests import Sha256
from pe_data.names.keys import channel_key
from pe_data.names.times import format_time, parse_time
from pe_data.read.channels import CurrentNomination, read_next
from pe_data.read.standing import read_signed
from pe_data.store.artifacts import Contents, Depth, File, check_payload, each, read_contents
from pe_data.store.base import Store
from pe_data.store.probe import probe_conditional_writes
from pe_data.trust.nominations import VerifiedPointer, verify
from pe_data.trust.policy import TrustPolicy
from pe_data.write.channels import conflict, replace_pointer
from pe_data.write.relying import led_to, send_again
from pe_data.write.revocation_bar import Bar

LIFETIME = timedelta(days=30)
LONGEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An artifact that may be nominated, and certified."""

    contents: Contents
    validation: Validation


def candidate(
    store: Store,
    country: str,
    dataset: str,
    artifact: Sha256 | None = None,
    *,
    manifest: Sha256 | None = None,
    depth: Depth = "presence",
    refuse_revoked: Callable[[Sha256, str], None] | None = None,
) -> Candidate:
    """Check that an artifact may be nominated: it is whole in the store, of the dataset, validated and not revoked.

    Args:
        artifact: Its digest; None for what `latest` stands at.
        manifest: Digest of its manifest, if something says it.
        depth: `full` hashes every payload as it lies in the store; `presence` compares sizes.
        refuse_revoked: Raises RevokedError for a digest that was revoked; by default, for the tombstones of the store.

    Raises:
        InputError: it was not validated, its validation did not pass, or it is of another dataset.
        SignatureError: `latest` has to be signed, and is not.
        RevokedError: it, or a member, was revoked.
        ObjectNotFoundError: something of it is not in the store.
        DigestMismatchError, InvalidDocumentError: something of it is not what names it.
    """
    if artifact is None:
        body = read_signed(store, country, dataset).body
        artifact, manifest = body.artifact_sha256, body.manifest_sha256
    what = f"{country}/{dataset} sha256:{artifact}"
    refuse = refuse_revoked or partial(Bar.of(store).refuse, country)
    refuse(artifact, what)
    found = read_contents(store, country, artifact, manifest)
    if found.dataset != dataset:
        raise InputError(f"{what}: expected an artifact of this dataset, found one of {country}/{found.dataset}")
    validation = found.validation
    if validation is None:
        raise InputError(
            f"{what}: expected a validation record that passed, found none: it was published without one. Publish it "
            "with `pe-data publish --validation` or `snakemake publish`, then promote that"
        )
    if validation.status != "passed":
        raise InputError(f"{what}: expected a validation record that passed, found {validation.summary()}")

    def check_file(file: File) -> None:
        if file.name is not None:
            refuse(file.member.artifact_sha256, f"{what}: member {file.name}")
        check_payload(store, country, file.manifest.artifact, depth)

    each(check_file, found.files)
    return Candidate(found, validation)


def _check_licences(found: Contents) -> None:
    """Raise InputError if a file has no licence: nobody should certify what nobody may use."""
    without = [file.name or found.dataset for file in found.files if file.manifest.licence == UNSPECIFIED]
    if without:
        listed = f"{', '.join(without[:5])}{' …' if len(without) > 5 else ''}"
        raise InputError(
            f"{found.country}/{found.dataset} sha256:{found.sha256}: licence: expected one for each of "
            f"{len(found.files)} file(s), found none for {len(without)} ({listed}). Publish a folder again with "
            "--licence, or a run with store.licence; of a file that was published alone the licence stays what it was"
        )


def propose(
    store: Store,
    chosen: Candidate,
    *,
    namespace: str,
    lifetime: timedelta = LIFETIME,
    said: Said = NOTHING_SAID,
) -> PointerBody:
    """The body that is to be signed: the version after the one that stands.

    A pointer that no longer verifies (its key was taken out of the root) is followed all the same:
    what it says is not believed, only counted on from.

    Raises:
        InputError: the lifetime is not between a minute and a year, or nobody named a licence.
        InvalidDocumentError: something stands on the channel that is no pointer.
    """
    if not timedelta(minutes=1) <= lifetime <= LONGEST:
        raise InputError(f"expires: expected between 1m and {LONGEST.days}d, found {lifetime}")
    moment = times.now()
    found = chosen.contents
    _check_licences(found)
    current = _current(store, found.country, found.dataset)
    before = current.pointer.claimed() if current else None
    return PointerBody(
        namespace=namespace,
        country=found.country,
        dataset=found.dataset,
        channel="next",
        version=before.version + 1 if before else 1,
        prev=current.pointer.sha256 if current else None,
        artifact_sha256=found.sha256,
        manifest_sha256=found.manifest_sha256,
        published_at=format_time(moment),
        publication_id=uuid.uuid4().hex,
        expires=format_time(moment + lifetime),
        reason=said.reason,
        by=said.by,
    )


def nominate(store: Store, document: SignedDocument, policy: TrustPolicy) -> VerifiedPointer:
    """Publish a signed nomination; publishing the one that stands already changes nothing.

    Raises:
        SignatureError: one of its kinds: below the threshold, unknown key, expired, …
        InputError, RevokedError: the artifact may not be nominated (any more).
        ConflictError: the channel moved since it was proposed, or another writer was first.
        StoreError: the store ignores conditional writes.
    """
    claimed = SignedPointer(document, "nomination").claimed()
    country, dataset = claimed.country, claimed.dataset
    key = channel_key(country, dataset, "next")
    pointer = SignedPointer(document, f"nomination for {key}")
    verified = verify(pointer, policy, country=country, dataset=dataset, namespace=claimed.namespace)
    body = verified.body
    current = _current(store, country, dataset)
    if current and current.pointer.sha256 == verified.sha256:
        return verified
    expected = (current.pointer.claimed().version + 1, current.pointer.sha256) if current else (1, None)
    if (body.version, body.prev) != expected:
        raise conflict(store, country, dataset, body.version, "next")
    found = candidate(store, country, dataset, body.artifact_sha256, manifest=body.manifest_sha256).contents
    _check_licences(found)
    probe_conditional_writes(store)
    held = led_to(store, country, dataset)
    send_again(store, country, [one for one in found.artifacts if one not in held])
    replace_pointer(store, body, document.to_bytes(), verified.sha256, current)
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
        *(f"{name:12} {text}" for name, text in (("reason", body.reason), ("by", body.by)) if text),
    ]


def _days(body: PointerBody) -> int:
    ends = parse_time(body.expires) if body.expires else parse_time(body.published_at)
    return (ends - parse_time(body.published_at)).days


def _current(store: Store, country: str, dataset: str) -> CurrentNomination | None:
    with suppress(ObjectNotFoundError):
        return read_next(store, country, dataset)
    return None
