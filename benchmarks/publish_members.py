"""Publish many tiny files as one collection ``us/areas`` of a folder store; used by ``fifty_thousand_areas.py``.

    python benchmarks/publish_members.py --members 50000 --files FOLDER --store FOLDER

Payloads are a few bytes, so that the cost is that of the store's own work: two objects a member, and the collection.
"""

import argparse
from pathlib import Path

from pe_data.documents.manifest import Artifact, Entity, Manifest
from pe_data.names.digests import sha256_bytes
from pe_data.names.keys import MEDIA_TYPES
from pe_data.store.opening import open_store
from pe_data.write.publish import publish_collection
from pe_data.write.upload import Item

COUNTRY, DATASET = "us", "areas"


def make_item(path: Path) -> Item:
    """A file with its own name as its bytes."""
    data = path.name.encode()
    if not path.exists():
        path.write_bytes(data)
    manifest = Manifest(
        artifact=Artifact(sha256_bytes(data), len(data), MEDIA_TYPES["h5"]),
        country=COUNTRY,
        dataset=DATASET,
        time_period=(2024,),
        entities={"person": Entity(rows=1, columns={"float32": ("age",)})},
        licence="CC0-1.0",
        status="active",
        access="public",
        schema_version="1.0",
    )
    return Item(path, manifest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, required=True)
    parser.add_argument("--files", type=Path, required=True, help="folder to make them in")
    parser.add_argument("--store", type=Path, required=True, help="folder of the store")
    parser.add_argument("--again", action="store_true", help="the files are there already")
    args = parser.parse_args()
    args.files.mkdir(parents=True, exist_ok=args.again)
    items = {f"custom/area-{number:06d}": make_item(args.files / f"{number}.h5") for number in range(args.members)}
    report = publish_collection(
        open_store(args.store.as_uri()), items, country=COUNTRY, dataset=DATASET, run_id="benchmark"
    )
    print(report.summary())


if __name__ == "__main__":
    main()
