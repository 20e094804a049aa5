"""From an address to verified bytes: what is right arrives, what is wrong never stays."""

import json
import os
import socket
import subprocess
import sys
import warnings
from datetime import timedelta
from types import SimpleNamespace

import pytest
from fetch_helpers import Fault, WebServer
from storage_helpers import NOW, at_time, make_item, replace

import pe_data
from pe_data.documents.encoding import pack
from pe_data.errors import (
    CacheError,
    CacheWarning,
    DigestMismatchError,
    FetchError,
    InputError,
    InvalidNameError,
    NoRoomError,
    ObjectNotFoundError,
    OfflineError,
    PeDataError,
    PointerMismatchError,
    RevokedError,
    RollbackError,
    TrustRootError,
)
from pe_data.files.atomic import write_atomic
from pe_data.names.digests import sha256_file
from pe_data.names.keys import channel_key, manifest_key, payload_key
from pe_data.store.folder import FolderStore
from pe_data.write.publish import publish_artifact, publish_collection

LATEST = "pe-data://us/areas/districts/NC-01@latest"
DATA = {
    "districts/NC-01": b"\x89HDF" + os.urandom(40_000),
    "districts/NC-02": b"\x89HDF" + os.urandom(30_000),
}


def publish(folder, data=DATA, run_id="r1", now=NOW):
    items = {n: make_item(folder.parent / "files" / run_id, n, d) for n, d in data.items()}
    store = FolderStore(folder)
    return at_time(
        now, publish_collection, store, items, country="us", dataset="areas", run_id=run_id, allow_removal=True
    )


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "store"
    publish(folder)
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("PE_DATA_CACHE", str(folder))
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "none.toml"))
    for name in ("PE_DATA_STORE", "PE_DATA_MIRRORS", "PE_DATA_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def server(store):
    with WebServer(store) as running:
        yield running


def artifacts(cache):
    return sorted(p.name for p in (cache / "artifacts").glob("??/*") if p.suffix in (".h5", ".parquet"))


def nc01(store):
    return pe_data.resolve(LATEST, store=str(store), cache=store.parent / "probe")


# --- what is right ----------------------------------------------------------------------------


def test_a_member_through_the_channel(store, cache):
    path = pe_data.ensure(LATEST, store=str(store))
    assert path.read_bytes() == DATA["districts/NC-01"]
    assert path.stem == sha256_file(path)
    assert path.is_relative_to(cache)
    assert path.stat().st_mode & 0o222 == 0
    assert pe_data.ensure(LATEST, store=str(store)) == path


def test_a_single_artifact(tmp_path, cache):
    item = make_item(tmp_path, "whole", b"\x89HDF whole", dataset="cps_2024")
    at_time(NOW, publish_artifact, FolderStore(tmp_path / "store"), item)
    path = pe_data.ensure("pe-data://us/cps_2024@latest", store=str(tmp_path / "store"))
    assert path.read_bytes() == b"\x89HDF whole"
    pin = f"pe-data://us/cps_2024@sha256:{path.stem}"
    for url in (str(tmp_path / "store"), "http://127.0.0.1:9"):  # the second is never asked
        assert pe_data.ensure(pin, store=url) == path
    fresh = pe_data.ensure(pin, store=str(tmp_path / "store"), cache=tmp_path / "other")
    assert fresh.read_bytes() == b"\x89HDF whole"


def test_a_collection_is_an_artifact_too(store, cache):
    path = pe_data.ensure("pe-data://us/areas@latest", store=str(store))
    document = json.loads(path.read_bytes())
    assert set(document["members"]) == set(DATA)
    digest = sha256_file(path)
    assert path.name == f"{digest}.collection.json"
    other = pe_data.ensure(f"pe-data://us/areas@sha256:{digest}", store=str(store), cache=cache.parent / "c2")
    assert other.read_bytes() == path.read_bytes()


def test_resolve_gives_a_pin_that_gives_the_same_bytes(store, cache):
    target = pe_data.resolve(LATEST, store=str(store))
    assert not artifacts(cache)
    assert (target.version, target.extension) == (1, "h5")
    assert target.size_bytes == len(DATA["districts/NC-01"])
    publish(store, {"districts/NC-01": b"\x89HDF new", "districts/NC-02": b"\x89HDF new2"}, "r2")
    assert pe_data.ensure(target.pinned, store=str(store)).read_bytes() == DATA["districts/NC-01"]
    assert pe_data.ensure(LATEST, store=str(store)).read_bytes() == b"\x89HDF new"


def test_a_pin_in_the_cache_needs_nothing_else(store, cache, monkeypatch):
    target = pe_data.resolve(LATEST, store=str(store))
    path = pe_data.ensure(target.pinned, store=str(store))

    def refuse(*_, **__):
        raise AssertionError("a network call")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr("pe_data.store.opening.open_store", refuse)
    for offline in (True, False):
        assert pe_data.ensure(target.pinned, store="https://127.0.0.1:9/none", offline=offline) == path
    by_digest = f"pe-data://us/areas@sha256:{target.artifact_sha256}"
    assert pe_data.ensure(by_digest, store="https://127.0.0.1:9/none", offline=True) == path


def test_over_http(server, cache):
    path = pe_data.ensure(LATEST, store=server.url)
    assert path.read_bytes() == DATA["districts/NC-01"]


def test_http_without_ranges_or_lengths(store, cache):
    with WebServer(store, ranges=False, lengths=False) as server:
        assert pe_data.ensure(LATEST, store=server.url).read_bytes() == DATA["districts/NC-01"]
        assert server.gets[payload_key("us", nc01(store).artifact_sha256, "h5")] == 1


# --- what is wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("flip", "found sha256"),
        ("other", "found sha256"),
        ("short", "bytes, found"),
        ("cut", "found the end after"),
        ("long", "bytes, found"),
        ("endless", "found more than"),
        ("500", "500"),
        ("404", "404"),
    ],
)
def test_wrong_payload_is_refused_and_a_good_mirror_helps(store, server, cache, monkeypatch, kind, found):
    monkeypatch.setattr("time.sleep", lambda _: None)
    server.faults[".h5"] = Fault(kind)
    with pytest.raises(FetchError) as caught:
        pe_data.ensure(LATEST, store=server.url)
    message = str(caught.value)
    assert f"expected {len(DATA['districts/NC-01'])} bytes with sha256 {nc01(store).artifact_sha256}" in message
    assert found in message
    assert artifacts(cache) == []
    monkeypatch.setenv("PE_DATA_STORE", server.url)
    monkeypatch.setenv("PE_DATA_MIRRORS", str(store))
    with pytest.warns(CacheWarning, match=f"skipped {server.url}"):
        path = pe_data.ensure(LATEST)
    assert path.read_bytes() == DATA["districts/NC-01"]
    assert list((cache / "partial").glob("*")) == []
    log = [json.loads(line) for line in (cache / "mirrors.jsonl").read_text().splitlines()]
    assert log[-1]["source"] == server.url
    assert found in log[-1]["reason"]


