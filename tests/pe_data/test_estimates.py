"""Frames that estimate: weights and links, weighted statistics by group, several areas, and what a reader is told."""

import json
import pickle
import re
import warnings

import h5py
import numpy as np
import pandas as pd
import pytest
from diff_helpers import write_sidecar
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_helpers import NOW, at_time

import pe_data
from pe_data.describe.columns import Column, entities_of
from pe_data.describe.file import Label, describe
from pe_data.documents.collection import About
from pe_data.errors import DemonstrationWarning, InputError, SmallSampleWarning
from pe_data.read.weighted_frames import Frames
from pe_data.store.folder import FolderStore
from pe_data.write.publish import publish_collection
from pe_data.write.upload import Item

IDS = {"person": "person_id", "household": "household_id", "tax_unit": "tax_unit_id", "spm_unit": "spm_unit_id"}


def entities_in(frames):
    columns = [Column(name, entity, "float64") for entity, frame in frames.items() for name in frame]
    return entities_of(columns, {entity: len(frame) for entity, frame in frames.items()})


def make(**frames):
    """Frames with the entities that their columns tell of."""
    found = {name: pd.DataFrame(columns) for name, columns in frames.items()}
    return Frames(found, entities_in(found), what="test")


def small():
    """Two households of 2 and 1 persons and one of 1, which stand for 10, 20 and 5; ids in no order."""
    return make(
        person={
            "person_id": [4, 1, 3, 2],
            "person_household_id": [7, 9, 8, 9],
            "person_tax_unit_id": [23, 21, 22, 20],
            "age": np.array([60, 40, 20, 8], np.float32),
            "is_blind": [False, True, False, True],
            "sex": ["f", "m", "f", "f"],
        },
        household={
            "household_id": [9, 8, 7],
            "household_weight": np.array([10, 20, 5], np.float32),
            "state": ["NC", "NC", "VA"],
            "rooms": np.array([4, 2, 1], np.int16),
        },
        tax_unit={"tax_unit_id": [20, 21, 22, 23], "tax": [1, 2, 4, 8]},
    )


@pytest.fixture
def frames():
    return small()


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallSampleWarning)
        yield


# --- weights and links ----------------------------------------------------------------------------


def test_it_is_the_mapping_that_it_was(frames):
    assert isinstance(frames, dict)
    assert list(frames) == ["person", "household", "tax_unit"]
    assert all(isinstance(frame, pd.DataFrame) for frame in frames.values())
    again = pickle.loads(pickle.dumps(frames))
    assert again.weight().tolist() == frames.weight().tolist()
    assert "person: 4 rows × 6 columns, weight of household" in repr(frames)


def test_persons_have_the_weight_of_their_household(frames):
    assert frames.weight("household").tolist() == [10, 20, 5]
    assert frames.weight().tolist() == [5, 10, 20, 10]
    assert frames.weight("tax_unit").tolist() == [10, 10, 20, 5]
    assert frames.weight().dtype == np.float64


def test_a_weight_of_their_own_comes_first(frames):
    frames["person"]["person_weight"] = [1.0, 2, 3, 4]
    frames = Frames(frames, entities_in(frames))
    assert frames.weight().tolist() == [1, 2, 3, 4]
    assert frames.weight("household").tolist() == [10, 20, 5]


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_weights_that_are_none_are_refused(frames, value):
    frames["household"].loc[1, "household_weight"] = value
    with pytest.raises(InputError, match=r"weight of person: expected a number of at least 0.* in 1 of 4 rows"):
        frames.mean("age")
    with pytest.raises(InputError, match="1 of 3 rows"):
        frames.weight("household")


def test_a_person_without_household_is_refused(frames):
    frames["person"].loc[0, "person_household_id"] = 77
    with pytest.raises(InputError, match=r"weight of person: .* in 1 of 4 rows"):
        frames.mean("age")
    with pytest.raises(InputError, match="expected a household for each person, found none for 1 of 4"):
        frames.to("household", "age")


def test_an_id_twice_is_refused(frames):
    frames["household"].loc[1, "household_id"] = 9
    frames["person"].loc[2, "person_household_id"] = 9
    frames["person"].loc[0, "person_household_id"] = 9
    for wrong in (lambda: frames.to("person", "state"), lambda: frames.mean("age"), frames.weight):
        with pytest.raises(InputError, match="household_id: expected each id once, found 9 twice"):
            wrong()


