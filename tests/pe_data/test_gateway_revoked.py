"""A gateway before a store in which something was revoked: at once, half way, or by nobody who may."""

import asyncio
import re
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import forked
import pytest
import revocation_helpers
from gateway_helpers import DATASET, Answer, Running, ask, gateway, give_token, publish_survey
from trust_helpers import Trust, make_trust, variables

import pe_data
from pe_data.documents.envelope import POINTER_TYPE, TOMBSTONE_TYPE
from pe_data.documents.tombstone import Tombstone
from pe_data.errors import RevokedError, StoreUnavailableError
from pe_data.names.digests import Sha256
from pe_data.names.keys import manifest_key, payload_key, tombstone_key
from pe_data.store.folder import FolderStore
from pe_data_gateway.audit.segments import records
from pe_data_gateway.revocations import LOOK_SECONDS, Revocations

REASON = "the survey office withdrew the licence"


@dataclass
class Private:
    """A private store with one survey and a trust root, and a gateway before it."""

    folder: Path
    trust: Trust
    digest: Sha256
    token: str
    running: Running

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.folder / "store")

    def ask(self, key: str, method: str = "GET") -> Answer:
        return ask(self.running.port, f"/objects/{key}", self.token, method=method)

    def link(self) -> str:
        return "/link/" + self.ask(self.payload).headers["location"].rpartition("/link/")[2]

    @property
    def payload(self) -> str:
        return payload_key("uk", self.digest, "h5")

    @property
    def tombstone(self) -> Path:
        return self.store.local_path(tombstone_key("uk", self.digest))

    def body(self) -> bytes:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Tombstone("uk", DATASET, self.digest, REASON, now, "dpo@example.org", "made-up").to_bytes()

    def until(self, status: int) -> Answer:
        """The first answer about the payload with that status; a look holds for a hundredth of a second."""
        deadline = time.monotonic() + 20
        while (answer := self.ask(self.payload)).status != status and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        return answer


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Private]:
    """The store and the gateway, with one survey."""
    folder = tmp_path_factory.mktemp("private")
    store = FolderStore(folder / "store")
    trust = make_trust(store, folder, {"revoke-uk": 1})
    digest = publish_survey(store, folder / "files").artifact_sha256
    token = give_token(folder / "tokens.json", "ada@example.org")
    with gateway(store.url, folder / "tokens.json", environment=trust.environment) as running:
        yield Private(folder, trust, digest, token, running)


@pytest.fixture
def private(served: Private, request: pytest.FixtureRequest) -> Private:
    """With a survey of the test's own, which is the newest one."""
    seed = zlib.crc32(request.node.name.encode())
    return replace(served, digest=publish_survey(served.store, served.folder / "files", seed=seed).artifact_sha256)


def test_what_a_killed_revocation_left_is_not_released(private: Private, monkeypatch: pytest.MonkeyPatch) -> None:
    link = private.link()
    assert ask(private.running.port, link).status == 200
    envelope = private.folder / "envelope.json"
    envelope.write_bytes(private.trust.sign(private.body(), TOMBSTONE_TYPE).to_bytes())
    with variables(private.trust.environment):
        assert forked.run(revocation_helpers.main, str(private.store.root), str(envelope), 2).returncode == -9
    assert private.store.exists(private.payload), "killed between its steps"
    before = len(list(records(private.store, "uk")))
    answer = private.until(410)
    assert (answer.status, answer.error["code"]) == (410, "revoked")
    assert re.search(rf"revoked on \d{{4}}-\d\d-\d\d by dpo@example.org .*{REASON}", str(answer.error["reason"]))
    assert ask(private.running.port, link).error["code"] == "revoked"
    assert ask(private.running.port, link, Range="bytes=0-9").status == 410
    assert ask(private.running.port, link, method="HEAD").status == 410
    assert private.ask(private.payload, "HEAD").status == 410
    assert len(list(records(private.store, "uk"))) == before, "what is not released leaves no record"
    assert private.ask(manifest_key("uk", private.digest)).status == 200, "its manifest, which a reader is told with"
    monkeypatch.setenv("PE_DATA_TOKEN", private.token)
    with variables(private.trust.environment), pytest.raises(RevokedError, match=REASON):
        pe_data.ensure(f"pe-data://uk/{DATASET}@latest", store=private.running.store, cache=private.folder / "reader")


