"""A gateway in a process of its own, asked by honest readers and by others."""

import asyncio
import json
import re
import shutil
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from gateway_helpers import (
    DATASET,
    SURVEY,
    Answer,
    Running,
    ask,
    gateway,
    give_token,
    publish_regions,
    publish_survey,
)

import pe_data
from pe_data.cli import app
from pe_data.documents.envelope import TOMBSTONE_TYPE, Signature, SignedDocument
from pe_data.documents.tombstone import Tombstone
from pe_data.names.digests import sha256_bytes
from pe_data.names.keys import collection_key, manifest_key, payload_key, tombstone_key
from pe_data.store.folder import FolderStore
from pe_data_gateway.app import make_app
from pe_data_gateway.audit.segments import records
from pe_data_gateway.tokens import PREFIX, TOKEN, revoke_tokens

NOBODY = PREFIX + "A" * 43


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    """A private store with a survey, another one and a collection; its tokens; a gateway before it."""
    root = tmp_path_factory.mktemp("private")
    store = FolderStore(root / "store")
    found = {
        "survey": publish_survey(store, root / "files").artifact_sha256,
        "other": publish_survey(
            store, root / "files", dataset="wealth_2022", survey="WAS 2020-22", seed=1
        ).artifact_sha256,
        "large": publish_survey(store, root / "files", dataset="large", seed=2, households=60_000).artifact_sha256,
        "regions": publish_regions(store, root / "files", "wales", "scotland").artifact_sha256,
    }
    tokens = root / "tokens.json"
    named = {
        "ada": give_token(tokens, "ada@example.org"),
        "bob": give_token(tokens, "bob@example.org", f"uk/{DATASET}"),
        "eve": give_token(tokens, "eve@example.org", "us/*"),
        "old": give_token(tokens, "old@example.org", days=-1),
        "gone": give_token(tokens, "gone@example.org"),
    }
    revoke_tokens(tokens, "gone@example.org")
    with gateway(store.url, tokens, environment={"PYTHONDEVMODE": "1"}) as running:
        yield Private(root, running, found, named)


class Private:
    def __init__(self, root: Path, running: Running, found: dict[str, str], tokens: dict[str, str]) -> None:
        self.root, self.running, self.found, self.tokens = root, running, found, tokens
        self.store = FolderStore(root / "store")

    def ask(self, path: str, who: str | None = "ada", **more: str) -> Answer:
        return ask(self.running.port, path, self.tokens[who] if who else None, **more)

    def manifest(self, name: str = "survey") -> str:
        return f"/objects/{manifest_key('uk', self.found[name])}"

    def payload(self, name: str = "survey") -> str:
        return f"/objects/{payload_key('uk', self.found[name], 'h5')}"

    def records(self) -> list:
        return [record.entry for record in records(self.store, "uk")]

    def count(self) -> int:
        return len(self.records())


# --- what is released is written down -------------------------------------------------------------


def test_a_manifest_is_recorded_before_it_is_released(private):
    answer = private.ask(private.manifest(), **{"User-Agent": "analysis 1.0"})
    assert answer.status == 200
    assert answer.body == private.store.get(manifest_key("uk", private.found["survey"])).data
    assert answer.headers["cache-control"] == "no-store"
    entry = next(one for one in private.records() if one.request == answer.headers["x-request-id"])
    assert (entry.action, entry.user, entry.dataset) == ("manifest", "ada@example.org", DATASET)
    assert (entry.artifact, entry.client, entry.agent) == (private.found["survey"], "127.0.0.1", "analysis 1.0")
    assert [one.name for one in entry.inputs] == [f"{SURVEY} adult.tab"]


def test_collections_and_links_to_payloads_are_recorded_too(private):
    collection = private.ask(f"/objects/{collection_key('uk', private.found['regions'])}")
    link = private.ask(private.payload())
    assert (collection.status, link.status, link.body) == (200, 307, b"")
    by_request = {one.request: one for one in private.records()}
    assert by_request[collection.headers["x-request-id"]].action == "collection"
    assert by_request[link.headers["x-request-id"]].action == "payload"


def test_pointers_sizes_and_refusals_leave_no_record(private):
    before = private.count()
    assert private.ask(f"/objects/channels/uk/{DATASET}/latest.json").status == 200
    assert int(private.ask(private.payload(), method="HEAD").headers["content-length"]) > 1000
    assert private.ask(private.manifest(), method="HEAD").body == b""
    assert private.ask(private.manifest(), who=None).status == 401
    assert private.ask(private.manifest("other"), who="bob").status == 404
    assert private.count() == before


