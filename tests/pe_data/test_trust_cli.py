"""Nominations and roots that take two people on two machines, through files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from trust_helpers import VALIDATION, publish_validated, validation_record, variables

from pe_data.cli import run
from pe_data.documents.collection import Collection
from pe_data.documents.pointer import parse_signed
from pe_data.names.digests import sha256_file
from pe_data.names.keys import channel_key, collection_key
from pe_data.read.channels import read, read_next
from pe_data.store.folder import FolderStore
from pe_data.trust.keys import new_key

PASSPHRASE = "correct horse"
Run = Callable[..., str]


@pytest.fixture
def pe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on a person's machine; each has a key folder with the other's public part."""
    machines = {name: tmp_path / name for name in ("alice", "bob")}
    for name, folder in machines.items():
        with variables({"PE_DATA_KEYS": str(folder)}):
            public = new_key(name, PASSPHRASE).to_bytes()
        for other in machines.values():
            other.mkdir(exist_ok=True)
            (other / f"{name}.pub").write_bytes(public)
    shared = {
        "PE_DATA_STORE": str(tmp_path / "store"),
        "PE_DATA_CACHE": str(tmp_path / "cache"),
        "PE_DATA_CONFIG": str(tmp_path / "none.toml"),
        "PE_DATA_KEY_PASSPHRASE": PASSPHRASE,
        "PE_DATA_TRUST_ROOT": str(tmp_path / "anchor"),
    }

    def command(line: str, *, on: str = "alice", code: int = 0) -> str:
        with variables({**shared, "PE_DATA_KEYS": str(machines[on])}):
            found = run([part.format(here=tmp_path) for part in line.split()])
        out = capsys.readouterr()
        assert found == code, out.err
        return out.out + out.err

    command("root init --role root=alice,bob:2 --role next-us=alice,bob:2 --key alice --out {here}/root.proposal")
    command("sign {here}/root.proposal --key bob --yes", on="bob")
    command("root publish {here}/root.proposal --anchor {here}/anchor")
    return command


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def test_two_people_nominate_across_machines(pe: Run, store: FolderStore, tmp_path: Path) -> None:
    digest = publish_validated(store, tmp_path)
    alone = pe("promote us/data --key alice", code=1)
    assert "needs 2 signature(s) of different keys, found 1" in alone
    said = pe("promote us/data --key alice --out {here}/nomination.json")
    assert f"sha256:{digest}" in said
    assert "validation passed, 1 file(s) (structural: 1 passed)" in said
    early = pe("promote --publish {here}/nomination.json", code=1)
    assert "found 1" in early
    before = parse_signed((tmp_path / "nomination.json").read_bytes(), what="x")
    shown = pe("sign {here}/nomination.json --key bob --yes", on="bob")
    assert f"artifact     sha256:{digest}" in shown
    assert "nomination   us/data@next, version 1, namespace local" in shown
    after = parse_signed((tmp_path / "nomination.json").read_bytes(), what="x")
    assert after.document.body == before.document.body
    assert "has signed this document already" in pe("sign {here}/nomination.json --key bob --yes", on="bob", code=1)
    published = json.loads(pe("promote --publish {here}/nomination.json --json"))
    assert published["artifact_sha256"] == digest
    assert len(published["signed_by"]) == 2
    assert "version 1" in pe("promote --publish {here}/nomination.json")  # again changes nothing
    assert json.loads(pe("channel show us/data --channel next --json"))["signed_by"] == published["signed_by"]
    assert pe("ensure pe-data://us/data@next").strip().endswith(".h5")
    assert read_next(store, "us", "data").pointer.claimed().version == 1
    publish_validated(store, tmp_path, salt="newer")
    said = pe("promote us/data --key alice --out {here}/newer.json")
    assert "since the last nomination:" in said
    assert "1 file: 1 changed" in said
    pe("sign {here}/newer.json --key bob --yes", on="bob")
    pe("promote --publish {here}/newer.json")
    assert "stale" in pe("staleness --country us", code=1)  # against what this machine used of @next


