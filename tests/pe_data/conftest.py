"""Servers and small helpers for the storage tests.

Every server is started once per session, on a free port of the loopback interface. A server that
is not installed skips its tests with a reason; with `CI=true` in the environment it fails them
(`tests/pe_data/install_servers.sh` installs what is needed).
"""

import base64
import hashlib
import hmac
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from trust_helpers import Trust

    from pe_data.cache.fetch import Tuning
    from pe_data.read.options import Options
    from pe_data.trust.policy import TrustPolicy

# The helpers beside this file.
sys.path.insert(0, str(Path(__file__).parent))

AZURE_ACCOUNT = "devstoreaccount1"
# The published key of the emulator's only account; no secret.
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def missing(what: str) -> None:
    """Skip the test because a server is not there; in CI fail it."""
    reason = f"{what} is not installed; run tests/pe_data/install_servers.sh FOLDER"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def executable(name: str) -> str:
    """A program from PE_DATA_TEST_SERVERS or the PATH."""
    folder = os.environ.get("PE_DATA_TEST_SERVERS", "")
    found = shutil.which(name, path=f"{folder}/node_modules/.bin") if folder else None
    found = found or shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        missing(name)
    return str(found)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    """Until something listens on `port`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"{process.args!r} ended with code {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"{process.args!r} does not listen on port {port} after {seconds} s")


def running(command: list[str], port: int) -> Iterator[int]:
    """Start a server, give its port, stop it."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def s3_options(port: int) -> dict[str, str]:
    return {
        "endpoint": f"http://127.0.0.1:{port}",
        "region": "us-east-1",
        "access_key_id": "S3RVER",
        "secret_access_key": "S3RVER",
    }


@pytest.fixture(scope="session")
def audit_trust(tmp_path_factory: pytest.TempPathFactory) -> "Trust":
    """A root in a store of its own, in which alice and bob each may sign checkpoints of an access log."""
    from trust_helpers import make_trust

    from pe_data.store.folder import FolderStore

    folder = tmp_path_factory.mktemp("trust")
    return make_trust(FolderStore(folder / "store"), folder, {"audit-uk": 1})


@pytest.fixture(scope="session")
def audit_policy(audit_trust: "Trust") -> "TrustPolicy":
    return audit_trust.policy()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[dict[str, str]]:
    """A moto server, one request at a time so that its conditional writes are atomic."""
    try:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server
    except ImportError:
        missing("moto[server] (of the dev extra)")
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield s3_options(server.port)
    server.shutdown()
    thread.join()


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Azurite with one container, `test`."""
    program = executable("azurite-blob")
    port = free_port()
    folder = tmp_path_factory.mktemp("azurite")
    command = [program, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--silent"]
    command += ["--location", str(folder), "--skipApiVersionCheck", "--disableTelemetry"]
    for found in running(command, port):
        create_azure_container(found, "test")
        yield {
            "endpoint": f"http://127.0.0.1:{found}/{AZURE_ACCOUNT}",
            "account_name": AZURE_ACCOUNT,
            "account_key": AZURE_KEY,
        }


def create_azure_container(port: int, name: str) -> None:
    """One signed request; obstore cannot create containers."""
    when = formatdate(usegmt=True)
    text = (
        f"PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{when}\nx-ms-version:2021-12-02\n"
        f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{name}\nrestype:container"
    )
    digest = hmac.new(base64.b64decode(AZURE_KEY), text.encode(), hashlib.sha256).digest()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}/{name}?restype=container",
        method="PUT",
        headers={
            "x-ms-date": when,
            "x-ms-version": "2021-12-02",
            "Content-Length": "0",
            "Authorization": f"SharedKey {AZURE_ACCOUNT}:{base64.b64encode(digest).decode()}",
        },
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        assert reply.status == 201


@pytest.fixture(scope="session")
def s3rver_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """s3rver: an S3-compatible server that ignores conditional headers."""
    program = executable("s3rver")
    port = free_port()
    folder = tmp_path_factory.mktemp("s3rver")
    command = [program, "-d", str(folder), "-a", "127.0.0.1", "-p", str(port), "--silent"]
    command += ["--allow-mismatched-signatures", "--configure-bucket", "test"]
    for found in running(command, port):
        yield s3_options(found)


@pytest.fixture(scope="session")
def served_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that both HTTP servers serve."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="session")
def nginx_url(served_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """nginx as most mirrors run it."""
    program = executable("nginx")
    port = free_port()
    work = tmp_path_factory.mktemp("nginx")
    user = "user root;" if os.getuid() == 0 else ""
    temporary = "".join(
        f"{kind}_temp_path {work}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (work / "nginx.conf").write_text(
        f"{user} daemon off; pid {work}/pid; error_log {work}/error.log; worker_processes 1;"
        "events {}"
        f"http {{ access_log off; sendfile on; {temporary}"
        f" server {{ listen 127.0.0.1:{port}; root {served_folder}; }} }}"
    )
    command = [program, "-p", str(work), "-c", str(work / "nginx.conf"), "-e", f"{work}/error.log"]
    for found in running(command, port):
        yield f"http://127.0.0.1:{found}"


@pytest.fixture(scope="session")
def plain_http_url(served_folder: Path) -> Iterator[str]:
    """`python -m http.server`, which ignores ranges."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    for found in running([*command, "--directory", str(served_folder)], port):
        yield f"http://127.0.0.1:{found}"


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that breaks off is asked again as often as ever, but at once."""
    from pe_data.read.options import Options

    original = Options.tuning

    def tuning(options: "Options") -> "Tuning":
        return replace(original(options), pause_seconds=0)

    monkeypatch.setattr(Options, "tuning", tuning)


@pytest.fixture
def s3_bucket(s3_server: dict[str, str]) -> str:
    """A fresh bucket on the moto server."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    request = urllib.request.Request(f"{s3_server['endpoint']}/{name}", method="PUT", data=b"")
    with urllib.request.urlopen(request, timeout=10) as reply:
        assert reply.status == 200
    return name
