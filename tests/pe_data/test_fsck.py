"""The check of a store finds each kind of damage and nothing else."""

from pathlib import Path

import pytest
from storage_helpers import areas, forged, make_item, publish_areas

from pe_data.documents.encoding import pack
from pe_data.documents.manifest import Artifact
from pe_data.errors import DigestMismatchError, ListingNotSupportedError, StoreUnavailableError
from pe_data.keep.fsck import FsckReport, check_store, iterate_lines
from pe_data.names.digests import sha256_bytes
from pe_data.names.keys import (
    MEDIA_TYPES,
    channel_key,
    collection_key,
    history_key,
    manifest_key,
    payload_key,
    tombstone_key,
)
from pe_data.read.channels import read
from pe_data.store.artifacts import check_payload
from pe_data.store.base import Store
from pe_data.store.byte_source import Body
from pe_data.store.objects import ObjectStore, memory_store
from pe_data.store.opening import open_store
from pe_data.store.pace import Pace
from pe_data.write.publish import publish_artifact

DIGEST = sha256_bytes(b"a")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(str(tmp_path / "store"))
    publish_areas(store, areas(tmp_path, "a", "b"))
    publish_areas(store, areas(tmp_path, "a", "c"), run_id="r2")
    publish_artifact(store, make_item(tmp_path, "cps", b"cps bytes", dataset="cps_2024"))
    return store


def replace(store: Store, key: str, data: bytes) -> None:
    store.delete(key)
    store.put_create(key, data)


def only(report: FsckReport) -> str:
    assert len(report.findings) == 1, list(iterate_lines(report))
    finding = report.findings[0]
    return f"{finding.key}: {finding.problem}"


def test_a_good_store(store: Store) -> None:
    report = check_store(store)
    assert report.ok
    assert (report.channels, report.hashed, report.skipped) == (2, 4, 0)
    assert list(iterate_lines(report))[-1].endswith("0 problem(s)")


@pytest.mark.parametrize("bad", [b"b", b"", b"a and more"])
def test_wrong_payload(store: Store, bad: bytes) -> None:
    key = payload_key("us", DIGEST, "h5")
    replace(store, key, bad)
    text = "\n".join(iterate_lines(check_store(store)))
    assert f"{key}: expected sha256 {DIGEST}, found {sha256_bytes(bad)} over {len(bad)} bytes" in text


def test_wrong_manifest(store: Store) -> None:
    key = manifest_key("us", DIGEST)
    other = store.get(manifest_key("us", sha256_bytes(b"b"))).data
    replace(store, key, other)
    text = "\n".join(iterate_lines(check_store(store)))
    assert f"expected the manifest of sha256:{DIGEST}, found one of" in text
    assert "member a: the manifest of" in text


def test_a_manifest_that_was_rewritten(store: Store, tmp_path: Path) -> None:
    item = make_item(tmp_path, "a", b"a", dataset="rewritten")
    replace(store, manifest_key("us", DIGEST), pack(item.manifest.to_bytes()))
    text = "\n".join(iterate_lines(check_store(store)))
    assert f"the manifest of sha256:{DIGEST} should have sha256" in text


def test_missing_objects(store: Store) -> None:
    cps = sha256_bytes(b"cps bytes")
    store.delete(payload_key("us", cps, "h5"))
    report = check_store(store)
    text = "\n".join(iterate_lines(report))
    assert "a manifest without payload" in text
    assert f"channels/us/cps_2024/latest.json: the channel stands at sha256:{cps}, but the payload" in text
    store.put_create(tombstone_key("us", cps), b"{}")
    text = "\n".join(iterate_lines(check_store(store)))
    assert "a tombstone that is not genuine" in text
    assert "a manifest without payload" in text, "a forged tombstone excuses nothing"


def test_an_interrupted_publication(store: Store, tmp_path: Path) -> None:
    store.put_create(payload_key("us", sha256_bytes(b"new"), "h5"), b"new")
    assert "a payload without manifest: a publication was interrupted" in only(check_store(store))


def test_damaged_collection(store: Store) -> None:
    digest = read(store, "us", "areas").body.artifact_sha256
    key = collection_key("us", digest)
    replace(store, key, store.get(key).data + b" ")
    text = "\n".join(iterate_lines(check_store(store)))
    assert f"{key}: expected sha256 {digest}, found" in text
    assert "the collection is not there" in text


def test_copied_pointer(store: Store) -> None:
    raw = store.get(channel_key("us", "cps_2024", "latest")).data
    store.put_create(channel_key("us", "other", "latest"), raw)
    assert "this pointer was made for another dataset: expected 'other', found 'cps_2024'" in only(check_store(store))


def test_broken_history(store: Store) -> None:
    body = read(store, "us", "areas").body
    assert body.prev is not None
    store.delete(history_key("us", "areas", "latest", 1, body.prev))
    assert "the history breaks here: version 1 is missing" in only(check_store(store))


