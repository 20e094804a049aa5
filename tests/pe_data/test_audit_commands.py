"""The access log from the command line, in the layout that the docs prescribe, and a gateway that goes on with it."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from audit_world import NOW, World
from click.testing import CliRunner
from gateway_helpers import ask, gateway, give_token, publish_survey
from securesystemslib.signer import CryptoSigner
from storage_helpers import replace
from trust_helpers import Trust, make_trust, variables

from pe_data.cli import app, run
from pe_data.errors import AuditError
from pe_data.names.keys import manifest_key
from pe_data.store.folder import FolderStore
from pe_data.trust.policy import TrustPolicy
from pe_data_gateway.audit.checkpoints import Checkpoint, to_bytes
from pe_data_gateway.audit.records import Head, parse_record
from pe_data_gateway.audit_log import AuditLog


@pytest.fixture
def beside(tmp_path: Path, audit_policy: TrustPolicy, audit_trust: Trust) -> World:
    """With copies in another store."""
    return World(tmp_path, audit_policy, audit_trust.signers["alice"], True)


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
