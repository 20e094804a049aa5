"""Attacks on the trust root: somebody who can write to the bucket tries each."""

import copy
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attack_world import NEXT, ROLES, World, now, open_world, write
from securesystemslib.signer import CryptoSigner, SSlibKey
from storage_helpers import at_time, replace
from trust_helpers import make_trust, variables

from pe_data.documents.envelope import POINTER_TYPE, TOMBSTONE_TYPE, Signature
from pe_data.errors import (
    BelowThresholdError,
    ConflictError,
    ExpiredError,
    RollbackError,
    SignatureError,
    TrustRootError,
)
from pe_data.names.keys import TRUST_PREFIX, tombstone_key
from pe_data.store.base import Content, VersionToken
from pe_data.store.folder import FolderStore
from pe_data.trust.anchor import Floor
from pe_data.trust.current import read_current
from pe_data.trust.opening import open_policy
from pe_data.trust.proposal import Proposal, publish
from pe_data.trust.root import build
from pe_data.write.nominate import nominate


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as world:
        yield world


def strangers_terms(world: World, strangers: list[CryptoSigner]) -> Any:
    keys = {one.public_key.keyid: one.public_key for one in strangers}
    terms = world.trust.terms
    return terms.with_role("root", replace(terms.root, keys=keys)).with_role(
        "next-us", replace(terms.roles["next-us"], keys=keys)
    )


def test_bad_root_rollover_signed_by_the_new_keys_alone(world: World) -> None:
    strangers = [CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()]
    write(world, build(strangers_terms(world, strangers), 2), strangers)
    with pytest.raises(TrustRootError, match="does not follow from the root"):
        world.ensure()


def test_bad_root_rollover_signed_by_the_old_keys_alone(world: World) -> None:
    """Whoever holds the old keys cannot put the root into hands that did not agree."""
    strangers = [CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()]
    version = build(strangers_terms(world, strangers), 2)
    proposal = Proposal(version, world.trust.versions[-1].root)
    for signer in world.trust.signers.values():
        proposal.sign(signer)
    with pytest.raises(BelowThresholdError, match="keys of the new root, found 0"):
        publish(world.store, proposal)
    write(world, build(strangers_terms(world, strangers), 2), list(world.trust.signers.values()))
    with pytest.raises(TrustRootError, match="does not follow from the root"):
        world.ensure()