def test_rewritten_history(store: Store) -> None:
    body = read(store, "us", "areas").body
    assert body.prev is not None
    replace(store, history_key("us", "areas", "latest", 1, body.prev), b"{}")
    assert f"expected sha256 {body.prev}" in only(check_store(store))


@pytest.mark.parametrize("name", ["stable", "lts-2026", "LATEST"])
def test_channels_that_do_not_exist_here(store: Store, name: str) -> None:
    store.put_create(f"channels/us/areas/{name}.json", b"{}")
    assert f"channels/us/areas/{name}.json" in only(check_store(store))


def test_a_nomination_is_checked_without_trusting_it(store: Store) -> None:
    digest = sha256_bytes(b"nothing")
    body = {
        **{"schema_version": 1, "namespace": "t", "country": "us", "dataset": "areas"},
        **{"channel": "next", "version": 1, "prev": None, "artifact_sha256": digest},
        **{"manifest_sha256": digest, "published_at": "2026-01-31T12:00:00Z"},
        **{"publication_id": "0" * 32, "expires": "2027-01-31T12:00:00Z"},
    }
    store.put_create(channel_key("us", "areas", "next"), forged(body))
    assert "the collection is not there" in only(check_store(store))


def test_unchanged_payloads_are_not_read_again(store: Store, tmp_path: Path) -> None:
    state = tmp_path / "state" / "fsck.json"
    assert check_store(store, state_path=state).hashed == 4
    again = check_store(store, state_path=state)
    assert (again.hashed, again.skipped) == (0, 4)
    key = payload_key("us", DIGEST, "h5")
    replace(store, key, b"b")
    changed = check_store(store, state_path=state)
    assert (changed.hashed, changed.skipped) == (1, 3)
    assert not changed.ok
    assert not check_store(store, state_path=state).ok, "what is wrong is never remembered"
    assert check_store(store, state_path=state, full=True).hashed == 4
    state.write_text("{not json")
    assert check_store(store, state_path=state).hashed == 4


def test_the_state_of_another_store_does_not_count(store: Store, tmp_path: Path) -> None:
    state = tmp_path / "fsck.json"
    check_store(store, state_path=state)
    other = open_store(str(tmp_path / "other"))
    publish_artifact(other, make_item(tmp_path, "a", b"a", dataset="a"))
    assert check_store(other, state_path=state).hashed == 1


def test_remote_store(s3_server: dict[str, str], s3_bucket: str, tmp_path: Path) -> None:
    store = open_store(f"s3://{s3_bucket}", options=s3_server)
    publish_areas(store, areas(tmp_path, "a", "b"))
    assert check_store(store).ok
    replace(store, payload_key("us", DIGEST, "h5"), b"z")
    assert not check_store(store).ok


def test_a_plain_mirror_cannot_be_checked() -> None:
    with pytest.raises(ListingNotSupportedError, match="cannot list"):
        check_store(open_store("http://127.0.0.1:9/"))


class Sends(ObjectStore):
    """Has objects of the right size, refuses every range, and sends something else if it is told to."""

    instead: bytes | None = None
    endless = False
    asked = 0

    def open(self, key: str, start: int = 0, length: int | None = None, pace: Pace | None = None) -> Body:
        if start or length is not None:
            raise StoreUnavailableError("416")
        if self.instead is None:
            return super().open(key)
        sent = self.instead

        def read(buffer: memoryview) -> int:
            self.asked += 1
            count = min(len(buffer), len(sent)) if self.endless or self.asked == 1 else 0
            buffer[:count] = sent[:count]
            return count

        return Body(read, total=None)


def sends(data: bytes) -> tuple[Sends, Artifact]:
    store, digest = Sends(memory_store().client, "memory://"), sha256_bytes(data)
    store.put_create(payload_key("us", digest, "h5"), data)
    return store, Artifact(digest, len(data), MEDIA_TYPES["h5"])


@pytest.mark.parametrize("data", [b"", b"abc"])
def test_a_payload_is_checked_without_asking_for_a_range(data: bytes) -> None:
    store, artifact = sends(data)
    check_payload(store, "us", artifact, "full")


@pytest.mark.parametrize("endless", [False, True])
@pytest.mark.parametrize("data", [b"", b"abc"])
def test_a_longer_body_than_the_store_says_is_found_and_not_read_to_its_end(data: bytes, endless: bool) -> None:
    store, artifact = sends(data)
    store.instead, store.endless = data + b"and more", endless
    with pytest.raises(DigestMismatchError, match=f"expected {len(data)} bytes, found more than {len(data)} bytes"):
        check_payload(store, "us", artifact, "full")
    assert store.asked <= 2


def test_another_body_of_the_same_size_is_found() -> None:
    store, artifact = sends(b"abc")
    store.instead = b"abd"
    with pytest.raises(DigestMismatchError, match=f"expected sha256 {artifact.sha256}, found sha256 "):
        check_payload(store, "us", artifact, "full")
    check_payload(store, "us", artifact, "presence")
