"""Moving bytes: resume, ranges, many processes, and a process that is killed at any step."""

import errno
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import fetch_helpers
import forked
import pytest
from fetch_helpers import Fault, WebServer
from storage_helpers import NOW, at_time, make_item

import pe_data
from pe_data.cache import part as part_module
from pe_data.cache.entries import Cache
from pe_data.cache.fetch import Tuning, Wanted, fetch
from pe_data.cache.part import Part
from pe_data.errors import CacheError, FetchError
from pe_data.files import locks
from pe_data.files.atomic import open_own
from pe_data.files.locks import lock_open
from pe_data.files.place import place
from pe_data.names.digests import sha256_bytes, sha256_file
from pe_data.store.byte_source import PIECE_BYTES, Body, Source
from pe_data.store.folder import FolderStore
from pe_data.store.web_source import Web
from pe_data.write.publish import publish_artifact

SPAN = 1 << 20
SIZE = 3 * SPAN + 12_345
PATIENT = Tuning(pause_seconds=0.01)
PARALLEL = Tuning(parallel_from=1, solo_seconds=0, connections=3, span_bytes=SPAN, pause_seconds=0.01)


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
    return source(server, "big.h5")


def source(server, name):
    return Source(server.url, partial(Web().open, f"{server.url}/{name}", server.url))


@pytest.mark.parametrize("tuning", [PATIENT, PARALLEL])
def test_whole(server, cache, wanted, tuning):
    seen = []
    got = fetch(cache, wanted, [web(server)], tuning=replace(tuning, progress=lambda *now: seen.append(now)))
    assert sha256_file(got.path) == wanted.sha256
    assert seen[-1] == (SIZE, SIZE)
    ranged = [r for _, r in server.asked if r.startswith("bytes=")]
    assert len(ranged) == (4 if tuning is PARALLEL else 0)


def test_one_connection_that_is_slow_gets_help(server, cache, wanted):
    slow = Tuning(parallel_from=1, solo_seconds=1e-9, connections=2, span_bytes=SPAN)
    got = fetch(cache, wanted, [web(server)], tuning=slow)
    assert sha256_file(got.path) == wanted.sha256
    spans = sorted(r for _, r in server.asked if r)
    assert server.asked[0][1] == ""
    assert len(spans) == 3
    assert f"bytes={PIECE_BYTES}-{PIECE_BYTES + SPAN - 1}" in spans


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
    server.faults["big.h5"] = Fault("cut", times=2, at=SPAN + 1000)
    got = fetch(cache, wanted, [web(server)], tuning=PATIENT)
    assert sha256_file(got.path) == wanted.sha256
    assert [r for _, r in server.asked] == ["", f"bytes={SPAN + 1000}-", f"bytes={2 * (SPAN + 1000)}-"]


def test_what_broke_off_is_hashed_before_its_buffer_is_filled_again(server, cache, wanted, monkeypatch):
    class Slow:
        def __init__(self) -> None:
            self._inner = hashlib.sha256()

        def update(self, data: memoryview) -> None:
            time.sleep(0.05)
            self._inner.update(data)

        def hexdigest(self) -> str:
            return self._inner.hexdigest()

    monkeypatch.setattr(part_module, "INLINE_BYTES", 0)
    monkeypatch.setattr(part_module, "hashlib", SimpleNamespace(sha256=Slow))
    server.faults["big.h5"] = Fault("cut", times=2, at=SPAN + 1000)
    assert sha256_file(fetch(cache, wanted, [web(server)], tuning=PATIENT).path) == wanted.sha256


def test_a_later_call_goes_on_where_the_first_was(server, cache, wanted):
    server.faults["big.h5"] = Fault("cut", at=SPAN + 1000)
    with pytest.raises(FetchError, match="found the end after"):
        fetch(cache, wanted, [web(server)], tuning=Tuning(attempts=1))
    server.faults.clear()
    server.asked.clear()
    got = fetch(cache, wanted, [web(server)], tuning=PATIENT)
    assert sha256_file(got.path) == wanted.sha256
    assert [r for _, r in server.asked] == [f"bytes={SPAN + 1000}-"]
    assert not list(cache.root.glob("partial/*"))


def test_another_mirror_goes_on_with_the_bytes_of_the_first(big, server, cache, wanted):
    server.faults["big.h5"] = Fault("cut", at=SPAN + 1000)
    with WebServer(big) as second:
        got = fetch(cache, wanted, [web(server), web(second)], tuning=Tuning(attempts=1))
        assert [r for _, r in second.asked] == [f"bytes={SPAN + 1000}-"]
    assert got.source == second.url
    assert [s.source for s in got.skipped] == [server.url]
    assert sha256_file(got.path) == wanted.sha256


