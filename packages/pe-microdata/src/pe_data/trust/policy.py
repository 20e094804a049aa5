"""Who may sign what: an already verified set of role keys and thresholds, and the check itself.

There is one role per purpose and country. A signature counts for a document if its key belongs to
the role, it fits the bytes, and no other signature of the same public key was counted: keys are
told apart by their bytes, never by the id that somebody gave them. `pe_data.trust.opening` gets the set from
the trust root.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, get_args

from pe_data.documents.envelope import (
    CHECKPOINT_TYPE,
    POINTER_TYPE,
    REVOCATIONS_TYPE,
    STATEMENT_TYPE,
    TOMBSTONE_TYPE,
    Signature,
    SignedDocument,
    signature_bytes,
)
from pe_data.documents.signing_libraries import need_libraries
from pe_data.errors import (
    BelowThresholdError,
    ExpiredError,
    SignatureError,
    TrustRootError,
)
from pe_data.names import times
from pe_data.names.keys import check_country

if TYPE_CHECKING:
    from securesystemslib.signer import Key


Purpose = Literal["latest", "next", "revoke", "audit", "attest"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
PAYLOAD_TYPES: Mapping[Purpose, tuple[str, ...]] = {
    "latest": (POINTER_TYPE,),
    "next": (POINTER_TYPE,),
    "revoke": (TOMBSTONE_TYPE, REVOCATIONS_TYPE),
    "audit": (CHECKPOINT_TYPE,),
    "attest": (STATEMENT_TYPE,),
}


@dataclass(frozen=True, slots=True)
class Role:
    """What somebody may sign: one purpose in one country."""

    purpose: Purpose
    country: str

    @property
    def name(self) -> str:
        """As the trust root writes it: `next-us`."""
        return f"{self.purpose}-{self.country}"

    @classmethod
    def parse(cls, name: str) -> "Role":
        """Inverse of `name`. Raises TrustRootError."""
        purpose, _, country = name.partition("-")
        for known in PURPOSES:
            if purpose == known:
                return cls(known, check_country(country))
        raise TrustRootError(f"role: expected PURPOSE-COUNTRY with one of {', '.join(PURPOSES)}, found {name[:80]!r}")


@dataclass(frozen=True, slots=True)
class Holders:
    """The keys of a role, how many have to sign, and until when."""

    keys: Mapping[str, "Key"]
    """By key id."""
    threshold: int
    expires: datetime
    """When the role ends, whatever else the root says."""


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """A verified set of role keys and thresholds; `check` needs neither network nor disk."""

    version: int
    """Of the root that the set rests on."""
    expires: datetime
    """When the set as a whole ends: the earliest date of the metadata that it comes from."""
    authorities: Mapping[str, Holders]
    """By the name of the role, with the keys that somebody here can verify with."""
    floors: Mapping[str, int]
    """Smallest believable version of a channel, `us/areas`, as shipped beside the root."""

    def check(self, document: SignedDocument, role: Role, *, what: str) -> tuple[str, ...]:
        """The ids of the keys whose signatures count, one per public key, in the order of the document.

        Args:
            document: As read; its body has not been parsed.
            role: Who has to have signed it.
            what: Where it comes from, for messages.

        Raises:
            ExpiredError: the trust root or the role is past its date.
            TrustRootError: the trust root has no such role.
            BelowThresholdError: none of the signatures is by a key of the role.
            SignatureError: below the threshold, and a signature does not fit the bytes.
            BelowThresholdError: too few different keys.
        """
        authority = self.authority(role, what=what)
        kinds = PAYLOAD_TYPES[role.purpose]
        if document.payload_type not in kinds:
            raise SignatureError(
                f"{what}: role {role.name} signs {' and '.join(kinds)}, found a document of type "
                f"{document.payload_type!r}"
            )
        need_libraries("securesystemslib.dsse", "cryptography")
        counted: dict[bytes, str] = {}
        unknown: list[str] = []
        bad: list[str] = []
        for signature in document.signatures:
            key = authority.keys.get(signature.key_id)
            if key is None:
                unknown.append(signature.key_id)
            elif _fits(key, signature, document):
                counted.setdefault(public_bytes(key), signature.key_id)
            else:
                bad.append(signature.key_id)
        if len(counted) >= authority.threshold:
            return tuple(counted.values())
        needs = f"role {role.name} of trust root version {self.version} needs {authority.threshold}"
        if bad:
            raise SignatureError(
                f"{what}: the signature of key {bad[0][:80]} does not fit the document, which was changed "
                f"or signed by another key. {needs} good signature(s), found {len(counted)}. Do not use it"
            )
        if unknown and not counted:
            raise BelowThresholdError(
                f"{what}: signed by {', '.join(name[:80] for name in unknown)}, which the role does not have. {needs} "
                f"of the keys {', '.join(authority.keys)}. It was signed by somebody else, or with a key that "
                "was taken out of the root: have it signed again",
                counted=0,
                threshold=authority.threshold,
            )
        raise BelowThresholdError(
            f"{what}: {needs} signature(s) of different keys, found {len(counted)}. Have another person "
            "sign it with `pe-data sign`",
            counted=len(counted),
            threshold=authority.threshold,
        )

    def authority(self, role: Role, *, what: str) -> Holders:
        """Whose signatures count for `role` now. Raises ExpiredError, TrustRootError."""
        now = times.now()
        if now >= self.expires:
            raise ExpiredError(
                f"{what}: the trust root (version {self.version}) ended on {_date(self.expires)}, and it is "
                f"{_date(now)}. Nothing is believed until its owners renew it with `pe-data root rotate`. "
                "If the date is wrong, set this machine's clock"
            )
        authority = self.authorities.get(role.name)
        if authority is None:
            raise TrustRootError(
                f"{what}: the trust root (version {self.version}) gives role {role.name} to nobody; it has "
                f"{', '.join(sorted(self.authorities)) or 'no roles'}. Its owners add one with `pe-data root rotate`"
            )
        if now >= authority.expires:
            raise ExpiredError(
                f"{what}: role {role.name} of trust root version {self.version} ended on "
                f"{_date(authority.expires)}, and it is {_date(now)}. Its owners renew it with `pe-data root rotate`"
            )
        return authority


def public_bytes(key: "Key") -> bytes:
    """What makes two keys the same key: type and raw public bytes, however they are written."""
    public = str(key.keyval.get("public", ""))
    if key.keytype == "ed25519":
        return b"ed25519:" + bytes.fromhex(public)
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    loaded = load_pem_public_key(public.encode())
    return loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _fits(key: "Key", signature: Signature, document: SignedDocument) -> bool:
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import Signature as Made

    made = Made(signature.key_id, signature_bytes(signature).hex())
    try:
        Envelope(document.body, document.payload_type, {made.keyid: made}).verify([key], 1)
    except VerificationError:
        return False
    return True


def _date(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
