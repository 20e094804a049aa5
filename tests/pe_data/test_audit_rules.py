"""The access log and its checkpoints as their owners use them: signed and not, keys replaced, begun anew."""

import shutil
from pathlib import Path

import pytest
from audit_world import NOW, World
from securesystemslib.signer import CryptoSigner
from storage_helpers import at_time, replace
from trust_helpers import Trust, make_trust

from pe_data.errors import AuditChainError, AuditError
from pe_data.store.folder import FolderStore
from pe_data.trust.policy import Holders, TrustPolicy
from pe_data_gateway.audit.records import parse_record
from pe_data_gateway.checkpointer import check_signers


@pytest.fixture(params=[False, True], ids=["log in the store", "log beside the store"])
def world(request: pytest.FixtureRequest, tmp_path: Path, audit_policy: TrustPolicy, audit_trust: Trust) -> World:
    return World(tmp_path, audit_policy, audit_trust.signers["alice"], request.param)


@pytest.fixture
def beside(tmp_path: Path, audit_policy: TrustPolicy, audit_trust: Trust) -> World:
    """With copies in another store."""
    return World(tmp_path, audit_policy, audit_trust.signers["alice"], True)


# --- logs that nobody touched ---------------------------------------------------------------------


def test_a_log_that_starts_unsigned_and_goes_on_signed(world: World) -> None:
    world.write(3, signed=False)
    found = world.verdict()
    assert (found.clean, found.signed, found.unsigned, found.is_signed()) == (
        True,
        0,
        2 if world.archived else 1,
        False,
    )
    world.write(3, signed=True)
    world.write(2, signed=True)
    found = world.verdict()
    assert (found.clean, found.covered_signed, found.is_signed()) == (True, found.head.seq, True)
    assert world.goes_on()


def test_a_log_across_files_is_followed_from_its_last_signed_checkpoint(world: World) -> None:
    world.write(30, rotate_bytes=2000)
    world.write(30, rotate_bytes=2000, checkpoint=False)
    assert len(list(world.folder.glob("*.jsonl"))) > 4
    assert world.verdict().clean
    assert world.goes_on()
    before = sorted(world.folder.glob("*.jsonl"))[-3]
    raw = before.read_bytes()
    before.write_bytes(raw.replace(b'"user":"ada"', b'"user":"eve"', 1))
    assert not world.goes_on(), "not the last file, but after the last checkpoint"
    before.write_bytes(raw)
    assert world.goes_on()


def test_old_files_that_were_moved_away_are_not_missed(world: World) -> None:
    world.write(30, rotate_bytes=2000)
    world.write(3, rotate_bytes=2000)
    for path in sorted(world.folder.glob("*.jsonl"))[:-2]:
        path.unlink()
    assert world.goes_on()
    for path in sorted(world.folder.glob("*.checkpoint.json")):
        path.unlink()
    if not world.archived:
        assert world.goes_on(), "the last file follows the one before it; nothing else is known"


def test_a_signed_log_does_not_go_on_unsigned(world: World) -> None:
    world.write(3)
    with pytest.raises(AuditError, match=r"expected a key to sign checkpoints with.*--signer"):
        world.write(1, signed=False)
    with pytest.raises(AuditError, match="expected a key to sign checkpoints with"):
        replace(world, policy=None).write(1, signed=False)


def test_records_after_the_last_signed_checkpoint(world: World) -> None:
    world.write(4)
    world.write(3, checkpoint=False)
    found = world.verdict()
    assert found.clean
    assert [found.is_signed(lag) for lag in (0, 3, 4)] == [False, False, True]


# --- keys -----------------------------------------------------------------------------------------


