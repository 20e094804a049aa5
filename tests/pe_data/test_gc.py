"""Garbage collection: roots, grace, and every way in which a publication can meet it."""

import itertools
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_helpers import NOW, Watched, areas, at_time, forged, make_item, publish_areas

from pe_data.errors import ConflictError, InputError, ObjectNotFoundError
from pe_data.keep.fsck import check_store
from pe_data.keep.gc import CollectionReport, collect_garbage
from pe_data.keep.pins import add_pin, list_pins, remove_pin
from pe_data.keep.reachable import find_reachable
from pe_data.names.digests import Sha256, sha256_bytes
from pe_data.names.keys import channel_key, history_key, parse_object_key, tombstone_key
from pe_data.read.channels import read
from pe_data.store.base import Store
from pe_data.store.opening import open_store
from pe_data.write import upload
from pe_data.write.publish import publish_artifact, set_channel
from pe_data.write.upload import Item

DAY = timedelta(days=1)


@pytest.fixture
def store() -> Watched:
    return Watched()


def digests(store: Store) -> set[Sha256]:
    keys = (parse_object_key(meta.key) for meta in store.list("us/"))
    return {key.sha256 for key in keys if key}


def collect(store: Store, days: float, **more: object) -> CollectionReport:
    return at_time(NOW + days * DAY, collect_garbage, store, **more)  # type: ignore[arg-type]


def leave_garbage(store: Store, folder: Path) -> Sha256:
    """Three versions of one area: the first is beyond the two that are kept."""
    for salt in ("1", "2", "3"):
        publish_areas(store, areas(folder / salt, "a", salt=salt), run_id=f"r{salt}")
    return sha256_bytes(b"a1")


def test_garbage_goes_a_grace_period_after_something_led_to_it(store: Watched, tmp_path: Path) -> None:
    garbage = leave_garbage(store, tmp_path)
    before = digests(store)
    early = collect(store, 6.9)
    assert len(early.waiting) == 2, "the payload of version 1 and its collection"
    assert f"us/{garbage}" in early.waiting
    assert early.deleted == ()
    last = collect(store, 7)
    assert last.deleted == early.waiting
    assert last.deleted_bytes > 0
    assert before - digests(store) == {Sha256(name.partition("/")[2]) for name in early.waiting}
    assert check_store(store).findings == ()
    assert collect(store, 20).deleted == ()


def test_the_age_of_an_object_does_not_count(store: Watched, tmp_path: Path) -> None:
    """Written years ago, in use until yesterday: the grace begins yesterday."""
    publish_areas(store, areas(tmp_path / "1", "a", salt="1"))
    publish_areas(store, areas(tmp_path / "2", "a", salt="2"), run_id="r2")
    store.now = NOW + 999 * DAY
    publish_areas(store, areas(tmp_path / "3", "a", salt="3"), run_id="r3", now=store.now)
    assert len(collect(store, 1000).waiting) == 2
    assert len(collect(store, 1005.9).waiting) == 2
    assert len(collect(store, 1006).deleted) == 2


def test_a_publisher_whose_clock_is_wrong_does_not_shorten_the_grace(store: Watched, tmp_path: Path) -> None:
    publish_areas(store, areas(tmp_path / "1", "a", salt="1"))
    publish_areas(store, areas(tmp_path / "2", "a", salt="2"), run_id="r2")
    store.now = NOW + 999 * DAY
    publish_areas(store, areas(tmp_path / "3", "a", salt="3"), run_id="r3", now=NOW - 5 * DAY)
    publish_areas(store, areas(tmp_path / "4", "a", salt="4"), run_id="r4", now=NOW - 4 * DAY)
    assert collect(store, 1001).deleted == ()
    assert len(collect(store, 1006).deleted) == 4


def test_what_nothing_ever_led_to_counts_from_when_it_was_written(store: Watched, tmp_path: Path) -> None:
    publish_areas(store, areas(tmp_path, "a"))

    def die(operation: str, key: str) -> None:
        if key.endswith("latest.json") or ".history/" in key:
            raise KeyboardInterrupt

    store.now, store.hook = NOW + 100 * DAY, die
    with pytest.raises(KeyboardInterrupt):
        publish_areas(store, areas(tmp_path / "b", "a", salt="2"), run_id="r2", now=store.now)
    store.hook = lambda operation, key: None
    assert len(collect(store, 106).waiting) == 2
    assert len(collect(store, 107).deleted) == 2