def test_without_weights_there_is_no_estimate():
    frames = make(person={"person_id": [1], "age": [3]})
    for wrong in (frames.weight, lambda: frames.mean("age"), lambda: frames.n_eff):
        with pytest.raises(InputError, match="weight of person: expected a weight column"):
            wrong()
    assert "no weight" in repr(frames)


@pytest.mark.parametrize(
    ("how", "expected", "dtype"),
    [
        ("sum", [48, 20, 60], "float64"),
        ("mean", [24, 20, 60], "float64"),
        ("max", [40, 20, 60], "float32"),
        ("min", [8, 20, 60], "float32"),
        ("first", [40, 20, 60], "float32"),
        ("any", [True, True, True], "bool"),
    ],
)
def test_persons_taken_together_by_household(frames, how, expected, dtype):
    found = frames.to("household", "age", how)
    assert (found.tolist(), str(found.dtype), found.name) == (expected, dtype, "age")


def test_true_and_false_and_text_and_whole_numbers(frames):
    assert frames.to("household", "is_blind").tolist() == [2, 0, 0]
    assert frames.to("household", "is_blind", "any").tolist() == [True, False, False]
    assert frames.to("household", "is_blind", "max").tolist() == [True, False, False]
    assert frames.to("household", "sex", "first").tolist() == ["m", "f", "f"]
    frames["person"]["big"] = np.array([2**53 + 1, 1, 2, 3])
    assert frames.to("household", "big").tolist() == [4, 2, 2**53 + 1]
    with pytest.raises(InputError, match="sex: how='sum': expected numbers or true and false"):
        frames.to("household", "sex")


def test_a_group_gives_its_value_to_what_lies_in_it(frames):
    assert frames.to("person", "state").tolist() == ["VA", "NC", "NC", "NC"]
    assert frames.to("person", "rooms").dtype == np.int16
    assert frames.to("tax_unit", "rooms").tolist() == [4, 4, 2, 1]
    assert frames.to("household", "tax").tolist() == [3, 4, 8]
    assert frames.to("household", "tax", "max").tolist() == [2, 4, 8]
    assert frames.to("household", "rooms").tolist() == [4, 2, 1]
    assert frames.size("household").tolist() == [2, 1, 1]


def test_groups_that_cross_are_refused():
    frames = make(
        person={"person_id": [1, 2, 3], "person_tax_unit_id": [1, 1, 2], "person_spm_unit_id": [1, 2, 2]},
        tax_unit={"tax_unit_id": [1, 2], "tax": [1, 2]},
        spm_unit={"spm_unit_id": [1, 2], "spm_unit_weight": [1, 1]},
    )
    with pytest.raises(InputError, match="expected each tax_unit to lie in one spm_unit, or the other way round"):
        frames.to("spm_unit", "tax")


def test_a_household_without_persons(frames):
    frames["person"] = frames["person"][frames["person"]["age"] < 50]
    assert frames.size("household").tolist() == [2, 1, 0]
    assert frames.to("household", "age").tolist() == [48, 20, 0]
    assert frames.to("household", "age", "any").tolist() == [True, True, False]
    for how, first in {"mean": 24, "max": 40, "min": 8, "first": 40}.items():
        found = frames.to("household", "age", how)
        assert found[0] == first
        assert np.isnan(found[2])
    assert frames.to("household", "sex", "first").isna().tolist() == [False, False, True]
    with pytest.raises(InputError, match="1 of 3 rows without one"):
        frames.mean("age", of="household", how="mean")


def test_a_missing_value_makes_its_group_missing(frames):
    frames["person"].loc[1, "age"] = np.nan
    for how in ("sum", "mean", "max", "min"):
        assert frames.to("household", "age", how).isna().tolist() == [True, False, False]
    with pytest.raises(InputError, match="how='any'"):
        frames.to("household", "age", "any")


