"""A pickle may hold data; what could run code is refused by name, and nothing of it runs."""

import collections
import datetime
import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_pickles import Build, Call
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sentence import parts_of

import foreign_pickle
from foreign_pickle import ForeignPickleError


def load(data: bytes) -> object:
    return foreign_pickle.load(io.BytesIO(data), "package.pkl")


def round_trip(value: object, protocol: int) -> object:
    return load(pickle.dumps(value, protocol=protocol))


PLAIN: list[object] = [
    None,
    {"a": [1, 2.5, "text", b"bytes", (True, None)], "b": {1, 2}, "c": frozenset({"x"})},
    bytearray(b"abc"),
    1 + 2j,
    10**40,
    collections.OrderedDict([("z", 1), ("a", 2)]),
    [[]] * 3,
    slice(1, 2),
]


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_back(protocol: int) -> None:
    assert round_trip(PLAIN, protocol) == PLAIN


ARRAYS = [
    np.arange(6).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(3, dtype=">i4"),
    np.array(["a", "bcd"]),
    np.array([b"a", b"bcd"]),
    np.array([True, False]),
    np.array(3.5),
    np.array([], dtype="f4"),
    np.zeros((0, 5)),
    np.array(["2024-01-01", "NaT"], dtype="M8[ns]"),
    np.array([1, 2], dtype="m8[10D]"),
    np.array(["text", None, 3, 2.5, b"x"], dtype=object),
    np.array([["a", "b"], ["c", None]], dtype=object, order="F"),
    np.array([], dtype=object),
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_come_back(array: Any, protocol: int) -> None:
    result = round_trip({"array": array, "again": [array]}, protocol)
    assert isinstance(result, dict)
    assert type(result["array"]) is np.ndarray
    assert result["array"].dtype == array.dtype
    np.testing.assert_array_equal(result["array"], array)
    assert result["again"][0] is result["array"]


@given(
    hnp.arrays(
        st.one_of(
            hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(), hnp.floating_dtypes(), hnp.unicode_string_dtypes()
        ),
        hnp.array_shapes(max_dims=3, max_side=4, min_side=0),
    ),
    st.integers(0, 5),
)
def test_any_simple_array_comes_back(array: Any, protocol: int) -> None:
    np.testing.assert_array_equal(round_trip(array, protocol), array)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("scalar", [np.float64(1.5), np.int32(7), np.bool_(True), np.str_("text"), np.bytes_(b"x")])
def test_numpy_scalars_come_back(scalar: Any, protocol: int) -> None:
    result = round_trip([scalar], protocol)
    assert result == [scalar]
    assert isinstance(result, list)
    assert type(result[0]) is type(scalar)


def test_containers_inside_object_arrays_come_back() -> None:
    array = np.empty(2, dtype=object)
    array[:] = [{"x": np.arange(2)}, [np.int64(1)]]
    result = round_trip(array, 5)
    assert isinstance(result, np.ndarray)
    assert result[0]["x"].tolist() == [0, 1]
    assert result[1] == [1]


def test_shared_and_cyclic_structures_take_one_visit() -> None:
    cycle: list[Any] = [np.arange(2)]
    cycle.append(cycle)
    result = round_trip(cycle, 5)
    assert isinstance(result, list)
    assert result[1] is result
    doubling: tuple[Any, ...] = (np.arange(1),)
    for _ in range(60):  # 2 ** 60 leaves, if sharing were not followed
        doubling = (doubling, doubling)
    assert isinstance(round_trip(doubling, 5), tuple)


def test_objects_that_hold_data_become_placeholders() -> None:
    stamp = datetime.datetime(2026, 1, 2)
    result = round_trip({"created": stamp, "path": Path("x") / "y"}, 5)
    assert isinstance(result, dict)
    assert isinstance(result["created"], foreign_pickle.Placeholder)
    assert result["created"].origin == "datetime.datetime"
    assert result["path"].args[-2:] == ("x", "y")
    assert repr(result["created"]) == "<placeholder for datetime.datetime>"


def hostile(marker: Path) -> dict[str, tuple[Any, str]]:
    """Pickles that would create ``marker`` (or worse), and what the refusal names."""
    command = f"touch {marker}"
    code = f"open({str(marker)!r}, 'w').close()"
    name = f"{os.system.__module__}.system"
    return {
        "os.system": (Call(os.system, command), name),
        "builtins.eval": (Call(eval, code), "builtins.eval"),
        "builtins.exec": (Call(exec, code), "builtins.exec"),
        "builtins.open": (Call(open, str(marker), "w"), "io.open"),
        "getattr chain": (Call(getattr, Call(__import__, "os"), "system"), "builtins.getattr"),
        "in a list in a dict": ({"block_geoid": [1, (2, Call(os.system, command))]}, name),
        "nested reduce": (Call(list, (Call(os.system, command),)), name),
        "inside an object array": (np.array(["370010201001000", Call(os.system, command)], dtype=object), name),
        "numpy-looking": (Call(np.load, str(marker)), "numpy.load"),
        "numpy ctypes loader": (Call(np.ctypeslib.load_library, "x", "y"), "numpy.ctypeslib"),
        "numpy testing runstring": (Call(np.testing.runstring, code, {}), "runstring"),
        "state of a list": (Build(list, (), Call(os.system, command)), name),
    }


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("case", hostile(Path("marker")))
def test_hostile_pickles_are_refused_and_not_run(tmp_path: Path, case: str, protocol: int) -> None:
    marker = tmp_path / "marker"
    content, name = hostile(marker)[case]
    with pytest.raises(ForeignPickleError) as caught:
        round_trip(content, protocol)
    named = name.replace("builtins", "__builtin__") if protocol < 3 else name
    assert str(caught.value).startswith("package.pkl: expected ")
    assert named in parts_of(caught.value).found
    assert parts_of(caught.value).remedy
    assert "\n" not in str(caught.value)
    assert not marker.exists()


def test_the_hostile_pickles_are_hostile(tmp_path: Path) -> None:
    for case in ("os.system", "builtins.eval", "nested reduce", "numpy testing runstring"):
        marker = tmp_path / case.replace(" ", "-")
        pickle.loads(pickle.dumps(hostile(marker)[case][0]))
        assert marker.exists(), case


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"(S'true'\nios\nsystem\n.", "os.system"),
        (b"\x80\x04\x8c\x05numpy\x8c\x17core._methods.os.system\x93.", "numpy.core._methods.os.system"),
        (b"\x80\x04\x8c\x06pandas\x8c\x0dio.common.sys\x93.", "pandas.io.common.sys"),
        (b"\x80\x04\x8c\x06pandas\x8c\x04eval\x93.", "pandas.eval"),
        (b"cnumpy.core.multiarray\n_reconstruct.__globals__\n.", "_reconstruct.__globals__"),
        (b"cforeign_pickle.reader\n_Function\n.", "foreign_pickle.reader._Function"),
        (b"cpandas.evil\nDataFrame\nq\x00.", ""),
        (b"Pexternal\n.", "outside the pickle"),
    ],
    ids=lambda value: value.decode("latin1")[:20] if isinstance(value, bytes) else "",
)
def test_names_are_matched_whole(data: bytes, name: str) -> None:
    if name:
        with pytest.raises(ForeignPickleError) as caught:
            load(data)
        assert name in parts_of(caught.value).found
    else:  # a name of data in a module of pandas is inert, whether it exists or not
        assert load(data) is not None


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
NDARRAY = b"cnumpy\nndarray\n"
EMPTY_ARRAY = RECONSTRUCT + b"(" + NDARRAY + b"(I0\ntS'b'\ntR"