def test_the_gateway_is_a_store_to_the_resolver(private, tmp_path, monkeypatch):
    monkeypatch.setenv("PE_DATA_TOKEN", private.tokens["ada"])
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PE_DATA_STORE", private.running.store)
    path = pe_data.ensure(f"pe-data://uk/{DATASET}@latest")
    assert sha256_bytes(path.read_bytes()) == private.found["survey"]
    member = pe_data.ensure("pe-data://uk/regions/wales@latest")
    assert member.is_file()
    frames = pe_data.open(f"pe-data://uk/{DATASET}@latest", variables=["age", "universal_credit"])
    assert set(frames) == {"person", "benunit", "household"}, "and what weighs them"
    pinned = pe_data.resolve("pe-data://uk/regions/wales@latest").pinned
    runner = CliRunner()
    schema = runner.invoke(app, ["schema", f"pe-data://uk/{DATASET}@latest"])
    assert "benunit" in schema.output
    listed = runner.invoke(app, ["list", "uk", "--members"])
    assert "wales" in listed.output
    monkeypatch.delenv("PE_DATA_TOKEN")
    monkeypatch.setenv("PE_DATA_STORE", "gateway+http://127.0.0.1:9")
    assert pe_data.ensure(pinned) == member, "a cached pin needs neither token nor gateway"


def test_which_users_fetched_a_dataset_derived_from_a_survey_is_one_command(private):
    for who, name in (("ada", "survey"), ("bob", "survey"), ("ada", "other")):
        assert private.ask(private.manifest(name), who=who).status == 200
    command = ["audit", "report", "--dataset", f"uk/{DATASET}", "--derived-from", SURVEY, "--log", private.store.url]
    result = CliRunner().invoke(app, [*command, "--json"], standalone_mode=False)
    assert result.return_value == 0
    assert [one["user"] for one in json.loads(result.output)["users"]] == ["ada@example.org", "bob@example.org"]
    table = CliRunner().invoke(app, command).output
    assert "bob@example.org" in table
    assert f"{SURVEY} adult.tab" in table
    other = CliRunner().invoke(app, [*command[:5], "FRS 1999", *command[6:]])
    assert other.output == "nobody\n"


# --- who may --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (None, "token-missing"),
        ("", "token-missing"),
        (NOBODY, "token-refused"),
        ("old", "token-refused"),
        ("gone", "token-refused"),
    ],
)
def test_without_a_token_or_with_an_unknown_expired_or_revoked_one_nothing_is_released(private, token, code):
    text = private.tokens.get(token or "", token)
    for path in (private.manifest(), private.payload(), f"/objects/channels/uk/{DATASET}/latest.json"):
        answer = ask(private.running.port, path, text)
        assert (answer.status, answer.error["code"]) == (401, code)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert set(answer.error) == {"status", "code", "reason", "advice", "request"}
        assert answer.error["request"] == answer.headers["x-request-id"]


def test_a_token_in_the_address_is_not_a_token(private):
    assert private.ask(f"{private.manifest()}?token={private.tokens['ada']}", who=None).status == 401


def test_scopes_hold_for_manifests_collections_payloads_channels_and_lists(private):
    for path in (
        private.manifest("other"),
        private.payload("other"),
        f"/objects/{collection_key('uk', private.found['regions'])}",
    ):
        answer = private.ask(path, who="bob")
        assert (answer.status, answer.error["code"]) == (404, "not-found"), path
        assert private.ask(path, who="eve").status == 403, "its country is not in the scope, whatever the digest"
    for path in (
        "/objects/channels/uk/wealth_2022/latest.json",
        "/channels?prefix=channels/uk/wealth_2022/",
    ):
        answer = private.ask(path, who="bob")
        assert (answer.status, answer.error["code"]) == (403, "out-of-scope"), path
        assert private.ask(path, who="eve").status == 403
    assert private.ask(private.manifest(), who="bob").status == 200
    keys = [one["key"] for one in json.loads(private.ask("/channels?prefix=channels/uk/", who="bob").body)["objects"]]
    assert [key for key in keys if "history" not in key] == [f"channels/uk/{DATASET}/latest.json"]
    assert len(json.loads(private.ask("/channels?prefix=channels/").body)["objects"]) > len(keys)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("suffix", ["manifest.json", "collection.json", "h5", "parquet", "tombstone.json"])
def test_no_answer_tells_whether_a_digest_of_another_dataset_exists(private, method, suffix):
    there = private.found["regions" if suffix == "collection.json" else "other"]
    stone = private.store.local_path(tombstone_key("uk", there))
    stone.write_bytes(tombstone(there, "wealth_2022"))
    answers = []
    for digest in (there, sha256_bytes(b"nothing has these bytes")):
        answer = private.ask(f"/objects/uk/{digest[:2]}/{digest}.{suffix}", who="bob", method=method)
        error = {**answer.error, "request": ""} if method == "GET" else {}
        answers.append((answer.status, error, sorted(answer.headers), answer.headers["content-length"]))
    stone.unlink()
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    if method == "GET":
        assert f"it covers uk/{DATASET}" in answers[0][1]["reason"]


