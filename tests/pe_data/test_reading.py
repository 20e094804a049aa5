"""Data frames, exports, staleness, configuration and the care of the cache."""

import os
import sys
import time
from datetime import timedelta

import h5py
import numpy as np
import pandas as pd
import pytest
from fetch_helpers import Fault, WebServer
from storage_helpers import NOW, at_time, make_item, replace

import pe_data
from pe_data.cache.entries import Cache
from pe_data.cache.maintain import prune, verify_cache
from pe_data.cache.part import Part
from pe_data.config import settings as config
from pe_data.describe.file import Label, describe
from pe_data.documents.manifest import Build
from pe_data.errors import (
    CacheError,
    ConfigError,
    InputError,
    MissingExtraError,
    PeDataError,
)
from pe_data.names.keys import channel_key
from pe_data.read import staleness
from pe_data.read.listing import list_store
from pe_data.read.lookup import entry_for
from pe_data.read.options import Options
from pe_data.read.staleness import State
from pe_data.store.folder import FolderStore
from pe_data.store.opening import open_store
from pe_data.write.publish import publish_artifact, publish_collection
from pe_data.write.upload import Item


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("PE_DATA_STORE", str(tmp_path / "store"))
    for name in ("PE_DATA_MIRRORS", "PE_DATA_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def write_h5(path):
    with h5py.File(path, "w") as file:
        file["person_id/2024"] = np.arange(4, dtype=np.int32)
        file["person_household_id/2024"] = np.array([0, 0, 1, 1], np.int32)
        file["age/2024"] = np.array([1, 2, 3, 4], np.float32)
        file["household_id/2024"] = np.arange(2, dtype=np.int32)
        file["household_weight/2024"] = np.array([10, 20], np.float32)
        file["county_fips/2024"] = np.array([b"37001", b"06037"])
        file["is_male/ETERNITY"] = np.array([True, False, True, False])
        for month in range(1, 13):
            file[f"receives_wic/2024-{month:02d}"] = np.full(4, month % 2 == 0)
    return path


def publish_h5(tmp_path, dataset="cps_2024", build=None, data=write_h5):
    path = data(tmp_path / "source.h5")
    manifest = describe(path, Label("us", dataset, build=build or Build()))
    return at_time(NOW, publish_artifact, FolderStore(tmp_path / "store"), Item(path, manifest))


# --- frames -----------------------------------------------------------------------------------


def test_frames_per_entity(tmp_path):
    publish_h5(tmp_path)
    frames = pe_data.open("pe-data://us/cps_2024@latest")
    assert set(frames) == {"person", "household"}
    person = frames["person"]
    assert person["age"].tolist() == [1, 2, 3, 4]
    assert person["age"].dtype == np.float32
    assert person["is_male"].tolist() == [True, False, True, False]
    assert [c for c in person if c.startswith("receives_wic")] == [f"receives_wic@2024-{m:02d}" for m in range(1, 13)]
    assert frames["household"]["county_fips"].tolist() == ["37001", "06037"]


def test_only_some_variables(tmp_path):
    publish_h5(tmp_path)
    frames = pe_data.open("pe-data://us/cps_2024@latest", variables=["household_weight"])
    columns = {entity: list(frame) for entity, frame in frames.items()}
    assert columns == {"household": ["household_weight", "household_id"]}
    with pytest.raises(PeDataError, match=r"found 'household_wieght'\. Did you mean household_weight"):
        pe_data.open("pe-data://us/cps_2024@latest", variables=["household_wieght"])
    with pytest.raises(InputError, match="expected one of 2024, found 2030"):
        pe_data.open("pe-data://us/cps_2024@latest", year=2030)


def test_frames_of_a_pin_need_no_network(tmp_path, monkeypatch):
    report = publish_h5(tmp_path)
    pin = f"pe-data://us/cps_2024@sha256:{report.artifact_sha256}"
    pe_data.ensure(pin)
    monkeypatch.setenv("PE_DATA_STORE", "https://127.0.0.1:9/none")
    assert pe_data.open(pin, ["age"], offline=True)["person"]["age"].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("form", ["fixed", "table"])
def test_frames_of_pandas_files(tmp_path, form):
    path = tmp_path / "x.h5"
    with pd.HDFStore(path, "w") as store:
        for year in (2024, 2025):
            frame = pd.DataFrame({"person_id": [1, 2], "age": [1.0, year]})
            store.put(f"person/_{year}", frame, format=form, track_times=False)
    copy = tmp_path / "copy.h5"
    with h5py.File(path) as old, h5py.File(copy, "w") as new:
        old.copy("person", new)
    for file in (path, copy):
        with pytest.raises(InputError, match="allow_pickle=True"):
            pe_data.open(str(file), year=2025)
        frames = pe_data.open(str(file), year=2025, allow_pickle=True)
        assert frames["person"]["age"].tolist() == [1.0, 2025.0]
    with pytest.raises(InputError, match="2024, 2025"):
        pe_data.open(str(path), allow_pickle=True)
    with pytest.raises(InputError, match="--allow-pickle"):
        pe_data.export(str(path), "csv", tmp_path / "out", year=2024)
    assert list(pe_data.export(str(path), "csv", tmp_path / "out", year=2024, allow_pickle=True)) == ["person"]


@pytest.mark.parametrize("damage", ["no H5", "column missing"])
def test_a_file_that_is_not_what_its_manifest_says(tmp_path, damage):
    item = make_item(tmp_path, "f", b"\x89HDF but not really", dataset="cps_2024")
    if damage == "column missing":
        write_h5(item.path)
        with h5py.File(item.path, "r+") as file:
            del file["age"]
        artifact = describe(item.path, Label("us", "cps_2024")).artifact
        item = replace(item, manifest=replace(item.manifest, artifact=artifact))
    at_time(NOW, publish_artifact, FolderStore(tmp_path / "store"), item)
    with pytest.raises(InputError, match="cannot be read as its manifest describes it"):
        pe_data.open("pe-data://us/cps_2024@latest")


@pytest.mark.parametrize("to", ["parquet", "csv"])
def test_export(tmp_path, to):
    publish_h5(tmp_path)
    out = tmp_path / "out"
    written = pe_data.export("pe-data://us/cps_2024@latest", to, out, ["age", "household_weight"])
    readers = ["read.py", "read.R", "read.do"] if to == "csv" else []
    assert {p.name for p in out.iterdir()} == {"datapackage.json", f"household.{to}", f"person.{to}", *readers}
    read = pd.read_parquet if to == "parquet" else pd.read_csv
    assert read(written["person"])["age"].tolist() == [1, 2, 3, 4]
    if to == "parquet":
        again = entry_for(str(written["household"]), Options.of()).manifest
        assert (list(again.entities), again.time_period) == (["household"], (2024,))
        assert list(pe_data.open(str(written["household"]))) == ["household"]


def test_a_parquet_file_without_a_year_can_be_told(tmp_path):
    path = tmp_path / "p.parquet"
    pd.DataFrame({"person_id": [1]}).to_parquet(path)
    with pytest.raises(InputError, match="--year"):
        pe_data.open(str(path))
    assert list(pe_data.open(str(path), year=2024)) == ["person"]


def test_export_into_something_that_is_no_folder(tmp_path):
    publish_h5(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="cannot be written"):
        pe_data.export("pe-data://us/cps_2024@latest", "csv", tmp_path / "file")
    with pytest.raises(PeDataError, match="expected one of parquet, csv"):
        pe_data.export("pe-data://us/cps_2024@latest", "xlsx", tmp_path / "out")


def test_without_pyarrow_a_parquet_file_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "p.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pe_data.describe.from_parquet", raising=False)
    with pytest.raises(MissingExtraError, match="install the extra 'frames' of pe-microdata"):
        describe(tmp_path / "p.parquet", Label("us", "x_2024"))


