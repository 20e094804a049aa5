"""Attacks on pointers, signatures and the trust root: somebody who can write to the bucket tries each."""

import base64
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey
from trust_helpers import Trust, make_trust, publish_validated, variables

import pe_data
from pe_data.digests import canonical_json
from pe_data.errors import (
    BadSignatureError,
    BelowThresholdError,
    ChannelConflictError,
    ChannelRollbackError,
    ExpiredError,
    InvalidDocumentError,
    NominationError,
    ObjectNotFoundError,
    PointerMismatchError,
    RollbackError,
    SignatureError,
    StoreUnavailableError,
    TrustRootError,
    UnknownKeyError,
)
from pe_data.layout import TRUST_PREFIX, channel_key, tombstone_key
from pe_data.pointers import SignedPointer, VerifiedPointer, parse_body
from pe_data.store.base import VersionToken
from pe_data.store.folder import FolderStore
from pe_data.trust.anchor import Floor
from pe_data.trust.current import floor_of, read_current
from pe_data.trust.envelope import POINTER_TYPE, TOMBSTONE_TYPE, Signature, SignedDocument, sign
from pe_data.trust.nominate import candidate, nominate, propose
from pe_data.trust.opening import open_policy
from pe_data.trust.policy import Role
from pe_data.trust.proposal import Proposal, publish
from pe_data.trust.root import Version, build

ROLES = {"next-us": 2, "next-uk": 2, "revoke-us": 2}
NEXT = Role("next", "us")
KEY = channel_key("us", "data", "next")


@dataclass
class World:
    """A store with a validated artifact, a trust root held by alice and bob, and clients."""

    folder: Path
    store: FolderStore
    trust: Trust

    def propose(self, dataset: str = "data", **more: Any) -> bytes:
        chosen = candidate(self.store, "us", dataset)
        return propose(self.store, chosen, namespace="local", **more).to_bytes()

    def nominate(self, dataset: str = "data", **more: Any) -> VerifiedPointer:
        """A nomination as it should be, by alice and bob."""
        document = self.trust.sign(self.propose(dataset, **more), POINTER_TYPE)
        return nominate(self.store, document, self.trust.policy(client="publisher"), now=more.get("now"))

    def put(self, key: str, data: bytes) -> None:
        """Whoever can write to the bucket needs no permission of ours."""
        try:
            self.store.put_swap(key, data, self.store.head(key).token)
        except ObjectNotFoundError:
            self.store.put_create(key, data)

    def ensure(self, uri: str = "pe-data://us/data@next", client: str = "client") -> Path:
        """What a researcher does."""
        with variables(self.trust.environment):
            return pe_data.ensure(uri, store=str(self.folder / "store"), cache=self.folder / client)


@pytest.fixture
def world(tmp_path: Path) -> World:
    store = FolderStore(tmp_path / "store")
    trust = make_trust(store, tmp_path, ROLES)
    publish_validated(store, tmp_path)
    with variables(trust.environment):
        yield World(tmp_path, store, trust)


def now() -> datetime:
    return datetime.now(UTC)


# --- pointers ---------------------------------------------------------------------------------


def test_a_nomination_is_believed(world: World) -> None:
    verified = world.nominate()
    assert set(verified.key_ids) == {one.public_key.keyid for one in world.trust.signers.values()}
    assert world.ensure().read_bytes() == b"data"


@pytest.mark.parametrize("field", ["artifact_sha256", "manifest_sha256", "version", "expires"])
def test_pointer_rewritten(world: World, field: str) -> None:
    world.nominate()
    envelope = json.loads(world.store.get(KEY).data)
    body = json.loads(base64.b64decode(envelope["payload"]))
    body[field] = {"version": 99, "expires": "2099-01-01T00:00:00.000000Z"}.get(field, "0" * 64)
    envelope["payload"] = base64.b64encode(canonical_json(body)).decode()
    world.put(KEY, canonical_json(envelope))
    with pytest.raises(BadSignatureError, match="does not fit the document"):
        world.ensure()


