"""What an earlier version wrote, this one reads: every fixture in tests/data/stores (see make_fixture.py there)."""

import json
import os
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from gateway_helpers import gateway
from storage_helpers import at_time

import pe_data
from local_h5.runs import verify as results_check
from pe_data.cache.entries import Cache
from pe_data.certify.earlier_release import EarlierRelease
from pe_data.certify.reading import is_earlier, read_release
from pe_data.certify.release import DataRelease
from pe_data.cli import run
from pe_data.documents.collection import Collection
from pe_data.documents.document import Document
from pe_data.documents.encoding import unpack
from pe_data.documents.envelope import CHECKPOINT_TYPE, POINTER_TYPE, TOMBSTONE_TYPE, SignedDocument
from pe_data.documents.manifest import Manifest
from pe_data.documents.pointer import PointerBody
from pe_data.documents.tombstone import Tombstone
from pe_data.errors import RevokedError, RollbackError
from pe_data.keep.gc import collect_garbage
from pe_data.keep.pins import PinFile, list_pins
from pe_data.keep.verified import Memory
from pe_data.names.digests import parse_sha256, sha256_bytes, sha256_file
from pe_data.names.keys import channel_key, tombstone_key
from pe_data.read.channels import history, read
from pe_data.store.folder import FolderStore
from pe_data.trust.keys import KeyFile, load_signer
from pe_data.trust.opening import open_policy
from pe_data_gateway.audit.checkpoints import CheckpointFile
from pe_data_gateway.audit.records import Line
from pe_data_gateway.audit.verify import verify_log
from pe_data_gateway.tokens import TokenBook, TokenFile

STORES = Path(__file__).parents[1] / "data" / "stores"
FIXTURES = sorted(path.name.removesuffix(".tar.gz") for path in STORES.glob("*.tar.gz"))


@dataclass(frozen=True)
class Old:
    """Everything that one version left behind."""

    folder: Path
    about: dict[str, Any]

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.folder / "store")

    def pin(self, name: str) -> str:
        return f"pe-data://us/{name.partition('-')[0]}@sha256:{self.about['digests'][name]}"