@pytest.mark.parametrize("which", ["collection", "manifest"])
@pytest.mark.parametrize("kind", ["flip", "short", "long", "replace"])
def test_wrong_documents_are_refused(store, server, cache, which, kind):
    other = {"districts/NC-01": b"\x89HDF else", "districts/NC-02": b"\x89HDF elsewhere"}
    publish(store.parent / "store2", other, "r9")
    swapped = next((store.parent / "store2" / "us").rglob(f"*.{which}.json")).read_bytes()
    server.faults[f".{which}.json"] = Fault(kind, data=swapped, at=40)
    with pytest.raises(FetchError, match=r"expected .* found|no store delivered") as caught:
        pe_data.ensure(LATEST, store=server.url)
    assert f".{which}.json" in str(caught.value)
    assert artifacts(cache) == []
    assert not list((cache / "artifacts").rglob(f"*.{which}.json"))


def test_a_manifest_that_is_valid_but_not_the_bound_one_is_refused(store, server, cache):
    target = nc01(store)
    key = manifest_key("us", target.artifact_sha256)
    document = json.loads((store / key).read_bytes())
    document["licence"] = "changed afterwards"
    server.faults[key] = Fault("replace", data=pack(json.dumps(document).encode()))
    with pytest.raises(FetchError) as caught:
        pe_data.ensure(LATEST, store=server.url)
    assert f"expected sha256 {target.manifest_sha256}" in str(caught.value)
    assert artifacts(cache) == []


def test_a_swapped_manifest_in_the_cache_is_fetched_again(store, cache):
    target = pe_data.resolve(LATEST, store=str(store))
    kept = cache / "artifacts" / target.artifact_sha256[:2] / f"{target.artifact_sha256}.manifest.json"
    right = kept.read_bytes()
    write_atomic(kept, right.replace(b"CC0-1.0", b"CC0-1.1"))
    assert pe_data.resolve(LATEST, store=str(store)).manifest_sha256 == target.manifest_sha256
    assert kept.read_bytes() == right