def test_pointer_replayed_on_another_channel(world: World) -> None:
    world.nominate()
    nomination = world.store.get(KEY).data
    latest = channel_key("us", "data", "latest")
    bare = world.store.get(latest).data
    world.put(latest, nomination)
    with pytest.raises(InvalidDocumentError):
        world.ensure("pe-data://us/data@latest")
    world.put(KEY, bare)
    with pytest.raises(InvalidDocumentError, match="payloadType"):
        world.ensure()
    # Signed by the right people, but as a pointer of the other channel.
    world.put(KEY, world.trust.sign(bare, POINTER_TYPE).to_bytes())
    with pytest.raises(PointerMismatchError, match="another channel: expected 'next', found 'latest'"):
        world.ensure()


def test_pointer_replayed_on_another_dataset(world: World) -> None:
    world.nominate()
    world.put(channel_key("us", "other", "next"), world.store.get(KEY).data)
    with pytest.raises(PointerMismatchError, match="another dataset: expected 'other', found 'data'"):
        world.ensure("pe-data://us/other@next")


def test_pointer_replayed_on_another_country(world: World) -> None:
    """The same people hold `next-uk`: the signatures are good, the place is not."""
    world.nominate()
    world.put(channel_key("uk", "data", "next"), world.store.get(KEY).data)
    with pytest.raises(PointerMismatchError, match="another country: expected 'uk', found 'us'"):
        world.ensure("pe-data://uk/data@next")


def test_pointer_of_a_country_that_the_keys_have_no_role_in(world: World) -> None:
    world.nominate()
    world.put(channel_key("ca", "data", "next"), world.store.get(KEY).data)
    with pytest.raises(TrustRootError, match="next-ca to nobody"):
        world.ensure("pe-data://ca/data@next")


def test_signature_of_another_kind_of_document(world: World) -> None:
    """What was signed as a tombstone is no pointer, even with a pointer's body."""
    body = world.propose()
    signed = world.trust.sign(body, TOMBSTONE_TYPE)
    world.put(KEY, SignedDocument(POINTER_TYPE, body, signed.signatures).to_bytes())
    with pytest.raises(BadSignatureError):
        world.ensure()
    world.put(KEY, signed.to_bytes())
    with pytest.raises(InvalidDocumentError, match="payloadType"):
        world.ensure()


def test_below_threshold(world: World) -> None:
    document = world.trust.sign(world.propose(), POINTER_TYPE, "alice")
    with pytest.raises(BelowThresholdError, match=r"needs 2 .* found 1"):
        nominate(world.store, document, world.trust.policy())
    with pytest.raises(ObjectNotFoundError):
        world.store.head(KEY)
    world.put(KEY, document.to_bytes())
    with pytest.raises(BelowThresholdError, match=r"needs 2 .* found 1"):
        world.ensure()


def test_same_key_twice(world: World) -> None:
    document = world.trust.sign(world.propose(), POINTER_TYPE, "alice")
    twice = replace(document, signatures=document.signatures * 2)
    with pytest.raises(BelowThresholdError, match="found 1"):
        world.trust.policy().check(twice, NEXT, what="x", now=now())
    world.put(KEY, twice.to_bytes())
    with pytest.raises(InvalidDocumentError, match="one signature per key"):
        world.ensure()


def test_same_key_twice_under_two_ids(world: World) -> None:
    """A root in which alice stands twice would let her sign alone."""
    policy = world.trust.policy()
    alice = world.trust.signers["alice"]
    shadow = deepcopy(alice.public_key)
    shadow.keyid = "alice-too"
    shadow.keyval["public"] = shadow.keyval["public"].upper()  # the same bytes, written otherwise
    authority = policy.authorities["next-us"]
    both = replace(authority, key_ids=(alice.public_key.keyid, "alice-too"))
    forged = replace(
        policy, keys={**policy.keys, "alice-too": shadow}, authorities={**policy.authorities, "next-us": both}
    )
    document = sign(world.propose(), POINTER_TYPE, [alice])
    again = replace(document.signatures[0], key_id="alice-too")
    with pytest.raises(BelowThresholdError, match="found 1"):
        forged.check(replace(document, signatures=(*document.signatures, again)), NEXT, what="x", now=now())