@pytest.mark.parametrize("package", ["pandas", "pyarrow"])
def test_without_pandas_the_error_says_what_to_install(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match="install the extra 'frames' of pe-microdata"):
        pe_data.open("pe-data://us/cps_2024@latest")


def test_what_is_wrong_is_said_before_a_download_and_the_channel_is_asked_once(tmp_path):
    publish_h5(tmp_path)
    with WebServer(tmp_path / "store") as server:
        with pytest.raises(PeDataError, match=r"variables: .* found 'agee'"):
            pe_data.open("pe-data://us/cps_2024@latest", "agee", store=server.url)
        assert not [name for name in server.gets if name.endswith(".h5")]
        server.gets.clear()
        assert len(pe_data.open("pe-data://us/cps_2024@latest", "age", store=server.url)["person"]) == 4
        assert sum(count for name, count in server.gets.items() if name.endswith("latest.json")) == 1


# --- schema and list --------------------------------------------------------------------------


def test_schema_needs_about_two_kilobytes(tmp_path):
    publish_h5(tmp_path)
    with WebServer(tmp_path / "store") as server:
        options = Options.of(store=server.url)
        found = entry_for("pe-data://us/cps_2024@latest", options)
        assert sum(server.sent.values()) < 3000
        assert not [name for name in server.gets if name.endswith(".h5")]
    sha256 = found.manifest.artifact.sha256
    assert found.place == f"{server.url}/us/{sha256[:2]}/{sha256}.h5"
    assert found.manifest.entities["person"].rows == 4


