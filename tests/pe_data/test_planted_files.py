"""Links, pipes and leftovers where this package writes and reads: nothing outside is written, nothing hangs."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from storage_helpers import areas, make_item, publish_areas

import pe_data
from pe_data.cache.entries import Cache
from pe_data.cache.known_revocations import Known
from pe_data.documents.tombstone import Tombstone
from pe_data.errors import CacheError, FetchError, PeDataError, RevokedError, StoreError
from pe_data.exports import export
from pe_data.files import place
from pe_data.files.atomic import beside
from pe_data.keep.mirror import mirror
from pe_data.keep.verified import save
from pe_data.names.digests import Sha256, open_plain, sha256_bytes, sha256_file
from pe_data.names.keys import payload_key
from pe_data.read import hub, web
from pe_data.read.options import Options
from pe_data.read.seen import SeenChannels
from pe_data.store.byte_source import Body
from pe_data.store.folder import FolderStore
from pe_data.write.publish import publish_artifact

DATA = b"\x89HDF" + os.urandom(5000)
SHA = sha256_bytes(DATA)
PIN = f"pe-data://us/cps@sha256:{SHA}"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
    for name in [name for name in os.environ if name.startswith("PE_DATA_")]:
        monkeypatch.delenv(name)
    made = FolderStore(tmp_path / "store")
    monkeypatch.setenv("PE_DATA_STORE", str(made.root))
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "none.toml"))
    publish_artifact(made, make_item(tmp_path / "files", "cps", DATA, dataset="cps"))
    return made


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim.txt"
    path.write_bytes(b"years of work")
    return path


def symlink(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def hard_link(path: Path, victim: Path) -> None:
    path.hardlink_to(victim)


def pipe(path: Path, victim: Path) -> None:
    os.mkfifo(path)


def dangling(path: Path, victim: Path) -> None:
    path.symlink_to(victim.with_name("not there"))


PLANTS = [symlink, hard_link, pipe, dangling]


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("suffix", [".part", ".parts"])
def test_a_planted_partial_is_not_followed(
    store: FolderStore, tmp_path: Path, victim: Path, plant: Callable[[Path, Path], None], suffix: str
) -> None:
    partial = Cache(tmp_path / "cache").partial(SHA, "h5").with_suffix(suffix)
    partial.parent.mkdir(parents=True)
    plant(partial, victim)
    path = pe_data.ensure(PIN)
    assert path.read_bytes() == DATA
    assert not path.is_symlink()
    assert victim.read_bytes() == b"years of work"
    assert not victim.with_name("not there").exists()


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_part_of_a_mirror_is_not_followed(
    store: FolderStore, tmp_path: Path, victim: Path, plant: Callable[[Path, Path], None]
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    plant(work / f"{SHA}.part", victim)
    target = FolderStore(tmp_path / "target")
    assert mirror(store, target, work=work).copied == 1
    assert target.local_path(payload_key("us", SHA, "h5")).read_bytes() == DATA
    assert victim.read_bytes() == b"years of work"


def test_a_mirror_that_was_killed_leaves_nothing_in_the_end(store: FolderStore, tmp_path: Path) -> None:
    """Between the payload in the target and the removal of its part."""
    work, target = tmp_path / "work", FolderStore(tmp_path / "target")
    mirror(store, target, work=work)
    (work / f"{SHA}.part").write_bytes(DATA)
    assert mirror(store, target, work=work).copied == 0
    assert list(work.glob("*.part")) == []


def test_temporary_names_cannot_be_foreseen(tmp_path: Path) -> None:
    names = {beside(tmp_path / "a.h5").name for _ in range(50)}
    assert len(names) == 50
    assert all(name.startswith(".a.h5.") for name in names)


def test_copies_exports_and_memories_write_to_no_link(
    store: FolderStore, tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where somebody guessed the name."""
    guessed = tmp_path / "out" / ".guessed"
    guessed.parent.mkdir()
    guessed.symlink_to(victim)
    for module in (place, export):
        monkeypatch.setattr(module, "beside", lambda _: guessed)
    source = pe_data.ensure(PIN)
    with pytest.raises(CacheError, match="cannot be written"):
        place.place(source, SHA, tmp_path / "out" / "a.h5")
    guessed.symlink_to(victim) if not guessed.is_symlink() else None
    monkeypatch.setattr("pe_data.files.atomic.beside", lambda _: guessed)
    with pytest.raises(FileExistsError):
        save(tmp_path / "out" / "state.json", "store", {})
    assert victim.read_bytes() == b"years of work"