@pytest.mark.parametrize("where", ["root", "targets"])
def test_same_key_under_two_ids_in_the_root(world: World, where: str) -> None:
    """Neither is such a root made, nor is one believed that others made and signed well."""
    alice = world.trust.signers["alice"]
    shadow = deepcopy(alice.public_key)
    shadow.keyid = "alice-too"
    holders = world.trust.terms.root
    doubled = replace(holders, keys={**holders.keys, "alice-too": shadow}, threshold=2)
    terms = world.trust.terms.with_role("root" if where == "root" else "next-us", doubled)
    with pytest.raises(TrustRootError, match="a public key once in a role"):
        build(terms, 2)
    version = build(world.trust.terms, 2)
    if where == "root":
        version.root.signed.add_key(shadow, "root")
    else:
        version.targets.signed.add_key(shadow, "next-us")
    write(world, version, list(world.trust.signers.values()))
    with pytest.raises(TrustRootError, match="a public key once in a role"):
        world.trust.policy()


def test_unknown_key(world: World) -> None:
    strangers = [CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()]
    world.put(KEY, sign(world.propose(), POINTER_TYPE, strangers).to_bytes())
    with pytest.raises(UnknownKeyError, match="which the role does not have"):
        world.ensure()


def test_unknown_key_that_takes_a_known_id(world: World) -> None:
    stranger = CryptoSigner.generate_ed25519(world.trust.signers["alice"].public_key.keyid)
    document = sign(world.propose(), POINTER_TYPE, [stranger, world.trust.signers["bob"]])
    world.put(KEY, document.to_bytes())
    with pytest.raises(BadSignatureError):
        world.ensure()


def test_expired_pointer(world: World) -> None:
    long_ago = now() - timedelta(days=40)
    world.nominate(now=long_ago, lifetime=timedelta(days=30))
    with pytest.raises(ExpiredError, match=r"the nomination of .* ended on"):
        world.ensure()


def test_pointer_without_an_end(world: World) -> None:
    body = json.loads(world.propose())
    del body["expires"]
    world.put(KEY, world.trust.sign(canonical_json(body), POINTER_TYPE).to_bytes())
    with pytest.raises(InvalidDocumentError, match="needs the field expires"):
        world.ensure()


def test_pointer_rolled_back_for_a_known_client(world: World) -> None:
    world.nominate()
    first = world.store.get(KEY).data
    publish_validated(world.store, world.folder, salt="new")
    world.nominate()
    assert world.ensure().read_bytes() == b"datanew"
    world.put(KEY, first)
    with pytest.raises(ChannelRollbackError, match="expected version 2 or later"):
        world.ensure()


def test_pointer_rolled_back_for_a_fresh_client(world: World) -> None:
    """The floor that ships beside the root knows what the machine has not seen."""
    world.nominate()
    first = world.store.get(KEY).data
    publish_validated(world.store, world.folder, salt="new")
    world.nominate()
    floor = floor_of(world.store, world.trust.policy(client="release"))
    assert floor == Floor(1, {"us/data": 2})
    world.trust.anchor.with_name("floor.json").write_bytes(floor.to_bytes())
    world.put(KEY, first)
    with pytest.raises(ChannelRollbackError, match="expected version 2 or later, as shipped"):
        world.ensure(client="fresh")


