"""A signed store, its key holders and its clients, for those who attack it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from storage_helpers import at_time
from trust_helpers import Trust, make_trust, publish_validated, variables

import pe_data
from pe_data.documents.envelope import POINTER_TYPE
from pe_data.documents.pointer import SignedPointer
from pe_data.errors import ObjectNotFoundError
from pe_data.names.keys import TRUST_PREFIX, channel_key
from pe_data.read.channels import read_next
from pe_data.store.folder import FolderStore
from pe_data.trust.client import Version
from pe_data.trust.nominations import VerifiedPointer, verify
from pe_data.trust.policy import Role
from pe_data.write.nominate import candidate, nominate, propose

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
        return nominate(
            self.store,
            document,
            self.trust.policy(client="publisher"),
        )

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


@contextmanager
def open_world(folder: Path) -> Iterator[World]:
    """A world whose trust root this process believes meanwhile."""
    store = FolderStore(folder / "store")
    trust = make_trust(store, folder, ROLES)
    publish_validated(store, folder)
    with variables(trust.environment):
        yield World(folder, store, trust)


def now() -> datetime:
    return datetime.now(UTC)


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
    """What the channel `next` holds, unread."""
    return read_next(world.store, "us", "data").pointer


def verify_at(world: World, policy: Any, moment: datetime) -> VerifiedPointer:
    """Check it as a client does whose clock shows ``moment``."""
    return at_time(moment, verify, pointer(world), policy, country="us", dataset="data", namespace="local")
