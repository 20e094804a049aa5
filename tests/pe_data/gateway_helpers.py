"""A synthetic dataset of a gated country, a gateway in a process of its own, and a bare HTTP client.

The dataset is made up: a few households in the entities of the model (`household`, `benunit`, `person`),
with an input that is called like a survey wave, so that questions about origin can be asked.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
from storage_helpers import at_time

from pe_data.describe.columns import inputs_of
from pe_data.describe.file import Label, describe
from pe_data.documents.manifest import Build, InputFile
from pe_data.names.digests import sha256_bytes
from pe_data.store.base import Store
from pe_data.write.publish import PublishReport, publish_artifact, publish_collection
from pe_data.write.upload import Item
from pe_data_gateway.tokens import new_token

DATASET = "enhanced_frs_2023"
SURVEY = "FRS 2023-24"
LICENCE = "made-up end user licence"


def write_households(path: Path, *, households: int = 40, seed: int = 0) -> Path:
    """A period-grouped H5 with households of one benefit unit or two, and one to three persons in each."""
    random = np.random.default_rng(seed)
    benunits = np.repeat(np.arange(households), random.integers(1, 3, households))
    persons = np.repeat(np.arange(len(benunits)), random.integers(1, 4, len(benunits)))
    count = len(persons)
    columns = {
        "household_id": np.arange(households),
        "household_weight": random.uniform(500, 1500, households).astype("float32"),
        "council_tax": random.uniform(800, 3000, households).astype("float32"),
        "region": random.choice([b"LONDON", b"WALES", b"SCOTLAND"], households),
        "benunit_id": np.arange(len(benunits)),
        "universal_credit": random.uniform(0, 9000, len(benunits)).astype("float32"),
        "person_id": np.arange(count),
        "person_benunit_id": persons,
        "person_household_id": benunits[persons],
        "age": random.integers(0, 95, count),
        "employment_income": random.uniform(0, 60000, count).astype("float32"),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file[f"{name}/2023"] = values
    return path


def survey_label(dataset: str = DATASET, survey: str = SURVEY) -> Label:
    """What the manifest says of such a file: gated by the table of countries, with one input."""
    raw = f"made-up {survey}".encode()
    return Label(
        "uk",
        dataset,
        licence=LICENCE,
        inputs=inputs_of([InputFile(f"{survey} adult.tab", sha256_bytes(raw), len(raw))]),
        build=Build(model_package="policyengine-uk", model_version="2.0.0"),
    )


def publish_survey(
    store: Store, folder: Path, *, dataset: str = DATASET, survey: str = SURVEY, seed: int = 0, households: int = 40
) -> PublishReport:
    """Publish one file as the dataset."""
    path = write_households(folder / f"{dataset}-{seed}.h5", seed=seed, households=households)
    return publish_artifact(store, Item(path, describe(path, survey_label(dataset, survey))))


def publish_regions(store: Store, folder: Path, *names: str) -> PublishReport:
    """Publish a collection `uk/regions`."""
    label = survey_label("regions")
    items = {}
    for seed, name in enumerate(names, start=100):
        path = write_households(folder / f"{name}.h5", seed=seed)
        items[name] = Item(path, describe(path, label))
    return publish_collection(store, items, country="uk", dataset="regions", run_id="r1")


def give_token(path: Path, user: str, *scopes: str, days: float = 30, now: datetime | None = None) -> str:
    """A fresh token."""
    return at_time(now or datetime.now(UTC), new_token, path, user, scopes or ("uk/*",), timedelta(days=days))[0]


@dataclass
class Running:
    """A gateway that listens."""

    process: subprocess.Popen[str]
    url: str
    lines: list[str] = field(default_factory=list)
    """Everything that it has written to standard output and standard error."""

    @property
    def store(self) -> str:
        return f"gateway+{self.url}"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=20)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=20)


@contextmanager
def gateway(
    store: str | None,
    tokens: Path,
    *options: str,
    environment: Mapping[str, str] | None = None,
    file_limit: int | None = None,
) -> Iterator[Running]:
    """`pe-data serve` on a free port; stopped at the end.

    Without `store` it is the configured one. `file_limit` is the longest file, in bytes, that the process
    may write: its writes then fail in the kernel after a part, as on a full disk.
    """
    command = [sys.executable, "-c", "from pe_data.cli import main; main()", "serve"]
    command += ["--tokens", str(tokens), "--port", "0", *(["--store", store] if store else []), *options]
    if file_limit is not None:
        command = ["prlimit", f"--fsize={file_limit}", *command]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
    )
    assert process.stdout is not None
    output = process.stdout
    lines: list[str] = []
    ready = threading.Event()

    def read() -> None:
        for line in output:
            lines.append(line)
            if line.startswith("serving "):
                ready.set()
        ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert ready.wait(60), "the gateway did not come up"
        address = next((line for line in lines if line.startswith("serving ")), "")
        assert address, "".join(lines)
        yield Running(process, address.rpartition(" at ")[2].strip(), lines)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        reader.join(timeout=20)
        output.close()


@dataclass(frozen=True)
class Answer:
    """One answer of a server, as it came."""

    status: int
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes

    @property
    def error(self) -> dict[str, object]:
        return dict(json.loads(self.body)["error"])


class Connection:
    """One HTTP/1.1 connection that stays open; bare, so that a client costs little beside the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int, source: str | None = None) -> "Connection":
        """From another address of this machine, if `source` says so."""
        local = (source, 0) if source else None
        return cls(*await asyncio.open_connection("127.0.0.1", port, local_addr=local))

    async def get(self, path: str, headers: Mapping[str, str], method: str = "GET") -> Answer:
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        self._writer.write("\r\n".join(lines).encode("latin-1"))
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        found = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        length = 0 if method == "HEAD" else int(found.get("content-length", "0"))
        return Answer(int(head[0].split()[1]), found, await self._reader.readexactly(length))

    def close(self) -> None:
        self._writer.close()


def ask(
    port: int, path: str, token: str | None = None, *, method: str = "GET", source: str | None = None, **headers: str
) -> Answer:
    """One request on a connection of its own, the path sent as it is."""

    async def once() -> Answer:
        connection = await Connection.open(port, source)
        try:
            bearer = {"Authorization": f"Bearer {token}"} if token else {}
            return await connection.get(path, {**bearer, **headers}, method)
        finally:
            connection.close()

    return asyncio.run(once())
