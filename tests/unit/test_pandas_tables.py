"""Frames that pandas writes come back as they were, in both forms; pickles in them run no code."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_h5.errors import SourceError
from local_h5.inputs.pandas_tables import MISSING, Frame, frames
from local_h5.inputs.stored import Stored

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning", "ignore:.*NaturalName.*")


def put(path: Path, table: pd.DataFrame, **options: Any) -> Path:
    with pd.HDFStore(str(path), mode="w") as store:
        store.put("person", table, **options)
    return path


def read(path: Path) -> dict[str, Stored]:
    with h5py.File(path) as file:
        frame = Frame(path, "person", frames(path, file)["person"])
        return frame.read(frame.columns, "person")


PLAIN = pd.DataFrame(
    {
        "whole": np.array([1, -2, 2**53 + 1]),
        "small": np.array([1, -2, 3], np.int8),
        "unsigned": np.array([1, 2, 2**32 - 1], np.uint32),
        "amount": [0.1, np.nan, -3.5],
        "single": np.array([0.1, 2, 3], np.float32),
        "yes": [True, False, True],
        "text": ["x", "", "Doña Ana"],
    }
)
TABLE = ({"format": "table", "data_columns": True}, {"format": "table"}, {"format": "table", "data_columns": ["yes"]})
FIXED = ({"format": "fixed"},)
ZIPPED = ({"format": "table", "data_columns": True, "complevel": 4, "complib": "zlib"},)


@pytest.mark.parametrize("options", [*TABLE, *FIXED, *ZIPPED], ids=str)
def test_plain_columns(tmp_path: Path, options: dict[str, Any]) -> None:
    found = read(put(tmp_path / "a.h5", PLAIN, **options))
    assert found.keys() == set(PLAIN)
    for name, stored in found.items():
        assert stored.entity == "person"
        assert stored.missing is None
        np.testing.assert_array_equal(stored.values, PLAIN[name].to_numpy())
        assert stored.form == {"yes": "truth", "text": "text"}.get(name, "number")
        if stored.form == "number":
            assert stored.values.dtype == PLAIN[name].dtype


def test_categories_of_a_table(tmp_path: Path) -> None:
    table = pd.DataFrame({"c": pd.Categorical(["u", None, "ww"]), "n": pd.Categorical([5, None, 7])})
    found = read(put(tmp_path / "a.h5", table, format="table", data_columns=True))
    assert found["c"].values.tolist() == ["u", MISSING, "ww"]
    assert found["c"].missing is not None
    assert found["c"].missing.tolist() == [False, True, False]
    np.testing.assert_array_equal(found["n"].values, [5, np.nan, 7])


@pytest.mark.parametrize("gone", [None, np.nan, pd.NA], ids=repr)
def test_objects_that_may_be_missing(tmp_path: Path, gone: object) -> None:
    table = pd.DataFrame(
        {
            "yes": pd.Series([True, gone, False], dtype=object),
            "all": pd.Series([True, True, False], dtype=object),
            "text": pd.Series(["a", gone, "b"], dtype=object),
            "number": pd.Series([3, gone, 4.5], dtype=object),
            "nothing": pd.Series([gone, gone, gone], dtype=object),
        }
    )
    found = read(put(tmp_path / "a.h5", table, format="fixed"))
    np.testing.assert_array_equal(found["yes"].values, [1, np.nan, 0])
    assert found["all"].form == "truth"
    assert found["text"].values.tolist() == ["a", MISSING, "b"]
    np.testing.assert_array_equal(found["number"].values, [3, np.nan, 4.5])
    assert np.isnan(found["nothing"].values.astype(float)).all()


def test_a_missing_text_of_a_table(tmp_path: Path) -> None:
    found = read(put(tmp_path / "a.h5", pd.DataFrame({"t": ["a", None, "b"]}), format="table", data_columns=True))
    assert found["t"].values.tolist() == ["a", MISSING, "b"]


class Hostile:
    def __reduce__(self) -> tuple[Any, tuple[str, ...]]:
        import os

        return os.system, ("touch was-run",)


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (pd.to_datetime(["2024-01-01", "2024-01-02"]), "datetime64"),
        (pd.Series([Hostile(), Hostile()], dtype=object), "a request for"),
        (pd.Series(["a", 5], dtype=object), "Python objects: int, str"),
        (pd.Series([2**60, None], dtype=object), str(2**60)),
    ],
    ids=["dates", "code", "mixed", "large beside missing"],
)
def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: Any, found: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = put(tmp_path / "a.h5", pd.DataFrame({"bad": column}), format="fixed")
    with pytest.raises(SourceError, match=found) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: person")
    assert not (tmp_path / "was-run").exists()


def test_a_write_that_was_broken_off(tmp_path: Path) -> None:
    path = put(tmp_path / "a.h5", PLAIN, format="fixed")
    with h5py.File(path, "r+") as file:
        del file["person/block0_values"]
    with pytest.raises(SourceError, match="broken off"):
        read(path)


def test_a_filter_that_h5py_does_not_have(tmp_path: Path) -> None:
    path = put(tmp_path / "a.h5", PLAIN, format="table", data_columns=True, complevel=4, complib="blosc")
    with pytest.raises(SourceError, match="expected what HDF5 can read") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_an_h5_of_another_program_has_no_frames(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["person_id/2024"] = np.arange(3)
        assert frames(tmp_path / "a.h5", file) == {}


COLUMNS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=4, max_size=4).map(np.array),
    st.lists(st.floats(width=32), min_size=4, max_size=4).map(lambda v: np.array(v, np.float32)),
    st.lists(st.booleans(), min_size=4, max_size=4).map(np.array),
    st.lists(st.text(st.characters(codec="ascii", min_codepoint=48), min_size=0, max_size=5), min_size=4, max_size=4)
    .filter(lambda words: "nan" not in words)
    .map(lambda words: np.array(words, dtype=object)),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(COLUMNS, min_size=1, max_size=6), st.sampled_from([*TABLE[:2], *FIXED]))
def test_any_frame(tmp_path: Path, columns: list[np.ndarray], options: dict[str, Any]) -> None:
    table = pd.DataFrame({f"c{number}": values for number, values in enumerate(columns)})
    found = read(put(tmp_path / "a.h5", table, **options))
    for name, stored in found.items():
        np.testing.assert_array_equal(stored.values, table[name].to_numpy())
