"""Places that lie, drip or send nonsense: whoever else has the bytes delivers them, and nothing of the lie stays."""

import json
import os
import socket
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from storage_helpers import make_item

import pe_data
from pe_data.cache.entries import Cache
from pe_data.cache.fetch import Tuning, Wanted, fetch
from pe_data.cli import run
from pe_data.errors import CacheWarning, FetchError, ObjectNotFoundError, PeDataError, StoreError, StoreUnavailableError
from pe_data.names.digests import Sha256, canonical_json, sha256_bytes, sha256_file
from pe_data.names.keys import manifest_key, payload_key, tombstone_key
from pe_data.store import connections
from pe_data.store import web_source as web
from pe_data.store.byte_source import PIECE_BYTES, Body, Source
from pe_data.store.folder import FolderStore
from pe_data.store.opening import open_store
from pe_data.store.pace import Meter, Pace, TooSlowError
from pe_data.store.web_source import Web, number
from pe_data.write.publish import publish_artifact

DATA = b"\x89HDF" + os.urandom(20_000)
SHA = sha256_bytes(DATA)
PIN = f"pe-data://us/cps@sha256:{SHA}"
FAST = Pace(floor=10_000, window=0.5)
Answer = Callable[[socket.socket], None]


@dataclass
class Scripted:
    """A server that answers each path as it is told, byte by byte; 404 for all others."""

    answers: dict[str, Answer] = field(default_factory=dict)
    """By the end of the path."""
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(client,), daemon=True).start()

    def one(self, client: socket.socket) -> None:
        with client:
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = client.recv(65536)
                    if not piece:
                        return
                    head += piece
                path = head.split(b" ")[1].decode("latin-1")
                self.asked.append(path)
                answer = next((one for end, one in self.answers.items() if path.endswith(end)), None)
                (answer or raw(b"HTTP/1.1 404 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))(client)
            except OSError:
                pass


@contextmanager
def scripted(answers: dict[str, Answer]) -> Iterator[Scripted]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Scripted(answers, url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        threading.Thread(target=server.serve, args=(listener,), daemon=True).start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)


def raw(data: bytes) -> Answer:
    return lambda client: client.sendall(data)


def body(data: bytes, *headers: str) -> Answer:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(data)}", "Connection: close", *headers, "", ""]
    return raw("\r\n".join(lines).encode() + data)


def drip(data: bytes, pause: float, head: bytes | None = None) -> Answer:
    """One byte at a time."""
    begin = f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode()

    def answer(client: socket.socket) -> None:
        client.sendall(begin if head is None else head)
        for byte in data:
            client.sendall(bytes([byte]))
            time.sleep(pause)

    return answer


def manifest(**change: Any) -> bytes:
    """What a hostile place says of the payload."""
    base = {
        "schema_version": "1.0",
        "artifact": {"sha256": SHA, "size_bytes": len(DATA), "media_type": "application/x-hdf5"},
        "country": "us",
        "dataset": "cps",
        "time_period": [2024],
        "entities": {"person": {"rows": 1, "columns": {"float32": ["age"]}}},
        "licence": "CC0-1.0",
        "status": "active",
        "access": "public",
    }
    return canonical_json({**base, **change})


def claimed(**change: Any) -> bytes:
    about = {"sha256": SHA, "size_bytes": len(DATA), "media_type": "application/x-hdf5", **change}
    return manifest(artifact=about)


@pytest.fixture
def good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_pauses: None) -> Path:
    """A store that is as it should be."""
    for name in [name for name in os.environ if name.startswith("PE_DATA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "none.toml"))
    store = FolderStore(tmp_path / "good")
    publish_artifact(store, make_item(tmp_path / "files", "cps", DATA, dataset="cps"))
    return store.root


def ask(monkeypatch: pytest.MonkeyPatch, *places: str | Path) -> Path:
    monkeypatch.setenv("PE_DATA_STORE", str(places[0]))
    monkeypatch.setenv("PE_DATA_MIRRORS", ",".join(map(str, places[1:])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pe_data.ensure(PIN)


# --- a pin is its digest: what one place says of it binds nobody ----------------------------------------

LIES = {
    "one byte more": claimed(size_bytes=len(DATA) + 1),
    "one byte less": claimed(size_bytes=len(DATA) - 1),
    "nothing at all": claimed(size_bytes=0),
    "parquet": claimed(media_type="application/vnd.apache.parquet"),
    "revoked": manifest(status="revoked"),
    "gated": manifest(access="gated"),
    "a terabyte": claimed(size_bytes=10**12),
    "a petabyte": claimed(size_bytes=10**15),
    "not to be counted": claimed(size_bytes=10**4000),
    "no manifest": b"<html>404</html>",
    "of other bytes": claimed(sha256="0" * 64),
    "of another country": manifest(country="uk"),
}


def lies() -> Iterator[Any]:
    """Every lie; with the wrong payloads too it takes longer."""
    for lie in LIES:
        for payload in (None, b"other bytes", DATA[:-1]):
            slow = payload is not None and lie not in ("one byte less", "parquet")
            yield pytest.param(lie, payload, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize(("lie", "payload"), lies())
def test_a_hostile_mirror_does_not_break_a_pin(
    good: Path, monkeypatch: pytest.MonkeyPatch, lie: str, payload: bytes | None
) -> None:
    answers = {".manifest.json": body(LIES[lie])}
    if payload is not None:
        answers |= {".h5": body(payload), ".parquet": body(payload)}
    began = time.process_time()
    with scripted(answers) as hostile:
        path = ask(monkeypatch, hostile.url, good)
        assert path.read_bytes() == DATA
        assert any(asked.endswith(".h5") for asked in hostile.asked)
    assert time.process_time() - began < 5
    kept = [p for p in path.parent.iterdir() if "json" in p.suffix and p.read_bytes() == LIES[lie]]
    assert not kept


@pytest.mark.parametrize("size", [0, 1, len(DATA) + 1, 10**12, 10**15, 10**17, 10**30])
def test_a_hostile_mirror_claims_a_size(good: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    begin = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n".encode()
    began = time.process_time()
    with scripted({".h5": raw(begin + DATA), ".parquet": raw(begin + DATA)}) as hostile:
        path = ask(monkeypatch, hostile.url, good)
        assert (path.suffix, path.read_bytes()) == (".h5", DATA)
        monkeypatch.setenv("PE_DATA_CACHE", str(good.parent / "other"))
        with pytest.raises(PeDataError, match=SHA):
            ask(monkeypatch, hostile.url)
    assert time.process_time() - began < 5
    assert not list(good.parent.glob("cache/partial/*"))


@pytest.mark.parametrize("lie", LIES)
def test_a_failed_pin_is_mended_by_the_next_call(good: Path, monkeypatch: pytest.MonkeyPatch, lie: str) -> None:
    """Nothing that the hostile place said decides later, when it is gone."""
    with scripted({".manifest.json": body(LIES[lie])}) as hostile, pytest.raises(Exception, match=SHA):
        ask(monkeypatch, hostile.url)
    assert ask(monkeypatch, good).read_bytes() == DATA


def test_a_lie_that_an_earlier_version_kept_decides_nothing(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Cache(tmp_path / "cache").path(SHA, "manifest.json")
    kept.parent.mkdir(parents=True)
    for lie in LIES.values():
        kept.write_bytes(lie)
        path = ask(monkeypatch, good)
        assert path.read_bytes() == DATA
        path.unlink()
    ask(monkeypatch, good)
    kept.write_bytes(LIES["one byte more"])
    assert pe_data.resolve(PIN).size_bytes == len(DATA)  # it contradicts the payload
    assert not kept.exists()


def test_a_dead_store_and_a_hostile_mirror(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted({".manifest.json": body(LIES["revoked"])}) as hostile:
        assert ask(monkeypatch, "http://127.0.0.1:9/dead", hostile.url, good).read_bytes() == DATA


def test_only_places_without_a_manifest(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderStore(good)
    store.delete(manifest_key("us", SHA))
    assert ask(monkeypatch, good).read_bytes() == DATA
    store.delete(payload_key("us", SHA, "h5"))
    monkeypatch.setenv("PE_DATA_CACHE", str(good.parent / "fresh"))
    with pytest.raises(ObjectNotFoundError, match="expected a payload or a collection"):
        ask(monkeypatch, good)


def test_an_unbound_manifest_is_marked(
    good: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = manifest(licence="made up", access="gated", status="revoked")
    with scripted({".manifest.json": body(forged)}) as hostile:
        monkeypatch.setenv("PE_DATA_STORE", hostile.url)
        assert run(["schema", PIN]) == 0
        assert "not bound" in capsys.readouterr().out
        assert run(["schema", PIN, "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["bound"], shown["status"]) == (False, "active")
        assert run(["resolve", PIN, "--json"]) == 0
        resolved = json.loads(capsys.readouterr().out)
        assert (resolved["bound"], resolved["status"]) == (False, "active")
    assert not list((good.parent / "cache").rglob("*.json"))  # shown, and not kept
    monkeypatch.setenv("PE_DATA_STORE", str(good))
    assert run(["schema", "pe-data://us/cps@latest", "--json"]) == 0
    assert "bound" not in json.loads(capsys.readouterr().out)
    assert run(["resolve", "pe-data://us/cps@latest", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bound"] is True


def test_an_unbound_manifest_is_marked_in_a_comparison(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forged = manifest(licence="made up", access="gated")
    with scripted({".manifest.json": body(forged)}) as hostile:
        monkeypatch.setenv("PE_DATA_STORE", hostile.url)
        with pytest.warns(CacheWarning, match="not bound"):
            assert not pe_data.diff(PIN, PIN)


def test_an_unbound_manifest_never_wins_over_a_bound_one(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forged = manifest(licence="made up")
    with scripted({".manifest.json": body(forged), ".h5": body(DATA)}) as hostile:
        ask(monkeypatch, hostile.url)
    monkeypatch.setenv("PE_DATA_STORE", str(good))
    latest = pe_data.resolve("pe-data://us/cps@latest")
    assert latest.manifest_sha256 != sha256_bytes(forged)
    assert latest.bound


# --- a server that drips ------------------------------------------------------------------------------


class Dripping:
    """Sends so many bytes per read, after a pause."""

    def __init__(self, name: str, data: bytes, per_read: int, pause: float) -> None:
        self.name, self.data, self.per_read, self.pause = name, data, per_read, pause
        self.opened: list[int] = []
        self.suffix = None

    def open(self, start: int = 0, length: int | None = None, pace: Pace | None = None) -> Body:
        self.opened.append(start)
        at = start

        def read(buffer: memoryview) -> int:
            nonlocal at
            time.sleep(self.pause)
            piece = self.data[at : at + min(len(buffer), self.per_read)]
            buffer[: len(piece)] = piece
            at += len(piece)
            return len(piece)

        return Body(read, total=len(self.data), start=start, length=length)


@pytest.mark.parametrize("size", [10**9, 10**12])
def test_what_a_size_costs_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """However large somebody says that it is, only what several connections read is held."""
    monkeypatch.setattr("pe_data.cache.fetch.shutil.disk_usage", lambda _: SimpleNamespace(free=10**15))

    def opened(start: int = 0, length: int | None = None, pace: Pace | None = None) -> Body:
        left = [3 * PIECE_BYTES]

        def read(buffer: memoryview) -> int:
            left[0] -= len(buffer)
            return len(buffer) if left[0] >= 0 else 0

        return Body(read, total=size, start=start, length=length)

    tuning = Tuning(parallel_from=1, solo_seconds=0, connections=2, span_bytes=4 * PIECE_BYTES, attempts=1)
    tracemalloc.start()
    try:
        for one in (Tuning(attempts=1, solo_seconds=60), tuning):
            with pytest.raises(FetchError, match="found the end"):
                fetch(Cache(tmp_path), Wanted(SHA, "h5", size, "large"), [Source("s", opened)], tuning=one)
        assert tracemalloc.get_traced_memory()[1] < 20 * PIECE_BYTES
    finally:
        tracemalloc.stop()


LARGE = os.urandom(2 * PIECE_BYTES + 1000)
WANTED = Wanted(sha256_bytes(LARGE), "h5", len(LARGE), "large")
TUNING = Tuning(pace=Pace(floor=1_000_000, window=0.2), pause_seconds=0)


def test_a_slow_source_is_left_while_there_is_another_and_what_it_sent_stays(tmp_path: Path) -> None:
    slow, fast = Dripping("slow", LARGE, 65536, 0.0), Dripping("fast", LARGE, PIECE_BYTES, 0)
    slow.pause = 0.0
    first = Cache(tmp_path)

    def slow_down(done: int, size: int | None) -> None:
        slow.pause, slow.per_read = 0.05, 10

    fetched = fetch(first, WANTED, [slow, fast], tuning=replace(TUNING, progress=slow_down))
    assert fetched.source == "fast"
    assert [one.slow for one in fetched.skipped] == [True]
    assert fast.opened[0] in range(65536, 65536 + 1000)
    assert sha256_file(fetched.path) == WANTED.sha256


def test_the_only_source_may_be_slow(tmp_path: Path) -> None:
    only = Dripping("only", LARGE[:30], 1, 0.02)
    wanted = Wanted(sha256_bytes(LARGE[:30]), "h5", 30, "small")
    assert fetch(Cache(tmp_path), wanted, [only], tuning=TUNING).source == "only"


def test_a_slow_source_is_asked_again_when_nobody_else_has_it(tmp_path: Path) -> None:
    data = LARGE[:30]
    slow, wrong = Dripping("slow", data, 1, 0.02), Dripping("wrong", bytes(30), 30, 0)
    wanted = Wanted(sha256_bytes(data), "h5", 30, "small")
    fetched = fetch(Cache(tmp_path), wanted, [slow, wrong], tuning=TUNING)
    assert fetched.source == "slow"
    assert [(one.source, one.slow) for one in fetched.skipped] == [("slow", True), ("wrong", False)]


@pytest.mark.parametrize("parts", [1, 4])
def test_several_connections_to_a_slow_source(tmp_path: Path, parts: int) -> None:
    slow, fast = Dripping("slow", LARGE, 10, 0.05), Dripping("fast", LARGE, PIECE_BYTES, 0)
    tuning = Tuning(parallel_from=1, solo_seconds=0.0, connections=parts + 1, span_bytes=PIECE_BYTES, pace=TUNING.pace)
    assert fetch(Cache(tmp_path), WANTED, [slow, fast], tuning=tuning).source == "fast"


def test_a_server_that_drips_its_payload(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pe_data.cache.fetch.PACE", FAST)
    right = (good / manifest_key("us", SHA)).read_bytes()
    with scripted({".manifest.json": body(right), ".h5": drip(DATA, 0.02)}) as hostile:
        began = time.monotonic()
        assert ask(monkeypatch, hostile.url, good).read_bytes() == DATA
        assert time.monotonic() - began < 20  # alone it would take 400 s


def test_a_server_that_drips_its_headers(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ANSWER_SECONDS", 0.5)
    right = (good / manifest_key("us", SHA)).read_bytes()
    endless = drip(b"x" * 10_000, 0.02, head=b"HTTP/1.1 200 OK\r\nX-Slow: ")
    with scripted({".manifest.json": body(right), ".h5": endless}) as hostile:
        began = time.monotonic()
        assert ask(monkeypatch, hostile.url, good).read_bytes() == DATA
        assert time.monotonic() - began < 20


def test_a_server_that_drips_a_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a limit for documents also where nobody else is left."""
    monkeypatch.setattr("pe_data.store.objects.PACE", FAST)
    with scripted({"a.json": drip(b"x" * 10_000, 0.02), "b.json": body(b"{}")}) as hostile:
        store = open_store(hostile.url)
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="too slow"):
            store.get("a.json")
        assert time.monotonic() - began < 15
        assert store.get("b.json").data == b"{}"


def test_only_waiting_counts() -> None:
    meter = Meter(Pace(floor=100, window=1.0))
    for _ in range(10):
        meter.note(100, 0.5)
    meter.note(0, 0.6)
    with pytest.raises(TooSlowError, match="expected 100 bytes per second, found 0 in 1 s"):
        meter.note(0, 0.6)


# --- headers that are none ------------------------------------------------------------------------------

DIGITS = "9" * 5000
HEADERS = {
    "length": f"HTTP/1.1 200 OK\r\nContent-Length: {DIGITS}\r\n\r\n",
    "range": f"HTTP/1.1 206 OK\r\nContent-Length: 5\r\nContent-Range: bytes 0-5/{DIGITS}\r\n\r\n",
    "range start": f"HTTP/1.1 206 OK\r\nContent-Length: 5\r\nContent-Range: bytes {DIGITS}-5/9\r\n\r\n",
    "location": "HTTP/1.1 302 OK\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n",
    "location, port": "HTTP/1.1 302 OK\r\nLocation: http://127.0.0.1:99999999/\r\nContent-Length: 0\r\n\r\n",
    "location, scheme": "HTTP/1.1 302 OK\r\nLocation: ftp://127.0.0.1/x\r\nContent-Length: 0\r\n\r\n",
    "location, nothing": "HTTP/1.1 302 OK\r\nLocation: \r\nContent-Length: 0\r\n\r\n",
    "chunk": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{'f' * 5000}\r\nabc",
    "chunk, no number": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
    "status": f"HTTP/1.1 {DIGITS} OK\r\n\r\n",
    "status, no number": "HTTP/1.1 abc OK\r\n\r\n",
    "many headers": "HTTP/1.1 200 OK\r\n" + "a: b\r\n" * 1000 + "\r\n",
    "binary": "\x00\xff\xfe\r\n\r\n",
    "length, other digits": "HTTP/1.1 200 OK\r\nContent-Length: ٣\r\n\r\n",
}


@pytest.mark.parametrize("kind", HEADERS)
def test_hostile_headers_move_on_to_the_next_place(good: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr("pe_data.cache.fetch.Tuning", partial(Tuning, pause_seconds=0))
    right = (good / manifest_key("us", SHA)).read_bytes()
    answers = {".manifest.json": body(right), ".h5": raw(HEADERS[kind].encode())}
    with scripted(answers) as hostile:
        assert ask(monkeypatch, hostile.url, good).read_bytes() == DATA
        monkeypatch.setenv("PE_DATA_CACHE", str(good.parent / "other"))
        with pytest.raises(FetchError, match=SHA):
            ask(monkeypatch, hostile.url)


@pytest.mark.parametrize("text", [None, "", "-1", "+1", "1_0", "٣", "²", " 1", DIGITS, "1e3", "0x10"])
def test_numbers_that_are_none(text: str | None) -> None:
    assert number(text) is None
    assert number("0012") == 12


# --- redirects ------------------------------------------------------------------------------------------


def redirect(to: str, code: int = 302) -> Answer:
    return raw(f"HTTP/1.1 {code} x\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("hops", [1, 3])
def test_a_gateway_link_is_not_followed_into_the_clear(code: int, hops: int) -> None:
    """Every hop is checked, not the first one alone."""
    with scripted({"/payload": body(DATA)}) as server:
        elsewhere = f"http://localhost.example.invalid:{server.url.rpartition(':')[2]}/payload"
        for hop in range(hops):
            server.answers[f"/hop{hop}"] = redirect(f"{server.url}/hop{hop + 1}", code)
        server.answers[f"/hop{hops - 1}"] = redirect(elsewhere, code)
        link = f"{server.url}/hop0"
        with pytest.raises(StoreError, match="expected https on every hop") as caught:
            web.Web(private=True).open(link, "gateway")
        assert not isinstance(caught.value, StoreUnavailableError)
        assert "/payload" not in server.asked
        server.answers[f"/hop{hops - 1}"] = redirect(f"{server.url}/payload", code)
        with web.Web(private=True).open(link, "gateway") as right:  # this machine is no network
            assert right.total == len(DATA)


def test_https_stays_https() -> None:
    """Of a web file or a mirror too; only what began in the clear may go on in it."""
    import urllib.request

    request = urllib.request.Request("https://example.org/a.h5")
    handler = web._Redirects(private=False, follow=True)
    for to in ("http://example.org/a.h5", "ftp://example.org/a.h5"):
        with pytest.raises(OSError, match="expected https on every hop"):
            handler.redirect_request(request, None, 302, "", {}, to)  # type: ignore[arg-type]
    assert handler.redirect_request(request, None, 302, "", {}, "https://b.example.org/") is not None  # type: ignore[arg-type]
    clear = urllib.request.Request("http://example.org/a.h5")
    assert handler.redirect_request(clear, None, 302, "", {}, "http://b.example.org/") is not None  # type: ignore[arg-type]


def test_a_mirror_may_redirect(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted({"/payload": body(DATA)}) as server:
        server.answers["/r"] = redirect(f"{server.url}/payload")
        with Web().open(f"{server.url}/r", "mirror") as right:
            assert right.total == len(DATA)


def test_a_store_is_asked_for_its_list_and_before_there_is_one_for_a_tombstone(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No manifest has to be read first to know whether a pin was revoked, and no mirror is searched."""
    with scripted({}) as empty:
        ask(monkeypatch, empty.url, good)
        assert "revocations/us.json" in empty.asked[0]
        assert tombstone_key("us", Sha256(SHA)) in empty.asked[1]
    monkeypatch.setenv("PE_DATA_CACHE", str(good.parent / "another cache"))
    with scripted({}) as empty:
        ask(monkeypatch, good, empty.url)
        assert not any("tombstone" in one or "revocations" in one for one in empty.asked)
