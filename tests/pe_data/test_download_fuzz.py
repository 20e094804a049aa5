"""Whatever sources do, a fetch ends with the right bytes or an error, and nothing wrong stays."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pe_data.cache import fetch as engine
from pe_data.cache import part
from pe_data.cache.entries import Cache
from pe_data.cache.fetch import Tuning, Wanted, fetch
from pe_data.errors import FetchError, StoreError, StoreUnavailableError
from pe_data.names.digests import sha256_bytes, sha256_file
from pe_data.store.byte_source import Body

PART = 64
DATA = bytes(range(256)) * 3 + b"end"
KINDS = ["good", "cut", "refused", "wrong", "flip", "long", "short", "announce", "from zero"]
TUNING = st.sampled_from(
    [
        Tuning(attempts=2, pause_seconds=0),
        Tuning(attempts=2, pause_seconds=0, parallel_from=1, solo_seconds=0, connections=2, span_bytes=2 * PART),
        Tuning(attempts=1, pause_seconds=0, parallel_from=1, solo_seconds=1e-9, connections=3, span_bytes=PART),
    ]
)


@dataclass
class FakeSource:
    """Behaves once as each of `kinds` says, then always as the last one."""

    name: str
    kinds: list[str]
    at: int
    step: int
    ranges: bool = True
    suffix: str | None = None
    calls: list[int] = field(default_factory=list)

    def open(self, start=0, length=None, pace=None):
        kind = self.kinds[min(len(self.calls), len(self.kinds) - 1)]
        self.calls.append(start)
        data, total, cut = DATA, len(DATA), 10**9
        if kind == "refused":
            raise StoreError("no")
        if kind == "cut":
            cut = self.at
        if kind == "wrong":
            data = bytes(byte ^ 0xFF for byte in DATA)
        if kind == "flip":
            data = DATA[: self.at] + bytes([DATA[self.at] ^ 1]) + DATA[self.at + 1 :]
        if kind == "long":
            data, total = DATA + b"x", None
        if kind == "short":
            data, total = DATA[: self.at], None
        if kind == "announce":
            total = len(DATA) - 1
        begins = 0 if kind == "from zero" or not self.ranges else start
        return Body(self.reader(data[begins:], cut), total=total, start=start, length=length, begins=begins)

    def reader(self, data, left):
        rest = memoryview(data)

        def read(buffer):
            nonlocal rest, left
            if left == 0:
                raise StoreUnavailableError("broken off")
            count = min(len(buffer), self.step, len(rest), left)
            buffer[:count] = rest[:count]
            rest, left = rest[count:], left - count
            return count

        return read


SOURCES = st.lists(
    st.builds(
        FakeSource,
        st.just("s"),
        st.lists(st.sampled_from(KINDS), min_size=1, max_size=3),
        st.integers(1, len(DATA) - 1),
        st.integers(1, 200),
        st.booleans(),
    ),
    max_size=3,
)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(engine, "PIECE_BYTES", PART)
    monkeypatch.setattr(part, "INLINE_BYTES", PART // 2)
    monkeypatch.setattr(part.os, "fsync", lambda _: None)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(SOURCES, min_size=1, max_size=2), TUNING, st.booleans())
def test_right_bytes_or_an_error(rounds, tuning, good_at_last):
    wanted = Wanted(sha256_bytes(DATA), "h5", len(DATA), "it")
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(Path(folder))
        for sources in rounds:
            try:
                got = fetch(cache, wanted, sources, tuning=tuning)
            except FetchError:
                assert not list(cache.root.glob("artifacts/??/*"))
            else:
                assert got.path.read_bytes() == DATA
        if good_at_last:
            good = FakeSource("good", ["good"], 0, 50)
            got = fetch(cache, wanted, [good], tuning=tuning)
            assert sha256_file(got.path) == wanted.sha256
            assert not list(cache.root.glob("partial/*"))