def test_a_revoked_payload_that_a_backup_brought_back_is_not_released(private: Private) -> None:
    payload = private.store.local_path(private.payload).read_bytes()
    private.tombstone.write_bytes(private.trust.sign(private.body(), TOMBSTONE_TYPE).to_bytes())
    private.store.delete(private.payload)
    assert private.until(410).error["code"] == "revoked"
    private.store.local_path(private.payload).write_bytes(payload)
    assert private.ask(private.payload).status == 410
    private.tombstone.unlink()
    assert private.ask(private.payload).status == 410, "what was genuine once is remembered while the gateway runs"


@pytest.mark.parametrize("how", ["junk", "stranger", "another kind", "another artifact"])
def test_a_forged_tombstone_changes_nothing_and_is_told(private: Private, how: str, tmp_path: Path) -> None:
    stranger = make_trust(FolderStore(tmp_path / "other"), tmp_path / "stranger", {"revoke-uk": 1})
    other = private.body().replace(private.digest.encode(), b"0" * 64)
    private.tombstone.write_bytes(
        {
            "junk": b"junk",
            "stranger": stranger.sign(private.body(), TOMBSTONE_TYPE).to_bytes(),
            "another kind": private.trust.sign(private.body(), POINTER_TYPE).to_bytes(),
            "another artifact": private.trust.sign(other, TOMBSTONE_TYPE).to_bytes(),
        }[how]
    )
    time.sleep(2 * LOOK_SECONDS)
    assert ask(private.running.port, private.link()).status == 200
    deadline = time.monotonic() + 20
    while not (told := [line for line in private.running.lines if private.digest in line]):
        assert time.monotonic() < deadline
        time.sleep(LOOK_SECONDS)
    assert "not genuine and changes nothing" in told[0]


def test_a_tombstone_that_cannot_be_checked_counts(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    trust = make_trust(store, tmp_path, {"revoke-uk": 1})
    digest = publish_survey(store, tmp_path / "files").artifact_sha256
    token = give_token(tmp_path / "tokens.json", "ada@example.org")
    with gateway(store.url, tmp_path / "tokens.json") as running:
        private = Private(tmp_path, trust, digest, token, running)
        private.tombstone.write_bytes(trust.sign(private.body(), TOMBSTONE_TYPE).to_bytes())
        assert "signatures the gateway cannot check" in str(private.until(410).error["reason"])
        private.tombstone.unlink()
        assert private.until(307).status == 307, "it was not proven, and goes with the tombstone"


def test_one_look_serves_the_requests_of_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderStore(tmp_path)
    store.put_create("uk/x", b"")
    asked: list[str] = []
    get = FolderStore.get
    monkeypatch.setattr(FolderStore, "get", lambda self, key, **more: (asked.append(key), get(self, key, **more))[1])
    looks = Revocations(store)

    async def many() -> set[str]:
        return set(await asyncio.gather(*(looks.reason("uk", Sha256("1" * 64)) for _ in range(200))))

    async def then() -> None:
        assert await many() == {""}
        assert len(asked) == 1
        await asyncio.sleep(2 * LOOK_SECONDS)
        assert await many() == {""}
        assert len(asked) == 2

    asyncio.run(then())

    def silent(self: FolderStore, key: str, **more: object) -> None:
        raise StoreUnavailableError("no answer")

    monkeypatch.setattr(FolderStore, "get", silent)
    with pytest.raises(StoreUnavailableError):
        asyncio.run(Revocations(store).reason("uk", Sha256("1" * 64)))