def test_a_dry_run_changes_nothing(store: Watched, tmp_path: Path) -> None:
    leave_garbage(store, tmp_path)
    before = {meta.key for meta in store.list("")}
    assert len(collect(store, 1000, dry_run=True).deleted) == 2
    assert {meta.key for meta in store.list("")} == before


def test_members_and_earlier_versions_are_reachable(store: Watched, tmp_path: Path) -> None:
    leave_garbage(store, tmp_path)
    assert [len(find_reachable(store, keep).now) for keep in (1, 2, 9)] == [2, 4, 6]


def test_pins_hold_what_no_channel_leads_to(store: Watched, tmp_path: Path) -> None:
    garbage = leave_garbage(store, tmp_path)
    assert at_time(NOW, add_pin, store, "us", garbage, reason="release 1.2")
    assert not at_time(NOW, add_pin, store, "us", garbage, reason="again")
    assert [(pin.sha256, pin.reason) for pin in list_pins(store)] == [(garbage, "release 1.2")]
    collect(store, 1000)
    assert garbage in digests(store)
    assert at_time(NOW + 1000 * DAY, remove_pin, store, "us", garbage)
    assert not at_time(NOW, remove_pin, store, "us", garbage)
    assert list(list_pins(store)) == []
    assert at_time(NOW, add_pin, store, "us", garbage, reason="after all")
    assert at_time(NOW + 1001 * DAY, remove_pin, store, "us", garbage)
    collect(store, 1007)
    assert garbage in digests(store), "the pin led to it a week ago"
    collect(store, 1008)
    assert garbage not in digests(store)
    with pytest.raises(ObjectNotFoundError, match="to pin"):
        at_time(NOW, add_pin, store, "us", garbage, reason="too late")
    assert list(list_pins(store)) == []


def test_a_pinned_collection_holds_its_members(store: Watched, tmp_path: Path) -> None:
    first = publish_areas(store, areas(tmp_path, "a", "b", salt="1"))
    for salt in ("2", "3"):
        publish_areas(store, areas(tmp_path / salt, "a", "b", salt=salt), run_id=f"r{salt}")
    at_time(NOW, add_pin, store, "us", first.artifact_sha256, reason="bundle")
    assert collect(store, 1000).deleted == ()


def test_a_tombstone_stays(store: Watched, tmp_path: Path) -> None:
    garbage = leave_garbage(store, tmp_path)
    store.put_create(tombstone_key("us", garbage), b"{}")
    collect(store, 1010)
    assert store.exists(tombstone_key("us", garbage))
    assert garbage in digests(store)


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"a": 1, "a": 2}'])
def test_an_unreadable_root_stops_everything(store: Watched, tmp_path: Path, damage: bytes) -> None:
    leave_garbage(store, tmp_path)
    before = digests(store)
    store.put_create(channel_key("us", "other", "latest"), damage)
    with pytest.raises(InputError, match=r"channels/us/other/latest\.json.*nothing was"):
        collect(store, 1010)
    assert digests(store) == before


def test_an_unknown_channel_or_collection_stops_everything(store: Watched, tmp_path: Path) -> None:
    leave_garbage(store, tmp_path)
    for key, message in (
        ("channels/us/areas/stable.json", r"stable\.json is no channel"),
        ("channels/us/Bad/latest.json", r"nothing was deleted: dataset: expected .*, found 'Bad'"),
    ):
        store.put_create(key, b"{}")
        with pytest.raises(InputError, match=message):
            collect(store, 1000)
        store.delete(key)


def nomination(artifact: Sha256, version: int) -> bytes:
    return forged(
        {
            **{"schema_version": 1, "namespace": "t", "country": "us", "dataset": "x"},
            **{"channel": "next", "version": version, "prev": None if version == 1 else "0" * 64},
            **{"artifact_sha256": artifact, "manifest_sha256": artifact, "published_at": "2026-01-31T12:00:00Z"},
            **{"publication_id": "0" * 32, "expires": "2027-01-31T12:00:00Z"},
        }
    )


def test_a_nomination_is_a_root(store: Watched, tmp_path: Path) -> None:
    garbage = leave_garbage(store, tmp_path)
    for key in (channel_key("us", "x", "next"), "channels/us/x/next.history/under-another-name.json"):
        store.put_create(key, nomination(garbage, 1))
        assert f"us/{garbage}" not in collect(store, 1000).deleted
        store.delete(key)
    assert f"us/{garbage}" in collect(store, 1000).deleted


