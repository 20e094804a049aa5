"""Attacks on pointers and their signatures: somebody who can write to the bucket tries each."""

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from datetime import timedelta
from pathlib import Path

import pytest
from attack_world import KEY, NEXT, World, now, open_world, pointer, verify_at, write
from securesystemslib.signer import CryptoSigner
from storage_helpers import at_time, replace
from trust_helpers import publish_validated

from pe_data.documents.envelope import POINTER_TYPE, TOMBSTONE_TYPE, SignedDocument, sign
from pe_data.documents.pointer import PointerBody, SignedPointer
from pe_data.errors import (
    BelowThresholdError,
    ConflictError,
    ExpiredError,
    InputError,
    InvalidDocumentError,
    ObjectNotFoundError,
    PointerMismatchError,
    RollbackError,
    SignatureError,
    StoreUnavailableError,
    TrustRootError,
)
from pe_data.names.digests import canonical_json
from pe_data.names.keys import channel_key
from pe_data.read.nominations import floor_of
from pe_data.store.base import Content, VersionToken
from pe_data.store.folder import FolderStore
from pe_data.trust.anchor import Floor
from pe_data.trust.root import build
from pe_data.write.nominate import nominate


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as world:
        yield world


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
    with pytest.raises(SignatureError, match="does not fit the document"):
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
    with pytest.raises(SignatureError):
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
        world.trust.policy().check(twice, NEXT, what="x")
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
    both = replace(authority, keys={alice.public_key.keyid: alice.public_key, "alice-too": shadow})
    forged = replace(policy, authorities={**policy.authorities, "next-us": both})
    document = sign(world.propose(), POINTER_TYPE, [alice])
    again = replace(document.signatures[0], key_id="alice-too")
    with pytest.raises(BelowThresholdError, match="found 1"):
        forged.check(replace(document, signatures=(*document.signatures, again)), NEXT, what="x")


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
    with pytest.raises(BelowThresholdError, match="which the role does not have"):
        world.ensure()


def test_unknown_key_that_takes_a_known_id(world: World) -> None:
    stranger = CryptoSigner.generate_ed25519(world.trust.signers["alice"].public_key.keyid)
    document = sign(world.propose(), POINTER_TYPE, [stranger, world.trust.signers["bob"]])
    world.put(KEY, document.to_bytes())
    with pytest.raises(SignatureError):
        world.ensure()


def test_expired_pointer(world: World) -> None:
    long_ago = now() - timedelta(days=40)
    at_time(long_ago, world.nominate, lifetime=timedelta(days=30))
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
    with pytest.raises(RollbackError, match="expected version 2 or later"):
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
    with pytest.raises(RollbackError, match="expected version 2 or later, as shipped"):
        world.ensure(client="fresh")


def test_two_pointers_of_one_version(world: World) -> None:
    world.nominate()
    world.ensure()
    body = replace(
        PointerBody.from_bytes(SignedPointer.claimed(pointer(world)).to_bytes(), "x"), publication_id="1" * 32
    )
    world.put(KEY, world.trust.sign(body.to_bytes(), POINTER_TYPE).to_bytes())
    with pytest.raises(RollbackError, match="expected one pointer of version 1"):
        world.ensure()


def test_clock_skew_of_the_signer(world: World) -> None:
    at_time(now() + timedelta(minutes=5), world.nominate)
    assert world.ensure().read_bytes() == b"data"
    at_time(now() + timedelta(hours=2), world.nominate)
    with pytest.raises(ExpiredError, match="one of the two clocks is wrong"):
        world.ensure()


def test_clock_skew_of_the_reader(world: World) -> None:
    """A clock that runs ahead refuses what has not ended; the message says to look at the clock."""
    world.nominate(lifetime=timedelta(days=30))
    policy = world.trust.policy()
    for days, expected in ((31, "set this machine's clock"), (400, "the trust root .* ended on")):
        with pytest.raises(ExpiredError, match=expected):
            verify_at(world, policy, now() + timedelta(days=days))
    with pytest.raises(ExpiredError, match="one of the two clocks is wrong"):
        verify_at(world, policy, now() - timedelta(days=1))


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
    with pytest.raises(BelowThresholdError):
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
        except ConflictError as error:
            return str(error)

    with ThreadPoolExecutor(len(documents)) as pool:
        outcomes = list(pool.map(write_one, documents))
    assert sum("another writer was first" in outcome for outcome in outcomes) == 3
    assert pointer(world).sha256 in outcomes


def test_a_proposal_that_the_channel_has_left_behind(world: World) -> None:
    stale = world.trust.sign(world.propose(), POINTER_TYPE)
    world.nominate()
    with pytest.raises(ConflictError, match="expected to write version 1, found version 1"):
        nominate(world.store, stale, world.trust.policy())


def test_lost_reply_of_a_nomination(world: World) -> None:
    class Forgetful(FolderStore):
        """Writes pointers and loses the reply."""

        def put_create(self, key: str, data: Content) -> VersionToken:
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

    from pe_data.write.publish import publish_artifact

    item = make_item(world.folder, "bare", b"bare", dataset="bare")
    publish_artifact(world.store, item)
    with pytest.raises(InputError, match="expected a validation record that passed, found none"):
        world.propose("bare")
    for status in ("failed", "skipped"):
        failed = replace(VALIDATION, status=status)
        item = make_item(world.folder, status, status.encode(), dataset=status)
        publish_artifact(world.store, replace(item, manifest=item.manifest.validated(failed)))
        with pytest.raises(InputError, match=f"found validation {status}"):
            world.propose(status)
