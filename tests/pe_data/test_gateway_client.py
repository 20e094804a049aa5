"""The resolver's side of a gateway: where tokens go, where they do not, and what a refusal says."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner
from gateway_helpers import DATASET, gateway, give_token, publish_survey, survey_label, write_households
from hypothesis import given
from hypothesis import strategies as st
from storage_helpers import at_time

import pe_data
from pe_data.cli import app
from pe_data.config.credentials import token_for
from pe_data.describe.file import describe
from pe_data.errors import (
    ConfigError,
    ForbiddenError,
    GatewayError,
    GatewayUnavailableError,
    InvalidDocumentError,
    InvalidNameError,
    ListingNotSupportedError,
    ObjectNotFoundError,
    StoreError,
    StoreUnavailableError,
)
from pe_data.names.digests import sha256_bytes
from pe_data.names.keys import manifest_key, payload_key
from pe_data.names.times import parse_time
from pe_data.store.base import LocalFile
from pe_data.store.folder import FolderStore
from pe_data.store.opening import open_store
from pe_data.write.publish import publish_artifact
from pe_data.write.upload import Item
from pe_data_gateway.audit.records import Entry, Head, chain, parse_record
from pe_data_gateway.limits import RateLimit
from pe_data_gateway.links import Links
from pe_data_gateway.refusal import Refusal
from pe_data_gateway.tokens import TOKEN, read_tokens
from pe_data_gateway.wanted import listed, wanted

TOKEN_TEXT = "pedata_" + "x" * 43
SHA = sha256_bytes(b"payload")
PAYLOAD, MANIFEST = payload_key("uk", SHA, "h5"), manifest_key("uk", SHA)


class Server:
    """Answers every request with one answer, and keeps what was asked."""

    def __init__(self, status: int = 200, body: bytes = b"payload", headers: dict[str, str] | None = None) -> None:
        self.asked: list[tuple[str, str, str | None]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                owner.asked.append((self.command, self.path, self.headers.get("Authorization")))
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def serving(*servers: Server) -> Iterator[None]:
    threads = [threading.Thread(target=one.server.serve_forever, args=(0.02,), daemon=True) for one in servers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for one, thread in zip(servers, threads, strict=True):
            one.server.shutdown()
            one.server.server_close()
            thread.join()


@pytest.fixture
def token(monkeypatch):
    monkeypatch.setenv("PE_DATA_TOKEN", TOKEN_TEXT)


# --- where the token goes -------------------------------------------------------------------------


def test_the_token_goes_to_the_gateway_and_not_along_a_redirect(token):
    bucket = Server()
    front = Server(307, b"", {"Location": f"{bucket.url}/{PAYLOAD}?X-Amz-Signature=abc"})
    with serving(bucket, front):
        store = open_store(f"gateway+{front.url}")
        assert store.open(PAYLOAD, 0, 7).read() == b"payload"
        with pytest.raises(StoreError, match="answered with a link where a document was expected"):
            store.get(MANIFEST)
    assert [one[2] for one in front.asked] == [f"Bearer {TOKEN_TEXT}"] * 2
    assert [one[2] for one in bucket.asked] == [None]


@pytest.mark.parametrize(
    "location", ["http://data.example.org/x", "file:///etc/passwd", "ftp://127.0.0.1/x", "", "http://[::1"]
)
def test_a_link_that_leaves_https_is_not_followed(token, location):
    front = Server(307, b"", {"Location": location})
    with serving(front), pytest.raises(StoreError):
        open_store(f"gateway+{front.url}").open(PAYLOAD, 0, 7).read()


def test_a_plain_mirror_is_never_sent_the_token(token):
    mirror = Server(404, b"")
    with serving(mirror), pytest.raises(ObjectNotFoundError):
        open_store(mirror.url).get(MANIFEST)
    assert [one[2] for one in mirror.asked] == [None]


@pytest.mark.parametrize("url", ["gateway+http://data.example.org", "gateway+http://10.0.0.1/x"])
def test_a_token_is_not_sent_in_the_clear_to_another_machine(url):
    with pytest.raises(InvalidNameError, match=r"expected gateway\+https"):
        open_store(url)
    open_store("gateway+https://data.example.org/prefix")


def test_a_token_does_not_pass_a_proxy_in_the_clear(token, monkeypatch):
    proxy, front = Server(), Server(404, b"")
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    with serving(proxy, front), pytest.raises(ObjectNotFoundError):
        open_store(f"gateway+{front.url}").get(MANIFEST)
    assert proxy.asked == []


def test_credentials_are_bound_to_a_host_and_hidden_from_others(tmp_path, monkeypatch):
    path = tmp_path / "credentials.toml"
    path.write_text(f'[gateways."data.example.org"]\ntoken = "{TOKEN_TEXT}"\n')
    path.chmod(0o600)
    monkeypatch.delenv("PE_DATA_TOKEN", raising=False)
    monkeypatch.setenv("PE_DATA_CREDENTIALS", str(path))
    assert token_for("data.example.org") == TOKEN_TEXT
    assert token_for("evil.example.org") is None
    assert token_for("data.example.org:8443") is None
    monkeypatch.setenv("PE_DATA_TOKEN", "other")
    assert token_for("data.example.org") == TOKEN_TEXT
    for mode in (0o644, 0o640, 0o604):
        path.chmod(mode)
        with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
            token_for("data.example.org")


@pytest.mark.parametrize(
    ("token", "host", "sent"),
    [
        ("t", "evil.example.org", False),
        ("t", "data.example.org", True),
        ("t", "DATA.example.org", True),
        ("t", "data.example.org:8443", False),
        ("t", "data.example.org.evil.org", False),
        ("t", "mirror.example.org", True),
        ("t", "env.example.org:8443", True),
        ("t", "env.example.org", False),
        ("t", "plain.example.org", False),
        ("t", "127.0.0.1:8642", True),
        ("t", "[::1]:8642", True),
        ("t", "localhost.evil.org", False),
        ("t", "127.0.0.1.evil.org", False),
        ("t@other.example.org", "other.example.org", True),
        ("t@other.example.org", "data.example.org", False),
        ("t@other.example.org", "127.0.0.1", False),
        ("t@", "data.example.org", False),
    ],
)
def test_the_token_of_the_environment_is_bound_to_a_host(tmp_path, monkeypatch, token, host, sent):
    config = tmp_path / "config.toml"
    config.write_text(
        '[stores.uk]\nurl = "gateway+https://data.example.org/prefix"\n'
        'mirrors = ["gateway+https://mirror.example.org"]\n'
        '[stores.us]\nurl = "https://plain.example.org"\n'
    )
    monkeypatch.setenv("PE_DATA_CONFIG", str(config))
    monkeypatch.setenv("PE_DATA_STORE", "gateway+https://env.example.org:8443")
    monkeypatch.setenv("PE_DATA_TOKEN", token)
    assert token_for(host) == ("t" if sent else None)


def test_a_store_that_is_named_for_one_call_gets_no_token_of_another(tmp_path, monkeypatch):
    for name in ("PE_DATA_STORE", "PE_DATA_MIRRORS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("PE_DATA_TOKEN", f"{TOKEN_TEXT}@data.example.org")
    with serving(front := Server()):
        with pytest.raises(ForbiddenError, match="write TOKEN@127"):
            pe_data.ensure("pe-data://uk/a@latest", store=f"gateway+{front.url}", cache=tmp_path)
        assert front.asked == []
        monkeypatch.setenv("PE_DATA_TOKEN", f"{TOKEN_TEXT}@{front.url.removeprefix('http://')}")
        open_store(f"gateway+{front.url}").get(MANIFEST)
    assert [one[2] for one in front.asked] == [f"Bearer {TOKEN_TEXT}"]


@pytest.mark.parametrize(
    "text",
    [
        "gateways = 7",
        "[gateways",
        '[gateways."data.example.org"]\ntoken = 7',
        '[gateways."data.example.org"]\ntoken = "a b"',
    ],
)
def test_damaged_credentials_are_refused_without_repeating_them(tmp_path, monkeypatch, text):
    path = tmp_path / "credentials.toml"
    path.write_text(text + f"\n# {TOKEN_TEXT}\n")
    path.chmod(0o600)
    monkeypatch.delenv("PE_DATA_TOKEN", raising=False)
    monkeypatch.setenv("PE_DATA_CREDENTIALS", str(path))
    with pytest.raises(ConfigError) as caught:
        token_for("data.example.org")
    assert TOKEN_TEXT not in str(caught.value)


def test_a_token_with_a_line_break_cannot_smuggle_a_header(monkeypatch):
    monkeypatch.setenv("PE_DATA_TOKEN", "abc\r\nX-Evil: 1")
    with pytest.raises(ConfigError, match="printable"):
        token_for("x")


# --- what a refusal says --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, ForbiddenError),
        (403, ForbiddenError),
        (404, ObjectNotFoundError),
        (429, GatewayError),
        (503, GatewayUnavailableError),
        (500, StoreUnavailableError),
        (418, StoreError),
    ],
)
def test_refusals_become_errors_with_reason_and_advice(token, status, kind):
    body = json.dumps({"error": {"reason": "because\x1b[31m", "advice": "Do this", "code": "x"}}).encode()
    with serving(front := Server(status, body)):
        store = open_store(f"gateway+{front.url}")
        with pytest.raises(kind, match=r"because\[31m\. Do this") as caught:
            store.get(MANIFEST)
        assert type(caught.value) is kind
    for body in (b"<html>", b"{}", b'{"error": 7}', b""):
        with serving(front := Server(status, body)), pytest.raises(kind, match=f"HTTP status {status}"):
            open_store(f"gateway+{front.url}").get(MANIFEST)


@pytest.mark.parametrize(("status", "kind"), [(401, ForbiddenError), (403, ForbiddenError), (503, StoreError)])
def test_ensure_passes_the_refusal_on_as_it_is(token, no_pauses, tmp_path, status, kind):
    body = json.dumps({"error": {"reason": "no", "advice": "Ask"}}).encode()
    with serving(front := Server(status, body)):
        for address in (f"pe-data://uk/a@sha256:{SHA}", "pe-data://uk/a@latest", f"pe-data://uk/a/b@sha256:{SHA}"):
            with pytest.raises(kind, match=r"the gateway refused: no\. Ask"):
                pe_data.ensure(address, store=f"gateway+{front.url}", cache=tmp_path)


def test_without_a_token_nothing_is_asked_and_the_error_says_where_tokens_go(monkeypatch, tmp_path):
    monkeypatch.delenv("PE_DATA_TOKEN", raising=False)
    monkeypatch.setenv("PE_DATA_CREDENTIALS", str(tmp_path / "credentials.toml"))
    expected = r"Set PE_DATA_TOKEN, or write the token for 127.*credentials.toml"
    with serving(front := Server()), pytest.raises(ForbiddenError, match=expected):
        pe_data.ensure("pe-data://uk/a@latest", store=f"gateway+{front.url}", cache=tmp_path)
    assert front.asked == []


@pytest.mark.parametrize("headers", [{"Content-Length": "9" * 5000}, {"Content-Length": "-1"}, {"Content-Length": "²"}])
def test_headers_that_say_nothing_are_an_error(token, headers):
    class Odd(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.send_response(200)
            for name, value in {**headers, "Last-Modified": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}.items():
                self.send_header(name, value)
            self.end_headers()

    front = Server()
    front.server.RequestHandlerClass = Odd
    with serving(front), pytest.raises(StoreError, match="did not say how large"):
        open_store(f"gateway+{front.url}").head(MANIFEST)


def test_an_endless_document_is_refused(token):
    with serving(front := Server(200, b"x" * 1000)):
        store = open_store(f"gateway+{front.url}")
        with pytest.raises(InvalidDocumentError, match="at most 999 bytes"):
            store.get(MANIFEST, max_bytes=999)


def test_a_gateway_only_reads(tmp_path):
    store = open_store("gateway+http://127.0.0.1:9")
    for write in (
        lambda: store.put_create("k", b""),
        lambda: store.put_create("k", LocalFile(tmp_path, SHA)),
        lambda: store.put_swap("k", b"", None),
        lambda: store.delete("k"),
    ):
        with pytest.raises(StoreError, match="private store behind it"):
            write()
    with pytest.raises(ListingNotSupportedError, match="lists channels"):
        list(store.list(""))


def test_public_countries_bypass_the_gateway(tmp_path, monkeypatch):
    public = FolderStore(tmp_path / "public")
    path = write_households(tmp_path / "a.h5")
    label = survey_label("open_2023")
    publish_artifact(public, Item(path, describe(path, replace(label, country="us", access="public"))))
    config = tmp_path / "config.toml"
    config.write_text(f'[stores.us]\nurl = "{public.root}"\n[stores.uk]\nurl = "gateway+http://127.0.0.1:9"\n')
    monkeypatch.setenv("PE_DATA_CONFIG", str(config))
    for name in ("PE_DATA_STORE", "PE_DATA_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert pe_data.ensure("pe-data://us/open_2023@latest", cache=tmp_path / "cache").is_file()
    with pytest.raises(ForbiddenError):
        pe_data.ensure("pe-data://uk/open_2023@latest", cache=tmp_path / "cache")


# --- links and limits by themselves ---------------------------------------------------------------


def test_an_expired_link_is_refused(tmp_path):
    links = Links(FolderStore(tmp_path), -1)
    with pytest.raises(Refusal) as caught:
        links.read(links.make(PAYLOAD, "t"))
    assert (caught.value.status, caught.value.code) == (403, "link-expired")


def test_a_link_to_anything_but_a_payload_is_refused(tmp_path):
    links = Links(FolderStore(tmp_path), 60)
    assert links.read(links.make(PAYLOAD, "t")) == (PAYLOAD, "t")
    for key in (MANIFEST, "../tokens.json", "audit/uk/000000000001.jsonl"):
        with pytest.raises(Refusal) as caught:
            links.read(links.make(key, "t"))
        assert caught.value.code == "link-forged"


def test_an_expired_link_is_renewed_by_the_client(tmp_path, monkeypatch):
    store = FolderStore(tmp_path / "store")
    digest = publish_survey(store, tmp_path / "files").artifact_sha256
    key = payload_key("uk", digest, "h5")
    monkeypatch.setenv("PE_DATA_TOKEN", give_token(tmp_path / "tokens.json", "ada"))
    with gateway(store.url, tmp_path / "tokens.json") as running:
        front = open_store(running.store)
        front._links[key] = f"{running.url}/link/old"
        assert sha256_bytes(front.get(key).data) == digest


def test_a_bucket_of_tokens_fills_at_its_rate():
    now = 0.0
    limit = RateLimit(2.0, 3, clock=lambda: now)
    assert [limit.wait("a") for _ in range(4)] == [0, 0, 0, 0.5]
    now = 0.5
    assert limit.wait("a") == 0
    assert limit.wait("a") == pytest.approx(0.5)
    assert limit.wait("b") == 0
    now = 1000.0
    assert [limit.wait("a") == 0 for _ in range(4)] == [True, True, True, False]


def test_presigned_links_go_past_the_gateway_and_without_the_token(tmp_path, monkeypatch, s3_server, s3_bucket):
    address = f"s3://{s3_bucket}/private"
    settings = ", ".join(f'{name} = "{value}"' for name, value in s3_server.items())
    config = tmp_path / "config.toml"
    config.write_text(f'[stores.uk]\nurl = "{address}"\noptions = {{ {settings} }}\n')
    monkeypatch.setenv("PE_DATA_CONFIG", str(config))
    bucket = open_store(address, options=s3_server)
    digest = publish_survey(bucket, tmp_path / "files").artifact_sha256
    monkeypatch.setenv("PE_DATA_TOKEN", give_token(tmp_path / "tokens.json", "ada"))
    key = payload_key("uk", digest, "h5")
    with gateway(None, tmp_path / "tokens.json", "--log", str(tmp_path / "log")) as running:
        front = open_store(running.store)
        link = front._link(key)
        assert link.startswith(s3_server["endpoint"])
        assert "Signature=" in link
        path = pe_data.ensure(f"pe-data://uk/{DATASET}@latest", store=running.store, cache=tmp_path / "cache")
        assert sha256_bytes(path.read_bytes()) == digest
        running.stop()
        assert "Signature=" not in running.output
    kept = [meta.key for meta in bucket.list("audit/uk/")]
    assert any(key.endswith(".checkpoint.json") for key in kept), "checkpoints are copied to the store"


# --- parsers --------------------------------------------------------------------------------------

KEYS = st.one_of(
    st.text(max_size=120),
    st.from_regex(r"(channels|audit|trust|uk|\.\.)(/[a-z0-9.%_]{0,20}){0,5}(\.json|\.h5)?", fullmatch=True),
)


@given(KEYS)
def test_any_key_is_an_object_of_the_store_or_refused(key):
    for parse in (wanted, listed):
        try:
            parse(key)
        except Refusal:
            continue
        assert re.fullmatch(r"[A-Za-z0-9._/-]*", key)
        assert ".." not in key.split("/")
        assert not key.startswith(("/", "audit/", "pins/", "gc/"))


RECORD = at_time(
    datetime(2026, 1, 1, tzinfo=UTC), chain, Entry("manifest", "uk", "r", user="ada", dataset="d"), Head()
)[1][:-1]


@given(st.one_of(st.binary(max_size=300), st.tuples(st.integers(0, len(RECORD) - 1), st.integers(1, 255))))
def test_any_line_that_is_not_a_record_is_refused_by_name(change):
    if isinstance(change, bytes):
        line = change
    else:
        at, mask = change
        line = RECORD[:at] + bytes([RECORD[at] ^ mask]) + RECORD[at + 1 :]
    with pytest.raises(InvalidDocumentError, match="line 7"):
        parse_record(line, what="line 7")


# --- tokens ---------------------------------------------------------------------------------------


def test_the_file_of_tokens_has_no_token_and_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "below" / "tokens.json"
    command = ["token", "new", "ada@example.org", "--scope", "uk/*", "--tokens", str(path)]
    made = CliRunner().invoke(app, [*command, "--json"])
    text = json.loads(made.output)["token"]
    assert TOKEN.fullmatch(text)
    assert text not in path.read_text()
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    assert read_tokens(path)[0].sha256 == sha256_bytes(text.encode())
    listed = CliRunner().invoke(app, ["token", "list", "--tokens", str(path)]).output
    assert "ada@example.org" in listed
    assert text not in listed
    path.chmod(0o640)
    refused = CliRunner().invoke(app, ["token", "list", "--tokens", str(path)])
    assert f"chmod 600 {path}" in str(refused.exception)


@pytest.mark.parametrize(
    ("user", "scope"),
    [("ada", "uk"), ("ada", "UK/*"), ("ada", "uk/../x"), ("a b", "uk/*"), ("-x", "uk/*"), ("", "uk/*")],
)
def test_users_and_scopes_are_checked(tmp_path, user, scope):
    command = ["token", "new", "--scope", scope, "--tokens", str(tmp_path / "t.json"), "--", user]
    assert CliRunner().invoke(app, command).exit_code != 0
    assert not (tmp_path / "t.json").exists()


def test_two_tokens_made_at_once_are_both_there(tmp_path):
    path = tmp_path / "tokens.json"
    threads = [threading.Thread(target=give_token, args=(path, f"user{n}")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {token.user for token in read_tokens(path)} == {f"user{n}" for n in range(8)}
    made = read_tokens(path)[0]
    assert parse_time(made.expires) - parse_time(made.created) == timedelta(days=30)


# --- what is not loaded ---------------------------------------------------------------------------

HEAVY = {"starlette", "uvicorn", "itsdangerous", "tuf", "securesystemslib", "pe_data_gateway", "pe_data.store.gateway"}


def test_pinned_and_latest_fetches_of_public_data_load_nothing_of_this(tmp_path):
    store = FolderStore(tmp_path / "store")
    publish_survey(store, tmp_path / "files")
    code = (
        "import sys, pe_data\n"
        f"pin = pe_data.resolve('pe-data://uk/{DATASET}@latest').pinned\n"
        f"pe_data.ensure('pe-data://uk/{DATASET}@latest'); pe_data.ensure(pin)\n"
        "print(*sys.modules)"
    )
    environment = {"PE_DATA_STORE": store.url, "PE_DATA_CACHE": str(tmp_path / "cache"), "PATH": ""}
    loaded = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert not HEAVY & set(loaded.stdout.split())


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "itsdangerous"])
def test_a_missing_extra_says_what_to_install(tmp_path: Path, package):
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from pe_data.cli import main\n"
        f"main(['serve', '--store', {str(tmp_path)!r}, '--tokens', 'x'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert (
        done.stderr.strip()
        == f"pe-data: error: the gateway needs the package {package}: install what pe-microdata-gateway depends on"
    )
