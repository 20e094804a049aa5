"""The trust root of a store as its owners see it: every signature checked, dates ignored.

Whoever renews a root that has run out has to read it first, which a client refuses. The chain from
the anchor and the signatures on everything else are checked all the same, so that nobody renews what
somebody else slipped into the store.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, TypeVar

from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from pe_data.errors import ObjectNotFoundError, RollbackError, TrustRootError
from pe_data.names.keys import TRUST_PREFIX
from pe_data.store.base import Store
from pe_data.trust.anchor import ROOT_LIMIT, Anchor, find_anchor, memory_of
from pe_data.trust.client import METADATA_LIMIT, Version, check_metadata, library_errors

Document = TypeVar("Document", Root, Timestamp, Snapshot, Targets)


def read_current(store: Store) -> tuple[Version, Anchor]:
    """The newest version in the store, and the anchor that it was followed from.

    Raises:
        TrustRootError: something of it is missing, or does not follow from the anchor.
        RollbackError: it is older than the floor, or than what this machine has seen.
    """
    anchor = find_anchor()
    what = f"{store.url}: trust root"
    with library_errors(what):
        root = _parsed(Root, anchor.root, what=str(anchor.path))
        _check(root, root, Root.type, what=str(anchor.path))
        for following in _later_roots(store, root.signed.version):
            if following.signed.version != root.signed.version + 1:
                raise TrustRootError(f"{what}: expected version {root.signed.version + 1}, found another")
            _check(following, root, Root.type, what=what)
            _check(following, following, Root.type, what=what)
            root = following
        timestamp = _signed(store, Timestamp, "timestamp.json", root)
        snapshot = _signed(store, Snapshot, f"{timestamp.signed.snapshot_meta.version}.snapshot.json", root)
        meta = snapshot.signed.meta["targets.json"]
        targets = _signed(store, Targets, f"{meta.version}.targets.json", root)
    version = Version(root, timestamp, snapshot, targets)
    version.check_floor(anchor, what=what)
    known = memory_of(store) / "root.json"
    if known.is_file():
        seen = _parsed(Root, known.read_bytes(), what=str(known)).signed.version
        if root.signed.version < seen:
            raise RollbackError(
                f"{what}: expected version {seen} or later, which this machine has seen, found version "
                f"{root.signed.version}. The store was set back: a version made from here could bring a stolen key back"
            )
    return version, anchor


def _later_roots(store: Store, version: int) -> Iterator[Metadata[Root]]:
    with suppress(ObjectNotFoundError):
        while True:
            version += 1
            key = f"{TRUST_PREFIX}{version}.root.json"
            yield _parsed(Root, store.get(key, max_bytes=ROOT_LIMIT).data, what=f"{store.url}: {key}")


def _signed(store: Store, kind: type[Document], name: str, root: Metadata[Root]) -> Metadata[Document]:
    key = TRUST_PREFIX + name
    what = f"{store.url}: {key}"
    try:
        raw = store.get(key, max_bytes=METADATA_LIMIT).data
    except ObjectNotFoundError as error:
        raise TrustRootError(f"{what}: not there. Publish the version again") from error
    document = _parsed(kind, raw, what=what)
    _check(document, root, kind.type, what=what)
    return document


def _parsed(kind: type[Document], raw: bytes, *, what: str) -> Metadata[Document]:
    check_metadata(raw, what=what)
    document = Metadata[Document].from_bytes(raw)
    if document.signed.type != kind.type:
        raise TrustRootError(f"{what}: expected {kind.type}, found {document.signed.type}")
    return document


def _check(document: Metadata[Any], by: Metadata[Root], role: str, *, what: str) -> None:
    result = by.signed.get_verification_result(role, document.signed_bytes, document.signatures)
    if not result.verified:
        raise TrustRootError(
            f"{what}: {role} version {document.signed.version}: expected {result.threshold} signature(s) by keys of "
            f"root version {by.signed.version}, found {len(result.signed)}. Somebody else wrote it"
        )