def tombstone(sha256: str, dataset: str) -> bytes:
    """One that nobody who may has signed."""
    body = Tombstone("uk", dataset, sha256, "r", "2026-01-31T12:00:00Z", "somebody", "l").to_bytes()
    return SignedDocument(TOMBSTONE_TYPE, body, (Signature("k", "c2ln"),)).to_bytes()


def test_a_tombstone_is_for_the_datasets_of_the_token(private):
    survey, other = private.found["survey"], private.found["other"]
    cases = [
        (survey, DATASET, 200),
        (survey, "wealth_2022", 200),  # the bytes are of both
        (other, DATASET, 200),
        (other, "wealth_2022", 404),
        (sha256_bytes(b"collected"), "wealth_2022", 404),
        (sha256_bytes(b"collected"), DATASET, 200),
    ]
    for digest, dataset, status in cases:
        path = private.store.local_path(tombstone_key("uk", digest))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(tombstone(digest, dataset))
        address = f"/objects/{tombstone_key('uk', digest)}"
        assert private.ask(address, who="bob").status == status, (digest, dataset)
        assert private.ask(address, who="ada").status == 200
        path.unlink()
    junk = private.store.local_path(tombstone_key("uk", other))
    junk.write_bytes(b"junk")
    assert private.ask(f"/objects/{tombstone_key('uk', other)}", who="bob").status == 404
    assert private.ask(f"/objects/{tombstone_key('uk', other)}", who="ada").status == 200
    junk.unlink()


def test_a_public_country_is_not_served_here(private):
    answer = private.ask(private.manifest().replace("/uk/", "/us/"), who="eve")
    assert (answer.status, answer.error["code"]) == (404, "country-elsewhere")


@pytest.mark.parametrize(
    "path",
    [
        "/objects/../tokens.json",
        "/objects/%2e%2e/tokens.json",
        "/objects/uk/..%2f..%2ftokens.json",
        "/objects/audit/uk/000000000001.jsonl",
        "/objects//etc/passwd",
        "/objects/uk/98/" + "a" * 64 + ".h5",
        "/objects/channels/uk/../../audit/uk/000000000001.jsonl",
        "/objects/channels/uk/" + DATASET + "/stable.json",
        "/objects/pins/uk/" + "a" * 64 + ".json",
        "/channels?prefix=audit/",
        "/channels?prefix=channels/../audit/",
        "/channels?prefix=",
        "/link/..%2f..%2ftokens.json",
        "/tokens.json",
        "/channels/",
        "/.",
        "//",
    ],
)
def test_path_traversal_and_keys_that_are_nobodys_business_are_refused(private, path):
    before = private.count()
    answer = private.ask(path)
    assert answer.status in (403, 404)
    assert set(answer.error) == {"status", "code", "reason", "advice", "request"}
    assert private.count() == before


def test_only_reading_is_possible(private):
    before = private.count()
    for method in ("PUT", "POST", "DELETE", "PATCH", "OPTIONS"):
        for path in (private.manifest(), "/health"):
            answer = private.ask(path, method=method, **{"Content-Length": "0"})
            assert (answer.status, answer.error["code"]) == (405, "no-such-address")
            assert answer.headers["cache-control"] == "no-store"
            assert answer.error["request"] == answer.headers["x-request-id"]
    assert private.count() == before


def test_an_upgrade_to_another_protocol_is_not_taken_up(private):
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "AAAA",
        "Sec-WebSocket-Version": "13",
    }
    assert private.ask("/tokens.json", **upgrade).status == 404
    assert private.ask("/health", **upgrade).status == 200


def test_a_defect_is_answered_without_its_text_and_raised_for_the_server_to_log():
    class Broken:
        async def document(self, key: str, asked: object) -> bytes:
            raise RuntimeError("pedata_secret")

    asgi = make_app(Broken(), on_start=lambda: None, on_stop=lambda: None)
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/objects/uk/x",
        "headers": [],
        "query_string": b"",
        "client": None,
    }
    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    async def ask() -> None:
        await asgi(scope, None, send)

    with pytest.raises(RuntimeError, match="pedata_secret"):
        asyncio.run(ask())
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"])["error"]["code"] == "internal"
    assert b"secret" not in sent[1]["body"]


# --- links ----------------------------------------------------------------------------------------


def link_of(private: Private, name: str = "survey", who: str = "ada") -> str:
    answer = private.ask(private.payload(name), who=who)
    location = answer.headers["location"]
    assert answer.status == 307
    return "/link/" + location.rpartition("/link/")[2]


