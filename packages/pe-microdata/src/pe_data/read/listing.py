"""List datasets, channels, members, periods and sizes of a store, without payloads."""

from collections.abc import Iterator
from dataclasses import dataclass

from pe_data.config.settings import DEFAULT
from pe_data.documents.collection import ABOUT, Area
from pe_data.documents.manifest import Status
from pe_data.documents.notice import Notice, is_gated
from pe_data.errors import InvalidNameError, OfflineError
from pe_data.names.countries import DATASET_EXAMPLE
from pe_data.names.digests import Sha256
from pe_data.names.keys import check_country, check_dataset
from pe_data.names.uri import SCHEME, StoreUri
from pe_data.read.channels import list_channels
from pe_data.read.locate import describe, look, revocation
from pe_data.read.lookup import notice_behind
from pe_data.read.options import Options
from pe_data.read.places import Places, is_local


@dataclass(frozen=True, slots=True)
class ListedMember:
    """One member of a collection."""

    name: str
    sha256: Sha256
    size_bytes: int
    area: Area | None = None
    title: str | None = None
    licence: str | None = None
    """That its publication says; without it the one of its manifest holds."""
    notes: tuple[str, ...] = ()
    citation: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One channel of one dataset."""

    country: str
    dataset: str
    channel: str
    version: int
    published_at: str
    sha256: Sha256
    years: tuple[int, ...]
    """Of the artifact; of a collection, those of its first member."""
    size_bytes: int
    """Of the payload; of a collection, the sum over its members."""
    member_count: int
    """0 for a single artifact."""
    members: tuple[ListedMember, ...]
    """Those that were asked for."""
    status: Status = "active"
    revoked: str | None = None
    """Why, when and by whom, if the whole was revoked; of a member `pe-data resolve` says it."""


def place_of(text: str) -> tuple[str, str | None]:
    """Country and dataset that `us`, `us/local_areas` or an address stands for.

    Raises:
        InvalidNameError: none of these.
        InvalidNameError: an address of a member, or pinned: a list is of what a store has now.
    """
    names, at, reference = text.removeprefix(SCHEME).partition("@")
    country, _, dataset = names.partition("/")
    if "/" in dataset or (at and reference != "latest"):
        raise InvalidNameError(
            f"list {text[:120]!r}: expected a country or a dataset such as {DATASET_EXAMPLE}, found more than that. "
            f"`pe-data schema` and `pe-data resolve` take the address of a file"
        )
    return check_country(country), check_dataset(dataset) if dataset else None


def list_store(
    options: Options, country: str | None = None, dataset: str | None = None, *, search: str = "", members: bool = False
) -> Iterator[Listed | Notice]:
    """Channels of the store in order of country and dataset; of a gated one, without a token, no more than the notice.

    Args:
        country: Only this one.
        dataset: Only this one of the country.
        search: Only datasets whose name holds this text, and collections with such a member that may be shown.
        members: Give the members too; with `search`, those that match are always given.

    Raises:
        ListingNotSupportedError: on a plain HTTP mirror.
        OfflineError: offline, and the store needs the network.
    """
    places = Places.serving(country or DEFAULT, options)
    if options.offline and not is_local(places.config.url):
        raise OfflineError(f"{places.config.url}: listing needs the network, which is forbidden (offline)")
    needle = search.lower()
    found = sorted(list_channels(places.main(), country), key=lambda c: (c.country, c.dataset, c.channel))
    for address in found:
        if address.channel == "next" or (dataset is not None and address.dataset != dataset):
            continue
        uri = StoreUri(address.country, address.dataset, None, address.channel, None)
        listed = _listed(uri, places, needle, members)
        named = not needle or needle in address.dataset.lower()
        if named or (isinstance(listed, Listed) and listed.members):
            yield listed


def _listed(uri: StoreUri, places: Places, needle: str, members: bool) -> Listed | Notice:
    located, described = look(uri, places)
    if is_gated(uri.country, described.manifest.access if described else None) and not places.shows_token():
        return notice_behind(located, places)
    body, collection = located.pointer, located.collection
    assert body is not None, "a channel address has a pointer"
    count, shown = 0, tuple[ListedMember, ...]()
    if collection is None and described is not None:
        size = described.manifest.artifact.size_bytes
    else:
        every = collection.members if collection else {}
        size, count = sum(m.size_bytes for m in every.values()), len(every)
        described = describe(located.member(min(every)), places) if every else None
        named = needle and needle not in uri.dataset.lower()
        shown = tuple(
            ListedMember(name, member.artifact_sha256, member.size_bytes, *(getattr(member, one) for one in ABOUT))
            for name, member in sorted(every.items())
            if (needle in name.lower() if named else members)
        )
    revoked = revocation(located, places, cached=places.cache.find(located.sha256) is not None)
    return Listed(
        uri.country,
        uri.dataset,
        body.channel,
        body.version,
        body.published_at,
        body.artifact_sha256,
        described.manifest.time_period if described else (),
        size,
        count,
        shown,
        "revoked" if revoked else "active",
        str(revoked.error(uri)) if revoked else None,
    )
