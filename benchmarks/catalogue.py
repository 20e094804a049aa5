"""How long `pe-data site` takes for a store with many versions, as a whole process.

    python benchmarks/catalogue.py [--members 489] [--versions 10] [--columns 72] [--folder DIR]

Every member has other bytes, rows and a manifest of its own in every version, which is the most that a site can have.
It prints seconds on the clock, CPU-seconds, pages, bytes, and the ratio to one `pe-data fsck --full` of the same store,
which reads the same documents, hashes the (tiny) payloads and writes nothing.
"""

import argparse
import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from pe_data_diff import PROGRAM, run

from pe_data.documents.collection import About, Area, Collection, Member
from pe_data.documents.dictionary import Variable
from pe_data.documents.manifest import Artifact, Build, Entity, InputFile, Inputs, Manifest, composite_digest
from pe_data.maps.districts import all_districts
from pe_data.names.digests import sha256_bytes
from pe_data.names.keys import MEDIA_TYPES, collection_key, manifest_key, payload_key
from pe_data.store.folder import FolderStore
from pe_data.write.channels import move

ENTITIES = ("person", "household", "family", "marital_unit", "spm_unit", "tax_unit")
NOTES = tuple(f"what: a note of ordinary length about the data, such as where it is thin, number {n}" for n in range(7))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--members", type=int, default=489)
    parser.add_argument("--versions", type=int, default=10)
    parser.add_argument("--columns", type=int, default=72)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default temporary")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        publish(folder / "store", arguments.members, arguments.versions, arguments.columns)
        made = run([PROGRAM, "site", str(folder / "store"), str(folder / "site")], folder)
        checked = run([PROGRAM, "fsck", "--store", str(folder / "store"), "--full"], folder)
        files = [path for path in (folder / "site").rglob("*") if path.is_file()]
        report = {
            "site": {"seconds": round(made[0], 1), "cpu_seconds": round(made[1], 1)},
            "fsck": {"seconds": round(checked[0], 1), "cpu_seconds": round(checked[1], 1)},
            "site / fsck, CPU": round(made[1] / checked[1], 2),
            "pages": sum(path.suffix == ".html" for path in files),
            "MB": round(sum(path.stat().st_size for path in files) / 1e6, 1),
        }
    print(json.dumps(report, indent=2))


def publish(place: Path, members: int, versions: int, columns: int) -> None:
    """Versions of a collection, by its documents and tiny payloads."""
    store = FolderStore(place)
    names = [*(f"districts/{name}" for name in all_districts()), *(f"counties/{n:05}" for n in range(members))][
        :members
    ]
    variables = tuple(f"a_variable_of_ordinary_length_{n:03}" for n in range(columns))
    said = tuple(
        Variable(one, "person", "year", label=f"Label of {one}", unit="currency-USD", description="What it means. " * 8)
        for one in variables
    )
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    for version in range(1, versions + 1):
        rows = {name: put(store, name, version, variables) for name in names}
        whole = Collection("us", "areas", f"run-{version}", rows, dictionary=said)
        store.put_create(collection_key("us", whole.sha256), whole.to_bytes())
        place_of = {"artifact_sha256": whole.sha256, "manifest_sha256": whole.sha256}
        with patch("pe_data.names.times.now", return_value=begin + timedelta(days=version)):
            move(store, "us", "areas", **place_of, namespace="local")


def put(store: FolderStore, name: str, version: int, variables: tuple[str, ...]) -> Member:
    """A file of a member, and its row."""
    data = f"{name} {version}".encode()
    artifact = Artifact(sha256_bytes(data), len(data), MEDIA_TYPES["h5"])
    entities = {
        one: Entity(
            rows=300 + len(data) + 7 * version,
            id=f"{one}_id",
            columns={"int32": (f"{one}_id",), **({"float32": variables} if one == "person" else {})},
        )
        for one in ENTITIES
    }
    files = (InputFile("source dataset", sha256_bytes(b"source"), 1_835_434),)
    manifest = Manifest(
        artifact, "us", "areas", (2024,), entities, "CC0-1.0", "active", "public", "1.0",
        inputs=Inputs(composite_digest(files), files),
        build=Build({"h5py": "3.16.0", "numpy": "2.4.6"}, "policyengine-us", "2.68.0", sha256_bytes(data)),
    )  # fmt: skip
    raw = manifest.to_bytes()
    store.put_create(payload_key("us", artifact.sha256, "h5"), data)
    store.put_create(manifest_key("us", artifact.sha256), raw)
    area = Area(name.partition("/")[0], name.partition("/")[2], name, 119)
    about = About(area=area, notes=NOTES)
    return Member(artifact.sha256, sha256_bytes(raw), len(data), "h5").saying(about)


if __name__ == "__main__":
    main()
