"""The nominations of a store, each verified against the trust root."""

from collections.abc import Iterator

from pe_data.errors import ObjectNotFoundError, PeDataError
from pe_data.read.channels import CurrentNomination, list_channels, read_next
from pe_data.store.base import Store
from pe_data.trust.anchor import Floor
from pe_data.trust.nominations import VerifiedPointer, verify
from pe_data.trust.policy import TrustPolicy


def read_verified(
    store: Store,
    country: str,
    dataset: str,
    policy: TrustPolicy,
    *,
    namespace: str | None = None,
) -> tuple[CurrentNomination, VerifiedPointer]:
    """The nomination that stands, as stored and as verified.

    Raises:
        ObjectNotFoundError: nothing was nominated.
        SignatureError, PointerMismatchError: as `pe_data.trust.nominations.verify`.
    """
    try:
        current = read_next(store, country, dataset)
    except ObjectNotFoundError as error:
        raise ObjectNotFoundError(
            f"{store.url}: {country}/{dataset}@next: nothing was nominated. Use @latest, or nominate with "
            "`pe-data promote`"
        ) from error
    return current, verify(current.pointer, policy, country=country, dataset=dataset, namespace=namespace)


def floor_of(store: Store, policy: TrustPolicy) -> Floor:
    """The floor to ship with the root: its version, and that of every nomination that verifies now."""
    channels: dict[str, int] = {}
    for address in list_channels(store):
        if address.channel == "next":
            _, verified = read_verified(store, address.country, address.dataset, policy)
            channels[f"{address.country}/{address.dataset}"] = verified.body.version
    return Floor(policy.version, channels)


def unverified_nominations(store: Store, policy: TrustPolicy) -> Iterator[tuple[str, PeDataError]]:
    """The nominations of the store that nobody will believe, with the reason."""
    for address in list_channels(store):
        if address.channel == "next":
            try:
                read_verified(store, address.country, address.dataset, policy)
            except PeDataError as error:
                yield f"{address.country}/{address.dataset}@next", error
