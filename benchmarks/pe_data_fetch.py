"""How fast a verified fetch from a local web server is, against sha256 alone, and in how much memory.

    python benchmarks/pe_data_fetch.py [--megabytes 400] [--repeat 7] [--folder DIR]
    python benchmarks/pe_data_fetch.py --many 489 [--kilobytes 700] [--repeat 5] [--folder DIR]
    python benchmarks/pe_data_fetch.py --store FOLDER [--dataset us/local_areas] [--repeat 5] [--folder DIR]

One nginx on the loopback interface serves a file of random bytes. "sha256" hashes that file, warm,
with `hashlib.file_digest`. "fetch" is `pe_data.cache.fetch.fetch` from an empty cache: request,
receive, write, hash, compare. It ends with an fsync, which is as fast as the disk and no faster; it
is timed apart, so that the first figure speaks of the code and the second of the machine too. Each
figure is the best of the repeats, taken in turn, because other programs only ever slow one down.

With `--many`, so many files are published as one collection to a folder that the same nginx serves. "curl" fetches
their payloads over one connection, one after the other; "fetch" is `pe-data fetch --link` with its eight workers from
an empty cache, fsync included; "again" has them all in the cache. "hub" is `snapshot_download` of huggingface_hub
with eight workers into an empty cache of its own, of the same files from the same nginx, which answers it as the hub
does. `--store` does the same with a store that is there, such as that of a finished run. Whole processes in turn,
with bytecode as an installation has it; medians, the least CPU time, and their ratios. Each process writes to folders
of its own, and all are removed in the end: on some file systems (ext4 without a journal) new files are slow to make
for minutes after many were removed.
"""

import argparse
import hashlib
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pe_data.cache.entries import Cache
from pe_data.cache.fetch import Tuning, Wanted, fetch
from pe_data.cache.part import Part
from pe_data.documents.manifest import Artifact, Entity, Manifest
from pe_data.names.digests import Sha256, sha256_file
from pe_data.names.keys import MEDIA_TYPES, payload_key
from pe_data.read.fetch import fetch as fetch_all
from pe_data.store.byte_source import Source
from pe_data.store.folder import FolderStore
from pe_data.store.web_source import Web
from pe_data.write.publish import publish_collection
from pe_data.write.upload import Item

CHUNK = 1 << 20
HUB = "areas/files"
"""A dataset of the hub that nginx stands in for."""
COMMIT = "0" * 40
SNAPSHOT = f"from huggingface_hub import snapshot_download; snapshot_download({HUB!r}, repo_type='dataset')"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default temporary")
    parser.add_argument("--many", type=int, default=0, help="measure so many small files instead")
    parser.add_argument("--kilobytes", type=int, default=700, help="of each of them")
    parser.add_argument("--store", type=Path, help="measure a collection of this store instead")
    parser.add_argument("--dataset", default="us/local_areas", help="the collection, in --store")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        url, cache, sha256, size = arguments.one
        print(json.dumps(one_fetch(url, Path(cache), sha256, int(size), Tuning())))
        return
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name, nginx(Path(name)) as url:
        if arguments.many or arguments.store:
            if arguments.store:
                (Path(name) / "store").symlink_to(arguments.store.resolve())
            else:
                publish(Path(name), arguments.many, arguments.kilobytes)
            dataset = arguments.dataset if arguments.store else "us/areas"
            report = measure_many(Path(name), url, dataset, arguments.repeat)
        else:
            report = measure(Path(name), url, arguments.megabytes, arguments.repeat)
    print(json.dumps(report, indent=2))


