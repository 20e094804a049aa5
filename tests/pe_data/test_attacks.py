"""Attacks on revocations and documents, by somebody who can write to the bucket or runs a mirror.

The attacks on pointers, signatures and the trust root are in test_attacks_pointers.py and test_attacks_root.py;
docs/security.md lists all of them.
"""

import json
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from revocation_helpers import AL, NC, REASON, World, make_world
from securesystemslib.signer import CryptoSigner
from storage_helpers import areas, at_time, publish_areas, replace
from trust_helpers import make_trust

import pe_data
from pe_data.cache.known_revocations import Known
from pe_data.documents.envelope import POINTER_TYPE, STATEMENT_TYPE, TOMBSTONE_TYPE, sign
from pe_data.errors import (
    CacheWarning,
    InvalidDocumentError,
    InvalidNameError,
    PeDataError,
    RevokedError,
    UncheckedRevocationError,
)
from pe_data.keep.fsck import check_store
from pe_data.keep.gc import collect_garbage
from pe_data.keep.mirror import mirror
from pe_data.names.digests import Sha256, canonical_json, sha256_bytes
from pe_data.names.keys import channel_key, collection_key, manifest_key, payload_key, tombstone_key
from pe_data.read.options import Options
from pe_data.read.revoked import remembered_tombstone
from pe_data.store.folder import FolderStore
from pe_data.trust.revocations import Verifier

DAY = 24 * 3600


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


def a_day_later(world: World) -> None:
    world.a_day_later()


# --- forged tombstones ------------------------------------------------------------------------


def unsigned(world: World) -> bytes:
    return world.tombstone(world.single(AL)).to_bytes()


def no_signatures(world: World) -> bytes:
    document = json.loads(world.signed(world.tombstone(world.single(AL))).to_bytes())
    return canonical_json({**document, "signatures": []})


def unpinned_key(world: World) -> bytes:
    mallory = CryptoSigner.generate_ed25519()
    return sign(unsigned(world), TOMBSTONE_TYPE, [mallory]).to_bytes()


def unpinned_key_under_a_pinned_id(world: World) -> bytes:
    mallory = CryptoSigner.generate_ed25519()
    document = json.loads(sign(unsigned(world), TOMBSTONE_TYPE, [mallory]).to_bytes())
    document["signatures"][0]["keyid"] = world.trust.signers["alice"].public_key.keyid
    return canonical_json(document)


def of_another_artifact(world: World) -> bytes:
    return world.signed(world.tombstone(world.single(NC))).to_bytes()


def of_another_country(world: World) -> bytes:
    return world.signed(replace(world.tombstone(world.single(AL)), country="uk")).to_bytes()


def signed_as_a_pointer(world: World) -> bytes:
    document = world.trust.sign(unsigned(world), POINTER_TYPE)
    return replace(document, payload_type=TOMBSTONE_TYPE).to_bytes()


def signed_as_a_statement(world: World) -> bytes:
    return world.trust.sign(unsigned(world), STATEMENT_TYPE).to_bytes()


def changed_after_signing(world: World) -> bytes:
    stone = world.tombstone(world.single(NC))
    document = world.signed(stone)
    return replace(document, body=replace(stone, artifact_sha256=world.sha256(AL)).to_bytes()).to_bytes()


def by_a_key_that_may_only_nominate(world: World) -> bytes:
    terms, bob = world.trust.terms, world.trust.signers["bob"].public_key
    alone = {"revoke-us": replace(terms.roles["revoke-us"], keys=without(terms.roles["revoke-us"].keys, bob.keyid))}
    world.trust.rotate(replace(terms, roles={**terms.roles, **alone}))
    return world.signed(world.tombstone(world.single(AL)), "bob").to_bytes()


def without(keys, key_id: str) -> dict:
    return {name: key for name, key in keys.items() if name != key_id}


def duplicate_keys_in_the_body(world: World) -> bytes:
    body = unsigned(world).replace(b'"country":"us"', b'"country":"us","country":"us"')
    assert body.count(b'"country"') == 2
    return world.trust.sign(body, TOMBSTONE_TYPE).to_bytes()


def duplicate_keys_in_the_envelope(world: World) -> bytes:
    raw = world.signed(world.tombstone(world.single(AL))).to_bytes()
    return raw.replace(b'{"payload"', b'{"payloadType":"x","payload"', 1)


def cut_off(world: World) -> bytes:
    return world.signed(world.tombstone(world.single(AL))).to_bytes()[:-7]


