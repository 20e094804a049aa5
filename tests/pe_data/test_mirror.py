"""Mirrors: verified, resumable, never channels."""

import os
import signal
import threading
import time
from pathlib import Path

import forked
import pytest
from storage_helpers import areas, make_item, mirrored, publish_areas

from pe_data.documents.encoding import pack
from pe_data.errors import (
    DigestMismatchError,
    InvalidDocumentError,
    ListingNotSupportedError,
    ObjectNotFoundError,
    StoreError,
)
from pe_data.keep.mirror import Root, mirror
from pe_data.names.digests import sha256_bytes
from pe_data.names.keys import collection_key, manifest_key, payload_key
from pe_data.read.channels import read
from pe_data.store.base import Content, Store, VersionToken
from pe_data.store.byte_source import Body
from pe_data.store.folder import FolderStore
from pe_data.store.objects import ObjectStore, memory_store
from pe_data.store.opening import open_store
from pe_data.store.pace import Pace
from pe_data.write.publish import PublishReport

NAMES = ("a", "b", "c")


@pytest.fixture
def source(tmp_path: Path) -> Store:
    return FolderStore(tmp_path / "source")


@pytest.fixture
def published(source: Store, tmp_path: Path) -> PublishReport:
    return publish_areas(source, areas(tmp_path / "files", *NAMES))


def content(store: Store) -> dict[str, bytes]:
    return {meta.key: store.get(meta.key).data for meta in store.list("us/")}


def test_everything_but_the_channels(source: Store, published: PublishReport, tmp_path: Path) -> None:
    target = memory_store()
    seen: list[tuple[int, int]] = []
    report = mirror(source, target, work=tmp_path / "work", on_progress=lambda *x: seen.append(x))
    assert (report.copied, report.already_there) == (4, 0)
    assert content(target) == content(source)
    assert {meta.key for meta in target.list("")} == content(source).keys(), "no channel, no probe"
    assert seen[-1] == (4, 4)
    assert list((tmp_path / "work").iterdir()) == []
    again = mirror(source, target, work=tmp_path / "work")
    assert (again.copied, again.copied_bytes, again.already_there) == (0, 0, 4)


def test_one_collection_from_a_server_that_cannot_list(served_folder: Path, nginx_url: str, tmp_path: Path) -> None:
    origin = FolderStore(served_folder)
    publish_areas(origin, areas(tmp_path / "files", *NAMES))
    source = open_store(nginx_url)
    body = read(source, "us", "areas").body
    root = Root("us", body.artifact_sha256, body.manifest_sha256)
    target = memory_store()
    assert mirror(source, target, work=tmp_path / "work", roots=[root]).copied == 4
    pinned_only = memory_store()
    unbound = Root("us", body.artifact_sha256)
    assert mirror(source, pinned_only, work=tmp_path / "work", roots=[unbound]).copied == 4
    assert content(target) == content(pinned_only)
    with pytest.raises(ListingNotSupportedError):
        mirror(source, target, work=tmp_path / "work")


def test_one_member(source: Store, published: PublishReport, tmp_path: Path) -> None:
    target = memory_store()
    mirror(source, target, work=tmp_path / "work", roots=[Root("us", sha256_bytes(b"b"))])
    assert set(content(target)) == {
        payload_key("us", sha256_bytes(b"b"), "h5"),
        manifest_key("us", sha256_bytes(b"b")),
    }


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        (b"B", f"expected sha256 {sha256_bytes(b'b')}, found sha256 {sha256_bytes(b'B')}"),
        (b"", "expected 1 bytes, found 0"),
        (b"b and more", "expected 1 bytes, found 10"),
    ],
)
def test_wrong_bytes_are_not_copied(
    source: Store, published: PublishReport, tmp_path: Path, bad: bytes, found: str
) -> None:
    key = payload_key("us", sha256_bytes(b"b"), "h5")
    source.delete(key)
    source.put_create(key, bad)
    target = memory_store()
    with pytest.raises(DigestMismatchError, match=found):
        mirror(source, target, work=tmp_path / "work")
    assert not target.exists(key)
    assert not target.exists(manifest_key("us", sha256_bytes(b"b")))
    assert not target.exists(collection_key("us", published.artifact_sha256)), "not complete"
    assert list((tmp_path / "work").iterdir()) == []


def test_an_endless_body_is_cut(published: PublishReport, source: Store, tmp_path: Path) -> None:
    class Endless(ObjectStore):
        pieces_given = 0

        def open(self, key: str, start: int = 0, length: int | None = None, pace: Pace | None = None) -> Body:
            if not key.endswith(".h5"):
                return super().open(key, start, length, pace)

            def forever(buffer: memoryview) -> int:
                self.pieces_given += 1
                return len(buffer)

            return Body(forever, total=None, start=start)

    client = source.client  # type: ignore[attr-defined]
    hostile = Endless(client, "hostile")
    with pytest.raises(DigestMismatchError, match="more than 1 bytes"):
        mirror(hostile, memory_store(), work=tmp_path / "work", workers=1)
    assert hostile.pieces_given <= 2 * len(NAMES)