def test_wrong_bytes_of_a_broken_mirror_do_not_spoil_a_good_one(big, server, cache, wanted):
    server.faults["big.h5"] = Fault("other", times=1)

    good = web(server)

    def breaks(start=0, length=None, pace=None):
        return Body(good.open(start, SPAN + 5).readinto, total=SIZE, start=start)

    with WebServer(big) as second:
        got = fetch(cache, wanted, [Source("bad", breaks), web(second)], tuning=Tuning(attempts=1))
        assert [r for _, r in second.asked] == [f"bytes={SPAN + 5}-", ""]
    assert sha256_file(got.path) == wanted.sha256


def test_bytes_of_several_mirrors_are_checked_together(big, server, cache, wanted):
    """The first mirror breaks off, the second has a wrong byte just there; alone it would have it too."""
    server.faults["big.h5"] = Fault("cut", at=SPAN + 1000)
    with WebServer(big) as second:
        second.faults["big.h5"] = Fault("flip", at=SPAN + 1010)
        with pytest.raises(FetchError, match=f"expected sha256 {wanted.sha256}, found sha256"):
            fetch(cache, wanted, [web(server), web(second)], tuning=Tuning(attempts=1))
    assert not list(cache.root.glob("artifacts/??/*"))
    assert not list(cache.root.glob("partial/*"))


@pytest.mark.parametrize("left", ["hole", "longer", "other", "whole", "parts"])
def test_whatever_an_earlier_download_left(server, cache, wanted, left):
    """A file with a hole, as an earlier version left it, a longer one, other bytes, all of it."""
    data = bytearray((server.folder / "big.h5").read_bytes())
    if left == "hole":
        data[SPAN : 2 * SPAN] = bytes(SPAN)
    path = cache.partial(wanted.sha256, "h5")
    path.parent.mkdir(parents=True)
    path.write_bytes({"longer": data + b"x", "other": b"o" * 1000, "parts": data[:SPAN]}.get(left, data))
    path.with_suffix(".parts").write_bytes(b"\1")
    got = fetch(cache, wanted, [web(server)], tuning=PATIENT)
    assert sha256_file(got.path) == wanted.sha256
    assert [r for _, r in server.asked] == {"whole": [], "parts": [f"bytes={SPAN}-"]}.get(left, server_asked(left))
    assert not list(cache.root.glob("partial/*"))


def server_asked(left):
    """What is asked for where what was left is of no use."""
    return ["bytes=1000-", ""] if left == "other" else [""]


def test_through_a_store(big, cache, wanted, tmp_path):
    key = f"us/{wanted.sha256[:2]}/{wanted.sha256}.h5"
    (tmp_path / "s" / key).parent.mkdir(parents=True)
    (tmp_path / "s" / key).symlink_to(big / "big.h5")
    store = FolderStore(tmp_path / "s")
    got = fetch(cache, wanted, [store.source(key)], tuning=PARALLEL)
    assert sha256_file(got.path) == wanted.sha256


def test_an_empty_file(tmp_path, cache):
    (tmp_path / "empty.h5").write_bytes(b"")
    with WebServer(tmp_path) as server:
        wanted = Wanted(sha256_bytes(b""), "h5", 0, "nothing")
        got = fetch(cache, wanted, [source(server, "empty.h5")])
    assert got.path.stat().st_size == 0


def test_a_part_goes_on_where_it_was(tmp_path):
    path = tmp_path / "x.h5.part"
    pieces = [bytes([n]) * PIECE_BYTES for n in range(3)] + [b"end"]
    for number, piece in enumerate(pieces):
        with Part(path, most=SIZE) as part:
            assert part.size == number * PIECE_BYTES
            part.append(memoryview(piece))
            assert part.digest() == sha256_bytes(b"".join(pieces[: number + 1]))
    with Part(path, most=PIECE_BYTES) as part:  # longer than the whole: not ours
        assert part.size == 0
        part.append(memoryview(b"new"))
        assert part.digest() == sha256_bytes(b"new")


@pytest.mark.parametrize("ranges", [True, False])
def test_a_body_is_what_was_asked_for(big, ranges):
    data = (big / "big.h5").read_bytes()
    with WebServer(big, ranges=ranges) as server:
        with web(server).open(10, 20) as body:
            assert (body.start, body.total, body.ranged) == (10, SIZE, ranges)
            assert body.read() == data[10:30]
        assert web(server).open(SIZE - 5).read() == data[-5:]
        assert len(web(server).open(0).read(1000)) in range(1001, SIZE)


# --- processes --------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path):
    """A store with one artifact, and its pinned address."""
    item = make_item(tmp_path, "whole", b"\x89HDF" + bytes(300_000), dataset="cps_2024")
    report = at_time(NOW, publish_artifact, FolderStore(tmp_path / "store"), item)
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


