"""A web server that can misbehave, data to fetch, and a fetch that may be killed (:mod:`forked` runs it)."""

import itertools
import os
import signal
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pe_data.cache.entries import Cache
from pe_data.cache.part import Part
from pe_data.read.fetch import fetch_with
from pe_data.read.options import Options
from pe_data.read.resolver import ensure_with


@dataclass
class Fault:
    """How one path is answered; the default is as it should be."""

    kind: str = ""
    """`flip`, `other`, `short` (announces less), `cut` (breaks off), `long`, `endless`, `500`,
    `404`, `replace` (with `data`), `lying` (announces ranges, gives the wrong ones)."""
    times: int = 1_000_000_000
    """Only for the first so many requests."""
    data: bytes = b""
    at: int = 1000
    """Where `flip` flips and `cut` breaks off, in bytes of the reply."""


@dataclass
class WebServer:
    """Serves a folder on the loopback interface, in threads."""

    folder: Path
    ranges: bool = True
    lengths: bool = True
    """False: payloads come without a length, until the connection closes."""
    faults: dict[str, Fault] = field(default_factory=dict)
    """By the end of the path."""
    gets: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    """Bytes of bodies by path."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and Range of each GET."""

    def __enter__(self) -> "WebServer":
        owner = self
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_HEAD(self) -> None:
                path = owner.folder / self.path.lstrip("/")
                if not path.is_file():
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(path.stat().st_size))
                self.send_header("Last-Modified", "Sat, 31 Jan 2026 12:00:00 GMT")
                self.end_headers()

            def do_GET(self) -> None:
                name = self.path.partition("?")[0].lstrip("/")
                with lock:
                    owner.gets[name] += 1
                    owner.asked.append((name, self.headers.get("Range", "")))
                    fault = owner.fault(name)
                path = owner.folder / name
                if fault.kind in ("404", "500") or not path.is_file():
                    self.send_error(500 if fault.kind == "500" else 404)
                    return
                owner.reply(self, name, path.read_bytes(), fault)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def fault(self, name: str) -> Fault:
        for end, fault in self.faults.items():
            if name.endswith(end):
                if fault.times <= 0:
                    return Fault()
                self.faults[end] = replace(fault, times=fault.times - 1)
                return fault
        return Fault()

    def reply(self, handler: BaseHTTPRequestHandler, name: str, data: bytes, fault: Fault) -> None:
        if fault.kind == "replace":
            data = fault.data
        elif fault.kind == "other":
            data = bytes(byte ^ 0xFF for byte in data)
        elif fault.kind == "short":
            data = data[: len(data) // 2]
        elif fault.kind == "long":
            data += b"more"
        elif fault.kind == "flip":
            at = min(fault.at, len(data) - 1)
            data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        asked = handler.headers.get("Range", "") if self.ranges else ""
        body = data
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(data)) + 1, len(data))
            shift = 1 if fault.kind == "lying" and start else 0
            body = data[start - shift : end - shift]
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        else:
            handler.send_response(200)
        handler.send_header("Last-Modified", "Sat, 31 Jan 2026 12:00:00 GMT")
        handler.send_header("ETag", f'"{hash(data)}"')
        whole = (self.lengths or not name.endswith(".h5")) and fault.kind != "endless"
        if whole:
            handler.send_header("Content-Length", str(len(body)))
        else:
            handler.send_header("Connection", "close")
        handler.end_headers()
        try:
            if fault.kind == "cut":
                body = body[: fault.at]
            handler.wfile.write(body)
            self.sent[name] += len(body)
            while fault.kind == "endless":
                handler.wfile.write(b"0" * 65536)
        except ConnectionError:
            pass  # the client had enough
        if fault.kind == "cut" or not whole:
            handler.close_connection = True


STEPS: dict[str, tuple[type, str, bool]] = {
    "locked": (Cache, "begin", False),
    "partial opened": (Cache, "begin", True),
    "body done": (Part, "digest", False),
    "verified": (Part, "sync", False),
    "synced": (Part, "sync", True),
    "renamed": (Cache, "adopt", True),
    "stamped": (Cache, "stamp", True),
    "piece written": (Part, "append", True),
}
"""Where a fetch is killed: a class, one of its methods, and whether after it."""


def killing(step: str, times: int) -> None:
    """From here on kill this process at a step, when it is reached for the `times`th time."""
    owner, name, after = STEPS[step]
    inner = getattr(owner, name)
    counter = itertools.count(1)

    def method(*arguments: Any, **more: Any) -> Any:
        result = inner(*arguments, **more) if after else None
        if next(counter) == times:
            os.kill(os.getpid(), signal.SIGKILL)
        return result if after else inner(*arguments, **more)

    setattr(owner, name, method)


def many(store: str, cache: str, uri: str, to: str, kill_at: str = "", times: int = 1) -> None:
    """Fetch the members of a collection into `to`; with `kill_at`, be killed at that step."""
    if kill_at:
        killing(kill_at, times)
    files = fetch_with(uri, Options(Cache(Path(cache)), store=store), None, Path(to), 4, False, False, None)
    sys.stdout.write(f"{len(files.files)}\n")


def main(store: str, cache: str, uri: str, kill_at: str = "", times: int = 1) -> None:
    """Fetch an address and print its path; with `kill_at`, be killed at that step."""
    if kill_at:
        killing(kill_at, times)
    sys.stdout.write(f"{ensure_with(uri, Options(Cache(Path(cache)), store=store))}\n")
