"""Files to publish, and a publication and a mirror that may be killed (:mod:`forked` runs them)."""

import dataclasses
import itertools
import os
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pe_data.documents.envelope import POINTER_TYPE, Signature, SignedDocument
from pe_data.documents.manifest import Artifact, Entity, Manifest
from pe_data.keep.mirror import mirror
from pe_data.names.digests import canonical_json, sha256_bytes
from pe_data.names.keys import MEDIA_TYPES
from pe_data.steps import StepHook
from pe_data.store.base import Store
from pe_data.store.folder import FolderStore
from pe_data.write.publish import PublishReport, publish_collection
from pe_data.write.upload import Item

T = TypeVar("T")
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


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
        licence="unspecified",
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


def publish_areas(store: Store, items: Mapping[str, Item], run_id: str = "r1", **more: Any) -> PublishReport:
    """Publish `items` as the collection `us/areas`."""
    more = {"now": NOW, **more}
    return publish_collection(store, items, country="us", dataset="areas", run_id=run_id, **more)


def killing(kill_at: int) -> StepHook:
    """Prints each step, and kills the process with SIGKILL at number `kill_at`."""
    counter = itertools.count(1)

    def on_step(step: str) -> None:
        sys.stdout.write(f"{step}\n")
        sys.stdout.flush()
        if next(counter) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    return on_step


def mirrored(folder: Path, kill_at: int) -> None:
    """Copy `folder`/source to a target of the number's own; see :func:`killing`."""
    on_step = killing(kill_at)
    target = FolderStore(folder / f"target{kill_at}", on_step=on_step)
    mirror(FolderStore(folder / "source"), target, work=folder / "work", workers=1, on_step=on_step)


def main(folder: Path, run_id: str, kill_at: int) -> None:
    """Publish two small files into `folder`/store; see :func:`killing`."""
    on_step = killing(kill_at)
    names = ("states/AL", "districts/AL-01")
    items = {name: make_item(folder / "files" / run_id, name, f"{name} of {run_id}".encode() * 100) for name in names}
    report = publish_collection(
        FolderStore(folder / "store", on_step=on_step),
        items,
        country="us",
        dataset="areas",
        run_id=run_id,
        now=NOW,
        workers=1,
        on_step=on_step,
    )
    sys.stdout.write(f"{report.summary()}\n")