FORGERIES = [
    unsigned,
    no_signatures,
    unpinned_key,
    unpinned_key_under_a_pinned_id,
    of_another_artifact,
    of_another_country,
    signed_as_a_pointer,
    signed_as_a_statement,
    changed_after_signing,
    by_a_key_that_may_only_nominate,
    duplicate_keys_in_the_body,
    duplicate_keys_in_the_envelope,
    cut_off,
]


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_tombstone_forged(world: World, forge: Callable[[World], bytes]) -> None:
    path = pe_data.ensure(world.single(AL))
    world.put(AL, forge(world))
    a_day_later(world)
    with pytest.warns(CacheWarning, match="not genuine and changes nothing"):
        assert pe_data.ensure(world.single(AL)) == path
    with pytest.warns(CacheWarning, match="not genuine"):
        assert pe_data.ensure(world.single(AL), cache=world.folder / "fresh").read_bytes() == AL.encode()
    assert remembered_tombstone(Known(Options.of().cache), world.sha256(AL), None) is None
    assert "not genuine" in check_store(world.store).findings[0].problem


def test_a_forged_tombstone_moves_no_publisher_mirror_or_collector(world: World) -> None:
    world.put(AL, unpinned_key(world))
    target = FolderStore(world.folder / "mirror")
    with pytest.warns(CacheWarning, match="not genuine"):
        report = mirror(world.store, target, work=world.folder / "work")
    assert report.revoked == 0
    assert target.exists(payload_key("us", world.sha256(AL), "h5"))
    assert not target.exists(tombstone_key("us", world.sha256(AL)))
    with pytest.warns(CacheWarning, match="not genuine"):
        publish_areas(world.store, areas(world.folder / "files", AL), "r2", now=datetime.now(UTC))
    with pytest.warns(CacheWarning, match="not genuine"):
        collect_garbage(world.store)
    assert world.store.exists(payload_key("us", world.sha256(AL), "h5"))


def test_a_forged_tombstone_is_not_in_the_way_of_a_real_one(world: World) -> None:
    world.put(AL, unpinned_key(world))
    assert world.revoke(world.single(AL)).tombstones == 1
    with pytest.raises(RevokedError, match=REASON):
        pe_data.ensure(world.single(AL))


def test_a_tombstone_is_judged_before_it_is_parsed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that nobody signed reaches no parser."""
    raw = sign(b"\xff not json", TOMBSTONE_TYPE, [CryptoSigner.generate_ed25519()]).to_bytes()
    with pytest.raises(InvalidDocumentError, match="does not have"):
        Verifier.of(lambda: world.store).check(raw, country="us", sha256=world.sha256(AL), what="stone")


def test_endless_tombstone(world: World) -> None:
    """The store stops reading at the limit, and a body beyond it says nothing about the artifact."""
    path = pe_data.ensure(world.single(AL))
    world.put(AL, b" " * (5 * 1024 * 1024))
    a_day_later(world)
    with pytest.warns(CacheWarning, match="expected a document of at most"):
        assert pe_data.ensure(world.single(AL)) == path


# --- tombstones that go missing ---------------------------------------------------------------


def test_tombstone_stripped_by_a_mirror(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mirror still has the payload and no tombstone; the store that has one is asked too."""
    target = FolderStore(world.folder / "mirror")
    mirror(world.store, target, work=world.folder / "work")
    pe_data.ensure(world.single(AL))
    world.revoke(world.single(AL))
    monkeypatch.setenv("PE_DATA_MIRRORS", str(target.root))
    a_day_later(world)
    with pytest.raises(RevokedError, match=REASON):
        pe_data.ensure(world.single(AL))
    with pytest.raises(RevokedError, match=REASON):
        pe_data.ensure(world.single(AL), cache=world.folder / "fresh")
    monkeypatch.delenv("PE_DATA_MIRRORS")
    with pytest.raises(RevokedError, match=REASON):
        pe_data.ensure(world.single(AL), store=str(target.root))


