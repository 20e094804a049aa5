"""Garbage collection: roots, marks, grace, and every way in which a publication can meet it."""

import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from storage_helpers import NOW, areas, forged, make_item, publish_areas

from pe_data.errors import ConflictError, InputError, ObjectNotFoundError
from pe_data.keep.fsck import Finding, check_store
from pe_data.keep.gc import RESUME_AFTER, CollectionReport, collect_garbage
from pe_data.keep.pins import add_pin, list_pins, remove_pin
from pe_data.keep.reachable import reachable_artifacts
from pe_data.names.digests import Sha256, sha256_bytes
from pe_data.names.keys import channel_key, parse_object_key, tombstone_key
from pe_data.read.channels import read
from pe_data.store.base import Store
from pe_data.store.folder import FolderStore
from pe_data.store.objects import memory_store
from pe_data.store.opening import open_store
from pe_data.write.marks import MarkState, marked_artifacts, read_mark
from pe_data.write.publish import publish_artifact

DAY = timedelta(days=1)


@pytest.fixture
def store() -> Store:
    return memory_store()


def digests(store: Store) -> set[Sha256]:
    keys = (parse_object_key(meta.key) for meta in store.list("us/"))
    return {key.sha256 for key in keys if key}


def collect(store: Store, days: float, **more: object) -> CollectionReport:
    return collect_garbage(store, now=NOW + days * DAY, **more)  # type: ignore[arg-type]


def leave_garbage(store: Store, folder: Path) -> Sha256:
    """Three versions of one area: the first is beyond the two that are kept."""
    for salt in ("1", "2", "3"):
        publish_areas(store, areas(folder / salt, "a", salt=salt), run_id=f"r{salt}")
    return sha256_bytes(b"a1")


def test_garbage_is_marked_then_deleted_after_the_grace(store: Store, tmp_path: Path) -> None:
    garbage = leave_garbage(store, tmp_path)
    before = digests(store)
    first = collect(store, 1000)
    assert len(first.marked) == 2, "the payload of version 1 and its collection"
    assert f"us/{garbage}" in first.marked
    assert digests(store) == before
    early = collect(store, 1006.9)
    assert (early.waiting, early.deleted) == (first.marked, ())
    last = collect(store, 1007)
    assert last.deleted == first.marked
    assert last.deleted_bytes > 0
    assert before - digests(store) == {Sha256(name.partition("/")[2]) for name in first.marked}
    assert not marked_artifacts(store)
    assert check_store(store).findings == ()
    assert collect(store, 1020).deleted == ()


def test_a_dry_run_changes_nothing(store: Store, tmp_path: Path) -> None:
    leave_garbage(store, tmp_path)
    before = {meta.key for meta in store.list("")}
    assert len(collect(store, 1000, dry_run=True).marked) == 2
    assert {meta.key for meta in store.list("")} == before
    collect(store, 1000)
    assert len(collect(store, 1010, dry_run=True).deleted) == 2
    assert len(digests(store)) == 6


def test_members_and_earlier_versions_are_reachable(store: Store, tmp_path: Path) -> None:
    leave_garbage(store, tmp_path)
    assert len(reachable_artifacts(store, 1)) == 2
    assert len(reachable_artifacts(store, 2)) == 4
    assert len(reachable_artifacts(store, 9)) == 6


def test_pins_hold_what_no_channel_leads_to(store: Store, tmp_path: Path) -> None:
    garbage = leave_garbage(store, tmp_path)
    assert add_pin(store, "us", garbage, reason="release 1.2", now=NOW)
    assert not add_pin(store, "us", garbage, reason="again", now=NOW)
    assert [(pin.sha256, pin.reason) for pin in list_pins(store)] == [(garbage, "release 1.2")]
    collect(store, 1000)
    collect(store, 1010)
    assert garbage in digests(store)
    assert remove_pin(store, "us", garbage)
    assert not remove_pin(store, "us", garbage)
    collect(store, 1020)
    collect(store, 1030)
    assert garbage not in digests(store)
    with pytest.raises(ObjectNotFoundError, match="to pin"):
        add_pin(store, "us", garbage, reason="too late", now=NOW)
    assert list(list_pins(store)) == []


