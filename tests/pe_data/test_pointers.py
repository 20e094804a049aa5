"""Pointers: bound to their place, typed by trust, refused when anything is off."""

import json

import pytest
from storage_helpers import NOW, at_time, forged, replace

from pe_data.documents.pointer import PointerBody, SignedPointer, UnsignedPointer, parse_signed, parse_unsigned
from pe_data.errors import (
    InvalidDocumentError,
    InvalidNameError,
    ObjectNotFoundError,
    PeDataError,
    PointerMismatchError,
)
from pe_data.names.digests import canonical_json, sha256_bytes
from pe_data.names.keys import channel_key
from pe_data.names.times import format_time, parse_time
from pe_data.read.channels import history, list_channels, read, read_next
from pe_data.store.base import Store
from pe_data.store.objects import memory_store
from pe_data.trust.nominations import VerifiedPointer
from pe_data.write.channels import move

A = sha256_bytes(b"a")
M = sha256_bytes(b"manifest")
BODY = PointerBody(
    namespace="policyengine",
    country="us",
    dataset="cps_2024",
    channel="latest",
    version=2,
    prev=sha256_bytes(b"before"),
    artifact_sha256=A,
    manifest_sha256=M,
    published_at=format_time(NOW),
    publication_id="0" * 32,
)


@pytest.fixture
def store() -> Store:
    return memory_store()


def document() -> dict[str, object]:
    return dict(json.loads(BODY.to_bytes()))


def test_a_pointer_reads_back() -> None:
    pointer = parse_unsigned(BODY.to_bytes(), what="x")
    assert pointer == UnsignedPointer.of(BODY)
    assert pointer.sha256 == sha256_bytes(BODY.to_bytes())
    assert not pointer.body.is_collection
    assert replace(BODY, manifest_sha256=A).is_collection
    assert parse_time(format_time(NOW)) == NOW


def test_unknown_fields_are_ignored() -> None:
    assert parse_unsigned(canonical_json({**document(), "later": 1}), what="x").body == BODY


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 0}, "version"),
        ({"version": "2"}, "version"),
        ({"version": True}, "version"),
        ({"version": 1}, "prev.*version 1"),
        ({"prev": None}, "prev.*nothing on version 2"),
        ({"prev": "abc"}, "prev"),
        ({"artifact_sha256": A.upper()}, "artifact_sha256"),
        ({"manifest_sha256": None}, "manifest_sha256"),
        ({"country": "../us"}, "country"),
        ({"dataset": "a/b"}, "dataset"),
        ({"channel": "stable"}, "expected one of latest, next"),
        ({"namespace": "A B"}, "namespace"),
        ({"published_at": "yesterday"}, "published_at"),
        ({"published_at": "2026-13-01T00:00:00Z"}, "published_at"),
        ({"expires": "never"}, "expires"),
        ({"publication_id": "1"}, "publication_id"),
        ({"schema_version": 2}, "a newer one needs a newer pe-data"),
        ({"channel": "next"}, "needs a signed pointer"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(PeDataError, match=message):
        parse_unsigned(canonical_json({**document(), **change}), what="store: key")


@pytest.mark.parametrize("name", sorted(set(document()) - {"prev"}))
def test_a_missing_field_is_named(name: str) -> None:
    with pytest.raises(InvalidDocumentError, match=rf"store: key: .*{name}"):
        parse_unsigned(canonical_json({k: v for k, v in document().items() if k != name}), what="store: key")


def test_duplicate_keys_are_refused() -> None:
    raw = BODY.to_bytes().replace(b'"version":2', b'"version":2,"version":3')
    with pytest.raises(InvalidDocumentError, match="'version' stands twice"):
        parse_unsigned(raw, what="x")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"country": "uk"}, "country"),
        ({"dataset": "other"}, "dataset"),
        ({"namespace": "other"}, "namespace"),
    ],
)
def test_a_replayed_pointer_is_refused(store: Store, change: dict[str, str], field: str) -> None:
    body = replace(BODY, **change)  # type: ignore[arg-type]
    store.put_create(channel_key("us", "cps_2024", "latest"), body.to_bytes())
    expected = {"country": "us", "dataset": "cps_2024", "namespace": "policyengine"}[field]
    message = f"made for another {field}: expected '{expected}', found '{change[field]}'"
    with pytest.raises(PointerMismatchError, match=message):
        read(store, "us", "cps_2024", namespace="policyengine")


def test_a_pointer_of_another_channel_is_refused(store: Store) -> None:
    envelope = forged({**document(), "channel": "next", "expires": "2027-01-01T00:00:00Z"})
    store.put_create(channel_key("us", "cps_2024", "latest"), envelope)
    with pytest.raises(InvalidDocumentError, match="channel next needs a signed pointer"):
        read(store, "us", "cps_2024")


def test_the_three_types_of_pointers_are_kept_apart(store: Store) -> None:
    signed = {**document(), "channel": "next", "expires": "2027-01-01T00:00:00Z"}
    pointer = parse_signed(forged(signed), what="x")
    assert isinstance(pointer, SignedPointer)
    assert not isinstance(pointer, UnsignedPointer)
    assert pointer.claimed().version == 2
    with pytest.raises(TypeError, match="made by"):
        VerifiedPointer(pointer.claimed(), pointer.sha256, ("k",), 1, object())
    with pytest.raises(ObjectNotFoundError):
        read_next(store, "us", "cps_2024")
    store.put_create(channel_key("us", "cps_2024", "next"), forged(signed))
    assert read_next(store, "us", "cps_2024").pointer.document == pointer.document
    with pytest.raises(InvalidNameError, match="read with their signatures"):
        read(store, "us", "cps_2024", "next")
    for broken, message in (
        ({**signed, "expires": None}, "expires"),
        ({**signed, "channel": "latest"}, "expected next"),
        ({**signed, "version": 0}, "version"),
    ):
        with pytest.raises(InvalidDocumentError, match=message):
            parse_signed(forged(broken), what="x").claimed()


def test_a_channel_that_was_never_published(store: Store) -> None:
    with pytest.raises(ObjectNotFoundError, match=r"channels/us/cps_2024/latest\.json"):
        read(store, "us", "cps_2024")
    with pytest.raises(ObjectNotFoundError):
        list(history(store, "us", "cps_2024"))


def test_channels_are_listed(store: Store) -> None:
    for country, dataset in (("us", "a"), ("us", "b"), ("uk", "a")):
        move(store, country, dataset, artifact_sha256=A, manifest_sha256=M, namespace="t")
    store.put_create("channels/us/a/stable.json", b"{}")
    found = [(c.country, c.dataset, c.channel) for c in list_channels(store)]
    assert sorted(found) == [("uk", "a", "latest"), ("us", "a", "latest"), ("us", "b", "latest")]
    assert [c.country for c in list_channels(store, "uk")] == ["uk"]


def test_a_rolled_back_pointer_breaks_the_chain(store: Store) -> None:
    """Somebody puts version 1 back under the name: the next move starts a chain that fsck sees."""
    key = channel_key("us", "d", "latest")
    for digest in (A, M):
        at_time(NOW, move, store, "us", "d", artifact_sha256=digest, manifest_sha256=digest, namespace="t")
    chain = list(history(store, "us", "d"))
    assert [p.body.version for p in chain] == [2, 1]
    forged = replace(chain[0].body, version=3, prev=sha256_bytes(b"invented"))
    store.put_swap(key, forged.to_bytes(), store.head(key).token)
    with pytest.raises(InvalidDocumentError, match="version 2 is missing"):
        list(history(store, "us", "d"))
