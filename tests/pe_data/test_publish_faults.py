"""Publishing when replies are lost, others write, disks fill and processes die."""

import os
import resource
import signal
import subprocess
import sys
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import forked
import pytest
import storage_helpers
from storage_helpers import Watched, areas, make_item, publish_areas

from pe_data.errors import (
    ConflictError,
    StoreError,
    StoreUnavailableError,
    VersionMismatchError,
)
from pe_data.keep.fsck import check_store
from pe_data.names.keys import payload_key
from pe_data.read.channels import history, read
from pe_data.store.objects import ObjectStore, memory_store
from pe_data.store.opening import open_store

# --- lost replies -----------------------------------------------------------------------------


class LosesReplies(ObjectStore):
    """Writes, then reports what a client sees whose reply was lost.

    `create` and `swap` name the error of every write; `also` runs between write and report.
    """

    create: Exception | None = None
    swap: Exception | None = None
    also = staticmethod(lambda: None)

    def put_create(self, key, data):  # type: ignore[no-untyped-def]
        token = super().put_create(key, data)
        if self.create and not key.startswith("channels/.probe"):
            raise self.create
        return token

    def put_swap(self, key, data, expected):  # type: ignore[no-untyped-def]
        token = super().put_swap(key, data, expected)
        if self.swap and not key.startswith("channels/.probe"):
            self.also()
            raise self.swap
        return token


@pytest.mark.parametrize("error", [StoreUnavailableError("lost"), VersionMismatchError("retried")])
def test_lost_reply_of_a_swap(tmp_path: Path, error: Exception) -> None:
    store = LosesReplies(memory_store().client, "memory://")
    publish_areas(store, areas(tmp_path, "a"))
    store.swap = error
    report = publish_areas(store, areas(tmp_path, "a", salt="2"), run_id="r2")
    assert (report.moved, report.version) == (True, 2)
    assert [p.body.version for p in history(store, "us", "areas")] == [2, 1]


def test_lost_reply_and_then_somebody_else_moves_on(tmp_path: Path) -> None:
    store = LosesReplies(memory_store().client, "memory://")
    other = ObjectStore(store.client, "memory://")
    publish_areas(store, areas(tmp_path, "a"))
    store.swap = VersionMismatchError("retried")
    store.also = lambda: publish_areas(other, areas(tmp_path, "a", salt="3"), run_id="r3")  # type: ignore[method-assign,assignment]
    report = publish_areas(store, areas(tmp_path, "a", salt="2"), run_id="r2")
    assert (report.moved, report.version) == (True, 2), "ours was version 2, then came 3"
    assert [p.body.version for p in history(store, "us", "areas")] == [3, 2, 1]


def test_lost_replies_of_creations(tmp_path: Path) -> None:
    store = LosesReplies(memory_store().client, "memory://")
    store.create = StoreUnavailableError("lost")
    report = publish_areas(store, areas(tmp_path, "a", "b"))
    assert (report.moved, report.version, report.uploaded) == (True, 1, 2)
    assert check_store(ObjectStore(store.client, "memory://")).ok


def test_a_write_that_really_failed_is_reported(tmp_path: Path) -> None:
    class Refuses(ObjectStore):
        def put_swap(self, key, data, expected):  # type: ignore[no-untyped-def]
            if key.startswith("channels/.probe"):
                return super().put_swap(key, data, expected)
            raise StoreUnavailableError("really down")

        def put_create(self, key, data):  # type: ignore[no-untyped-def]
            if key.startswith("channels/.probe") or self.up:
                return super().put_create(key, data)
            raise StoreUnavailableError("really down")

        up = True

    store = Refuses(memory_store().client, "memory://")
    publish_areas(store, areas(tmp_path, "a"))
    with pytest.raises(StoreUnavailableError, match="really down"):
        publish_areas(store, areas(tmp_path, "a", salt="2"))
    store.up = False
    with pytest.raises(StoreUnavailableError, match="really down"):
        publish_areas(store, areas(tmp_path, "a", salt="3"))
    assert read(store, "us", "areas").body.version == 1


def test_the_loser_of_a_race_is_told_and_its_files_stay(tmp_path: Path) -> None:
    store = Watched()
    publish_areas(store, areas(tmp_path, "a"))

    def overtake(operation: str, key: str) -> None:
        if ".history/" in key:
            store.hook = lambda operation, key: None
            publish_areas(store, areas(tmp_path / "other", "a", salt="3"), run_id="r3")

    items = areas(tmp_path, "a", salt="2")
    store.hook = overtake
    with pytest.raises(ConflictError, match="expected to write version 2, found version 2"):
        publish_areas(store, items, run_id="r2")
    assert store.exists(payload_key("us", items["a"].manifest.artifact.sha256, "h5"))
    assert publish_areas(store, items, run_id="r2").version == 3


