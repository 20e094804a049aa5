"""Read a channel, and refuse versions older than the last one that this machine saw."""

import warnings
from contextlib import suppress
from pathlib import Path

from pe_data.config.settings import recheck_seconds
from pe_data.documents.pointer import PointerBody
from pe_data.errors import (
    CacheWarning,
    ObjectNotFoundError,
    OfflineError,
    PeDataError,
    SignatureError,
    StoreUnavailableError,
)
from pe_data.names.uri import StoreUri
from pe_data.read import channels
from pe_data.read.options import Options
from pe_data.read.places import Places
from pe_data.read.seen import SeenChannels
from pe_data.store.base import Store
from pe_data.suggestions import nearest
from pe_data.trust.anchor import kept_roles, root_given
from pe_data.trust.nominations import VerifiedPointer
from pe_data.trust.opening import open_policy
from pe_data.trust.policy import Role


def read_latest(uri: StoreUri, places: Places, options: Options) -> tuple[PointerBody, bool]:
    """What `@latest` points at, and whether that is stale.

    With `allow_stale` the pointer that was used last stands in for a store that does not answer.

    Raises:
        ObjectNotFoundError: nothing was ever published under that name.
        StoreUnavailableError, OfflineError: the store cannot be asked, and nothing stands in.
        RollbackError: this machine has seen a newer one.
        PointerMismatchError: the pointer was made for another place.
    """
    config, seen = places.config, SeenChannels(options.cache, places.config.url)
    try:
        current = channels.read(places.main(), uri.country, uri.dataset, namespace=config.namespace)
    except (StoreUnavailableError, OfflineError) as error:
        last = seen.last(uri.country, uri.dataset, "latest", "used") or seen.last(uri.country, uri.dataset, "latest")
        if not options.allow_stale or last is None:
            raise
        warnings.warn(
            f"{uri}: STALE: the channel could not be read ({error}). Using version "
            f"{last.body.version} of {last.body.published_at}, which this machine used last",
            CacheWarning,
            stacklevel=3,
        )
        return last.body, True
    except ObjectNotFoundError as error:
        raise ObjectNotFoundError(
            f"{uri}: expected a channel in {config.url}, found none. Nothing was "
            f"published under that name{_meant(uri, places)}; `pe-data list` shows what was"
        ) from error
    check_signed(places.main(), current, metadata=options.cache.paths.trust, recheck=options.recheck)
    seen.accept(current.pointer, current.raw)
    return current.body, False


def _meant(uri: StoreUri, places: Places) -> str:
    """The published datasets that are most like the one of an address."""
    with suppress(PeDataError, OSError):  # not every store can be listed
        names = sorted({one.dataset for one in channels.list_channels(places.main(), uri.country)})
        found = nearest(uri.dataset, names)
        return f". Did you mean {' or '.join(f'{uri.country}/{name}' for name in found)}?" if found else ""
    return ""


def read_signed(store: Store, country: str, dataset: str, channel: str = "latest") -> channels.CurrentPointer:
    """What `latest` points at in one store, for those who copy or nominate it; refused as `check_signed` does."""
    current = channels.read(store, country, dataset, channel)
    check_signed(store, current)
    return current


def check_signed(
    store: Store, current: channels.CurrentPointer, *, metadata: Path | None = None, recheck: float | None = None
) -> None:
    """Refuse a pointer of `latest` that is not signed, where the trust root gives `latest-<country>` to somebody.

    The root is followed at most once per interval while nothing is to be checked. A machine that was given none
    believes the store. So does, with a warning, one that cannot follow its root, for whatever reason, and has never
    seen the role.

    Args:
        metadata: Folder that remembers trust roots; by default in the cache.
        recheck: Seconds of the interval; by default those of the environment.

    Raises:
        SignatureError: one of its kinds.
        PeDataError: the role was seen once, and the root cannot be followed any more.
    """
    if not root_given():
        return
    document, role = current.pointer.document, Role("latest", current.body.country)
    what = f"{store.url}: {current.body.dataset}@latest"
    recent = kept_roles(store, metadata, recheck_seconds() if recheck is None else recheck)
    if document is None and recent is not None and role.name not in recent:
        return
    try:
        policy = open_policy(store, metadata=metadata)
    except (PeDataError, OSError) as error:
        if role.name in (kept_roles(store, metadata) or ()):
            raise
        doubt = "nobody can tell whether it has to be signed" if document is None else "its signatures are not checked"
        warnings.warn(f"{what}: the trust root could not be followed, so {doubt}: {error}", CacheWarning, stacklevel=4)
        return
    if role.name not in policy.authorities:
        return
    if document is None:
        raise SignatureError(
            f"{what}: expected a signed pointer, as trust root version {policy.version} has role {role.name}, found "
            "a bare one. Somebody else wrote it, or the publisher left `--key` out. A pin needs no channel"
        )
    policy.check(document, role, what=what)


def read_nomination(uri: StoreUri, places: Places, options: Options) -> VerifiedPointer:
    """The verified pointer of `@next`.

    Raises:
        SignatureError, TrustRootError: it cannot be trusted.
        RollbackError: this machine has seen a newer one.
    """
    from pe_data.read.nominations import read_verified

    store, config = places.main(), places.config
    policy = open_policy(store, metadata=options.cache.paths.trust)
    current, verified = read_verified(store, uri.country, uri.dataset, policy, namespace=config.namespace)
    SeenChannels(options.cache, config.url).accept(verified, current.raw)
    return verified
