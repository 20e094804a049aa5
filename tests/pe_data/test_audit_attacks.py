"""Somebody changes the access log, its checkpoints or both, and has no key: what the verifier and the gateway say."""

import json
import shutil
from pathlib import Path

import pytest
from audit_world import NOW, World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner
from storage_helpers import at_time
from trust_helpers import Trust

from pe_data.errors import AuditChainError
from pe_data.names.digests import Sha256
from pe_data.trust.policy import TrustPolicy
from pe_data_gateway.audit.records import Entry, Head, chain, parse_record
from pe_data_gateway.audit.verify import verify_log


@pytest.fixture(params=[False, True], ids=["log in the store", "log beside the store"])
def world(request: pytest.FixtureRequest, tmp_path: Path, audit_policy: TrustPolicy, audit_trust: Trust) -> World:
    return World(tmp_path, audit_policy, audit_trust.signers["alice"], request.param)


@pytest.fixture
def alone(tmp_path: Path, audit_policy: TrustPolicy, audit_trust: Trust) -> World:
    """Without copies in another store."""
    return World(tmp_path, audit_policy, audit_trust.signers["alice"])


@pytest.fixture
def beside(tmp_path: Path, audit_policy: TrustPolicy, audit_trust: Trust) -> World:
    """With copies in another store."""
    return World(tmp_path, audit_policy, audit_trust.signers["alice"], True)


# --- rewritten, stripped, cut, spliced ------------------------------------------------------------


def test_history_written_again_under_the_old_signed_checkpoints(world: World) -> None:
    world.write(5)
    world.write(5)
    world.rewrite(3)
    assert world.verdict(policy=False).problems[0].kind == "rewritten"
    assert world.kinds() == {"forged"}
    assert not world.goes_on()


def test_history_written_again_and_signed_checkpoints_replaced_by_unsigned_ones(world: World) -> None:
    first, second = world.write(5), world.write(5)
    world.rewrite(3)
    world.put_checkpoint(second)
    assert "forged" in world.kinds()
    assert not world.goes_on()
    world.put_checkpoint(first)
    if world.archived:
        assert world.kinds() == {"forged"}, "the copies are signed"
        assert not world.goes_on()
    else:  # all that was signed is gone: not to be told from a log that was never signed, which the docs say
        found = world.verdict()
        assert (found.clean, found.signed, found.is_signed(10**6)) == (True, 0, False)


def test_signatures_taken_off_and_nothing_else(world: World) -> None:
    first, last = world.write(5), world.write(5)
    world.put_checkpoint(last)
    assert world.kinds() == {"forged"}
    assert not world.goes_on()
    world.put_checkpoint(first)
    assert world.goes_on() is not world.archived, "the copies in the store are signed"
    assert world.kinds() == ({"forged"} if world.archived else set())


def test_an_unsigned_checkpoint_after_the_first_signed_one(alone: World) -> None:
    alone.write(3)
    last = alone.write(3, checkpoint=False)
    alone.put_checkpoint(last)
    problems = alone.verdict().problems
    assert [problem.kind for problem in problems] == ["forged"]
    assert "expected a signed checkpoint, as all are since record 4" in problems[0].text
    assert not alone.goes_on()
    between = alone.folder / "000000000002.checkpoint.json"
    alone.checkpoint(last).unlink()
    alone.put_checkpoint(2)
    assert between.exists()
    assert alone.verdict().clean, "from before the first signed one"


def test_the_end_is_cut_off_with_its_checkpoints(world: World) -> None:
    first = world.write(4)
    last = world.write(7)
    world.put_lines(world.lines()[: first + 2])
    world.checkpoint(last).unlink()
    found = world.verdict()
    if world.archived:
        assert world.kinds() == {"truncated"}
        assert not world.goes_on()
    else:
        assert found.clean, "nothing that is left has seen more"
    assert not found.is_signed(), "an old signed checkpoint does not cover the end"
    assert found.is_signed(lag=2) is not world.archived


