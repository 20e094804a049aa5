"""How long a reader waits for a manifest behind the gateway, with 200 readers at once.

    python benchmarks/gateway.py [--readers 200] [--seconds 15] [--folder DIR]

One `pe-data serve` before a folder store, one process with all readers, each with a token and a
connection of its own, on one machine. Three loads:

    steady      every reader asks once a second, at a time of its own
    burst       every second all readers ask at the same moment
    saturated   every reader asks again as soon as it has its answer: the gateway is never idle, and
                the wait is the number of readers over the requests per second, whatever the code

Every answer is checked against the manifest, and at the end every request id against the access log,
whose chain is verified. "cpu per request" is the gateway's own, without the readers'. The wait includes
the readers' side: its event loop has to notice an answer.
"""

import argparse
import asyncio
import importlib.util
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from pe_data.describe.columns import inputs_of
from pe_data.documents.manifest import Artifact, Entity, InputFile, Manifest
from pe_data.names.countries import GATED_EXAMPLE
from pe_data.names.digests import sha256_bytes
from pe_data.names.keys import MEDIA_TYPES, manifest_key
from pe_data.store.folder import FolderStore
from pe_data.write.publish import publish_artifact
from pe_data.write.upload import Item
from pe_data_gateway.audit.segments import records
from pe_data_gateway.audit.verify import verify_log
from pe_data_gateway.tokens import new_token

COUNTRY = GATED_EXAMPLE.code
DATASETS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=15, help="of each load")
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default temporary")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        print(json.dumps(measure(Path(name), arguments.readers, arguments.seconds), indent=2))


def measure(folder: Path, readers: int, seconds: float) -> dict[str, object]:
    """All loads, one after the other, against one gateway."""
    store = FolderStore(folder / "store")
    manifests = publish(store, folder)
    path = folder / "tokens.json"
    scope, life = (f"{COUNTRY}/*",), timedelta(days=1)
    tokens = [new_token(path, f"reader-{n}", scope, life)[0] for n in range(readers)]
    served: set[str] = set()
    report: dict[str, object] = {
        "cores": os.cpu_count(),
        "load before": os.getloadavg()[0],
        "niceness": os.nice(0),
        "loop": "uvloop" if importlib.util.find_spec("uvloop") else "asyncio",
        "http": "httptools" if importlib.util.find_spec("httptools") else "h11",
        "readers": readers,
        "manifest bytes": round(statistics.mean(map(len, manifests.values()))),
        "fsync ms": fsync_ms(folder),
    }
    with gateway(store, path) as (process, port):
        asyncio.run(load("saturated", port, tokens, manifests, 1.0))  # warm: every manifest was read once
        for kind in ("steady", "burst", "saturated"):
            cpu = cpu_of(process.pid)
            found = asyncio.run(load(kind, port, tokens, manifests, seconds))
            used = cpu_of(process.pid) - cpu
            served |= found.ids
            report[kind] = found.figures() | {"gateway cpu ms per request": round(1000 * used / len(found.waits), 3)}
    written = {record.entry.request for record in records(store, COUNTRY)}
    verdict = verify_log(store, COUNTRY)
    report["served without a record"] = len(served - written)
    report["log intact"] = verdict.clean
    report["records"] = verdict.records
    return report


@dataclass
class Found:
    """What the readers of one load saw."""

    waits: list[float] = field(default_factory=list)
    """Seconds."""
    ids: set[str] = field(default_factory=set)
    seconds: float = 0.0

    def figures(self) -> dict[str, float]:
        at = statistics.quantiles(self.waits, n=1000, method="inclusive")
        return {
            "requests": len(self.waits),
            "per second": round(len(self.waits) / self.seconds),
            "p50 ms": round(1000 * at[499], 1),
            "p90 ms": round(1000 * at[899], 1),
            "p99 ms": round(1000 * at[989], 1),
            "max ms": round(1000 * max(self.waits), 1),
        }


