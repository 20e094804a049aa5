"""The last step: the bytes of an artifact in the cache, verified.

The payload of a pin of a single file is searched for: each place is asked for a payload with that digest under either
extension, then for a collection. The digest decides. What a place says that turns out wrong costs that place its turn
and nobody else. The manifest of a payload that arrived is kept beside it as one that nothing binds.
"""

from contextlib import suppress
from pathlib import Path

from pe_data.cache.fetch import Fetched, NobodyError, Wanted, fetch
from pe_data.errors import (
    FetchError,
    GatewayError,
    NoRoomError,
    ObjectNotFoundError,
    PeDataError,
    RevokedError,
)
from pe_data.names.keys import EXTENSIONS, payload_key
from pe_data.names.uri import StoreUri
from pe_data.read.locate import Located, describe, locate, revocation, with_collection
from pe_data.read.options import Options
from pe_data.read.places import Places
from pe_data.read.revocations import Revocations
from pe_data.read.revoked import obey
from pe_data.read.seen import SeenChannels
from pe_data.store.artifacts import read_manifest


def ensure_store(uri: StoreUri, options: Options) -> Path:
    """The verified payload, or collection document, that a `pe-data://` address leads to."""
    places = Places.of(uri, options)
    located = locate(uri, places)
    path = bring(located, places)
    note_use(located, places)
    return path


def note_use(located: Located, places: Places) -> None:
    """Remember that what a channel leads to is here: it stands in when the store is out of reach."""
    if located.pointer is not None and not located.stale:
        SeenChannels(places.cache, places.config.url).use(located.pointer)


def bring(located: Located, places: Places, asked: Revocations | None = None) -> Path:
    """The file in the cache, downloaded if it has to be. Arguments and errors as for `complete`."""
    return complete(located, places, places.cache.find(located.sha256, verify=places.options.verify), asked)


def complete(located: Located, places: Places, cached: Path | None, asked: Revocations | None = None) -> Path:
    """The file in the cache, downloaded if it is not there.

    Args:
        cached: The file, found right a moment ago; None to download it.
        asked: As for `revocation`.

    Raises:
        RevokedError: it was revoked.
        ObjectNotFoundError, FetchError, GatewayError: no place has it right.
        CacheError: the cache cannot be written.
    """
    uri, options = located.uri, places.options
    revoked = revocation(located, places, cached=cached is not None, asked=asked)
    if revoked is not None:
        obey(revoked, uri, options, cached=cached is not None)
    if cached is not None:
        return cached
    try:
        return _download(located, places)
    except (ObjectNotFoundError, FetchError):  # perhaps because it was revoked since the list was read
        revoked = revocation(located, places, cached=False, now=True)
        if revoked is not None:
            raise revoked.error(uri) from None
        raise


def _download(located: Located, places: Places) -> Path:
    uri, options = located.uri, places.options
    if located.is_collection:
        raise FetchError(f"{uri}: the collection vanished from the cache; try again")
    if located.bound is None:
        return _search(located, places)
    manifest = describe(located, places).manifest
    if manifest.status == "revoked":
        raise RevokedError(
            f"{uri}: expected an active artifact, found status 'revoked' in its manifest. "
            "Its publisher withdrew it; use a newer version"
        )
    artifact = manifest.artifact
    key = payload_key(uri.country, artifact.sha256, artifact.extension)
    fetched = fetch(
        places.cache,
        Wanted(artifact.sha256, artifact.extension, artifact.size_bytes, str(uri)),
        [store.source(key) for store in places.all()],
        options.tuning(),
    )
    places.warn(uri, fetched.skipped)
    return fetched.path


def _search(located: Located, places: Places) -> Path:
    """Whatever has the pinned digest, from the first place that delivers it."""
    uri, sha256 = located.uri, located.sha256
    stores = places.all()
    keys = [payload_key(uri.country, sha256, extension) for extension in EXTENSIONS]
    try:
        fetched = fetch(
            places.cache,
            Wanted(sha256, None, None, str(uri)),
            [store.source(key) for store in stores for key in keys],
            places.options.tuning(),
        )
    except NobodyError as error:
        return _pinned_collection(located, places, error)
    places.warn(uri, [one for one in fetched.skipped if not isinstance(one.error, ObjectNotFoundError)])
    _keep_manifest(located, places, fetched)
    return fetched.path


def _pinned_collection(located: Located, places: Places, failed: NobodyError) -> Path:
    """The collection with the pinned digest. Where there is none either, what went wrong with the payload counts."""
    errors = [one.error for one in failed.skipped if not isinstance(one.error, ObjectNotFoundError)]
    try:
        with_collection(located, places)
    except ObjectNotFoundError:
        if not errors:
            where = ", ".join(dict.fromkeys(one.source for one in failed.skipped))
            raise ObjectNotFoundError(
                f"{located.uri}: expected a payload or a collection with that digest, found none in {where}"
            ) from None
    except (FetchError, GatewayError):
        if not errors:
            raise
    else:
        found = places.cache.lookup(located.sha256, "collection.json")
        if found is not None:
            return found
    for error in errors:
        if isinstance(error, GatewayError) or (isinstance(error, NoRoomError) and len(errors) == 1):
            raise error  # it says what to do, which a list of places would bury
    raise failed


def _keep_manifest(located: Located, places: Places, fetched: Fetched) -> None:
    """Keep what the place that delivered says of the payload, as long as it does not contradict it."""
    uri, sha256 = located.uri, located.sha256
    for store in places.all():
        if store.url == fetched.source:
            with suppress(PeDataError):
                found = read_manifest(store, uri.country, sha256)
                artifact = found.manifest.artifact
                if (artifact.size_bytes, artifact.extension) == (fetched.path.stat().st_size, fetched.path.suffix[1:]):
                    places.cache.write_document(sha256, "unbound.json", found.plain)
