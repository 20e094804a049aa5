"""Everything that can be wrong with a weights vector is an error that says so."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sentence import parts_of

from local_h5.errors import InputError
from local_h5.inputs.weights import check_weights, load_weights

HOUSEHOLDS, CLONES = 3, 2


def saved(folder: Path, array: Any) -> Path:
    np.save(folder / "weights.npy", np.asarray(array), allow_pickle=True)
    return folder / "weights.npy"


@pytest.mark.parametrize("dtype", ["<f8", "<f4", ">f8", "<i8", "<i4", "u1", "<f2"])
def test_floats_and_integers_are_read_as_float64(tmp_path: Path, dtype: str) -> None:
    path = saved(tmp_path, np.array([0, 1, 2, 0, 3, 4], dtype=dtype))
    weights = load_weights(path, HOUSEHOLDS, CLONES)
    assert weights.dtype == np.dtype("=f8")
    assert weights.tolist() == [0, 1, 2, 0, 3, 4]


def test_sizes_are_checked_only_when_given(tmp_path: Path) -> None:
    path = saved(tmp_path, np.ones(7))
    assert load_weights(path).size == 7
    assert load_weights(path, 7).size == 7


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.ones(7), "7 weights"),
        (np.ones(9), "9 (3 clones)"),
        (np.ones((2, 3)), "shape (2, 3)"),
        (np.float64(1), "shape ()"),
        (np.ones(0), "an empty array"),
        (np.array([1, np.nan, 1, 1, np.nan, 1]), "2 of 6 NaN: nan in row 1, nan in row 4"),
        (np.array([1, 1, -0.5, 1, 1, 1]), "1 of 6 negative: -0.5 in row 2"),
        (np.array([1, 1, -5, 1, 1, 1]), "1 of 6 negative: -5 in row 2"),
        (np.array([1, 1, 1, np.inf, 1, 1]), "1 of 6 infinite: inf in row 3"),
        (np.array([1, 1, 1, -np.inf, 1, 1]), "1 of 6 infinite: -inf in row 3"),
        (np.array([1, 1, 1, 1e-50, 1, 1]), "1 of 6 beyond: 1e-50 in row 3"),
        (np.array([1, 3.5e39, 1, 1e-41, 1, 1]), "2 of 6 beyond: 3.5e+39 in row 1, 1e-41 in row 3"),
        (np.array([1, "1e-400", 1, 1, 1, 1], np.longdouble), "1 of 6 beyond"),
        (np.zeros(6), "6 zeros"),
        (np.zeros(6, dtype=np.int64), "6 zeros"),
        (np.ones(6, dtype=np.bool_), "dtype |b1"),
        (np.ones(6, dtype=np.complex128), "dtype <c16"),
        (np.array(["1"] * 6), "dtype <U1"),
        (np.array([1.0] * 6, dtype=object), "dtype object"),
        (np.zeros(6, dtype=[("weight", "<f8")]), "dtype [('weight', '<f8')]"),
    ],
)
def test_bad_vectors_are_refused(tmp_path: Path, array: Any, found: str) -> None:
    path = saved(tmp_path, array)
    with pytest.raises(InputError) as caught:
        load_weights(path, HOUSEHOLDS, CLONES)
    error = caught.value
    assert found in parts_of(error).found
    assert str(error).startswith(f"{path}: weights: expected ")
    assert parts_of(error).remedy
    assert "\n" not in str(error)


@pytest.mark.parametrize("content", [b"", b"not numpy at all", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x10\x00{'descr': 1}"])
def test_files_that_are_no_array_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match="expected a complete numpy array"):
        load_weights(path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, np.ones(6))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match=r"weights: expected a complete numpy array, found .* 43 bytes"):
        load_weights(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.npy: expected a readable file, found No such file"):
        load_weights(tmp_path / "absent.npy")
    with pytest.raises(InputError, match="Is a directory"):
        load_weights(tmp_path)


def test_arrays_in_memory_are_checked_alike() -> None:
    assert check_weights([1, 2, 0], "weights", 3).tolist() == [1, 2, 0]
    with pytest.raises(InputError, match=r"^weights: weights: expected a multiple of the 2 households"):
        check_weights([1, 2, 0], "weights", 2)


@given(
    values=hnp.arrays(
        st.sampled_from(["<f8", "<f4", "<f2"]),
        6,
        elements={"min_value": 0, "allow_nan": False, "allow_infinity": False},
    )
)
def test_an_accepted_weight_is_positive_and_finite_in_the_file(values: np.ndarray) -> None:
    """What the index calls active is what a file can hold: no weight becomes zero or infinite in float32."""
    try:
        weights = check_weights(values, "weights")
    except InputError:
        return
    with np.errstate(all="raise"):
        single = weights.astype(np.float32)
    assert np.isfinite(single).all()
    assert ((single > 0) == (weights > 0)).all()
    np.testing.assert_allclose(single, weights, rtol=2.0**-23)
