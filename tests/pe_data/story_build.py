"""Build a few made-up area files for docs/story.md, each with its sidecar and its validation record.

    story_build.py FOLDER NAME...

writes FOLDER/areas/NAME.h5, FOLDER/areas/NAME.h5.result.json and FOLDER/records/NAME.json. The sidecar is
what the workflow writes beside every file that it builds; the record is what its validation leaves.
"""

import json
import sys
from pathlib import Path

from gateway_helpers import SURVEY, write_households

from pe_data.describe.file import Label, describe
from pe_data.documents.manifest import Manifest
from pe_data.names.digests import Sha256, sha256_bytes, sha256_file

MODEL = ("policyengine-uk", "2.0.0")


def build(folder: Path, name: str, seed: int) -> None:
    """One area."""
    path = write_households(folder / "areas" / f"{name}.h5", seed=seed, households=20)
    digest = sha256_file(path)
    manifest = describe(path, Label("uk", "regions"), sha256=digest)
    write_json(path.with_name(f"{path.name}.result.json"), sidecar(manifest, name))
    write_json(folder / "records" / f"{name}.json", record(name, digest))


def sidecar(manifest: Manifest, name: str) -> dict[str, object]:
    source = f"made-up {SURVEY}".encode()
    columns = [
        {"name": column, "entity": group.entity, "dtype": group.dtype, "periods": [str(manifest.time_period[0])]}
        for group in manifest.columns
        for column in group.names
    ]
    return {
        "schema_version": 1,
        "status": "completed",
        "output": {
            "path": f"{name}.h5",
            "sha256": manifest.artifact.sha256,
            "bytes": manifest.artifact.size_bytes,
        },
        "period": manifest.time_period[0],
        "rows": {entity: of.rows for entity, of in manifest.entities.items()},
        "columns": columns,
        "inputs": [{"name": f"{SURVEY} adult.tab", "sha256": sha256_bytes(source), "bytes": len(source)}],
        "versions": {MODEL[0]: MODEL[1], "python": "3.11"},
        "fingerprint": {"digest": sha256_bytes(f"{name} {manifest.artifact.sha256}".encode())},
    }


def record(name: str, digest: Sha256) -> dict[str, object]:
    return {
        "schema_version": 1,
        "area": {"type": "custom", "id": name, "path": f"{name}.h5", "sha256": digest},
        "level": "structural",
        "status": "passed",
        "published": True,
        "policy": {"enabled": True, "on_failure": {"structural": "fail"}},
    }


def write_json(path: Path, document: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


if __name__ == "__main__":
    for index, area in enumerate(sys.argv[2:]):
        build(Path(sys.argv[1]), area, index)