def test_signing_asks_and_takes_no_for_an_answer(
    pe: Run, store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_validated(store, tmp_path)
    pe("promote us/data --key alice --out {here}/nomination.json")
    before = (tmp_path / "nomination.json").read_bytes()
    monkeypatch.setattr("sys.stdin", (tmp_path / "no").open("w+"))
    pe("sign {here}/nomination.json --key bob", on="bob", code=130)
    assert (tmp_path / "nomination.json").read_bytes() == before


def test_two_people_rotate_across_machines(pe: Run, tmp_path: Path) -> None:
    alone = pe("root rotate --key alice", code=1)
    assert "expected 2 signature(s) by keys of the old root, found 1" in alone
    said = pe("root rotate --role next-us=alice --key alice --out {here}/root.proposal")
    assert "still needed: 1 of the 2 signatures" in said
    assert "next-us    1 of 1" in pe("sign {here}/root.proposal --key bob --yes", on="bob")
    pe("root publish {here}/root.proposal")
    shown = json.loads(pe("root show --json"))
    assert shown["version"] == 2
    assert shown["roles"]["next-us"]["threshold"] == 1
    assert shown["roles"]["root"]["threshold"] == 2
    assert "trust root version 2" in pe("root verify")


def test_the_exported_anchor_has_a_floor(pe: Run, store: FolderStore, tmp_path: Path) -> None:
    publish_validated(store, tmp_path)
    pe("promote us/data --key alice --out {here}/n.json")
    pe("sign {here}/n.json --key bob --yes", on="bob")
    pe("promote --publish {here}/n.json")
    pe("root export {here}/shipped")
    floor = json.loads((tmp_path / "shipped" / "floor.json").read_bytes())
    assert floor == {"schema_version": 1, "version": 1, "channels": {"us/data": 1}}
    assert (tmp_path / "shipped" / "root.json").read_bytes() == (tmp_path / "anchor" / "root.json").read_bytes()


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("promote us/data", 2, "with which --key"),
        ("promote us/nothing --key alice", 1, "not"),
        ("promote us/data --key alice --from latest7", 2, "expected latest or sha256:DIGEST"),
        ("promote us/data --key alice --expires soon", 2, "expected a time such as 30d"),
        ("promote us/data --key alice --expires 0d", 1, "expires: expected between"),
        ("promote us/data --key nobody", 1, "expected a name in"),
        ("root init --key alice", 2, "say who holds the root"),
        ("root init --role root=alice:3 --key alice", 1, "expected a threshold from 1 to the number of its keys"),
        ("root init --role root=alice --role what-us=alice --key alice", 1, "expected PURPOSE-COUNTRY"),
        ("root init --role root --key alice", 2, "expected ROLE=KEY"),
        ("root init --role root=alice --key alice", 1, "another person published"),
        ("root rotate --remove 0000 --key alice", 1, "expected a name in"),
        ("root rotate --replace alice --key alice", 2, "expected OLD=NEW"),
        ("sign {here}/anchor/root.json --key alice --yes", 1, "payloadType"),
    ],
)
def test_mistakes_are_told_in_one_line(
    pe: Run, store: FolderStore, tmp_path: Path, line: str, code: int, message: str
) -> None:
    publish_validated(store, tmp_path)
    said = pe(line, code=code)
    assert message in said
    assert "Traceback" not in said


# --- what was validated -----------------------------------------------------------------------


def write_areas(folder: Path, **statuses: str) -> None:
    import h5py
    import numpy as np

    for number, (name, status) in enumerate(statuses.items()):
        path = folder / "areas" / f"{name}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            for column in ("person_id", "household_id", "age"):
                file.create_dataset(f"{column}/2024", data=np.arange(3) + number)
        for level, outcome in (("structural", "passed"), ("targets", status)):
            record = folder / "records" / level / f"{name}.json"
            record.parent.mkdir(parents=True, exist_ok=True)
            record.write_text(
                validation_record(sha256_file(path), level=level, status=outcome, published=outcome != "error")
            )