def dtype(code: str, state: bytes = b"") -> bytes:
    return b"cnumpy\ndtype\n(S'" + code.encode() + b"'\nI0\nI1\ntR" + state


PLAIN_STATE = b"(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (EMPTY_ARRAY + b".", "without data"),
        (EMPTY_ARRAY + b"(I1\n(I5\nt" + dtype("i8", PLAIN_STATE) + b"I00\nS'short'\ntb.", "without its bytes"),
        (EMPTY_ARRAY + b"(I1\n(L1125899906842624L\nt" + dtype("i8") + b"I00\nB\0\0\0\0tb.", "without its bytes"),
        (EMPTY_ARRAY + b"(I1\n(L1125899906842624L\nt" + dtype("O8") + b"I00\n]tb.", "without its"),
        (EMPTY_ARRAY + b"(I1\n(I1\nt" + dtype("O8") + b"I00\nB\x08\0\0\0AAAAAAAAtb.", "without its 1 items"),
        (EMPTY_ARRAY + b"(I1\n(I-1\nt" + dtype("i8") + b"I00\nB\0\0\0\0tb.", "shape (-1,)"),
        (EMPTY_ARRAY + b"(I1\n(I1\nt" + dtype("V8") + b"I00\nB\0\0\0\0tb.", "dtype 'V8'"),
        (dtype("i8", b"(I3\nS'<'\nN(S'a'\nt}I8\nI1\nI0\ntb."), "with fields"),
        (dtype("i8", b"(I3\nS'bad'\nNNNI-1\nI-1\nI0\ntb."), "byte order"),
        (dtype("M8", b"(I4\nS'<'\nNNNI-1\nI-1\nI0\n(}(S'evil'\nI1\nI1\nI1\ntttb."), "unknown unit"),
        (dtype("S999999999999"), "dtype"),
        (RECONSTRUCT + b"(cnumpy\ndtype\n(I0\ntS'b'\ntR.", "no plain array"),
        (RECONSTRUCT + b"}b.", "an attempt to change"),
        (NDARRAY + b"(I9\ntR.", "may only be named"),
        (b"cbuiltins\nbytearray\n(I99999999999\ntR.", "something else than bytes"),
        (b"cbuiltins\nlist\n(S'text'\ntR.", "plain container"),
        (b"c_codecs\nencode\n(S'x'\nS'rot13'\ntR.", "_codecs.encode"),
        (b"ccopyreg\n_reconstructor\n(cbuiltins\nobject\ncbuiltins\nobject\nNtR.", "_reconstructor"),
    ],
)
def test_allowed_names_cannot_be_misused(data: bytes, found: str) -> None:
    with pytest.raises(ForeignPickleError) as caught:
        load(data)
    assert found in parts_of(caught.value).found


def test_a_pickle_cannot_change_what_it_names() -> None:
    frame = b"\x80\x04\x8c\x06pandas\x8c\x09DataFrame\x93"
    state = b"N}\x8c\x06origin\x8c\x04evils\x86b."  # BUILD of the class itself with slot state
    with pytest.raises(ForeignPickleError):
        load(frame + state)
    with pytest.raises(foreign_pickle.reader._Refused):
        foreign_pickle.Placeholder.origin = "evil"
    assert foreign_pickle.Placeholder.origin == ""


@given(st.binary(max_size=60))
def test_garbage_is_an_error_of_our_own_or_plain_data(data: bytes) -> None:
    message = ""
    try:
        load(data)
    except ForeignPickleError as error:
        message = str(error)
    assert "\n" not in message
