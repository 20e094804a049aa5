"""A server on this machine that speaks as much of the hub's protocol as its client needs to write one repository.

Branches, tags, paths-info, the upload mode of files, large files by their sha256 (LFS), commits as lines of JSON, and
what a download asks. `gate` is told of every step before it is done and may refuse it; `done` after it was done.
"""

import base64
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_madeUpTokenOfATest0123456789"
SIGNATURE = "madeUpSignatureOfAnUpload"
LARGE = (".h5", ".parquet")


@dataclass(frozen=True)
class Blob:
    """A file of a commit."""

    data: bytes
    large: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def oid(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()


@dataclass(frozen=True)
class Commit:
    """One commit: where, after which, what it says, and its operations as kind and path."""

    branch: str
    parent: str
    message: str
    operations: tuple[tuple[str, str], ...]


class Refusal(Exception):
    """Answer with a status and a message."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


@dataclass
class Hub:
    """The state of the repository, and what was asked."""

    repo: str = "example/areas"
    kind: str = "dataset"
    ignored: set[str] = field(default_factory=set)
    """Paths that its .gitignore leaves out."""
    large: tuple[str, ...] = LARGE
    gate: Callable[[str, str], None] = lambda step, what: None
    done: Callable[[str, str], None] = lambda step, what: None
    refuse_objects: bool = False
    calls: list[str] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    """Sha256 of the large files that came."""
    log: list[Commit] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.trees: dict[str, dict[str, Blob]] = {}
        self.tags: dict[str, str] = {}
        self.branches: dict[str, str] = {}
        self.branches["main"] = self.add({"README.md": Blob(b"of the owner", False)})

    def add(self, tree: dict[str, Blob]) -> str:
        oid = hashlib.sha1(f"commit {len(self.trees)}".encode()).hexdigest()
        self.trees[oid] = tree
        return oid

    def tree(self, revision: str) -> dict[str, Blob]:
        oid = self.tags.get(revision) or self.branches.get(revision) or revision
        if oid not in self.trees:
            raise Refusal(404, "no such revision", "RevisionNotFound")
        return self.trees[oid]

    @property
    def state(self) -> tuple[Any, ...]:
        """Everything that a write would change."""
        return dict(self.tags), dict(self.branches), len(self.trees), sorted(self.objects)

    # --- what the client asks -------------------------------------------------------------------

    def refs(self, rest: str, body: Any) -> Any:
        def rows(refs: dict[str, str], kind: str) -> list[dict[str, str]]:
            return [{"name": n, "ref": f"refs/{kind}/{n}", "targetCommit": oid} for n, oid in refs.items()]

        return {"branches": rows(self.branches, "heads"), "tags": rows(self.tags, "tags"), "converts": []}

    def branch(self, name: str, body: Any) -> Any:
        if name in self.branches:
            raise Refusal(409, "Reference already exists")
        start = body.get("startingPoint", "main")
        self.tree(start)
        self.branches[name] = self.branches.get(start, start)
        return {}

    def drop(self, name: str, body: Any) -> Any:
        del self.branches[name]
        return {}

    def tag(self, revision: str, body: Any) -> Any:
        if body["tag"] in self.tags:
            raise Refusal(409, "Tag reference exists already")
        self.tree(revision)
        self.tags[body["tag"]] = self.branches.get(revision, revision)
        return {}

    def paths_info(self, revision: str, body: Any) -> Any:
        tree, rows = self.tree(revision), []
        for path in body["paths"]:
            blob = tree.get(path)
            if blob is not None:
                row = {"type": "file", "path": path, "size": len(blob.data), "oid": blob.oid}
                large = {"oid": blob.sha256, "size": len(blob.data), "pointerSize": 134}
                rows.append({**row, "lfs": large} if blob.large else row)
            elif any(other.startswith(f"{path}/") for other in tree):
                rows.append({"type": "directory", "path": path, "oid": "0" * 40})
        return rows

    def preupload(self, revision: str, body: Any) -> Any:
        tree = self.tree(revision)
        return {
            "files": [
                {
                    "path": (path := file["path"]),
                    "uploadMode": "lfs" if path.endswith(self.large) else "regular",
                    "shouldIgnore": path in self.ignored,
                    "oid": None if path not in tree else tree[path].sha256 if tree[path].large else tree[path].oid,
                }
                for file in body["files"]
            ]
        }

    def batch(self, url: str, body: Any) -> Any:
        rows = []
        for one in body["objects"]:
            row = {"oid": one["oid"], "size": one["size"]}
            if self.refuse_objects:
                row["error"] = {"code": 422, "message": "storage limit reached"}
            elif one["oid"] not in self.objects:
                href = f"{url}/objects/{one['oid']}?X-Amz-Signature={SIGNATURE}"
                row["actions"] = {"upload": {"href": href}}
            rows.append(row)
        return {"objects": rows, "transfer": "basic"}

    def commit(self, branch: str, body: list[Any]) -> Any:
        head = body[0]["value"]
        parent = self.branches[branch]
        if head.get("parentCommit") not in (None, parent):
            raise Refusal(412, "A commit has happened since. Please refresh and try again.")
        tree = dict(self.trees[parent])
        for line in body[1:]:
            value = line["value"]
            if line["key"] == "lfsFile":
                if value["oid"] not in self.objects:
                    raise Refusal(400, f"no object {value['oid']}")
                tree[value["path"]] = Blob(self.objects[value["oid"]], True)
            elif line["key"] == "file":
                tree[value["path"]] = Blob(base64.b64decode(value["content"]), False)
            else:
                raise Refusal(400, f"unexpected {line['key']}")
        oid = self.branches[branch] = self.add(tree)
        done = tuple((line["key"], line["value"]["path"]) for line in body[1:])
        self.log.append(Commit(branch, parent, head["summary"], done))
        return {"commitUrl": f"https://huggingface.co/datasets/{self.repo}/commit/{oid}", "commitOid": oid}


class HubServer:
    """The server; `hub` is what it serves."""

    def __init__(self) -> None:
        self.hub = Hub()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet for an answer, else the client waits

            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                owner.serve(self)

            do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        raw = _body(request)
        headers = {"Content-Type": "application/json"}
        try:
            with self.hub.lock:
                found = self._answer(request, raw)
            data = found.data if isinstance(found, Blob) else json.dumps(found).encode()
            status = 200
            if isinstance(found, Blob):
                headers |= {"X-Repo-Commit": "0" * 40, "ETag": f'"{found.oid}"'}
                if found.large:
                    headers |= {"X-Linked-Etag": f'"{found.sha256}"', "X-Linked-Size": str(len(data))}
        except Refusal as refusal:
            status, data = refusal.status, json.dumps({"error": refusal.message}).encode()
            headers |= {"X-Error-Message": refusal.message, "X-Error-Code": refusal.code}
        try:
            request.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                request.send_header(name, value)
            request.end_headers()
            if request.command != "HEAD":
                request.wfile.write(data)
        except OSError:  # the client was killed
            request.close_connection = True

    def _answer(self, request: BaseHTTPRequestHandler, raw: bytes) -> Any:
        hub, path = self.hub, urlsplit(request.path).path
        hub.calls.append(f"{request.command} {path}")
        prefix = "datasets/" if hub.kind == "dataset" else ""
        if request.command == "PUT" and path.startswith("/objects/"):
            return self._step("object", path.rpartition("/")[2], lambda: self._keep(path.rpartition("/")[2], raw))
        resolve = re.fullmatch(rf"/{prefix}{hub.repo}/resolve/([^/]+)/(.+)", path)
        if resolve:
            blob = hub.tree(unquote(resolve[1])).get(unquote(resolve[2]))
            if blob is None:
                raise Refusal(404, "no such file", "EntryNotFound")
            return blob
        api = re.fullmatch(rf"/api/{hub.kind}s/{hub.repo}/([a-z-]+)(?:/(.+))?", path)
        batch = path == f"/{prefix}{hub.repo}.git/info/lfs/objects/batch"
        if not api and not batch:
            raise Refusal(404, "Repository not found", "RepoNotFound")
        step, rest = ("batch", self.url) if api is None else (api[1], unquote(api[2] or ""))
        if step not in ("refs", "paths-info") and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, f"Invalid credentials in {request.headers.get('Authorization')}")
        if request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            body: Any = parse_qs(raw.decode())
        elif step == "commit":
            body = [json.loads(line) for line in raw.splitlines()]
        else:
            body = json.loads(raw or b"{}")
        if request.command == "DELETE":
            step = "drop"
        return self._step(step, rest, lambda: getattr(hub, step.replace("-", "_"))(rest, body))

    def _keep(self, sha256: str, raw: bytes) -> dict[str, Any]:
        if hashlib.sha256(raw).hexdigest() != sha256:
            raise Refusal(400, "other bytes")
        self.hub.objects[sha256] = raw
        self.hub.sent.append(sha256)
        return {}

    def _step(self, step: str, what: str, work: Callable[[], Any]) -> Any:
        self.hub.gate(step, what)
        found = work()
        self.hub.done(step, what)
        return found


def _body(request: BaseHTTPRequestHandler) -> bytes:
    if request.headers.get("Transfer-Encoding", "") == "chunked":
        parts = []
        while size := int(request.rfile.readline().strip(), 16):
            parts.append(request.rfile.read(size))
            request.rfile.readline()
        request.rfile.readline()
        return b"".join(parts)
    return request.rfile.read(int(request.headers.get("Content-Length") or 0))


def exporting(pid: str, *words: str) -> None:
    """`pe-data` in a process that says who it is, so that it can be killed."""
    from pe_data.cli import main

    Path(pid).write_text(str(os.getpid()))
    main(list(words))
