"""Many files in one call: each whole and right or absent, read once, under the names that people know."""

import json
import os
import random
import stat
from pathlib import Path

import fetch_helpers
import forked
import pytest
from fetch_helpers import Fault, WebServer
from storage_helpers import make_item, publish_areas

import pe_data
from pe_data.cache import batch
from pe_data.cli import run
from pe_data.errors import FetchError, InputError, OfflineError, PeDataError
from pe_data.names.digests import sha256_bytes, sha256_file
from pe_data.names.keys import collection_key, payload_key, tombstone_key
from pe_data.store.folder import FolderStore
from pe_data.write.publish import PublishReport, publish_artifact

LATEST = "pe-data://us/areas@latest"
DATA = {
    **{f"districts/NC-{number:02}": b"\x89HDF" + os.urandom(20_000 + number) for number in range(1, 8)},
    "states/NC": b"\x89HDF" + os.urandom(30_000),
}
DATA["states/DE"] = DATA["districts/NC-01"]  # one file, two names
DISTRICTS = sorted(name for name in DATA if name.startswith("districts/"))


@pytest.fixture
def published(tmp_path: Path) -> PublishReport:
    items = {name: make_item(tmp_path / "files", name, data) for name, data in DATA.items()}
    return publish_areas(FolderStore(tmp_path / "store"), items)


