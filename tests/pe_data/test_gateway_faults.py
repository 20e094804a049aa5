"""A gateway of each test's own: limits, faults, deaths."""

import asyncio
import os
import sys
import threading
import time
from collections import Counter
from contextlib import suppress

import pytest
from click.testing import CliRunner
from gateway_helpers import (
    DATASET,
    Answer,
    Connection,
    ask,
    gateway,
    give_token,
    publish_survey,
)

from pe_data.cli import app
from pe_data.names.keys import manifest_key
from pe_data.store.folder import FolderStore
from pe_data_gateway.audit.segments import records

# --- a gateway of one's own: limits, faults, deaths -----------------------------------------------


@pytest.fixture
def small(tmp_path):
    """A store with one survey, and a token."""
    store = FolderStore(tmp_path / "store")
    digest = publish_survey(store, tmp_path / "files").artifact_sha256
    token = give_token(tmp_path / "tokens.json", "ada@example.org")
    return store, f"/objects/{manifest_key('uk', digest)}", tmp_path / "tokens.json", token


def test_too_many_requests_are_put_off_and_other_users_are_not(small):
    store, manifest, tokens, token = small
    other = give_token(tokens, "bob@example.org")
    with gateway(store.url, tokens, "--rate", "0.01", "--burst", "3") as running:
        answers = [ask(running.port, manifest, token) for _ in range(5)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[-1].error["code"] == "too-many-requests"
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 101
        assert ask(running.port, manifest, other).status == 200


def soon(port: int, path: str, token: str, status: int) -> Answer:
    """The first answer with that status; the gateway looks at the file a hundred times a second."""
    deadline = time.monotonic() + 20
    while (answer := ask(port, path, token)).status != status and time.monotonic() < deadline:
        pass
    assert answer.status == status
    return answer


def test_a_revoked_token_ends_at_the_next_request_and_so_do_its_links(small):
    store, manifest, tokens, token = small
    payload = manifest.replace("manifest.json", "h5")
    with gateway(store.url, tokens) as running:
        link = "/link/" + ask(running.port, payload, token).headers["location"].rpartition("/link/")[2]
        assert ask(running.port, link).status == 200
        assert CliRunner().invoke(app, ["token", "revoke", "ada@example.org", "--tokens", str(tokens)]).exit_code == 0
        assert soon(running.port, manifest, token, 401).error["code"] == "token-refused"
        assert ask(running.port, link).error["code"] == "link-revoked"


def test_an_unreadable_file_of_tokens_ends_all_of_them(small):
    store, manifest, tokens, token = small
    with gateway(store.url, tokens) as running:
        assert ask(running.port, manifest, token).status == 200
        tokens.chmod(0o644)
        assert soon(running.port, manifest, token, 503).error["code"] == "tokens-unavailable"
        tokens.chmod(0o600)
        assert soon(running.port, manifest, token, 200).status == 200


def test_when_the_disk_is_full_nothing_is_served(small):
    store, manifest, tokens, token = small
    limit = 4000
    with gateway(store.url, tokens, file_limit=limit) as running:
        answers = [ask(running.port, manifest, token) for _ in range(12)]
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {200, 503}
        assert statuses == sorted(statuses), "once full, always full"
        refused = answers[-1]
        assert refused.error["code"] == "audit-unavailable"
        assert b"columns" not in refused.body
        assert ask(running.port, manifest.replace("manifest.json", "h5"), token).status == 503
        assert ask(running.port, f"/objects/channels/uk/{DATASET}/latest.json", token).status == 200
        assert "File too large" in running.output
    served = {answer.headers["x-request-id"] for answer in answers if answer.status == 200}
    written = {record.entry.request for record in records(store, "uk") if record.entry.action == "manifest"}
    assert served == written


def test_when_the_log_was_tampered_with_under_the_gateway_nothing_is_served(small):
    store, manifest, tokens, token = small
    with gateway(store.url, tokens) as running:
        assert ask(running.port, manifest, token).status == 200
        log = store.root / "audit/uk/000000000001.jsonl"
        os.truncate(log, log.stat().st_size - 10)
        assert ask(running.port, manifest, token).status == 503
        assert ask(running.port, "/health").status == 503


def test_a_gateway_does_not_start_without_a_log_it_can_write_or_trust(small, tmp_path):
    store, manifest, tokens, token = small
    with gateway(store.url, tokens) as running:
        assert ask(running.port, manifest, token).status == 200
        command = ["serve", "--store", store.url, "--tokens", str(tokens), "--port", "0"]
        second = CliRunner().invoke(app, command)
        assert "another process writes this audit log" in str(second.exception)
    log = store.root / "audit/uk/000000000001.jsonl"
    log.write_bytes(log.read_bytes().replace(b"ada@", b"eve@"))
    broken = CliRunner().invoke(app, command)
    assert "edited" in str(broken.exception)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder belongs")
    refused = CliRunner().invoke(app, [*command, "--log", str(blocked / "below")])
    assert "nothing is served without it" in str(refused.exception)


def test_tokens_do_not_cross_a_network_in_the_clear(small):
    store, _, tokens, _ = small
    command = ["serve", "--store", store.url, "--tokens", str(tokens), "--port", "0", "--host", "0.0.0.0"]
    assert "expected TLS" in str(CliRunner().invoke(app, command).exception)


PROXY = "127.0.0.2"
forwarded = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 on this machine")
def test_only_the_proxy_is_let_in_without_tls_and_believed(small):
    store, manifest, tokens, token = small
    with gateway(store.url, tokens, "--host", "0.0.0.0", "--proxy", PROXY) as running:
        through = ask(running.port, manifest, token, source=PROXY, **forwarded)
        assert through.status == 200
        for headers in ({}, forwarded):
            past = ask(running.port, manifest, token, **headers)
            assert (past.status, past.error["code"]) == (403, "not-through-proxy")
            assert past.error["request"] == past.headers["x-request-id"]
            assert past.headers["cache-control"] == "no-store"
            assert ask(running.port, "/link/x", **headers).error["code"] == "not-through-proxy"
        assert ask(running.port, "/health").status == 200, "takes no token"
    entries = [record.entry for record in records(store, "uk") if record.entry.action == "manifest"]
    assert [(one.request, one.client) for one in entries] == [(through.headers["x-request-id"], "203.0.113.9")]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 on this machine")
def test_without_a_proxy_nobody_is_believed_and_a_network_of_proxies_is(small):
    store, manifest, tokens, token = small
    with gateway(store.url, tokens) as running:
        assert ask(running.port, manifest, token, **forwarded).status == 200
    with gateway(store.url, tokens, "--proxy", "127.0.0.0/30") as running:
        assert ask(running.port, manifest, token, source=PROXY, **forwarded).status == 200
        assert ask(running.port, manifest, token, source="127.0.0.9", **forwarded).status == 403
    clients = [record.entry.client for record in records(store, "uk") if record.entry.action == "manifest"]
    assert clients == ["127.0.0.1", "203.0.113.9"]


@pytest.mark.parametrize(
    "proxy", ["*", "", "proxy.example.org", "0.0.0.0/0", "::/0", "10.0.0.2,10.0.0.3", "10.0.0.1/8"]
)
def test_a_proxy_that_could_be_anybody_is_refused(small, proxy):
    store, _, tokens, _ = small
    command = ["serve", "--store", store.url, "--tokens", str(tokens), "--port", "0", "--proxy", proxy]
    assert "expected the IP address of the proxy" in str(CliRunner().invoke(app, command).exception)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 on this machine")
def test_what_others_wrote_begins_no_line_of_the_log(small):
    store, manifest, tokens, _ = small
    with gateway(store.url, tokens, "--proxy", PROXY) as running:
        spoofed = {"X-Forwarded-For": "\u009b2Jx WARNING"}
        assert ask(running.port, f"{manifest}%0aWARNING%20x", source=PROXY, **spoofed).status == 404
        assert ask(running.port, f"{manifest}%0dWARNING%20x", source=PROXY, **spoofed).status == 401
        deadline = time.monotonic() + 20
        while "token-missing" not in running.output and time.monotonic() < deadline:
            time.sleep(0.05)
        running.stop()
    assert "token-missing" in running.output
    assert "\u009b" not in running.output
    assert not [line for line in running.output.splitlines() if line.startswith("WARNING")]


def fetch_until_it_ends(port: int, path: str, token: str, served: list[str]) -> None:
    """Ask on one connection again and again; keep the ids of answers that came whole."""

    async def loop() -> None:
        connection = await Connection.open(port)
        while True:
            answer = await connection.get(path, {"Authorization": f"Bearer {token}"})
            assert answer.status == 200
            served.append(answer.headers["x-request-id"])

    with suppress(OSError, EOFError, ValueError):
        asyncio.run(loop())


def test_kill_9_of_the_gateway_loses_no_record_of_anything_served(small):
    store, manifest, tokens, token = small
    total: list[str] = []
    for _ in range(3):
        served: list[str] = []
        with gateway(store.url, tokens) as running:
            readers = [
                threading.Thread(target=fetch_until_it_ends, args=(running.port, manifest, token, served))
                for _ in range(6)
            ]
            for reader in readers:
                reader.start()
            deadline = time.monotonic() + 30
            while len(served) < 60 and time.monotonic() < deadline:
                time.sleep(0.001)
            running.kill()
            for reader in readers:
                reader.join(timeout=30)
        assert len(served) >= 60
        total += served
    written = Counter(record.entry.request for record in records(store, "uk"))
    assert all(written[request] == 1 for request in total)
    with gateway(store.url, tokens) as running:
        assert ask(running.port, manifest, token).status == 200
        assert CliRunner().invoke(app, ["audit", "verify", "uk", "--log", store.url]).exit_code == 0


def test_200_concurrent_readers_and_every_manifest_served_has_its_record(small):
    store, manifest, tokens, _ = small
    readers = {f"reader-{number}": give_token(tokens, f"reader-{number}") for number in range(200)}

    async def read(port: int, token: str, start: asyncio.Event) -> list[Answer]:
        connection = await Connection.open(port)
        await start.wait()
        answers = [await connection.get(manifest, {"Authorization": f"Bearer {token}"}) for _ in range(3)]
        connection.close()
        return answers

    async def all_of_them(port: int) -> list[list[Answer]]:
        start = asyncio.Event()
        tasks = [asyncio.create_task(read(port, token, start)) for token in readers.values()]
        await asyncio.sleep(0)
        start.set()
        return await asyncio.gather(*tasks)

    with gateway(store.url, tokens) as running:
        found = asyncio.run(all_of_them(running.port))
    answers = [answer for some in found for answer in some]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    written = [record.entry for record in records(store, "uk") if record.entry.action == "manifest"]
    assert {answer.headers["x-request-id"] for answer in answers} == {entry.request for entry in written}
    assert Counter(entry.user for entry in written) == dict.fromkeys(readers, 3)
