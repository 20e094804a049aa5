"""Verify a nomination: the signatures first, then the body."""

from dataclasses import dataclass, field
from datetime import timedelta

from pe_data.documents.pointer import PointerBody, SignedPointer, check_place
from pe_data.errors import ExpiredError, InvalidDocumentError, RollbackError
from pe_data.names import times
from pe_data.names.digests import Sha256
from pe_data.names.times import format_time, parse_time
from pe_data.trust.policy import Role, TrustPolicy

SKEW = timedelta(minutes=10)
"""How far the clocks of a signer and a reader may differ."""

_VERIFIED = object()


@dataclass(frozen=True, slots=True)
class VerifiedPointer:
    """A nomination whose signatures, place, age and dates were checked; made by `verify` alone."""

    body: PointerBody
    sha256: Sha256
    """Digest of the body."""
    key_ids: tuple[str, ...]
    """The keys whose signatures counted."""
    root_version: int
    """Of the trust root that says so."""
    proof: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.proof is not _VERIFIED:
            raise TypeError("a VerifiedPointer is made by pe_data.trust.nominations.verify alone")


def verify(
    pointer: SignedPointer,
    policy: TrustPolicy,
    *,
    country: str,
    dataset: str,
    namespace: str | None,
) -> VerifiedPointer:
    """Believe a nomination, or say why not: signatures first, then what the body says.

    Args:
        pointer: As read from the channel `next` of `country` and `dataset`.
        policy: From the trust root.
        namespace: The expected one; None accepts any.

    Raises:
        SignatureError: one of its kinds: below the threshold, unknown key, bad signature.
        PointerMismatchError: it was made for another namespace, country, dataset or channel.
        ExpiredError: it is past its date, or comes from the future.
        RollbackError: it is older than the floor that was shipped with the trust root.
    """
    what, now = pointer.what, times.now()
    key_ids = policy.check(pointer.document, Role("next", country), what=what)
    body = PointerBody.from_bytes(pointer.document.body, what)
    check_place(body, country=country, dataset=dataset, channel="next", namespace=namespace, what=what)
    if body.expires is None:
        raise InvalidDocumentError(f"{what}: a signed pointer needs the field expires")
    if now >= parse_time(body.expires):
        raise ExpiredError(
            f"{what}: the nomination of {body.published_at[:10]} ended on {body.expires}, and it is "
            f"{format_time(now)}. Have it nominated again with `pe-data promote`; if the date is wrong, set this "
            "machine's clock"
        )
    if parse_time(body.published_at) > now + SKEW:
        raise ExpiredError(
            f"{what}: the nomination is dated {body.published_at}, and it is {format_time(now)}: one of the two clocks "
            "is wrong. Set this machine's clock, or have it nominated again"
        )
    floor = policy.floors.get(f"{country}/{dataset}", 0)
    if body.version < floor:
        raise RollbackError(
            f"{what}: expected version {floor} or later, as shipped with the trust root, found version "
            f"{body.version}. The store was set back or rebuilt; ask its operator"
        )
    return VerifiedPointer(body, pointer.sha256, key_ids, policy.version, _VERIFIED)
