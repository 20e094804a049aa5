"""A trust root, keys and a policy in a temporary store, in a few lines.

    trust = make_trust(store, tmp_path, {"next-us": 2, "revoke-us": 1})
    document = trust.sign(body, POINTER_TYPE, "alice")       # by everybody if nobody is named
    policy = trust.policy()                                  # walked from the anchor through the store
    trust.environment                                        # for a command line in a process

`alice` and `bob` hold every role; the root has a threshold of 1 unless `root_threshold` says otherwise.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from storage_helpers import make_item, replace

from pe_data.documents import envelope
from pe_data.documents.envelope import SignedDocument
from pe_data.documents.validation import Validation
from pe_data.names.digests import Sha256, sha256_bytes
from pe_data.store.base import Store
from pe_data.trust.anchor import memory_of
from pe_data.trust.client import Version
from pe_data.trust.opening import open_policy
from pe_data.trust.policy import Holders, TrustPolicy
from pe_data.trust.proposal import Proposal, publish
from pe_data.trust.root import FRESH, LIFETIME, Terms, build
from pe_data.write.publish import publish_artifact

PEOPLE = ("alice", "bob")


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the time of a block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def without_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without the extra `trust`."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tuf", "securesystemslib")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("tuf", "securesystemslib"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "pe_data.trust.client", raising=False)


@dataclass
class Trust:
    """A published trust root with the private keys of its people."""

    store: Store
    folder: Path
    signers: dict[str, CryptoSigner]
    terms: Terms
    versions: list[Version] = field(default_factory=list)

    @property
    def anchor(self) -> Path:
        return self.folder / "anchor" / "root.json"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make this root the configured one."""
        return {"PE_DATA_TRUST_ROOT": str(self.anchor), "PE_DATA_CACHE": str(self.folder / "cache")}

    def sign(self, body: bytes, payload_type: str, *people: str) -> SignedDocument:
        """`body` signed by these people (by everybody if none is named)."""
        return envelope.sign(body, payload_type, [self.signers[name] for name in people or tuple(self.signers)])

    def policy(self, *, client: str = "client") -> TrustPolicy:
        """What a client with a memory of its own believes."""
        with variables(self.environment):
            return open_policy(self.store, metadata=self.folder / client)

    def rotate(self, terms: Terms, *people: str) -> Version:
        """Publish the next version, signed by these people (everybody if none is named)."""
        previous = self.versions[-1].root
        version = build(terms, previous.signed.version + 1)
        proposal = Proposal(version, previous)
        for name in people or tuple(self.signers):
            proposal.sign(self.signers[name])
        publish(self.store, proposal)
        self.terms = terms
        self.versions.append(version)
        return version

    def remembered(self, client: str = "client") -> Path:
        """The folder in which a client keeps what it saw."""
        return memory_of(self.store, self.folder / client)


def make_trust(
    store: Store,
    folder: Path,
    roles: Mapping[str, int] | None = None,
    *,
    people: tuple[str, ...] = PEOPLE,
    root_threshold: int = 1,
    now: datetime | None = None,
    lifetime: timedelta = LIFETIME,
    fresh: timedelta = FRESH,
) -> Trust:
    """Publish version 1 of a root in which every person holds every role.

    Args:
        roles: Threshold by role; `{"next-us": 1}` by default.
    """
    moment = now or datetime.now(UTC)
    signers = {name: CryptoSigner.generate_ed25519() for name in people}
    keys = {signer.public_key.keyid: signer.public_key for signer in signers.values()}
    ends = moment + lifetime
    terms = Terms(
        Holders(keys, root_threshold, ends),
        {name: Holders(keys, threshold, ends) for name, threshold in (roles or {"next-us": 1}).items()},
        moment + fresh,
    )
    trust = Trust(store, folder, signers, terms)
    proposal = Proposal(build(terms, 1), None)
    for signer in signers.values():
        proposal.sign(signer)
    publish(store, proposal)
    trust.versions.append(proposal.version)
    trust.anchor.parent.mkdir(parents=True, exist_ok=True)
    trust.anchor.write_bytes(proposal.version.root.to_bytes())
    return trust


def validation_record(sha256: str, *, status: str = "passed", published: bool = True, level: str = "structural") -> str:
    """A validation record as a producer writes it."""
    return json.dumps(
        {
            "schema_version": 1,
            "area": {"type": "state", "id": "AL", "path": "states/AL.h5", "sha256": sha256},
            "level": level,
            "status": status,
            "published": published,
            "policy": {"enabled": True, "on_failure": {"structural": "fail"}},
        }
    )


VALIDATION = Validation("passed", 1, {"structural": {"passed": 1}}, sha256_bytes(b"policy"), sha256_bytes(b"records"))
"""The outcome of a validation that passed."""


def publish_validated(store: Store, folder: Path, dataset: str = "data", salt: str = "", **change: str) -> Sha256:
    """Publish one validated file as `us/<dataset>`; its digest."""
    item = make_item(folder / "files", f"{dataset}{salt}", f"{dataset}{salt}".encode(), dataset=dataset)
    manifest = replace(item.manifest.validated(VALIDATION), **change)  # type: ignore[arg-type]
    return publish_artifact(store, replace(item, manifest=manifest)).artifact_sha256
