"""Walk from the anchor to the trust policy of today, by The Update Framework's client workflow.

The workflow (`tuf.ngclient.Updater`) does the walking: each root signed by a threshold of the keys
before it and of its own, versions that never fall, dates that are not past, timestamp → snapshot →
targets without mixing. This module adds what the library lacks: one process at a time works in a
folder, metadata that two readers could read differently is refused, no role has a public key twice,
and nothing older than the floor that was shipped with the anchor is accepted.

This module imports `tuf`; others import it inside the function that needs it.
"""

import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from securesystemslib.signer import Key
from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    RepositoryError,
)
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from pe_data.errors import (
    CacheError,
    ExpiredError,
    InvalidDocumentError,
    ObjectNotFoundError,
    PeDataError,
    RollbackError,
    StorePermissionError,
    TrustRootError,
)
from pe_data.files.atomic import PLAIN, local_errors, permitted
from pe_data.files.locks import exclusive
from pe_data.files.private import user_number
from pe_data.names.digests import strict_json
from pe_data.names.keys import TRUST_PREFIX
from pe_data.names.times import parse_time
from pe_data.store.base import Store
from pe_data.trust.anchor import ROOT_LIMIT, Anchor, find_anchor, memory_of, note_followed
from pe_data.trust.policy import Holders, TrustPolicy, public_bytes

TOP_LEVEL = (Root.type, Timestamp.type, Snapshot.type, Targets.type)
ROLE_EXPIRES = "x-pe-data-expires"
"""Field of a delegation: when the role ends, in the form of a pointer's times."""
METADATA_LIMIT = 4 * 1024 * 1024
CONFIG = UpdaterConfig(root_max_length=ROOT_LIMIT, targets_max_length=METADATA_LIMIT, app_user_agent="pe-data")
_BASE = "store:///"


class CheckedFetcher(FetcherInterface):
    """Passes metadata on only if every reader reads it alike and each public key has one id."""

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """As the library's, which reads metadata with it; payloads go another way."""
        data = super().download_bytes(url, max_length)
        try:
            check_metadata(data, what=url)
        except PeDataError as error:
            raise RepositoryError(str(error)) from error
        return data


class StoreFetcher(CheckedFetcher):
    """Reads the `trust/` folder of a store for the updater."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def _fetch(self, url: str) -> Iterator[bytes]:
        key = TRUST_PREFIX + url.removeprefix(_BASE)
        try:
            return iter([self.store.get(key, max_bytes=METADATA_LIMIT).data])
        except ObjectNotFoundError as error:
            raise DownloadHTTPError(str(error), 404) from error
        except StorePermissionError as error:  # how a bucket without listing says "not found"
            raise DownloadHTTPError(str(error), 403) from error
        except InvalidDocumentError as error:
            raise DownloadLengthMismatchError(str(error)) from error


def check_metadata(data: bytes, *, what: str) -> None:
    """Refuse metadata with a duplicate JSON key, a NaN, or a role in which one public key has two ids.

    Raises:
        InvalidDocumentError: it is not one strict JSON object.
        TrustRootError: a role has a public key twice, so that one person could count as two.
    """
    signed = strict_json(data, what=what).get("signed")
    if not isinstance(signed, dict):
        return  # the library says what is missing
    delegations = signed.get("delegations")
    for holder in (signed, delegations if isinstance(delegations, dict) else {}):
        keys = holder.get("keys")
        if isinstance(keys, dict):
            parsed = _parsed(keys)
            for ids in _held(holder):
                check_distinct({key_id: parsed[key_id] for key_id in ids if key_id in parsed}, what=what)


def check_distinct(keys: Mapping[str, Key], *, what: str) -> None:
    """Raise TrustRootError if two ids have the same public key."""
    seen: dict[bytes, str] = {}
    for key_id, key in keys.items():
        material = _material(key)
        if material is None:
            continue  # a key that nobody here can verify with never counts
        other = seen.setdefault(material, key_id)
        if other != key_id:
            raise TrustRootError(
                f"{what}: expected a public key once in a role, found the same one under the ids {other[:80]} and "
                f"{key_id[:80]}: one person could count as two. Do not use this root"
            )


def _material(key: Key) -> bytes | None:
    try:
        return public_bytes(key)
    except (ValueError, UnsupportedAlgorithm):
        return None


def walk(store: Store, *, metadata: Path | None) -> TrustPolicy:
    """The trust policy of `store`; see `pe_data.trust.opening.open_policy`."""
    anchor = find_anchor()
    folder, what = memory_of(store, metadata), f"{store.url}: trust root"
    with exclusive(folder.with_name(f"{folder.name}.lock")):
        refresh(folder, anchor.root, StoreFetcher(store), _BASE, what=what)
        _share(folder)
        version = Version.read(folder)
    version.check_floor(anchor, what=what)
    policy = version.policy(anchor, what=what)
    note_followed(folder, anchor)
    return policy


def _share(folder: Path) -> None:
    """Let the umask say who may read what the library wrote for its user alone."""
    with suppress(OSError):
        mode = permitted(folder, PLAIN)
        for path in folder.rglob("*.json"):
            if path.stat().st_uid == user_number() and stat.S_IMODE(path.stat().st_mode) != mode:
                path.chmod(mode)


def refresh(folder: Path, root: bytes | None, fetcher: CheckedFetcher, base_url: str, *, what: str) -> Updater:
    """Bring the metadata in `folder` up to date; the caller holds its lock.

    Args:
        root: Root to start from; None for the one in the folder.

    Raises:
        TrustRootError, RollbackError, ExpiredError: what is there does not follow from `root`.
        PeDataError: the store could not be read.
    """
    with local_errors(folder), library_errors(what):
        folder.mkdir(parents=True, exist_ok=True)
        if root is not None:
            check_metadata(root, what=f"{what}: the configured root.json")
        updater = Updater(str(folder), base_url, fetcher=fetcher, config=CONFIG, bootstrap=root)
        updater.refresh()
    return updater


@contextmanager
def library_errors(what: str) -> Iterator[None]:
    """Say in this package's terms what the library found."""
    try:
        yield
    except ExpiredMetadataError as error:
        raise ExpiredError(
            f"{what}: past its date ({error}). Its owners renew it with `pe-data root rotate`; if the date is "
            "wrong, set this machine's clock"
        ) from error
    except BadVersionNumberError as error:
        raise RollbackError(
            f"{what}: an older or another version than is known to exist ({error}). The store was set back or "
            "rebuilt; ask its owners"
        ) from error
    except DownloadError as error:
        cause = error.__cause__
        if isinstance(cause, PeDataError) and not isinstance(error, DownloadHTTPError | DownloadLengthMismatchError):
            raise cause from error
        raise TrustRootError(
            f"{what}: not complete in this store ({cause or error}). Its owners publish it with `pe-data root`"
        ) from error
    except (RepositoryError, ValueError) as error:
        raise TrustRootError(
            f"{what}: does not follow from the root that this machine starts from ({error}). Nothing was believed. "
            "Ask its owners whether they meant it, and compare the root.json that they give you"
        ) from error


