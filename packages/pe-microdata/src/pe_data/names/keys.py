"""Keys in a store: pure functions from names to keys, and back.

Keys are relative to the root of the store and use `/`. Every name that comes from outside is
checked here, so that no key can leave its prefix::

    us/4e/4e92….h5                                  payload, write-once
    us/4e/4e92….manifest.json                       manifest, write-once
    us/4e/4e92….collection.json                     collection, write-once
    us/4e/4e92….tombstone.json                      revocation
    revocations/us.json                             what was revoked in a country, swapped
    revocations/us.history/00000001.ab12….json      earlier lists
    channels/us/enhanced_cps_2024/latest.json       pointer, swapped
    channels/us/enhanced_cps_2024/latest.history/00000001.ab12….json   earlier pointer bodies
    trust/3.root.json, trust/timestamp.json …       the trust root, see pe_data.trust.client
    pins/us/4e92….json                              "do not collect", set by an operator
    gc/us/4e92….json                                mark of an earlier version, which the next collection removes
    audit/uk/000000000001.jsonl                     access log of a gated country, by its first record
    audit/uk/000000000950.checkpoint.json           where its chain stood after record 950
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

from pe_data.errors import InvalidNameError
from pe_data.names.digests import Sha256, parse_sha256

Extension = Literal["h5", "parquet"]
MediaType = Literal["application/x-hdf5", "application/vnd.apache.parquet"]
ChannelName = Literal["latest", "next"]

EXTENSIONS: tuple[Extension, ...] = get_args(Extension)
CHANNELS: tuple[ChannelName, ...] = get_args(ChannelName)
MEDIA_TYPES: dict[Extension, MediaType] = {
    "h5": "application/x-hdf5",
    "parquet": "application/vnd.apache.parquet",
}

SIZE_LIMIT = 1 << 40
"""Bytes; no document may claim that a payload is larger."""

CHANNELS_PREFIX = "channels/"
PINS_PREFIX = "pins/"
MARKS_PREFIX = "gc/"
AUDIT_PREFIX = "audit/"
TRUST_PREFIX = "trust/"
REVOCATIONS_PREFIX = "revocations/"
PROBE_KEY = "channels/.probe.json"

COUNTRY = r"(?!gc$)[a-z]{2,3}"
"""Pattern of a country; the folder `gc` is none."""
DATASET = r"[a-z0-9_]{1,100}"
SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}"
MEMBER = rf"(?!.*\.\.){SEGMENT}(?:/{SEGMENT})*"
_OBJECT = re.compile(
    r"(?P<country>[a-z]{2,3})/(?P<shard>[0-9a-f]{2})/(?P<sha256>[0-9a-f]{64})"
    r"\.(?P<suffix>h5|parquet|manifest\.json|collection\.json|tombstone\.json)"
)


_CHANNEL = re.compile(
    rf"{CHANNELS_PREFIX}(?P<country>{COUNTRY})/(?P<dataset>{DATASET})/(?P<channel>{'|'.join(CHANNELS)})"
    r"(?:\.json|\.history/\d{8,}\.(?P<body>[0-9a-f]{64})\.json)"
)


@dataclass(frozen=True, slots=True)
class ChannelKey:
    """A parsed key of a pointer."""

    country: str
    dataset: str
    channel: ChannelName
    body: str | None
    """Digest of the body of an earlier pointer; None for the one that stands."""


class ObjectKind(StrEnum):
    """What a write-once object is, by the end of its key."""

    PAYLOAD = "payload"
    MANIFEST = "manifest"
    COLLECTION = "collection"
    TOMBSTONE = "tombstone"


@dataclass(frozen=True, slots=True)
class ObjectKey:
    """A parsed key of the content-addressed part of a store."""

    country: str
    sha256: Sha256
    kind: ObjectKind
    extension: Extension | None
    """Only for payloads."""


def check_country(country: str) -> str:
    """Return `country` if it is two or three lower-case letters, else raise InvalidNameError."""
    if not re.fullmatch(COUNTRY, country):
        raise InvalidNameError(f"country: expected a lower-case code of two or three letters, found {country[:80]!r}")
    return country


def check_dataset(dataset: str) -> str:
    """Return `dataset` if it is one segment of `[a-z0-9_]`, else raise InvalidNameError."""
    if not re.fullmatch(DATASET, dataset):
        raise InvalidNameError(
            "dataset: expected one segment of lower-case letters, digits and underscores "
            f"(such as 'enhanced_cps_2024'), found {dataset[:80]!r}. {_meant(dataset)}".rstrip(". ")
        )
    return dataset


def _meant(dataset: str) -> str:
    plain = re.sub("[^a-z0-9]+", "_", dataset.casefold()).strip("_")
    return f"Did you mean {plain}?" if re.fullmatch(DATASET, plain) else ""


def check_channel(channel: str) -> ChannelName:
    """Return `channel` if it is `latest` or `next`.

    Raises:
        InvalidNameError: for anything else; `stable` and `lts-*` get told where they live.
    """
    for known in CHANNELS:
        if channel == known:
            return known
    if channel == "stable" or channel.startswith("lts"):
        raise InvalidNameError(
            f"channel {channel[:40]!r} does not exist here: 'stable' and 'lts-*' belong to release "
            "bundles, which certify and pin artifacts by sha256. Use the bundle, or one of "
            f"{', '.join(CHANNELS)} or a pinned sha256 here."
        )
    raise InvalidNameError(f"channel: expected one of {', '.join(CHANNELS)}, found {channel[:40]!r}")


def check_member(member: str) -> str:
    """Return the relative name of a collection member (`districts/NC-01`) if it is safe.

    Raises:
        InvalidNameError: naming the segment that is wrong.
    """
    for segment in member.split("/"):
        if not re.fullmatch(SEGMENT, segment) or ".." in segment:
            raise InvalidNameError(
                "member: expected segments of letters, digits, '-', '_' and single '.', found "
                f"segment {segment[:80]!r} in {member[:120]!r}"
            )
    return member


def check_extension(extension: str) -> Extension:
    """Return `extension` (without the dot) if payloads may have it."""
    for known in EXTENSIONS:
        if extension == known:
            return known
    raise InvalidNameError(f"extension: expected one of {', '.join(EXTENSIONS)}, found {extension[:40]!r}")


def _stem(country: str, sha256: str) -> str:
    digest = parse_sha256(sha256)
    return f"{check_country(country)}/{digest[:2]}/{digest}"


def payload_key(country: str, sha256: str, extension: str) -> str:
    """Key of a payload."""
    return f"{_stem(country, sha256)}.{check_extension(extension)}"


def manifest_key(country: str, sha256: str) -> str:
    """Key of the manifest of the payload `sha256` (the payload's digest, not the manifest's)."""
    return f"{_stem(country, sha256)}.manifest.json"


def collection_key(country: str, sha256: str) -> str:
    """Key of a collection; `sha256` is the digest of the collection document itself."""
    return f"{_stem(country, sha256)}.collection.json"


def tombstone_key(country: str, sha256: str) -> str:
    """Key of the revocation of the artifact `sha256`."""
    return f"{_stem(country, sha256)}.tombstone.json"


def channel_key(country: str, dataset: str, channel: str) -> str:
    """Key of a channel pointer."""
    name = check_channel(channel)
    return f"{CHANNELS_PREFIX}{check_country(country)}/{check_dataset(dataset)}/{name}.json"


def parse_channel_key(key: str) -> ChannelKey | None:
    """Read the key of a pointer or of an earlier one; `None` for any other key."""
    match = _CHANNEL.fullmatch(key)
    return (
        ChannelKey(match["country"], match["dataset"], check_channel(match["channel"]), match["body"])
        if match
        else None
    )


def history_key(country: str, dataset: str, channel: str, version: int, body_sha256: str) -> str:
    """Key of the archived pointer body that was `version`."""
    stem = channel_key(country, dataset, channel).removesuffix(".json")
    return f"{stem}.history/{version:08d}.{parse_sha256(body_sha256)}.json"


def revocations_key(country: str) -> str:
    """Key of the revocation list of a country."""
    return f"{REVOCATIONS_PREFIX}{check_country(country)}.json"


def revocations_history_key(country: str, version: int, body_sha256: str) -> str:
    """Key of the archived list that was `version`."""
    return f"{REVOCATIONS_PREFIX}{check_country(country)}.history/{version:08d}.{parse_sha256(body_sha256)}.json"


def pin_key(country: str, sha256: str) -> str:
    """Key of an operator's pin."""
    return f"{PINS_PREFIX}{check_country(country)}/{parse_sha256(sha256)}.json"


def audit_prefix(country: str) -> str:
    """Prefix of the audit log of a country."""
    return f"{AUDIT_PREFIX}{check_country(country)}/"


def segment_key(country: str, first: int) -> str:
    """Key of the part of an audit log that begins with record number `first`."""
    return f"{audit_prefix(country)}{first:012d}.jsonl"


def checkpoint_key(country: str, seq: int) -> str:
    """Key of the checkpoint of an audit log after record number `seq`."""
    return f"{audit_prefix(country)}{seq:012d}.checkpoint.json"


def parse_object_key(key: str) -> ObjectKey | None:
    """Read a key of the content-addressed part; `None` for any other key."""
    match = _OBJECT.fullmatch(key)
    if match is None or match["shard"] != match["sha256"][:2]:
        return None
    suffix = match["suffix"]
    if suffix in EXTENSIONS:
        kind, extension = ObjectKind.PAYLOAD, check_extension(suffix)
    else:
        kind, extension = ObjectKind(suffix.removesuffix(".json")), None
    return ObjectKey(match["country"], Sha256(match["sha256"]), kind, extension)
