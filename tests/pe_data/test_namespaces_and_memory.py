"""What a machine remembers of channels and revocations, and what it makes of a store that says otherwise."""

import shutil
import warnings
from pathlib import Path

import pytest
from revocation_helpers import AL, REASON, World, make_world
from storage_helpers import areas, publish_areas, replace

import pe_data
from pe_data.cache.entries import Cache
from pe_data.cache.known_revocations import Known
from pe_data.config.settings import StoreConfig, store_for
from pe_data.documents.envelope import TOMBSTONE_TYPE
from pe_data.documents.pointer import PointerBody
from pe_data.errors import (
    CacheWarning,
    PointerMismatchError,
    RevokedError,
    RollbackError,
    UncheckedRevocationError,
)
from pe_data.names.keys import channel_key, payload_key, tombstone_key
from pe_data.read.channels import read
from pe_data.store.folder import FolderStore

LATEST = f"pe-data://us/areas/{AL}@latest"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


def rewrite(world: World, **change: object) -> PointerBody:
    """What somebody with write access to the bucket can do."""
    body = replace(read(world.store, "us", "areas").body, **change)  # type: ignore[arg-type]
    key = channel_key("us", "areas", "latest")
    world.store.put_swap(key, body.to_bytes(), world.store.head(key).token)
    return body


# --- whose channel it is ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2, 3, 9])
@pytest.mark.parametrize("namespace", ["evil", "local2", "policyengine"])
def test_another_namespace_is_refused(world: World, version: int, namespace: str) -> None:
    """Whatever its version: else an old pointer under a new name would bring old bytes back."""
    first = rewrite(world, namespace="mine", version=2, prev="0" * 64)
    pe_data.ensure(LATEST)
    rewrite(world, namespace=namespace, version=version, prev=None if version == 1 else "0" * 64)
    for _ in range(2):
        with pytest.raises(PointerMismatchError, match=f"expected namespace 'mine' at version 2.*found '{namespace}'"):
            pe_data.ensure(LATEST)
    rewrite(world, namespace="mine", version=2, prev=first.prev)
    pe_data.ensure(LATEST)


def test_a_channel_without_a_name_may_get_one_when_it_moves_on(world: World) -> None:
    pe_data.ensure(LATEST)
    rewrite(world, namespace="policyengine", version=2, prev="0" * 64)
    with pytest.warns(CacheWarning, match="is now that of 'policyengine'"):
        pe_data.ensure(LATEST)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pe_data.ensure(LATEST)  # said once
    rewrite(world, namespace="local", version=3, prev="0" * 64)
    with pytest.raises(PointerMismatchError, match="expected namespace 'policyengine'"):
        pe_data.ensure(LATEST)


@pytest.mark.parametrize("version", [1, 2])
def test_a_name_does_not_bring_an_old_version_back(world: World, version: int) -> None:
    publish_areas(world.store, areas(world.folder / "more", AL, salt="2"), "r2")
    pe_data.ensure(LATEST)
    rewrite(world, namespace="policyengine", version=version, prev=None if version == 1 else "0" * 64)
    with pytest.raises((PointerMismatchError, RollbackError), match="version 2"):
        pe_data.ensure(LATEST)


