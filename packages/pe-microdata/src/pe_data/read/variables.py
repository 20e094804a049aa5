"""What variables mean: from a collection, a manifest, the file itself or a `dictionary.json`."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pe_data.documents.collection import Collection
from pe_data.documents.dictionary import DICTIONARY_LIMIT, Dictionary, Variable
from pe_data.documents.notice import Notice
from pe_data.errors import InputError
from pe_data.names.digests import read_named
from pe_data.names.uri import SCHEME, PathUri, StoreUri, parse_uri
from pe_data.read.listing import list_store
from pe_data.read.lookup import Entry, entry_for, shown
from pe_data.read.options import Options
from pe_data.read.resolver import ensure_with

DICTIONARY_FILE = "dictionary.json"
"""Of a run, or beside files that are published together."""


class NothingSaidError(InputError):
    """A collection says nothing of its variables."""


def read_dictionary(path: Path) -> Dictionary:
    """A dictionary document.

    Raises:
        InputError: it cannot be read, or is too large.
        InvalidDocumentError: it is none.
    """
    return Dictionary.from_bytes(read_named(path, most=DICTIONARY_LIMIT), str(path))


def said_by(path: Path) -> tuple[Variable, ...] | None:
    """What a dictionary document says; None if there is no such file. Raises as `read_dictionary`."""
    return read_dictionary(path).variables if path.is_file() else None


def variables_in_store(options: Options, search: str) -> Iterator[tuple[str, tuple[Variable, ...] | Notice]]:
    """Name and variables of each dataset of the store that has such variables, or its notice."""
    for one in list_store(options):
        if isinstance(one, Notice):
            yield f"{one.country}/{one.dataset}", one
        elif one.status == "active":
            name = f"{one.country}/{one.dataset}"
            with suppress(NothingSaidError):
                if found := variables_of(f"{SCHEME}{name}@{one.channel}", options, search=search):
                    yield name, found


def variables_of(
    uri: "str | os.PathLike[str]", options: Options, *, year: int | None = None, search: str = ""
) -> tuple[Variable, ...] | Notice:
    """What is known of the variables behind an address, by name; of a gated one, without a token, its notice.

    Of a file: each of its columns, with no more than name, entity and period where nobody said anything. Of a whole
    collection: what its dictionary says.

    Args:
        search: Only variables that have each of these words.

    Raises:
        NothingSaidError: a collection that says nothing of its variables.
        PeDataError: as `entry_for`.
    """
    found = _variables_of(uri, options, year)
    return found if isinstance(found, Notice) else tuple(one for one in found if one.holds(search))


def _variables_of(uri: "str | os.PathLike[str]", options: Options, year: int | None) -> tuple[Variable, ...] | Notice:
    parsed = parse_uri(uri)
    if isinstance(parsed, PathUri) and parsed.path.suffix == ".json":
        return read_dictionary(ensure_with(uri, options)).variables
    found = shown(uri, options, year=year)
    if not isinstance(found, Collection):
        return found.variables if isinstance(found, Entry) else found
    member = min(found.members, default="")
    if found.dictionary:
        assert isinstance(parsed, StoreUri)
        entry = entry_for(str(replace(parsed, member=member)), options)
        return entry.withheld or found.dictionary
    what = f"{found.country}/{found.dataset}"
    raise NothingSaidError(
        f"{uri}: dictionary: expected a collection that says what its variables mean, found nothing in {what} (run "
        f"{found.run_id}). Name a member, such as pe-data://{what}/{member}@latest, to see its columns"
    )