def test_a_partial_file_is_its_own_lock(tmp_path):
    """Who waits for it gets a new one when it was completed or given up, and the same when it was left."""
    path, held = tmp_path / "a.part", threading.Event()

    def wait(kept: list[tuple[int, int]]) -> None:
        held.wait()
        with Part(path, lock=True) as part:
            kept.append((part.size, path.stat().st_ino))

    for end in ("left", "renamed", "given up"):
        held.clear()
        path.unlink(missing_ok=True)
        seen: list[tuple[int, int]] = []
        with ThreadPoolExecutor(3) as pool:
            with Part(path, lock=True) as part:
                part.append(memoryview(b"some bytes"))
                tasks = [pool.submit(wait, seen) for _ in range(3)]
                held.set()
                time.sleep(0.05)
                assert seen == [], "they wait"
                if end == "renamed":
                    path.rename(tmp_path / "whole")
                elif end == "given up":
                    part.clear()
            for task in tasks:
                task.result()
        assert {size for size, _ in seen} == {10 if end == "left" else 0}, end
        assert path.exists() == (end == "left")
    assert (tmp_path / "whole").read_bytes() == b"some bytes", "nobody wrote to what was completed"


@pytest.mark.parametrize("trouble", [errno.ENOSYS, None])
def test_where_open_files_cannot_be_locked(small, tmp_path, monkeypatch, trouble):
    """As on some file systems of clusters: a lock file does it."""
    folder, uri = small

    def refuse(*_: object) -> None:
        raise OSError(trouble, "no locks here")

    monkeypatch.setattr(locks, "flock", refuse if trouble else None)
    with WebServer(folder) as server, ThreadPoolExecutor(8) as pool:
        get = partial(pe_data.ensure, uri, store=server.url, cache=tmp_path / "cache")
        found = {task.result() for task in [pool.submit(get) for _ in range(8)]}
        assert server.gets[f"us/{uri[-64:-62]}/{uri[-64:]}.h5"] == 1
    assert [sha256_file(path) for path in found] == [uri[-64:]]


def test_a_lock_that_fails_is_an_error_of_the_cache(small, tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(locks, "flock", refuse)
    with pytest.raises(CacheError, match="Input/output error"):
        pe_data.ensure(small[1], store=small[0], cache=tmp_path / "cache")


@pytest.mark.parametrize("step", [step for step in fetch_helpers.STEPS if step != "piece written"])
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
        assert forked.run(fetch_helpers.main, *arguments, "piece written", times).returncode == -9
        server.asked.clear()
        again = forked.run(fetch_helpers.main, *arguments)
    assert sha256_file(Path(again.stdout.strip())) == digest
    assert server.asked[-1][1] == f"bytes={times * PIECE_BYTES}-"


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


def test_an_interrupt_while_what_is_left_is_hashed_frees_it(tmp_path, monkeypatch):
    path = tmp_path / "a.part"
    path.write_bytes(b"left by an earlier download")

    def interrupt(*_: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as during:
        during.setattr(os, "read", interrupt)
        with pytest.raises(KeyboardInterrupt):
            Part(path, lock=True)
    with path.open("rb+") as file:
        assert lock_open(file.fileno(), path, wait=False)


@pytest.mark.parametrize("end", ["removed", "linked elsewhere"])
def test_another_file_that_has_taken_the_name_is_left_alone(tmp_path, monkeypatch, end):
    """Its owner ends, and a third process makes a new file of that name, between opening the file and looking at it."""
    path, fstat, turns = tmp_path / "a.part", os.fstat, []
    path.write_bytes(b"old")

    def meanwhile(descriptor: int) -> os.stat_result:
        if not turns:
            turns.append(1)
            if end == "removed":
                path.unlink()
            else:
                os.link(path, tmp_path / "out.h5")
                path.rename(tmp_path / "whole.h5")
            path.write_bytes(b"new, of somebody else")
        return fstat(descriptor)

    monkeypatch.setattr(os, "fstat", meanwhile)
    found = open_own(path, 0o666)
    try:
        assert os.read(found, 100) == b"new, of somebody else"
    finally:
        os.close(found)


def test_two_links_of_one_file_leave_no_temporary_name(tmp_path, monkeypatch):
    source, target = tmp_path / "cached.h5", tmp_path / "out" / "a.h5"
    source.write_bytes(b"bytes")
    sha256 = sha256_file(source)
    target.parent.mkdir()
    target.write_bytes(b"other")
    replace = Path.replace

    def after_another(self: Path, to: Path) -> Path:
        to.unlink()
        os.link(source, to)
        return replace(self, to)

    monkeypatch.setattr(Path, "replace", after_another)
    place(source, sha256, target, link=True)
    assert [path.name for path in target.parent.iterdir()] == ["a.h5"]