def test_bad_root_rollover_below_the_threshold(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    trust = make_trust(store, tmp_path, ROLES, root_threshold=2)
    proposal = Proposal(build(trust.terms, 2), trust.versions[-1].root)
    proposal.sign(trust.signers["alice"])
    with pytest.raises(BelowThresholdError, match="expected 2 signature"):
        publish(store, proposal)
    with pytest.raises(SignatureError, match="has signed this version already"):
        proposal.sign(trust.signers["alice"])
    with pytest.raises(SignatureError, match="would not count"):
        proposal.sign(CryptoSigner.generate_ed25519())
    write(World(tmp_path, store, trust), build(trust.terms, 2), [trust.signers["alice"]])
    with pytest.raises(TrustRootError, match="does not follow from the root"):
        trust.policy()


@pytest.mark.parametrize("number", [1, 3])
def test_bad_root_rollover_of_another_version(world: World, number: int) -> None:
    version = build(world.trust.terms, number)
    for signer in world.trust.signers.values():
        version.root.sign(signer, append=True)
    world.put(f"{TRUST_PREFIX}2.root.json", version.root.to_bytes())
    with pytest.raises(RollbackError, match="another version"):
        world.ensure()


def test_old_keys_after_rollover(world: World) -> None:
    """A pointer by a key that was taken out is refused by clients old and new."""
    world.nominate()
    world.ensure()
    alice = world.trust.signers["alice"]
    carol = CryptoSigner.generate_ed25519()
    terms = world.trust.terms.with_key_replaced(alice.public_key.keyid, carol.public_key)
    world.trust.signers["carol"] = carol
    world.trust.rotate(terms)
    for client in ("client", "fresh"):
        with pytest.raises(BelowThresholdError, match="found 1"):
            world.ensure(client=client)
    with pytest.raises(BelowThresholdError, match="found 1"):
        nominate(world.store, world.trust.sign(world.propose(), POINTER_TYPE, "alice", "bob"), world.trust.policy())
    nominate(world.store, world.trust.sign(world.propose(), POINTER_TYPE, "carol", "bob"), world.trust.policy())
    for client in ("client", "fresh"):
        assert world.ensure(client=client).read_bytes() == b"data"


def test_old_keys_cannot_make_the_next_root_after_rollover(world: World) -> None:
    alice = world.trust.signers["alice"]
    carol = CryptoSigner.generate_ed25519()
    world.trust.signers["carol"] = carol
    world.trust.rotate(world.trust.terms.with_key_replaced(alice.public_key.keyid, carol.public_key))
    version = build(world.trust.terms.with_key_replaced(carol.public_key.keyid, alice.public_key), 3)
    write(world, version, [alice])
    with pytest.raises(TrustRootError, match="does not follow from the root"):
        world.ensure()


def test_trust_root_rolled_back_for_a_known_client(world: World) -> None:
    """The store shows version 1 again, whole and well signed; the machine remembers version 2."""
    old = world.store.get("trust/timestamp.json").data
    world.trust.rotate(world.trust.terms)
    assert world.trust.policy().version == 2
    world.put("trust/timestamp.json", old)
    world.store.delete("trust/2.root.json")
    with pytest.raises(RollbackError, match="set back"):
        world.trust.policy()
    assert world.trust.policy(client="fresh").version == 1


def test_trust_root_rolled_back_under_its_owner(world: World) -> None:
    """A next version made from an old one would bring the stolen key back."""
    old = world.store.get("trust/timestamp.json").data
    world.trust.rotate(world.trust.terms.with_role("next-us", replace(world.trust.terms.roles["next-us"], threshold=1)))
    open_policy(world.store)
    world.put("trust/timestamp.json", old)
    world.store.delete("trust/2.root.json")
    with pytest.raises(RollbackError, match="could bring a stolen key back"):
        read_current(world.store)


def test_trust_root_proposal_without_the_root_before_it(world: World) -> None:
    proposal = Proposal(build(world.trust.terms, 2), None)
    for signer in world.trust.signers.values():
        proposal.sign(signer)
    with pytest.raises(TrustRootError, match="expected the root before it"):
        publish(world.store, proposal)


def test_a_key_of_a_kind_that_cannot_be_told_apart_never_counts(world: World) -> None:
    terms = world.trust.terms
    odd = SSlibKey("odd", "rsa", "rsassa-pss-sha256", {"public": "no PEM"})
    keys = {**terms.roles["next-us"].keys, "odd": odd}
    world.trust.rotate(terms.with_role("next-us", replace(terms.roles["next-us"], keys=keys)))
    policy = world.trust.policy()
    assert "odd" not in policy.authorities["next-us"].keys
    document = world.trust.sign(b"x", POINTER_TYPE, "alice")
    odd_one = replace(document, signatures=(*document.signatures, Signature("odd", "c2ln")))
    with pytest.raises(BelowThresholdError, match="found 1"):
        policy.check(odd_one, NEXT, what="x")


def test_trust_root_rolled_back_for_a_fresh_client(world: World) -> None:
    """Old timestamp under a new root, and the whole of version 1 against a floor of 2."""
    old = world.store.get("trust/timestamp.json").data
    world.trust.rotate(world.trust.terms)
    world.put("trust/timestamp.json", old)
    with pytest.raises(RollbackError, match="expected timestamp of version 2 or later"):
        world.trust.policy(client="fresh")
    world.store.delete("trust/2.root.json")
    assert world.trust.policy(client="fresher").version == 1  # a machine that knows nothing else believes it
    world.trust.anchor.with_name("floor.json").write_bytes(Floor(2, {}).to_bytes())
    with pytest.raises(RollbackError, match="expected version 2 or later, as shipped"):
        world.trust.policy(client="freshest")


def test_trust_root_frozen(tmp_path: Path) -> None:
    """A store that withholds every newer version is believed only until the timestamp ends."""
    store = FolderStore(tmp_path / "store")
    past = now() - timedelta(days=100)
    trust = make_trust(store, tmp_path, ROLES, now=past)
    with pytest.raises(ExpiredError, match="past its date"):
        trust.policy()
    with variables(trust.environment):
        verified, _ = read_current(store)  # its owners can read it, and renew it
    assert verified.root.signed.version == 1
    trust.rotate(trust.terms.renewed(now() + timedelta(days=365), now() + timedelta(days=90)))
    assert trust.policy().version == 2


def test_trust_root_expired(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    trust = make_trust(store, tmp_path, ROLES, now=now() - timedelta(days=366))
    with pytest.raises(ExpiredError, match="past its date"):
        trust.policy()


def test_role_expired_before_the_root(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    trust = make_trust(store, tmp_path, ROLES)
    short = replace(trust.terms.roles["next-us"], expires=now() + timedelta(days=1))
    trust.rotate(trust.terms.with_role("next-us", short))
    document = trust.sign(b"x", POINTER_TYPE)
    with pytest.raises(ExpiredError, match="role next-us of trust root version 2 ended"):
        at_time(now() + timedelta(days=2), trust.policy().check, document, NEXT, what="x")


@pytest.mark.parametrize("name", ["targets", "snapshot"])
def test_trust_root_mixed_and_matched(world: World, name: str) -> None:
    """Documents of version 1 in the places of version 2."""
    world.trust.rotate(world.trust.terms)
    world.put(f"trust/2.{name}.json", world.store.get(f"trust/1.{name}.json").data)
    with pytest.raises(RollbackError):
        world.trust.policy()


def test_trust_root_with_a_delegation_that_nobody_signed(world: World) -> None:
    """A role slipped into the targets metadata."""
    document = json.loads(world.store.get("trust/1.targets.json").data)
    stranger = CryptoSigner.generate_ed25519().public_key
    delegations = document["signed"]["delegations"]
    delegations["keys"][stranger.keyid] = stranger.to_dict()
    delegations["roles"][0] |= {"keyids": [stranger.keyid], "threshold": 1}
    world.put("trust/1.targets.json", json.dumps(document).encode())
    with pytest.raises(TrustRootError, match="does not follow from the root"):
        world.trust.policy()
    with pytest.raises(TrustRootError, match="Somebody else wrote it"):
        read_current(world.store)


def test_a_role_with_a_key_id_that_has_no_key(world: World) -> None:
    """Its owners meant somebody; a threshold that counts on them would be out of reach."""
    version = world.trust.versions[-1]
    targets = copy.deepcopy(version.targets)
    delegations = targets.signed.delegations
    assert delegations is not None
    lost = next(iter(delegations.keys))
    del delegations.keys[lost]
    with pytest.raises(TrustRootError, match=f"x: role [a-z]+-[a-z]+: expected a key for each of its key ids.* {lost}"):
        replace(version, targets=targets).roles(what="x")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda raw: raw.replace(b'"_type"', b'"version": 7, "_type"', 1), "stands twice"),
        (lambda raw: raw[:-20], "not readable as JSON"),
        (lambda raw: raw + b" " * 20_000, "not complete"),
    ],
)
def test_duplicate_json_keys_truncation_and_padding_in_the_root(
    world: World, change: Callable[[bytes], bytes], error: str
) -> None:
    raw = world.store.get("trust/timestamp.json").data
    assert change(raw) != raw
    world.put("trust/timestamp.json", change(raw))
    with pytest.raises(TrustRootError, match=error):
        world.trust.policy()