CONFIG = """
[stores.us]
url = "/configured"
mirrors = ["/mirror"]
namespace = "mine"
options = { region = "here" }
[stores.default]
url = "/other"
namespace = "ours"
"""


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_a_named_store_keeps_the_configured_namespace(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    monkeypatch.setenv("PE_DATA_CONFIG", str(config))
    more = {}
    if how == "argument":
        monkeypatch.setenv("PE_DATA_STORE", str(tmp_path / "wrong"))
        more = {"store": str(world.store.root)}
    with pytest.raises(PointerMismatchError, match=r"expected 'mine', found 'local'"):
        pe_data.ensure(LATEST, **more)
    rewrite(world, namespace="mine", version=2, prev="0" * 64)
    pe_data.ensure(LATEST, **more)


def test_what_else_of_the_configuration_holds_for_a_named_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    monkeypatch.delenv("PE_DATA_STORE", raising=False)
    monkeypatch.setenv("PE_DATA_CONFIG", str(config))
    assert store_for("us") == StoreConfig("/configured", ("/mirror",), "mine", {"region": "here"})
    assert store_for("us", store="/b") == StoreConfig("/b", (), "mine", {})
    assert store_for("us", store="/configured/") == StoreConfig("/configured/", (), "mine", {"region": "here"})
    monkeypatch.setenv("PE_DATA_STORE", "/b")
    monkeypatch.setenv("PE_DATA_MIRRORS", "/c, /d")
    assert store_for("us") == StoreConfig("/b", ("/c", "/d"), "mine", {})
    assert store_for("xy") == StoreConfig("/b", ("/c", "/d"), "ours", {})
    assert store_for("us", store="/e") == StoreConfig("/e", (), "mine", {})


# --- a cache that cannot be written ---------------------------------------------------------------------


def test_a_read_only_cache_gives_what_it_has_through_a_channel_that_it_never_saw(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written where nothing can be; what cannot be remembered is said, and is in nobody's way."""
    from pe_data.files import atomic as files

    pe_data.ensure(world.single(AL))
    right = pe_data.ensure(world.member(AL))
    shutil.rmtree(world.cache / "channels", ignore_errors=True)
    for path in world.cache.rglob("*.manifest.json"):
        path.unlink()

    def refuse(path: Path, data: bytes, **_: object) -> None:
        with files.local_errors(path):
            raise PermissionError(13, "Permission denied")

    for module in ("read.seen", "cache.entries", "cache.known_revocations"):
        monkeypatch.setattr(f"pe_data.{module}.write_atomic", refuse)
    with pytest.warns(CacheWarning, match="cannot remember where the channel stands"):
        assert pe_data.ensure(LATEST) == right


# --- tombstones -----------------------------------------------------------------------------------------


def junk(world: World, name: str) -> bytes:
    """Well-formed, of this very artifact, and signed by a key that nobody knows."""
    from securesystemslib.signer import CryptoSigner

    from pe_data.documents import envelope

    stone = world.tombstone(world.single(name))
    return envelope.sign(stone.to_bytes(), TOMBSTONE_TYPE, [CryptoSigner.generate_ed25519()]).to_bytes()


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("reason", ["no root", "damaged root", "timestamp lapsed"])
def test_a_forged_tombstone_on_a_mirror_stops_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch, reason: str, cached: bool
) -> None:
    """Also where the signatures cannot be checked, which is so on every machine without a trust root."""
    mirror = FolderStore(world.folder / "mirror")
    shutil.copytree(world.store.root, mirror.root)
    if cached:
        pe_data.ensure(world.single(AL))
    if reason == "no root":
        monkeypatch.delenv("PE_DATA_TRUST_ROOT")
    elif reason == "damaged root":
        world.trust.anchor.write_bytes(b"{}")
    else:
        (world.store.root / "trust/timestamp.json").unlink()
        shutil.rmtree(world.cache / "trust", ignore_errors=True)
    forged = junk(world, AL)
    world.put(AL, forged, mirror)
    monkeypatch.setenv("PE_DATA_MIRRORS", str(mirror.root))
    monkeypatch.setenv("PE_DATA_REVOCATION_HOURS", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "(?s).*expected a revocation list", CacheWarning)
        assert pe_data.ensure(world.single(AL)).read_bytes() == AL.encode()
    world.put(AL, forged)  # in the store itself it stops downloads until it can be checked
    with pytest.raises(UncheckedRevocationError):
        pe_data.ensure(world.single(AL), cache=world.folder / "fresh")
    with pytest.warns(CacheWarning, match="REVOKED"):
        pe_data.ensure(world.single(AL))


def test_a_genuine_list_on_a_mirror_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever can write to the store alone cannot hide it."""
    mirror = FolderStore(world.folder / "mirror")
    world.put_list(world.signed_list(world.propose(world.tombstone(world.single(AL)))), mirror)
    monkeypatch.setenv("PE_DATA_MIRRORS", str(mirror.root))
    with pytest.raises(RevokedError, match="its tombstone, with the reason, could not be read"):
        pe_data.ensure(world.single(AL))
    world.put(AL, world.signed(world.tombstone(world.single(AL))), mirror)
    with pytest.raises(RevokedError, match="could not be read"):  # another tombstone than the one that is listed
        pe_data.ensure(world.single(AL))


def test_a_tombstone_ends_an_artifact_of_its_own_country_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same bytes may be published in two countries, and a machine may have asked in both."""
    sha256 = world.sha256(AL)
    for kind in ("h5", "manifest.json"):
        source = world.store.root / payload_key("us", sha256, "h5").replace(".h5", f".{kind}")
        target = world.store.root / payload_key("fr", sha256, "h5").replace(".h5", f".{kind}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes().replace(b'"us"', b'"fr"'))
    french = world.single(AL).replace("://us/", "://fr/")
    world.revoke(world.single(AL))
    with pytest.raises(RevokedError):
        pe_data.ensure(world.single(AL))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        assert pe_data.ensure(french).read_bytes() == AL.encode()
    # Both are remembered, each for its own.
    known = Known(Cache(world.cache))
    stone = replace(world.tombstone(world.single("states/NC")), country="fr", artifact_sha256=sha256)
    known.remember(sha256, stone.to_bytes(), "fr")
    world.store.delete(tombstone_key("us", sha256))
    for uri in (french, world.single(AL)):
        with pytest.raises(RevokedError):
            pe_data.ensure(uri)


@pytest.mark.parametrize("scheme", ["https://example.invalid/x.h5#sha256={}", "http://example.invalid/y?a=1#sha256={}"])
def test_revoked_bytes_under_a_web_address(world: World, scheme: str) -> None:
    """No store stands behind it, but this machine knows that the bytes were revoked."""
    pe_data.ensure(world.single(AL))
    uri = scheme.format(world.sha256(AL))
    assert pe_data.ensure(uri).read_bytes() == AL.encode()
    world.revoke(world.single(AL))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PE_DATA_REVOCATION_HOURS", "0")
        with pytest.raises(RevokedError):
            pe_data.ensure(world.single(AL))
    with pytest.raises(RevokedError, match=REASON):
        pe_data.ensure(uri)
    with pytest.warns(CacheWarning, match="REVOKED"):
        assert pe_data.ensure(uri, offline=True).read_bytes() == AL.encode()