# --- pipes: reading one may never end -----------------------------------------------------------------------


def in_time(began: float) -> None:
    assert time.monotonic() - began < 30


def test_a_pipe_in_place_of_an_artifact_is_replaced(store: FolderStore) -> None:
    began = time.monotonic()
    path = pe_data.ensure(PIN)
    path.unlink()
    os.mkfifo(path)
    assert pe_data.ensure(PIN, verify=True).read_bytes() == DATA
    path.with_name(f"{path.name}.stamp").unlink()
    os.mkfifo(path.with_name(f"{path.name}.stamp"))
    assert pe_data.ensure(PIN).read_bytes() == DATA
    in_time(began)


def test_a_pipe_in_place_of_a_memory_is_none(store: FolderStore, tmp_path: Path) -> None:
    began = time.monotonic()
    cache = Cache(tmp_path / "cache")
    seen = SeenChannels(cache, str(store.root)).path("us", "cps", "latest")
    for path in (
        cache.path(SHA, "manifest.json"),
        Known(cache).tombstone_paths(SHA, "us")[1],
        Known(cache).list_path("us"),
        seen,
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)
    assert pe_data.ensure("pe-data://us/cps@latest").read_bytes() == DATA
    in_time(began)


@pytest.mark.parametrize("kind", ["h5", "manifest.json"])
def test_a_pipe_in_a_store_is_an_error(store: FolderStore, kind: str) -> None:
    began = time.monotonic()
    path = store.local_path(payload_key("us", SHA, "h5").replace(".h5", f".{kind}"))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StoreError, match="found a pipe or a device"):
        store.get(f"us/{SHA[:2]}/{SHA}.{kind}")
    with pytest.raises(PeDataError, match="found a pipe or a device"):
        pe_data.ensure("pe-data://us/cps@latest")
    in_time(began)


def test_what_is_no_plain_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, text in ((tmp_path / "pipe", "pipe or a device"), (tmp_path, "directory")):
        with pytest.raises(OSError, match=text):
            open_plain(path)
        with pytest.raises(OSError, match=text):
            sha256_file(path)


# --- files that no digest vouches for ------------------------------------------------------------------------


@pytest.mark.parametrize("announced", [None, 10**12])
def test_a_web_file_without_a_digest_has_a_limit(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, announced: int | None
) -> None:
    monkeypatch.setattr(web, "LONGEST", 3_000_000)
    monkeypatch.setattr(web.Web, "open", lambda *_: Body(len, total=announced))
    with pytest.raises(FetchError, match="more bytes than a file without a digest may have"):
        pe_data.ensure("https://example.invalid/a.h5")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix == ".part"] == []


def test_revoked_bytes_of_a_hub(store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = tmp_path / "blobs" / SHA
    blob.parent.mkdir()
    blob.write_bytes(DATA)
    monkeypatch.setattr(hub, "_download", lambda *_, **__: blob)
    uri = "hf://policyengine/data/cps.h5@1.0"
    assert pe_data.ensure(uri) == blob
    time_ = "2026-01-31T12:00:00.000000Z"
    stone = Tombstone("us", "cps", Sha256(SHA), "licence ended", time_, "dpo@example.org", "a licence")
    Known(Options.of().cache).remember(SHA, stone.to_bytes(), "us")
    with pytest.raises(RevokedError, match="licence ended"):
        pe_data.ensure(uri)


def test_areas_of_a_collection_are_fetched_all_the_same(store: FolderStore, tmp_path: Path) -> None:
    report = publish_areas(store, areas(tmp_path / "more", "states/AL"))
    assert pe_data.ensure(f"pe-data://us/areas@sha256:{report.artifact_sha256}").suffix == ".json"
    assert pe_data.ensure("pe-data://us/areas/states/AL@latest").read_bytes() == b"states/AL"