@pytest.mark.parametrize("pinned", [False, True])
@pytest.mark.parametrize("left", [lambda _: b"", lambda right: bytes(len(right)), lambda right: right[:-1]])
def test_what_a_power_cut_left_of_a_manifest_is_fetched_again(store, cache, left, pinned):
    """It is not synced, since nothing else than the manifest passes for one."""
    target = pe_data.resolve(LATEST, store=str(store))
    kept = cache / "artifacts" / target.artifact_sha256[:2] / f"{target.artifact_sha256}.manifest.json"
    right = kept.read_bytes()
    write_atomic(kept, left(right))
    unbound = f"pe-data://us/areas@sha256:{target.artifact_sha256}"
    again = pe_data.resolve(unbound if pinned else LATEST, store=str(store))
    assert again.manifest_sha256 == target.manifest_sha256
    assert again.bound is not pinned
    if not pinned:  # what nothing binds is shown and not kept under the artifact's name
        assert kept.read_bytes() == right


@pytest.mark.parametrize("field", ["dataset", "country", "channel"])
def test_a_pointer_from_another_place_is_refused(store, cache, field):
    body = (store / channel_key("us", "areas", "latest")).read_bytes()
    place = {"country": "us", "dataset": "areas", "channel": "latest"}
    place[field] = {"dataset": "others", "country": "uk", "channel": "latest"}[field]
    if field == "channel":
        body = body.replace(b'"channel":"latest"', b'"channel":"next"')
    key = channel_key(place["country"], place["dataset"], place["channel"])
    (store / key).parent.mkdir(parents=True, exist_ok=True)
    (store / key).write_bytes(body)
    with pytest.raises(PeDataError, match=r"expected|needs a signed pointer"):
        pe_data.ensure(f"pe-data://{place['country']}/{place['dataset']}@latest", store=str(store))
    assert not (cache / "artifacts").exists()


def test_a_collection_of_another_dataset_is_refused(store, cache):
    digest = pe_data.resolve("pe-data://us/areas@latest", store=str(store)).artifact_sha256
    with pytest.raises(PointerMismatchError, match="expected dataset 'others', found 'areas'"):
        pe_data.ensure(f"pe-data://us/others/districts/NC-01@sha256:{digest}", store=str(store))


def test_a_foreign_namespace_is_refused(store, cache, tmp_path, monkeypatch):
    config = tmp_path / "config.toml"
    config.write_text(f'[stores.us]\nurl = "{store}"\nnamespace = "policyengine"\n')
    monkeypatch.setenv("PE_DATA_CONFIG", str(config))
    with pytest.raises(PointerMismatchError, match="namespace"):
        pe_data.ensure(LATEST)


def test_an_older_pointer_is_refused_by_who_saw_the_newer(store, cache):
    key = store / channel_key("us", "areas", "latest")
    old = key.read_bytes()
    publish(store, {"districts/NC-01": b"\x89HDF new"}, "r2", NOW + timedelta(days=1))
    pe_data.ensure(LATEST, store=str(store))
    key.write_bytes(old)
    with pytest.raises(RollbackError, match=r"expected version 2 or later.*found version 1"):
        pe_data.ensure(LATEST, store=str(store))
    assert pe_data.ensure(LATEST, store=str(store), cache=cache.parent / "fresh")


def test_a_revoked_manifest_is_refused(tmp_path, cache):
    item = make_item(tmp_path, "gone", b"\x89HDF gone", dataset="gone")
    revoked = replace(item, manifest=replace(item.manifest, status="revoked"))
    at_time(NOW, publish_artifact, FolderStore(tmp_path / "store"), revoked)
    with pytest.raises(RevokedError, match="expected an active artifact"):
        pe_data.ensure("pe-data://us/gone@latest", store=str(tmp_path / "store"))


def test_a_dead_mirror_does_not_hide_a_pinned_collection(store, cache, monkeypatch):
    digest = pe_data.resolve("pe-data://us/areas@latest", store=str(store), cache=cache.parent / "c0").artifact_sha256
    monkeypatch.setenv("PE_DATA_STORE", str(store))
    with WebServer(store) as mirror:
        mirror.faults[".json"] = Fault("500")
        monkeypatch.setenv("PE_DATA_MIRRORS", mirror.url)
        path = pe_data.ensure(f"pe-data://us/areas@sha256:{digest}")
    assert sha256_file(path) == digest