def test_a_folder_with_its_records_can_be_nominated(pe: Run, store: FolderStore, tmp_path: Path) -> None:
    """A file that fails where the policy only warns is counted, and does not stand in the way."""
    write_areas(tmp_path, AL="passed", AK="failed")
    pe("publish {here}/areas us/areas_2024 --licence CC0-1.0 --run-id r1")
    assert "found none" in pe("promote us/areas_2024 --key alice --out {here}/n.json", code=1)
    pe("publish {here}/areas us/areas_2024 --licence CC0-1.0 --run-id r1 --validation {here}/records")
    body = read(store, "us", "areas_2024").body
    assert body.version == 2  # the same members, and now with what was checked of them
    raw = store.get(collection_key("us", body.artifact_sha256)).data
    validation = Collection.from_bytes(raw, what="x").validation
    assert validation is not None
    assert validation.status == "passed"
    assert validation.levels == {"structural": {"passed": 2}, "targets": {"failed": 1, "passed": 1}}
    assert "nothing to do" in pe(
        "publish {here}/areas us/areas_2024 --licence CC0-1.0 --run-id r2 --validation {here}/records"
    )
    said = pe("promote us/areas_2024 --key alice --out {here}/n.json")
    assert "targets: 1 failed, 1 passed" in said


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [("error", 0, "found validation failed"), ("skipped", 0, "targets: 1 passed, 1 skipped")],
)
def test_what_blocks_or_was_skipped(pe: Run, tmp_path: Path, status: str, code: int, message: str) -> None:
    write_areas(tmp_path, AL="passed", AK=status)
    pe("publish {here}/areas us/areas_2024 --licence CC0-1.0 --run-id r1 --validation {here}/records")
    said = pe("promote us/areas_2024 --key alice --out {here}/n.json", code=1 if status == "error" else 0)
    assert message in said


def test_records_of_other_files_are_refused(pe: Run, tmp_path: Path) -> None:
    write_areas(tmp_path, AL="passed", AK="passed")
    records = tmp_path / "records" / "structural"
    (records / "AL.json").write_bytes((records / "AK.json").read_bytes())
    said = pe("publish {here}/areas us/areas_2024 --licence CC0-1.0 --run-id r1 --validation {here}/records", code=1)
    assert "found one of sha256" in said
    (records / "AL.json").write_text("{}")
    assert "schema_version" in pe(
        "publish {here}/areas us/areas_2024 --licence CC0-1.0 --run-id r1 --validation {here}/records", code=1
    )
    for path in (tmp_path / "records").rglob("AL.json"):
        path.unlink()
    said = pe("publish {here}/areas us/areas_2024 --licence CC0-1.0 --run-id r1 --validation {here}/records", code=1)
    assert "AL: expected a validation record, found none" in said


def test_everything_skipped_is_not_passed(tmp_path: Path) -> None:
    from pe_data.documents.validation import from_records

    path = tmp_path / "record.json"
    digest = sha256_file(Path(__file__))
    path.write_text(validation_record(digest, status="skipped"))
    assert from_records({"a": (digest, [path])}).status == "skipped"
    path.write_text(validation_record(digest, published=False))
    assert from_records({"a": (digest, [path])}).status == "failed"


def test_validation_reads_back_in_manifest_and_collection(store: FolderStore, tmp_path: Path) -> None:
    from pe_data.documents.encoding import unpack
    from pe_data.documents.manifest import Manifest
    from pe_data.names.keys import manifest_key

    digest = publish_validated(store, tmp_path)
    plain = unpack(store.get(manifest_key("us", digest)).data, "x")
    manifest = Manifest.from_bytes(plain)
    assert manifest.validation == VALIDATION
    assert manifest.schema_version == "1.1"
    assert manifest.to_bytes() == plain
    collection = Collection("us", "areas", "r1", {}, VALIDATION)
    assert Collection.from_bytes(collection.to_bytes(), what="x") == collection
    older = Collection("us", "areas", "r1", {})
    assert b"validation" not in older.to_bytes()
    assert Collection.from_bytes(older.to_bytes(), what="x") == older
    assert channel_key("us", "areas", "next").endswith("/next.json")