class DroppingProxy(BaseHTTPRequestHandler):
    """Forwards to the server behind; the reply of the first write of each key in `drop` is lost."""

    protocol_version = "HTTP/1.1"
    behind: tuple[str, int]
    drop: set[str]
    dropped: list[str]

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        onward = HTTPConnection(*self.behind)
        onward.request(self.command, self.path, body, dict(self.headers))
        reply = onward.getresponse()
        data = reply.read()
        name = next((one for one in self.drop if self.path.endswith(one)), None)
        if self.command == "PUT" and name:
            self.drop.remove(name)
            self.dropped.append(name)
            self.close_connection = True
            return
        self.send_response(reply.status)
        for header, value in reply.getheaders():
            if header.lower() not in ("transfer-encoding", "connection", "date", "server", "content-length"):
                self.send_header(header, value)
        self.send_header("Content-Length", reply.getheader("Content-Length") or str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = forward

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""


def test_replies_that_a_real_server_loses(s3_server: dict[str, str], s3_bucket: str, tmp_path: Path) -> None:
    address = urlsplit(s3_server["endpoint"])
    handler = type(
        "Handler",
        (DroppingProxy,),
        {
            "behind": (address.hostname, address.port),
            "drop": {".h5", ".manifest.json", ".collection.json", "latest.json"},
            "dropped": [],
        },
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        options = {**s3_server, "endpoint": f"http://127.0.0.1:{proxy.server_address[1]}"}
        store = open_store(f"s3://{s3_bucket}", options=options)
        report = publish_areas(store, areas(tmp_path, "a", "b"))
        assert (report.moved, report.version) == (True, 1)
        handler.drop.add("latest.json")  # type: ignore[attr-defined]
        report = publish_areas(store, areas(tmp_path, "a", "b", salt="2"), run_id="r2")
        assert (report.moved, report.version) == (True, 2)
        proxy.shutdown()
    assert sorted(handler.dropped) == [".collection.json", ".h5", ".manifest.json", "latest.json", "latest.json"]  # type: ignore[attr-defined]
    direct = open_store(f"s3://{s3_bucket}", options=s3_server)
    assert check_store(direct).ok
    assert [p.body.version for p in history(direct, "us", "areas")] == [2, 1]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """A limit on file size stands in for the full disk: the write fails in the middle."""
    item = make_item(tmp_path, "a", b"x" * 3_000_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    store = open_store(str(tmp_path / "store"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(StoreError, match="the file system refused: File too large"):
            publish_areas(store, {"a": item})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "store" / ".staging").iterdir()) == []
    assert check_store(store).ok
    assert publish_areas(store, {"a": item}).version == 1


# --- kill -9 at every step --------------------------------------------------------------------


@pytest.mark.parametrize("first_publication", [True, False])
def test_kill_at_every_step(tmp_path: Path, first_publication: bool) -> None:
    """Killed at any step, the old pointer is valid, no object is damaged, a retry completes."""
    expected = 1 if first_publication else 2
    calm = tmp_path / "calm"
    if not first_publication:
        storage_helpers.main(calm, "r1", 0)
    steps = forked.run(storage_helpers.main, calm, "r2", 0).stdout.splitlines()[:-1]
    assert {"link .h5", "link .manifest.json", "link .collection.json", "remove .staging"} <= set(steps)
    assert ("link .json" if first_publication else "rename .json") in steps[steps.index("link .h5") :], "the pointer"
    for number, step in enumerate(steps, 1):
        # A probe that is killed is like one that was never begun; a few of its steps suffice.
        if number < steps.index("link .h5") - 3 and number % 3:
            continue
        folder = tmp_path / f"{number}"
        if not first_publication:
            storage_helpers.main(folder, "r1", 0)
        killed = forked.run(storage_helpers.main, folder, "r2", number)
        assert killed.returncode == -signal.SIGKILL, (number, step, killed.stderr)
        store = open_store(str(folder / "store"))
        report = check_store(store)
        interrupted = [f for f in report.findings if "publication was interrupted" in f.problem]
        assert report.findings == tuple(interrupted), (number, step)
        assert len(interrupted) <= 1
        pointers = [m.key for m in store.list("channels/us/") if m.key.endswith("latest.json")]
        if pointers:
            assert read(store, "us", "areas").body.version in (expected - 1, expected)
        else:
            assert first_publication
        storage_helpers.main(folder, "r2", 0)
        assert check_store(store).ok, (number, step)
        assert read(store, "us", "areas").body.version == expected
        assert len(list(history(store, "us", "areas"))) == expected


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from pe_data.write.channels import move
from pe_data.names.digests import sha256_bytes
from pe_data.errors import ConflictError
from pe_data.store.folder import FolderStore

store = FolderStore(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
won = lost = 0
while won < 5:
    digest = sha256_bytes(f"{sys.argv[2]} {won} {lost}".encode())
    try:
        outcome = move(store, "us", "d", artifact_sha256=digest, manifest_sha256=digest,
                       namespace="t")
        won += 1
        print(outcome.pointer.body.version, digest, flush=True)
    except ConflictError:
        lost += 1
"""


def test_ten_processes_on_one_channel_of_a_folder(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for number in range(10)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    claims: list[tuple[int, str]] = []
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        out, _ = writer.communicate(timeout=60)
        assert writer.returncode == 0
        claims += [(int(v), d) for v, d in (line.split() for line in out.splitlines())]
    chain = list(history(open_store(str(tmp_path)), "us", "d"))
    assert sorted(claims) == sorted((p.body.version, p.body.artifact_sha256) for p in chain)
    assert [p.body.version for p in chain] == list(range(50, 0, -1))
