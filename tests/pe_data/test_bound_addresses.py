"""A pin that binds its manifest, and a channel that has to be signed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from revocation_helpers import AL, ROLES, World, make_world
from storage_helpers import areas, make_item, publish_areas
from trust_helpers import make_trust, without_libraries

import pe_data
from pe_data.cli import run
from pe_data.documents.encoding import unpack
from pe_data.documents.envelope import POINTER_TYPE, sign
from pe_data.documents.manifest import Manifest
from pe_data.errors import (
    CacheWarning,
    InputError,
    InvalidNameError,
    PeDataError,
    RollbackError,
    SignatureError,
)
from pe_data.keep.fsck import check_store
from pe_data.names.digests import sha256_bytes
from pe_data.names.keys import channel_key, manifest_key
from pe_data.names.uri import parse_store_uri
from pe_data.read.channels import history, read
from pe_data.read.lookup import NOT_BOUND, entry_for
from pe_data.read.options import Options
from pe_data.trust.anchor import Floor
from pe_data.trust.opening import open_policy
from pe_data.write.nominate import candidate
from pe_data.write.publish import publish_artifact, set_channel

LATEST = f"pe-data://us/areas/{AL}@latest"
KEY = channel_key("us", "areas", "latest")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


def single(world: World) -> tuple[str, str]:
    """A dataset of one file: its pin, and the digest of its manifest."""
    item = make_item(world.folder / "one", "cps", b"cps", dataset="cps")
    digest = publish_artifact(world.store, item).artifact_sha256
    plain = unpack(world.store.get(manifest_key("us", digest)).data, "manifest")
    return f"pe-data://us/cps@sha256:{digest}", sha256_bytes(plain)


def lie(world: World, uri: str) -> None:
    """Another manifest for the same payload, as whoever runs the store could put there."""
    digest = parse_store_uri(uri).sha256
    assert digest is not None
    key = manifest_key("us", digest)
    document = json.loads(unpack(world.store.get(key).data, key))
    raw = Manifest.from_bytes(json.dumps({**document, "licence": "anything goes"}).encode(), key).to_bytes()
    world.store.put_swap(key, raw, world.store.head(key).token)


# --- @sha256:…#manifest=sha256:… ---------------------------------------------------------------------------


def test_a_bound_pin_shows_its_own_manifest_and_no_other(world: World) -> None:
    uri, manifest = single(world)
    bound = f"{uri}#manifest=sha256:{manifest}"
    assert str(parse_store_uri(bound)) == bound
    assert pe_data.ensure(bound) == pe_data.ensure(uri)
    assert entry_for(bound, Options.of()).manifest.licence != "anything goes"
    lie(world, uri)
    fresh = Options.of(cache=world.folder / "fresh")
    assert entry_for(uri, fresh).manifest.licence == "anything goes", "shown, as not bound"
    with pytest.raises(PeDataError, match=f"expected sha256 {manifest}"):
        entry_for(bound, fresh)
    assert entry_for(bound, Options.of()).manifest.licence != "anything goes", "from the cache"


def test_what_the_bound_manifest_says_counts(world: World, tmp_path: Path) -> None:
    """A size that contradicts the payload never yields a file; the short pin does without the manifest."""
    uri, _ = single(world)
    digest = parse_store_uri(uri).sha256
    assert digest is not None
    key = manifest_key("us", digest)
    document = json.loads(unpack(world.store.get(key).data, key))
    document["artifact"]["size_bytes"] += 1
    raw = Manifest.from_bytes(json.dumps(document).encode(), key).to_bytes()
    world.store.put_swap(key, raw, world.store.head(key).token)
    with pytest.raises(PeDataError):
        pe_data.ensure(f"{uri}#manifest=sha256:{sha256_bytes(raw)}")
    assert pe_data.ensure(uri).read_bytes() == b"cps"


def test_resolve_prints_the_short_pin_first(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    uri, manifest = single(world)
    target = pe_data.resolve("pe-data://us/cps@latest")
    assert (target.pinned, target.pinned_with_manifest) == (uri, f"{uri}#manifest=sha256:{manifest}")
    assert run(["resolve", "pe-data://us/cps@latest"]) == 0
    out = capsys.readouterr().out
    assert out.index(f"{uri}\n") < out.index(f"{uri}#manifest=")
    unbound = pe_data.resolve(uri)
    assert (unbound.bound, unbound.pinned_with_manifest) == (False, None), "what nothing binds is not handed on"
    bound = pe_data.resolve(target.pinned_with_manifest or "")
    assert (bound.bound, bound.pinned) == (True, uri)
    assert pe_data.resolve(world.pin).pinned_with_manifest is None
    assert pe_data.resolve(LATEST).pinned_with_manifest is None
    assert run(["schema", uri]) == 0
    assert NOT_BOUND in capsys.readouterr().out
    assert run(["schema", str(bound.pinned_with_manifest)]) == 0
    assert NOT_BOUND not in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong",
    [
        "pe-data://us/cps@latest#manifest=sha256:{0}",
        "pe-data://us/cps/a@sha256:{0}#manifest=sha256:{0}",
        "pe-data://us/cps@sha256:{0}#manifest=sha256:{0}{0}",
        "pe-data://us/cps@sha256:{0}#manifest=sha256:",
        "pe-data://us/cps@sha256:{0}#manifest={0}",
        "pe-data://us/cps@sha256:{0}#manifest=sha256:{0}#manifest=sha256:{0}",
        "pe-data://us/cps#manifest=sha256:{0}@sha256:{0}",
    ],
)
def test_other_addresses_bind_no_manifest(wrong: str) -> None:
    with pytest.raises(InvalidNameError):
        parse_store_uri(wrong.format("0" * 64))


def test_a_collection_binds_its_own(world: World) -> None:
    uri = f"{world.pin}#manifest=sha256:{world.report.artifact_sha256}"
    with pytest.raises(PeDataError):
        pe_data.resolve(uri)
    pe_data.ensure(world.pin)
    with pytest.raises(InputError, match="expected a single file, found a collection"):
        pe_data.resolve(uri)


# --- a channel that has to be signed -----------------------------------------------------------------------


@pytest.fixture
def signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose trust root has `latest` signed; what stands there was published without a key."""
    return make_world(tmp_path, monkeypatch, {**ROLES, "latest-us": 1})


