"""Moving bytes: resume, ranges, many processes, and a process that is killed at any step."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import fetch_helpers
import forked
import pytest
from fetch_helpers import Fault, WebServer
from storage_helpers import NOW, make_item

import pe_data
from pe_data.cache.entries import Cache
from pe_data.cache.fetch import Tuning, Wanted, fetch
from pe_data.cache.partial import PART_BYTES, Partial
from pe_data.errors import FetchError
from pe_data.names.digests import sha256_bytes, sha256_file
from pe_data.store.folder import FolderStore
from pe_data.store.object_source import StoreSource
from pe_data.store.web_source import WebSource
from pe_data.write.publish import publish_artifact

SIZE = 3 * PART_BYTES + 12_345
PATIENT = Tuning(pause_seconds=0.01)
PARALLEL = Tuning(parallel_from=1, solo_seconds=0, connections=3, span_parts=1, pause_seconds=0.01)


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """A file of three parts and a bit, whose bytes differ everywhere."""
    folder = tmp_path_factory.mktemp("big")
    block = b"".join(i.to_bytes(4, "big") for i in range(1 << 16))
    data = b"".join(bytes([n]) + block for n in range(SIZE // len(block) + 1))[:SIZE]
    (folder / "big.h5").write_bytes(data)
    return folder


@pytest.fixture
def wanted(big):
    return Wanted(sha256_file(big / "big.h5"), "h5", SIZE, "the big file")


@pytest.fixture
def server(big) -> Iterator[WebServer]:
    with WebServer(big) as running:
        yield running


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def web(server):
    return WebSource(f"{server.url}/big.h5", server.url)


@pytest.mark.parametrize("tuning", [PATIENT, PARALLEL])
def test_whole(server, cache, wanted, tuning):
    seen = []
    got = fetch(cache, wanted, [web(server)], tuning=tuning, progress=lambda *now: seen.append(now))
    assert sha256_file(got.path) == wanted.sha256
    assert seen[-1] == (SIZE, SIZE)
    ranged = [r for _, r in server.asked if r.startswith("bytes=") and r != "bytes=0-0"]
    assert len(ranged) == (4 if tuning is PARALLEL else 0)


def test_one_connection_that_is_slow_gets_help(server, cache, wanted):
    slow = Tuning(parallel_from=1, solo_seconds=1e-9, connections=2, span_parts=1)
    got = fetch(cache, wanted, [web(server)], tuning=slow)
    assert sha256_file(got.path) == wanted.sha256
    spans = sorted(r for _, r in server.asked if r and r != "bytes=0-0")
    assert server.asked[0][1] == ""
    assert len(spans) == 3
    assert f"bytes={PART_BYTES}-{2 * PART_BYTES - 1}" in spans


@pytest.mark.parametrize("tuning", [PATIENT, PARALLEL])
def test_no_ranges(big, cache, wanted, tuning):
    with WebServer(big, ranges=False) as server:
        got = fetch(cache, wanted, [web(server)], tuning=tuning)
    assert sha256_file(got.path) == wanted.sha256


def test_ranges_that_lie_are_found_out(server, cache, wanted):
    server.faults["big.h5"] = Fault("lying")
    with pytest.raises(FetchError, match=f"expected sha256 {wanted.sha256}, found sha256"):
        fetch(cache, wanted, [web(server)], tuning=PARALLEL)
    assert not list(cache.root.glob("artifacts/??/*"))


def test_a_broken_connection_goes_on_where_it_was(server, cache, wanted):
    server.faults["big.h5"] = Fault("cut", times=2, at=PART_BYTES + 1000)
    got = fetch(cache, wanted, [web(server)], tuning=PATIENT)
    assert sha256_file(got.path) == wanted.sha256
    assert [r for _, r in server.asked] == ["", f"bytes={PART_BYTES}-", f"bytes={2 * PART_BYTES}-"]


def test_a_later_call_goes_on_where_the_first_was(server, cache, wanted):
    server.faults["big.h5"] = Fault("cut", at=PART_BYTES + 1000)
    with pytest.raises(FetchError, match="found the end after"):
        fetch(cache, wanted, [web(server)], tuning=Tuning(attempts=1))
    server.faults.clear()
    server.asked.clear()
    got = fetch(cache, wanted, [web(server)], tuning=PATIENT)
    assert sha256_file(got.path) == wanted.sha256
    assert [r for _, r in server.asked] == [f"bytes={PART_BYTES}-"]
    assert not list(cache.root.glob("partial/*"))


def test_another_mirror_goes_on_with_the_bytes_of_the_first(big, server, cache, wanted):
    server.faults["big.h5"] = Fault("cut", at=PART_BYTES + 1000)
    with WebServer(big) as second:
        got = fetch(cache, wanted, [web(server), web(second)], tuning=Tuning(attempts=1))
        assert [r for _, r in second.asked] == [f"bytes={PART_BYTES}-"]
    assert got.source == second.url
    assert [s.source for s in got.skipped] == [server.url]
    assert sha256_file(got.path) == wanted.sha256


def test_wrong_bytes_of_a_broken_mirror_do_not_spoil_a_good_one(big, server, cache, wanted):
    server.faults["big.h5"] = Fault("other", times=1)

    class Breaks(WebSource):
        def open(self, start, end=None):
            body = super().open(start, end)
            left = [PART_BYTES + 5]
            read = body.readinto

            def readinto(buffer):
                if left[0] <= 0:
                    return 0
                count = read(buffer[: left[0]])
                left[0] -= count
                return count

            body.readinto = readinto
            return body

    with WebServer(big) as second:
        bad = Breaks(f"{server.url}/big.h5", server.url)
        got = fetch(cache, wanted, [bad, web(second)], tuning=Tuning(attempts=1))
        assert [r for _, r in second.asked] == [f"bytes={PART_BYTES}-", ""]
    assert sha256_file(got.path) == wanted.sha256


def test_bytes_that_were_hashed_are_never_written_again(big, server, cache, wanted):
    """The first mirror breaks off inside a part, the second has a wrong byte just there."""
    server.faults["big.h5"] = Fault("cut", at=PART_BYTES + 1000)
    with WebServer(big) as second:
        second.faults["big.h5"] = Fault("flip", at=PART_BYTES + 10)
        with pytest.raises(FetchError, match=f"expected sha256 {wanted.sha256}, found sha256"):
            fetch(cache, wanted, [web(server), web(second)], tuning=Tuning(attempts=1))
    assert not list(cache.root.glob("artifacts/??/*"))


def test_parts_that_are_there_are_never_written_again(server, cache, wanted):
    """Part 1 is there and right; the stream that fills part 0 has a wrong byte in part 1."""
    data = (server.folder / "big.h5").read_bytes()
    with Partial(cache.partial(wanted.sha256, "h5"), SIZE) as partial:
        partial.write(memoryview(data)[PART_BYTES : 2 * PART_BYTES], PART_BYTES)
        partial.complete(1)
    server.faults["big.h5"] = Fault("flip", at=PART_BYTES + 10)
    got = fetch(cache, wanted, [web(server)], tuning=PATIENT)
    assert sha256_file(got.path) == wanted.sha256


def test_through_a_store(big, cache, wanted, tmp_path):
    key = f"us/{wanted.sha256[:2]}/{wanted.sha256}.h5"
    (tmp_path / "s" / key).parent.mkdir(parents=True)
    (tmp_path / "s" / key).symlink_to(big / "big.h5")
    store = FolderStore(tmp_path / "s")
    got = fetch(cache, wanted, [StoreSource(store, key, "s")], tuning=PARALLEL)
    assert sha256_file(got.path) == wanted.sha256


def test_an_empty_file(tmp_path, cache):
    (tmp_path / "empty.h5").write_bytes(b"")
    with WebServer(tmp_path) as server:
        wanted = Wanted(sha256_bytes(b""), "h5", 0, "nothing")
        got = fetch(cache, wanted, [WebSource(f"{server.url}/empty.h5", server.url)])
    assert got.path.stat().st_size == 0


def test_partial_keeps_only_marked_parts(tmp_path):
    path = tmp_path / "x.h5.part"
    with Partial(path, SIZE) as partial:
        partial.write(memoryview(b"a" * PART_BYTES), PART_BYTES)
        partial.complete(1)
        assert partial.prefix == 0
        assert partial.missing(8) == [(0, PART_BYTES), (2 * PART_BYTES, SIZE)]
    with Partial(path, SIZE) as partial:
        assert partial.resumed
        assert partial.missing(1) == [
            (0, PART_BYTES),
            (2 * PART_BYTES, 3 * PART_BYTES),
            (3 * PART_BYTES, SIZE),
        ]
    with Partial(path, PART_BYTES) as partial:  # the file is longer than the whole: not ours
        assert not partial.resumed


def test_web_body_says_what_it_is(server):
    with closing(web(server).open(10, 20)) as body:
        assert (body.start, body.total) == (10, SIZE)
    assert web(server).supports_ranges()


# --- processes --------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path):
    """A store with one artifact, and its pinned address."""
    item = make_item(tmp_path, "whole", b"\x89HDF" + bytes(300_000), dataset="cps_2024")
    report = publish_artifact(FolderStore(tmp_path / "store"), item, now=NOW)
    return tmp_path / "store", f"pe-data://us/cps_2024@sha256:{report.artifact_sha256}"


def test_24_processes_download_once(small, tmp_path):
    folder, uri = small
    with WebServer(folder) as server:
        arguments = (server.url, str(tmp_path / "cache"), uri)
        with ThreadPoolExecutor(24) as pool:
            results = list(pool.map(lambda _: forked.run(fetch_helpers.main, *arguments), range(24)))
    assert {ended.returncode for ended in results} == {0}
    assert len({ended.stdout for ended in results}) == 1
    assert server.gets[f"us/{uri[-64:-62]}/{uri[-64:]}.h5"] == 1


def test_24_threads_download_once(small, tmp_path):
    folder, uri = small
    found = []
    with WebServer(folder) as server:

        def get():
            found.append(pe_data.ensure(uri, store=server.url, cache=tmp_path / "cache"))

        threads = [threading.Thread(target=get) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 24
    assert len(set(found)) == 1
    assert server.gets[f"us/{uri[-64:-62]}/{uri[-64:]}.h5"] == 1


STEPS = ["locked", "partial-opened", "body-done", "verified", "synced", "renamed", "stamped"]


@pytest.mark.parametrize("step", STEPS)
def test_kill_at_every_step(small, tmp_path, step):
    folder, uri = small
    cache = tmp_path / "cache"
    arguments = (str(folder), str(cache), uri)
    assert forked.run(fetch_helpers.main, *arguments, step).returncode == -9
    for path in cache.glob("artifacts/??/*.h5"):
        assert sha256_file(path) == path.stem
    again = forked.run(fetch_helpers.main, *arguments)
    assert again.returncode == 0, again.stderr
    path = Path(again.stdout.strip())
    assert sha256_file(path) == uri[-64:]
    assert pe_data.ensure(uri, cache=cache, offline=True) == path
    assert not list(cache.glob("partial/*.part"))


@pytest.mark.parametrize("times", [1, 3])
def test_kill_between_parts_goes_on_with_what_is_there(big, tmp_path, times):
    digest = sha256_file(big / "big.h5")
    cache = tmp_path / "cache"
    with WebServer(big) as server:
        uri = f"{server.url}/big.h5#sha256={digest}"
        arguments = ("none", str(cache), uri)
        assert forked.run(fetch_helpers.main, *arguments, "part-written", times).returncode == -9
        server.asked.clear()
        again = forked.run(fetch_helpers.main, *arguments)
    assert sha256_file(Path(again.stdout.strip())) == digest
    assert server.asked[-1][1] == f"bytes={times * PART_BYTES}-"


def test_memory_does_not_grow_with_the_file(tmp_path):
    program = (
        "import resource, sys\n"
        "from fetch_helpers import main\n"
        "main(*sys.argv[1:])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    peaks = []
    with WebServer(tmp_path) as server:
        for megabytes in (1, 100):
            data = bytes(megabytes << 20)
            (tmp_path / "f.h5").write_bytes(data)
            uri = f"{server.url}/f.h5#sha256={sha256_bytes(data)}"
            result = subprocess.run(
                [sys.executable, "-c", program, "none", str(tmp_path / "cache"), uri],
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
                cwd=Path(__file__).parent,
            )
            peaks.append(int(result.stdout.split()[-1]))
    assert peaks[1] - peaks[0] < 20, peaks
