"""Estimates from files of a finished run, against a computation by hand and against the country model."""

from pathlib import Path

import h5py
import numpy as np
import pytest

import pe_data
from pe_data.errors import DemonstrationWarning, SmallSampleWarning

pytestmark = [
    pytest.mark.run,
    pytest.mark.filterwarnings("ignore::pe_data.errors.SmallSampleWarning"),
    pytest.mark.filterwarnings("ignore::pe_data.errors.DemonstrationWarning"),
]

RESULTS = Path(__file__).parents[2] / "results"
DISTRICT = RESULTS / "districts" / "NC-01.h5"
EARNINGS = "employment_income_before_lsr"


@pytest.fixture(scope="module")
def frames():
    return pe_data.open(DISTRICT)


@pytest.fixture(scope="module")
def arrays():
    names = ("age", EARNINGS, "person_household_id", "household_id", "household_weight")
    with h5py.File(DISTRICT) as file:
        return {name: file[f"{name}/2024"][()] for name in names}


@pytest.fixture(scope="module")
def model():
    from policyengine_us import Microsimulation

    return Microsimulation(dataset=str(DISTRICT))


def test_by_hand(frames, arrays):
    """As somebody would who has only the arrays: look every household up, and count people."""
    households = {number: row for row, number in enumerate(arrays["household_id"].tolist())}
    rows = [households[number] for number in arrays["person_household_id"].tolist()]
    weights = arrays["household_weight"].astype(float)[rows]
    age = arrays["age"].astype(float)
    assert float(frames.mean("age")) == pytest.approx((age * weights).sum() / weights.sum())
    assert float(frames.count()) == pytest.approx(weights.sum())
    earnings = np.zeros(len(households))
    for row, value in zip(rows, arrays[EARNINGS].tolist(), strict=True):
        earnings[row] += value
    held = arrays["household_weight"].astype(float)
    order = np.argsort(earnings, kind="stable")
    reached = np.cumsum(held[order]) / held.sum()
    median = earnings[order][np.argmax(reached >= 0.5)]
    assert float(frames.median(EARNINGS, of="household")) == median
    assert frames.n_eff == pytest.approx(held.sum() ** 2 / (held**2).sum())
    unweighted = float(frames["person"]["age"].mean())
    assert abs(unweighted - float(frames.mean("age"))) > 1  # so that the example shows something


@pytest.mark.model
def test_the_country_model_weights_alike(frames, model):
    assert float(frames.mean("age")) == pytest.approx(model.calculate("age", 2024).mean(), rel=1e-5)
    assert float(frames.total(EARNINGS)) == pytest.approx(model.calculate(EARNINGS, 2024).sum(), rel=1e-5)
    households = model.calculate(EARNINGS, 2024, map_to="household")
    assert frames.to("household", EARNINGS).to_numpy() == pytest.approx(np.asarray(households.values), rel=1e-5)
    assert float(frames.median(EARNINGS, of="household")) == pytest.approx(households.median(), rel=1e-5)
    assert float(frames.count("household")) == pytest.approx(model.calculate("household_weight", 2024).values.sum())


@pytest.mark.model
def test_the_country_model_weighs_other_units_alike(frames, model):
    for entity in ("person", "household", "tax_unit", "spm_unit"):  # the model gives families no weight
        found = model.calculate(f"{entity}_weight", 2024).values
        assert frames.weight(entity).to_numpy() == pytest.approx(np.asarray(found), rel=1e-5), entity


def test_a_file_tells_what_it_is():
    with pytest.warns(DemonstrationWarning, match="demonstration of the workflow; not an estimate of anything"):
        frames = pe_data.open(DISTRICT)
    assert set(frames) == {"person", "household", "tax_unit", "spm_unit", "family", "marital_unit"}
    with pytest.warns(SmallSampleWarning):  # households of eight and the like
        text = str(frames.median(EARNINGS, of="household", by=frames.size("household")))
    assert "not an estimate of anything" in text


def test_districts_below_each_other_are_their_state():
    files = sorted((RESULTS / "districts").glob("NC-*.h5"))
    assert len(files) == 14
    districts = pe_data.open(files, ["age"])
    state = pe_data.open(RESULTS / "states" / "NC.h5", ["age"])
    assert len(districts["person"]) == len(state["person"])
    assert float(districts.mean("age")) == pytest.approx(float(state.mean("age")))
    assert float(districts.count()) == pytest.approx(float(state.count()))
    assert districts.count(by="area").table["count"].index.tolist() == [file.stem for file in files]