@pytest.mark.parametrize("versions", [2, 5])
def test_whatever_was_nominated_once_stays(store: Watched, tmp_path: Path, versions: int) -> None:
    """It may have been certified, however many nominations came after it."""
    first = publish_areas(store, areas(tmp_path, "a", "b", salt="1"))
    for salt in ("2", "3"):
        publish_areas(store, areas(tmp_path / salt, "a", "b", salt=salt), run_id=f"r{salt}")
    store.put_create(history_key("us", "x", "next", 1, "0" * 64), nomination(first.artifact_sha256, 1))
    other = read(store, "us", "areas").body.artifact_sha256
    store.put_create(channel_key("us", "x", "next"), nomination(other, versions))
    assert collect(store, 5000).deleted == ()
    assert [one for one in check_store(store).findings if "us/areas" in one.key] == []


def test_an_unreadable_nomination_of_the_past_stops_everything(store: Watched, tmp_path: Path) -> None:
    leave_garbage(store, tmp_path)
    store.put_create(history_key("us", "x", "next", 1, "0" * 64), b"{}")
    with pytest.raises(InputError, match=r"next\.history/.*nothing was deleted"):
        collect(store, 1000)


def test_limits(store: Watched, tmp_path: Path) -> None:
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


def old_garbage(store: Watched, folder: Path) -> Sha256:
    """As `leave_garbage`; afterwards it is due, and the store's clock shows the day of the collection."""
    garbage = leave_garbage(store, folder)
    store.now = NOW + 1010 * DAY
    return garbage


def publish_again(store: Watched, items: Mapping[str, Item], run_id: str = "r4") -> None:
    publish_areas(store, items, run_id=run_id, now=store.now)


@pytest.mark.parametrize("at", ["channels/", "deleting", "delete_unchanged"])
@pytest.mark.parametrize("kind", [".h5", ".manifest.json", ".collection.json"])
def test_publishing_garbage_at_every_step_of_a_collection(tmp_path: Path, at: str, kind: str) -> None:
    """Whatever the collection has deleted by then, the publication sends it again, and nothing of that is deleted."""
    store = Watched()
    garbage = old_garbage(store, tmp_path)
    items = areas(tmp_path / "again", "a", salt="1")
    published: list[str] = []

    def publish_now(operation: str, key: str) -> None:
        hit = key.startswith(at) if at == "channels/" else (operation == at and key.endswith(kind))
        if hit and not published:
            published.append(key)
            publish_again(store, items)

    store.hook = publish_now
    collect(store, 1010)
    assert published
    assert read(store, "us", "areas").body.version == 4
    assert garbage in digests(store)
    assert check_store(store).ok