class Reader(asyncio.Protocol):
    """One connection with one request at a time, in as few lines as it takes."""

    def __init__(self, on_answer: Callable[["Reader", float, bytes, bytes], None]) -> None:
        self._on_answer, self._buffer = on_answer, bytearray()
        self.due: deque[float] = deque()
        """When its questions should have been asked; the first one is on its way."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, request: bytes) -> None:
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end])
        start = head.lower().index(b"content-length: ") + 16
        length = int(head[start:].partition(b"\r\n")[0])
        if len(self._buffer) < end + 4 + length:
            return
        body = bytes(self._buffer[end + 4 :])
        self._buffer.clear()
        self._on_answer(self, time.perf_counter() - self.due.popleft(), head, body)


async def load(kind: str, port: int, tokens: list[str], manifests: dict[str, bytes], seconds: float) -> Found:
    """Let every reader ask in the manner of `kind` for so long."""
    loop, found, idle = asyncio.get_running_loop(), Found(), asyncio.Event()
    keys = list(manifests)
    wanted: dict[Reader, str] = {}
    token_of: dict[Reader, str] = {}
    pending = 0
    end = loop.time() + seconds

    def due(reader: Reader) -> None:
        """A question falls due: it is asked now, or after those before it, and waits from now on."""
        nonlocal pending
        pending += 1
        reader.due.append(time.perf_counter())
        if len(reader.due) == 1:
            ask(reader)

    def ask(reader: Reader) -> None:
        key = wanted[reader] = random.choice(keys)
        head = f"GET /objects/{key} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token_of[reader]}\r\n\r\n"
        reader.ask(head.encode())

    def on_answer(reader: Reader, wait: float, head: bytes, body: bytes) -> None:
        nonlocal pending
        pending -= 1
        if not head.startswith(b"HTTP/1.1 200") or body != manifests[wanted[reader]]:
            raise SystemExit(f"expected the manifest {wanted[reader]}, found {head!r}")
        found.waits.append(wait)
        found.ids.add(head.lower().partition(b"x-request-id: ")[2][:32].decode())
        if reader.due:
            ask(reader)
        elif kind == "saturated" and loop.time() < end:
            due(reader)
        elif not pending and loop.time() >= end:
            idle.set()

    readers: list[Reader] = []
    for token in tokens:
        _, reader = await loop.create_connection(lambda: Reader(on_answer), "127.0.0.1", port)
        token_of[reader] = token
        readers.append(reader)
    began = loop.time()
    end = began + seconds
    for reader in readers:
        first = random.uniform(0, 1) if kind == "steady" else 0.0
        times = 1 if kind == "saturated" else int(seconds)
        for number in range(times):
            loop.call_at(began + first + number, due, reader)
    await asyncio.sleep(seconds + 0.05)
    if pending:
        await asyncio.wait_for(idle.wait(), 30)
    found.seconds = loop.time() - began
    for reader in readers:
        reader.transport.close()
    return found


@contextmanager
def gateway(store: FolderStore, tokens: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A gateway in a process of its own."""
    command = [sys.executable, "-c", "from pe_data.cli import main; main()", "serve", "--store", store.url]
    command += ["--tokens", str(tokens), "--port", "0", "--rate", "100000", "--burst", "1000000"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield process, int(line.rpartition(":")[2])
    finally:
        process.terminate()
        process.wait(timeout=30)


def cpu_of(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fsync_ms(folder: Path) -> float:
    """The median cost of one small append and its flush on this disk."""
    times = []
    with (folder / "probe").open("ab") as handle:
        for _ in range(50):
            start = time.perf_counter()
            handle.write(b"x" * 700)
            handle.flush()
            os.fsync(handle.fileno())
            times.append(time.perf_counter() - start)
    return round(1000 * statistics.median(times), 2)


def publish(store: FolderStore, folder: Path) -> dict[str, bytes]:
    """Some datasets with the manifests of ordinary size; the stored manifests by key."""
    result = {}
    for number in range(DATASETS):
        data = f"payload {number}".encode() * 100
        path = folder / f"{number}.h5"
        path.write_bytes(data)
        names = tuple(sorted(f"variable_{number}_{i}" for i in range(100)))
        inputs = [InputFile(f"survey wave {i} of {number}", sha256_bytes(b"%d" % i), 1000) for i in range(5)]
        manifest = Manifest(
            artifact=Artifact(sha256_bytes(data), len(data), MEDIA_TYPES["h5"]),
            country=COUNTRY,
            dataset=f"survey_{number}",
            time_period=(2024,),
            entities={"person": Entity(rows=1000, columns={"float32": names})},
            licence="made-up licence",
            status="active",
            access="gated",
            schema_version="1.0",
            inputs=inputs_of(inputs),
        )
        publish_artifact(store, Item(path, manifest))
        key = manifest_key(COUNTRY, manifest.artifact.sha256)
        result[key] = store.get(key).data
    return result


if __name__ == "__main__":
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    main()
