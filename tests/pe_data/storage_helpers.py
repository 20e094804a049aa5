"""Files to publish, and a publication in a process of its own that may be killed.

    storage_helpers.py FOLDER RUN_ID KILL_AT

publishes two small files into FOLDER/store. It prints the name of each step as it is reached and
kills itself with SIGKILL at number KILL_AT.
"""

import itertools
import os
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pe_data.digests import canonical_json, sha256_bytes
from pe_data.layout import MEDIA_TYPES
from pe_data.manifest.model import Artifact, ColumnGroup, Entity, Manifest
from pe_data.publish import PublishReport, publish_collection
from pe_data.store.base import Store
from pe_data.store.folder import FolderStore
from pe_data.trust.envelope import POINTER_TYPE, Signature, SignedDocument
from pe_data.upload import Item

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


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
        entities={"person": Entity(rows=1)},
        columns=(ColumnGroup("person", "float32", ("age",)),),
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


def main(folder: Path, run_id: str, kill_at: int) -> None:
    counter = itertools.count(1)

    def on_step(step: str) -> None:
        sys.stdout.write(f"{step}\n")
        sys.stdout.flush()
        if next(counter) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

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


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
