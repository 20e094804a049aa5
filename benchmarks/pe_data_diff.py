"""How long `pe-data diff` of two collections takes, as a whole process, without payloads.

    python benchmarks/pe_data_diff.py [--members 489] [--columns 60] [--repeat 5] [--folder DIR]

Two versions of `us/areas` are published to a folder, and that folder is served by one nginx as well. In the second
version one member differs, or all of them. "first" begins with an empty cache, "again" has all documents. Each figure
is the median of the repeats, in seconds on the clock and CPU-seconds of the process; "interpreter" is `python -c ''`.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pe_data_fetch import nginx

from pe_data.documents.manifest import Artifact, Entity, Manifest
from pe_data.names.digests import sha256_bytes
from pe_data.names.keys import MEDIA_TYPES
from pe_data.store.folder import FolderStore
from pe_data.write.publish import publish_collection
from pe_data.write.upload import Item

PROGRAM = str(Path(sys.executable).with_name("pe-data"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--members", type=int, default=489)
    parser.add_argument("--columns", type=int, default=60)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default temporary")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        for dataset, differing in (("one", 1), ("all", arguments.members)):
            publish(folder, dataset, arguments.members, differing, arguments.columns)
        report = {"interpreter": median([run([sys.executable, "-c", ""], folder) for _ in range(arguments.repeat)])}
        with nginx(folder) as url:
            for place, store in (("folder", str(folder / "store")), ("nginx", f"{url}/store")):
                for dataset in ("one", "all"):
                    first, again = [], []
                    for number in range(arguments.repeat):
                        cache = folder / f"cache-{place}-{dataset}-{number}"
                        command = [PROGRAM, "diff", f"us/{dataset}@v1", f"us/{dataset}@v2"]
                        command += ["--store", store, "--cache", str(cache), "--json"]
                        first.append(run(command, folder))
                        again.append(run(command, folder))
                    report[f"{place}, {dataset} of {arguments.members} differ"] = {
                        "first": median(first),
                        "again": median(again),
                    }
    print(json.dumps(report, indent=2))


def publish(folder: Path, dataset: str, members: int, differing: int, columns: int) -> None:
    """Two versions of a collection, of which so many members differ."""
    for version in (1, 2):
        items = {
            f"districts/{number:03}": item(folder, dataset, number, version if number < differing else 1, columns)
            for number in range(members)
        }
        store = FolderStore(folder / "store")
        publish_collection(store, items, country="us", dataset=dataset, run_id=f"r{version}")


def item(folder: Path, dataset: str, number: int, version: int, columns: int) -> Item:
    """A tiny file with a manifest of ordinary size."""
    data = f"{dataset} {number} {version}".encode()
    path = folder / "files" / data.decode()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    names = tuple(f"a_variable_of_ordinary_length_{n:03}" for n in range(columns))
    manifest = Manifest(
        artifact=Artifact(sha256_bytes(data), len(data), MEDIA_TYPES["h5"]),
        country="us",
        dataset=dataset,
        time_period=(2024,),
        entities={"person": Entity(rows=1000 + number + version, columns={"float32": names})},
        licence="CC0-1.0",
        status="active",
        access="public",
        schema_version="1.0",
    )
    return Item(path, manifest)


def run(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds and CPU-seconds of a process."""
    environment = {**os.environ, "PE_DATA_CONFIG": str(folder / "none.toml")}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def median(figures: list[tuple[float, float]]) -> dict[str, float]:
    return {
        "seconds": round(statistics.median(one[0] for one in figures), 3),
        "cpu_seconds": round(statistics.median(one[1] for one in figures), 3),
    }


if __name__ == "__main__":
    main()