def seal(world: World, *people: str) -> object:
    return lambda body: world.trust.sign(body, POINTER_TYPE, *people).to_bytes()


def publish(world: World, salt: str, *people: str) -> None:
    publish_areas(world.store, areas(world.folder / salt, AL, salt=salt), salt, seal=seal(world, *people or ("alice",)))


def test_an_unsigned_latest_is_refused_where_the_root_says_so(signed: World) -> None:
    for _ in range(2):
        with pytest.raises(SignatureError, match=r"role latest-us.*bare one"):
            pe_data.ensure(LATEST)
    set_channel(signed.store, "us", "areas", signed.report.artifact_sha256, seal=seal(signed, "alice"))  # type: ignore[arg-type]
    assert pe_data.ensure(LATEST).read_bytes() == AL.encode()
    publish(signed, "2")
    assert pe_data.ensure(LATEST).read_bytes() == f"{AL}2".encode()
    assert [one.body.version for one in history(signed.store, "us", "areas")] == [3, 2, 1]
    assert check_store(signed.store).ok


def test_what_is_signed_by_others_is_refused(signed: World) -> None:
    from securesystemslib.signer import CryptoSigner

    publish(signed, "2")
    pe_data.ensure(LATEST)
    body = read(signed.store, "us", "areas").pointer
    assert body.document is not None
    forged = sign(body.document.body, POINTER_TYPE, [CryptoSigner.generate_ed25519()]).to_bytes()
    for raw, kind in ((forged, SignatureError), (body.document.body, SignatureError)):
        signed.store.put_swap(KEY, raw, signed.store.head(KEY).token)
        with pytest.raises(kind):
            pe_data.ensure(LATEST)


