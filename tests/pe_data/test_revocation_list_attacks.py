"""The signed revocation list of a country, and what attackers do to it."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from revocation_helpers import AL, NC, REASON, World, make_world, stranger
from storage_helpers import areas, at_time, publish_areas

import pe_data
from pe_data.documents.envelope import REVOCATIONS_TYPE, TOMBSTONE_TYPE
from pe_data.documents.revocations import LIST_LIMIT, RevocationList
from pe_data.documents.tombstone import TOMBSTONE_LIMIT
from pe_data.errors import (
    CacheWarning,
    InvalidDocumentError,
    InvalidTombstoneError,
    RevokedError,
)
from pe_data.keep.fsck import check_store
from pe_data.keep.gc import collect_garbage
from pe_data.keep.mirror import mirror
from pe_data.names.keys import payload_key, revocations_history_key, revocations_key, tombstone_key
from pe_data.store.folder import FolderStore
from pe_data.trust.revocations import Verifier

KEY = revocations_key("us")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


def other_country(world: World) -> bytes:
    proposed = world.propose(world.tombstone(world.single(AL)))
    return world.signed_list(msgspec.structs.replace(proposed, country="uk")).to_bytes()


def changed(world: World) -> bytes:
    document = world.signed_list(world.propose())
    body = world.propose(world.tombstone(world.single(AL))).to_bytes()
    return msgspec.structs.replace(document, body=body).to_bytes()


def unsigned(world: World) -> bytes:
    return world.propose(world.tombstone(world.single(AL))).to_bytes()


def another_kind(world: World) -> bytes:
    body = world.propose(world.tombstone(world.single(AL))).to_bytes()
    return msgspec.structs.replace(world.trust.sign(body, TOMBSTONE_TYPE), payload_type=REVOCATIONS_TYPE).to_bytes()


def a_tombstone(world: World) -> bytes:
    return world.signed(world.tombstone(world.single(AL))).to_bytes()


def cut_off(world: World) -> bytes:
    return world.signed_list(world.propose(world.tombstone(world.single(AL)))).to_bytes()[:-9]


@pytest.mark.parametrize("where", ["store", "mirror"])
@pytest.mark.parametrize(
    "forge",
    [stranger, other_country, changed, unsigned, another_kind, a_tombstone, cut_off],
    ids=lambda one: one.__name__,
)
def test_a_forged_list_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, forge: object, where: str
) -> None:
    raw = forge(world)  # type: ignore[operator]
    place = world.store
    if where == "mirror":
        place = FolderStore(world.folder / "mirror")
        monkeypatch.setenv("PE_DATA_MIRRORS", str(place.root))
    world.put_list(raw, place)
    with pytest.warns(CacheWarning, match="not genuine and changes nothing"):
        assert pe_data.ensure(world.single(AL)).read_bytes() == AL.encode()
    assert not (world.cache / "revocations/us.json").exists()
    if where == "store":
        assert any("not genuine" in one.problem for one in check_store(world.store).findings)


def test_a_forged_list_is_in_nobodys_way(world: World) -> None:
    """Neither in the publisher's nor in that of the next list, which goes on from what was signed."""
    world.revoke(world.single(NC))
    world.put_list(stranger(world))
    with pytest.warns(CacheWarning, match="not genuine"):
        publish_areas(world.store, areas(world.folder / "files", AL), "r2", now=datetime.now(UTC))
    with pytest.warns(CacheWarning, match="not genuine"):
        assert world.revoke(world.single(AL)).list_version is not None
    for name in (AL, NC):
        with pytest.raises(RevokedError, match=REASON):
            pe_data.ensure(world.single(name), cache=world.folder / "fresh")


def test_stripped_by_the_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """List and tombstone go, and the payload comes back; a mirror still tells, and so does what was seen."""
    pe_data.ensure(world.single(NC))
    target = FolderStore(world.folder / "mirror")
    world.revoke(world.single(AL))
    mirror(world.store, target, work=world.folder / "work")
    world.put_list(None)
    world.store.delete(tombstone_key("us", world.sha256(AL)))
    world.store.put_create(payload_key("us", world.sha256(AL), "h5"), AL.encode())
    with pytest.MonkeyPatch.context() as mirrored:
        mirrored.setenv("PE_DATA_MIRRORS", str(target.root))
        world.a_day_later()
        with pytest.raises(RevokedError, match=REASON):
            pe_data.ensure(world.single(AL))
    world.a_day_later()
    with pytest.raises(RevokedError, match=REASON):
        pe_data.ensure(world.single(AL))
    with pytest.warns(CacheWarning, match="found none"):  # who never saw it is warned, and refused where it matters
        pe_data.ensure(world.single(AL), cache=world.folder / "fresh")


