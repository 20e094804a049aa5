"""Parse what a request asks for from the key in its address."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from pe_data.errors import InvalidNameError
from pe_data.names.digests import Sha256
from pe_data.names.keys import CHANNELS_PREFIX, check_country, check_dataset, parse_channel_key, parse_object_key
from pe_data_gateway.refusal import Refusal

Kind = Literal["channel", "manifest", "collection", "payload", "tombstone", "revocations", "trust"]

_LISTED = re.compile(r"channels/(?P<country>[a-z]{2,3})/(?:(?P<dataset>[a-z0-9_]{1,100})/(?:[a-z]+\.history/)?)?")
_REVOCATIONS = re.compile(r"revocations/(?P<country>[a-z]{2,3})\.json")
_TRUST = re.compile(r"trust/[a-z0-9][a-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One object."""

    kind: Kind
    key: str
    country: str | None
    """None for the trust root, which belongs to no country."""
    dataset: str | None = None
    """Known from the key for channels only."""
    sha256: Sha256 | None = None

    @property
    def artifact(self) -> tuple[str, Sha256]:
        """Country and digest of what has both: a manifest, a collection, a payload or a tombstone."""
        assert self.country is not None, "an artifact has a country"
        assert self.sha256 is not None, "an artifact has a digest"
        return self.country, self.sha256


@lru_cache(maxsize=8192)
def wanted(key: str) -> Wanted:
    """What `key` names. Raises Refusal for anything that is not one of the store's readable objects."""
    parsed = parse_object_key(key)
    if parsed is not None:
        return Wanted(parsed.kind.value, key, parsed.country, None, parsed.sha256)
    channel = parse_channel_key(key)
    if channel is not None:
        return Wanted("channel", key, channel.country, channel.dataset)
    revocations = _REVOCATIONS.fullmatch(key)
    if revocations:
        return Wanted("revocations", key, revocations["country"])
    if _TRUST.fullmatch(key):
        return Wanted("trust", key, None)
    raise Refusal(
        404,
        "no-such-key",
        "the address is not one of an object that this gateway serves",
        "Manifests, collections, payloads, tombstones, revocation lists, channels and the trust root are, nothing else",
    )


def listed(prefix: str) -> tuple[str | None, str | None]:
    """Country and dataset of a listing of channels, None for all. Raises Refusal."""
    if prefix == CHANNELS_PREFIX:
        return None, None
    match = _LISTED.fullmatch(prefix)
    if match:
        try:
            dataset = match["dataset"]
            return check_country(match["country"]), check_dataset(dataset) if dataset else None
        except InvalidNameError:
            pass
    raise Refusal(404, "no-such-list", "only channels can be listed here", "Ask for the prefix channels/ or below")