def test_a_pinned_collection_holds_its_members(store: Store, tmp_path: Path) -> None:
    first = publish_areas(store, areas(tmp_path, "a", "b", salt="1"))
    for salt in ("2", "3"):
        publish_areas(store, areas(tmp_path / salt, "a", "b", salt=salt), run_id=f"r{salt}")
    add_pin(store, "us", first.artifact_sha256, reason="bundle", now=NOW)
    assert collect(store, 1000).marked == ()


def test_a_tombstone_stays(store: Store, tmp_path: Path) -> None:
    garbage = leave_garbage(store, tmp_path)
    store.put_create(tombstone_key("us", garbage), b"{}")
    collect(store, 1000)
    collect(store, 1010)
    assert store.exists(tombstone_key("us", garbage))
    assert garbage in digests(store)


def test_what_is_led_to_again_loses_its_mark(store: Store, tmp_path: Path) -> None:
    garbage = leave_garbage(store, tmp_path)
    collect(store, 1000)
    publish_areas(store, areas(tmp_path / "again", "a", salt="1"), run_id="r4")
    report = collect(store, 1010)
    assert f"us/{garbage}" in report.unmarked
    assert garbage in digests(store)


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"a": 1, "a": 2}'])
def test_an_unreadable_root_stops_everything(store: Store, tmp_path: Path, damage: bytes) -> None:
    leave_garbage(store, tmp_path)
    collect(store, 1000)
    before = digests(store)
    store.put_create(channel_key("us", "other", "latest"), damage)
    with pytest.raises(InputError, match=r"channels/us/other/latest\.json.*nothing was"):
        collect(store, 1010)
    assert digests(store) == before


def test_an_unknown_channel_or_collection_stops_everything(store: Store, tmp_path: Path) -> None:
    leave_garbage(store, tmp_path)
    store.put_create("channels/us/areas/stable.json", b"{}")
    with pytest.raises(InputError, match=r"stable\.json is no channel"):
        collect(store, 1000)


def test_a_nomination_is_a_root(store: Store, tmp_path: Path) -> None:
    garbage = leave_garbage(store, tmp_path)
    body = {
        **{"schema_version": 1, "namespace": "t", "country": "us", "dataset": "x"},
        **{"channel": "next", "version": 1, "prev": None, "artifact_sha256": garbage},
        **{"manifest_sha256": garbage, "published_at": "2026-01-31T12:00:00Z"},
        **{"publication_id": "0" * 32, "expires": "2027-01-31T12:00:00Z"},
    }
    store.put_create(channel_key("us", "x", "next"), forged(body))
    assert f"us/{garbage}" not in collect(store, 1000).marked


def test_limits(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="grace: expected at least 1:00:00"):
        collect(store, 0, grace=timedelta(minutes=59))
    with pytest.raises(InputError, match="keep_versions"):
        collect(store, 0, keep_versions=0)
    publish_artifact(store, make_item(tmp_path, "a", b"x", dataset="a"))
    for meta in list(store.list("channels/")):
        store.delete(meta.key)
    with pytest.raises(InputError, match="everything would be garbage"):
        collect(store, 0)


