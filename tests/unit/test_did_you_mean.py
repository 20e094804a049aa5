"""What is said to somebody who names an area that is not there."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_h5 import us
from local_h5.areas import all_requests, did_you_mean, read_districts
from local_h5.errors import RequestError
from local_h5.requests import AreaBuildRequest, AreaFilter
from local_h5.runs.explain import find_request
from local_h5.workflow.configuration import load_settings

ROOT = Path(__file__).parents[2]
REQUESTS = all_requests(
    read_districts(ROOT / "config" / "districts_119.csv"), ["NYC"], [], national_package="regional", where="test"
)
IDS = sorted(request.area_id for request in REQUESTS)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("nc-01", "NC-01"),
        ("NC-1", "NC-01"),
        ("nc01", "NC-01"),
        ("NC_01", "NC-01"),
        ("districts/NC-1", "NC-01"),
        ("districts/nc-01.h5", "NC-01"),
        ("nc", "NC"),
        ("north carolina", "NC"),
        ("North Carolna", "NC"),
        ("District of Columbia", "DC"),
        ("dc", "DC"),
        ("us", "US"),
        ("United States", "US"),
        ("new york city", "NYC"),
    ],
)
def test_near_misses(name: str, first: str) -> None:
    said = did_you_mean(name, REQUESTS)
    assert said.removeprefix("Did you mean ").removesuffix("?").split(" or ")[0] == first


@pytest.mark.parametrize("name", ["", "/", "zzzzzzzz", "42", "☃"])
def test_nothing_is_near(name: str) -> None:
    assert did_you_mean(name, REQUESTS) == ""


def test_one_id_of_two_areas_is_said_by_path() -> None:
    twice = [*REQUESTS, AreaBuildRequest("custom", "NC", "mine")]
    assert did_you_mean("nc", twice) == "Did you mean states/NC or custom/NC?"


@given(st.sampled_from(IDS), st.data())
def test_capitals_signs_and_zeros_make_no_difference(area_id: str, data: st.DataObject) -> None:
    head, _, tail = area_id.partition("-")
    head = "".join(data.draw(st.sampled_from([letter.lower(), letter])) for letter in head)
    zeros = "0" * data.draw(st.integers(0, 3))
    written = head + data.draw(st.sampled_from(["-", "", "_", " "])) + zeros + tail.lstrip("0") if tail else head
    assert did_you_mean(written, REQUESTS).startswith(f"Did you mean {area_id}")


@given(st.text(string.printable, max_size=80))
def test_any_text_is_one_line(name: str) -> None:
    assert "\n" not in did_you_mean(name, REQUESTS)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nc-01", "nc-01: expected the id of one area of this run, found none. Did you mean NC-01?"),
        ("NC-99", "NC-99: expected the id of one area of this run, found none. Did you mean NC-"),
        ("zzzzzzzz", "found none. `local-h5 areas` lists all."),
    ],
)
def test_explain_says_it(name: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    settings = load_settings()
    with pytest.raises(RequestError) as caught:
        find_request(settings, name)
    assert said in str(caught.value)
    assert find_request(settings, "NC-01").area_id == "NC-01"
    assert find_request(settings, "DC").area_type == "state"


def test_a_city_takes_a_row_of_two_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/extending.md: its counties, its name, and its id in `areas.cities`."""
    monkeypatch.setattr(us, "CITY_COUNTIES", {**us.CITY_COUNTIES, "CHI": ("17031",)})
    monkeypatch.setattr(us, "CITY_NAMES", {**us.CITY_NAMES, "CHI": "Cook County"})
    districts = read_districts(ROOT / "config/districts_119.csv")
    found = all_requests(districts, ["NYC", "CHI"], [], national_package="regional", where="test")
    (city,) = [request for request in found if request.area_id == "CHI"]
    assert (city.area_type, city.display_name) == ("city", "Cook County")
    assert city.filters == (AreaFilter("county", "in", ("17031",)),)