def test_the_key_of_the_role_is_replaced(tmp_path: Path) -> None:
    trust = make_trust(FolderStore(tmp_path / "trust-store"), tmp_path, {"audit-uk": 1})
    keys = {name: signer.public_key.keyid for name, signer in trust.signers.items()}

    def give(*names: str) -> None:
        held = trust.terms.roles["audit-uk"]
        holders = Holders({keys[name]: trust.signers[name].public_key for name in names}, 1, held.expires)
        trust.rotate(replace(trust.terms, roles={**trust.terms.roles, "audit-uk": holders}))

    give("alice")
    world = World(tmp_path, trust.policy(), trust.signers["alice"], True)
    first = world.write(4)
    copy = world.checkpoint(first).read_bytes()
    give("bob")
    world = replace(world, policy=trust.policy(), signer=trust.signers["bob"])
    assert world.kinds() == {"forged"}, "nobody who may has signed it"
    with pytest.raises(AuditChainError, match=r"If that key was replaced in the trust root.*--checkpoint"):
        world.write(1)
    world.write(3, kept={"kept.json": copy})
    found = world.verdict()
    assert (found.clean, found.is_signed()) == (True, True), "said again by the new key"
    assert found.unsigned == 2, "the old one and its copy"
    assert world.goes_on()
    world.rewrite(2)
    assert "forged" in world.kinds()


def test_a_key_without_the_role_is_refused_before_it_signs(audit_policy: TrustPolicy, audit_trust: Trust) -> None:
    at_time(NOW, check_signers, audit_policy, "uk", [audit_trust.signers["bob"]])
    at_time(NOW, check_signers, audit_policy, "zz", [])
    at_time(NOW, check_signers, None, "uk", [CryptoSigner.generate_ed25519()])
    with pytest.raises(AuditError, match=r"expected 1 key\(s\) of role audit-uk.*would count as forged"):
        at_time(NOW, check_signers, audit_policy, "uk", [CryptoSigner.generate_ed25519()])


def test_one_key_where_the_role_takes_two(tmp_path: Path) -> None:
    trust = make_trust(FolderStore(tmp_path / "store"), tmp_path, {"audit-uk": 2})
    alice, bob = trust.signers["alice"], trust.signers["bob"]
    at_time(NOW, check_signers, trust.policy(), "uk", [alice, bob])
    with pytest.raises(AuditError, match="found 1 among"):
        at_time(NOW, check_signers, trust.policy(), "uk", [alice, alice])


def test_a_root_without_the_role_binds_nothing(tmp_path: Path) -> None:
    trust = make_trust(FolderStore(tmp_path / "store"), tmp_path, {"audit-zz": 1})
    world = World(tmp_path, trust.policy(), trust.signers["alice"])
    world.write(3)
    found = world.verdict()
    assert (found.clean, found.binding, found.signed, found.unsigned) == (True, False, 0, 1)
    assert not found.is_signed()
    world.rewrite(2)
    assert world.kinds() == {"rewritten"}
    assert not world.goes_on()


# --- a second log ---------------------------------------------------------------------------------


def test_a_second_log_beside_the_first_is_refused_unless_meant(beside: World) -> None:
    last = beside.write(4)
    (beside.root / "log").rename(beside.root / "lost")
    with pytest.raises(AuditChainError, match=r"has copies of .*found an empty folder.*--new-log"):
        beside.write(1)
    assert beside.write(3, new=True) == last + 4
    first = parse_record(beside.lines()[0][:-1], what="line")
    assert first.seq == last + 1
    assert first.entry.note.startswith(f"begun anew after record {last}")
    assert beside.write(1) == last + 6, "and goes on as any log"
    with pytest.raises(AuditError, match="expected an empty folder for a new log"):
        beside.write(1, new=True)
    assert beside.kinds() == {"dropped"}, "what was lost is missing, and nothing looks forged"
    lost = beside.root / "lost/audit/uk"
    shutil.copy(lost / "000000000001.jsonl", beside.folder)
    assert beside.verdict().clean, "with the lost file it is one chain"


def test_finished_files_alone_are_a_log_too(beside: World) -> None:
    beside.write(30, rotate_bytes=2000)
    (beside.root / "log").rename(beside.root / "lost")
    archive = beside.root / "archive/audit/uk"
    for path in archive.glob("*.checkpoint.json"):
        path.unlink()
    with pytest.raises(AuditChainError, match="found an empty folder"):
        beside.write(1)
    finished = sorted(archive.glob("*.jsonl"))[-1].read_bytes().splitlines()
    assert beside.write(0, new=True) == parse_record(finished[-1], what="line").seq + 1


def test_a_new_log_in_a_new_store_is_nothing_special(beside: World) -> None:
    assert beside.write(1, new=True) == 2
