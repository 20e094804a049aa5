"""The signed revocation list of a country: what makes readers obey it, and how it is made."""

import json
import os
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from revocation_helpers import AL, NC, REASON, World, make_world, stranger
from storage_helpers import areas, publish_areas

import pe_data
from pe_data.cli import run
from pe_data.documents.envelope import REVOCATIONS_TYPE, TOMBSTONE_TYPE, sign
from pe_data.documents.revocations import Ended, RevocationList
from pe_data.errors import (
    CacheWarning,
    ConflictError,
    InputError,
    InvalidTombstoneError,
    RevokedError,
    StoreUnavailableError,
    UncheckedRevocationError,
)
from pe_data.keep.fsck import check_store
from pe_data.keep.gc import collect_garbage
from pe_data.keep.mirror import mirror
from pe_data.names.digests import canonical_json, sha256_bytes
from pe_data.names.keys import payload_key, revocations_history_key, revocations_key, tombstone_key
from pe_data.store.base import Content, StoredDocument, VersionToken
from pe_data.store.folder import FolderStore
from pe_data.trust.policy import Holders
from pe_data.trust.revocations import Verifier

KEY = revocations_key("us")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


def config(world: World, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    path = world.folder / "config.toml"
    path.write_text(text)
    monkeypatch.setenv("PE_DATA_CONFIG", str(path))


def require(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    config(world, monkeypatch, f'[stores.us]\nurl = "{world.store.root}"\nrequire_revocations = true\n')


def silently(world: World, uri: str, **more: object) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return pe_data.ensure(uri, **more)  # type: ignore[arg-type]


def raw_list(world: World) -> bytes:
    return world.store.get(KEY).data


# --- what readers do ---------------------------------------------------------------------------------------


def test_one_question_serves_a_call_and_an_interval(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.revoke(world.single(NC))
    asked: list[str] = []
    real = FolderStore.get

    def get(self: FolderStore, key: str, **more: int) -> StoredDocument:
        asked.append(key)
        return real(self, key, **more)

    monkeypatch.setattr(FolderStore, "get", get)
    for uri in (world.single(AL), world.member(AL), world.pin):
        silently(world, uri)
    assert asked.count(KEY) == 1
    assert not [key for key in asked if "tombstone" in key], "nothing is searched for"
    with pytest.raises(RevokedError, match=REASON):
        pe_data.ensure(world.single(NC))
    assert asked.count(KEY) == 1
    assert asked.count(tombstone_key("us", world.sha256(NC))) == 1, "for the reason"


def test_what_is_new_on_the_list_is_noticed_after_the_interval(world: World) -> None:
    world.revoke(world.single(NC))
    path = silently(world, world.single(AL))
    world.revoke(world.single(AL))
    assert silently(world, world.single(AL)) == path
    world.a_day_later()
    with pytest.raises(RevokedError, match=REASON):
        pe_data.ensure(world.single(AL))
    with pytest.warns(CacheWarning, match=f"REVOKED.*{REASON}"):
        assert pe_data.ensure(world.single(AL), offline=True) == path


@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize("cached", [True, False])
def test_a_pin_imports_no_tuf(world: World, root: bool, cached: bool) -> None:
    """Whether there is something to check or not: what is new is checked by another process."""
    world.revoke(world.single(NC))
    code = (
        "import sys, pe_data\n"
        f"print(pe_data.ensure({world.single(AL)!r}).read_text())\n"
        f"try: pe_data.ensure({world.single(NC)!r})\n"
        f"except pe_data.errors.RevokedError as error: print(type(error).__name__)\n"
        "print([name for name in ('tuf', 'securesystemslib', 'cryptography') if name in sys.modules])\n"
    )
    if cached:
        silently(world, world.single(AL))
    env = dict(os.environ)
    if not root:
        del env["PE_DATA_TRUST_ROOT"]
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    said = "RevokedError" if root or cached else "UncheckedRevocationError"
    assert done.stdout.splitlines() == [AL, said, "[]"], done.stderr


@pytest.mark.parametrize("how", ["missing", "expired", "older"])
@pytest.mark.parametrize("cached", [True, False])
def test_a_list_that_does_not_hold(world: World, monkeypatch: pytest.MonkeyPatch, how: str, cached: bool) -> None:
    """The file comes with a warning; where the configuration wants a list that holds, it does not."""
    if cached:
        pe_data.ensure(world.single(AL))
    world.revoke(world.single(NC))
    first = raw_list(world)
    if how == "missing":
        world.put_list(None)
        said = "expected a revocation list of us, found none"
    elif how == "expired":
        proposed = world.propose()
        world.put_list(world.signed_list(msgspec.structs.replace(proposed, expires="2026-01-01T00:00:00Z")))
        said = "version 2 ended on 2026-01-01"
    else:
        world.publish_list(world.propose())
        world.a_day_later()
        silently(world, world.single(AL)) if cached else silently(world, world.member(AL))
        for path in world.cache.glob("artifacts/*/*.h5"):
            path.unlink() if not cached else None
        world.put_list(first)
        said = "expected version 2 or later, which this machine has seen, found 1"
    world.a_day_later()
    with pytest.warns(CacheWarning, match=said):
        assert pe_data.ensure(world.single(AL)).read_bytes() == AL.encode()
    require(world, monkeypatch)
    for _ in range(2):
        with pytest.raises(UncheckedRevocationError, match=rf"require_revocations.*{said}.*pe-data revoke --list us"):
            pe_data.ensure(world.single(AL))
    silently(world, world.single(AL), offline=True)
    world.put_list(None)
    world.publish_list(world.propose())
    assert silently(world, world.single(AL)).read_bytes() == AL.encode(), "asked again at once"


def test_required_and_nothing_to_check_it_with(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.revoke(world.single(NC))
    require(world, monkeypatch)
    silently(world, world.single(AL))
    monkeypatch.delenv("PE_DATA_TRUST_ROOT")
    with pytest.raises(UncheckedRevocationError, match=r"require_revocations.*PE_DATA_TRUST_ROOT"):
        pe_data.ensure(world.single(AL), cache=world.folder / "fresh")
    config(world, monkeypatch, '[stores.us]\nurl = "/x"\nrequire_revocations = "yes"\n')
    with pytest.raises(pe_data.PeDataError, match="require_revocations: expected true or false"):
        pe_data.ensure("pe-data://us/areas@latest")


def test_without_a_root_the_store_is_believed_as_far_as_that_stops_a_download(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pe_data.ensure(world.single(AL))
    world.revoke(world.single(AL))
    monkeypatch.delenv("PE_DATA_TRUST_ROOT")
    world.a_day_later()
    for _ in range(2):
        with pytest.warns(CacheWarning, match="REVOKED.*cannot be checked here"):
            assert pe_data.ensure(world.single(AL)) == path
    with pytest.raises(UncheckedRevocationError, match="PE_DATA_TRUST_ROOT"):
        pe_data.ensure(world.single(AL), cache=world.folder / "fresh")
    assert silently(world, world.single(NC)).read_bytes() == NC.encode()
    world.put_list(None)
    (world.store.root / tombstone_key("us", world.sha256(AL))).unlink()
    world.a_day_later()
    assert silently(world, world.single(AL)) == path, "it was never proven, and goes with the list"


def test_without_a_root_a_mirror_is_believed_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    target = FolderStore(world.folder / "mirror")
    mirror(world.store, target, work=world.folder / "work")
    world.put_list(world.signed_list(world.propose(world.tombstone(world.single(AL)))), target)
    monkeypatch.setenv("PE_DATA_MIRRORS", str(target.root))
    monkeypatch.delenv("PE_DATA_TRUST_ROOT")
    assert silently(world, world.single(AL)).read_bytes() == AL.encode()


def test_a_read_only_cache_obeys(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from pe_data.errors import CacheError

    world.revoke(world.single(AL))

    def refuse(path: Path, data: bytes, **_: object) -> None:
        raise CacheError(f"{path}: read-only")

    monkeypatch.setattr("pe_data.cache.known_revocations.write_atomic", refuse)
    for _ in range(2):
        with pytest.raises(RevokedError, match=REASON):
            pe_data.ensure(world.single(AL))


def test_a_download_that_nobody_delivers_asks_once_more(world: World) -> None:
    """Its payload went with the revocation, which the list that was read a moment ago does not have."""
    world.revoke(world.single(NC))
    silently(world, world.pin)
    world.revoke(world.single(AL))
    for uri in (world.single(AL), world.member(AL)):
        with pytest.raises(RevokedError, match=REASON):
            pe_data.ensure(uri)


# --- those who revoke --------------------------------------------------------------------------------------


def test_two_who_revoke_at_once_lose_nothing(world: World) -> None:
    """The one who is second is told, and the next list has both."""
    one, two = world.tombstone(world.single(AL)), world.tombstone(world.single(NC))
    lists = [world.signed_list(world.propose(stone)) for stone in (one, two)]
    world.publish(world.signed(one), listed=lists[0])
    with pytest.raises(ConflictError, match=r"another writer was first.*pe-data revoke --list us"):
        world.publish(world.signed(two), listed=lists[1])
    assert not world.store.exists(payload_key("us", world.sha256(NC), "h5")), "the tombstone was signed all the same"
    assert any("not on the revocation list" in one.problem for one in check_store(world.store).findings)
    listed = world.publish_list(world.propose())
    assert (listed.version, set(listed.revoked)) == (2, {world.sha256(AL), world.sha256(NC)})
    assert check_store(world.store).ok


def test_the_command_proposes_again_when_it_was_second(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real, races = FolderStore.put_create, iter([True])

    def put_create(self: FolderStore, key: str, data: Content) -> VersionToken:
        if key == KEY and next(races, False):
            other = sign(
                world.propose(world.tombstone(world.single(NC))).to_bytes(),
                REVOCATIONS_TYPE,
                [world.trust.signers["alice"]],
            )
            real(self, key, other.to_bytes())
        return real(self, key, data)

    monkeypatch.setattr(FolderStore, "put_create", put_create)
    monkeypatch.setattr("pe_data.cli.options.signers_of", lambda keys: [world.trust.signers["alice"]])
    assert run(["revoke", world.single(AL), "--reason", REASON, "--by", "dpo", "--key", "alice"]) == 0
    listed = Verifier.of(lambda: world.store).check_list(raw_list(world), country="us", what=KEY)
    assert (listed.version, set(listed.revoked)) == (2, {world.sha256(AL), world.sha256(NC)})


@pytest.mark.parametrize("written", [True, False])
def test_lost_reply(world: World, monkeypatch: pytest.MonkeyPatch, written: bool) -> None:
    real, lost = FolderStore.put_create, iter([True])

    def put_create(self: FolderStore, key: str, data: Content) -> VersionToken:
        if key == KEY and next(lost, False):
            if written:
                real(self, key, data)
            raise StoreUnavailableError("no reply")
        return real(self, key, data)

    stone = world.tombstone(world.single(AL))
    document, listed = world.signed(stone), world.signed_list(world.propose(stone))
    monkeypatch.setattr(FolderStore, "put_create", put_create)
    if written:
        assert world.publish(document, listed=listed).list_version == 1
    else:
        with pytest.raises(StoreUnavailableError):
            world.publish(document, listed=listed)
        assert world.publish(document, listed=listed).list_version == 1, "the same again completes it"
    assert check_store(world.store).ok


def test_the_first_list_is_made_of_the_tombstones(world: World) -> None:
    for name in (AL, NC):
        world.revoke(world.single(name), listed=False)
    world.put("0" * 64, stranger(world))  # not genuine
    with pytest.raises(RevokedError, match=REASON):
        pe_data.ensure(world.single(AL))  # tombstones of the store count until then
    with pytest.warns(CacheWarning, match="not genuine"):
        first = world.publish_list(world.propose())
    assert (first.version, first.prev, set(first.revoked)) == (1, None, {world.sha256(AL), world.sha256(NC)})


def test_each_version_follows_the_one_before_and_leaves_nothing_out(world: World) -> None:
    world.revoke(world.single(AL))
    before = raw_list(world)
    second = world.propose(world.tombstone(world.single(NC)))
    with pytest.raises(InputError, match="leaves out"):
        world.publish_list(msgspec.structs.replace(second, revoked={}))
    with pytest.raises(InputError, match="ended on"):
        world.publish_list(msgspec.structs.replace(second, expires=second.issued))
    world.publish_list(second)
    assert second.prev == sha256_bytes(RevocationList.from_bytes(json_body(before), "list").to_bytes())
    archived = revocations_history_key("us", 1, str(second.prev))
    assert world.store.get(archived).data == before
    with pytest.raises(ConflictError):
        world.publish_list(msgspec.structs.replace(second, version=2, issued="2026-01-01T00:00:00Z"))


def json_body(raw: bytes) -> bytes:
    import base64

    return base64.b64decode(json.loads(raw)["payload"])


def test_a_list_outlives_its_keys(world: World) -> None:
    """After a rotation the next list goes on from what this machine has seen; `revoke` signs tombstones anew."""
    world.revoke(world.single(AL), "alice")
    with pytest.raises(RevokedError):
        pe_data.ensure(world.single(AL))
    terms, bob = world.trust.terms, world.trust.signers["bob"].public_key
    holders = held_by(terms.roles["revoke-us"], {bob.keyid: bob})
    world.trust.rotate(terms.with_role("revoke-us", holders))
    with pytest.warns(CacheWarning, match="not genuine"):
        second = world.propose()
    assert (second.version, set(second.revoked)) == (2, {world.sha256(AL)})
    with pytest.warns(CacheWarning, match="not genuine"):
        world.publish_list(second, "bob")
    world.a_day_later()
    with pytest.raises(RevokedError, match=REASON):
        pe_data.ensure(world.single(AL))


def held_by(holders: Holders, keys: dict) -> Holders:
    return replace(holders, keys=keys)


def test_mirrors_take_the_newer_list_and_what_it_adds(world: World) -> None:
    target = FolderStore(world.folder / "mirror")
    mirror(world.store, target, work=world.folder / "work")
    world.revoke(world.single(AL))
    mirror(world.store, target, work=world.folder / "work")
    assert target.get(KEY).data == raw_list(world)
    assert not target.exists(payload_key("us", world.sha256(AL), "h5"))
    newer = raw_list(world)
    world.put_list(world.signed_list(msgspec.structs.replace(world.propose(), version=1, prev=None, revoked={})))
    mirror(world.store, target, work=world.folder / "work")
    assert target.get(KEY).data == newer, "never back"


def test_a_publisher_and_the_collector_go_by_the_list(world: World) -> None:
    """Also where the tombstone is gone."""
    world.revoke(world.single(AL))
    world.store.delete(tombstone_key("us", world.sha256(AL)))
    with pytest.raises(RevokedError, match="never becomes active again"):
        publish_areas(world.store, areas(world.folder / "again", AL), "r2")
    payload = world.store.root / payload_key("us", world.sha256(AL), "h5")
    payload.write_bytes(AL.encode())
    assert collect_garbage(world.store).revoked_removed == (f"us/{world.sha256(AL)}",)
    assert not payload.exists()
    findings = [one.problem for one in check_store(world.store).findings]
    assert any("expected the tombstone that the revocation list names" in one for one in findings)


def test_the_commands(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Two people on two machines, and a renewal."""
    signers = world.trust.signers
    monkeypatch.setattr("pe_data.cli.options.signers_of", lambda keys: [signers[key] for key in keys])
    terms = world.trust.terms
    world.trust.rotate(terms.with_role("revoke-us", replace(terms.roles["revoke-us"], threshold=2)))
    end, again = str(world.folder / "end.json"), str(world.folder / "list.json")
    assert run(["revoke", world.single(AL), "--reason", REASON, "--by", "dpo", "--key", "alice", "--out", end]) == 0
    assert "revocations  us, version 1, 1 artifact(s)" in capsys.readouterr().out
    assert run(["revoke", "--publish", end]) == 1
    assert not world.store.exists(KEY)
    assert run(["sign", end, "--key", "bob", "--yes"]) == 0
    said = capsys.readouterr()
    assert REASON in said.err
    assert f"sha256:{world.sha256(AL)}" in said.err
    assert run(["revoke", "--publish", end]) == 0
    assert "version 1 of the revocation list" in capsys.readouterr().out
    assert run(["revoke", "--list", "us", "--key", "alice", "--key", "bob", "--expires", "30d"]) == 0
    assert "version 2, 1 artifact(s)" in capsys.readouterr().out
    assert run(["revoke", "--list", "us", "--key", "alice", "--out", again]) == 0
    assert run(["sign", again, "--key", "bob", "--yes"]) == 0
    assert run(["revoke", "--publish", again]) == 0
    assert run(["fsck"]) == 0
    for wrong in (["--list", "us", world.single(AL)], ["--list", "us"], ["--publish", end, "--list", "us"]):
        assert run(["revoke", *wrong]) == 2


def test_a_publication_reads_the_list_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many files are sent at a time."""
    world.revoke(world.single(NC))
    asked: list[str] = []
    real = FolderStore.get

    def get(self: FolderStore, key: str, **more: int) -> StoredDocument:
        asked.append(key)
        if key == KEY:
            time.sleep(0.05)
        return real(self, key, **more)

    monkeypatch.setattr(FolderStore, "get", get)
    publish_areas(world.store, areas(world.folder / "files", *"abcdefgh"), "r2", now=datetime.now(UTC))
    assert asked.count(KEY) == 1


def test_fsck_takes_a_tombstone_of_a_later_version_as_it_was_signed(world: World) -> None:
    """The list names its digest with the field that is not known here."""
    stone = json.loads(world.tombstone(world.single(AL)).to_bytes())
    world.publish(world.trust.sign(canonical_json({**stone, "later": 1}), TOMBSTONE_TYPE))
    world.publish_list(world.propose())
    assert check_store(world.store).ok


# --- the document ------------------------------------------------------------------------------------------

digests = st.text("0123456789abcdef", min_size=64, max_size=64)
ends = st.builds(Ended, digests, st.just("2026-01-31T12:00:00.000000Z"))


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(digests, ends, max_size=5), st.integers(1, 9), digests)
def test_the_document_is_read_as_it_was_written(revoked: dict[str, Ended], version: int, prev: str) -> None:
    listed = RevocationList(
        country="us",
        version=version,
        issued="2026-01-31T12:00:00Z",
        expires="2026-05-31T12:00:00Z",
        revoked=revoked,  # type: ignore[arg-type]
        prev=prev if version > 1 else None,  # type: ignore[arg-type]
    )
    assert RevocationList.from_bytes(listed.to_bytes(), "list") == listed
    document = json.loads(listed.to_bytes())
    assert RevocationList.from_bytes(canonical_json({**document, "later": 1}), "list") == listed
    for wrong in (
        {"version": 0},
        {"version": "1"},
        {"prev": prev if version == 1 else None},
        {"country": "US"},
        {"expires": "2026-02-31T00:00:00Z"},
        {"revoked": {"../x": {"tombstone": prev, "date": "2026-01-31T12:00:00Z"}}},
        {"kind": "tombstone"},
        {"schema_version": 2},
    ):
        with pytest.raises(InvalidTombstoneError):
            RevocationList.from_bytes(canonical_json({**document, **wrong}), "list")
