"""Publish two small files into a folder, in a process of its own that may be killed.

    publishing.py FOLDER RUN_ID KILL_AT

Prints the name of each step as it is reached; kills itself with SIGKILL at number KILL_AT.
"""

import itertools
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from pe_data.digests import sha256_bytes
from pe_data.layout import MEDIA_TYPES
from pe_data.manifest.model import Artifact, ColumnGroup, Entity, Manifest
from pe_data.publish import publish_collection
from pe_data.store.folder import FolderStore
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


def main(folder: Path, run_id: str, kill_at: int) -> None:
    counter = itertools.count(1)

    def on_step(step: str) -> None:
        print(step, flush=True)
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
    print(report.summary())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