def test_rows_in_another_order_with_another_index(frames):
    frames["person"] = frames["person"].iloc[[2, 0, 3, 1]]
    frames["household"] = frames["household"].set_index(pd.Index(["a", "b", "c"]))
    assert frames.weight().to_dict() == {2: 20, 0: 5, 3: 10, 1: 10}
    assert frames.to("household", "age").to_dict() == {"a": 48, "b": 20, "c": 60}
    assert frames.to("person", "state").to_dict() == {2: "NC", 0: "VA", 3: "NC", 1: "NC"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda f: f.to("houshold", "age"), "unit: expected one of person, household, tax_unit, found 'houshold'"),
        (lambda f: f.to("household", "aeg"), "found 'aeg'. Did you mean age"),
        (lambda f: f.to("household", "age", "average"), "how: expected one of sum, mean, max, min, any, first"),
        (lambda f: f.mean("sex"), "sex: expected numbers or true and false"),
        (lambda f: f.mean("age", by="seks"), "found 'seks'"),
        (lambda f: f.mean("rooms", by="sex"), "sex: expected one value for each row of household"),
        (lambda f: f.mean("age", by=["sex", "sex"]), "by: expected columns of different names"),
        (lambda f: f.share("sex", by="sex"), "by: expected other columns than sex"),
        (lambda f: f.mean("age", where="age"), "where: expected true or false for each row"),
        (lambda f: f.mean("age", missing="skip"), "missing: expected one of refuse, drop"),
        (lambda f: f.quantile("age", 50), "q: expected numbers between 0 and 1"),
        (lambda f: f.quantile("age", []), "q: expected numbers between 0 and 1"),
        (lambda f: f.quantile("age", float("nan")), "q: expected numbers between 0 and 1"),
        (lambda f: f.mean(pd.Series([1, 2])), "expected a series with the rows of one entity"),
        (lambda f: f.mean("age", by=pd.Series([1, 2])), "expected a series with a value for each of the 4 rows"),
        (lambda f: f.mean(np.arange(4)), "expected the name of a column or a pandas series, found ndarray"),
        (lambda f: f.mean("age", where=np.ones(4, bool)), "expected the name of a column or a pandas series"),
        (lambda f: f.share("sex", of="household"), "sex: expected one value for each row of household"),
        (lambda f: f.count("firm"), "unit: expected one of"),
        (lambda f: float(f.mean("age", by="sex")), "expected one number, found 2 groups"),
    ],
)
def test_mistakes_are_one_line(frames, wrong, message):
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        wrong(frames)
    assert str(caught.value).startswith(("test: ", "mean of age"))
    assert "\n" not in str(caught.value)


# --- estimates ------------------------------------------------------------------------------------


def test_by_hand(frames):
    assert float(frames.mean("age")) == (60 * 5 + 40 * 10 + 20 * 20 + 8 * 10) / 45
    assert float(frames.total("age")) == 60 * 5 + 40 * 10 + 20 * 20 + 8 * 10
    assert float(frames.median("age")) == 20
    assert float(frames.mean("is_blind")) == 20 / 45
    assert float(frames.count()) == 45
    assert float(frames.count("household")) == 35
    assert float(frames.median("age", of="household")) == 20
    assert float(frames.mean("rooms")) == (4 * 10 + 2 * 20 + 1 * 5) / 35
    assert f"{frames.mean('rooms'):.2f}" == "2.43"
    assert frames.quantile("age", [0.1, 0.9]).table.iloc[0, :2].to_dict() == {"q0.1": 8, "q0.9": 60}


def test_by_groups(frames):
    table = frames.mean("age", by="sex").table
    assert table["mean"].to_dict() == {"f": (60 * 5 + 20 * 20 + 8 * 10) / 35, "m": 40}
    assert table["rows"].to_dict() == {"f": 3, "m": 1}
    table = frames.total("age", by=["state", "sex"]).table
    assert table["total"].to_dict() == {("NC", "f"): 480, ("NC", "m"): 400, ("VA", "f"): 300}
    assert table.index.names == ["state", "sex"]
    size = frames.size("household")
    assert frames.median("age", of="household", by=size).table["median"].to_dict() == {1: 20, 2: 48}
    frames["household"]["size"] = size
    assert frames.median("age", of="household", by="size").table["median"].to_dict() == {1: 20, 2: 48}
    assert frames.mean("age", by="size").table.index.tolist() == [1, 2]
    assert frames.count(by="state").table["count"].to_dict() == {"NC": 40, "VA": 5}


