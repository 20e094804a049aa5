"""One contract for every backend: each class below inherits all of it.

`StoreContract` is what any store does for a reader; `WritableStoreContract` adds creating,
swapping and ten writers on one channel. Backends that were not run are named in
docs/storage-operations.md (GCS: no emulator that the client can drive).
"""

import hashlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from storage_helpers import at_time

from pe_data.errors import (
    ConflictError,
    DigestMismatchError,
    InvalidDocumentError,
    InvalidNameError,
    ListingNotSupportedError,
    ObjectExistsError,
    ObjectNotFoundError,
    PeDataError,
    StoreError,
    StoreUnavailableError,
    VersionMismatchError,
)
from pe_data.names.digests import Sha256, sha256_bytes
from pe_data.names.keys import PROBE_KEY, channel_key, collection_key, manifest_key, payload_key
from pe_data.read.channels import history, list_channels, read
from pe_data.store.base import LocalFile, Store, Timeouts, VersionToken
from pe_data.store.folder import FolderStore
from pe_data.store.objects import ObjectStore, memory_store
from pe_data.store.opening import open_store
from pe_data.store.probe import probe_conditional_writes
from pe_data.write.channels import move

KEYS = {"region": "us-east-1", "access_key_id": "x", "secret_access_key": "x"}
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def sha(text: str) -> Sha256:
    return sha256_bytes(text.encode())


def fresh_key(extension: str = "h5") -> str:
    return payload_key("us", sha(uuid.uuid4().hex), extension)


class StoreContract:
    """What every store, also a read-only one, does; who inherits it has a fixture ``store``."""

    @pytest.fixture
    def origin(self, store: Store) -> Store:
        """Where the test puts what `store` then reads."""
        return store

    def test_get_returns_bytes_size_and_key(self, store: Store, origin: Store) -> None:
        key = fresh_key()
        origin.put_create(key, b"0123456789")
        document = store.get(key)
        assert document.data == b"0123456789"
        assert document.meta.size == 10
        assert document.meta.key == key
        assert document.meta.modified.tzinfo is not None

    def test_head_agrees_with_get(self, store: Store, origin: Store) -> None:
        key = fresh_key()
        origin.put_create(key, b"x" * 1000)
        assert store.head(key) == store.get(key).meta
        assert store.exists(key)

    def test_what_is_not_there_is_named(self, store: Store) -> None:
        key = fresh_key()
        assert not store.exists(key)
        for call in (
            store.get,
            store.head,
            lambda key: store.open(key).read(),
            lambda key: store.open(key, 0, 1).read(),
        ):
            with pytest.raises(ObjectNotFoundError, match=key):
                call(key)

    def test_get_refuses_large_documents(self, store: Store, origin: Store) -> None:
        key = fresh_key()
        origin.put_create(key, b"x" * 1001)
        with pytest.raises(InvalidDocumentError, match="at most 1000 bytes"):
            store.get(key, max_bytes=1000)

    @pytest.mark.parametrize(("start", "length"), [(0, 1), (3, 4), (0, 10), (8, 100), (4, 0)])
    def test_ranges(self, store: Store, origin: Store, start: int, length: int) -> None:
        key = fresh_key()
        data = b"0123456789"
        origin.put_create(key, data)
        with store.open(key, start, length) as body:
            assert body.read() == data[start : start + length]

    @pytest.mark.parametrize("start", [0, 1, 5_000_000, 9_999_999])
    def test_streams_start_where_asked(self, store: Store, origin: Store, start: int) -> None:
        data = os.urandom(1000) * 10_000
        key = fresh_key()
        origin.put_create(key, data)
        with store.open(key, start) as body:
            assert body.total == len(data)
            assert body.start == start
            assert body.read() == data[start:]

    def test_empty_objects(self, store: Store, origin: Store) -> None:
        key = fresh_key()
        origin.put_create(key, b"")
        assert store.get(key).data == b""
        assert store.open(key).read() == b""

    def test_a_pointer_is_read(self, store: Store, origin: Store) -> None:
        dataset = f"d{uuid.uuid4().hex}"
        advance(origin, dataset, "a")
        assert read(store, "us", dataset).body.artifact_sha256 == sha("a")