def measure(folder: Path, url: str, megabytes: int, repeat: int) -> dict[str, float | str]:
    """All figures for one file size."""
    big, small = make(folder / "big.h5", megabytes), make(folder / "small.h5", 32)
    hashing, single, several, synced = [], [], [], []
    for _ in range(repeat):
        hashing.append(hash_seconds(folder / "big.h5"))
        for tuning, times in ((Tuning(connections=1), single), (Tuning(), several)):
            found = one_fetch(f"{url}/big.h5", folder / "cache", *big, tuning)
            times.append(found["verified"])
            synced.append(found["durable"])
    memory = [in_own_process(f"{url}/{n}.h5", folder / "cache", *file) for n, file in (("small", small), ("big", big))]
    size = big[1] / 1e6
    return {
        "file": f"{size:.0f} MB",
        "sha256 alone, MB/s": round(size / min(hashing)),
        "fetch, MB/s (one connection)": round(size / min(single)),
        "fetch, MB/s (default)": round(size / min(several)),
        "ratio (one connection)": round(min(hashing) / min(single), 3),
        "ratio (default)": round(min(hashing) / min(several), 3),
        "fetch with the final fsync, MB/s": round(size / min(synced)),
        "peak memory of a process, 32 MB file, MB": memory[0],
        f"peak memory of a process, {size:.0f} MB file, MB": memory[1],
    }


def one_fetch(url: str, cache: Path, sha256: str, size: int, tuning: Tuning) -> dict[str, float]:
    """Seconds until the bytes were found right, and until they were durable, from an empty cache."""
    shutil.rmtree(cache, ignore_errors=True)
    marks: dict[str, float] = {}
    started = time.perf_counter()
    inner = Part.sync

    def sync(part: Part) -> None:  # the digest was found right
        marks["verified"] = time.perf_counter() - started
        inner(part)

    Part.sync = sync  # type: ignore[method-assign]
    try:
        source = Source(url, partial(Web().open, url, url))
        fetch(Cache(cache), Wanted(Sha256(sha256), "h5", size, url), [source], tuning)
    finally:
        Part.sync = inner  # type: ignore[method-assign]
    marks["durable"] = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"verified": marks["verified"], "durable": marks["durable"], "peak_mb": round(peak, 1)}


def publish(folder: Path, count: int, kilobytes: int) -> None:
    """So many files of random bytes as the collection `us/areas` in `store`."""
    items = {}
    for number in range(count):
        path = folder / "files" / f"{number:03}.h5"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(os.urandom(kilobytes * 1024 + number))
        manifest = Manifest(
            artifact=Artifact(sha256_file(path), path.stat().st_size, MEDIA_TYPES["h5"]),
            country="us",
            dataset="areas",
            time_period=(2024,),
            entities={"person": Entity(rows=1, columns={"float32": tuple(f"variable_{n:02}" for n in range(60))})},
            licence="CC0-1.0",
            status="active",
            access="public",
            schema_version="1.0",
        )
        items[f"districts/{number:03}"] = Item(path, manifest)
    publish_collection(FolderStore(folder / "store"), items, country="us", dataset="areas", run_id="r")