def test_an_older_signed_pointer_is_refused_by_who_saw_the_newer(signed: World) -> None:
    publish(signed, "2")
    before = signed.store.get(KEY).data
    publish(signed, "3")
    pe_data.ensure(LATEST)
    signed.store.put_swap(KEY, before, signed.store.head(KEY).token)
    with pytest.raises(RollbackError, match="expected version 3"):
        pe_data.ensure(LATEST)


def test_who_has_no_root_reads_a_signed_pointer_as_a_bare_one(signed: World) -> None:
    """And loads no library for it."""
    publish(signed, "2")
    env = {name: value for name, value in os.environ.items() if name != "PE_DATA_TRUST_ROOT"}
    code = f"import sys, pe_data; print(pe_data.ensure({LATEST!r}).read_text(), 'tuf' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.stdout == f"{AL}2 False\n", done.stderr


def test_a_root_that_names_nobody_asks_for_nothing(world: World) -> None:
    assert pe_data.ensure(LATEST).read_bytes() == AL.encode()


def test_who_copies_or_nominates_latest_reads_it_signed_too(signed: World, capsys: pytest.CaptureFixture[str]) -> None:
    target = signed.folder / "mirror"
    with pytest.raises(SignatureError, match=r"role latest-us.*bare one"):
        candidate(signed.store, "us", "areas")
    for uri in ("pe-data://us/areas@latest", LATEST):
        assert run(["mirror", str(signed.store.root), str(target), uri]) == 1
        assert "role latest-us" in capsys.readouterr().err
    assert not list(target.rglob("*.json"))
    publish(signed, "2")
    with pytest.raises(InputError, match="expected a validation record"):
        candidate(signed.store, "us", "areas")
    assert run(["mirror", str(signed.store.root), str(target), "pe-data://us/areas@latest"]) == 0