@dataclass(frozen=True, slots=True)
class Version:
    """The four documents of one version, signed or not yet."""

    root: Metadata[Root]
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    targets: Metadata[Targets]

    @classmethod
    def read(cls, folder: Path) -> "Version":
        """What `refresh` has verified and left in `folder`."""
        try:
            return cls(
                Metadata[Root].from_file(str(folder / "root.json")),
                Metadata[Timestamp].from_file(str(folder / "timestamp.json")),
                Metadata[Snapshot].from_file(str(folder / "snapshot.json")),
                Metadata[Targets].from_file(str(folder / "targets.json")),
            )
        except (OSError, RepositoryError) as error:
            raise CacheError(f"{folder}: cannot be read back: {error}. Remove the folder and try again") from error

    @property
    def number(self) -> int:
        """The number of the root, which all four carry when they are made."""
        return self.root.signed.version

    @property
    def documents(self) -> dict[str, Metadata[Any]]:
        """All four by name."""
        return dict(zip(TOP_LEVEL, (self.root, self.timestamp, self.snapshot, self.targets), strict=True))

    def check_floor(self, anchor: Anchor, *, what: str) -> None:
        """All four move together, so none is older than the root, and the root is not below the floor."""
        floor = anchor.floor.version
        if self.number < floor:
            raise RollbackError(
                f"{what}: expected version {floor} or later, as shipped beside {anchor.path}, found version "
                f"{self.number}. The store was set back"
            )
        for name, document in self.documents.items():
            if document.signed.version < self.number:
                raise RollbackError(
                    f"{what}: expected {name} of version {self.number} or later, like the root, found version "
                    f"{document.signed.version}. The store was set back, or `pe-data root rotate` has to be repeated"
                )

    def policy(self, anchor: Anchor, *, what: str) -> TrustPolicy:
        """The roles of the targets metadata as a policy."""
        roles = self.roles(what=what)
        return TrustPolicy(
            version=self.number,
            expires=min(one.signed.expires for one in self.documents.values()),
            authorities={
                name: replace(one, keys={i: key for i, key in one.keys.items() if _material(key) is not None})
                for name, one in roles.items()
            },
            floors=dict(anchor.floor.channels),
        )

    def roles(self, *, what: str) -> dict[str, Holders]:
        """Who holds each role that the targets metadata delegates. Raises TrustRootError."""
        targets = self.targets.signed
        delegations = targets.delegations
        found: dict[str, Holders] = {}
        for name, role in ((delegations.roles or {}) if delegations else {}).items():
            text = role.unrecognized_fields.get(ROLE_EXPIRES)
            try:
                ends = parse_time(text) if isinstance(text, str) else targets.expires
            except ValueError as error:
                raise TrustRootError(f"{what}: role {name}: field {ROLE_EXPIRES}: {error}") from error
            known = delegations.keys if delegations else {}
            for key_id in role.keyids:
                if key_id not in known:
                    raise TrustRootError(
                        f"{what}: role {name}: expected a key for each of its key ids, found none for {key_id[:80]}"
                    )
            found[name] = Holders({i: known[i] for i in role.keyids}, role.threshold, ends)
        return found


def _held(holder: Mapping[str, object]) -> Iterator[list[str]]:
    """The key ids of every role of a root, or of a set of delegations, whatever is wrong with it."""
    roles = holder.get("roles")
    rows = list(roles.values()) if isinstance(roles, dict) else roles if isinstance(roles, list) else []
    for row in (*rows, holder.get("succinct_roles")):
        ids = row.get("keyids") if isinstance(row, dict) else None
        if isinstance(ids, list):
            yield [key_id for key_id in ids if isinstance(key_id, str)]


def _parsed(keys: Mapping[str, object]) -> dict[str, Key]:
    parsed: dict[str, Key] = {}
    for key_id, value in keys.items():
        if isinstance(value, dict):
            try:
                parsed[key_id] = Key.from_dict(key_id, dict(value))
            except (KeyError, TypeError, ValueError):
                continue  # a kind of key that nobody here can verify never counts
    return parsed
