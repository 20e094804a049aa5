"""Somebody changes the access log, its checkpoints or both, and has no key: what the verifier and the gateway say."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from gateway_helpers import ask, gateway, give_token, publish_survey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner
from storage_helpers import replace
from trust_helpers import Trust, make_trust, variables

from pe_data.cli import app, run
from pe_data.errors import AuditChainError, AuditError
from pe_data.names.digests import Sha256
from pe_data.names.keys import manifest_key
from pe_data.store.folder import FolderStore
from pe_data.trust.policy import TrustPolicy
from pe_data.trust.root import Holders
from pe_data_gateway.audit.checkpoints import Checkpoint, to_bytes
from pe_data_gateway.audit.records import Entry, Head, chain, parse_record
from pe_data_gateway.audit.segments import checkpoint_keys, read_checkpoints
from pe_data_gateway.audit.verify import Verdict, verify_log
from pe_data_gateway.audit_log import AuditLog
from pe_data_gateway.audit_recovery import Evidence
from pe_data_gateway.checkpointer import Checkpointer, check_signers

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    """A root in a store of its own, in which alice and bob each may sign checkpoints."""
    folder = tmp_path_factory.mktemp("trust")
    return make_trust(FolderStore(folder / "store"), folder, {"audit-uk": 1})


@pytest.fixture(scope="module")
def policy(trust: Trust) -> TrustPolicy:
    return trust.policy()


@dataclass
class World:
    """A log, perhaps with a store that has copies, and a gateway that can be started again and again."""

    root: Path
    policy: TrustPolicy | None
    signer: CryptoSigner
    archived: bool = False

    @property
    def folder(self) -> Path:
        return self.root / "log/audit/uk"

    @property
    def log(self) -> FolderStore:
        return FolderStore(self.root / "log")

    @property
    def archive(self) -> FolderStore | None:
        return FolderStore(self.root / "archive") if self.archived else None

    def evidence(self, signed: bool, **more: object) -> Evidence:
        return Evidence(self.policy, self.archive, signs=signed, **more)  # type: ignore[arg-type]

    def write(self, count: int, *, signed: bool = True, checkpoint: bool = True, **more: object) -> int:
        """Start a gateway, release `count` manifests, stop it; where the chain stands."""
        rotate = int(str(more.pop("rotate_bytes", 10**6)))
        log = AuditLog(self.root / "log", "uk", rotate_bytes=rotate, evidence=self.evidence(signed, **more))
        try:
            for number in range(count):
                artifact = Sha256(f"{number:064x}")
                log.append(Entry("manifest", "uk", f"r{number}", user="ada", artifact=artifact)).result(30)
            if checkpoint:
                signers = [self.signer] if signed else []
                Checkpointer({"uk": log}, signers=signers, archive=self.archive).write_all()
        finally:
            log.close()
        return log.head.seq

    def verdict(self, *, policy: bool = True) -> Verdict:
        archive = self.archive
        copies = read_checkpoints(archive, checkpoint_keys(archive, "uk")) if archive else None
        return verify_log(self.log, "uk", policy=self.policy if policy else None, copies=copies, now=NOW)

    def kinds(self) -> set[str]:
        return {problem.kind for problem in self.verdict().problems}

    def lines(self) -> list[bytes]:
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("*.jsonl"))).splitlines(keepends=True)

    def put_lines(self, lines: Sequence[bytes]) -> None:
        (only,) = self.folder.glob("*.jsonl")
        only.write_bytes(b"".join(lines))

    def checkpoint(self, seq: int) -> Path:
        return self.folder / f"{seq:012d}.checkpoint.json"

    def put_checkpoint(self, seq: int, *signers: CryptoSigner) -> None:
        """As of the log that lies there now."""
        record = parse_record(self.lines()[seq - 1][:-1], what="line")
        self.checkpoint(seq).unlink(missing_ok=True)
        self.checkpoint(seq).write_bytes(to_bytes(Checkpoint("uk", Head(seq, record.hash), NOW), signers))

    def rewrite(self, at: int, user: str = "eve") -> None:
        """All of the log again, with right hashes and another user in one record."""
        head, result = Head(), []
        for line in self.lines():
            record = parse_record(line[:-1], what="line")
            changed = replace(record.entry, user=user) if record.seq == at else record.entry
            again, new = chain(changed, head, record.time)
            head = Head(again.seq, again.hash)
            result.append(new)
        self.put_lines(result)

    def goes_on(self, *, signed: bool = True, **more: object) -> bool:
        try:
            self.write(0, signed=signed, checkpoint=False, **more)
        except AuditChainError as error:
            return "Nothing is served" not in str(error)
        return True


@pytest.fixture(params=[False, True], ids=["log in the store", "log beside the store"])
def world(request: pytest.FixtureRequest, tmp_path: Path, policy: TrustPolicy, trust: Trust) -> World:
    return World(tmp_path, policy, trust.signers["alice"], request.param)


@pytest.fixture
def alone(tmp_path: Path, policy: TrustPolicy, trust: Trust) -> World:
    """Without copies in another store."""
    return World(tmp_path, policy, trust.signers["alice"])


@pytest.fixture
def beside(tmp_path: Path, policy: TrustPolicy, trust: Trust) -> World:
    """With copies in another store."""
    return World(tmp_path, policy, trust.signers["alice"], True)


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


def test_a_signed_log_does_not_go_on_unsigned(world: World) -> None:
    world.write(3)
    with pytest.raises(AuditError, match=r"expected a key to sign checkpoints with.*--signer"):
        world.write(1, signed=False)
    with pytest.raises(AuditError, match="expected a key to sign checkpoints with"):
        replace(world, policy=None).write(1, signed=False)


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


def test_records_after_the_last_signed_checkpoint(world: World) -> None:
    world.write(4)
    world.write(3, checkpoint=False)
    found = world.verdict()
    assert found.clean
    assert [found.is_signed(lag) for lag in (0, 3, 4)] == [False, False, True]


def test_two_logs_spliced(tmp_path: Path, policy: TrustPolicy, trust: Trust) -> None:
    one = World(tmp_path / "one", policy, trust.signers["alice"])
    other = World(tmp_path / "other", policy, trust.signers["alice"])
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
        again, new = chain(record.entry, head, record.time)
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
        problem.kind for problem in verify_log(world.log, "uk", policy=world.policy, kept=hand_in, now=NOW).problems
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
    lines = [chain(Entry("manifest", "uk", "r"), Head(seq - 1, Sha256("1" * 64)), NOW)[1] for seq in seconds]
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


# --- keys -----------------------------------------------------------------------------------------


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


def test_a_key_without_the_role_is_refused_before_it_signs(policy: TrustPolicy, trust: Trust) -> None:
    check_signers(policy, "uk", [trust.signers["bob"]], now=NOW)
    check_signers(policy, "zz", [], now=NOW)
    check_signers(None, "uk", [CryptoSigner.generate_ed25519()], now=NOW)
    with pytest.raises(AuditError, match=r"expected 1 key\(s\) of role audit-uk.*would count as forged"):
        check_signers(policy, "uk", [CryptoSigner.generate_ed25519()], now=NOW)


def test_one_key_where_the_role_takes_two(tmp_path: Path) -> None:
    trust = make_trust(FolderStore(tmp_path / "store"), tmp_path, {"audit-uk": 2})
    alice, bob = trust.signers["alice"], trust.signers["bob"]
    check_signers(trust.policy(), "uk", [alice, bob], now=NOW)
    with pytest.raises(AuditError, match="found 1 among"):
        check_signers(trust.policy(), "uk", [alice, alice], now=NOW)


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
    steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory, policy: TrustPolicy, trust: Trust
) -> None:
    """And what the gateway goes on with has no fault that the verifier sees at its end."""
    world = World(tmp_path_factory.mktemp("world"), policy, trust.signers["alice"])
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


# --- from the command line, in the layout that the docs prescribe ---------------------------------


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Path]:
    """A store with a trust root, a log beside it, and a configuration that names the store."""
    store = FolderStore(tmp_path / "store")
    trust = make_trust(store, tmp_path, {"audit-uk": 1})
    for name, value in {**trust.environment, "PE_DATA_CONFIG": str(tmp_path / "config.toml")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PE_DATA_STORE", raising=False)
    world = World(tmp_path, trust.policy(), trust.signers["alice"])
    world.write(5)
    (tmp_path / "config.toml").write_text(f'[stores.uk]\nurl = "{store.url}"\n')
    return {"store": store.root, "log": tmp_path / "log", "config": tmp_path / "config.toml"}


def verify(*arguments: object) -> int:
    return run(["audit", "verify", "uk", *map(str, arguments)])


def test_the_trust_root_is_looked_for_in_the_store_of_the_country(
    served: Mapping[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = served["log"]
    assert verify("--log", log, "--require-signed") == 0
    assert "1 signed, 0 other (signatures checked)" in capsys.readouterr().out
    assert verify("--log", shutil.copytree(log, tmp_path / "copy")) == 0
    served["config"].unlink()
    assert verify("--log", log, "--store", served["store"], "--require-signed") == 0
    capsys.readouterr()
    assert verify("--log", log) == 2, "without a store nobody can tell, which is no tampering"
    said = capsys.readouterr()
    assert "cannot tell" in said.err
    assert "--store" in said.err
    assert "intact: 6 records" in said.out


def test_nothing_to_look_at_is_exit_code_2(served: Mapping[str, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for where in (tmp_path / "empty", tmp_path / "absent"):
        assert verify("--log", where) == 2
        assert run(["audit", "report", "--country", "uk", "--log", str(where)]) == 2
        assert run(["audit", "export", "--country", "uk", "--to", "csv", "--log", str(where)]) == 2


def test_a_broken_log_is_exit_code_1_even_if_signatures_cannot_be_checked(
    served: Mapping[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = next((served["log"] / "audit/uk").glob("*.jsonl"))
    path.write_bytes(path.read_bytes().replace(b'"ada"', b'"eve"', 1))
    assert verify("--log", served["log"]) == 1
    shutil.rmtree(served["store"] / "trust")
    assert verify("--log", served["log"]) == 1
    assert "edited" in capsys.readouterr().out


def test_report_and_export_use_the_trust_root(
    served: Mapping[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = ["audit", "report", "--country", "uk", "--log", str(served["log"])]
    export = ["audit", "export", "--country", "uk", "--to", "csv", "--log", str(served["log"])]
    assert run(report) == run(export) == 0
    world = World(tmp_path, None, CryptoSigner.generate_ed25519())
    world.put_checkpoint(6, world.signer)
    capsys.readouterr()
    for command in (report, export):
        assert run(command) == 1
        said = capsys.readouterr()
        assert "ada" in said.out
        assert "the log is not intact" in said.err
    shutil.rmtree(served["store"] / "trust")
    assert run(report) == 2
    assert "cannot tell" in capsys.readouterr().err


def test_require_signed_says_what_is_missing(served: Mapping[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    world = World(served["log"].parent, None, CryptoSigner.generate_ed25519())
    with pytest.raises(AuditError):
        world.write(1, signed=False)
    log = AuditLog(served["log"], "uk")
    log.close()
    required = ["--log", served["log"], "--require-signed"]
    assert verify(*required) == 1
    assert "the newest 1 record(s) have no signed checkpoint after them" in capsys.readouterr().out
    assert verify(*required, "--lag", "1") == 0
    assert verify("--log", served["log"]) == 0


def test_the_copies_in_the_store_are_compared(served: Mapping[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    world = World(served["log"].parent, None, CryptoSigner.generate_ed25519())
    (served["store"] / "audit/uk").mkdir(parents=True)
    head = parse_record(world.lines()[5][:-1], what="line").hash
    copy = to_bytes(Checkpoint("uk", Head(9, head), NOW))
    (served["store"] / "audit/uk/000000000009.checkpoint.json").write_bytes(copy)
    assert verify("--log", served["log"]) == 1
    assert "expected a signed checkpoint" in capsys.readouterr().out


# --- a gateway as a process -----------------------------------------------------------------------


def test_a_gateway_refuses_a_second_log_and_a_rewritten_one(beside: World) -> None:
    tokens, archive = beside.root / "tokens.json", beside.archive
    assert archive is not None
    world = replace(beside, policy=None)
    last = world.write(3, signed=False)
    digest = publish_survey(archive, world.root / "files").artifact_sha256
    token = give_token(tokens, "ada@example.org")
    command = ["serve", "--store", archive.url, "--tokens", str(tokens), "--port", "0"]
    second = CliRunner().invoke(app, [*command, "--log", str(world.root / "other")])
    assert "A second log beside it" in str(second.exception)
    world.rewrite(2)
    world.checkpoint(last).unlink()
    rewritten = CliRunner().invoke(app, [*command, "--log", str(world.root / "log")])
    assert "Nothing is served" in str(rewritten.exception)
    with gateway(archive.url, tokens, "--log", str(world.root / "other"), "--new-log") as running:
        assert ask(running.port, f"/objects/{manifest_key('uk', digest)}", token).status == 200
        assert "serving" in running.output


def test_checkpoints_are_handed_in_for_their_country(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    give_token(tmp_path / "tokens.json", "ada@example.org")
    world = World(tmp_path, None, CryptoSigner.generate_ed25519())
    kept = world.checkpoint(world.write(3, signed=False))
    command = ["serve", "--store", store.url, "--tokens", str(tmp_path / "tokens.json"), "--port", "0"]
    command += ["--checkpoint", str(shutil.copy(kept, tmp_path / "kept.json"))]
    missing = CliRunner().invoke(app, [*command, "--log", str(tmp_path / "other")])
    assert "the end of the log is missing" in str(missing.exception)
    elsewhere = CliRunner().invoke(app, [*command, "--country", "zz"])
    assert "expected a checkpoint of zz, found one of 'uk'" in str(elsewhere.exception)
    options = ["--country", "uk", "--country", "zz", "--log", str(tmp_path / "log")]
    with gateway(store.url, tmp_path / "tokens.json", *options, *command[-2:]) as running:
        assert ask(running.port, "/health").status == 200


def test_a_gateway_with_a_trust_root_takes_no_other_key(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    trust = make_trust(store, tmp_path, {"audit-uk": 1})
    give_token(tmp_path / "tokens.json", "ada@example.org")
    keys = {"PE_DATA_KEYS": str(tmp_path / "keys"), "PE_DATA_KEY_PASSPHRASE": "correct horse"}
    with variables({**trust.environment, **keys}):
        assert CliRunner().invoke(app, ["key", "new", "stranger"]).exit_code == 0
        command = ["serve", "--store", store.url, "--tokens", str(tmp_path / "tokens.json"), "--port", "0"]
        refused = CliRunner().invoke(app, [*command, "--signer", "stranger"])
        assert "expected 1 key(s) of role audit-uk" in str(refused.exception)
    assert not (store.root / "audit").exists()