def test_a_store_without_a_trust_root(world: World) -> None:
    world.store.delete("trust/timestamp.json")
    with pytest.raises(TrustRootError, match=r"not complete in this store .*timestamp"):
        world.trust.policy()


def test_twenty_four_concurrent_clients_share_one_memory(world: World) -> None:
    world.nominate()
    world.trust.rotate(world.trust.terms)
    with ThreadPoolExecutor(24) as pool:
        versions = list(pool.map(lambda _: world.trust.policy().version, range(24)))
    assert versions == [2] * 24


@pytest.mark.parametrize("crash", range(4))
def test_a_crash_at_every_step_of_a_rotation(world: World, crash: int) -> None:
    """Clients believe the state in between, and publishing again completes it."""

    class Dies(FolderStore):
        writes = 0

        def count(self) -> None:
            if self.writes == crash:
                raise KeyboardInterrupt
            self.writes += 1

        def put_create(self, key: str, data: Content) -> VersionToken:
            self.count()
            return super().put_create(key, data)

        def put_swap(self, key: str, data: bytes, expected: VersionToken) -> VersionToken:
            self.count()
            return super().put_swap(key, data, expected)

    proposal = Proposal(build(world.trust.terms, 2), world.trust.versions[-1].root)
    for signer in world.trust.signers.values():
        proposal.sign(signer)
    with pytest.raises(KeyboardInterrupt):
        publish(Dies(world.folder / "store"), proposal)
    assert world.trust.policy().version == 1
    publish(world.store, proposal)
    assert world.trust.policy().version == 2
    publish(world.store, proposal)  # again, and nothing changes


def test_two_people_publish_different_versions_of_one_number(world: World) -> None:
    previous = world.trust.versions[-1].root
    world.trust.rotate(world.trust.terms)
    later = world.trust.terms.renewed(now() + timedelta(days=10), now() + timedelta(days=9))
    proposal = Proposal(build(later, 2), previous)
    for signer in world.trust.signers.values():
        proposal.sign(signer)
    with pytest.raises(ConflictError, match="published a version with this number first"):
        publish(world.store, proposal)


def test_a_forged_tombstone_key_is_another_role(world: World) -> None:
    """`next` and `revoke` are different roles, whoever holds them."""
    document = world.trust.sign(b"{}", TOMBSTONE_TYPE)
    with pytest.raises(SignatureError, match="role next-us signs"):
        world.trust.policy().check(document, NEXT, what=tombstone_key("us", "0" * 64))