def test_addresses_of_what_is_not_there(store, cache):
    with pytest.raises(InputError, match=r"Did you mean .*districts/NC-01"):
        pe_data.ensure("pe-data://us/areas/districts/NC-03@latest", store=str(store))
    with pytest.raises(ObjectNotFoundError, match="pe-data list"):
        pe_data.ensure("pe-data://us/nothing@latest", store=str(store))
    with pytest.raises(ObjectNotFoundError):
        pe_data.ensure(f"pe-data://us/areas@sha256:{'ab' * 32}", store=str(store))
    with pytest.raises(TrustRootError, match=r"expected a root\.json to start from"):
        pe_data.ensure("pe-data://us/areas@next", store=str(store))


# --- the cache --------------------------------------------------------------------------------


def test_a_changed_file_is_noticed_by_its_stamp_and_replaced(store, cache):
    path = pe_data.ensure(LATEST, store=str(store))
    path.chmod(0o644)
    path.write_bytes(b"x" * path.stat().st_size)
    assert pe_data.ensure(LATEST, store=str(store)).read_bytes() == DATA["districts/NC-01"]


def test_a_touched_file_is_hashed_and_kept(store, server, cache):
    path = pe_data.ensure(LATEST, store=server.url)
    os.utime(path, (1, 1))
    before = dict(server.gets)
    assert pe_data.ensure(LATEST, store=server.url) == path
    assert {k: v for k, v in server.gets.items() if k.endswith(".h5")} == {
        k: v for k, v in before.items() if k.endswith(".h5")
    }


def test_verify_finds_what_a_stamp_cannot(store, cache):
    path = pe_data.ensure(LATEST, store=str(store))
    stat = path.stat()
    path.chmod(0o644)
    path.write_bytes(b"x" * stat.st_size)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert pe_data.ensure(LATEST, store=str(store)).read_bytes().startswith(b"xxx")
    assert pe_data.ensure(LATEST, store=str(store), verify=True).read_bytes() == DATA["districts/NC-01"]