def test_schema_of_a_collection_names_a_member(tmp_path):
    items = {"districts/NC-01": make_item(tmp_path, "a", b"a"), "states/NC": make_item(tmp_path, "b", b"b")}
    store = FolderStore(tmp_path / "store")
    at_time(NOW, publish_collection, store, items, country="us", dataset="areas", run_id="r")
    with pytest.raises(InputError, match="pe-data://us/areas/districts/NC-01@latest"):
        entry_for("pe-data://us/areas@latest", Options.of())
    publish_h5(tmp_path)
    everything = list(list_store(Options.of()))
    assert [(one.dataset, one.member_count, one.years) for one in everything] == [
        ("areas", 2, (2024,)),
        ("cps_2024", 0, (2024,)),
    ]
    found = list(list_store(Options.of(), "us", search="nc-01"))
    assert [member.name for member in found[0].members] == ["districts/NC-01"]
    assert [len(one.members) for one in list_store(Options.of(), "us", members=True)] == [2, 0]
    assert list(list_store(Options.of(), "uk")) == []
    assert not list((tmp_path / "cache").rglob("*.h5"))


# --- staleness --------------------------------------------------------------------------------

HYPOTHESIS = Build(model_package="hypothesis", model_version=None)


def built_with(version):
    return Build(model_package="pytest", model_version=version)


def test_current(tmp_path):
    publish_h5(tmp_path, build=built_with(pytest.__version__))
    pe_data.ensure("pe-data://us/cps_2024@latest")
    (verdict,) = staleness.check_country("us", Options.of())
    assert verdict.state is State.CURRENT
    assert verdict.reasons == ()
    assert State.CURRENT.exit_code == 0


def test_stale_when_the_channel_moved_and_stays_so_until_fetched(tmp_path):
    first = publish_h5(tmp_path, build=built_with(pytest.__version__))
    pe_data.ensure("pe-data://us/cps_2024@latest")

    def other(path):
        with h5py.File(write_h5(path), "r+") as file:
            file["age/2024"][0] = 99
        return path

    publish_h5(tmp_path, build=built_with(pytest.__version__), data=other)
    for _ in range(2):  # looking must not count as using
        (verdict,) = staleness.check_country("us", Options.of())
        assert verdict.state is State.STALE
        assert "version 2" in verdict.reasons[0]
    pin = f"pe-data://us/cps_2024@sha256:{first.artifact_sha256}"
    assert staleness.check_uri(pin, Options.of()).state is State.STALE
    pe_data.ensure("pe-data://us/cps_2024@latest")
    assert staleness.check_uri("pe-data://us/cps_2024@latest", Options.of()).state is State.CURRENT
    assert State.STALE.exit_code == 1


def test_stale_when_another_model_is_installed(tmp_path):
    publish_h5(tmp_path, build=built_with("0.0.1"))
    pe_data.ensure("pe-data://us/cps_2024@latest")
    (verdict,) = staleness.check_country("us", Options.of())
    assert verdict.state is State.STALE
    assert verdict.reasons == (f"built with pytest 0.0.1, installed is {pytest.__version__}",)


def test_stale_when_expired(tmp_path):
    publish_h5(tmp_path, build=built_with(pytest.__version__))
    pe_data.ensure("pe-data://us/cps_2024@latest")
    key = tmp_path / "store" / channel_key("us", "cps_2024", "latest")
    key.write_bytes(key.read_bytes().replace(b'{"', b'{"expires":"2020-01-01T00:00:00Z","', 1))
    (verdict,) = staleness.check_country("us", Options.of())
    assert verdict.state is State.STALE
    assert "expired on 2020-01-01" in verdict.reasons[0]