def test_two_pointers_of_one_version(world: World) -> None:
    world.nominate()
    world.ensure()
    body = replace(parse_body(SignedPointer.claimed(pointer(world)).to_bytes(), what="x"), publication_id="1" * 32)
    world.put(KEY, world.trust.sign(body.to_bytes(), POINTER_TYPE).to_bytes())
    with pytest.raises(ChannelRollbackError, match="expected one pointer of version 1"):
        world.ensure()


def test_clock_skew_of_the_signer(world: World) -> None:
    world.nominate(now=now() + timedelta(minutes=5))
    assert world.ensure().read_bytes() == b"data"
    world.nominate(now=now() + timedelta(hours=2))
    with pytest.raises(ExpiredError, match="one of the two clocks is wrong"):
        world.ensure()


def test_clock_skew_of_the_reader(world: World) -> None:
    """A clock that runs ahead refuses what has not ended; the message says to look at the clock."""
    world.nominate(lifetime=timedelta(days=30))
    policy = world.trust.policy()
    for days, expected in ((31, "set this machine's clock"), (400, "the trust root .* ended on")):
        with pytest.raises(ExpiredError, match=expected):
            pe_data_verify(world, policy, now() + timedelta(days=days))
    with pytest.raises(ExpiredError, match="one of the two clocks is wrong"):
        pe_data_verify(world, policy, now() - timedelta(days=1))


@pytest.mark.parametrize("part", ["envelope", "body"])
def test_duplicate_json_keys_in_a_pointer(world: World, part: str) -> None:
    body = world.propose()
    if part == "body":
        body = body.replace(b'"version":1', b'"version":1,"version":9')
    raw = world.trust.sign(body, POINTER_TYPE).to_bytes()
    if part == "envelope":
        raw = raw.replace(b'{"payload":', b'{"payload":"e30=","payload":')
    world.put(KEY, raw)
    with pytest.raises(InvalidDocumentError, match="stands twice"):
        world.ensure()


def test_nan_in_a_pointer(world: World) -> None:
    body = world.propose().replace(b'"version":1', b'"version":NaN')
    world.put(KEY, world.trust.sign(body, POINTER_TYPE).to_bytes())
    with pytest.raises(InvalidDocumentError, match="NaN is not JSON"):
        world.ensure()


def test_a_body_is_not_parsed_before_its_signatures_are_checked(world: World) -> None:
    strangers = [CryptoSigner.generate_ed25519()]
    world.put(KEY, sign(b'{"version":1,"version":2', POINTER_TYPE, strangers).to_bytes())
    with pytest.raises(UnknownKeyError):
        world.ensure()


def test_endless_pointer(world: World) -> None:
    world.put(KEY, b" " * 10_000_000)
    with pytest.raises(InvalidDocumentError, match="65536 bytes"):
        world.ensure()


# --- writers ----------------------------------------------------------------------------------


def test_two_writers_on_next_one_wins_and_the_other_is_told(world: World) -> None:
    documents = [world.trust.sign(world.propose(), POINTER_TYPE) for _ in range(4)]
    policy = world.trust.policy()
    barrier = threading.Barrier(len(documents))

    def write_one(document: SignedDocument) -> str:
        barrier.wait()
        try:
            return nominate(world.store, document, policy).sha256
        except ChannelConflictError as error:
            return str(error)

    with ThreadPoolExecutor(len(documents)) as pool:
        outcomes = list(pool.map(write_one, documents))
    assert sum("another writer was first" in outcome for outcome in outcomes) == 3
    assert pointer(world).sha256 in outcomes


def test_a_proposal_that_the_channel_has_left_behind(world: World) -> None:
    stale = world.trust.sign(world.propose(), POINTER_TYPE)
    world.nominate()
    with pytest.raises(ChannelConflictError, match="expected to write version 1, found version 1"):
        nominate(world.store, stale, world.trust.policy())


