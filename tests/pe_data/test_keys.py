"""Signing keys: made, kept, found, opened, and refused when something is off."""

import stat
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from securesystemslib.signer import CryptoSigner
from trust_helpers import variables

from pe_data.cli import run
from pe_data.documents.envelope import POINTER_TYPE, sign
from pe_data.errors import ConfigError, InputError, InvalidDocumentError, MissingExtraError
from pe_data.trust.keys import describe_key, find_public, list_keys, load_signer, new_key

PASSPHRASE = "correct horse"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are kept in the folder of the test."""
    monkeypatch.setenv("PE_DATA_KEYS", str(tmp_path))


def say(_: str) -> str:
    return PASSPHRASE


def test_a_key_signs_under_the_id_of_its_public_part(tmp_path: Path) -> None:
    public = new_key("alice", PASSPHRASE)
    signer = load_signer("alice", say)
    assert signer.public_key.keyid == public.key_id == find_public("alice").key_id
    assert sign(b"x", POINTER_TYPE, [signer]).signatures[0].key_id == public.key_id
    assert [one.name for one in list_keys()] == ["alice"]
    assert load_signer(str(tmp_path / "alice.key"), say).public_key == signer.public_key
    signer.public_key.verify_signature(signer.sign(b"data"), b"data")


def test_the_private_part_is_encrypted_and_its_owners_alone(tmp_path: Path) -> None:
    new_key("alice", PASSPHRASE)
    private = tmp_path / "alice.key"
    assert b"ENCRYPTED PRIVATE KEY" in private.read_bytes()
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    private.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_signer("alice", say)


def test_what_can_be_wrong_with_a_key(tmp_path: Path) -> None:
    new_key("alice", PASSPHRASE)
    with pytest.raises(InputError, match="wrong passphrase"):
        load_signer("alice", lambda _: "another one")
    with pytest.raises(InputError, match="nobody to ask"):
        load_signer("alice", None)
    with pytest.raises(InputError, match="found a key that is there already"):
        new_key("alice", PASSPHRASE)
    with pytest.raises(InputError, match="at least 8 characters"):
        new_key("bob", "short")
    for name in ("../bob", "", ".bob", "a/b"):
        with pytest.raises(InputError, match="plain name"):
            new_key(name, PASSPHRASE)
    with pytest.raises(InputError, match="found alice there"):
        load_signer("carol", say)
    new_key("bob", PASSPHRASE)
    (tmp_path / "alice.pub").write_bytes((tmp_path / "bob.pub").read_bytes())
    with pytest.raises(InputError, match=r"does not belong to the \.pub file"):
        load_signer("alice", say)
    (tmp_path / "bob.key").unlink()
    with pytest.raises(InputError, match="only its public part"):
        load_signer("bob", say)
    (tmp_path / "bob.pub").write_text('{"key_id": "x", "key": {"keytype": "ed25519"}}')
    with pytest.raises(InvalidDocumentError, match="expected a public key"):
        find_public("bob").load()


def test_a_key_from_the_environment(tmp_path: Path) -> None:
    signer = CryptoSigner.generate_ed25519()
    with variables({"ROBOT_KEY": signer.private_bytes.decode()}):
        assert load_signer("env:ROBOT_KEY").public_key == signer.public_key
    with pytest.raises(InputError, match="found nothing"):
        load_signer("env:ROBOT_KEY_THAT_IS_NOT_SET")
    another = generate_private_key(SECP256R1())
    pem = another.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with variables({"ROBOT_KEY": pem}), pytest.raises(InputError, match="expected an ed25519 key"):
        load_signer("env:ROBOT_KEY")


def test_a_key_that_is_held_elsewhere_is_passed_on(tmp_path: Path) -> None:
    """`file2:` is one of securesystemslib's own addresses; the cloud's are handed on alike."""
    signer = CryptoSigner.generate_ed25519()
    held = tmp_path / "held.pem"
    held.write_bytes(signer.private_bytes)
    public = signer._private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    described = describe_key("robot", public, f"file2:{held}")
    loaded = load_signer("robot")
    assert loaded.public_key.keyid == described.key_id == signer.public_key.keyid
    loaded.public_key.verify_signature(loaded.sign(b"data"), b"data")
    with pytest.raises(InputError, match=r"expected an address beginning with one of .*gcpkms"):
        describe_key("other", public, "nowhere:x")
    with pytest.raises(InputError, match="expected a public key in PEM"):
        describe_key("other", b"no pem", f"file2:{held}")
    held.unlink()
    with pytest.raises(InputError, match="the signer cannot be used"):
        load_signer("robot")


def test_key_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with variables({"PE_DATA_KEYS": str(tmp_path), "PE_DATA_KEY_PASSPHRASE": PASSPHRASE}):
        assert run(["key", "new", "alice", "bob"]) == 0
        assert run(["key", "list"]) == 0
        out = capsys.readouterr().out
        assert "alice" in out
        assert "bob" in out
        assert PASSPHRASE not in out
        assert run(["key", "new", "alice"]) == 1
        assert run(["key", "new", "carol", "--signer", "gcpkms:x"]) == 2
        assert "belong together" in capsys.readouterr().err
    assert not any(PASSPHRASE in path.read_text() for path in tmp_path.iterdir())


@pytest.mark.parametrize("package", ["securesystemslib", "cryptography", "tuf"])
def test_without_the_extra_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    names = {"securesystemslib": "securesystemslib.signer", "tuf": "tuf.api.metadata"}
    monkeypatch.setitem(sys.modules, names.get(package, package), None)
    with pytest.raises(MissingExtraError, match=rf"the package {package}: install the extra 'trust' of pe-microdata"):
        new_key("alice", PASSPHRASE)


def test_a_passphrase_on_the_command_line_is_no_option(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["key", "new"], ["sign"], ["promote"], ["root", "init"], ["root", "rotate"]):
        assert run([*command, "--help"]) == 0
        text = capsys.readouterr().out
        assert "Usage: pe-data" in text
        assert "--pass" not in text
