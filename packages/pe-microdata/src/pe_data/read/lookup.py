"""The manifest behind any address, without the payload where there is a store."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pe_data.describe.beside import sidecar_beside
from pe_data.describe.file import Label, describe, dictionary_in
from pe_data.describe.from_sidecar import about_from, manifest_from
from pe_data.documents.collection import NOTHING, About, Collection, licensed
from pe_data.documents.dictionary import Variable
from pe_data.documents.manifest import Manifest
from pe_data.documents.notice import Notice, is_gated
from pe_data.errors import ForbiddenError, InputError, InvalidDocumentError, MissingExtraError
from pe_data.names.digests import sha256_file
from pe_data.names.keys import payload_key
from pe_data.names.uri import HubUri, PathUri, StoreUri, WebUri, parse_uri
from pe_data.read.locate import Located, current_manifest, look
from pe_data.read.locate import describe as describe_stored
from pe_data.read.options import Options
from pe_data.read.payload import bring, note_use
from pe_data.read.places import Places
from pe_data.read.resolver import ensure_with
from pe_data.store.artifacts import StoredManifest

NOT_BOUND = "not bound: nothing ties it to the bytes; a channel, a collection or #manifest= does"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as its publication shows it."""

    manifest: Manifest
    """With the licence in force."""
    place: str
    """Of the payload."""
    about: About = NOTHING
    """What the row of its collection says."""
    withheld: Notice | None = None
    """What may be shown instead, to those who showed no token for a gated file."""
    said: tuple[Variable, ...] = ()
    """What its collection says of variables."""
    bound: bool = True
    """Whether the manifest is tied to the bytes; that of a single file that was pinned without it is not."""

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What is known of each of its columns, by name."""
        return self.manifest.variables(self.said)


def shown(uri: "str | os.PathLike[str]", options: Options, *, year: int | None = None) -> Entry | Collection | Notice:
    """What may be shown of an address: a file, a collection as a whole, or the notice of gated data without a token.

    Raises:
        PeDataError: as `ensure`.
    """
    found = withheld(uri, options) or _behind(uri, options, year)
    return found.withheld or found if isinstance(found, Entry) else found


def withheld(uri: "str | os.PathLike[str]", options: Options) -> Notice | None:
    """What is told of an address of a gated country to those who show no token; None if all of it may be shown."""
    parsed = parse_uri(uri)
    if not isinstance(parsed, StoreUri) or not is_gated(parsed.country):
        return None
    places = Places.of(parsed, options)
    if places.shows_token():
        return None
    try:
        # Of the whole: whether a collection has a certain member, and which are like it, is not told either.
        return notice_behind(look(replace(parsed, member=None), places)[0], places)
    except ForbiddenError:
        return Notice.of(parsed.country, parsed.dataset)


def notice_behind(located: Located, places: Places) -> Notice:
    """What is told of a gated artifact, with the licence of its first member if it is a collection."""
    if located.is_collection and located.collection is not None and located.collection.members:
        located = located.member(min(located.collection.members))
    licence = (
        None if located.is_collection else licensed(describe_stored(located, places).manifest, located.about).licence
    )
    return Notice.of(located.uri.country, located.uri.dataset, licence)


def entry_for(uri: "str | os.PathLike[str]", options: Options, *, year: int | None = None) -> Entry:
    """The manifest, where the payload is, and what is said of it.

    For `pe-data://` only the manifest is fetched; any other file is fetched and described: from its result sidecar, if
    one of these bytes lies beside it, else from itself, with `year` for one that does not say which it covers.

    Raises:
        InputError: the address names a whole collection.
        PeDataError: as `ensure`.
    """
    found = _behind(uri, options, year)
    if isinstance(found, Collection):
        raise no_file(uri, found)
    return found


def opened(
    uri: "str | os.PathLike[str]", options: Options, *, year: int | None = None
) -> tuple[Entry, Callable[[], Path]]:
    """As `entry_for`, and what brings the file itself, verified; of a channel both are of the same version."""
    parsed = parse_uri(uri)
    if not isinstance(parsed, StoreUri):
        path = ensure_with(uri, options)
        return _of_file(parsed, path, year), lambda: path
    places = Places.of(parsed, options)
    located, described = look(parsed, places)
    if described is None:
        raise no_file(uri, _whole(located))

    def brought() -> Path:
        path = bring(located, places)
        note_use(located, places)
        return path

    return stored_entry(located, described, places), brought


def no_file(uri: "str | os.PathLike[str]", collection: Collection) -> InputError:
    """Says that a member has to be named, and how."""
    name, at, reference = str(uri).rpartition("@")
    return InputError(
        f"{uri}: member: expected one, found a collection of {len(collection.members)}. Name a "
        f"member, such as {name}/{min(collection.members, default='')}{at}{reference}"
    )


def _behind(uri: "str | os.PathLike[str]", options: Options, year: int | None) -> Entry | Collection:
    parsed = parse_uri(uri)
    if not isinstance(parsed, StoreUri):
        return _of_file(parsed, ensure_with(uri, options), year)
    places = Places.of(parsed, options)
    located, described = look(parsed, places)
    return _whole(located) if described is None else stored_entry(located, described, places)


def _whole(located: Located) -> Collection:
    assert located.collection is not None, "what has no manifest of its own is a collection"
    return located.collection


def _of_file(uri: HubUri | WebUri | PathUri, path: Path, year: int | None) -> Entry:
    """What a file of no store says of itself, or its sidecar of it."""
    name = "".join(c if c.isalnum() else "_" for c in uri.name.lower()) or "file"
    label = Label("xx", name, access="public")
    sidecar = None
    with suppress(InvalidDocumentError):  # without a sidecar that can be read the file itself is asked
        sidecar = sidecar_beside(path)
    if sidecar is not None and sidecar.output.sha256 == sha256_file(path):
        told: tuple[Variable, ...] = ()
        with suppress(MissingExtraError):  # the sidecar tells the rest without it
            told = dictionary_in(path)
        return Entry(manifest_from(sidecar, label).explained(told), str(path), about_from(sidecar, label))
    return Entry(describe(path, label, default_years=(year,) if year else ()), str(path))


def stored_entry(located: Located, described: StoredManifest, places: Places) -> Entry:
    """What the publication of a located file shows: as `entry_for`, for who has located it and has its manifest."""
    uri = located.uri
    manifest = current_manifest(located, described, places)
    key = payload_key(uri.country, located.sha256, manifest.artifact.extension)
    notice, bound = None, located.bound is not None
    # A manifest that nothing binds decides nothing.
    if is_gated(uri.country, manifest.access if bound else None) and not places.shows_token():
        notice = Notice.of(uri.country, manifest.dataset, manifest.licence)
    said = located.collection.dictionary if located.collection else ()
    return Entry(manifest, f"{places.config.url.rstrip('/')}/{key}", located.about, notice, said, bound)
