"""The manifest behind any address, without the payload where there is a store."""

import os

from pe_data.describe.file import Label, describe
from pe_data.documents.collection import Collection
from pe_data.documents.manifest import Manifest
from pe_data.errors import InputError
from pe_data.names.keys import payload_key
from pe_data.names.uri import StoreUri, parse_uri
from pe_data.read.locate import current_manifest, look
from pe_data.read.options import Options
from pe_data.read.places import Places
from pe_data.read.resolver import ensure_with

NOT_BOUND = "not bound: nothing ties it to the bytes; a channel, a collection or #manifest= does"


def is_bound(uri: "str | os.PathLike[str]") -> bool:
    """Whether the manifest behind an address is tied to it; that of a single pinned file is not."""
    parsed = parse_uri(uri)
    return (
        not isinstance(parsed, StoreUri)
        or parsed.sha256 is None
        or parsed.member is not None
        or parsed.manifest is not None
    )


def collection_behind(uri: "str | os.PathLike[str]", options: Options) -> Collection | None:
    """The collection that an address names as a whole; None if it names a file."""
    parsed = parse_uri(uri)
    if not isinstance(parsed, StoreUri) or parsed.member is not None:
        return None
    located, described = look(parsed, Places.of(parsed, options))
    return located.collection if described is None else None


def manifest_for(uri: "str | os.PathLike[str]", options: Options, *, year: int | None = None) -> tuple[Manifest, str]:
    """The manifest, and where the payload is.

    For `pe-data://` only the manifest is fetched; any other file is fetched and described, with
    `year` for one that does not say which it covers.

    Raises:
        InputError: the address names a whole collection.
        PeDataError: as `ensure`.
    """
    parsed = parse_uri(uri)
    if isinstance(parsed, StoreUri):
        places = Places.of(parsed, options)
        located, described = look(parsed, places)
        if described is None:
            members = located.collection.members if located.collection else {}
            example = min(members, default="")
            name, at, reference = str(uri).rpartition("@")
            raise InputError(
                f"{uri}: member: expected one, found a collection of {len(members)}. Name a "
                f"member, such as {name}/{example}{at}{reference}"
            )
        manifest = current_manifest(located, described, places)
        key = payload_key(parsed.country, located.sha256, manifest.artifact.extension)
        return manifest, f"{places.config.url.rstrip('/')}/{key}"
    path = ensure_with(uri, options)
    name = "".join(c if c.isalnum() else "_" for c in parsed.name.lower()) or "file"
    manifest = describe(path, Label("xx", name, access="public"), default_years=(year,) if year else ())
    return manifest, str(path)