def test_a_link_gives_one_payload_without_a_token_whole_or_by_range(private):
    link = link_of(private)
    whole = private.ask(link, who=None)
    assert (whole.status, sha256_bytes(whole.body)) == (200, private.found["survey"])
    size = len(whole.body)
    for span, expected in (
        ("bytes=0-99", whole.body[:100]),
        ("bytes=100-", whole.body[100:]),
        ("bytes=-50", whole.body[-50:]),
        (f"bytes={size - 10}-{size + 10}", whole.body[-10:]),
    ):
        part = private.ask(link, who=None, Range=span)
        assert (part.status, part.body) == (206, expected), span
    many = "9" * 5000
    for span, expected in (
        (f"bytes=0-{many}", whole.body),
        (f"bytes=-{many}", whole.body),
        (f"bytes={'0' * 5000}7-9", whole.body[7:10]),
    ):
        part = private.ask(link, who=None, Range=span)
        assert (part.status, part.body) == (206, expected), span[:20]
    for wrong in (f"bytes={size}-", "bytes=9-1", "bytes=-", "items=0-1", f"bytes={many}-", f"bytes={many}-{many}"):
        assert private.ask(link, who=None, Range=wrong).status == 416, wrong


def test_a_large_payload_is_fetched_in_parallel_ranges_through_the_gateway(private, tmp_path, monkeypatch):
    monkeypatch.setenv("PE_DATA_TOKEN", private.tokens["ada"])
    path = pe_data.ensure("pe-data://uk/large@latest", store=private.running.store, cache=tmp_path / "cache")
    assert path.stat().st_size > 5_000_000
    assert sha256_bytes(path.read_bytes()) == private.found["large"]
    links = [one for one in private.records() if one.action == "payload" and one.dataset == "large"]
    assert len(links) == 1


def test_a_forged_or_changed_link_is_refused(private):
    link = link_of(private)
    body, stamp, mac = link.removeprefix("/link/").rsplit(".", 2)
    for forged in (f"{body}.{stamp}.{mac[:-2]}AA", f"{body}.{stamp}.", f"{body}x.{stamp}.{mac}", "x", f"{body}.{mac}"):
        answer = private.ask(f"/link/{forged}", who=None)
        assert (answer.status, answer.error["code"]) == (403, "link-forged"), forged


def test_the_link_of_one_artifact_does_not_open_another(private):
    one, other = link_of(private, "survey"), link_of(private, "other")
    body, stamp, mac = one.removeprefix("/link/").rsplit(".", 2)
    swapped = f"/link/{other.removeprefix('/link/').rsplit('.', 2)[0]}.{stamp}.{mac}"
    assert private.ask(swapped, who=None).error["code"] == "link-forged"
    assert body != other.removeprefix("/link/").rsplit(".", 2)[0]


def test_the_link_of_another_gateway_does_not_open_this_one(private, tmp_path):
    store = shutil.copytree(private.store.root, tmp_path / "store", ignore=shutil.ignore_patterns("audit"))
    with gateway(str(store), private.root / "tokens.json", "--log", str(tmp_path / "log")) as other:
        answer = ask(other.port, private.payload(), private.tokens["ada"])
        link = "/link/" + answer.headers["location"].rpartition("/link/")[2]
        assert ask(other.port, link).status == 200
        assert private.ask(link, who=None).error["code"] == "link-forged"


# --- logs -----------------------------------------------------------------------------------------


def test_no_token_and_no_link_is_in_any_log(private):
    link = link_of(private)
    private.ask(f"{private.manifest()}?token={private.tokens['ada']}", who=None)
    private.ask(f"/objects/{private.tokens['ada']}", who=None)  # a refusal that is logged with its path
    private.ask(f"/link/{private.tokens['ada']}", who=None)
    private.ask(f"{link}x", who=None)
    ask(private.running.port, private.manifest(), private.tokens["gone"])
    deadline = time.monotonic() + 20
    while "token-refused" not in private.running.output and time.monotonic() < deadline:
        time.sleep(0.05)
    files = [path for path in private.root.rglob("*") if path.is_file() and path.suffix != ".h5"]
    everything = private.running.output + "".join(path.read_bytes().decode("latin-1") for path in files)
    assert "token-refused" in private.running.output
    assert "link-forged" in private.running.output
    assert "ada@example.org" in everything
    assert not TOKEN.search(everything)
    for secret in private.tokens.values():
        assert secret not in everything
        assert secret.removeprefix(PREFIX) not in everything
    assert link.removeprefix("/link/") not in everything
    assert not re.search(r"(?i)bearer \S", everything)
