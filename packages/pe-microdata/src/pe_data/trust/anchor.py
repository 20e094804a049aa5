"""The trust anchor: the root that this machine was given by another way than the store.

An anchor is a file `root.json`, in The Update Framework's format, and beside it, if there is one,
`floor.json`: the smallest versions that are believable. Without the floor a machine that sees a
store for the first time cannot tell last year's state from today's until last year's expires.
`pe-data root export` writes both from a store.

In this order: `PE_DATA_TRUST_ROOT`, `[trust] root` of the configuration, the folder `shipped` in this
package.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pe_data.cache.paths import CachePaths, of_store
from pe_data.config.settings import TRUST_ROOT_VARIABLE, cache_folder, config_path, trust_root
from pe_data.documents.document import Document, Version
from pe_data.errors import CacheError, PeDataError, TrustRootError
from pe_data.files.atomic import write_atomic
from pe_data.names.digests import Sha256, read_kept, sha256_bytes, strict_json
from pe_data.store.base import Store

ROOT_LIMIT = 512_000
"""Largest root that is read, in bytes."""
SHIPPED = Path(__file__).parent / "shipped"
ROOT_NAME = "root.json"
FLOOR_NAME = "floor.json"
FOLLOWED_NAME = "followed"
"""In the memory of a store's root: the anchor that it was followed from, written once all of it was checked."""


class Floor(Document, frozen=True):
    """The smallest versions that are believable.

    Attributes:
        version: Of the trust root and of what hangs on it.
        channels: Of the nominations, by `country/dataset`.
    """

    version: Version
    channels: Mapping[str, Version]


@dataclass(frozen=True, slots=True)
class Anchor:
    """The root to start from."""

    path: Path
    root: bytes
    floor: Floor

    @property
    def sha256(self) -> Sha256:
        """Of the root and its floor."""
        return sha256_bytes(self.root + self.floor.to_bytes())


def root_given() -> bool:
    """Whether somebody gave this machine a root, usable or not."""
    try:
        return trust_root() is not None or (SHIPPED / ROOT_NAME).is_file()
    except PeDataError:  # the configuration says something about a root that cannot be read
        return True


def find_anchor() -> Anchor:
    """The configured anchor. Raises TrustRootError, saying what to do, if there is none."""
    configured = trust_root()
    if configured is not None:
        return read_anchor(configured)
    if (SHIPPED / ROOT_NAME).is_file():
        return read_anchor(SHIPPED)
    raise TrustRootError(
        "trust root: expected a root.json to start from, found none: this package ships without one. To read what is "
        "signed, get the root.json of the people who sign by another way than the store, and name it in "
        f"{TRUST_ROOT_VARIABLE} or as `root` of the table [trust] in {config_path()}; what is not signed (@latest, "
        "@sha256:…) needs none. Only who runs a store of their own makes one (`pe-data root init`)"
    )


def read_anchor(path: Path) -> Anchor:
    """The anchor at `path`, a root.json or the folder that it is in. Raises TrustRootError."""
    file = path / ROOT_NAME if path.is_dir() else path
    beside = file.with_name(FLOOR_NAME)
    try:
        root = file.read_bytes()
        floor = Floor.from_bytes(beside.read_bytes(), str(beside)) if beside.is_file() else Floor(1, {})
    except OSError as error:
        raise TrustRootError(
            f"trust root {file}: cannot be read: {error.strerror or error}. "
            f"Check {TRUST_ROOT_VARIABLE} and the configuration"
        ) from error
    if len(root) > ROOT_LIMIT:
        raise TrustRootError(f"trust root {file}: expected at most {ROOT_LIMIT} bytes, found {len(root)}")
    return Anchor(file, root, floor)


def memory_of(store: Store, metadata: Path | None = None) -> Path:
    """The folder that remembers what was seen of a store's trust root."""
    return of_store(metadata or CachePaths(cache_folder()).trust, store.url)


def note_followed(folder: Path, anchor: Anchor) -> None:
    """Remember in the memory of a root that all of it was followed from `anchor`, now."""
    with suppress(CacheError):  # it is followed again next time
        write_atomic(folder / FOLLOWED_NAME, anchor.sha256.encode(), sync=False)


def kept_roles(store: Store, metadata: Path | None, within: float | None = None) -> frozenset[str] | None:
    """The roles that the root of a store gave to somebody, as far as this machine has seen; loads no library.

    Args:
        metadata: As for `memory_of`.
        within: Seconds since all of the root was followed from today's anchor; None for what was ever seen of it.

    Returns:
        Their names, `revoke-us`; None if it never followed it, or not within that time.
    """
    folder = memory_of(store, metadata)
    followed = folder / FOLLOWED_NAME
    try:
        targets = strict_json(read_kept(folder / "targets.json") or b"", what=str(folder))
        roles = targets["signed"]["delegations"]["roles"]  # type: ignore[index]
        names = frozenset(str(role["name"]) for role in roles)
        if within is None:
            return names
        # The library writes what it has verified as it goes, and nothing where nothing changed: its files do not say
        # whether it came to the end, nor when.
        recent = 0 <= time.time() - followed.stat().st_mtime < within
        return names if recent and read_kept(followed) == find_anchor().sha256.encode() else None
    except (OSError, PeDataError, LookupError, TypeError):
        return None


def why_unchecked() -> str:
    """Why this machine can check no signature; empty if it can try. Imports nothing that does."""
    try:
        find_anchor()
    except PeDataError as error:
        return str(error)
    missing = [name for name in ("tuf", "securesystemslib", "cryptography") if find_spec(name) is None]
    return f"the package {missing[0]} is not there: install the extra 'trust' of pe-microdata" if missing else ""
