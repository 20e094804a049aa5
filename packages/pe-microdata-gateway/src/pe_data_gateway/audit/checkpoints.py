"""A checkpoint says where the chain of a log stood at some time, with or without signatures.

Whoever can write the log can also write all of it again, with right hashes. A checkpoint that was
signed by a key which that person does not have, or of which a copy lies elsewhere, makes that visible:
the log must still go through the same hash at the same place. An unsigned checkpoint in the same
folder only guards against mistakes.

Where the trust root has a role `audit-{country}`, a checkpoint signed by it binds; `read` tells the
verifier and the gateway alike which ones do.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from pe_data.documents.document import Country, Digest, Document, Time, Version, check_times
from pe_data.documents.envelope import CHECKPOINT_TYPE, SignedDocument, parse_envelope, sign
from pe_data.errors import BelowThresholdError, InvalidDocumentError
from pe_data.names.digests import strict_json
from pe_data.names.times import format_time, parse_time
from pe_data_gateway.audit.records import Head

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

    from pe_data.trust.policy import TrustPolicy

CHECKPOINT_LIMIT = 64 * 1024
_NAME = re.compile(r"(?:.*/)?([0-9]{12})\.checkpoint\.json", re.DOTALL)


class CheckpointFile(Document, frozen=True):
    """The document, without its signatures.

    Attributes:
        seq: Of the last record before it.
        head: The `hash` of that record.
    """

    HEAD: ClassVar[Mapping[str, int | str]] = {"schema_version": 1, "kind": "audit-checkpoint"}
    country: Country
    seq: Version
    head: Digest
    time: Time

    def __post_init__(self) -> None:
        check_times(self, "time")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where the chain stood."""

    country: str
    head: Head
    time: datetime
    """UTC."""


@dataclass(frozen=True, slots=True)
class Found:
    """A checkpoint as it was found, and who stands behind it."""

    where: str
    checkpoint: Checkpoint
    marked: bool
    """It carries signatures, whether or not they could be checked."""
    binds: bool = False
    """They were checked, and are those of the role."""
    stranger: str = ""
    """Why they do not count, if they are by keys that the role does not have, or too few of them. A role whose
    keys were replaced leaves such checkpoints behind."""


Raw = bytes | InvalidDocumentError
"""What was read under the name of a checkpoint: its bytes, or why there are none."""


def country_of(raw: bytes, *, what: str) -> str:
    """Which country a checkpoint says that it is of (nothing is checked). Raises InvalidDocumentError."""
    signed = _signed(raw, what)
    return CheckpointFile.from_bytes(signed.body if signed else raw, what).country


def binding(policy: "TrustPolicy | None", country: str, *, what: str) -> "TrustPolicy | None":
    """`policy` if it has a role `audit-{country}`, so that checkpoints can bind; else None.

    Raises:
        ExpiredError: it has one, but that or the trust root is past its date.
    """
    from pe_data.trust.policy import Role

    role = Role("audit", country)
    if policy is None or role.name not in policy.authorities:
        return None
    policy.authority(role, what=what)
    return policy


def read(where: str, raw: Raw, country: str, policy: "TrustPolicy | None") -> Found:
    """A checkpoint, with what its signatures are worth.

    Args:
        where: Its place, which ends with its name.
        policy: One with the role (see `binding`); None checks no signatures.

    Raises:
        PeDataError: nobody's checkpoint: damaged, of another country, changed after it was signed, or under the
            name of another one.
    """
    if isinstance(raw, InvalidDocumentError):
        raise raw
    from pe_data.trust.policy import Role

    signed, binds, stranger = _signed(raw, where), False, ""
    if signed is not None and policy is not None:
        try:
            policy.check(signed, Role("audit", country), what=where)
            binds = True
        except BelowThresholdError as error:
            stranger = str(error)
    checkpoint = _of(signed.body if signed else raw, country, where)
    named = _NAME.fullmatch(where)
    if named and int(named[1]) != checkpoint.head.seq:
        raise InvalidDocumentError(
            f"{where}: expected a checkpoint after record {int(named[1])}, as its name says, found one after record "
            f"{checkpoint.head.seq}: somebody renamed it"
        )
    return Found(where, checkpoint, signed is not None, binds, stranger)


def to_bytes(checkpoint: Checkpoint, signers: "Sequence[Signer]" = ()) -> bytes:
    """The document, signed if there are signers."""
    head = checkpoint.head
    body = CheckpointFile(checkpoint.country, head.seq, head.hash, format_time(checkpoint.time)).to_bytes()
    return sign(body, CHECKPOINT_TYPE, signers).to_bytes() if signers else body


def _signed(raw: bytes, what: str) -> SignedDocument | None:
    """The document with its signatures, if it carries any; nothing is checked."""
    if "payloadType" not in strict_json(raw, what=what):
        return None
    return parse_envelope(raw, payload_type=CHECKPOINT_TYPE, what=what)


def _of(body: bytes, country: str, what: str) -> Checkpoint:
    found = CheckpointFile.from_bytes(body, what)
    if found.country != country:
        raise InvalidDocumentError(f"{what}: field country: expected {country!r}, found {found.country!r}")
    return Checkpoint(country, Head(found.seq, found.head), parse_time(found.time))