def test_without_sending_again_the_channel_would_dangle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: this is what it finds if a publication relies on what is old."""
    monkeypatch.setattr(upload, "is_old", lambda seen: False)
    store = Watched()
    old_garbage(store, tmp_path)
    items = areas(tmp_path / "again", "a", salt="1")

    def publish_now(operation: str, key: str) -> None:
        if operation == "deleting" and key.endswith(".h5"):
            store.hook = lambda operation, key: None
            publish_again(store, items)

    store.hook = publish_now
    with pytest.raises(ConflictError, match="Publish those files again"):
        collect(store, 1010)
    assert not check_store(store).ok
    monkeypatch.undo()
    publish_again(store, items, "r5")
    assert check_store(store).ok


@pytest.mark.parametrize("at", [".h5", ".manifest.json", ".collection.json", ".history/", "latest.json"])
def test_collecting_at_every_step_of_a_publication(tmp_path: Path, at: str) -> None:
    store = Watched()
    old_garbage(store, tmp_path)
    items = areas(tmp_path / "again", "a", "b", salt="1")
    seen: list[str] = []

    def collect_now(operation: str, key: str) -> None:
        if at in key and not seen:
            seen.append(key)
            collect(store, 1010)

    store.hook = collect_now
    publish_again(store, items)
    assert seen
    assert read(store, "us", "areas").body.version == 4
    assert check_store(store).ok


@pytest.mark.parametrize("at", [".h5", ".manifest.json", ".collection.json"])
def test_a_publication_that_takes_longer_than_the_grace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """What it sent is deleted before it moves the channel; the last look sends it again."""
    monkeypatch.setattr(upload, "RELY_FOR", timedelta(0))
    store = Watched()
    old_garbage(store, tmp_path)
    items = areas(tmp_path / "again", "a", "b", salt="1")

    def collect_now(operation: str, key: str) -> None:
        if key.endswith(at):
            store.hook = lambda operation, key: None
            store.now += 30 * DAY
            collect(store, 1040)

    store.hook = collect_now
    publish_areas(store, items, run_id="r4", now=NOW + 1010 * DAY)
    assert read(store, "us", "areas").body.version == 4
    assert check_store(store).ok


def test_what_the_channel_leads_to_is_not_sent_again(tmp_path: Path) -> None:
    store = Watched()
    publish_areas(store, areas(tmp_path, "a", "b"))
    store.now = NOW + 400 * DAY
    report = publish_areas(store, areas(tmp_path, "a", "b", "c"), run_id="r2", now=store.now)
    assert (report.uploaded, report.already_there) == (1, 2)
    fourth = publish_areas(store, areas(tmp_path / "d", "a", salt="4"), run_id="r3", now=store.now)
    assert fourth.uploaded == 1
    store.now += DAY
    back = publish_areas(store, areas(tmp_path, "a", "b"), run_id="r4", now=store.now)
    assert back.uploaded == 2, "old, and not led to any more"


def test_rolling_back_sends_again_what_nothing_leads_to(tmp_path: Path) -> None:
    store = Watched()
    first = publish_areas(store, areas(tmp_path, "a", salt="1"))
    for salt in ("2", "3"):
        publish_areas(store, areas(tmp_path / salt, "a", salt=salt), run_id=f"r{salt}")
    store.now = NOW + 1010 * DAY

    def roll_back(operation: str, key: str) -> None:
        if operation == "deleting":
            store.hook = lambda operation, key: None
            at_time(store.now, set_channel, store, "us", "areas", first.artifact_sha256)

    store.hook = roll_back
    collect(store, 1010)
    assert read(store, "us", "areas").body.artifact_sha256 == first.artifact_sha256
    assert check_store(store).ok


def test_pinning_while_it_is_being_deleted(tmp_path: Path) -> None:
    store = Watched()
    garbage = old_garbage(store, tmp_path)

    def pin(operation: str, key: str) -> None:
        if operation == "deleting" and garbage in key:
            store.hook = lambda operation, key: None
            at_time(store.now, add_pin, store, "us", garbage, reason="late")

    store.hook = pin
    assert f"us/{garbage}" in collect(store, 1010).taken_back
    assert garbage in digests(store)


@settings(max_examples=25, deadline=None)
@given(
    runs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), min_size=1, max_size=6),
    at=st.integers(0, 40),
    grace=st.integers(1, 20),
)
def test_a_publication_at_any_moment_never_dangles(
    runs: list[tuple[int, int]], at: int, grace: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Publications of a few payloads over and over, each perhaps in the middle of a collection."""
    store, folder = Watched(), tmp_path_factory.mktemp("runs")
    publish_areas(store, areas(folder, "a", salt="0"))
    for number, (salt, days) in enumerate(runs):
        store.now += days * DAY
        items = areas(folder / str(number), "a", "b", salt=str(salt))
        countdown = itertools.count(at, -1)

        def publish_now(operation: str, key: str, items: Any = items, countdown: Any = countdown) -> None:
            if next(countdown) == 0:
                store.hook = lambda operation, key: None
                publish_again(store, items, f"r{operation}")

        store.hook = publish_now
        at_time(store.now, collect_garbage, store, grace=grace * DAY)
        store.hook = lambda operation, key: None
        assert check_store(store).ok
        publish_again(store, items, f"r{number}")
        assert check_store(store).ok


@pytest.mark.parametrize("at", [".h5", ".manifest.json", ".collection.json"])
def test_a_killed_collection_is_finished_by_a_later_one(tmp_path: Path, at: str) -> None:
    store = Watched()
    garbage = old_garbage(store, tmp_path)

    class Killed(BaseException):
        pass

    def kill(operation: str, key: str) -> None:
        if operation == "delete_unchanged" and key.endswith(at):
            raise Killed

    store.hook = kill
    with pytest.raises(Killed):
        collect(store, 1010)
    store.hook = lambda operation, key: None
    collect(store, 1010)
    assert garbage not in digests(store)
    assert check_store(store).ok
