"""The two sides of a comparison: what an address, a version of a channel, a folder or a file holds, before it is read.

A side lists its files with their digests. What is in a file is looked up for those that differ, and its bytes are
fetched only if somebody wants to read them.
"""

import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from pe_data.describe.beside import files_in, is_split, sidecar_beside
from pe_data.describe.file import Label, describe
from pe_data.describe.from_sidecar import Sidecar, manifest_from
from pe_data.documents.collection import About, Member
from pe_data.documents.manifest import Manifest
from pe_data.documents.notice import WithheldError, notice_of
from pe_data.documents.pointer import PointerBody
from pe_data.errors import CacheWarning, InputError
from pe_data.names.digests import Sha256
from pe_data.names.uri import SCHEME, StoreUri, in_full, parse_uri
from pe_data.read import channels
from pe_data.read.locate import describe as describe_located
from pe_data.read.locate import look, revocation
from pe_data.read.lookup import NOT_BOUND, withheld
from pe_data.read.measure import Weighted
from pe_data.read.options import Options
from pe_data.read.payload import bring
from pe_data.read.places import Places
from pe_data.read.resolver import ensure_with
from pe_data.read.revocations import Revocations
from pe_data.read.standing import read_latest

_VERSION = re.compile(r"(?P<address>.+)@v(?P<number>[1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of one side."""

    name: str
    """Country and dataset, with the member; or the path."""
    address: str | None = None
    """Pinned: what it was compared as; None for a folder or a file."""
    version: int | None = None
    """Of the channel; None for a pin."""
    published_at: str | None = None
    run_id: str | None = None
    reason: str | None = None
    by: str | None = None
    revoked: str | None = None
    """Why, when and by whom, if it was."""
    left_out: int = 0
    """Files of a folder that have no sidecar, while others have: inputs of a run, not results."""
    elsewhere: int = 0
    """Files of runs whose results lie in a folder below this one."""
    files: int = 0
    size_bytes: int = 0

    @classmethod
    def at(cls, name: str, body: PointerBody | None, **more: str | None) -> "Told":
        """With what a pointer says, if there is one, and `more` of the same names as here."""
        said = {} if body is None else {one: getattr(body, one) for one in ("version", "published_at", "reason", "by")}
        return cls(name, **said, **more)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Listed:
    """One file of a side."""

    name: str
    sha256: Sha256
    size_bytes: int
    about: About | None = None
    """What is said of it as a member of a collection; None where nobody has said anything yet."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is in one file."""

    manifest: Manifest
    weighted: Weighted | None
    """If its sidecar says it."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one side holds."""

    told: Told
    whole: bool
    """Whether it has files by name; False for a single file."""
    files: Mapping[str, Listed]
    facts: Callable[[str], Facts]
    """Of a file by name; in any thread."""
    path: Callable[[str], Path] | None
    """Brings the bytes of a file; in any thread. None where only their digest is known."""
    labelled: bool
    """Whether its publisher has said licence and access; of a file on this machine nobody has yet."""

    def counted(self) -> "Side":
        """The same, with the number and the size of its files."""
        size = sum(one.size_bytes for one in self.files.values())
        return replace(self, told=replace(self.told, files=len(self.files), size_bytes=size))


def side_of(
    what: "str | os.PathLike[str]", options: Options, *, members: Sequence[str] | None = None, year: int | None = None
) -> Side:
    """What an address, a version or a path holds.

    A text that names something on this machine is a path. `COUNTRY/DATASET` without a scheme is an address, as for
    `history` and `publish`. `@v3` is version 3 of `@latest`, by the history of the store.

    Args:
        members: Only those whose name fits one of these patterns; of a single file none may be given.
        year: Which year a file covers that does not say.

    Raises:
        InputError: no such version, or no member fits.
        WithheldError: it is gated, and no token was shown.
        PeDataError: as `resolve`; as `describe` for a file.
    """
    if isinstance(what, os.PathLike) or os.path.exists(os.path.expanduser(what)):  # noqa: PTH110, PTH111 - takes any text
        return _on_disk(Path(what).expanduser(), members, year)
    text = in_full(what)
    version = _VERSION.fullmatch(text)
    if version is not None and text.startswith(SCHEME):
        text, number = f"{version['address']}@latest", int(version["number"])
    else:
        number = None
    parsed = parse_uri(text)
    if isinstance(parsed, StoreUri):
        notice = withheld(text, options)
        if notice is not None:
            raise WithheldError(notice)
        return _in_store(parsed, options, members, number)
    return _single(ensure_with(text, options), str(parsed), members, year)


# --- a store ----------------------------------------------------------------------------------------------------------


def _in_store(uri: StoreUri, options: Options, members: Sequence[str] | None, number: int | None) -> Side:
    places = Places.of(uri, options)
    shown = places.shows_token()

    def facts(manifest: Manifest) -> Facts:
        notice = None if shown else notice_of(manifest)
        if notice is not None:
            raise WithheldError(notice)
        return Facts(manifest, None)

    earlier = None
    if number is not None:
        earlier = version_of(uri, places, number)
        uri = replace(uri, channel=None, sha256=earlier.artifact_sha256)
    located, described = look(uri, places, earlier)
    body, asked = located.pointer, Revocations(uri, options, places)
    revoked = revocation(located, places, cached=places.cache.find(located.sha256) is not None, asked=asked)
    told = Told.at(
        "/".join(part for part in (uri.country, uri.dataset, uri.member) if part),
        body,
        address=str(replace(uri, channel=None, sha256=located.root)),
        run_id=located.collection.run_id if located.collection else None,
        revoked=str(revoked.error(uri)) if revoked else None,
    )
    if described is not None:
        refuse_patterns(members, str(uri))
        artifact = described.manifest.artifact
        if located.bound is not None:
            single = facts(described.manifest)
        else:  # then what it says of access decides nothing either
            warnings.warn(f"{uri}: manifest {NOT_BOUND}", CacheWarning, stacklevel=2)
            single = Facts(described.manifest, None)
        return Side(
            told,
            whole=False,
            files={"": Listed("", artifact.sha256, artifact.size_bytes, located.about)},
            facts=lambda _: single,
            path=lambda _: bring(located, places, asked),
            labelled=True,
        ).counted()
    every = located.collection.members if located.collection else {}
    return Side(
        told,
        whole=True,
        files=rows_of(every, members),
        facts=lambda name: facts(describe_located(located.member(name), places).manifest),
        path=lambda name: bring(located.member(name), places, asked),
        labelled=True,
    ).counted()


def version_of(uri: StoreUri, places: Places, number: int) -> PointerBody:
    """The pointer of `latest` that had this number, along the chain of the one that stands now.

    Raises:
        InputError: there is none.
        PeDataError: as `read_latest` and `history`.
    """
    newest, _ = read_latest(uri, places, places.options)  # its signatures and its age are checked here
    if number <= newest.version:
        for pointer in channels.history(places.main(), uri.country, uri.dataset):
            if pointer.body.version == number:
                return pointer.body
    raise InputError(
        f"{uri.country}/{uri.dataset}@v{number}: version: expected 1 to {newest.version}, found {number}. "
        f"`pe-data history {uri.country}/{uri.dataset}` lists them"
    )


def rows_of(every: Mapping[str, Member], members: Sequence[str] | None = None) -> dict[str, Listed]:
    """The members of a collection whose names fit."""
    return {
        name: Listed(name, every[name].artifact_sha256, every[name].size_bytes, every[name].about)
        for name in fitting(every, members)
    }


# --- this machine -----------------------------------------------------------------------------------------------------


def _on_disk(path: Path, members: Sequence[str] | None, year: int | None) -> Side:
    if not path.is_dir():
        return _single(path, str(path), members, year)
    every = files_in(path)
    below = {one for name in every for one in PurePath(name).parents if one.name}
    runs = {one for one in below if (path / one / _RUN).is_file()}
    found = {name: file for name, file in every.items() if runs.isdisjoint(PurePath(name).parents)} or every
    names = fitting(found, members)
    read = {name: _from_sidecar(found[name], one) for name in names if (one := sidecar_beside(found[name]))}
    if not read:
        read = {name: _described(found[name], year) for name in names}
    else:
        read |= {name: _described(found[name], year) for name in names if is_split(found[name])}
    return _of_files(
        Told(str(path), left_out=len(names) - len(read), elsewhere=len(every) - len(found)), True, read, found
    )


def _single(path: Path, name: str, members: Sequence[str] | None, year: int | None) -> Side:
    refuse_patterns(members, name)
    sidecar = sidecar_beside(path)
    facts = _from_sidecar(path, sidecar) if sidecar else _described(path, year)
    return _of_files(Told(name), False, {"": facts}, {"": path})


def _of_files(told: Told, whole: bool, read: Mapping[str, Facts], paths: Mapping[str, Path]) -> Side:
    files = {
        name: Listed(name, facts.manifest.artifact.sha256, facts.manifest.artifact.size_bytes)
        for name, facts in read.items()
    }
    return Side(told, whole, files, read.__getitem__, paths.__getitem__, labelled=False).counted()


def _from_sidecar(path: Path, sidecar: Sidecar) -> Facts:
    manifest = manifest_from(sidecar, _LABEL)
    size = path.stat().st_size
    if size != manifest.artifact.size_bytes:
        raise InputError(
            f"{path}: expected {manifest.artifact.size_bytes} bytes as in its sidecar, found {size}. The file changed "
            "after its sidecar was written; build it again"
        )
    weights = sidecar.weights
    if weights is None:
        return Facts(manifest, None)
    return Facts(manifest, Weighted(weights.by_entity(), weights.effective_sample_size))


def _described(path: Path, year: int | None) -> Facts:
    return Facts(describe(path, _LABEL, default_years=(year,) if year else ()), None)


_LABEL = Label("xx", "file", access="public")
"""Of a file that nobody has published yet; nothing of it is compared."""
_RUN = Path("prepared", "config.json")
"""What a folder of the results of a run has."""


# --- names ------------------------------------------------------------------------------------------------------------


def fitting(names: Iterable[str], members: Sequence[str] | None) -> list[str]:
    """Those of `names` that fit one of the patterns, in order; all without patterns."""
    return [name for name in sorted(names) if members is None or any(fnmatchcase(name, one) for one in members)]


def refuse_patterns(members: Sequence[str] | None, what: str) -> None:
    """Raise InputError if members of a single file are asked for."""
    if members is not None:
        raise InputError(f"{what}: members: expected a collection or a folder, found a single file")