@pytest.mark.parametrize("why", ["no channel", "no version", "not installed", "never used"])
def test_cannot_tell(tmp_path, why):
    build = built_with(pytest.__version__)
    if why == "no version":
        build = Build()
    if why == "not installed":
        build = replace(build, model_package="no-such-package")
    publish_h5(tmp_path, build=build)
    uri = "pe-data://us/cps_2024@latest"
    if why != "never used":
        pe_data.ensure(uri)
    if why == "no channel":
        (tmp_path / "store" / channel_key("us", "cps_2024", "latest")).unlink()
    verdict = staleness.check_uri(uri, Options.of())
    assert verdict.state is State.UNKNOWN
    assert len(verdict.reasons) == 1
    assert State.UNKNOWN.exit_code == 2


def test_overall():
    def of(*states):
        return staleness.overall([staleness.Verdict("us/x", state, (), None, None, None, None) for state in states])

    assert of() is State.UNKNOWN
    assert of(State.CURRENT) is State.CURRENT
    assert of(State.CURRENT, State.UNKNOWN) is State.UNKNOWN
    assert of(State.UNKNOWN, State.STALE, State.CURRENT) is State.STALE


# --- configuration ----------------------------------------------------------------------------


def test_configuration_by_country(tmp_path, monkeypatch):
    monkeypatch.delenv("PE_DATA_STORE")
    (tmp_path / "config.toml").write_text(
        '[stores.us]\nurl = "s3://a"\nmirrors = ["https://m"]\nnamespace = "policyengine"\n'
        'options = { region = "x" }\n[stores.default]\nurl = "gs://b"\n'
    )
    us = config.store_for("us")
    assert (us.url, us.mirrors, us.namespace, us.options) == (
        "s3://a",
        ("https://m",),
        "policyengine",
        {"region": "x"},
    )
    assert config.store_for("uk").url == config.store_for(config.DEFAULT).url == "gs://b"
    monkeypatch.setenv("PE_DATA_STORE", "here")
    monkeypatch.setenv("PE_DATA_MIRRORS", "a, b,")
    assert config.store_for("us") == config.StoreConfig("here", ("a", "b"), "policyengine")


def test_a_bucket_with_settings_from_the_file(tmp_path, monkeypatch, s3_server, s3_bucket):
    monkeypatch.delenv("PE_DATA_STORE")
    settings = "\n".join(f'{name} = "{value}"' for name, value in s3_server.items())
    (tmp_path / "config.toml").write_text(
        f'[stores.us]\nurl = "s3://{s3_bucket}/data"\n[stores.us.options]\n{settings}\n'
    )
    item = make_item(tmp_path, "f", b"\x89HDF in a bucket", dataset="cps_2024")
    at_time(NOW, publish_artifact, open_store(f"s3://{s3_bucket}/data", options=s3_server), item)
    path = pe_data.ensure("pe-data://us/cps_2024@latest")
    assert path.read_bytes() == b"\x89HDF in a bucket"
    assert [one.dataset for one in list_store(Options.of(), "us")] == ["cps_2024"]


def test_without_configuration_a_folder_of_the_user_serves(tmp_path, monkeypatch):
    monkeypatch.delenv("PE_DATA_STORE")
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "none.toml"))
    found = config.store_for("us")
    assert found.url.endswith("store")
    assert "pe-data" in found.url


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("not toml", "TOML"),
        ("other = 1", "'other'"),
        ("stores = 1", "stores"),
        ("[stores]\nus = 1", "stores.us"),
        ("[stores.us]\nurl = 1", "stores.us.url"),
        ('[stores.us]\nurl = "x"\nmirrors = "y"', "stores.us.mirrors"),
        ('[stores.us]\nurl = "x"\nnamespace = 1', "stores.us.namespace"),
        ('[stores.us]\nurl = "x"\noptions = 1', "stores.us.options"),
        ('[stores.us]\nurl = "x"\nmirror = []', "'mirror'"),
    ],
)
def test_bad_configuration_says_where(tmp_path, monkeypatch, text, part):
    monkeypatch.delenv("PE_DATA_STORE")
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        pe_data.ensure("pe-data://us/x@latest")
    assert str(caught.value).startswith(str(tmp_path / "config.toml"))
    assert part in str(caught.value)