def test_shares(frames):
    assert frames.share("sex").table["share"].to_dict() == {"f": 35 / 45, "m": 10 / 45}
    table = frames.share("sex", by="state").table
    assert table["share"].to_dict() == {("NC", "f"): 0.75, ("NC", "m"): 0.25, ("VA", "f"): 1}
    assert table["rows"].tolist() == [3, 3, 1]
    assert frames.share("is_blind").table["share"].to_dict() == {False: 25 / 45, True: 20 / 45}


def test_only_some_rows(frames):
    adults = frames["person"]["age"] >= 18
    assert float(frames.mean("age", where=adults)) == (60 * 5 + 40 * 10 + 20 * 20) / 35
    assert float(frames.count(where="is_blind")) == 20
    assert "Only the rows that were chosen." in str(frames.mean("age", where=adults))
    frames["person"] = frames["person"][adults]
    assert float(frames.mean("age")) == (60 * 5 + 40 * 10 + 20 * 20) / 35


def test_missing_values_are_refused_or_said(frames):
    frames["person"].loc[1, "age"] = np.nan
    for wrong in (frames.mean, frames.total, frames.median, frames.share, lambda c: frames.quantile(c, 0.5)):
        with pytest.raises(InputError, match=r"age: expected a value in each row, found 1 of 4 rows without one\. Say"):
            wrong("age")
    found = frames.mean("age", missing="drop")
    assert float(found) == (60 * 5 + 20 * 20 + 8 * 10) / 35
    assert "Left out: 1 of 4 rows without one." in str(found)
    assert frames.share("age", missing="drop").table["share"].sum() == 1
    frames["household"]["state"] = ["NC", None, "VA"]
    with pytest.raises(InputError, match="rooms or state: expected a value in each row"):
        frames.mean("rooms", by="state")
    assert frames.mean("rooms", by="state", missing="drop").table["mean"].to_dict() == {"NC": 4, "VA": 1}
    assert float(frames.mean("age", where=frames["person"]["age"].notna())) == (60 * 5 + 20 * 20 + 8 * 10) / 35


def test_weights_of_nothing(frames):
    frames["household"]["household_weight"] = [0.0, 20, 5]
    table = frames.mean("age", by="person_household_id").table
    assert table["mean"].isna().tolist() == [False, False, True]
    assert table.loc[9, ["rows", "n_eff"]].tolist() == [0, 0]
    assert frames.total("age", by="person_household_id").table["total"].tolist() == [300, 400, 0]
    assert frames.median("age", by="person_household_id").table["median"].isna().tolist() == [False, False, True]
    shares = frames.share("sex", by="person_household_id").table["share"]
    assert shares.isna().tolist() == [False, False, True, True]
    none = frames["person"]["age"] > 100
    assert np.isnan(float(frames.mean("age", where=none)))
    assert float(frames.total("age", where=none)) == 0
    assert frames.mean("age", by=["sex", "state"], where=none).table.empty
    assert frames.share("sex", by="state", where=none).table.empty


def test_the_effective_sample_counts_households(frames):
    held = frames["household"]["household_weight"]
    kish = held.sum() ** 2 / (held**2).sum()
    assert frames.n_eff == pytest.approx(kish)
    assert frames.mean("age").n_eff == pytest.approx(kish)  # four persons, three draws
    assert frames.mean("age", by="sex").n_eff.to_dict() == pytest.approx({"f": kish, "m": 1})
    assert frames.mean("age", where="is_blind").n_eff == 1  # both in one household
    assert "n_eff: effective sample size (Kish), in rows of household." in str(frames.mean("age"))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 5)), min_size=1, max_size=12), st.randoms())