def test_a_newer_list_on_a_mirror_wins_over_an_older_one_of_the_store(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.revoke(world.single(NC))
    first = world.store.get(revocations_key("us")).data
    world.revoke(world.single(AL))
    target = FolderStore(world.folder / "mirror")
    mirror(world.store, target, work=world.folder / "work")
    monkeypatch.setenv("PE_DATA_MIRRORS", str(target.root))
    with pytest.raises(RevokedError):
        pe_data.ensure(world.single(AL))
    world.put_list(first)
    world.a_day_later()
    assert not any(path.unlink() for path in world.cache.glob("artifacts/*/*.tombstone.json"))
    with pytest.raises(RevokedError, match="was revoked on"):
        pe_data.ensure(world.single(AL))


def test_the_same_version_twice(world: World) -> None:
    """Two lists of one version: the one that was seen stays."""
    world.revoke(world.single(NC))
    with pytest.raises(RevokedError):
        pe_data.ensure(world.single(NC))
    listed = RevocationList.from_bytes((world.cache / "revocations/us.json").read_bytes(), "kept")
    world.put_list(world.signed_list(msgspec.structs.replace(listed, revoked={})))
    for path in world.cache.glob("artifacts/*/*.tombstone.json"):
        path.unlink()
    world.a_day_later()
    with pytest.warns(CacheWarning, match="another list of version 1"), pytest.raises(RevokedError):
        pe_data.ensure(world.single(NC))


def test_a_list_from_the_future(world: World) -> None:
    proposed = at_time(datetime.now(UTC) + timedelta(days=2), world.propose)
    world.put_list(world.signed_list(proposed))
    with pytest.warns(CacheWarning, match="is dated"):
        pe_data.ensure(world.single(AL))


def test_below_the_threshold_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(tmp_path, monkeypatch, {"revoke-us": 2})
    with pytest.raises(InvalidTombstoneError, match="needs 2"):
        world.revoke(world.single(AL), "alice")
    stone = world.tombstone(world.single(AL))
    with pytest.raises(InvalidTombstoneError, match="needs 2"):
        world.publish(world.signed(stone), listed=world.signed_list(world.propose(stone), "alice"))
    assert not world.store.exists(KEY)
    assert not world.store.exists(tombstone_key("us", world.sha256(AL)))


@pytest.mark.parametrize("shape", ["entries", "brackets", "doubled key", "digits"])
def test_junk_of_4_mb_is_refused_in_linear_time(world: World, shape: str) -> None:
    def junk(size: int) -> bytes:
        if shape == "brackets":
            return b'{"payload":' + b"[" * size
        if shape == "digits":
            return b'{"payload":' + b"9" * size + b"}"
        rows = (f'"{number:064x}":{{"date":"x"}}' for number in range(size // 80))
        body = b"{" + ",".join(rows).encode() + b"}"
        return body if shape == "entries" else body[:-1] + body[body.rindex(b',"') :]

    def seconds(size: int) -> float:
        raw, began = junk(size), time.process_time()
        for read in (
            lambda: RevocationList.from_bytes(raw, "list"),
            lambda: Verifier.of(lambda: world.store).check_list(raw, country="us", what="list"),
        ):
            with pytest.raises(InvalidDocumentError):
                read()
        return time.process_time() - began

    # The least of three: a full collection of the test's own garbage takes longer than the list.
    small, large = (min(seconds(size) for _ in range(3)) for size in (LIST_LIMIT // 16, LIST_LIMIT - 100))
    small = max(small, 0.005)
    assert large < 16 * small * 5, f"{small:.3f} s and {large:.3f} s for 16 times as much"


def test_endless_list(world: World) -> None:
    world.put_list(b" " * (LIST_LIMIT + 1))
    with pytest.warns(CacheWarning, match="expected a document of at most"):
        assert pe_data.ensure(world.single(AL)).read_bytes() == AL.encode()


def test_an_endless_tombstone_stops_who_writes(world: World) -> None:
    """It may be the genuine one with something behind it, so nobody goes on as if there were none."""
    world.put(AL, b" " * (TOMBSTONE_LIMIT + 1))
    target = FolderStore(world.folder / "mirror")
    for write in (
        lambda: publish_areas(world.store, areas(world.folder / "files", AL), "r2", now=datetime.now(UTC)),
        lambda: collect_garbage(world.store),
        lambda: mirror(world.store, target, work=world.folder / "work"),
    ):
        with pytest.raises(InvalidDocumentError, match=f"expected a document of at most {TOMBSTONE_LIMIT} bytes"):
            write()
    assert not target.exists(payload_key("us", world.sha256(AL), "h5"))


def test_an_endless_list_in_the_history_is_not_passed_over(world: World) -> None:
    world.revoke(world.single(NC))
    world.put_list(None)
    world.store.put_create(revocations_history_key("us", 9, "0" * 64), b" " * (LIST_LIMIT + 1))
    with pytest.raises(InvalidDocumentError, match=f"expected a document of at most {LIST_LIMIT} bytes"):
        world.propose()
