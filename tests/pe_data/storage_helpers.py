"""Files to publish, and a publication and a mirror that may be killed (:mod:`forked` runs them)."""

import dataclasses
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pe_data.documents.envelope import POINTER_TYPE, Signature, SignedDocument
from pe_data.documents.manifest import Artifact, Entity, Manifest
from pe_data.keep.mirror import mirror
from pe_data.names import times
from pe_data.names.digests import canonical_json, sha256_bytes
from pe_data.names.keys import MEDIA_TYPES
from pe_data.store.base import DOCUMENT_LIMIT, Content, ObjectMeta, Store, StoredDocument, VersionToken
from pe_data.store.folder import FolderStore
from pe_data.store.objects import ObjectStore, memory_store
from pe_data.write.publish import PublishReport, publish_collection
from pe_data.write.upload import Item

T = TypeVar("T")
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


_CLOCK = times.now
_MOMENTS: list[datetime] = []
vars(times)["now"] = lambda: (_MOMENTS[-1:] or [_CLOCK()])[0]


def at_time(moment: datetime, work: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """What `work` gives where this machine's clock shows that moment; several threads may ask for this."""
    _MOMENTS.append(moment)
    try:
        return work(*arguments, **options)
    finally:
        _MOMENTS.remove(moment)


def replace(value: T, **change: Any) -> T:
    """`value`, a dataclass or a document, with other fields."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **change)
    return dataclasses.replace(value, **change)  # type: ignore[type-var]


def make_item(folder: Path, name: str, data: bytes, *, dataset: str = "areas") -> Item:
    """A file with these bytes and a manifest that fits it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.replace('/', '-')}.h5"
    path.write_bytes(data)
    manifest = Manifest(
        artifact=Artifact(sha256_bytes(data), len(data), MEDIA_TYPES["h5"]),
        country="us",
        dataset=dataset,
        time_period=(2024,),
        entities={"person": Entity(rows=1, columns={"float32": ("age",)})},
        licence="CC0-1.0",
        status="active",
        access="public",
        schema_version="1.0",
    )
    return Item(path, manifest)


def areas(folder: Path, *names: str, salt: str = "") -> dict[str, Item]:
    """One small file per name; another `salt` makes other bytes."""
    return {name: make_item(folder, name, f"{name}{salt}".encode()) for name in names}


def forged(body: dict[str, object]) -> bytes:
    """A nomination with a signature that is none: enough for what looks without believing."""
    return SignedDocument(POINTER_TYPE, canonical_json(body), (Signature("k", "c2ln"),)).to_bytes()


def publish_areas(
    store: Store, items: Mapping[str, Item], run_id: str = "r1", now: datetime = NOW, **more: Any
) -> PublishReport:
    """Publish `items` as the collection `us/areas`, also without members of the one before."""
    more = {"country": "us", "dataset": "areas", "run_id": run_id, "allow_removal": True, **more}
    return at_time(now, publish_collection, store, items, **more)


class Watched(ObjectStore):
    """A store in memory with a clock of its own, which tells `hook` of every write before it is reported."""

    def __init__(self) -> None:
        super().__init__(memory_store().client, "memory://")
        self.now = NOW
        self.hook: Callable[[str, str], None] = lambda operation, key: None
        """Gets the name of the method and the key, after the write; `delete_unchanged` also before, as `deleting`."""
        self._written: dict[str, datetime] = {}

    def _meta(self, meta: ObjectMeta) -> ObjectMeta:
        return replace(meta, modified=self._written.get(meta.key, NOW))

    def _note(self, operation: str, key: str) -> None:
        self._written[key] = self.now
        self.hook(operation, key)

    def get(self, key: str, *, max_bytes: int = DOCUMENT_LIMIT) -> StoredDocument:
        document = super().get(key, max_bytes=max_bytes)
        return StoredDocument(document.data, self._meta(document.meta))

    def head(self, key: str) -> ObjectMeta:
        return self._meta(super().head(key))

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        return map(self._meta, super().list(prefix))

    def put_create(self, key: str, content: Content) -> VersionToken:
        token = super().put_create(key, content)
        self._note("put_create", key)
        return token

    def put_swap(self, key: str, data: bytes, expected: VersionToken) -> VersionToken:
        token = super().put_swap(key, data, expected)
        self._note("put_swap", key)
        return token

    def put_again(self, key: str, content: Content) -> None:
        super().put_again(key, content)
        self._note("put_again", key)

    def delete_unchanged(self, seen: ObjectMeta) -> bool:
        self.hook("deleting", seen.key)
        gone = super().delete_unchanged(seen)
        self.hook("delete_unchanged", seen.key)
        return gone


STEPS = {"os.link": "link", "os.rename": "rename", "os.remove": "remove", "obstore.delete": "delete"}
"""What changes a folder, as Python's audit hooks tell before it happens; one is ours, since obstore tells nothing."""


def killing(kill_at: int, below: Path) -> None:
    """From here on print each step below a folder before it is taken, and SIGKILL the process at number `kill_at`.

    A step is named after what happens to which kind of file: `link .manifest.json`.
    """
    counter = itertools.count(1)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in STEPS:
            return
        path = Path(os.fsdecode(arguments[1 if len(arguments) > 2 else 0]))
        if not path.is_relative_to(below):
            return
        os.write(1, f"{STEPS[event]} {''.join(path.suffixes[-2:]) or path.parent.name}\n".encode())
        if next(counter) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


class Folder(FolderStore):
    """A folder whose deletions are steps too."""

    def delete(self, key: str) -> None:
        sys.audit("obstore.delete", str(self.root / key))
        super().delete(key)


def mirrored(folder: Path, kill_at: int) -> None:
    """Copy `folder`/source to a target of the number's own; see :func:`killing`."""
    source, target = FolderStore(folder / "source"), Folder(folder / f"target{kill_at}")
    killing(kill_at, folder)
    mirror(source, target, work=folder / "work", workers=1)


def main(folder: Path, run_id: str, kill_at: int) -> None:
    """Publish two small files into `folder`/store; see :func:`killing`."""
    names = ("states/AL", "districts/AL-01")
    items = {name: make_item(folder / "files" / run_id, name, f"{name} of {run_id}".encode() * 100) for name in names}
    store = Folder(folder / "store")
    killing(kill_at, folder)
    report = at_time(NOW, publish_collection, store, items, country="us", dataset="areas", run_id=run_id, workers=1)
    sys.stdout.write(f"{report.summary()}\n")
