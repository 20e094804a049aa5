"""The memo of digests: what it trusts, and what it reads again."""

import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from local_h5.files.digests import DigestMemo


def known_file(folder: Path, memo: DigestMemo) -> Path:
    """A file of which the memo remembers a wrong digest, so that trust shows."""
    path = folder / "data"
    path.write_bytes(b"one")
    stat = path.stat()
    memo._known[str(path)] = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, "remembered"]
    return path


def test_an_unchanged_file_is_not_read(tmp_path: Path) -> None:
    memo = DigestMemo(tmp_path / "memo.json")
    assert memo.sha256(known_file(tmp_path, memo)) == "remembered"


def test_new_bytes_under_the_old_time_are_read(tmp_path: Path) -> None:
    memo = DigestMemo(tmp_path / "memo.json")
    path = known_file(tmp_path, memo)
    stat = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert memo.sha256(path) == sha256(b"two").hexdigest()


def test_a_copy_with_its_times_is_read(tmp_path: Path) -> None:
    memo = DigestMemo(tmp_path / "memo.json")
    path = known_file(tmp_path, memo)
    shutil.copy2(path, tmp_path / "copy")
    (tmp_path / "copy").replace(path)
    assert memo.sha256(path) == sha256(b"one").hexdigest()


def test_a_file_that_may_still_change_in_this_tick_is_not_remembered(tmp_path: Path) -> None:
    memo = DigestMemo(tmp_path / "memo.json")
    path = tmp_path / "fresh"
    path.write_bytes(b"one")
    memo.sha256(path)
    assert str(path) not in memo._known


def test_a_memo_comes_back_and_a_damaged_one_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_h5.files.digests._SETTLED", 0)
    memo = DigestMemo.open(tmp_path / "memo.json")
    path = tmp_path / "data"
    path.write_bytes(b"one")
    memo.sha256(path)
    assert memo.derived("twice", "a", lambda: 2) == 2
    memo.save()
    again = DigestMemo.open(tmp_path / "memo.json")
    assert again._known == memo._known
    assert again.derived("twice", "a", lambda: 3) == 2
    assert again.derived("twice", "b", lambda: 3) == 3
    (tmp_path / "memo.json").write_text('{"files": 3}')
    assert DigestMemo.open(tmp_path / "memo.json")._known == {}


def test_no_memo_trusts_nothing(tmp_path: Path) -> None:
    memo = DigestMemo(None)
    path = tmp_path / "data"
    path.write_bytes(b"one")
    assert memo.sha256(path) == sha256(b"one").hexdigest()
    assert memo.sha256(tmp_path / "none") is None


def test_bytes_written_and_dated_within_a_moment_are_read(tmp_path: Path) -> None:
    """As Snakemake does after each job: nothing is believed for lying close in time."""
    memo = DigestMemo(tmp_path / "memo.json")
    path = known_file(tmp_path, memo)
    with path.open("r+b") as stream:  # the same file, the same size
        stream.write(b"two")
    os.utime(path)
    assert memo.sha256(path) == sha256(b"two").hexdigest()
