"""Publication: order, idempotence, lost replies, and a kill at every step."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from storage_helpers import NOW, areas, at_time, make_item, publish_areas

from pe_data.documents.collection import Collection
from pe_data.documents.encoding import unpack
from pe_data.documents.manifest import Manifest
from pe_data.errors import (
    DigestMismatchError,
    InputError,
    InvalidNameError,
    PointerMismatchError,
    StoreError,
)
from pe_data.names.digests import sha256_bytes
from pe_data.names.keys import CHANNELS_PREFIX, collection_key, manifest_key, payload_key
from pe_data.read.channels import read
from pe_data.store.base import Store
from pe_data.store.objects import ObjectStore, memory_store
from pe_data.store.opening import open_store
from pe_data.write.publish import Progress, publish_artifact, publish_collection
from pe_data.write.upload import ByteBudget


@pytest.fixture
def store() -> Store:
    return memory_store()


def test_one_artifact(store: Store, tmp_path: Path) -> None:
    item = make_item(tmp_path, "cps", b"bytes", dataset="cps_2024")
    report = at_time(NOW, publish_artifact, store, item, namespace="tests")
    digest = sha256_bytes(b"bytes")
    assert (report.uploaded, report.moved, report.version) == (1, True, 1)
    assert store.get(payload_key("us", digest, "h5")).data == b"bytes"
    manifest = unpack(store.get(manifest_key("us", digest)).data)
    body = read(store, "us", "cps_2024", namespace="tests").body
    assert body.artifact_sha256 == digest
    assert body.manifest_sha256 == sha256_bytes(manifest)
    assert not body.is_collection
    assert body.published_at == "2026-01-31T12:00:00.000000Z"


def test_publishing_the_same_again_says_so(store: Store, tmp_path: Path) -> None:
    items = areas(tmp_path, "states/AL", "states/AK")
    publish_areas(store, items)
    objects = {meta.key: meta.token for meta in store.list("us/")}
    again = publish_areas(store, items)
    assert again.nothing_to_do
    assert again.summary().startswith("nothing to do: 2 artifact(s) already there")
    assert {meta.key: meta.token for meta in store.list("us/")} == objects
    assert again.version == 1
    other_run = publish_areas(store, items, run_id="r2")
    assert other_run.nothing_to_do, "the same members: the first run keeps the credit"


def test_only_what_changed_is_uploaded(store: Store, tmp_path: Path) -> None:
    publish_areas(store, areas(tmp_path, "states/AL", "states/AK", "states/AZ"))
    items = areas(tmp_path, "states/AL", "states/AK", "states/AZ")
    items["states/AK"] = make_item(tmp_path, "states/AK", b"changed")
    report = publish_areas(store, items, run_id="r2")
    assert (report.uploaded, report.already_there, report.version) == (1, 2, 2)
    assert report.uploaded_bytes == len(b"changed")
    key = collection_key("us", report.artifact_sha256)
    collection = Collection.from_bytes(store.get(key).data, what=key)
    assert collection.run_id == "r2"
    assert collection.member("states/AK").artifact_sha256 == sha256_bytes(b"changed")
    with pytest.raises(InvalidNameError, match=r"no member 'states/AX'.*Did you mean states/A"):
        collection.member("states/AX")
    assert read(store, "us", "areas").body.is_collection


def test_the_first_manifest_wins(store: Store, tmp_path: Path) -> None:
    first = publish_artifact(store, make_item(tmp_path, "a", b"bytes", dataset="one"))
    report = publish_artifact(store, make_item(tmp_path, "a", b"bytes", dataset="two"))
    assert report.manifests_kept == ("two",)
    assert report.uploaded == 0
    bodies = [read(store, "us", dataset).body for dataset in ("one", "two")]
    assert bodies[0].manifest_sha256 == bodies[1].manifest_sha256
    assert first.artifact_sha256 == report.artifact_sha256


def test_order_of_writes(tmp_path: Path) -> None:
    """The pointer is the last thing written, a manifest never comes before its payload."""
    written: list[str] = []

    class Recording(ObjectStore):
        def put_create(self, key, data):  # type: ignore[no-untyped-def]
            written.append(key)
            return super().put_create(key, data)

    store = Recording(memory_store().client, "memory://")
    publish_areas(store, areas(tmp_path, "a", "b", "c"), workers=3)
    content = [key for key in written if key.startswith("us/")]
    for key in content:
        if key.endswith(".manifest.json"):
            assert key.replace(".manifest.json", ".h5") in content[: content.index(key)]
    assert content[-1].endswith(".collection.json")
    assert written[-1] == "channels/us/areas/latest.json"


def test_progress_counts_every_artifact(store: Store, tmp_path: Path) -> None:
    seen: list[Progress] = []
    items = areas(tmp_path, "a", "b", "c")
    publish_areas(store, items, on_progress=seen.append)
    assert [p.done for p in seen] == [1, 2, 3]
    assert {p.name for p in seen} == set(items)
    assert seen[-1].bytes_done == seen[-1].bytes_total == 3


def test_who_leaves_a_publication_stops_it(tmp_path: Path) -> None:
    """Also while the traceback, with everything that it holds, is kept."""

    class Slow(ObjectStore):
        def put_create(self, key, content):  # type: ignore[no-untyped-def]
            time.sleep(0.02)
            return super().put_create(key, content)

    def leave(progress: Progress) -> None:
        raise RuntimeError(f"{progress.done} of {progress.total}")

    store, before = Slow(memory_store().client, "memory://"), set(threading.enumerate())
    with pytest.raises(RuntimeError, match="1 of 40") as caught:
        publish_areas(store, areas(tmp_path, *(f"a{n}" for n in range(40))), workers=1, on_progress=leave)
    assert set(threading.enumerate()) <= before, caught.traceback
    assert len(list(store.list("us/"))) < 40


def test_a_file_that_is_not_its_manifest_stops_before_the_pointer(store: Store, tmp_path: Path) -> None:
    items = areas(tmp_path, "a", "b", "c")
    items["b"].path.write_bytes(b"longer")
    with pytest.raises(InputError, match=r"b\.h5: expected 1 bytes as in its manifest, found 6"):
        publish_areas(store, items)
    items["b"].path.write_bytes(b"X")
    with pytest.raises(DigestMismatchError, match=r"b\.h5.*changed after it was hashed"):
        publish_areas(store, items)
    items["b"].path.unlink()
    with pytest.raises(InputError, match=r"b\.h5: there is no such file"):
        publish_areas(store, items)
    assert [m.key for m in store.list(CHANNELS_PREFIX)] == ["channels/.probe.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": "../x"}, "dataset: expected one segment"),
        ({"country": "U/S"}, "country: expected a lower-case code"),
        ({"run_id": "a b"}, "run id: expected letters"),
        ({"namespace": "Bad Name"}, "namespace: expected lower-case"),
    ],
)
def test_names_are_checked(store: Store, tmp_path: Path, change: dict[str, str], message: str) -> None:
    arguments = {"country": "us", "dataset": "areas", "run_id": "r", **change}
    with pytest.raises((InvalidNameError, InputError), match=message):
        publish_collection(store, areas(tmp_path, "a"), **arguments)  # type: ignore[arg-type]
    with pytest.raises(InvalidNameError, match=r"segment '\.\.'"):
        publish_areas(store, {"a/../b": make_item(tmp_path, "a", b"x")})
    with pytest.raises(InputError, match="at least one file"):
        publish_areas(store, {})


def test_a_damaged_object_of_the_same_name_is_named(store: Store, tmp_path: Path) -> None:
    item = make_item(tmp_path, "a", b"bytes", dataset="a")
    store.put_create(payload_key("us", item.manifest.artifact.sha256, "h5"), b"half")
    with pytest.raises(DigestMismatchError, match=r"expected 5 bytes, found 4 bytes.*fsck"):
        publish_artifact(store, item)


def test_another_namespace_is_refused(store: Store, tmp_path: Path) -> None:
    item = make_item(tmp_path, "a", b"1", dataset="a")
    publish_artifact(store, item, namespace="one")
    with pytest.raises(PointerMismatchError, match=r"another namespace: expected 'two'"):
        publish_artifact(store, make_item(tmp_path, "a", b"2", dataset="a"), namespace="two")
    assert read(store, "us", "a").body.version == 1


def test_an_unsafe_server_gets_nothing(s3rver_server: dict[str, str], tmp_path: Path) -> None:
    store = open_store("s3://test/unsafe", options=s3rver_server)
    with pytest.raises(StoreError, match="s3://test/unsafe"):
        publish_areas(store, areas(tmp_path, "a"))
    assert list(store.list("")) == []


def test_bodies_in_flight_are_bounded() -> None:
    """Uploads wait while what is held in memory would exceed the limit; one that is larger passes alone."""
    budget, held, most = ByteBudget(10), 0, 0
    lock = threading.Lock()

    def upload(size: int) -> None:
        nonlocal held, most
        with budget.hold(size):
            with lock:
                held += min(size, 10)
                most = max(most, held)
            time.sleep(0.005)
            with lock:
                held -= min(size, 10)

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(upload, [4, 4, 4, 99, 1, 6, 10, 3] * 3):
            pass
    assert held == 0
    assert 8 <= most <= 10


@pytest.mark.slow
def test_489_files(tmp_path: Path) -> None:
    """The size of a whole run; the limits are those of the specification."""
    items = {f"d/{i}": make_item(tmp_path / "files", f"d/{i}", os.urandom(2_000_000)) for i in range(489)}
    store = open_store(str(tmp_path / "store"))
    began = time.monotonic()
    assert publish_areas(store, items).uploaded == 489
    first = time.monotonic() - began
    began = time.monotonic()
    assert publish_areas(store, items).nothing_to_do
    assert first < 120
    assert time.monotonic() - began < 10


def test_manifest_of_a_member_reads_back(store: Store, tmp_path: Path) -> None:
    items = areas(tmp_path, "a")
    publish_areas(store, items)
    digest = items["a"].manifest.artifact.sha256
    stored = unpack(store.get(manifest_key("us", digest)).data)
    assert Manifest.from_bytes(stored) == items["a"].manifest