def test_two_logs_spliced(tmp_path: Path, audit_policy: TrustPolicy, audit_trust: Trust) -> None:
    one = World(tmp_path / "one", audit_policy, audit_trust.signers["alice"])
    other = World(tmp_path / "other", audit_policy, audit_trust.signers["alice"])
    for world in (one, other):
        world.write(5)
        world.write(5)
    lines = [*one.lines()[:6], *other.lines()[6:]]
    one.put_lines(lines)
    assert "rewritten" in one.kinds()
    assert not one.goes_on()
    head, result = Head(), []
    for line in lines:  # and with right hashes
        record = parse_record(line[:-1], what="line")
        again, new = at_time(record.time, chain, record.entry, head)
        head = Head(again.seq, again.hash)
        result.append(new)
    one.put_lines(result)
    assert one.kinds() == {"forged"}
    assert not one.goes_on()
    for path in other.folder.glob("*.checkpoint.json"):
        shutil.copy(path, one.folder / path.name)
    assert one.kinds() == {"forged"}, "the checkpoints of the other log, which were genuine there"


def test_a_restart_over_a_rewritten_log_whose_checkpoints_were_deleted(world: World) -> None:
    last = world.write(8)
    kept = world.checkpoint(last).read_bytes()
    world.rewrite(3)
    world.checkpoint(last).unlink()
    hand_in = {"kept/x.json": kept}
    assert not world.goes_on(kept=hand_in)
    assert "forged" in {
        problem.kind
        for problem in at_time(NOW, verify_log, world.log, "uk", policy=world.policy, kept=hand_in).problems
    }
    if world.archived:
        assert not world.goes_on()
        assert world.kinds() == {"forged"}
    else:  # undetected, as the docs say: nothing that is left knows better
        assert world.goes_on()


def test_the_whole_folder_set_back_to_an_older_copy(beside: World) -> None:
    beside.write(4)
    shutil.copytree(beside.root / "log", beside.root / "old")
    beside.write(4)
    shutil.rmtree(beside.root / "log")
    shutil.copytree(beside.root / "old", beside.root / "log")
    assert beside.kinds() == {"truncated"}
    with pytest.raises(AuditChainError, match=r"expected at least 10 records.*the end of the log is missing"):
        beside.write(1)


def test_a_checkpoint_under_another_number(world: World) -> None:
    first, last = world.write(4), world.write(4)
    for name in (last + 1, 999_999, 2):
        world.checkpoint(last).rename(world.checkpoint(name))
        assert "forged" in world.kinds()
        if name > first:
            assert not world.goes_on()
        world.checkpoint(name).rename(world.checkpoint(last))
    shutil.copy(world.checkpoint(first), world.checkpoint(first + 1))
    assert world.kinds() == {"forged"}
    assert "somebody renamed it" in world.verdict().problems[0].text
    world.checkpoint(first + 1).unlink()
    assert world.verdict().clean


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff", b'{"seq":1,"seq":2}', b"[]", b" " * 70_000])
def test_a_checkpoint_that_is_none(world: World, raw: bytes) -> None:
    last = world.write(4)
    world.checkpoint(last + 1).write_bytes(raw)
    assert world.kinds() == {"forged"}
    assert not world.goes_on()


def test_a_line_without_end_is_an_edited_one(world: World) -> None:
    world.write(3)
    lines = world.lines()
    world.put_lines([*lines[:2], b"x" * 3_000_000 + b"\n", *lines[2:]])
    found = world.verdict()
    assert found.problems[0].kind == "edited"
    assert "found a longer one" in found.problems[0].text
    assert not world.goes_on()


def test_every_late_record_is_told_from_a_second_one(alone: World) -> None:
    alone.write(1, checkpoint=False)
    seconds = [3, 5, 8, 8, 4, 7, 6, 3, 9]
    lines = [at_time(NOW, chain, Entry("manifest", "uk", "r"), Head(seq - 1, Sha256("1" * 64)))[1] for seq in seconds]
    alone.put_lines([*alone.lines(), *lines])
    told = [problem.text for problem in alone.verdict().problems if problem.kind == "reordered"]
    late = {seq: "missing at its place" in text for seq, text in zip([8, 4, 7, 6, 3], told, strict=True)}
    assert late == {8: False, 4: True, 7: True, 6: True, 3: False}


