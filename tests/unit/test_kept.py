"""What is kept of files is what lies there now."""

import os
from pathlib import Path

import pytest

from local_h5.files.kept import kept


class Reader:
    """Reads files, and knows how often it was asked to."""

    def __init__(self, most: int) -> None:
        self.asked: list[tuple[Path, ...]] = []
        self.read = kept(most)(self._read)

    def _read(self, *paths: Path) -> str:
        self.asked.append(paths)
        return " ".join(path.read_text() for path in paths)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("a")
    second.write_text("b")
    return first, second


def test_the_same_files_are_read_once(files: tuple[Path, Path]) -> None:
    reader = Reader(1)
    assert [reader.read(*files) for _ in range(3)] == ["a b"] * 3
    assert reader.asked == [files]


@pytest.mark.parametrize("which", [0, 1])
def test_a_file_put_in_anothers_place_is_read_anew(files: tuple[Path, Path], which: int) -> None:
    reader = Reader(1)
    reader.read(*files)
    before = files[which].stat()
    new = files[which].with_suffix(".new")
    new.write_text("z")
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(files[which])
    assert reader.read(*files) == ("z b", "a z")[which]


def test_a_missing_file_is_asked_for_again(files: tuple[Path, Path]) -> None:
    reader = Reader(1)
    content = files[0].read_text()
    files[0].unlink()
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            reader.read(*files)
    files[0].write_text(content)
    assert reader.read(*files) == "a b"


def test_the_order_of_the_files_counts(files: tuple[Path, Path]) -> None:
    reader = Reader(2)
    assert (reader.read(*files), reader.read(*reversed(files))) == ("a b", "b a")


def test_one_too_many_is_let_go(files: tuple[Path, Path]) -> None:
    reader = Reader(1)
    for paths in (files, files[:1], files):
        reader.read(*paths)
    assert len(reader.asked) == 3
