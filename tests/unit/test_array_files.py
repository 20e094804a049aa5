"""Prepared arrays come back as they went in, memory-mapped, and nothing else is taken for them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, scalar_dtypes
from msgspec import Struct, defstruct
from numpy.typing import NDArray

from local_h5.errors import PreparedError
from local_h5.files.arrays import open_arrays, write_arrays


class Part(Struct, frozen=True):
    name: str
    flags: NDArray[np.bool_]


class Things(Struct, frozen=True, eq=False):
    stored_as: ClassVar = ("things", 2)
    not_stored: ClassVar = ("aside",)

    year: int
    numbers: np.ndarray
    words: NDArray[np.bytes_]
    part: Part
    parts: tuple[Part, ...]
    by_name: Mapping[str, tuple[str, np.ndarray]]
    any_of: tuple[float | Part | NDArray[np.float32], ...]
    choice: Literal["one", "two"] = "one"
    maybe: NDArray[np.int64] | None = None
    notes: Mapping[str, str] = {}
    aside: Mapping[int, int] = {}


THINGS = Things(
    year=2024,
    numbers=np.arange(6, dtype=np.int32).reshape(2, 3),
    words=np.array([b"", b"ab", b"abcde"]),
    part=Part("ä", np.array([True, False, True])),
    parts=(Part("b", np.array([True])), Part("c", np.empty(0, np.bool_))),
    by_name={"z": ("person", np.empty((0, 4), np.float64)), "a b": ("unit", np.arange(12.0).reshape(3, 4).T)},
    any_of=(1.0, Part("d", np.array([False])), np.arange(3, dtype=np.float32), float("nan")),
    notes={"second": "2", "first": "1"},
    aside={1: 2},
)


STORED = [name for name in Things.__struct_fields__ if name != "aside"]


def written(path: Path, things: Things = THINGS) -> Path:
    write_arrays(path, things)
    return path


def same(one: object, two: object) -> bool:
    """Equal in types, order and every value."""
    if type(one) is not type(two):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == two.dtype and np.array_equal(one, two, equal_nan=one.dtype.kind in "fc")
    if isinstance(one, Part | Things):
        names = [name for name in one.__struct_fields__ if name not in getattr(one, "not_stored", ())]
        return all(same(getattr(one, name), getattr(two, name)) for name in names)
    if isinstance(one, dict):
        return list(one) == list(two) and all(same(one[key], two[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return one == two or one != one


def test_everything_comes_back(tmp_path: Path) -> None:
    things = open_arrays(written(tmp_path / "a.h5"), Things)
    assert same(things, THINGS)
    assert things.aside == {}  # what a class names as not stored is not kept
    for array in (things.numbers, things.words, things.part.flags, things.by_name["a b"][1], things.any_of[2]):
        assert array.ctypes.data % 64 == 0
        assert not array.flags.writeable


TEXTS = st.text("ab_ é", min_size=1)
ARRAYS = arrays(scalar_dtypes().filter(lambda kind: kind.kind in "biufS"), array_shapes(min_dims=0, min_side=0))
PARTS = st.builds(Part, TEXTS, arrays(np.bool_, st.integers(0, 3)))


@settings(max_examples=50)
@given(
    things=st.builds(
        Things,
        year=st.integers(),
        numbers=ARRAYS,
        words=arrays("S3", st.integers(0, 4)),
        part=PARTS,
        parts=st.lists(PARTS).map(tuple),
        by_name=st.dictionaries(TEXTS, st.tuples(TEXTS, ARRAYS)),
        any_of=st.lists(st.floats() | PARTS | arrays(np.float32, 2)).map(tuple),
        choice=st.sampled_from(["one", "two"]),
        maybe=st.none() | arrays(np.int64, 3),
        notes=st.dictionaries(TEXTS, TEXTS),
    )
)
def test_whatever_it_holds_comes_back(tmp_path_factory: pytest.TempPathFactory, things: Things) -> None:
    path = tmp_path_factory.mktemp("things") / "a.h5"
    assert same(open_arrays(written(path, things), Things), things)


def test_any_hdf5_tool_sees_the_same(tmp_path: Path) -> None:
    with h5py.File(written(tmp_path / "a.h5")) as file:
        np.testing.assert_array_equal(file["arrays/numbers"][()], THINGS.numbers)
        np.testing.assert_array_equal(file["arrays/parts/0/flags"][()], THINGS.parts[0].flags)
        np.testing.assert_array_equal(file["arrays/by_name/a b/1"][()], THINGS.by_name["a b"][1])


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    assert written(tmp_path / "a.h5").read_bytes() == written(tmp_path / "b.h5").read_bytes()


def repack(path: Path) -> None:
    with h5py.File(path) as old, h5py.File(path.with_suffix(".new"), "w") as new:
        for name in reversed(list(old)):
            old.copy(name, new)
    path.with_suffix(".new").replace(path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def replace(old: bytes, new: bytes, path: Path) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


@pytest.mark.parametrize(
    "damage",
    [
        repack,
        cut,
        Path.unlink,
        lambda path: path.write_bytes(b"no"),
        lambda path: replace(b'"year"', b'"yeah"', path),
        lambda path: replace(b'"arrays/numbers"', b'"arrays/numbars"', path),
        lambda path: replace(b'"<i4"', b'"<z4"', path),
        lambda path: replace(b'"content": {', b'"content": [', path),
    ],
)
def test_a_damaged_file_is_an_error(tmp_path: Path, damage) -> None:
    path = written(tmp_path / "a.h5")
    damage(path)
    with pytest.raises(PreparedError, match=r"a\.h5: expected a prepared things file, found .*Delete it"):
        open_arrays(path, Things)


@pytest.mark.parametrize(("kind", "version"), [("others", 2), ("things", 3)])
def test_another_kind_or_version_is_an_error(tmp_path: Path, kind: str, version: int) -> None:
    class Others(Struct, frozen=True):
        stored_as: ClassVar = (kind, version)

    with pytest.raises(PreparedError, match=rf"format: expected {kind} version {version}, found things version 2"):
        open_arrays(written(tmp_path / "a.h5"), Others)


@pytest.mark.parametrize(("left_out", "more"), [("year", []), ("year", [("years", int)]), ("", [("more", str, "")])])
def test_other_fields_under_the_same_version_are_an_error(tmp_path: Path, left_out: str, more: list[Any]) -> None:
    own = [(name, kind) for name, kind in Things.__annotations__.items() if name in STORED and name != left_out]
    other = defstruct("Other", [*own, *more], frozen=True, namespace={"stored_as": Things.stored_as})
    with pytest.raises(PreparedError, match=r"unreadable file \(Other with the fields year, numbers, .*Delete it"):
        open_arrays(written(tmp_path / "a.h5"), other)