def measure_many(folder: Path, url: str, dataset: str, repeat: int) -> dict[str, float | str]:
    """Seconds and CPU-seconds of whole processes that fetch a collection."""
    address = f"pe-data://{dataset}@latest"
    first = fetch_all(address, to=folder / "none", dry_run=True, store=f"{url}/store", cache=folder / "none").files
    keys = {payload_key(dataset.partition("/")[0], file.sha256, "h5"): file.size_bytes for file in first}
    paths = {f"{file.name}.h5": payload_key(dataset.partition("/")[0], file.sha256, "h5") for file in first}
    serve_as_hub(folder, paths)
    seconds: dict[str, list[float]] = {"curl": [], "fetch": [], "again": [], "hub": []}
    cpu: dict[str, list[float]] = {name: [] for name in seconds}
    own = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
    environment = {name: value for name, value in os.environ.items() if name not in own}
    environment["PE_DATA_CONFIG"] = str(folder / "none.toml")
    for number in range(-1, repeat):  # the first time bytecode is written, and files come into memory
        here = folder / str(number)
        (here / "curl").mkdir(parents=True)
        lines = (f'url = "{url}/store/{key}"\noutput = "{here}/curl/{key.rpartition("/")[2]}"\n' for key in keys)
        (here / "curl.txt").write_text("".join(lines))
        program = [str(Path(sys.executable).with_name("pe-data")), "fetch", address, "--link", "--json"]
        program += ["--store", f"{url}/store", "--cache", str(here / "cache"), "--to"]
        commands = {
            "curl": ["curl", "--fail", "-s", "-K", str(here / "curl.txt")],
            "fetch": [*program, str(here / "out")],
            "again": [*program, str(here / "again")],
            "hub": [sys.executable, "-c", SNAPSHOT],
        }
        environment |= {"HF_HOME": str(here / "hub"), "HF_ENDPOINT": url, "HF_HUB_DISABLE_TELEMETRY": "1"}
        for name, command in commands.items():
            before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if number >= 0:
                seconds[name].append(time.perf_counter() - started)
                cpu[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    report: dict[str, float | str] = {"files": len(first), "megabytes": round(sum(keys.values()) / 1e6)}
    for name in commands:
        report[f"{name}, seconds"] = round(statistics.median(seconds[name]), 2)
        report[f"{name}, CPU-seconds"] = round(min(cpu[name]), 2)
    for other in ("curl", "hub"):
        ratios = [ours / theirs for ours, theirs in zip(seconds["fetch"], seconds[other], strict=True)]
        report[f"fetch / {other}"] = round(statistics.median(ratios), 2)
        report[f"fetch / {other}, CPU"] = round(min(cpu["fetch"]) / min(cpu[other]), 2)
    report["again, milliseconds per file"] = round(1000 * statistics.median(seconds["again"]) / len(first), 2)
    return report


def serve_as_hub(folder: Path, paths: dict[str, str]) -> None:
    """Lay out files under their names, and the list of them, for `nginx`: path → key in the store."""
    for name, key in paths.items():
        file = folder / "hub" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to((folder / "store").resolve() / key)
    (folder / "hub.json").write_text(json.dumps({"id": HUB, "sha": COMMIT}))
    tree = []
    for name, key in paths.items():
        size, sha256 = (folder / "store" / key).stat().st_size, Path(key).stem
        large = {"oid": sha256, "size": size, "pointerSize": 130}
        tree.append({"type": "file", "path": name, "size": size, "oid": sha256[:40], "lfs": large})
    (folder / "tree.json").write_text(json.dumps(tree))


def in_own_process(url: str, cache: Path, sha256: str, size: int) -> float:
    command = [sys.executable, __file__, "--one", url, str(cache), sha256, str(size)]
    result = subprocess.run(command, capture_output=True, check=True)
    return float(json.loads(result.stdout)["peak_mb"])


def hash_seconds(path: Path) -> float:
    started = time.perf_counter()
    with path.open("rb") as handle:
        hashlib.file_digest(handle, "sha256").hexdigest()
    return time.perf_counter() - started


def make(path: Path, megabytes: int) -> tuple[str, int]:
    """Write random bytes; digest and size."""
    digest = hashlib.sha256()
    with path.open("wb") as handle:
        for _ in range(megabytes):
            block = os.urandom(CHUNK)
            digest.update(block)
            handle.write(block)
    return digest.hexdigest(), megabytes * CHUNK


@contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """nginx with its shipped defaults, serving `folder`."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        sys.exit("nginx is not installed (Debian: apt-get install nginx-light)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user = "user root;" if os.getuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(
        f"{user} daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}"
        f"http {{ access_log off; sendfile on;"
        f" server {{ listen 127.0.0.1:{port}; root {folder};"
        f" location /api/datasets/{HUB}/ {{ default_type application/json; try_files /hub.json =404; }}"
        f" location /api/datasets/{HUB}/tree/ {{ default_type application/json; try_files /tree.json =404; }}"
        f" location /datasets/{HUB}/resolve/{COMMIT}/"
        f" {{ alias {folder}/hub/; add_header X-Repo-Commit {COMMIT}; }} }} }}"
    )
    process = subprocess.Popen([program, "-p", str(folder), "-c", str(config), "-e", f"{folder}/error.log"])
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