def test_tombstone_stripped_from_the_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody deletes the tombstone and puts the payload back; a mirror still tells."""
    world.revoke(world.single(AL))
    target = FolderStore(world.folder / "mirror")
    mirror(world.store, target, work=world.folder / "work")
    world.store.delete(tombstone_key("us", world.sha256(AL)))
    world.store.put_create(payload_key("us", world.sha256(AL), "h5"), AL.encode())
    monkeypatch.setenv("PE_DATA_MIRRORS", str(target.root))
    with pytest.raises(RevokedError, match=REASON):
        pe_data.ensure(world.single(AL))
    mirror(world.store, target, work=world.folder / "work")
    assert not target.exists(payload_key("us", world.sha256(AL), "h5"))


def test_revoked_bytes_under_another_name(world: World) -> None:
    world.revoke(world.single(AL))
    with pytest.raises(RevokedError, match=REASON):
        publish_areas(world.store, {"cities/MB": areas(world.folder / "again", AL)[AL]}, "r2")


def test_a_clock_that_is_wrong_does_not_undo_a_revocation(world: World) -> None:
    """Past the end of the trust root nothing can be checked, and the artifact counts as revoked."""
    world.revoke(world.single(AL))
    raw = world.store.get(tombstone_key("us", world.sha256(AL))).data
    check, later = Verifier.of(lambda: world.store).check, datetime.now(UTC) + timedelta(days=4000)
    with pytest.raises(UncheckedRevocationError, match=r"ended on|past its date"):
        at_time(later, check, raw, country="us", sha256=world.sha256(AL), what="stone")


def test_a_store_with_a_root_of_its_own(world: World) -> None:
    """Whoever runs a store cannot revoke for readers who start from another root."""
    path = pe_data.ensure(world.single(AL))
    other = FolderStore(world.folder / "other")
    mirror(world.store, other, work=world.folder / "work")
    theirs = make_trust(other, world.folder / "theirs", {"revoke-us": 1})
    stone = theirs.sign(world.tombstone(world.single(AL)).to_bytes(), TOMBSTONE_TYPE)
    world.put(AL, stone, other)
    with pytest.raises(UncheckedRevocationError, match="does not follow from the root"):
        pe_data.ensure(world.single(AL), store=str(other.root), cache=world.folder / "fresh")
    assert pe_data.ensure(world.single(AL)) == path


# --- documents --------------------------------------------------------------------------------


def swap(store: FolderStore, key: str, data: bytes) -> None:
    store.put_swap(key, data, store.head(key).token)


@pytest.mark.parametrize("what", ["manifest", "collection"])
def test_duplicate_json_keys(world: World, what: str) -> None:
    """Two readers could read such a document differently; it is refused also where nothing binds it."""
    key = manifest_key("us", world.sha256(AL))
    if what == "manifest":
        swap(world.store, key, world.store.get(key).data.replace(b"{", b'{"licence":"none",', 1))
        uri = world.single(AL)
        assert sha256_bytes(pe_data.ensure(uri).read_bytes()) == world.sha256(AL)  # a pin is its digest
        assert not list(world.cache.rglob("*.unbound.json"))
    else:
        raw = world.store.get(collection_key("us", world.report.artifact_sha256)).data
        doubled = raw.replace(b"{", b'{"run_id":"other",', 1)
        digest = sha256_bytes(doubled)
        world.store.put_create(collection_key("us", digest), doubled)
        uri = f"pe-data://us/areas/{AL}@sha256:{digest}"
    with pytest.raises(PeDataError, match="stands twice"):
        pe_data.resolve(uri)


@pytest.mark.parametrize("member", ["../../../etc/passwd", "a/../../b", "/etc/passwd", "a//b", ".hidden/a", "a\\..\\b"])
def test_path_traversal_in_a_member(world: World, member: str) -> None:
    document = json.loads(world.store.get(collection_key("us", world.report.artifact_sha256)).data)
    document["members"][member] = document["members"][AL]
    raw = canonical_json(document)
    digest = sha256_bytes(raw)
    world.store.put_create(collection_key("us", digest), raw)
    with pytest.raises(InvalidDocumentError, match="expected a member's name: segments of letters"):
        pe_data.ensure(f"pe-data://us/areas/{NC}@sha256:{digest}")
    with pytest.raises(InvalidNameError, match="member"):
        pe_data.ensure(f"pe-data://us/areas/{member}@sha256:{digest}")


OUTSIDE = ["../x", "us/..", "..", "US", "us%2f", "\\x", "us\x00", ""]


@pytest.mark.parametrize("name", OUTSIDE)
def test_path_traversal_in_country_dataset_or_key(name: str) -> None:
    for make in (
        lambda: payload_key(name, "0" * 64, "h5"),
        lambda: channel_key(name, "areas", "latest"),
        lambda: channel_key("us", name, "latest"),
        lambda: channel_key("us", "areas", f"latest/{name}"),
        lambda: tombstone_key("us", f"{name}{'0' * 64}"[:64] if name else "0" * 63),
        lambda: payload_key("us", "0" * 64, f"h5/{name}"),
    ):
        with pytest.raises((InvalidNameError, InvalidNameError)):
            make()
    for uri in (f"pe-data://{name}/areas@latest", f"pe-data://us/{name}@latest", f"pe-data://us/areas@{name}"):
        with pytest.raises((InvalidNameError, InvalidNameError)):
            pe_data.ensure(uri)


def test_a_country_cannot_be_called_like_a_folder_of_the_store() -> None:
    with pytest.raises(InvalidNameError):
        payload_key("gc", "0" * 64, "h5")


def test_a_reader_writes_nothing_outside_its_cache(world: World) -> None:
    world.put(AL, unpinned_key(world))
    before = {path for path in world.folder.rglob("*") if world.cache not in path.parents}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        pe_data.ensure(world.member(AL))
    after = {path for path in world.folder.rglob("*") if world.cache not in path.parents}
    assert {path for path in after - before if "trust" not in path.parts} == {world.cache} - before


def test_terminal_codes_in_a_reason(world: World) -> None:
    """A reason is printed on other people's terminals, so even a signed one is one plain line."""
    stone = world.tombstone(world.single(AL)).to_json() | {"reason": "\x1b]0;owned\x07"}
    raw = world.trust.sign(canonical_json(stone), TOMBSTONE_TYPE).to_bytes()
    with pytest.raises(InvalidDocumentError, match="reason"):
        Verifier.of(lambda: world.store).check(raw, country="us", sha256=Sha256(world.sha256(AL)), what="stone")