def test_an_estimate_is_that_of_the_people_whom_the_rows_stand_for(rows, random):
    """Weights that are whole numbers: write each household so many times, and count heads."""
    persons = [(number, random.randrange(90)) for number, (size, _) in enumerate(rows) for _ in range(size)]
    random.shuffle(persons)
    frames = make(
        person={
            "person_id": range(len(persons)),
            "person_household_id": [number for number, _ in persons],
            "age": [age for _, age in persons],
        },
        household={"household_id": range(len(rows)), "household_weight": [weight for _, weight in rows]},
    )
    people = [age for number, age in persons for _ in range(rows[number][1])]
    if not people:
        assert float(frames.count()) == 0
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallSampleWarning)
        assert float(frames.count()) == len(people)
        assert float(frames.total("age")) == sum(people)
        assert float(frames.mean("age")) == pytest.approx(np.mean(people))
        assert float(frames.median("age")) == np.quantile(people, 0.5, method="inverted_cdf")
        assert frames.count(by="age").table["count"].sum() == len(people)
        assert frames.share("age").table["share"].sum() == pytest.approx(1)
        assert frames.total("age", by="age").table["total"].sum() == sum(people)


# --- what a reader is told ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "estimate",
    [
        lambda f: f.mean("age"),
        lambda f: f.total("age", by="sex"),
        lambda f: f.median("age"),
        lambda f: f.quantile("age", 0.1),
        lambda f: f.count(),
        lambda f: f.share("sex"),
    ],
)
def test_a_small_sample_is_warned_of_where_it_is_used(frames, estimate):
    with pytest.warns(SmallSampleWarning, match="expected an effective sample of 100 or more, found") as caught:
        estimate(frames)
    assert [one.filename for one in caught] == [__file__]