def unreadable_configuration(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PE_DATA_TRUST_ROOT")
    path = world.folder / "config.toml"
    path.write_text("[trust]\nroot = 5\n")
    monkeypatch.setenv("PE_DATA_CONFIG", str(path))


def nothing_in_the_store(world: World, _: pytest.MonkeyPatch) -> None:
    for path in (world.store.root / "trust").iterdir():
        path.unlink()


def another_in_the_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_in_the_store(world, monkeypatch)
    make_trust(world.store, world.folder / "other")


def past_its_date(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pe_data.trust.client.Updater", late_updater)


def a_floor_above_it(world: World, _: pytest.MonkeyPatch) -> None:
    world.trust.anchor.with_name("floor.json").write_bytes(Floor(2, {}).to_bytes())


def late_updater(*args: object, **more: object) -> object:
    from tuf.ngclient import Updater

    found = Updater(*args, **more)  # type: ignore[arg-type]
    found._trusted_set.reference_time += timedelta(days=4000)
    return found


UNUSABLE: dict[str, Callable[[World, pytest.MonkeyPatch], object]] = {
    "the store has none": nothing_in_the_store,
    "the store has half of it": lambda world, _: (world.store.root / "trust/timestamp.json").unlink(),
    "the store has another": another_in_the_store,
    "past its date": past_its_date,
    "no file": lambda world, _: world.trust.anchor.unlink(),
    "junk in the file": lambda world, _: world.trust.anchor.write_bytes(b"{}"),
    "a floor above it": lambda world, _: world.trust.anchor.with_name("floor.json").write_bytes(
        Floor(2, {}).to_bytes()
    ),
    "no file, in the configuration": unreadable_configuration,
    "no library": lambda _, monkeypatch: without_libraries(monkeypatch),
}
"""Why a root that a machine was given cannot be followed."""


@pytest.fixture(params=UNUSABLE)
def spoil(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[World], object]:
    return lambda world: UNUSABLE[request.param](world, monkeypatch)


@pytest.mark.parametrize("bare", [True, False])
def test_a_root_that_vanishes_is_remembered(signed: World, spoil: Callable[[World], object], bare: bool) -> None:
    """Whoever has seen that `latest` has to be signed goes on refusing what he cannot check."""
    publish(signed, "2")
    pe_data.ensure(LATEST)
    body = read(signed.store, "us", "areas").pointer
    assert body.document is not None
    if bare:
        signed.store.put_swap(KEY, body.document.body, signed.store.head(KEY).token)
    spoil(signed)
    for _ in range(2):
        with pytest.raises(PeDataError):
            pe_data.ensure(LATEST)


@pytest.mark.parametrize("bare", [True, False])
def test_a_root_that_nobody_could_ever_follow_is_warned_about(
    signed: World, spoil: Callable[[World], object], bare: bool
) -> None:
    """Whether `latest` has to be signed is not known then; a store without a trust root stays readable."""
    if not bare:
        publish(signed, "2")
    spoil(signed)
    if (signed.trust.anchor.parent / "floor.json").exists():  # what is genuine and too old names the role
        with pytest.raises(RollbackError):
            pe_data.ensure(LATEST)
        return
    said = "nobody can tell whether it has to be signed" if bare else "its signatures are not checked"
    for _ in range(2):
        with pytest.warns(CacheWarning, match=f"trust root could not be followed, so {said}"):
            assert pe_data.ensure(LATEST).read_bytes() == (AL if bare else f"{AL}2").encode()


def later(world: World) -> None:
    """As if a day had passed since the trust root was followed."""
    for path in (world.cache / "trust").rglob("*"):
        os.utime(path, (time.time() - 25 * 3600,) * 2)


def test_a_walk_that_stops_half_way_is_none(world: World) -> None:
    """What the library has kept by then does not count as followed: the role may stand in what is held back."""
    pe_data.ensure(LATEST)
    later(world)
    terms = world.trust.terms
    world.trust.rotate(replace(terms, roles={**terms.roles, "latest-us": terms.roles["next-us"]}))
    (world.store.root / "trust/2.snapshot.json").unlink()
    for _ in range(3):
        with pytest.warns(CacheWarning, match="nobody can tell whether it has to be signed"):
            pe_data.ensure(LATEST)


def test_another_root_is_followed_at_once(world: World) -> None:
    """What was seen from the root of yesterday does not count for the one that the machine was given today."""
    pe_data.ensure(LATEST)
    terms = world.trust.terms
    version = world.trust.rotate(replace(terms, roles={**terms.roles, "latest-us": terms.roles["next-us"]}))
    pe_data.ensure(LATEST)
    world.trust.anchor.write_bytes(version.root.to_bytes())
    with pytest.raises(SignatureError, match="role latest-us"):
        pe_data.ensure(LATEST)


def test_the_root_is_followed_once_per_interval(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    followed: list[object] = []

    def note(*args: Any, **more: Any) -> Any:
        followed.append(args)
        return open_policy(*args, **more)

    monkeypatch.setattr("pe_data.read.standing.open_policy", note)
    for day in (1, 2, 3):
        for _ in range(2):
            pe_data.ensure(LATEST)
        assert len(followed) == day
        later(world)


def test_the_key_option(signed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pe_data.cli.options.signers_of", lambda keys: [signed.trust.signers[key] for key in keys])
    digest = f"sha256:{signed.report.artifact_sha256}"
    assert run(["channel", "set", "us/areas", digest, "--key", "alice"]) == 0
    assert read(signed.store, "us", "areas").body.version == 2
    assert run(["channel", "set", "us/areas", digest, "--key", "alice"]) == 0
    assert read(signed.store, "us", "areas").body.version == 2, "signed already"
    pe_data.ensure(LATEST)
