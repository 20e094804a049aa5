"""What a store has, from Python, with the words of the command line: `list`, `schema`, `variables`, `history`."""

import os
from itertools import islice
from pathlib import Path

from pe_data.documents.collection import Collection
from pe_data.documents.dictionary import Variable
from pe_data.documents.manifest import Manifest
from pe_data.documents.notice import Notice
from pe_data.names.uri import SCHEME, split_dataset
from pe_data.read.history import Version, versions
from pe_data.read.listing import Listed, list_store, place_of
from pe_data.read.lookup import Entry, shown
from pe_data.read.options import Options
from pe_data.read.places import Places
from pe_data.read.variables import variables_of


def list(
    what: str | None = None,
    *,
    search: str = "",
    members: bool = False,
    cache: Path | str | None = None,
    store: Path | str | None = None,
    offline: bool | None = None,
) -> tuple[Listed | Notice, ...]:
    """Datasets of a store with years, sizes and members; of a gated one, without a token, no more than the notice.

    Args:
        what: Only this country (`us`) or dataset (`us/local_areas`, or its address); a dataset is given with its
            members.
        search: Only datasets and members whose name holds this text.
        members: Give the members of every collection.
        cache, store, offline: As for `ensure`.

    Raises:
        InvalidNameError: `what` is neither.
        ListingNotSupportedError: on a plain HTTP mirror.
        OfflineError: offline, and the store needs the network.
    """
    options = Options.of(cache=cache, store=store, offline=offline)
    country, dataset = place_of(what) if what else (None, None)
    return tuple(list_store(options, country, dataset, search=search, members=members or dataset is not None))


def schema(
    uri: "str | os.PathLike[str]",
    *,
    year: int | None = None,
    cache: Path | str | None = None,
    store: Path | str | None = None,
    offline: bool | None = None,
    allow_stale: bool = False,
) -> Manifest | Collection | Notice:
    """Entities, columns and provenance of a file, from its manifest alone (about 3 kB); the members of a collection.

    Of gated data, without a token, no more than the notice: name, licence and how to apply.

    Args:
        uri: As for `ensure`, or the address of a collection.
        year: For a local file that does not say its year.
        cache, store, offline, allow_stale: As for `ensure`.

    Raises:
        PeDataError: as `ensure`.
    """
    found = shown(uri, Options.of(cache=cache, store=store, offline=offline, allow_stale=allow_stale), year=year)
    return found.manifest if isinstance(found, Entry) else found


def variables(
    uri: "str | os.PathLike[str]",
    *,
    search: str = "",
    year: int | None = None,
    cache: Path | str | None = None,
    store: Path | str | None = None,
    offline: bool | None = None,
    allow_stale: bool = False,
) -> tuple[Variable, ...] | Notice:
    """What the variables of a file or a collection mean: label, unit, entity, values, by name; fetches no payload.

    Of gated data, without a token, no more than the notice: name, licence and how to apply.

    Args:
        uri: As for `ensure`, or the address of a collection, or a `dictionary.json` on this machine.
        search: Only variables that have each of these words in name, label, description, unit or entity.
        year: For a local file that does not say its year.
        cache, store, offline, allow_stale: As for `ensure`.

    Raises:
        InputError: a collection that says nothing of its variables.
        PeDataError: as `ensure`.
    """
    return variables_of(
        uri, Options.of(cache=cache, store=store, offline=offline, allow_stale=allow_stale), year=year, search=search
    )


def history(
    dataset: str,
    *,
    limit: int | None = None,
    cache: Path | str | None = None,
    store: Path | str | None = None,
    offline: bool | None = None,
) -> tuple[Version, ...]:
    """The versions of `@latest`, newest first: who moved it, why, which run, how many members, how large.

    Args:
        dataset: `us/local_areas`, or its address.
        limit: Only so many, the newest.
        cache, store, offline: As for `ensure`.

    Raises:
        InvalidNameError: no dataset.
        ObjectNotFoundError: nothing was ever published under that name.
        InvalidDocumentError: the chain of versions is broken.
        OfflineError: offline, and the store needs the network.
    """
    country, name = split_dataset(dataset)
    options = Options.of(cache=cache, store=store, offline=offline)
    places = Places.serving(country, options, what=f"{SCHEME}{country}/{name}@latest")
    return tuple(islice(versions(places.main(), country, name), limit))