@pytest.fixture(params=FIXTURES)
def old(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Old:
    """Unpacked, and the memories of the cache named for where the store is now."""
    with tarfile.open(STORES / f"{request.param}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="fully_trusted")
    about = json.loads((tmp_path / "about.json").read_text())
    now = sha256_bytes(str(tmp_path / "store").encode())[:16]
    for kind in ("channels", "trust"):
        (tmp_path / "cache" / kind / about["store_in_memories"]).rename(tmp_path / "cache" / kind / now)
    fsck = tmp_path / "cache" / "fsck"
    (fsck / f"{about['store_in_memories']}.json").rename(fsck / f"{now}.json")
    for name in [name for name in os.environ if name.startswith("PE_DATA_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "PE_DATA_STORE": tmp_path / "store",
        "PE_DATA_CACHE": tmp_path / "cache",
        "PE_DATA_KEYS": tmp_path / "keys",
        "PE_DATA_KEY_PASSPHRASE": about["passphrase"],
        "PE_DATA_TRUST_ROOT": tmp_path / "anchor" / "root.json",
        "PE_DATA_CONFIG": tmp_path / "none.toml",
    }.items():
        monkeypatch.setenv(name, str(value))
    return Old(tmp_path, about)


DOCUMENTS: dict[str, tuple[str, type[Document]]] = {
    "store/*/??/*.manifest.json": ("manifest", Manifest),
    "store/*/??/*.collection.json": ("collection", Collection),
    "store/*/??/*.tombstone.json": ("envelope", SignedDocument),
    "store/channels/*/*/latest.json": ("pointer", PointerBody),
    "store/channels/*/*/latest.history/*.json": ("pointer", PointerBody),
    "store/channels/*/*/next.json": ("envelope", SignedDocument),
    "store/pins/*/*.json": ("pin", PinFile),
    "store/audit/uk/*.jsonl": ("audit_record", Line),
    "store/audit/uk/000000000004.checkpoint.json": ("audit_checkpoint", CheckpointFile),
    "release/data_release.json": ("earlier_data_release", EarlierRelease),
    "release/statement.dsse.json": ("envelope", SignedDocument),
    "keys/*.pub": ("key", KeyFile),
    "tokens.json": ("tokens", TokenFile),
    "cache/fsck/*.json": ("", Memory),
}
BODIES: dict[str, tuple[str, type[Document]]] = {
    POINTER_TYPE: ("pointer", PointerBody),
    TOMBSTONE_TYPE: ("tombstone", Tombstone),
    CHECKPOINT_TYPE: ("audit_checkpoint", CheckpointFile),
}


def same_bytes(raw: bytes, schema: str, kind: type[Document], what: str) -> Document:
    """The document, after it was written again as it was and held against its schema."""
    read = kind.from_bytes(raw, what)
    assert read.to_bytes() == raw, what
    if schema:
        path = next(Path(__file__).parents[2].glob(f"packages/*/src/*/schemas/{schema}.schema.json"))
        rules = json.loads(path.read_text())
        jsonschema.Draft202012Validator(rules).validate(json.loads(raw))
    return read


@pytest.mark.parametrize("pattern", DOCUMENTS)
def test_every_document_is_written_again_byte_by_byte(old: Old, pattern: str) -> None:
    schema, kind = DOCUMENTS[pattern]
    paths = sorted(old.folder.glob(pattern))
    assert paths
    for path in paths:
        stored = path.read_bytes()
        for raw in unpack(stored).splitlines() if stored else []:
            if kind is EarlierRelease and not is_earlier(json.loads(raw)):
                schema, kind = "data_release", DataRelease
            read = same_bytes(raw, schema, kind, str(path))
            if isinstance(read, SignedDocument) and read.payload_type in BODIES:
                same_bytes(read.body, *BODIES[read.payload_type], str(path))


def test_there_is_a_fixture_and_it_is_small() -> None:
    assert "0.1.0" in FIXTURES
    assert all((STORES / f"{name}.tar.gz").stat().st_size <= 1_000_000 for name in FIXTURES)


def test_the_store_is_whole(old: Old, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fsck", "--full"]) == 0, capsys.readouterr()
    assert run(["fsck"]) == 0, capsys.readouterr()  # with what the earlier version remembered


def test_every_kind_of_address_is_resolved(old: Old, tmp_path: Path) -> None:
    fresh = {"cache": tmp_path / "fresh"}
    small = old.about["digests"]["small"]
    assert sha256_file(pe_data.ensure("pe-data://us/small@latest", **fresh)) == small
    assert sha256_file(pe_data.ensure(old.pin("small"), **fresh)) == small
    area = pe_data.ensure("pe-data://us/local_areas/districts/NC-01@next", **fresh)
    assert area.read_bytes() == (old.folder / "results/districts/NC-01.h5").read_bytes()
    assert pe_data.ensure("pe-data://uk/regions/wales@next", **fresh).name.endswith(".h5")
    assert [one.body.version for one in history(old.store, "us", "small")] == [2, 1]


def test_the_trust_root_is_followed_from_its_first_version(old: Old, tmp_path: Path) -> None:
    assert json.loads((old.folder / "anchor/root.json").read_bytes())["signed"]["version"] == 1
    assert open_policy(old.store, metadata=tmp_path / "fresh").version == 3
    assert open_policy(old.store).version == 3  # with the memory of the earlier version


def test_what_was_revoked_is_refused(old: Old, tmp_path: Path) -> None:
    with pytest.raises(RevokedError, match="made in error"):
        pe_data.ensure(old.pin("withdrawn"), cache=tmp_path / "fresh")
    key = tombstone_key("us", parse_sha256(old.about["digests"]["withdrawn"]))
    old.store.delete(key)
    with pytest.raises(RevokedError, match="made in error"):  # the cache remembers
        pe_data.ensure(old.pin("withdrawn"))


def test_a_hit_needs_neither_network_nor_hash(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PE_DATA_STORE", "http://127.0.0.1:9")
    monkeypatch.setenv("PE_DATA_OFFLINE", "1")
    monkeypatch.setattr("pe_data.cache.entries.sha256_file", lambda path: pytest.fail(f"{path} was hashed"))
    assert pe_data.ensure(old.pin("small")).stem == old.about["digests"]["small"]


def test_a_broken_download_goes_on(old: Old) -> None:
    digest = parse_sha256(old.about["digests"]["large"])
    path = Cache(old.folder / "cache").partial(digest, "h5")
    assert 0 < path.stat().st_size < old.store.head(f"us/{digest[:2]}/{digest}.h5").size
    assert sha256_file(pe_data.ensure(old.pin("large"))) == digest
    assert not list(path.parent.glob("*"))


def test_a_store_that_was_set_back_is_noticed(old: Old) -> None:
    key = channel_key("us", "small", "latest")
    _, first = history(old.store, "us", "small")
    old.store.put_swap(key, first.body.to_bytes(), old.store.head(key).token)
    with pytest.raises(RollbackError, match="expected version 2"):
        pe_data.ensure("pe-data://us/small@latest")


def test_pins_and_marks_are_known(old: Old) -> None:
    digests = old.about["digests"]
    assert [(one.sha256, one.reason) for one in list_pins(old.store)] == [(digests["large"], "release")]
    mark = f"gc/us/{digests['small-1']}.json"
    assert old.store.exists(mark)
    hour, later = timedelta(hours=1), datetime.now(UTC) + timedelta(days=1)
    report = at_time(later, collect_garbage, old.store, grace=hour, keep_versions=1, dry_run=True)
    assert report.deleted == (f"us/{digests['small-1']}",)
    at_time(later, collect_garbage, old.store, grace=hour, keep_versions=1)
    assert not old.store.exists(mark), "marks are not needed any more"


def test_keys_tokens_and_the_audit_log_go_on(old: Old, capsys: pytest.CaptureFixture[str]) -> None:
    """The gateway of today continues the log, and the whole of it is verified."""
    assert load_signer("gatekeeper", lambda _: old.about["passphrase"]).sign(b"text").signature
    tokens = old.folder / "tokens.json"
    found = TokenBook(tokens).find(old.about["token"])
    assert found is not None
    assert found.user == "ada@example.org"
    assert run(["audit", "verify", "uk", "--require-signed"]) == 0, capsys.readouterr()
    before = verify_log(old.store, "uk", policy=open_policy(old.store))
    assert before.clean
    assert before.signed >= 1
    assert before.unsigned >= 1
    options = ("--country", "uk", "--signer", "gatekeeper", "--checkpoint-records", "1")
    with gateway(str(old.store.root), tokens, *options, environment=dict(os.environ)) as running:
        command = ["ensure", old.about["gated_pin"], "--store", running.store, "--cache", str(old.folder / "ada")]
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("PE_DATA_TOKEN", old.about["token"])
            assert run(command) == 0, capsys.readouterr()
        running.stop()
    after = verify_log(old.store, "uk", policy=open_policy(old.store))
    assert after.clean
    assert after.records > before.records
    assert run(["audit", "verify", "uk", "--require-signed"]) == 0, capsys.readouterr()


def test_the_data_release_is_read(old: Old, capsys: pytest.CaptureFixture[str]) -> None:
    path = old.folder / "release/data_release.json"
    pins = read_release(path).pins
    assert {name.rpartition("/")[2] for name in pins} == {"london", "wales"}
    assert run(["bundle-status", str(path)]) == 0, capsys.readouterr()
    assert "2 reproducible" in capsys.readouterr().out


def test_results_are_verified_and_published_again(old: Old, capsys: pytest.CaptureFixture[str]) -> None:
    results = old.folder / "results"
    for key in ("districts/NC-01.h5", "states/NC.h5"):
        assert results_check._check(results / key, results / "no record", key, None, deep=True) is None
    assert run(["publish", str(results), "us/local_areas", "--run-id", "run-2", "--licence", "CC0-1.0"]) == 0
    assert "0 artifact(s) uploaded" in capsys.readouterr().out
    assert read(old.store, "us", "local_areas").body.version == 2
