"""A small repository of The Update Framework in memory, served over HTTP, that a test bends as it likes."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

TOP = (Root.type, Timestamp.type, Snapshot.type, Targets.type)
CLIENT = Path(__file__).with_name("client.py")


def ends(days: int = 1) -> datetime:
    return (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)


class Repository:
    """Metadata to change freely; `publish` signs it and puts it where clients look."""

    def __init__(self) -> None:
        self.signers: dict[str, list[CryptoSigner]] = {role: [CryptoSigner.generate_ed25519()] for role in TOP}
        self.root = Root(expires=ends())
        self.timestamp = Timestamp(expires=ends())
        self.snapshot = Snapshot(expires=ends())
        self.targets = Targets(expires=ends())
        self.delegated: dict[str, Targets] = {}
        self.files: dict[str, bytes] = {}
        """What the server has, by path."""
        self.asked: list[str] = []
        """What clients asked for."""
        for role in TOP:
            self.root.add_key(self.signers[role][0].public_key, role)
        self.publish_root()
        self.publish()

    def signed(self, role: str, part: Any, signers: list[CryptoSigner] | None = None) -> bytes:
        document = Metadata(part)
        for signer in self.signers[role] if signers is None else signers:
            document.sign(signer, append=True)
        return document.to_bytes()

    def put(self, name: str, data: bytes) -> None:
        self.files[f"metadata/{name}"] = data

    def publish_root(self, *also: CryptoSigner) -> None:
        """This version of the root, signed by its keys and by those of the version before."""
        self.put(f"{self.root.version}.root.json", self.signed("root", self.root, [*self.signers["root"], *also]))

    def next_root(self, *also: CryptoSigner) -> None:
        self.root.version += 1
        self.publish_root(*also)

    def publish(self) -> None:
        """Everything but the root, each under its own version."""
        for name, part in self.delegated.items():
            self.put(f"{part.version}.{name}.json", self.signed(name, part))
            self.snapshot.meta[f"{name}.json"] = MetaFile(part.version)
        self.put(f"{self.targets.version}.targets.json", self.signed("targets", self.targets))
        self.snapshot.meta["targets.json"] = MetaFile(self.targets.version)
        self.put(f"{self.snapshot.version}.snapshot.json", self.signed("snapshot", self.snapshot))
        self.timestamp.snapshot_meta = MetaFile(self.snapshot.version)
        self.put("timestamp.json", self.signed("timestamp", self.timestamp))

    def publish_next(self) -> None:
        """The same with every version one higher."""
        for part in (self.timestamp, self.snapshot, self.targets, *self.delegated.values()):
            part.version += 1
        self.publish()

    def add_target(self, name: str, data: bytes, role: str = "targets") -> None:
        info = TargetFile.from_data(name, data, ["sha256"])
        (self.targets if role == "targets" else self.delegated[role]).targets[name] = info
        folder, slash, base = name.rpartition("/")
        self.files[f"targets/{folder}{slash}{info.hashes['sha256']}.{base}"] = data

    def delegate(self, name: str, parent: str, paths: list[str], *, signer: CryptoSigner | None = None) -> None:
        """Let `parent` delegate `paths` to a role with a key of its own."""
        holder = self.targets if parent == "targets" else self.delegated[parent]
        if holder.delegations is None:
            holder.delegations = Delegations({}, {})
        assert holder.delegations.roles is not None
        holder.delegations.roles[name] = DelegatedRole(name, [], 1, terminating=False, paths=paths)
        self.signers.setdefault(name, [signer or CryptoSigner.generate_ed25519()])
        holder.add_key((signer or self.signers[name][0]).public_key, name)
        self.delegated.setdefault(name, Targets(expires=ends()))


@dataclass
class Client:
    """The client under test, in processes, with a memory of its own."""

    repository: Repository
    url: str
    folder: Path
    said: str = field(default="", init=False)

    @property
    def metadata(self) -> Path:
        return self.folder / "metadata"

    @property
    def downloads(self) -> Path:
        return self.folder / "targets"

    def start(self, *command: str) -> "subprocess.Popen[str]":
        arguments = ["--metadata-dir", str(self.metadata), "--metadata-url", f"{self.url}/metadata"]
        return subprocess.Popen([sys.executable, str(CLIENT), *arguments, *command], stderr=subprocess.PIPE, text=True)

    def run(self, *command: str) -> int:
        process = self.start(*command)
        self.said = process.communicate(timeout=60)[1]
        return process.returncode

    def init(self) -> int:
        root = self.folder / "initial_root.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        root.write_bytes(self.repository.files["metadata/1.root.json"])
        return self.run("init", str(root))

    def refresh(self) -> int:
        return self.run("refresh")

    def download(self, *names: str) -> int:
        self.downloads.mkdir(exist_ok=True)
        place = ["--target-base-url", f"{self.url}/targets", "--target-dir", str(self.downloads)]
        targets = [part for name in names for part in ("--target-name", name)]
        return self.run(*targets, *place, "download")

    def version(self, role: str) -> int:
        """Of what the client trusts."""
        document = json.loads((self.metadata / f"{role}.json").read_bytes())
        return int(document["signed"]["version"])


@contextmanager
def served(repository: Repository) -> Iterator[str]:
    """The address of a web server with the repository's files."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            repository.asked.append(path)
            data = repository.files.get(path)
            self.send_response(200 if data is not None else 404)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
