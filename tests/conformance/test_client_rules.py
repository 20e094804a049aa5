"""The rules of The Update Framework's client workflow, tried on the client as a process."""

import copy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile

sys.path.insert(0, str(Path(__file__).parent))
from repository import Client, Repository, ends, served


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A client that was given root version 1 and has asked for nothing yet."""
    repository = Repository()
    with served(repository) as url:
        client = Client(repository, url, tmp_path)
        assert client.init() == 0
        assert repository.asked == []
        yield client


def test_init_refresh_download(client: Client) -> None:
    repository = client.repository
    repository.add_target("a/file.txt", b"contents")
    repository.publish_next()
    assert client.refresh() == 0, client.said
    assert {path.name for path in client.metadata.iterdir()} >= {
        "root.json",
        "timestamp.json",
        "snapshot.json",
        "targets.json",
    }
    assert client.version("targets") == 2
    assert client.download("a/file.txt") == 0, client.said
    assert [path.read_bytes() for path in client.downloads.iterdir()] == [b"contents"]
    repository.asked.clear()
    assert client.download("a/file.txt") == 0
    assert not [path for path in repository.asked if path.startswith("targets/")]
    assert client.download("a/other.txt") == 1


def test_every_target_that_is_named_is_asked_for(client: Client) -> None:
    """The suite may name several, and all go through one updater."""
    repository = client.repository
    repository.add_target("a/first.txt", b"first")
    repository.add_target("a/second.txt", b"second")
    repository.publish_next()
    assert client.download("a/first.txt", "a/second.txt") == 0, client.said
    assert sorted(path.read_bytes() for path in client.downloads.iterdir()) == [b"first", b"second"]
    for names in (("a/none.txt", "a/first.txt"), ("a/first.txt", "a/none.txt")):
        assert client.download(*names) == 1
        assert "a/none.txt" in client.said


@pytest.mark.slow
class TestRollback:
    @pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
    def test_an_older_version_is_refused(self, client: Client, role: str) -> None:
        repository = client.repository
        for part in (repository.timestamp, repository.snapshot, repository.targets):
            part.version = 5
        repository.publish()
        assert client.refresh() == 0
        getattr(repository, role).version = 4
        if role != "timestamp":
            repository.timestamp.version = 6
        if role == "targets":
            repository.snapshot.version = 6
        repository.publish()
        assert client.refresh() == 1
        assert "RollbackError" in client.said
        assert client.version(role) == 5

    def test_metadata_that_disappears_from_the_snapshot(self, client: Client) -> None:
        repository = client.repository
        repository.delegate("role1", "targets", ["a/*"])
        repository.publish_next()
        assert client.refresh() == 0
        repository.delegated.clear()
        del repository.snapshot.meta["role1.json"]
        repository.publish_next()
        assert client.refresh() == 1

    def test_a_reset_of_the_keys_recovers_from_a_fast_forward(self, client: Client) -> None:
        """A thief of the online keys pushed versions up; new keys let them start again."""
        repository = client.repository
        repository.timestamp.version = repository.snapshot.version = 99_999
        repository.publish()
        assert client.refresh() == 0
        for role in ("timestamp", "snapshot"):
            old, new = repository.signers[role][0], CryptoSigner.generate_ed25519()
            repository.root.revoke_key(old.public_key.keyid, role)
            repository.root.add_key(new.public_key, role)
            repository.signers[role] = [new]
        repository.next_root()
        repository.timestamp.version = repository.snapshot.version = 3
        repository.publish()
        assert client.refresh() == 0, client.said
        assert client.version("snapshot") == 3


@pytest.mark.slow
class TestFreeze:
    @pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
    def test_what_is_past_its_date_is_refused(self, client: Client, role: str) -> None:
        repository = client.repository
        getattr(repository, role).expires = ends(-1)
        if role == "root":
            repository.next_root()
        repository.publish_next()
        assert client.refresh() == 1
        assert "ExpiredError" in client.said

    def test_an_expired_root_on_the_way_is_passed(self, client: Client) -> None:
        repository = client.repository
        repository.root.expires = ends(-1)
        repository.next_root()
        repository.root.expires = ends()
        repository.next_root()
        assert client.refresh() == 0, client.said
        assert client.version("root") == 3


@pytest.mark.slow
class TestMixAndMatch:
    @pytest.mark.parametrize("role", ["snapshot", "targets"])
    def test_a_version_of_another_time(self, client: Client, role: str) -> None:
        repository = client.repository
        before = repository.files[f"metadata/1.{role}.json"]
        repository.publish_next()
        repository.put(f"2.{role}.json", before)
        assert client.refresh() == 1
        assert "RollbackError" in client.said

    def test_bytes_that_the_timestamp_did_not_hash(self, client: Client) -> None:
        repository = client.repository
        repository.publish_next()
        other = copy.deepcopy(repository.snapshot)
        other.expires = ends(2)
        repository.timestamp.snapshot_meta = MetaFile.from_data(
            2, repository.files["metadata/2.snapshot.json"], ["sha256"]
        )
        repository.put("timestamp.json", repository.signed("timestamp", repository.timestamp))
        repository.put("2.snapshot.json", repository.signed("snapshot", other))
        assert client.refresh() == 1


@pytest.mark.slow
class TestThresholds:
    def test_below_it(self, client: Client) -> None:
        repository = client.repository
        second = CryptoSigner.generate_ed25519()
        repository.root.add_key(second.public_key, "snapshot")
        repository.root.roles["snapshot"].threshold = 2
        repository.next_root()
        repository.publish_next()
        assert client.refresh() == 1
        repository.signers["snapshot"].append(second)
        repository.publish_next()
        assert client.refresh() == 0, client.said

    def test_one_key_under_many_ids(self, client: Client) -> None:
        repository = client.repository
        signer = repository.signers["snapshot"][0]
        for number in range(2):
            shadow = CryptoSigner(signer._private_key, copy.deepcopy(signer.public_key))
            shadow.public_key.keyid = f"shadow-{number}"
            repository.root.add_key(shadow.public_key, "snapshot")
            repository.signers["snapshot"].append(shadow)
        repository.root.roles["snapshot"].threshold = 3
        repository.next_root()
        repository.publish_next()
        assert client.refresh() == 1
        assert "one person could count as two" in client.said
        assert client.version("root") == 1

    def test_a_signature_of_the_right_id_and_another_key(self, client: Client) -> None:
        repository = client.repository
        repository.timestamp.version += 1
        stranger = CryptoSigner.generate_ed25519(repository.signers["timestamp"][0].public_key.keyid)
        repository.put("timestamp.json", repository.signed("timestamp", repository.timestamp, [stranger]))
        assert client.refresh() == 1

    def test_unsigned(self, client: Client) -> None:
        repository = client.repository
        repository.put("timestamp.json", repository.signed("timestamp", repository.timestamp, []))
        assert client.refresh() == 1

    def test_a_key_of_a_kind_that_nobody_knows_does_no_harm(self, client: Client) -> None:
        repository = client.repository
        raw = Metadata(repository.root).to_dict()
        raw["signed"]["version"] = 2
        raw["signed"]["keys"]["odd"] = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "no hex"}}
        root = Metadata.from_dict(raw)
        root.sign(repository.signers["root"][0])
        repository.put("2.root.json", root.to_bytes())
        assert client.refresh() == 0, client.said
        assert client.version("root") == 2


@pytest.mark.slow
class TestRotation:
    def test_a_chain_is_walked_in_one_go(self, client: Client) -> None:
        repository = client.repository
        for _ in range(3):
            old, new = repository.signers["root"][0], CryptoSigner.generate_ed25519()
            repository.root.revoke_key(old.public_key.keyid, "root")
            repository.root.add_key(new.public_key, "root")
            repository.signers["root"] = [new]
            repository.next_root(old)
        assert client.refresh() == 0, client.said
        assert client.version("root") == 4

    @pytest.mark.parametrize("missing", ["old", "new"])
    def test_both_old_and_new_keys_sign(self, client: Client, missing: str) -> None:
        repository = client.repository
        old, new = repository.signers["root"][0], CryptoSigner.generate_ed25519()
        repository.root.revoke_key(old.public_key.keyid, "root")
        repository.root.add_key(new.public_key, "root")
        repository.signers["root"] = [new] if missing == "old" else [old]
        repository.next_root()
        assert client.refresh() == 1
        assert client.version("root") == 1

    @pytest.mark.parametrize("version", [1, 3])
    def test_no_version_is_skipped_or_repeated(self, client: Client, version: int) -> None:
        repository = client.repository
        repository.root.version = version
        repository.put("2.root.json", repository.signed("root", repository.root))
        assert client.refresh() == 1

    @pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
    def test_old_keys_of_another_role_are_refused(self, client: Client, role: str) -> None:
        repository = client.repository
        assert client.refresh() == 0
        old, new = repository.signers[role][0], CryptoSigner.generate_ed25519()
        repository.root.revoke_key(old.public_key.keyid, role)
        repository.root.add_key(new.public_key, role)
        repository.next_root()
        repository.publish_next()
        assert client.refresh() == 1
        repository.signers[role] = [new]
        repository.publish_next()
        assert client.refresh() == 0, client.said


@pytest.mark.slow
class TestLimits:
    def test_a_root_without_an_end(self, client: Client) -> None:
        client.repository.put("2.root.json", client.repository.files["metadata/1.root.json"] + b" " * 600_000)
        assert client.refresh() == 1

    def test_a_snapshot_longer_than_the_timestamp_says(self, client: Client) -> None:
        repository = client.repository
        data = repository.files["metadata/1.snapshot.json"]
        repository.timestamp.version += 1
        repository.timestamp.snapshot_meta = MetaFile(1, length=len(data) - 1)
        repository.put("timestamp.json", repository.signed("timestamp", repository.timestamp))
        assert client.refresh() == 1

    @pytest.mark.parametrize("bend", [lambda data: data + b"x", lambda data: data[:-1], lambda data: data[:-1] + b"X"])
    def test_a_target_of_other_bytes(self, client: Client, bend: Callable[[bytes], bytes]) -> None:
        repository = client.repository
        repository.add_target("file", b"contents")
        repository.publish_next()
        name = next(path for path in repository.files if path.startswith("targets/"))
        repository.files[name] = bend(repository.files[name])
        assert client.download("file") == 1
        assert list(client.downloads.iterdir()) == []

    def test_two_readings_of_one_document(self, client: Client) -> None:
        raw = client.repository.files["metadata/timestamp.json"]
        client.repository.put("timestamp.json", raw.replace(b'"_type"', b'"version": 7, "_type"', 1))
        assert client.refresh() == 1
        assert "stands twice" in client.said


@pytest.mark.slow
class TestDelegations:
    @pytest.fixture
    def delegated(self, client: Client) -> Client:
        repository = client.repository
        repository.delegate("role1", "targets", ["a/*"])
        repository.add_target("a/file", b"of role 1", "role1")
        repository.publish_next()
        return client

    def test_a_target_of_a_delegated_role(self, delegated: Client) -> None:
        assert delegated.download("a/file") == 0, delegated.said

    def test_a_target_outside_its_paths(self, delegated: Client) -> None:
        delegated.repository.add_target("b/file", b"smuggled", "role1")
        delegated.repository.publish_next()
        assert delegated.download("b/file") == 1

    def test_signed_by_somebody_else(self, delegated: Client) -> None:
        repository = delegated.repository
        repository.delegated["role1"].version += 1
        repository.signers["role1"] = [CryptoSigner.generate_ed25519()]
        repository.publish()
        repository.timestamp.version += 1
        repository.snapshot.version += 1
        repository.publish()
        assert delegated.download("a/file") == 1

    def test_expired(self, delegated: Client) -> None:
        delegated.repository.delegated["role1"].expires = ends(-1)
        delegated.repository.publish_next()
        assert delegated.download("a/file") == 1

    def test_a_version_of_another_time(self, delegated: Client) -> None:
        repository = delegated.repository
        before = repository.files["metadata/2.role1.json" if repository.delegated["role1"].version == 2 else ""]
        repository.publish_next()
        repository.put("3.role1.json", before)
        assert delegated.download("a/file") == 1

    def test_what_is_kept_is_checked_again_after_a_change_of_keys(self, delegated: Client) -> None:
        """The copy in the folder was good under the old delegation; under the new one it is not."""
        repository = delegated.repository
        assert delegated.download("a/file") == 0
        old, new = repository.signers["role1"][0], CryptoSigner.generate_ed25519()
        repository.targets.revoke_key(old.public_key.keyid, "role1")
        repository.targets.add_key(new.public_key, "role1")
        for part in (repository.timestamp, repository.snapshot, repository.targets):
            part.version += 1
        repository.publish()
        (next(delegated.downloads.iterdir())).unlink()
        assert delegated.download("a/file") == 1
        repository.signers["role1"] = [new]
        repository.publish_next()
        assert delegated.download("a/file") == 0, delegated.said

    def test_a_role_that_two_roles_delegate_to_is_checked_for_each(self, client: Client) -> None:
        repository = client.repository
        repository.delegate("left", "targets", ["*"])
        repository.delegate("right", "targets", ["*"])
        repository.delegate("shared", "left", ["*"])
        stranger = CryptoSigner.generate_ed25519()
        repository.delegate("shared", "right", ["*"], signer=stranger)
        repository.publish_next()
        assert client.download("nowhere") == 1
        asked = [path for path in repository.asked if "shared" in path]
        assert asked  # looked for under left, then refused under right
        assert "TrustRootError" in client.said


@pytest.mark.slow
def test_clients_at_once_share_a_folder(client: Client) -> None:
    client.repository.publish_next()
    processes = [client.start("refresh") for _ in range(4)]
    assert [process.wait(timeout=60) for process in processes] == [0] * 4
    for process in processes:
        process.communicate()
    assert client.version("targets") == 2