@pytest.fixture
def store(tmp_path: Path, published: PublishReport, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("PE_DATA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("PE_DATA_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


def there(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def named(*names: str) -> dict[str, bytes]:
    return {f"{name}.h5": DATA[name] for name in names}


def test_all_members_under_their_names(store: Path, tmp_path: Path) -> None:
    files = pe_data.fetch(LATEST, to=tmp_path / "out")
    assert there(tmp_path / "out") == named(*DATA)
    assert files.paths == {name: tmp_path / "out" / f"{name}.h5" for name in DATA}
    assert [file.name for file in files.files] == sorted(DATA)
    assert files.size_bytes == sum(map(len, DATA.values()))
    assert files.missing_bytes == files.size_bytes - len(DATA["states/DE"])
    for file in files.files:
        assert pe_data.ensure(file.uri, offline=True).read_bytes() == DATA[file.name]
    assert pe_data.fetch(LATEST, to=tmp_path / "out").missing_bytes == 0


def test_pointer_collection_and_each_payload_are_read_once(
    store: Path, tmp_path: Path, published: PublishReport
) -> None:
    with WebServer(store) as server:
        pe_data.fetch(LATEST, store=server.url, workers=4)
        assert server.gets["channels/us/areas/latest.json"] == 1
        assert server.gets[collection_key("us", published.artifact_sha256)] == 1
        for data in DATA.values():
            assert server.gets[payload_key("us", sha256_bytes(data), "h5")] == 1


def test_the_tombstone_of_each_digest_is_asked_for_once(store: Path, published: PublishReport) -> None:
    with WebServer(store) as server:
        pe_data.fetch(LATEST, store=server.url, workers=8)
        digests = {published.artifact_sha256, *(sha256_bytes(data) for data in DATA.values())}
        assert {sha256: server.gets[tombstone_key("us", sha256)] for sha256 in digests} == dict.fromkeys(digests, 1)


def test_each_file_is_durable_before_it_has_its_name_and_each_folder_once(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[tuple[str, object]] = []
    fsync, rename = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        found = os.fstat(descriptor)
        events.append(("folder" if stat.S_ISDIR(found.st_mode) else "file", found.st_ino))

    def renamed(path: Path, target: Path) -> Path:
        events.append(("renamed", path.stat().st_ino))
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    pe_data.fetch(LATEST, to=tmp_path / "out", link=True)
    payloads = list((tmp_path / "cache" / "artifacts").glob("??/*.h5"))
    renames = []
    for path in payloads:
        number = path.stat().st_ino
        renames.append(events.index(("renamed", number)))
        assert events.index(("file", number)) < renames[-1]
    folders = [number for what, number in events if what == "folder"]
    assert sorted(folders) == sorted({path.parent.stat().st_ino for path in payloads})
    assert events.index(("folder", folders[0])) > max(renames)


def test_folders_are_synced_after_an_error_too(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came until then stays."""
    (store / payload_key("us", sha256_bytes(DATA["states/NC"]), "h5")).write_bytes(b"something else")
    synced: list[Path] = []
    monkeypatch.setattr(batch, "sync_folder", synced.append)
    with pytest.raises(FetchError):
        pe_data.fetch(LATEST, workers=1)
    there = {path.parent for path in (tmp_path / "cache" / "artifacts").glob("??/*.h5")}
    assert there
    assert there == set(synced)
    assert len(synced) == len(set(synced))


@pytest.mark.parametrize("how", [{}, {"link": True}, {"verify": True}])
def test_what_is_here_is_asked_about_when_that_is_due(
    store: Path, tmp_path: Path, how: dict[str, bool], published: PublishReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = {published.artifact_sha256, *(sha256_bytes(data) for data in DATA.values())}
    with WebServer(store) as server:

        def again() -> set[int]:
            before = dict(server.gets)
            files = pe_data.fetch(LATEST, store=server.url, to=tmp_path / "out", workers=1, **how)
            assert all(file.cached for file in files.files)
            assert there(tmp_path / "out") == named(*DATA)
            return {server.gets[tombstone_key("us", one)] - before[tombstone_key("us", one)] for one in digests}

        pe_data.fetch(LATEST, store=server.url)
        assert again() == {0}
        for path in (tmp_path / "cache").rglob("*.asked"):
            os.utime(path, (1, 1))
        assert again() == {1}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ("districts/*", DISTRICTS),
        ("*NC*", [*DISTRICTS, "states/NC"]),
        ("states/NC", ["states/NC"]),
        (["states/*", "districts/NC-0[12]"], ["districts/NC-01", "districts/NC-02", "states/DE", "states/NC"]),
        (("states/DE", "states/?E"), ["states/DE"]),
    ],
)
def test_members_by_pattern(store: Path, tmp_path: Path, members: str | list[str], expected: list[str]) -> None:
    for uri in (LATEST, pe_data.resolve(LATEST).pinned):
        assert sorted(pe_data.fetch(uri, members).paths) == expected


@pytest.mark.parametrize("members", ["nothing/*", [], "DISTRICTS/*", ""])
def test_no_member_fits(store: Path, members: str | list[str]) -> None:
    with pytest.raises(InputError, match=r"members: expected a pattern that fits some of 9 members \(districts/NC-01"):
        pe_data.fetch(LATEST, members)


def test_one_file(store: Path, tmp_path: Path) -> None:
    publish_artifact(FolderStore(store), make_item(tmp_path / "files", "cps", b"cps", dataset="cps"))
    out = tmp_path / "out"
    assert pe_data.fetch("pe-data://us/cps@latest", to=out).paths == {"cps": out / "cps.h5"}
    pin = f"pe-data://us/cps@sha256:{sha256_bytes(b'cps')}"
    assert pe_data.fetch(pin, to=out / "pin").paths["cps"].read_bytes() == b"cps"
    assert pe_data.fetch(f"{LATEST.replace('@', '/states/NC@')}", to=out).paths == {"states/NC": out / "states/NC.h5"}
    plain = tmp_path / "files" / "states-NC.h5"
    for source in (plain, str(plain)):
        assert pe_data.fetch(source, to=out / "plain").paths["states-NC"].read_bytes() == DATA["states/NC"]
    for uri in ("pe-data://us/cps@latest", pin, plain):
        with pytest.raises(InputError, match="expected the address of a collection"):
            pe_data.fetch(uri, "*")


def test_a_dry_run_fetches_no_payload(store: Path, tmp_path: Path) -> None:
    pe_data.fetch(LATEST, "states/NC")
    with WebServer(store) as server:
        files = pe_data.fetch(LATEST, store=server.url, to=tmp_path / "out", dry_run=True)
        assert not [name for name in server.gets if name.endswith(".h5")]
    assert files.paths == {}
    assert {file.name: file.cached for file in files.files} == {name: name == "states/NC" for name in DATA}
    assert files.missing_bytes == sum(map(len, set(DATA.values()))) - len(DATA["states/NC"])
    assert not (tmp_path / "out").exists()


def test_copies_are_the_users_own_and_links_the_caches(store: Path, tmp_path: Path) -> None:
    copied, linked = tmp_path / "copied", tmp_path / "linked"
    pe_data.fetch(LATEST, "states/NC", copied)
    pe_data.fetch(LATEST, "states/NC", linked, link=True)
    cached = pe_data.ensure(LATEST.replace("@", "/states/NC@"))
    assert (linked / "states/NC.h5").samefile(cached)
    assert not (copied / "states/NC.h5").samefile(cached)
    (copied / "states/NC.h5").write_bytes(b"edited")
    assert cached.read_bytes() == DATA["states/NC"]
    pe_data.fetch(LATEST, "states/NC", copied)
    assert there(copied) == named("states/NC")
    pe_data.fetch(LATEST, "states/NC", linked)  # a link where a copy is wanted
    assert not (linked / "states/NC.h5").samefile(cached)
    before = (copied / "states/NC.h5").stat().st_ino
    pe_data.fetch(LATEST, "states/NC", copied)
    assert (copied / "states/NC.h5").stat().st_ino == before, "what is right stays as it is"


@pytest.mark.parametrize("plant", ["symlink", "dangling", "folder"])
def test_what_stands_in_the_way(store: Path, tmp_path: Path, plant: str) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(DATA["states/NC"][:-1] + b"!")
    before = victim.read_bytes()
    target = tmp_path / "out" / "states" / "NC.h5"
    target.parent.mkdir(parents=True)
    if plant == "folder":
        target.mkdir()
        with pytest.raises(PeDataError, match="cannot be written"):
            pe_data.fetch(LATEST, "states/NC", tmp_path / "out")
        return
    target.symlink_to(victim if plant == "symlink" else tmp_path / "nothing")
    pe_data.fetch(LATEST, "states/NC", tmp_path / "out")
    assert not target.is_symlink()
    assert target.read_bytes() == DATA["states/NC"]
    assert victim.read_bytes() == before


def test_one_bad_member_stops_the_rest_and_the_next_call_completes(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    bad = payload_key("us", sha256_bytes(DATA["districts/NC-05"]), "h5")
    with WebServer(store) as server:
        server.faults[bad] = Fault("flip")
        with pytest.raises(FetchError, match=r"districts/NC-05@latest: expected 20009 bytes"):
            pe_data.fetch(LATEST, to=tmp_path / "out", store=server.url, workers=2)
        assert "districts/NC-05.h5" not in there(tmp_path / "out")
        assert there(tmp_path / "out").items() <= named(*DATA).items()
        server.faults.clear()
        pe_data.fetch(LATEST, to=tmp_path / "out", store=server.url)
    assert there(tmp_path / "out") == named(*DATA)


STEPS = ("locked", "piece written", "synced", "renamed", "stamped")


@pytest.mark.parametrize("seed", range(10))
def test_killed_at_ten_random_moments(store: Path, tmp_path: Path, seed: int) -> None:
    """Whole or absent, in the folder and in the cache; the same call completes it."""
    step, times = STEPS[seed % len(STEPS)], random.Random(seed).randint(1, 7)
    arguments = (str(store), str(tmp_path / "cache"), LATEST, str(tmp_path / "out"))
    assert forked.run(fetch_helpers.many, *arguments, step, times).returncode == -9
    left = {name: data for name, data in there(tmp_path / "out").items() if "/." not in name}
    assert left.items() <= named(*DATA).items()
    for path in (tmp_path / "cache").glob("artifacts/??/*.h5"):
        assert sha256_file(path) == path.stem
    again = forked.run(fetch_helpers.many, *arguments)
    assert again.stdout.strip() == str(len(DATA)), again.stderr
    assert named(*DATA).items() <= there(tmp_path / "out").items()
    assert not list((tmp_path / "cache").glob("partial/*"))


def test_offline(store: Path, tmp_path: Path) -> None:
    pin = pe_data.resolve(LATEST).pinned
    with pytest.raises(OfflineError):
        pe_data.fetch(pin, store="https://127.0.0.1:9/none", offline=True)
    pe_data.fetch(pin)
    assert len(pe_data.fetch(pin, store="https://127.0.0.1:9/none", offline=True).paths) == len(DATA)


def test_progress_is_of_all_files(store: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    pe_data.fetch(LATEST, progress=lambda done, size: seen.append((done, size)))
    total = sum(map(len, set(DATA.values())))
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("workers", [0, -1])
def test_workers(store: Path, workers: int) -> None:
    with pytest.raises(InputError, match=f"workers: expected at least 1, found {workers}"):
        pe_data.fetch(LATEST, workers=workers)


def test_the_command(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fetch", LATEST, "--members", "states/*", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "states/DE" in out
    assert "2 files" in out
    assert run(["fetch", LATEST, "-m", "states/*", "--to", str(tmp_path / "out"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [file["name"] for file in shown["files"]] == ["states/DE", "states/NC"]
    assert there(tmp_path / "out") == named("states/DE", "states/NC")
    assert run(["fetch", LATEST, "-m", "none", "--to", str(tmp_path / "out")]) == 1
    assert "expected a pattern" in capsys.readouterr().err