@pytest.mark.parametrize(("text", "expected"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_offline_by_environment(monkeypatch, text, expected):
    monkeypatch.setenv("PE_DATA_OFFLINE", text)
    assert config.is_offline() is expected


# --- care of the cache ------------------------------------------------------------------------


def fill(tmp_path, count=3):
    paths = []
    for i in range(count):
        item = make_item(tmp_path, f"f{i}", bytes([i]) * 1000, dataset=f"d{i}")
        at_time(NOW + timedelta(days=i), publish_artifact, FolderStore(tmp_path / "store"), item)
        path = pe_data.ensure(f"pe-data://us/d{i}@latest")
        os.utime(path.with_name(path.name + ".stamp"), (1000 + i, 1000 + i))
        paths.append(path)
    return Cache(tmp_path / "cache"), paths


def test_prune_removes_what_was_used_longest_ago(tmp_path):
    cache, paths = fill(tmp_path)
    pe_data.ensure("pe-data://us/d0@latest")  # used again
    assert len(prune(cache, 2500, dry_run=True).removed) == 1
    assert all(path.exists() for path in paths)
    pruned = prune(cache, 2500)
    assert [entry.path for entry in pruned.removed] == [paths[1]]
    assert pruned.kept_bytes == 2000
    assert prune(cache, 2500).removed == ()
    assert prune(cache, 0).kept_bytes == 0
    assert pe_data.ensure("pe-data://us/d1@latest") == paths[1]


def test_prune_takes_abandoned_downloads_only(tmp_path):
    cache = Cache(tmp_path / "cache")
    for name, age in (("aa", 8), ("bb", 1)):
        part = cache.partial(name * 32, "h5")
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(b"x")
        cache.paths.lock(name * 32).parent.mkdir(parents=True, exist_ok=True)
        then = time.time() - age * 24 * 3600
        os.utime(part, (then, then))
    assert prune(cache, 10**9).partials == 1
    assert not cache.partial("aa" * 32, "h5").exists()
    assert cache.partial("bb" * 32, "h5").exists()


@pytest.mark.parametrize("left", ["a file", "a pipe", "a link"])
def test_prune_leaves_what_somebody_downloads(tmp_path, left):
    """However long that takes; and what is no download at all goes."""
    cache = Cache(tmp_path / "cache")
    held, free = cache.partial("aa" * 32, "h5"), cache.partial("bb" * 32, "h5")
    free.parent.mkdir(parents=True)
    {"a file": free.touch, "a pipe": lambda: os.mkfifo(free), "a link": lambda: free.symlink_to(tmp_path)}[left]()
    with Part(held, lock=True) as part:
        part.append(memoryview(b"x"))
        for path in (held, free):
            os.utime(path, (1, 1), follow_symlinks=False)
        if left == "a link":
            os.utime(tmp_path, (1, 1))
        assert prune(cache, 10**9).partials == 1
        assert held.exists()
        assert not free.is_symlink()
        assert not free.exists()
    os.utime(held, (1, 1))
    assert prune(cache, 10**9).partials == 1
    assert not held.exists()


def test_verify_removes_wrong_files(tmp_path):
    cache, paths = fill(tmp_path)
    stat = paths[1].stat()
    paths[1].chmod(0o644)
    paths[1].write_bytes(b"?" * 1000)
    os.utime(paths[1], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    checked = {c.entry.path: c.right for c in verify_cache(cache)}
    assert checked == {paths[0]: True, paths[1]: False, paths[2]: True}
    assert not paths[1].exists()


def test_a_mirror_is_asked_for_payloads_but_never_for_channels(tmp_path, monkeypatch):
    cache, paths = fill(tmp_path, 1)
    with WebServer(tmp_path / "store") as mirror:
        monkeypatch.setenv("PE_DATA_MIRRORS", mirror.url)
        prune(cache, 0)
        paths[0].with_name(f"{paths[0].stem}.manifest.json").unlink()
        for path in (tmp_path / "store" / "us").rglob("*.h5"):
            path.rename(tmp_path / "store" / "us" / "moved.h5")
        mirror.faults["nothing"] = Fault()
        moved = tmp_path / "store" / "us" / "moved.h5"
        mirror.faults[f"{paths[0].stem}.h5"] = Fault("replace", data=moved.read_bytes())
        (tmp_path / "www").mkdir()
        with pytest.raises(PeDataError):
            pe_data.ensure("pe-data://us/d0@latest")
        assert not [name for name in mirror.gets if name.startswith("channels/")]
        assert [name for name in mirror.gets if name.endswith(".h5")]
