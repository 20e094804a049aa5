"""From an address to verified bytes on this machine.

`ensure` is the one call that most users need. A pinned artifact that is in the cache is found
without reading any configuration, store or network. Everything that arrives is checked on the way:
a pointer against its place, a manifest or collection against the digest that the pointer or the
collection binds, a payload against its sha256.
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pe_data.cache.known_revocations import Known
from pe_data.errors import InvalidNameError, PeDataError
from pe_data.names.digests import Sha256, check_digest, parse_sha256, sha256_file
from pe_data.names.uri import HubUri, PathUri, StoreUri, WebUri, meant, parse_store_uri, parse_uri
from pe_data.read.options import Options

if TYPE_CHECKING:
    from pe_data.cache.fetch import Progress
    from pe_data.read.locate import Target


def ensure(
    uri: "str | os.PathLike[str]",
    *,
    sha256: str | None = None,
    cache: Path | str | None = None,
    store: Path | str | None = None,
    offline: bool | None = None,
    allow_stale: bool = False,
    verify: bool = False,
    progress: "Progress | None" = None,
    allow_revoked: bool = False,
) -> Path:
    """The path of a file with the bytes that `uri` names, verified; never anything else.

    Args:
        uri: `pe-data://us/name@latest`, `pe-data://us/set/member@sha256:…`, `hf://…`, `https://…`
            or a plain path, as text or as a path object (see `pe_data.names.uri`).
        sha256: Digest that the bytes must have, for addresses that do not say one.
        cache: Cache folder; default `PE_DATA_CACHE`, else the user's cache folder.
        store: Address of the store; default `PE_DATA_STORE`, else the configuration.
        offline: Forbid the network; default `PE_DATA_OFFLINE`.
        allow_stale: With `@latest` and no store in reach, use what was seen last; warns.
        verify: Hash a cached file again instead of trusting its size and time.
        progress: Called with bytes so far and size.
        allow_revoked: Return a cached artifact even if it was revoked, with a warning.

    Raises:
        RevokedError: the artifact was revoked; has reason and date.
        PeDataError: one of its kinds (address, store, digest, offline, …); the message says what
            was expected, what was found, and what to do.
    """
    options = Options.of(
        cache=cache,
        store=store,
        offline=offline,
        allow_stale=allow_stale,
        verify=verify,
        progress=progress,
        allow_revoked=allow_revoked,
    )
    return ensure_with(uri, options, sha256=sha256)


def ensure_with(uri: "str | os.PathLike[str]", options: Options, *, sha256: str | None = None) -> Path:
    """`ensure` with ready-made options."""
    parsed = with_sha256(parse_uri(uri), uri, sha256)
    if isinstance(parsed, PathUri):
        return _plain(parsed)
    if isinstance(parsed, HubUri):
        from pe_data.read.hub import ensure_hub

        return ensure_hub(parsed, options)
    if isinstance(parsed, WebUri):
        from pe_data.read.web import ensure_web

        return ensure_web(parsed, options)
    path = _cached_pin(parsed, options)
    if path is not None:
        return path
    from pe_data.read.payload import ensure_store

    return ensure_store(parsed, options)


def resolve(
    uri: str,
    *,
    cache: Path | str | None = None,
    store: Path | str | None = None,
    offline: bool | None = None,
    allow_stale: bool = False,
) -> "Target":
    """What `uri` stands for now (digests, size, version), without its payload."""
    from pe_data.read.locate import target
    from pe_data.read.places import Places

    parsed = parse_store_uri(uri)
    return target(
        parsed, Places.of(parsed, Options.of(cache=cache, store=store, offline=offline, allow_stale=allow_stale))
    )


def with_sha256(
    parsed: StoreUri | HubUri | WebUri | PathUri, uri: "str | os.PathLike[str]", sha256: str | None
) -> StoreUri | HubUri | WebUri | PathUri:
    """The address with the digest that the caller knows. Raises if the two disagree."""
    if sha256 is None:
        return parsed
    digest = parse_sha256(sha256)
    if isinstance(parsed, StoreUri):
        raise InvalidNameError(f"address {str(uri)!r}: reference: write @sha256:{digest} in the address")
    if parsed.sha256 not in (None, digest):
        raise InvalidNameError(
            f"address {str(uri)!r}: sha256: expected {digest} as in the argument, found {parsed.sha256}"
        )
    return replace(parsed, sha256=digest)


def _cached_pin(uri: StoreUri, options: Options) -> Path | None:
    """The file for a pinned address, if all that it takes is in the cache; no locks.

    The network is used only to ask now and then whether it was revoked (see `pe_data.read.revocations`).
    """
    if uri.sha256 is None:
        return None
    cache = options.cache.for_country(uri.country)
    if uri.member is None:
        return _unless_revoked(uri, (uri.sha256,), cache.find(uri.sha256, verify=options.verify), options)
    pinned = cache.lookup(uri.sha256, "collection.json", verify=options.verify)
    if pinned is None:
        return None
    # Only what is used here is read: a whole collection costs more than the rest of a hit.
    try:
        document = json.loads(pinned.read_bytes())
        if (document["country"], document["dataset"]) != (uri.country, uri.dataset):
            return None
        sha256 = parse_sha256(document["members"][uri.member]["artifact_sha256"])
    except (ValueError, KeyError, TypeError, RecursionError, InvalidNameError):
        return None  # the long way says what is wrong
    return _unless_revoked(uri, (uri.sha256, sha256), cache.find(sha256, verify=options.verify), options)


def _unless_revoked(uri: StoreUri, digests: tuple[Sha256, ...], path: Path | None, options: Options) -> Path | None:
    """`path`, if none of the artifacts that lead to it was revoked. Raises RevokedError."""
    known = Known(options.cache)
    if path is not None and known.is_open(uri.country, digests, options.recheck, options.offline):
        from pe_data.read.revocations import Revocations
        from pe_data.read.revoked import obey

        revoked = Revocations(uri, options).find(digests, cached=True)
        if revoked is not None:
            obey(revoked, uri, options, cached=True)
    return path


def check_file(path: Path, expected: Sha256, what: str) -> Path:
    """`path` if its bytes have that digest. Raises DigestMismatchError."""
    check_digest(sha256_file(path), expected, what=what, advice="The file is not the one that was meant.")
    return path


def _plain(uri: PathUri) -> Path:
    path = uri.path.expanduser()
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        hint = meant(str(path)) or " Addresses of stores begin with pe-data://"
        raise PeDataError(f"{path}: expected a file, found {found}.{hint}")
    return check_file(path, uri.sha256, str(path)) if uri.sha256 else path