def test_staged_files_of_killed_writers_go(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    publish_areas(store, areas(tmp_path, "a"))
    staging = tmp_path / "store" / ".staging"
    old, young = staging / "old", staging / "young"
    for path, age in ((old, 8), (young, 6)):
        path.write_bytes(b"half")
        stamp = (NOW - age * DAY).timestamp()
        os.utime(path, (stamp, stamp))
    assert collect(store, 0).leftovers_removed == 1
    assert not old.exists()
    assert young.exists()


# --- a publication in between -----------------------------------------------------------------

PUBLISH_STEPS = ("payload-done", "manifest-done", "collection-done", "history-done", "pointer-done")


@pytest.mark.parametrize("folder_store", [False, True])
@pytest.mark.parametrize(
    ("at", "published"),
    [
        ("marked", True),
        ("rechecked", True),
        ("claimed", False),
        ("payload-deleted", False),
        ("objects-deleted", False),
        ("mark-deleted", True),
    ],
)
def test_publishing_garbage_at_every_step_of_a_collection(
    tmp_path: Path, at: str, published: bool, folder_store: bool
) -> None:
    """Either the publication has the artifact, or it is told; a channel never dangles."""
    store = FolderStore(tmp_path / "store") if folder_store else memory_store()
    garbage = leave_garbage(store, tmp_path)
    collect(store, 1000)
    items = areas(tmp_path / "again", "a", salt="1")
    outcomes: list[bool] = []

    def publish_now(step: str) -> None:
        mark = read_mark(store, "us", garbage)
        concerns_it = {
            "marked": True,
            "rechecked": True,
            "mark-deleted": mark is None,
        }.get(step, mark is not None and mark.state is MarkState.DELETING)
        if step == at and concerns_it and not outcomes:
            outcomes.append(False)
            with suppress(ConflictError):
                publish_areas(store, items, run_id="r4", now=NOW + 1010 * DAY)
                outcomes[0] = True

    collect(store, 1010, on_step=publish_now)
    assert outcomes == [published]
    assert read(store, "us", "areas").body.version == (4 if published else 3)
    assert (garbage in digests(store)) == published
    assert check_store(store).ok
    publish_areas(store, items, run_id="r4")
    assert read(store, "us", "areas").body.version == 4
    assert check_store(store).ok


@pytest.mark.parametrize("days", [1010, 2000])
@pytest.mark.parametrize("at", PUBLISH_STEPS)
def test_collecting_at_every_step_of_a_publication(store: Store, tmp_path: Path, at: str, days: int) -> None:
    """At one step two collections pass, more than a grace apart: the worst that can happen."""
    leave_garbage(store, tmp_path)
    collect(store, 1000)
    items = areas(tmp_path / "again", "a", salt="1")

    def collect_now(step: str) -> None:
        if step == at:
            collect(store, days)
            collect(store, days + 10)

    try:
        publish_areas(
            store,
            items,
            run_id="r4",
            now=NOW + 1005 * DAY,
            on_step=collect_now,
            confirm_after=timedelta(0),
        )
        version = 4
    except ConflictError:
        version = 3
    assert read(store, "us", "areas").body.version == version
    assert version == {"manifest-done": 3}.get(at, version)
    if at != "history-done":  # after the last look there is one request, not a grace period
        assert not dangling_channels(store)
    publish_areas(store, items, run_id="r5", now=NOW + 3000 * DAY, confirm_after=timedelta(0))
    assert not dangling_channels(store)


def dangling_channels(store: Store) -> list[Finding]:
    return [finding for finding in check_store(store).findings if finding.key.startswith("channels/")]


@pytest.mark.parametrize("at", ["claimed", "payload-deleted", "objects-deleted"])
def test_a_killed_collection_is_finished_by_a_later_one(store: Store, tmp_path: Path, at: str) -> None:
    garbage = leave_garbage(store, tmp_path)
    collect(store, 1000)

    class Killed(BaseException):
        pass

    def kill(step: str) -> None:
        if step == at:
            raise Killed

    with pytest.raises(Killed):
        collect(store, 1010, on_step=kill)
    stuck = [read_mark(store, *one) for one in marked_artifacts(store)]
    assert [mark.state for mark in stuck if mark].count(MarkState.DELETING) == 1
    soon = collect(store, 1010.001)
    assert len(soon.waiting) == 1, "the other process may still be at it"
    late = collect(store, 1010 + 2 * RESUME_AFTER / DAY)
    assert len(late.deleted) == 1
    assert garbage not in digests(store)
    assert not marked_artifacts(store)
    assert check_store(store).ok
