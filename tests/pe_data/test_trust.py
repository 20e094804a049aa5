"""Envelopes, roles and the walk from an anchor to a policy."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from securesystemslib.dsse import Envelope
from storage_helpers import at_time
from trust_helpers import make_trust, publish_validated, variables

from pe_data.documents.envelope import POINTER_TYPE, TOMBSTONE_TYPE, SignedDocument, add_signature, parse_envelope
from pe_data.errors import (
    BelowThresholdError,
    ExpiredError,
    InvalidDocumentError,
    SignatureError,
    TrustRootError,
)
from pe_data.store.folder import FolderStore
from pe_data.trust.opening import open_policy
from pe_data.trust.policy import Role

NEXT = Role("next", "us")


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def now() -> datetime:
    return datetime.now(UTC)


def test_an_envelope_survives_writing_and_is_what_the_library_reads(store: FolderStore, tmp_path: Path) -> None:
    trust = make_trust(store, tmp_path)
    document = trust.sign(b'{"a":1}', POINTER_TYPE)
    raw = document.to_bytes()
    assert parse_envelope(raw, payload_type=POINTER_TYPE, what="x") == document
    foreign = Envelope.from_dict(json.loads(raw))
    keys = [signer.public_key for signer in trust.signers.values()]
    assert len(foreign.verify(keys, 2)) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d | {"payloadType": TOMBSTONE_TYPE}, "payloadType"),
        (lambda d: d | {"payload": "eyJ9*"}, "base64"),
        (lambda d: d | {"payload": "eyJhIjoxfR=="}, "base64"),
        (lambda d: d | {"signatures": []}, "1 to 32 signatures"),
        (lambda d: d | {"signatures": d["signatures"] * 2}, "two of key"),
        (lambda d: d | {"signatures": [{"keyid": "k" * 300, "sig": "AAAA"}]}, "at most 256"),
        (lambda d: {key: value for key, value in d.items() if key != "payload"}, "payload"),
    ],
)
def test_an_envelope_is_read_strictly(store: FolderStore, tmp_path: Path, change, message: str) -> None:
    document = json.loads(make_trust(store, tmp_path, people=("alice",)).sign(b'{"a":1}', POINTER_TYPE).to_bytes())
    with pytest.raises(InvalidDocumentError, match=message.replace("*", r"\*")):
        parse_envelope(json.dumps(change(document)).encode(), payload_type=POINTER_TYPE, what="x")


def test_a_policy_counts_the_keys_of_the_role(store: FolderStore, tmp_path: Path) -> None:
    trust = make_trust(store, tmp_path, {"next-us": 2})
    policy = trust.policy()
    document = trust.sign(b"body", POINTER_TYPE)
    ids = tuple(signer.public_key.keyid for signer in trust.signers.values())
    assert policy.check(document, NEXT, what="x") == ids
    with pytest.raises(BelowThresholdError, match=r"needs 2 .* found 1") as caught:
        policy.check(trust.sign(b"body", POINTER_TYPE, "alice"), NEXT, what="x")
    assert (caught.value.counted, caught.value.threshold) == (1, 2)


def test_a_policy_refuses_what_does_not_fit(store: FolderStore, tmp_path: Path) -> None:
    trust = make_trust(store, tmp_path / "a", {"next-us": 1, "revoke-us": 1})
    stranger = make_trust(FolderStore(tmp_path / "other"), tmp_path / "b")
    policy = trust.policy()
    document = trust.sign(b"body", POINTER_TYPE, "alice")
    changed = SignedDocument(document.payload_type, b"another", document.signatures)
    with pytest.raises(SignatureError, match="does not fit"):
        policy.check(changed, NEXT, what="x")
    with pytest.raises(BelowThresholdError, match="which the role does not have"):
        policy.check(stranger.sign(b"body", POINTER_TYPE), NEXT, what="x")
    with pytest.raises(SignatureError, match="signs application/vnd"):
        policy.check(document, Role("revoke", "us"), what="x")
    with pytest.raises(TrustRootError, match="to nobody"):
        policy.check(document, Role("next", "uk"), what="x")
    with pytest.raises(ExpiredError, match="ended on"):
        at_time(now() + timedelta(days=400), policy.check, document, NEXT, what="x")


def test_a_key_signs_once(store: FolderStore, tmp_path: Path) -> None:
    trust = make_trust(store, tmp_path)
    document = trust.sign(b"body", POINTER_TYPE, "alice")
    with pytest.raises(SignatureError, match="has signed this document already"):
        add_signature(document, trust.signers["alice"])


def test_without_a_root_the_error_says_what_to_do(store: FolderStore, tmp_path: Path) -> None:
    with (
        variables({"PE_DATA_CONFIG": str(tmp_path / "none.toml"), "PE_DATA_TRUST_ROOT": ""}),
        pytest.raises(TrustRootError, match=r"PE_DATA_TRUST_ROOT .*pe-data root init"),
    ):
        open_policy(store, metadata=tmp_path / "client")


def test_the_root_can_be_configured_in_the_file(store: FolderStore, tmp_path: Path) -> None:
    trust = make_trust(store, tmp_path)
    config = tmp_path / "config.toml"
    config.write_text(f'[trust]\nroot = "{trust.anchor.parent}"\n')
    with variables({"PE_DATA_CONFIG": str(config), "PE_DATA_TRUST_ROOT": ""}):
        assert open_policy(store, metadata=tmp_path / "client").version == 1


def test_the_root_can_ship_with_the_package(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = make_trust(store, tmp_path)
    monkeypatch.setattr("pe_data.trust.anchor.SHIPPED", trust.anchor.parent)
    with variables({"PE_DATA_CONFIG": str(tmp_path / "none.toml"), "PE_DATA_TRUST_ROOT": ""}):
        assert open_policy(store, metadata=tmp_path / "client").version == 1


def test_a_client_follows_a_rotation(store: FolderStore, tmp_path: Path) -> None:
    trust = make_trust(store, tmp_path, {"next-us": 1})
    assert trust.policy().version == 1
    old = trust.signers["alice"].public_key.keyid
    trust.rotate(trust.terms.without_key(old))
    for client in ("client", "fresh"):
        policy = trust.policy(client=client)
        assert policy.version == 2
        assert old not in policy.authorities["next-us"].keys


def test_reading_an_envelope_loads_no_library() -> None:
    code = (
        "import sys, pe_data.documents.envelope, pe_data.trust.policy, pe_data.documents.pointer\n"
        "assert not {'tuf', 'securesystemslib', 'cryptography'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_pinned_and_latest_fetches_load_none_of_it(store: FolderStore, tmp_path: Path) -> None:
    """With a trust root configured and a nomination in the store, and nothing in the cache.

    Only `@latest` asks the root whether it names a role for it, once per interval.
    """
    trust = make_trust(store, tmp_path)
    digest = publish_validated(store, tmp_path)
    code = (
        "import sys, pe_data\n"
        f"pe_data.ensure(sys.argv[1], store={str(tmp_path / 'store')!r})\n"
        "assert not {'tuf', 'securesystemslib', 'cryptography', 'starlette'} & set(sys.modules)"
    )

    def fetch(uri: str, code: str) -> None:
        command = [sys.executable, "-c", code, uri]
        subprocess.run(command, check=True, timeout=60, env={**os.environ, **trust.environment})

    fetch(f"pe-data://us/data@sha256:{digest}", code)
    fetch("pe-data://us/data@latest", code.replace("assert not", "assert"))
    fetch("pe-data://us/data@latest", code)