def test_a_file_of_the_log_under_another_number(world: World) -> None:
    world.write(30, rotate_bytes=2000)
    last = sorted(world.folder.glob("*.jsonl"))[-1]
    moved = last.with_name(f"{int(last.stem) + 1:012d}.jsonl")
    last.rename(moved)
    assert world.kinds() == {"reordered"}
    assert not world.goes_on()


def test_the_newline_of_the_last_record_taken_away(world: World) -> None:
    world.write(4, checkpoint=False)
    lines = world.lines()
    world.put_lines([*lines[:-1], lines[-1][:-1]])
    world.write(1)
    assert world.lines()[: len(lines)] == lines, "the record was served, and stays"
    assert b"which was put back" in world.lines()[len(lines)]
    assert list(world.folder.glob("*.torn")) == []
    assert world.verdict().clean


def test_a_checkpoint_by_a_stranger(world: World) -> None:
    world.write(4)
    last = world.write(4, checkpoint=False)
    world.put_checkpoint(last, CryptoSigner.generate_ed25519())
    assert world.kinds() == {"forged"}
    assert not world.goes_on()


def test_a_signed_checkpoint_that_was_changed(world: World) -> None:
    last = world.write(4)
    document = json.loads(world.checkpoint(last).read_bytes())
    signature = document["signatures"][0]["sig"]
    document["signatures"][0]["sig"] = ("B" if signature[0] == "A" else "A") + signature[1:]
    world.checkpoint(last).unlink()
    world.checkpoint(last).write_text(json.dumps(document))
    assert world.kinds() == {"forged"}
    assert not world.goes_on()


# --- whatever is done -----------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("rewrite"), st.integers(1, 12)),
        st.tuples(st.just("cut"), st.integers(1, 12)),
        st.tuples(st.just("delete"), st.integers(0, 3)),
        st.tuples(st.just("strip"), st.integers(0, 3)),
        st.tuples(st.just("rename"), st.integers(0, 3)),
        st.tuples(st.just("forge"), st.integers(1, 12)),
    ),
    max_size=4,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_record_that_a_surviving_signed_checkpoint_covers_is_changed_and_gone_on_with(
    steps: list[tuple[str, int]],
    tmp_path_factory: pytest.TempPathFactory,
    audit_policy: TrustPolicy,
    audit_trust: Trust,
) -> None:
    """And what the gateway goes on with has no fault that the verifier sees at its end."""
    world = World(tmp_path_factory.mktemp("world"), audit_policy, audit_trust.signers["alice"])
    world.write(3, signed=False)
    world.write(3)
    world.write(3)
    genuine = world.lines()
    signed = {path.read_bytes(): int(path.name[:12]) for path in list(world.folder.glob("*.checkpoint.json"))[:]}
    for kind, number in steps:
        harm(world, kind, number)
    surviving = [path for path in world.folder.glob("*.checkpoint.json") if b"payloadType" in path.read_bytes()]
    covered = max((signed.get(path.read_bytes(), 0) for path in surviving), default=0)
    before = world.verdict()
    went_on = world.goes_on()
    if went_on:
        assert world.lines()[:covered] == genuine[:covered]
    if before.clean:
        assert went_on
        assert before.covered_signed == covered


def harm(world: World, kind: str, number: int) -> None:
    lines = world.lines()
    names = sorted(world.folder.glob("*.checkpoint.json"))
    if kind == "rewrite":
        world.rewrite(min(number, len(lines)))
    elif kind == "cut":
        world.put_lines(lines[:number])
    elif kind == "forge":
        world.put_checkpoint(min(number, len(lines)), CryptoSigner.generate_ed25519())
    elif names:
        path = names[number % len(names)]
        seq = int(path.name[:12])
        if kind == "delete":
            path.unlink()
        elif kind == "strip" and seq <= len(lines):
            world.put_checkpoint(seq)
        elif kind == "rename":
            path.replace(world.checkpoint(seq + 1))
