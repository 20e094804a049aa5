"""What scipy and pandas put into a package is read through the safe path, and equals what they read themselves."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from foreign_pickle import ForeignPickleError, Placeholder, SparseMatrix, load, read_frame, read_sparse

PANDAS_2 = Path(__file__).parent / "data" / "package_pandas2.pkl"
"""A package of the real shape, written by pandas 2.2.3, numpy 1.26.4 and scipy 1.13.1 with protocol 4."""

DENSE = np.array([[1.0, 0, 2, 0], [0, 0, 0, 3], [0, 0, 0, 0], [0, 4, 0, 0]])[:, [0, 1, 2, 3, 0]]


def loaded(content: object, protocol: int) -> Any:
    return load(io.BytesIO(pickle.dumps(content, protocol)), "package.pkl")


def sparse(matrix: Any, protocol: int) -> SparseMatrix:
    return read_sparse(loaded(matrix, protocol), "package.pkl: X_sparse")


def frame(content: pd.DataFrame, protocol: int, **more: Any) -> dict[str, Any]:
    return read_frame(loaded(content, protocol), "package.pkl: targets_df", **more)


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("layout", ["csr_matrix", "csr_array", "csc_matrix", "csc_array", "coo_matrix", "coo_array"])
def test_sparse_matrices_are_read(layout: str, protocol: int) -> None:
    matrix = sparse(getattr(scipy.sparse, layout)(DENSE), protocol)
    rows, columns, values = matrix.triplets()
    dense = np.zeros(DENSE.shape)
    dense[rows, columns] = values
    assert matrix.shape == DENSE.shape
    np.testing.assert_array_equal(dense, DENSE)
    vector = np.array([1.0, 10, 100, 1000, 0.5])
    np.testing.assert_allclose(matrix.times(vector), DENSE @ vector)


def test_a_sparse_matrix_without_entries_is_read() -> None:
    for layout in (scipy.sparse.csr_matrix, scipy.sparse.coo_matrix, scipy.sparse.csc_matrix):
        assert sparse(layout((3, 2)), 5).times(np.ones(2)).tolist() == [0, 0, 0]


COLUMNS = pd.DataFrame(
    {
        "number": [1, 2, 3],
        "share": [0.5, np.nan, 1.5],
        "second": [4, 5, 6],
        "text": ["snap", "médicaid", ""],
        "missing": ["a", None, "c"],
        "objects": pd.Series(["a", None, "b"], dtype=object),
        "python": pd.array(["x", None, "z"], dtype="string[python]"),
        "arrow": pd.array(["x", None, "z"], dtype="string[pyarrow]"),
        "flag": [True, False, True],
        "nullable": pd.array([1, None, 3], dtype="Int64"),
        "kind": pd.Categorical(["state", None, "district"]),
        "level": pd.Categorical([3, 1, 3]),
    }
)


def expected(column: "pd.Series[Any]") -> list[Any]:
    if column.name in ("nullable", "share"):
        return [float(value) if pd.notna(value) else "nan" for value in column]
    return [None if pd.isna(value) else value for value in column]


def as_list(values: np.ndarray[Any, Any]) -> list[Any]:
    return ["nan" if isinstance(value, float) and np.isnan(value) else value for value in values.tolist()]


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("rows", [[0, 1, 2], [2, 0], []])
def test_every_kind_of_column_is_read(protocol: int, rows: list[int]) -> None:
    content = COLUMNS.iloc[rows]
    result = frame(content, protocol)
    assert list(result) == list(content.columns)
    for name in content.columns:
        assert as_list(result[name]) == expected(content[name]), name


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.iloc[1:],
        lambda frame: frame.iloc[::2],
        lambda frame: frame.copy(),
        lambda frame: pd.concat([frame, frame], ignore_index=True),
        lambda frame: frame.assign(added=[7, 8, 9]),
        lambda frame: frame.set_index("number"),
        lambda frame: frame.drop(columns="share"),
    ],
)
def test_frames_that_were_worked_on_are_read(change: Any) -> None:
    content = change(COLUMNS)
    result = frame(content, 5)
    for name in content.columns:
        assert as_list(result[name]) == expected(content[name]), name


def test_only_the_wanted_columns_are_decoded() -> None:
    content = COLUMNS.assign(when=pd.period_range("2024-01", periods=3, freq="M"))
    result = frame(content, 5, columns=["text", "number"])
    assert list(result) == ["text", "number"]
    assert result["number"].tolist() == [1, 2, 3]
    with pytest.raises(ForeignPickleError, match="expected columns of numbers or text"):
        frame(content, 5)
    with pytest.raises(ForeignPickleError, match="expected the columns text, absent, found no absent"):
        frame(content, 5, columns=["text", "absent"])


def test_dates_are_read() -> None:
    when = pd.to_datetime(["2024-01-01", "2025-02-03"])
    result = frame(pd.DataFrame({"when": when}), 5)
    assert result["when"].astype("M8[D]").tolist() == [stamp.date() for stamp in when]


def test_a_package_of_pandas_2_and_numpy_1_is_read() -> None:
    with PANDAS_2.open("rb") as stream:
        package: Any = load(stream, str(PANDAS_2))
    assert package["block_geoid"].shape == package["cd_geoid"].shape == (4,)
    assert read_sparse(package["X_sparse"], "X_sparse").times(np.ones(4)).tolist() == [3, 3, 4]
    targets = read_frame(package["targets_df"], "targets_df")
    assert {name: as_list(values) for name, values in targets.items()} == {
        "variable": ["snap", "medicaid", None],
        "geo_level": ["district", "state", "district"],
        "geographic_id": ["3701", None, "0200"],
        "value": [1.5, 2.0, 3.0],
        "period": [2024, 2024, 2024],
        "n": [1.0, "nan", 3.0],
        "active": [True, False, True],
    }


def tampered(name: str, state: dict[str, Any]) -> Placeholder:
    kind = type(Placeholder)(name, (Placeholder,), {"__slots__": (), "origin": f"scipy.sparse.{name}", "name": name})
    result = kind()
    result.__setstate__(state)
    return result


GOOD = {"_shape": (2, 3), "data": np.ones(2), "indices": np.array([0, 2]), "indptr": np.array([0, 1, 2])}


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("csr_matrix", GOOD | {"indices": np.array([0, 3])}),
        ("csr_matrix", GOOD | {"indices": np.array([0, -1])}),
        ("csr_matrix", GOOD | {"indptr": np.array([0, 3, 2])}),
        ("csr_matrix", GOOD | {"indptr": np.array([0, 2])}),
        ("csr_matrix", GOOD | {"data": np.ones(3)}),
        ("csr_matrix", GOOD | {"data": np.array(["a", "b"])}),
        ("csr_matrix", GOOD | {"_shape": (2,)}),
        ("csr_matrix", {}),
        ("coo_matrix", {"_shape": (2, 3), "data": np.ones(1), "row": np.array([5]), "col": np.array([0])}),
        ("bsr_matrix", GOOD),
    ],
)
def test_matrices_that_do_not_fit_are_refused(name: str, state: dict[str, Any]) -> None:
    with pytest.raises(ForeignPickleError, match=r"^package\.pkl: X_sparse: expected "):
        read_sparse(tampered(name, state), "package.pkl: X_sparse")


@pytest.mark.parametrize("value", [None, [1], np.ones(3), tampered("csr_matrix", GOOD), tampered("DataFrame", {})])
def test_what_is_no_frame_is_refused(value: Any) -> None:
    with pytest.raises(ForeignPickleError, match="expected a pandas DataFrame"):
        read_frame(value, "package.pkl: targets_df")
    with pytest.raises(ForeignPickleError):
        read_sparse("text", "package.pkl: X_sparse")