class ReadOnlyStoreContract(StoreContract):
    """What only serves refuses everything else by name."""

    def test_writes_are_refused(self, store: Store, tmp_path: Path) -> None:
        key = fresh_key()
        token = None
        calls = [
            lambda: store.put_create(key, b""),
            lambda: store.put_create(key, LocalFile(tmp_path / "x", sha(""))),
            lambda: store.put_swap(key, b"", token),  # type: ignore[arg-type]
            lambda: store.delete(key),
            lambda: probe_conditional_writes(store),
        ]
        for call in calls:
            with pytest.raises(StoreError, match=store.url):
                call()
        assert not store.writable

    def test_listing_is_refused(self, store: Store) -> None:
        assert not store.listable
        with pytest.raises(ListingNotSupportedError, match="cannot list"):
            list(store.list(""))


class WritableStoreContract(StoreContract):
    """Create-only, compare-and-swap, listing, and what channels need of them."""

    def test_create_twice(self, store: Store) -> None:
        key = fresh_key()
        store.put_create(key, b"first")
        with pytest.raises(ObjectExistsError, match=key):
            store.put_create(key, b"second")
        assert store.get(key).data == b"first"

    def test_create_from_file(self, store: Store, tmp_path: Path) -> None:
        path = tmp_path / "file.h5"
        path.write_bytes(os.urandom(3_000_000))
        digest = Sha256(hashlib.sha256(path.read_bytes()).hexdigest())
        key = payload_key("us", digest, "h5")
        store.put_create(key, LocalFile(path, digest))
        assert store.get(key).data == path.read_bytes()
        with pytest.raises(ObjectExistsError, match=key):
            store.put_create(key, LocalFile(path, digest))

    def test_a_file_that_changed_is_not_stored(self, store: Store, tmp_path: Path) -> None:
        path = tmp_path / "file.h5"
        path.write_bytes(b"changed")
        key = payload_key("us", sha("hashed"), "h5")
        with pytest.raises(DigestMismatchError, match=r"file\.h5.*changed after it was hashed"):
            store.put_create(key, LocalFile(path, sha("hashed")))
        assert not store.exists(key)

    def test_swap(self, store: Store) -> None:
        key = channel_key("us", f"d{uuid.uuid4().hex}", "latest")
        first = store.put_create(key, b"1")
        second = store.put_swap(key, b"2", first)
        assert store.get(key).data == b"2"
        assert store.head(key).token == second
        with pytest.raises(VersionMismatchError, match=key):
            store.put_swap(key, b"3", first)
        assert store.get(key).data == b"2"

    def test_swap_with_the_token_of_a_read(self, store: Store) -> None:
        key = channel_key("us", f"d{uuid.uuid4().hex}", "latest")
        store.put_create(key, b"1")
        store.put_swap(key, b"2", store.get(key).meta.token)
        store.put_swap(key, b"3", store.head(key).token)
        assert store.get(key).data == b"3"

    def test_swap_of_a_deleted_object(self, store: Store) -> None:
        key = channel_key("us", f"d{uuid.uuid4().hex}", "latest")
        token = store.put_create(key, b"1")
        store.delete(key)
        with pytest.raises(VersionMismatchError, match=key):
            store.put_swap(key, b"2", token)
        assert not store.exists(key)

    @pytest.mark.parametrize("key", ["../x", "us/../../x", "/x", "us//x", ""])
    def test_keys_that_leave_the_store(self, store: Store, key: str) -> None:
        """`layout` never makes such a key; a store refuses it all the same, or keeps it inside."""
        calls = [
            lambda: store.put_create(key, b"x"),
            lambda: store.get(key),
            lambda: store.put_swap(key, b"x", VersionToken("1", None)),
        ]
        for call in calls:
            with suppress(PeDataError):
                call()
        assert {meta.key for meta in store.list("")} <= {"x", "us/x"}

    def test_delete_twice(self, store: Store) -> None:
        key = fresh_key()
        store.put_create(key, b"x")
        store.delete(key)
        store.delete(key)
        assert not store.exists(key)

    def test_list(self, store: Store) -> None:
        digest = sha(uuid.uuid4().hex)
        keys = {
            payload_key("us", digest, "h5"): b"payload",
            manifest_key("us", digest): b"{}",
            collection_key("uk", digest): b"{ }",
            channel_key("us", "listed", "latest"): b"[]",
        }
        for key, data in keys.items():
            store.put_create(key, data)
        sizes = {meta.key: meta.size for meta in store.list("")}
        assert {key: sizes[key] for key in keys} == {key: len(data) for key, data in keys.items()}
        assert {meta.key for meta in store.list("uk/")} == {collection_key("uk", digest)}
        assert [meta.key for meta in store.list("channels/us/listed/")] == [channel_key("us", "listed", "latest")]
        assert list(store.list("channels/us/list/")) == []

    def test_probe_passes_again_and_again(self, store: Store) -> None:
        probe_conditional_writes(store)
        probe_conditional_writes(store)
        assert [meta.key for meta in store.list("")] == [PROBE_KEY]
        assert list(list_channels(store)) == []

    def test_a_channel_keeps_its_history(self, store: Store) -> None:
        for name in ("a", "b", "a"):
            assert advance(store, "d", name)
        assert not advance(store, "d", "a"), "the channel stands there already"
        chain = list(history(store, "us", "d"))
        assert [(p.body.version, p.body.artifact_sha256) for p in chain] == [
            (3, sha("a")),
            (2, sha("b")),
            (1, sha("a")),
        ]
        assert chain[0].body.prev == chain[1].sha256
        assert len({p.sha256 for p in chain}) == 3, "A → B → A is three documents"

    def test_an_expected_version_is_kept_to(self, store: Store) -> None:
        advance(store, "d", "a", expected_version=0)
        with pytest.raises(ConflictError, match="expected to write version 1"):
            advance(store, "d", "b", expected_version=0)
        advance(store, "d", "b", expected_version=1)

    def test_writing_again_makes_an_object_young(self, store: Store, tmp_path: Path) -> None:
        key, path = fresh_key(), tmp_path / "file"
        path.write_bytes(b"x")
        store.put_again(key, b"x")
        assert store.get(key).data == b"x", "it is there afterwards, also if it was deleted"
        seen = store.head(key)
        store.put_again(key, LocalFile(path, sha256_bytes(b"x")))
        assert store.head(key).modified >= seen.modified
        with pytest.raises(DigestMismatchError):
            store.put_again(key, LocalFile(path, sha("other")))
        assert store.get(key).data == b"x"

    def test_what_was_written_again_is_not_deleted(self, store: Store) -> None:
        key = fresh_key()
        store.put_create(key, b"x")
        seen = store.head(key)
        assert not store.delete_unchanged(replace(seen, modified=seen.modified - timedelta(hours=1)))
        assert store.exists(key)
        assert store.delete_unchanged(seen)
        assert not store.exists(key)
        assert store.delete_unchanged(seen), "gone is gone"

    def test_ten_writers_on_one_channel(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        writers, wins_each = 10, 3
        barrier = threading.Barrier(writers)  # everybody has read, nobody has written
        met = threading.local()

        def meeting(write: Callable[..., VersionToken]) -> Callable[..., VersionToken]:
            def wrapped(key: str, *rest: Any) -> VersionToken:
                if key == channel_key("us", "contested", "latest") and not hasattr(met, "once"):
                    met.once = True
                    barrier.wait()
                return write(key, *rest)

            return wrapped

        monkeypatch.setattr(store, "put_create", meeting(store.put_create))
        monkeypatch.setattr(store, "put_swap", meeting(store.put_swap))

        def write(writer: int) -> tuple[list[Sha256], int]:
            won: list[Sha256] = []
            told = 0
            while len(won) < wins_each:
                name = f"{writer}-{len(won)}-{told}"
                try:
                    assert advance(store, "contested", name)
                    won.append(sha(name))
                except ConflictError:
                    told += 1
            return won, told

        with ThreadPoolExecutor(writers) as pool:
            outcomes = list(pool.map(write, range(writers)))
        chain = list(history(store, "us", "contested"))
        assert [p.body.version for p in chain] == list(range(writers * wins_each, 0, -1))
        assert sorted(p.body.artifact_sha256 for p in chain) == sorted(digest for won, _ in outcomes for digest in won)
        assert sum(told for _, told in outcomes) >= writers - 1


def advance(
    store: Store,
    dataset: str,
    name: str,
    *,
    expected_version: int | None = None,
) -> bool:
    """Move `latest` to the artifact `sha(name)`."""
    return at_time(
        NOW,
        move,
        store,
        "us",
        dataset,
        artifact_sha256=sha(name),
        manifest_sha256=sha(f"manifest of {name}"),
        namespace="test",
        expected_version=expected_version,
    ).moved


class TestFolder(WritableStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return open_store(str(tmp_path / "store"))

    def test_reading_does_not_create_the_folder(self, store: Store, tmp_path: Path) -> None:
        assert list(store.list("")) == []
        with pytest.raises(ObjectNotFoundError, match="does not exist"):
            store.get(fresh_key())
        assert not (tmp_path / "store").exists()

    def test_payloads_are_readable_by_others_and_write_protected(self, store: Store, tmp_path: Path) -> None:
        key = fresh_key()
        store.put_create(key, b"x")
        umask = os.umask(0)
        os.umask(umask)
        assert (tmp_path / "store" / key).stat().st_mode & 0o777 == 0o444 & ~umask

    @pytest.mark.parametrize("key", ["../x", "us/../../x", "/x", "us//x", "", "a\\b", "a\nb"])
    def test_keys_are_refused_by_name(self, store: Store, tmp_path: Path, key: str) -> None:
        for call in (lambda: store.put_create(key, b"x"), lambda: store.get(key)):
            with pytest.raises(InvalidNameError, match="not a key of this store"):
                call()
        assert not (tmp_path / "x").exists()

    def test_nothing_stays_in_staging(self, store: Store, tmp_path: Path) -> None:
        store.put_create(fresh_key(), b"x")
        with pytest.raises(DigestMismatchError):
            store.put_create(fresh_key(), LocalFile(Path(__file__), sha("other")))
        assert list((tmp_path / "store" / ".staging").iterdir()) == []


class TestFolderByUrl(TestFolder):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return open_store((tmp_path / "store").as_uri())


class TestMemory(WritableStoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return memory_store()


class TestS3(WritableStoreContract):
    @pytest.fixture
    def store(self, s3_server: dict[str, str], s3_bucket: str) -> Store:
        return open_store(f"s3://{s3_bucket}/some/prefix", options=s3_server)


class TestAzure(WritableStoreContract):
    @pytest.fixture
    def store(self, azure_server: dict[str, str]) -> Store:
        prefix = uuid.uuid4().hex
        return open_store(f"az://test/{prefix}", options=azure_server)


class TestNginx(ReadOnlyStoreContract):
    @pytest.fixture
    def store(self, nginx_url: str) -> Store:
        return open_store(nginx_url)

    @pytest.fixture
    def origin(self, served_folder: Path) -> Store:
        return FolderStore(served_folder)

    def test_ranges_are_recognised(self, store: Store, origin: Store) -> None:
        key = fresh_key()
        origin.put_create(key, b"0123456789")
        assert store.open(key, 1, 2).ranged


class TestPlainHttp(ReadOnlyStoreContract):
    @pytest.fixture
    def store(self, plain_http_url: str) -> Store:
        return open_store(plain_http_url)

    @pytest.fixture
    def origin(self, served_folder: Path) -> Store:
        return FolderStore(served_folder)

    def test_missing_ranges_are_recognised(self, store: Store, origin: Store) -> None:
        key = fresh_key()
        origin.put_create(key, b"0123456789")
        assert not store.open(key, 1, 2).ranged


def test_a_server_that_ignores_conditions_is_refused(s3rver_server: dict[str, str]) -> None:
    store = open_store("s3://test/store", options=s3rver_server)
    with pytest.raises(StoreError, match=r"s3://test/store.*If-None-Match"):
        probe_conditional_writes(store)
    assert list(store.list("")) == []


class HalfConditional(ObjectStore):
    """A server that creates exclusively but swaps blindly."""

    def put_swap(self, key, data, expected):  # type: ignore[no-untyped-def]
        return super().put_swap(key, data, self.head(key).token)


class NeverSwaps(ObjectStore):
    """A server that refuses every swap."""

    def put_swap(self, key, data, expected):  # type: ignore[no-untyped-def]
        raise VersionMismatchError("no")


@pytest.mark.parametrize(("kind", "behaviour"), [(HalfConditional, "that was stale"), (NeverSwaps, "refused 50 swaps")])
def test_the_probe_finds_half_conditional_servers(kind: type, behaviour: str) -> None:
    store = kind(memory_store().client, "memory://half")
    with pytest.raises(StoreError, match=rf"memory://half.*If-Match.*{behaviour}"):
        probe_conditional_writes(store)


def test_a_dead_endpoint_fails_within_the_limits() -> None:
    second = timedelta(seconds=1)
    limits = Timeouts(connect=second, read=second, request=second * 5, retry=second, retries=1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        for url, options in (
            (f"http://127.0.0.1:{port}", {}),
            ("s3://bucket", {"endpoint": f"http://127.0.0.1:{port}", **KEYS}),
        ):
            store = open_store(url, options=options, timeouts=limits)
            began = time.monotonic()
            with pytest.raises(StoreUnavailableError, match="check the address and the network"):
                store.get(fresh_key())
            assert time.monotonic() - began < 10


def test_a_slow_line_can_upload_for_longer_than_the_wait_for_an_answer() -> None:
    size, pause = 4_000_000, 0.02

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(1000)
            left = size - len(head.partition(b"\r\n\r\n")[2])
            while left:
                left -= len(connection.recv(50_000))
                time.sleep(pause)
            connection.sendall(b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: 0\r\n\r\n')

    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        server.bind(("127.0.0.1", 0))
        server.listen()
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        options = {"endpoint": f"http://127.0.0.1:{server.getsockname()[1]}", **KEYS}
        limits = Timeouts(read=timedelta(seconds=0.5), retries=0)
        began = time.monotonic()
        token = open_store("s3://bucket", options=options, timeouts=limits).put_create(fresh_key(), b"x" * size)
        thread.join()
    assert token.e_tag == '"x"'
    assert time.monotonic() - began > 2 * limits.read.total_seconds()


class Generations(BaseHTTPRequestHandler):
    """One object whose writes are conditional on its generation, as the interface of GCS describes it."""

    protocol_version = "HTTP/1.1"
    generation = 0

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status = 200
        if self.command == "PUT":
            if self.headers.get("x-goog-if-generation-match") == str(type(self).generation):
                type(self).generation += 1
            else:
                status = 412
        self.send_response(status)
        self.send_header("ETag", '"the same for every generation"')
        self.send_header("x-goog-generation", str(type(self).generation))
        self.send_header("Last-Modified", "Sat, 31 Jan 2026 12:00:00 GMT")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_PUT = answer

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""


def test_gcs_swaps_on_generation_not_on_etag() -> None:
    """Not the contract, which needs the real service: only what is sent, and how a refusal is read."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Generations) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = {"base_url": f"http://127.0.0.1:{server.server_address[1]}", "bearer_token": "x"}
        store = open_store("gs://bucket/prefix", options=options)
        first = store.put_create("channels/us/d/latest.json", b"1")
        with pytest.raises(ObjectExistsError):
            store.put_create("channels/us/d/latest.json", b"2")
        assert store.head("channels/us/d/latest.json").token == first
        second = store.put_swap("channels/us/d/latest.json", b"2", first)
        assert (first.e_tag, first.version) == (second.e_tag, "1")
        with pytest.raises(VersionMismatchError):
            store.put_swap("channels/us/d/latest.json", b"3", first)
        server.shutdown()
    assert Generations.generation == 2
