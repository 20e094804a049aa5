"""Revocation: what is written, what readers are told, and that nothing comes back."""

import json
import os
import subprocess
import sys
import time
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import forked
import pytest
import revocation_helpers
from revocation_helpers import AL, NC, REASON, World, make_world
from storage_helpers import areas, at_time, publish_areas, replace
from trust_helpers import without_libraries

import pe_data
from pe_data.cache.known_revocations import Known
from pe_data.cli import run
from pe_data.documents.tombstone import Tombstone
from pe_data.errors import (
    CacheWarning,
    InputError,
    InvalidTombstoneError,
    RemovalError,
    RevokedError,
    StoreError,
    StorePermissionError,
    UncheckedRevocationError,
)
from pe_data.keep.fsck import check_store
from pe_data.keep.gc import collect_garbage
from pe_data.keep.mirror import mirror
from pe_data.names.keys import collection_key, manifest_key, payload_key, tombstone_key
from pe_data.read.lookup import entry_for
from pe_data.read.options import Options
from pe_data.store.base import StoredDocument
from pe_data.store.folder import FolderStore
from pe_data.trust.revocations import Verifier
from pe_data.write.publish import set_channel
from pe_data.write.revoke import publish_listed

DAY = 24 * 3600


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


def forget_asking(world: World) -> None:
    """As if a day had passed since the stores were asked."""
    world.a_day_later()


def findings(store: FolderStore) -> str:
    return "\n".join(f"{one.key}: {one.problem}" for one in check_store(store).findings)


def test_a_revoked_member_is_gone_and_says_why(world: World) -> None:
    pe_data.ensure(world.member(AL))
    report = world.revoke(world.member(AL))
    assert (report.tombstones, report.payloads_removed, report.bytes_removed) == (1, 1, len(AL))
    assert not world.store.exists(payload_key("us", world.sha256(AL), "h5"))
    assert world.store.exists(manifest_key("us", world.sha256(AL)))
    for uri in (world.member(AL), world.single(AL), f"pe-data://us/areas/{AL}@latest"):
        with pytest.raises(RevokedError, match=REASON) as caught:
            pe_data.ensure(uri, cache=world.folder / "fresh")
        assert caught.value.reason == REASON
        assert caught.value.date == report.date
        assert report.date[:10] in str(caught.value)
    assert pe_data.ensure(world.member(NC)).read_bytes() == NC.encode()


def test_the_manifest_is_still_told_and_says_revoked(world: World) -> None:
    world.revoke(world.member(AL))
    manifest = entry_for(world.member(AL), Options.of()).manifest
    assert manifest.status == "revoked"
    assert manifest.entities["person"].rows == 1
    target = pe_data.resolve(world.member(AL))
    assert target.status == "revoked"
    assert REASON in str(target.revoked)
    assert pe_data.resolve(world.member(NC)).status == "active"


def test_a_cached_copy_is_refused_online_and_warned_about_offline(world: World) -> None:
    path = pe_data.ensure(world.member(AL))
    world.revoke(world.member(AL))
    assert pe_data.ensure(world.member(AL)) == path, "it was asked a moment ago, and is not asked again"
    forget_asking(world)
    with pytest.raises(RevokedError, match=REASON):
        pe_data.ensure(world.member(AL))
    with pytest.warns(CacheWarning, match=f"REVOKED.*{REASON}"):
        assert pe_data.ensure(world.member(AL), offline=True) == path
    with pytest.warns(CacheWarning, match=f"REVOKED.*{REASON}"):
        assert pe_data.ensure(world.member(AL), allow_revoked=True) == path
    with pytest.raises(RevokedError, match=REASON):
        pe_data.ensure(world.member(AL), allow_revoked=True, cache=world.folder / "fresh")