def test_a_swapped_manifest_is_refused(source: Store, published: PublishReport, tmp_path: Path) -> None:
    key = manifest_key("us", sha256_bytes(b"b"))
    other = source.get(manifest_key("us", sha256_bytes(b"a"))).data
    source.delete(key)
    source.put_create(key, other)
    for roots in (None, [Root("us", sha256_bytes(b"b"))]):
        with pytest.raises((InvalidDocumentError, DigestMismatchError), match="found"):
            mirror(source, memory_store(), work=tmp_path / "work", roots=roots)
    source.delete(key)
    rewritten = make_item(tmp_path, "b", b"b", dataset="rewritten").manifest
    source.put_create(key, pack(rewritten.to_bytes()))
    target = memory_store()
    with pytest.raises(DigestMismatchError, match="expected sha256"):
        mirror(source, target, work=tmp_path / "work")
    assert not target.exists(key)


def test_a_damaged_or_other_object_in_the_target(source: Store, published: PublishReport, tmp_path: Path) -> None:
    target = memory_store()
    key = payload_key("us", sha256_bytes(b"b"), "h5")
    target.put_create(key, b"half a file")
    with pytest.raises(DigestMismatchError, match="expected 1 bytes, found 11 bytes"):
        mirror(source, target, work=tmp_path / "work")
    target = memory_store()
    rewritten = make_item(tmp_path, "b", b"b", dataset="rewritten").manifest
    target.put_create(manifest_key("us", sha256_bytes(b"b")), pack(rewritten.to_bytes()))
    with pytest.raises(DigestMismatchError, match="another manifest for this artifact"):
        mirror(source, target, work=tmp_path / "work")


def test_a_cut_off_payload_goes_on_where_it_stopped(tmp_path: Path) -> None:
    data = os.urandom(1000)
    source = memory_store()
    publish_areas(source, {"a": make_item(tmp_path, "a", data)})
    starts: list[int] = []

    class Watched(ObjectStore):
        def open(self, key: str, start: int = 0, length: int | None = None, pace: Pace | None = None) -> Body:
            if key.endswith(".h5"):
                starts.append(start)
            return super().open(key, start, length, pace)

    watched = Watched(source.client, "memory://")
    work = tmp_path / "work"
    work.mkdir()
    part = work / f"{sha256_bytes(data)}.part"
    for already, expected in ((data[:400], [400]), (data, []), (data + b"x", [0])):
        starts.clear()
        part.write_bytes(already)
        target = memory_store()
        mirror(watched, target, work=work)
        assert starts == expected
        assert content(target) == content(source)
    part.write_bytes(b"wrong" * 80)
    starts.clear()
    assert mirror(watched, memory_store(), work=work).copied == 2, "what was left was wrong: once more"
    assert starts == [400, 0]


def test_who_leaves_a_mirror_stops_it(source: Store, tmp_path: Path) -> None:
    """Also while the traceback, with everything that it holds, is kept."""

    class Slow(ObjectStore):
        def put_create(self, key: str, content: Content) -> VersionToken:
            time.sleep(0.02)
            return super().put_create(key, content)

    def leave(done: int, total: int) -> None:
        raise RuntimeError(f"{done} of {total}")

    publish_areas(source, areas(tmp_path / "files", *(f"a{number}" for number in range(40))))
    target, before = Slow(memory_store().client, "memory://"), set(threading.enumerate())
    with pytest.raises(RuntimeError, match="1 of 41") as caught:
        mirror(source, target, work=tmp_path / "work", workers=1, on_progress=leave)
    assert set(threading.enumerate()) <= before, caught.traceback
    assert len(content(target)) < 40


def test_a_read_only_target_is_refused(source: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="a mirror needs a target"):
        mirror(source, open_store("http://127.0.0.1:9"), work=tmp_path)


def test_what_the_source_does_not_have_is_named(source: Store, published: PublishReport, tmp_path: Path) -> None:
    with pytest.raises(ObjectNotFoundError, match=r"collection\.json"):
        mirror(source, memory_store(), work=tmp_path, roots=[Root("us", sha256_bytes(b"?"))])


def test_kill_at_every_step(source: Store, published: PublishReport, tmp_path: Path) -> None:
    steps = forked.run(mirrored, tmp_path, 0).stdout.splitlines()
    assert {"link .h5", "remove .part", "link .manifest.json", "link .collection.json"} <= set(steps)
    one_artifact = steps.index("link .manifest.json") + 2
    for kill_at in [*range(1, one_artifact + 1), *range(len(steps) - 2, len(steps) + 1)]:
        assert forked.run(mirrored, tmp_path, kill_at).returncode == -signal.SIGKILL
        target = FolderStore(tmp_path / f"target{kill_at}")
        good = content(source)
        partial = content(target)
        assert all(good[key] == data for key, data in partial.items()), "nothing damaged"
        if collection_key("us", published.artifact_sha256) in partial:
            assert partial == good
        mirror(source, target, work=tmp_path / "work")
        assert content(target) == good