def test_a_full_disk_leaves_nothing(store, cache, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pe_data.cache.part.os.write", full)
    with pytest.raises(CacheError, match="No space left"):
        pe_data.ensure(LATEST, store=str(store))
    assert artifacts(cache) == []
    assert list(cache.glob("partial/*")) == []
    monkeypatch.undo()
    assert pe_data.ensure(LATEST, store=str(store), cache=cache).exists()


@pytest.mark.parametrize("free", [0, 39_999])
def test_what_can_never_fit_is_refused_before_it_is_begun(store, cache, monkeypatch, free):
    def usage(_):
        return SimpleNamespace(free=free)

    monkeypatch.setattr("pe_data.cache.fetch.shutil.disk_usage", usage)
    pin = f"pe-data://us/areas@sha256:{nc01(store).artifact_sha256}"
    for uri in (LATEST, pin):
        with pytest.raises(NoRoomError, match=rf"expected room for 40004 bytes, found {free}"):
            pe_data.ensure(uri, store=str(store))
    assert list(cache.glob("partial/*")) == []


def test_a_cache_that_cannot_be_written(store, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(CacheError, match="PE_DATA_CACHE"):
        pe_data.ensure(LATEST, store=str(store), cache=blocked)


def test_a_read_only_cache_still_gives_its_files(store, cache, monkeypatch):
    target = pe_data.resolve(LATEST, store=str(store))
    path = pe_data.ensure(target.pinned, store=str(store))
    stamp = path.with_name(path.name + ".stamp")
    stamp.unlink()
    monkeypatch.setattr("pe_data.cache.entries.os.access", lambda *_: False)
    assert pe_data.ensure(target.pinned, store="https://127.0.0.1:9/none", offline=True) == path
    assert not stamp.exists()


# --- offline and stale ------------------------------------------------------------------------


def test_offline_says_what_is_missing(server, cache):
    with pytest.raises(OfflineError, match="offline"):
        pe_data.ensure(LATEST, store=server.url, offline=True)
    with pytest.raises(OfflineError):
        pe_data.ensure(f"pe-data://us/areas@sha256:{'ab' * 32}", store=server.url, offline=True)
    assert not server.gets


def test_a_folder_needs_no_network(store, cache):
    assert pe_data.ensure(LATEST, store=str(store), offline=True).exists()


def test_stale_only_when_asked_and_loudly(server, cache):
    path = pe_data.ensure(LATEST, store=server.url)
    url = server.url
    server.faults["latest.json"] = Fault("500")
    with pytest.raises(OfflineError):
        pe_data.ensure(LATEST, store=url, offline=True)
    with pytest.warns(CacheWarning, match=r"STALE.*version 1"):
        assert pe_data.ensure(LATEST, store=url, offline=True, allow_stale=True) == path
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        target = pe_data.resolve(pe_data.resolve(LATEST, store=str(server.folder)).pinned, store=url, allow_stale=True)
    assert not target.stale


def test_allow_stale_does_not_excuse_a_wrong_pointer(store, cache):
    pe_data.ensure(LATEST, store=str(store))
    key = store / channel_key("us", "areas", "latest")
    key.write_bytes(key.read_bytes().replace(b'"areas"', b'"other"'))
    with pytest.raises(PointerMismatchError):
        pe_data.ensure(LATEST, store=str(store), allow_stale=True)


# --- many datasets ----------------------------------------------------------------------------


def test_ensure_datasets_without_years(store, cache):
    uris = [LATEST, LATEST.replace("01", "02")]
    found = pe_data.ensure_datasets(uris, store=str(store))
    assert {name: path.read_bytes() for name, path in found.items()} == {
        "NC-01": DATA["districts/NC-01"],
        "NC-02": DATA["districts/NC-02"],
    }


def test_ensure_datasets_with_years(store, cache, tmp_path):
    folder = tmp_path / "data"
    found = pe_data.ensure_datasets([LATEST], years=[2024], data_folder=folder, store=str(store))
    assert found == {"NC-01_year_2024": folder / "NC-01_year_2024.h5"}
    target = found["NC-01_year_2024"]
    target.write_bytes(b"edited")
    pe_data.ensure_datasets([LATEST], years=[2024], data_folder=folder, store=str(store))
    assert target.read_bytes() == DATA["districts/NC-01"]
    assert [p.name for p in folder.iterdir()] == ["NC-01_year_2024.h5"]


def test_ensure_datasets_refuses_a_year_that_is_not_covered(store, cache, tmp_path):
    with pytest.raises(InputError, match=r"expected one of 2024.*found 2026.*country model"):
        pe_data.ensure_datasets([LATEST], years=[2024, 2026], data_folder=tmp_path, store=str(store))
    assert artifacts(cache) == []


def test_ensure_datasets_refuses_two_of_one_name(store, cache):
    with pytest.raises(InvalidNameError, match="different names"):
        pe_data.ensure_datasets([LATEST, "a/NC-01.h5"], store=str(store))


# --- plain paths ------------------------------------------------------------------------------


def test_plain_paths(tmp_path, cache):
    path = tmp_path / "f.h5"
    path.write_bytes(b"abc")
    digest = sha256_file(path)
    assert pe_data.ensure(str(path)) == path
    assert pe_data.ensure(f"{path}#sha256={digest}") == path
    assert pe_data.ensure(str(path), sha256=digest) == path
    with pytest.raises(DigestMismatchError, match="expected sha256 abab"):
        pe_data.ensure(str(path), sha256="ab" * 32)
    with pytest.raises(PeDataError, match="expected a file, found nothing"):
        pe_data.ensure(str(tmp_path / "none.h5"))
    with pytest.raises(InvalidNameError, match="in the address"):
        pe_data.ensure(LATEST, sha256=digest)


# --- cost -------------------------------------------------------------------------------------


def run_python(code, **environment):
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return result.stdout


def test_import_loads_nothing_heavy():
    code = "import sys, pe_data; pe_data.ensure; print(*sys.modules)"
    loaded = set(run_python(code).split())
    heavy = {
        "obstore",
        "numpy",
        "pandas",
        "h5py",
        "filelock",
        "urllib.request",
        "click",
        "msgspec",
        "rich",
        "tuf",
        "ssl",
    }
    assert not loaded & heavy
    assert not {name for name in loaded if name.startswith("local_h5")}


def test_a_cached_pin_takes_no_time_and_no_network(store, cache):
    target = pe_data.resolve(LATEST, store=str(store))
    pe_data.ensure(target.pinned, store=str(store))
    code = (
        "import sys, time, pe_data\n"
        "def refuse(event, _):\n"
        "    if event.startswith('socket.'): raise SystemExit('network')\n"
        "sys.addaudithook(refuse)\n"
        "pe_data.ensure\n"
        "a = time.perf_counter()\n"
        f"pe_data.ensure({target.pinned!r})\n"
        "print(time.perf_counter() - a)"
    )
    environment = {"PE_DATA_CACHE": str(cache), "PE_DATA_STORE": "http://127.0.0.1:9"}
    assert min(float(run_python(code, **environment)) for _ in range(5)) < 0.005