def test_what_was_seen_once_is_remembered(world: World) -> None:
    pe_data.ensure(world.single(AL))
    world.revoke(world.single(AL))
    forget_asking(world)
    with pytest.raises(RevokedError):
        pe_data.ensure(world.single(AL))
    (world.store.root / tombstone_key("us", world.sha256(AL))).unlink()
    world.put_list(None)
    with pytest.raises(RevokedError, match=REASON):
        pe_data.ensure(world.single(AL), store="http://127.0.0.1:9")
    known = Known(Options.of().cache)
    memories = [known.list_path("us"), *known.tombstone_paths(world.sha256(AL), "us")]
    for path in memories:
        path.write_bytes(b"{damaged " + world.sha256(AL).encode())
    with pytest.warns(CacheWarning, match="expected a revocation list of us, found none"):
        pe_data.ensure(world.single(AL))
    assert not any(path.exists() for path in memories), "a damaged memory is dropped, and the store is asked again"


def test_the_interval_is_configurable(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pe_data.ensure(world.single(AL))
    world.revoke(world.single(AL))
    pe_data.ensure(world.single(AL))
    monkeypatch.setenv("PE_DATA_REVOCATION_HOURS", "0")
    with pytest.raises(RevokedError):
        pe_data.ensure(world.single(AL))
    monkeypatch.setenv("PE_DATA_REVOCATION_HOURS", "soon")
    with pytest.raises(pe_data.PeDataError, match="number of hours"):
        pe_data.ensure(world.single(AL))


def test_a_clock_that_was_ahead_does_not_put_off_the_question(world: World) -> None:
    pe_data.ensure(world.single(AL))
    world.revoke(world.single(AL))
    for path in world.cache.glob("artifacts/*/*.asked"):
        os.utime(path, (time.time() + 1000 * DAY,) * 2)
    with pytest.raises(RevokedError):
        pe_data.ensure(world.single(AL))


def test_a_store_out_of_reach_is_no_error_for_a_pin(world: World) -> None:
    path = pe_data.ensure(world.single(AL))
    forget_asking(world)
    dead = "http://127.0.0.1:9/data"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pe_data.ensure(world.single(AL), store=dead) == path
    known = Known(Options.of().cache)
    asked = known.asked("us", DAY)
    assert asked is not None
    assert (asked.store, asked.state) == (dead, "silent"), "the next hits do not wait for it again"
    os.utime(known.list_path("us", "asked"), (time.time() - 600,) * 2)
    assert known.asked("us", DAY) is None, "but it is asked before the day is over"


def test_a_bucket_that_may_not_be_listed_is_no_reason_to_warn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a bucket says "forbidden" for what is not there."""
    real = FolderStore.get

    def get(self: FolderStore, key: str, **more: int) -> StoredDocument:
        if key.endswith(".tombstone.json") or key.startswith("revocations/"):
            raise StorePermissionError(f"{key}: access refused")
        return real(self, key, **more)

    monkeypatch.setattr(FolderStore, "get", get)
    monkeypatch.delenv("PE_DATA_TRUST_ROOT")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pe_data.ensure(world.single(AL)).read_bytes() == AL.encode()
    assert not Known(Options.of().cache).is_due(world.sha256(AL), DAY)


def test_a_revoked_collection_refuses_what_is_reached_through_it(world: World) -> None:
    pe_data.ensure(world.member(AL))
    report = world.revoke(world.pin)
    assert report.payloads_removed == 0
    assert world.store.exists(collection_key("us", world.report.artifact_sha256)), "the list stays, as a manifest does"
    forget_asking(world)
    for uri in (world.pin, world.member(AL), f"pe-data://us/areas/{NC}@latest"):
        with pytest.raises(RevokedError, match="areas"):
            pe_data.ensure(uri)
    assert pe_data.ensure(world.single(NC)).read_bytes() == NC.encode(), "the member by itself is not revoked"


def test_a_collection_with_its_members_goes_with_one_signature(world: World) -> None:
    report = world.revoke(world.pin, with_members=True)
    assert (report.tombstones, report.payloads_removed) == (3, 2)
    for name in (AL, NC):
        with pytest.raises(RevokedError, match="with collection"):
            pe_data.ensure(world.single(name))
    again = world.revoke(world.pin, with_members=True)
    assert again.nothing_to_do
    assert "nothing to do" in again.summary()


def test_publishing_revoked_bytes_is_refused_by_name(world: World) -> None:
    world.revoke(world.single(AL))
    with pytest.raises(RevokedError, match=REASON):
        publish_areas(world.store, areas(world.folder / "again", AL), "r2")
    assert not world.store.exists(payload_key("us", world.sha256(AL), "h5"))
    with pytest.raises(RevokedError, match=REASON):
        set_channel(world.store, "us", "areas", world.report.artifact_sha256)
    publish_areas(world.store, areas(world.folder / "new", AL, salt=" corrected"), "r3")


def test_what_was_revoked_may_be_left_out(world: World) -> None:
    """Nobody can read it through the channel any more; another member is still missed."""
    world.revoke(world.single(AL))
    with pytest.raises(RemovalError) as caught:
        publish_areas(world.store, areas(world.folder / "new", "others"), "r2", allow_removal=False)
    assert caught.value.gone == (NC,)
    publish_areas(world.store, areas(world.folder / "files", NC), "r2", allow_removal=False)


def test_all_of_a_revoked_collection_may_be_left_out(world: World) -> None:
    world.revoke(world.pin)
    publish_areas(world.store, areas(world.folder / "new", "others"), "r2", allow_removal=False)


def test_the_same_list_of_a_revoked_collection_is_refused(world: World) -> None:
    world.revoke(world.pin)
    with pytest.raises(RevokedError, match=REASON):
        publish_areas(world.store, areas(world.folder / "files", AL, NC), "another-run")


def test_a_second_tombstone_changes_nothing_and_says_so(world: World) -> None:
    world.revoke(world.single(AL))
    raw = world.store.get(tombstone_key("us", world.sha256(AL))).data
    report = world.revoke(world.single(AL), reason="another reason")
    assert report.nothing_to_do
    assert REASON in report.summary()
    assert world.store.get(tombstone_key("us", world.sha256(AL))).data == raw


def test_below_the_threshold_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(tmp_path, monkeypatch, {"revoke-us": 2})
    with pytest.raises(InvalidTombstoneError, match="needs 2"):
        world.revoke(world.single(AL), "alice")
    assert not world.store.exists(tombstone_key("us", world.sha256(AL)))
    assert world.store.exists(payload_key("us", world.sha256(AL), "h5"))
    assert world.revoke(world.single(AL), "alice", "bob").payloads_removed == 1


def test_only_pins_of_what_was_published_are_revoked(world: World) -> None:
    with pytest.raises(InputError, match="pinned address"):
        world.tombstone("pe-data://us/areas@latest")
    with pytest.raises(pe_data.PeDataError, match="found neither"):
        world.tombstone(f"pe-data://us/areas@sha256:{'0' * 64}")
    with pytest.raises(InputError, match="for collections"):
        world.tombstone(world.single(AL), with_members=True)
    with pytest.raises(InputError, match="expected dataset 'areas'"):
        world.tombstone(world.single(AL).replace("us/areas", "us/cps"))


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("reason", "\x1b[2J", r"reason: expected one line of 1 to 1000 printable characters, found '.*' \(4\)"),
        ("reason", "x" * 1001, r"reason: expected one line of 1 to 1000 printable characters, found 'x{80}' \(1001\)"),
        ("reason", "", r"reason: .* found '' \(0\)"),
        ("revoked_by", "a\nb", r"revoked by: expected one line of 1 to 200 printable characters, found '.*' \(3\)"),
        ("revoked_by", "x" * 201, r"revoked by: .* \(201\)"),
    ],
)
def test_a_text_that_is_no_line_is_refused_before_the_store_is_asked(
    world: World, monkeypatch: pytest.MonkeyPatch, field: str, text: str, message: str
) -> None:
    monkeypatch.setattr(FolderStore, "get", lambda *_, **__: pytest.fail("the store was asked"))
    with pytest.raises(InvalidTombstoneError, match=message):
        world.tombstone(world.single(AL), **{field: text})


def test_a_licence_that_is_no_line_is_refused(world: World) -> None:
    message = r"licence: expected one line of 1 to 200 printable characters, found 'x{80}' \(201\)"
    with pytest.raises(InvalidTombstoneError, match=message):
        world.tombstone(world.single(AL), licence="x" * 201)


def test_a_revocation_needs_a_store_that_can_be_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is said before anything else, however wrong the rest is."""
    stone, list_ = world.tombstone(world.single(AL)), world.propose()
    monkeypatch.setattr(world.store, "writable", False)
    for publish in (
        lambda: world.publish(replace(world.signed(stone), signatures=())),
        lambda: publish_listed(
            world.store,
            replace(world.signed_list(list_), signatures=()),
            verifier=Verifier.of(lambda: world.store),
            what="list",
        ),
    ):
        with pytest.raises(StoreError, match="a revocation needs a store that can be written"):
            publish()


@pytest.mark.parametrize("kill_at", [2, 6, 7, 8])
def test_a_killed_revocation_is_completed_by_the_next(world: World, kill_at: int) -> None:
    document = world.signed(world.tombstone(world.pin, with_members=True))
    envelope = world.folder / "tombstone.json"
    envelope.write_bytes(document.to_bytes())
    done = forked.run(revocation_helpers.main, str(world.store.root), str(envelope), kill_at)
    assert done.returncode == -9, done.stderr
    assert len(done.stdout.splitlines()) == kill_at
    with pytest.raises(RevokedError):
        pe_data.ensure(world.member(AL))
    world.publish(document)
    assert not world.store.exists(payload_key("us", world.sha256(AL), "h5"))
    assert not world.store.exists(payload_key("us", world.sha256(NC), "h5"))
    assert "still there" not in findings(world.store)


def test_a_mirror_passes_the_revocation_on(world: World) -> None:
    target = FolderStore(world.folder / "mirror")
    mirror(world.store, target, work=world.folder / "work")
    world.revoke(world.single(AL))
    report = mirror(world.store, target, work=world.folder / "work")
    assert report.revoked == 1
    assert not target.exists(payload_key("us", world.sha256(AL), "h5"))
    assert target.get(tombstone_key("us", world.sha256(AL))).data
    with pytest.raises(RevokedError):
        pe_data.ensure(world.single(AL), store=str(target.root))
    fresh = FolderStore(world.folder / "second")
    assert mirror(world.store, fresh, work=world.folder / "work").revoked == 1
    assert not fresh.exists(payload_key("us", world.sha256(AL), "h5"))


def test_a_mirror_does_not_take_back_what_it_knows_to_be_revoked(world: World) -> None:
    target = FolderStore(world.folder / "mirror")
    mirror(world.store, target, work=world.folder / "work")
    stone = world.signed(world.tombstone(world.single(AL)))
    world.put(AL, stone, target)
    mirror(world.store, target, work=world.folder / "work")
    assert not target.exists(payload_key("us", world.sha256(AL), "h5"))
    assert target.exists(tombstone_key("us", world.sha256(AL)))


def test_fsck_names_what_is_wrong_with_revocations(world: World) -> None:
    world.revoke(world.single(AL))
    assert findings(world.store) == "", "a revoked member is no damage"
    payload = world.store.root / payload_key("us", world.sha256(AL), "h5")
    payload.write_bytes(AL.encode())
    assert "but the payload is still there" in findings(world.store)
    world.put(NC, b"{}")
    assert "not genuine" in findings(world.store)
    world.revoke(world.pin)
    assert "channels/us/areas/latest.json: the channel stands at" in findings(world.store)


def test_gc_finishes_a_revocation_and_keeps_the_tombstone(world: World) -> None:
    world.revoke(world.single(AL))
    payload = world.store.root / payload_key("us", world.sha256(AL), "h5")
    payload.write_bytes(AL.encode())
    world.put(NC, b"{}")
    publish_areas(world.store, areas(world.folder / "new", NC, salt=" new"), "r2")
    publish_areas(world.store, areas(world.folder / "new", NC, salt=" newer"), "r3")
    now = datetime.now(UTC)
    with pytest.warns(CacheWarning, match="not genuine"):
        report = at_time(now, collect_garbage, world.store)
    at_time(now + timedelta(days=30), collect_garbage, world.store)
    assert report.revoked_removed == (f"us/{world.sha256(AL)}",)
    assert not payload.exists()
    assert world.store.exists(tombstone_key("us", world.sha256(AL)))
    assert world.store.exists(manifest_key("us", world.sha256(AL)))


def test_gc_still_refuses_a_mirror_that_has_only_tombstones(world: World) -> None:
    target = FolderStore(world.folder / "mirror")
    world.revoke(world.single(AL))
    mirror(world.store, target, work=world.folder / "work")
    with pytest.raises(pe_data.PeDataError, match="everything"):
        collect_garbage(target)


@pytest.mark.parametrize("listed", [True, False])
def test_a_machine_that_cannot_check_downloads_nothing_that_the_store_says_is_revoked(
    world: World, monkeypatch: pytest.MonkeyPatch, listed: bool
) -> None:
    path = pe_data.ensure(world.single(AL))
    world.revoke(world.single(AL), listed=listed)
    forget_asking(world)
    monkeypatch.delenv("PE_DATA_TRUST_ROOT")
    for how in ({}, {"allow_revoked": True}):
        with pytest.warns(CacheWarning, match="REVOKED.*PE_DATA_TRUST_ROOT"):
            assert pe_data.ensure(world.single(AL), **how) == path
    with pytest.raises(UncheckedRevocationError, match="PE_DATA_TRUST_ROOT"):
        pe_data.ensure(world.single(AL), cache=world.folder / "fresh")
    known = Known(Options.of().cache)
    assert known.kept("us") is None, "what was not checked is not kept as checked"
    assert not any(path.exists() for path in known.tombstone_paths(world.sha256(AL), "us"))


def test_without_the_extra_it_is_not_downloaded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pe_data.ensure(world.single(AL))
    world.revoke(world.single(AL))
    forget_asking(world)
    without_libraries(monkeypatch)
    with pytest.raises(UncheckedRevocationError, match=r"install the extra 'trust' of pe-microdata"):
        pe_data.ensure(world.single(AL), cache=world.folder / "fresh")
    with pytest.warns(CacheWarning, match=r"REVOKED.*install the extra 'trust' of pe-microdata"):
        assert pe_data.ensure(world.single(AL)).read_bytes() == AL.encode()


def test_a_rotated_key_is_replaced_by_revoking_again(world: World) -> None:
    world.revoke(world.single(AL), "alice")
    terms = world.trust.terms
    bob = world.trust.signers["bob"].public_key
    roles = {name: replace(one, keys={bob.keyid: bob}) for name, one in terms.roles.items()}
    world.trust.rotate(replace(terms, roles=roles))
    assert "not genuine" in findings(world.store)
    assert world.revoke(world.single(AL), "bob").tombstones == 1
    assert findings(world.store) == ""
    with pytest.raises(RevokedError):
        pe_data.ensure(world.single(AL))


def test_a_tombstone_reads_back(world: World) -> None:
    stone = world.tombstone(world.pin, with_members=True)
    assert Tombstone.from_bytes(stone.to_bytes(), what="t") == stone
    assert stone.covers("us", world.sha256(AL))
    assert not stone.covers("uk", world.sha256(AL))
    assert not stone.covers("us", "0" * 64)


def test_pins_without_a_tombstone_load_no_trust_library(world: World) -> None:
    code = (
        "import sys, pe_data\n"
        f"pe_data.ensure({world.member(AL)!r})\n"
        f"pe_data.ensure({world.single(NC)!r})\n"
        f"pe_data.ensure({world.single(NC)!r}, verify=True)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"tuf", "securesystemslib", "starlette", "cryptography", "uvicorn"}


def test_an_offline_hit_stays_fast(world: World) -> None:
    pe_data.ensure(world.single(AL))
    code = (
        "import time, pe_data\n"
        "pe_data.ensure\n"
        "a = time.perf_counter()\n"
        f"pe_data.ensure({world.single(AL)!r}, offline=True)\n"
        "print(time.perf_counter() - a)"
    )
    took = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    ]
    assert min(took) < 0.005


@pytest.fixture
def command(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """The command line in this process, with alice's and bob's keys in the environment."""
    for name, signer in world.trust.signers.items():
        monkeypatch.setenv(f"KEY_{name.upper()}", signer.private_bytes.decode())

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_the_command_revokes_and_completes_without_a_key(world: World, command) -> None:
    words = ("--reason", REASON, "--by", "dpo@example.org")
    code, _, error = command("revoke", world.single(AL), *words)
    assert (code, "--key" in error) == (2, True)
    code, out, _ = command("revoke", world.single(AL), *words, "--key", "env:KEY_ALICE", "--json")
    assert (code, json.loads(out)["payloads_removed"]) == (0, 1)
    (world.store.root / payload_key("us", world.sha256(AL), "h5")).write_bytes(AL.encode())
    code, out, _ = command("revoke", world.single(AL), *words)
    assert (code, "1 payload(s) removed" in out) == (0, True)
    code, out, _ = command("revoke", world.single(AL), *words)
    assert (code, out.startswith("nothing to do")) == (0, True)


def test_two_people_sign_a_tombstone_on_two_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world(tmp_path, monkeypatch, {"revoke-us": 2})
    for name, signer in world.trust.signers.items():
        monkeypatch.setenv(f"KEY_{name.upper()}", signer.private_bytes.decode())
    file = str(tmp_path / "end.json")
    words = ["--members", "--reason", REASON, "--by", "dpo@example.org", "--key", "env:KEY_ALICE", "--out", file]
    assert run(["revoke", world.pin, *words]) == 0
    assert run(["revoke", "--publish", file]) == 1
    assert "needs 2" in capsys.readouterr().err
    assert run(["sign", file, "--key", "env:KEY_BOB", "--yes"]) == 0
    assert run(["revoke", "--publish", file]) == 0
    assert "3 tombstone(s) written" in capsys.readouterr().out


def test_the_reading_commands_say_revoked(world: World, command) -> None:
    command("ensure", world.member(AL))
    world.revoke(world.member(AL))
    forget_asking(world)
    code, out, error = command("ensure", world.member(AL))
    assert (code, out) == (1, "")
    assert error.startswith("pe-data: error: ")
    assert REASON in error
    assert "Traceback" not in error
    code, out, error = command("ensure", world.member(AL), "--allow-revoked")
    assert (code, REASON in error, Path(out.strip()).read_bytes()) == (0, True, AL.encode())
    assert "revoked" in command("schema", world.member(AL))[1]
    assert REASON in command("resolve", world.member(AL))[1]
    assert "revoked" not in command("list", "us")[1]
    world.revoke(world.pin)
    forget_asking(world)
    assert "v1 revoked" in command("list", "us")[1]
    code, out, _ = command("staleness", world.pin)
    assert (code, "it was revoked" in out) == (1, True)