@pytest.mark.parametrize(("households", "warns"), [(100, False), (99, True)])
def test_a_hundred_are_enough(households, warns):
    ids = np.arange(households)
    frames = make(
        person={"person_id": ids, "person_household_id": ids, "age": ids},
        household={"household_id": ids, "household_weight": np.full(households, 0.1)},
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frames.mean("age")
    assert [one.category for one in caught] == [SmallSampleWarning] * warns


def test_it_is_said_that_there_are_no_margins_of_error(frames):
    for found in (frames.mean("age"), frames.share("sex", by="state")):
        for text in (str(found), repr(found), found._repr_html_()):
            assert "No replicate weights are in the data, so no margins of error can be given." in text
            assert "n_eff" in text


# --- from files -----------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name, value in {"CACHE": "cache", "CONFIG": "none.toml", "STORE": "store"}.items():
        monkeypatch.setenv(f"PE_DATA_{name}", str(tmp_path / value))
    for name in ("MIRRORS", "OFFLINE"):
        monkeypatch.delenv(f"PE_DATA_{name}", raising=False)
    return tmp_path


def write_area(path, first=1, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {
        "person_id": np.arange(4, dtype=np.int32) + first,
        "person_household_id": np.array([0, 0, 1, 1], np.int32) + first,
        "age": np.array([1, 2, 3, 4], np.float32),
        "household_id": np.arange(2, dtype=np.int32) + first,
        "household_weight": np.array([10, 20], np.float32),
        "county_fips": np.array([b"01003", b"06037"]),
        **columns,
    }
    with h5py.File(path, "w") as file:
        for name, values in data.items():
            file[f"{name}/2024"] = values
    return path


def publish(place, files, notes=()):
    items = {name: Item(path, describe(path, Label("us", "areas")), About(notes=notes)) for name, path in files.items()}
    at_time(
        NOW,
        publish_collection,
        FolderStore(place / "store"),
        items,
        country="us",
        dataset="areas",
        run_id="r",
        allow_removal=True,
    )


@pytest.fixture
def areas(place):
    """Two districts, and a state with the units of the first."""
    files = {
        "districts/NC-01": write_area(place / "d1.h5"),
        "districts/NC-02": write_area(place / "d2.h5", 101, county_fips=np.array([b"01003", b"010"])),
        "states/NC": write_area(place / "s.h5", age=np.array([1, 2, 3, 5], np.float32)),
    }
    publish(place, files)
    return files


def test_ids_and_weights_come_along(place):
    path = write_area(place / "x.h5")
    columns = {entity: list(frame) for entity, frame in pe_data.open(path, ["age"]).items()}
    assert columns == {
        "person": ["age", "person_id", "person_household_id"],
        "household": ["household_id", "household_weight"],
    }
    assert float(pe_data.open(path, ["age"]).mean("age")) == (30 + 140) / 60
    columns = {entity: list(frame) for entity, frame in pe_data.open(path, ["county_fips"]).items()}
    assert columns == {"household": ["county_fips", "household_id", "household_weight"]}
    assert float(pe_data.open(path, "county_fips").count("household", by="county_fips").table.iloc[0, 0]) == 10


def test_only_links_to_what_is_there_come_along(place):
    units = {
        f"person_{name}_id": np.arange(4, dtype=np.int32) // size
        for name, size in {"tax_unit": 1, "spm_unit": 4}.items()
    }
    path = write_area(
        place / "x.h5", tax_unit_id=np.arange(4, dtype=np.int32), spm_unit_id=np.array([0], np.int32),
        spm_unit_tax=np.array([7.0]), **units,
    )  # fmt: skip
    found = {entity: list(frame) for entity, frame in pe_data.open(path, ["spm_unit_tax"]).items()}
    assert found == {
        "person": ["person_id", "person_household_id", "person_spm_unit_id"],
        "household": ["household_id", "household_weight"],
        "spm_unit": ["spm_unit_tax", "spm_unit_id"],
    }
    assert pe_data.open(path, ["spm_unit_tax"]).weight("spm_unit").tolist() == [10]


@pytest.mark.parametrize("members", ["districts/*", ["*-02", "districts/NC-01"]])
def test_areas_below_each_other(areas, members):
    frames = pe_data.open("pe-data://us/areas@latest", members=members)
    person = frames["person"]
    assert list(person)[:2] == ["area", "age"]
    assert person["area"].tolist() == ["NC-01"] * 4 + ["NC-02"] * 4
    assert frames["household"]["area"].tolist() == ["NC-01"] * 2 + ["NC-02"] * 2
    assert frames["household"]["county_fips"].tolist() == ["01003", "06037", "01003", "010"]
    assert person["person_id"].is_unique
    assert frames.weight().tolist() == [10, 10, 20, 20] * 2
    assert frames.count(by="area").table["count"].to_dict() == {"NC-01": 60, "NC-02": 60}
    assert float(frames.count()) == 120


def test_estimates_by_area_go_onto_a_map(areas):
    frames = pe_data.open("pe-data://us/areas@latest", ["age"], members="districts/*")
    estimated = frames.mean("age", by="area")
    assert pe_data.map(estimated).measure.values == estimated.table["mean"].to_dict()
    with pytest.raises(InputError, match="expected one number for each group, found q0"):
        pe_data.map(frames.quantile("age", [0.1, 0.9], by="area"))


def test_a_list_of_addresses_and_paths(areas):
    one, two = (f"pe-data://us/areas/districts/NC-0{n}@latest" for n in (1, 2))
    found = pe_data.open([one, two], variables=["age"])
    assert list(found["person"]) == ["area", "age", "person_id", "person_household_id"]
    assert found["person"]["area"].unique().tolist() == ["NC-01", "NC-02"]
    found = pe_data.open([areas["districts/NC-01"], two])
    assert found["person"]["area"].unique().tolist() == ["d1", "NC-02"]
    single = pe_data.open([one])
    assert single["person"]["area"].unique().tolist() == ["NC-01"]
    assert "area" not in pe_data.open(one)["person"]


def test_areas_that_overlap_are_refused(areas):
    with pytest.raises(InputError, match=r"_id: expected units that are in one file each, found 1 in NC-01 and NC\."):
        pe_data.open("pe-data://us/areas@latest", members="*")
    with pytest.raises(InputError, match=r"expected each file once, found .*d1\.h5 twice"):
        pe_data.open([areas["districts/NC-01"]] * 2)


def test_areas_of_one_short_name_are_told_apart_by_the_long_one(place):
    publish(place, {"states/NC": write_area(place / "a.h5"), "custom/NC": write_area(place / "b.h5", 101)})
    frames = pe_data.open("pe-data://us/areas@latest", members="*")
    assert frames["person"]["area"].unique().tolist() == ["areas/custom/NC", "areas/states/NC"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"rent": np.array([1.0, 2.0])}, "household: expected the same columns.*others in .*b.h5 than in .*a.h5: rent"),
        ({"age": np.array([1, 2, 3, 4], np.int64)}, "person: expected the same columns of the same types.*: age"),
        ({"person_weight": np.ones(4)}, "expected files with the same entities, ids and weights"),
        ({"area": np.ones(4)}, "person: expected the same columns"),
    ],
)
def test_files_of_another_shape_are_refused(place, columns, message):
    files = [write_area(place / "a.h5"), write_area(place / "b.h5", 101, **columns)]
    with pytest.raises(InputError, match=message):
        pe_data.open(files)
    assert len(pe_data.open(files, ["county_fips"])["household"]) == 4


