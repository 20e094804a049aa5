"""A store with a trust root and published areas, and a revocation that may be killed."""

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from storage_helpers import Folder, areas, killing, publish_areas
from trust_helpers import Trust, make_trust

from pe_data.documents.envelope import REVOCATIONS_TYPE, TOMBSTONE_TYPE, SignedDocument, parse_envelope, sign
from pe_data.documents.revocations import RevocationList
from pe_data.documents.tombstone import Tombstone
from pe_data.names.digests import Sha256, sha256_bytes
from pe_data.names.keys import revocations_key, tombstone_key
from pe_data.names.uri import parse_store_uri
from pe_data.store.folder import FolderStore
from pe_data.trust.revocations import Verifier
from pe_data.write.publish import PublishReport
from pe_data.write.revocation_list import propose_list
from pe_data.write.revoke import RevocationReport, finish, publish_listed, publish_tombstone, tombstone_for

AL, NC = "states/AL", "states/NC"
REASON = "the census office withdrew its licence"
ROLES = {"next-us": 1, "revoke-us": 1, "attest-us": 1}


@dataclass
class World:
    """A store `us/areas` with AL and NC, a trust root, and a reader's cache."""

    folder: Path
    store: FolderStore
    trust: Trust
    report: PublishReport

    @property
    def cache(self) -> Path:
        return self.folder / "reader"

    @property
    def pin(self) -> str:
        return f"pe-data://us/areas@sha256:{self.report.artifact_sha256}"

    def member(self, name: str) -> str:
        return self.pin.replace("@", f"/{name}@")

    @staticmethod
    def sha256(name: str) -> Sha256:
        return sha256_bytes(name.encode())

    def single(self, name: str) -> str:
        """The area alone, by its own digest."""
        return f"pe-data://us/areas@sha256:{self.sha256(name)}"

    def tombstone(self, uri: str, **more: Any) -> Tombstone:
        values = {"reason": REASON, "revoked_by": "dpo@example.org", **more}
        return tombstone_for(self.store, parse_store_uri(uri), **values)

    def signed(self, stone: Tombstone, *people: str) -> SignedDocument:
        return self.trust.sign(stone.to_bytes(), TOMBSTONE_TYPE, *people)

    def revoke(self, uri: str, *people: str, listed: bool = True, **more: Any) -> RevocationReport:
        """Sign a tombstone and the next list, and publish both; without `listed` as before there were lists."""
        stone = self.tombstone(uri, **more)
        done = finish(self.store, stone, Verifier.of(lambda: self.store))
        if done is not None:
            return done
        list_ = self.signed_list(self.propose(stone), *people) if listed else None
        return self.publish(self.signed(stone, *people), listed=list_)

    def propose(self, *stones: Tombstone, **more: Any) -> RevocationList:
        return propose_list(self.store, "us", Verifier.of(lambda: self.store), stones=stones, **more)

    def signed_list(self, proposed: RevocationList, *people: str) -> SignedDocument:
        return self.trust.sign(proposed.to_bytes(), REVOCATIONS_TYPE, *people)

    def publish_list(self, proposed: RevocationList, *people: str) -> RevocationList:
        signed = self.signed_list(proposed, *people)
        return publish_listed(self.store, signed, verifier=Verifier.of(lambda: self.store), what="list")

    def put_list(self, document: SignedDocument | bytes | None, store: FolderStore | None = None) -> None:
        """Put any bytes where the list belongs, or nothing, as somebody with the bucket could."""
        path = (store or self.store).root / revocations_key("us")
        path.unlink(missing_ok=True)
        if document is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(document if isinstance(document, bytes) else document.to_bytes())

    def a_day_later(self) -> None:
        """As if a day had passed since the places were asked."""
        for path in (*self.cache.glob("artifacts/*/*.asked"), *self.cache.glob("revocations/*.asked")):
            os.utime(path, (time.time() - 2 * 24 * 3600,) * 2)

    def publish(self, document: SignedDocument, **more: Any) -> RevocationReport:
        verifier = Verifier.of(lambda: self.store)
        return publish_tombstone(self.store, document, verifier=verifier, what="tombstone", **more)

    def put(self, name_or_sha: str, document: SignedDocument | bytes, store: FolderStore | None = None) -> None:
        """Put any bytes where the tombstone of an area belongs, as somebody with the bucket could."""
        sha256 = name_or_sha if len(name_or_sha) == 64 else self.sha256(name_or_sha)
        raw = document if isinstance(document, bytes) else document.to_bytes()
        (store or self.store).put_create(tombstone_key("us", sha256), raw)


def make_world(folder: Path, monkeypatch: pytest.MonkeyPatch, roles: dict[str, int] | None = None) -> World:
    """Everything above, with the trust root and the cache in the environment."""
    store = FolderStore(folder / "store")
    trust = make_trust(store, folder / "trust", roles or ROLES)
    report = publish_areas(store, areas(folder / "files", AL, NC), now=datetime.now(UTC))
    world = World(folder, store, trust, report)
    environment = {**trust.environment, "PE_DATA_CACHE": str(world.cache), "PE_DATA_STORE": str(store.root)}
    for name, value in {**environment, "PE_DATA_CONFIG": str(folder / "none.toml")}.items():
        monkeypatch.setenv(name, value)
    return world


def stranger(world: World) -> bytes:
    """The next list, signed by somebody who may not."""
    return sign(
        world.propose(world.tombstone(world.single(AL))).to_bytes(), REVOCATIONS_TYPE, [CryptoSigner.generate_ed25519()]
    ).to_bytes()


def main(store: str, envelope: str, kill_at: int) -> None:
    """Publish the signed tombstone in the file `envelope`; see :func:`storage_helpers.killing`."""
    folder = Folder(Path(store))
    document = parse_envelope(Path(envelope).read_bytes(), payload_type=TOMBSTONE_TYPE, what=envelope)
    killing(kill_at, folder.root)
    publish_tombstone(folder, document, verifier=Verifier.of(lambda: folder), what=envelope)