def test_lost_reply_of_a_nomination(world: World) -> None:
    class Forgetful(FolderStore):
        """Writes pointers and loses the reply."""

        def put_create(self, key: str, data: bytes) -> VersionToken:
            token = super().put_create(key, data)
            if key == KEY:
                raise StoreUnavailableError("the reply was lost")
            return token

    document = world.trust.sign(world.propose(), POINTER_TYPE)
    verified = nominate(Forgetful(world.folder / "store"), document, world.trust.policy())
    assert pointer(world).sha256 == verified.sha256
    assert nominate(world.store, document, world.trust.policy()) == verified  # and again changes nothing


def test_only_what_passed_its_validation_is_nominated(world: World) -> None:
    from storage_helpers import make_item
    from trust_helpers import VALIDATION

    from pe_data.publish import publish_artifact

    item = make_item(world.folder, "bare", b"bare", dataset="bare")
    publish_artifact(world.store, item)
    with pytest.raises(NominationError, match="expected a validation record that passed, found none"):
        world.propose("bare")
    for status in ("failed", "skipped"):
        failed = replace(VALIDATION, status=status)
        item = make_item(world.folder, status, status.encode(), dataset=status)
        publish_artifact(world.store, replace(item, manifest=item.manifest.validated(failed)))
        with pytest.raises(NominationError, match=f"found validation {status}"):
            world.propose(status)


# --- the trust root ---------------------------------------------------------------------------


def write(world: World, version: Version, signers: list[CryptoSigner]) -> None:
    """Put a version into the bucket without asking `publish`."""
    for document in version.documents.values():
        for signer in signers:
            document.sign(signer, append=True)
    number = version.number
    world.put(f"{TRUST_PREFIX}{number}.targets.json", version.targets.to_bytes())
    world.put(f"{TRUST_PREFIX}{number}.snapshot.json", version.snapshot.to_bytes())
    world.put(f"{TRUST_PREFIX}timestamp.json", version.timestamp.to_bytes())
    world.put(f"{TRUST_PREFIX}{number}.root.json", version.root.to_bytes())


def pointer(world: World) -> SignedPointer:
    from pe_data.channels import read_next

    return read_next(world.store, "us", "data").pointer


def pe_data_verify(world: World, policy: Any, moment: datetime) -> VerifiedPointer:
    from pe_data.pointers import verify

    return verify(pointer(world), policy, country="us", dataset="data", namespace="local", now=moment)


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
    assert "odd" not in policy.keys
    document = world.trust.sign(b"x", POINTER_TYPE, "alice")
    odd_one = replace(document, signatures=(*document.signatures, Signature("odd", "c2ln")))
    with pytest.raises(BelowThresholdError, match="found 1"):
        policy.check(odd_one, NEXT, what="x", now=now())


def test_trust_root_rolled_back_for_a_fresh_client(world: World) -> None:
    """Old timestamp under a new root, and the whole of version 1 against a floor of 2."""
    old = world.store.get("trust/timestamp.json").data
    world.trust.rotate(world.trust.terms)
    world.put("trust/timestamp.json", old)
    with pytest.raises(RollbackError, match="expected timestamp of version 2 or later"):
        world.trust.policy(client="fresh")
    world.store.delete("trust/2.root.json")
    assert world.trust.policy(client="fresher").version == 1  # a machine that knows nothing else believes it
    world.trust.anchor.with_name("floor.json").write_bytes(Floor(2).to_bytes())
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
        trust.policy().check(document, NEXT, what="x", now=now() + timedelta(days=2))


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

        def put_create(self, key: str, data: bytes) -> VersionToken:
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
    with pytest.raises(ChannelConflictError, match="published a version with this number first"):
        publish(world.store, proposal)


def test_a_forged_tombstone_key_is_another_role(world: World) -> None:
    """`next` and `revoke` are different roles, whoever holds them."""
    document = world.trust.sign(b"{}", TOMBSTONE_TYPE)
    with pytest.raises(SignatureError, match="role next-us signs"):
        world.trust.policy().check(document, NEXT, what=tombstone_key("us", "0" * 64), now=now())