def test_a_column_named_area_is_refused(place):
    files = [write_area(place / f"{n}.h5", n, area=np.ones(4)) for n in (1, 101)]
    with pytest.raises(InputError, match="person: expected no column 'area'"):
        pe_data.open(files)


@pytest.mark.parametrize(
    ("address", "members", "message"),
    [
        ("pe-data://us/areas@latest", "counties/*", "members: expected a pattern that fits some of 3 members"),
        ("pe-data://us/areas/districts/NC-01@latest", "*", "members: expected the address of a collection"),
        ("x.h5", "*", "members: expected the address of a collection"),
        ([], None, "expected at least one address"),
    ],
)
def test_wrong_members(areas, address, members, message):
    with pytest.raises(InputError, match=message):
        pe_data.open(address, members=members)


NOTES = ("purpose: demonstration of the workflow; not an estimate of anything", "geography: synthetic", "ages: imputed")


def test_a_demonstration_says_so(place):
    publish(place, {"districts/NC-01": write_area(place / "a.h5")}, NOTES)
    for address, members in {
        "pe-data://us/areas/districts/NC-01@latest": None,
        "pe-data://us/areas@latest": "districts/*",
    }.items():
        with pytest.warns(DemonstrationWarning, match="demonstration of the workflow; not an estimate") as caught:
            frames = pe_data.open(address, members=members)
        assert caught[0].filename == __file__
        assert frames.notes == NOTES
        assert NOTES[0] in str(frames.mean("age"))
        assert NOTES[1] in str(frames.mean("age"))
        assert NOTES[2] not in str(frames.mean("age"))
        assert all(note in repr(frames) for note in NOTES)


def test_other_data_say_nothing(areas):
    with warnings.catch_warnings():
        warnings.simplefilter("error", DemonstrationWarning)
        assert pe_data.open("pe-data://us/areas/districts/NC-01@latest").notes == ()


def test_a_purpose_is_no_demonstration(place):
    publish(place, {"districts/NC-01": write_area(place / "a.h5")}, ("purpose: estimates of states and districts",))
    with warnings.catch_warnings():
        warnings.simplefilter("error", DemonstrationWarning)
        assert pe_data.open("pe-data://us/areas/districts/NC-01@latest").notes


def test_replaced_frames_of_a_file_still_estimate(areas):
    frames = pe_data.open("pe-data://us/areas@latest", members="districts/*")
    frames["person"] = frames["person"].query("area == 'NC-02'")
    assert float(frames.count()) == 60


def test_a_file_on_this_machine_tells_what_its_sidecar_says(place):
    """The entity of a column whose length fits two, and the notes; unless the sidecar is of other bytes, or none."""
    family = {"family_id": np.arange(2), "person_family_id": np.array([0, 0, 1, 1])}
    path = write_area(place / "a.h5", rent=np.array([1.0, 2.0]), **family)
    assert "family|household" in pe_data.open(path)
    write_sidecar(path, notes={"purpose": "demonstration"})
    sidecar = path.with_name("a.h5.result.json")
    said = json.loads(sidecar.read_text().replace("family|household", "household"))
    sidecar.write_text(json.dumps(said))
    with pytest.warns(DemonstrationWarning, match="purpose: demonstration"):
        frames = pe_data.open(path)
    assert set(frames) == {"person", "household", "family"}
    assert float(frames.mean("rent")) == 50 / 30
    write_area(path, 101)
    assert pe_data.open(path).notes == ()
    sidecar.write_text("{}")
    assert pe_data.open(path).notes == ()


def test_labels_are_shown(frames):
    labelled = Frames(frames, frames.entities, labels={"age": "Age of the person"})
    assert str(labelled.mean("age")).startswith("mean of age (Age of the person), per person\n")
    assert str(labelled.mean("rooms")).startswith("mean of rooms, per household\n")
