"""hf:// against a stub of the hub, and single files behind http."""

import hashlib
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import h5py
import pytest
from fetch_helpers import Fault, WebServer

import pe_data
from pe_data.errors import (
    CacheWarning,
    DigestMismatchError,
    FetchError,
    InputError,
    MissingExtraError,
    ObjectNotFoundError,
    OfflineError,
    PeDataError,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DATA = b"\x89HDF of the hub " * 500
SHA256 = hashlib.sha256(DATA).hexdigest()


class HubStub:
    """The two requests that a download makes, for one model and one data set repository."""

    files = frozenset(
        {
            "/policyengine/policyengine-us-data/resolve/1.2.3/enhanced_cps_2024.h5",
            "/datasets/policyengine/cps/resolve/main/a/enhanced_cps_2024.h5",
        }
    )

    def __init__(self):
        self.body, self.announced, self.calls = DATA, SHA256, []
        self.cut = False
        self.large = True
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_HEAD(self):
                stub.calls.append(f"HEAD {self.path}")
                self.answer(b"")

            def do_GET(self):
                stub.calls.append(f"GET {self.path}")
                self.answer(stub.body)

            def answer(self, body):
                if self.path not in stub.files:
                    part = "RevisionNotFound" if "/nosuch/" in self.path else "EntryNotFound"
                    part = "RepoNotFound" if "/nobody/" in self.path else part
                    self.send_response(404)
                    self.send_header("X-Error-Code", part)
                    self.send_header("X-Error-Message", part)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("ETag", f'"{"a" * 40}"')
                if stub.large:
                    self.send_header("X-Linked-Etag", f'"{stub.announced}"')
                    self.send_header("X-Linked-Size", str(len(stub.body)))
                self.send_header("Content-Length", str(len(stub.body)))
                self.end_headers()
                self.wfile.write(body[:100] if stub.cut else body)
                self.close_connection = stub.cut

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[HubStub]:
    constants = pytest.importorskip("huggingface_hub.constants")
    stub = HubStub()
    monkeypatch.setenv("HF_ENDPOINT", stub.url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    yield stub
    stub.server.shutdown()
    stub.server.server_close()


MODEL = "hf://policyengine/policyengine-us-data/enhanced_cps_2024.h5@1.2.3"


@pytest.mark.parametrize(
    "uri",
    [
        MODEL,
        MODEL.replace("hf://", "hf://model/"),
        "hf://dataset/policyengine/cps/a/enhanced_cps_2024.h5",
        "hf://datasets/policyengine/cps/a/enhanced_cps_2024.h5",
        "hf://datasets/policyengine/cps@main/a/enhanced_cps_2024.h5",
        "hf://policyengine/cps/a/enhanced_cps_2024.h5",
    ],
)
def test_each_form_of_address(hub, uri):
    assert pe_data.ensure(uri).read_bytes() == DATA


def test_a_digest_that_is_known_is_checked(hub):
    assert pe_data.ensure(f"{MODEL}#sha256={SHA256}").read_bytes() == DATA
    assert pe_data.ensure(MODEL, sha256=SHA256).read_bytes() == DATA
    with pytest.raises(DigestMismatchError, match=f"expected sha256 {'ab' * 32}, found sha256 {SHA256}"):
        pe_data.ensure(MODEL, sha256="ab" * 32)


@pytest.mark.parametrize("change", [lambda d: d[:-1] + b"?", lambda d: b"x" * len(d)])
def test_what_the_hub_sends_is_checked_against_what_it_announces(hub, tmp_path, change):
    hub.body = change(DATA)
    with pytest.raises(DigestMismatchError, match=f"expected sha256 {SHA256}"):
        pe_data.ensure(MODEL)
    assert not [p for p in (tmp_path / "hub").rglob("*") if p.is_file() and p.stat().st_size > 1000]
    hub.body = DATA
    assert pe_data.ensure(MODEL).read_bytes() == DATA


def test_a_damaged_file_in_the_hubs_cache_is_fetched_again(hub):
    path = pe_data.ensure(MODEL)
    path.resolve().write_bytes(b"x" * len(DATA))
    assert pe_data.ensure(MODEL).read_bytes() == DATA


def test_datasets_by_year_as_country_modules_ask_for_them(hub, tmp_path):
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["person_id/2024"] = [1, 2]
    hub.body = (tmp_path / "source.h5").read_bytes()
    hub.announced = hashlib.sha256(hub.body).hexdigest()
    found = pe_data.ensure_datasets(datasets=[MODEL], years=[2024], data_folder=tmp_path / "data")
    assert found == {"enhanced_cps_2024_year_2024": tmp_path / "data" / "enhanced_cps_2024_year_2024.h5"}
    assert found["enhanced_cps_2024_year_2024"].read_bytes() == hub.body
    with pytest.raises(InputError, match="country model"):
        pe_data.ensure_datasets(datasets=[MODEL], years=[2026], data_folder=tmp_path / "data")


def test_without_the_extra_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"install the extra 'hf' of pe-microdata"):
        pe_data.ensure(MODEL, cache=tmp_path)


def test_a_small_file_has_no_digest_to_check(hub):
    hub.large = False
    assert pe_data.ensure(MODEL).read_bytes() == DATA


def test_offline(hub):
    with pytest.raises(OfflineError, match="offline"):
        pe_data.ensure(MODEL, offline=True)
    path = pe_data.ensure(MODEL)
    hub.calls.clear()
    assert pe_data.ensure(MODEL, offline=True) == path
    assert hub.calls == []


def test_a_hub_that_breaks_off(hub, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    hub.cut = True
    with pytest.raises(FetchError, match="did not deliver"):
        pe_data.ensure(MODEL)
    hub.cut = False
    assert pe_data.ensure(MODEL).read_bytes() == DATA


@pytest.mark.parametrize(
    ("uri", "part"),
    [
        ("hf://nobody/nothing/f.h5", "repository"),
        (MODEL.replace("1.2.3", "nosuch"), "revision"),
        (MODEL.replace("2024", "1999"), "file"),
    ],
)
def test_what_is_not_there(hub, uri, part):
    with pytest.raises(ObjectNotFoundError, match=f"expected an existing {part}"):
        pe_data.ensure(uri)


def test_a_hub_that_does_not_answer(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda _: None)  # the hub's library tries five times
    with pytest.raises(FetchError, match="did not"):
        pe_data.ensure(MODEL)


# --- https ------------------------------------------------------------------------------------


@pytest.fixture
def web(tmp_path, monkeypatch) -> Iterator[WebServer]:
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "f.h5").write_bytes(DATA)
    with WebServer(tmp_path / "www") as running:
        yield running


def test_a_web_file_with_a_digest_is_fetched_once(web):
    uri = f"{web.url}/f.h5#sha256={SHA256}"
    path = pe_data.ensure(uri)
    assert path.read_bytes() == DATA
    web.gets.clear()
    assert pe_data.ensure(uri) == path
    assert pe_data.ensure(uri, offline=True) == path
    assert not web.gets


@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("kind", ["flip", "other", "short"])
def test_a_web_file_with_the_wrong_digest_is_refused(web, tmp_path, kind, lengths):
    web.lengths = lengths
    web.faults["f.h5"] = Fault(kind)
    with pytest.raises(PeDataError, match=r"expected .*found"):
        pe_data.ensure(f"{web.url}/f.h5", sha256=SHA256)
    assert not list((tmp_path / "cache").rglob("*.h5"))
    web.faults.clear()
    assert pe_data.ensure(f"{web.url}/f.h5", sha256=SHA256).read_bytes() == DATA


def test_a_web_file_without_a_digest_says_how_to_pin_it(web, tmp_path):
    uri = f"{web.url}/f.h5"
    with pytest.warns(CacheWarning, match=f"#sha256={SHA256}"):
        path = pe_data.ensure(uri)
    assert path.read_bytes() == DATA
    before = web.sent["f.h5"]
    assert pe_data.ensure(uri) == path  # the server's validator is unchanged: nothing kept twice
    (tmp_path / "www" / "f.h5").write_bytes(b"\x89HDF newer")
    with pytest.warns(CacheWarning):
        assert pe_data.ensure(uri).read_bytes() == b"\x89HDF newer"
    assert web.sent["f.h5"] > before
    with pytest.raises(OfflineError):
        pe_data.ensure(uri, offline=True)
    with pytest.warns(CacheWarning, match="STALE"):
        assert pe_data.ensure(uri, offline=True, allow_stale=True).read_bytes() == b"\x89HDF newer"


def test_a_web_file_that_is_cut_off(web, tmp_path):
    web.faults["f.h5"] = Fault("cut", at=100)
    with pytest.raises(FetchError, match=r"expected \d+ bytes|broken off"):
        pe_data.ensure(f"{web.url}/f.h5")
    assert not list((tmp_path / "cache").rglob("*.h5"))


def test_a_web_file_that_is_not_there(web):
    with pytest.raises(FetchError, match="404"):
        pe_data.ensure(f"{web.url}/none.h5")
    with pytest.raises(FetchError, match="no answer"):
        pe_data.ensure("http://127.0.0.1:9/f.h5")
