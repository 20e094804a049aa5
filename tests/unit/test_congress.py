"""Whose congressional districts: from the table of districts into every area's request, sidecar and fingerprint."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, to_builtins
from msgspec.structs import replace

from local_h5.areas import DISTRICT_COLUMNS, CustomArea, all_requests, read_districts
from local_h5.contracts import schemas
from local_h5.contracts.work_items import read_items
from local_h5.errors import ConfigError, RequestError
from local_h5.requests import AreaBuildRequest, AreaFilter

ROOT = Path(__file__).parents[2]
ROWS = ("AL-01,101,AL,1,760389", "AK-01,201,AK,2,740133")
CUSTOM = CustomArea("mine", ({"field": "county", "op": "eq", "value": "37063"},))


def table(path: Path, *congress: str) -> Path:
    """A table of districts with these numbers of the Congress, or without the column."""
    header = [*DISTRICT_COLUMNS, "congress"] if congress else DISTRICT_COLUMNS
    rows = [f"{row},{number}" for row, number in zip(ROWS, congress, strict=True)] if congress else ROWS
    path.write_text("\n".join([",".join(header), *rows]) + "\n")
    return path


def requests(path: Path) -> tuple[AreaBuildRequest, ...]:
    return all_requests(read_districts(path), ["NYC"], [CUSTOM], national_package="regional", where="test")


def test_every_area_of_the_committed_table_is_of_the_119th_congress() -> None:
    found = requests(ROOT / "config" / "districts_119.csv")
    assert {request.area_type for request in found} == {"national", "state", "district", "city", "custom"}
    assert {request.congress for request in found} == {119}


def test_a_table_that_does_not_say_it_makes_the_requests_of_before(tmp_path: Path) -> None:
    found = requests(table(tmp_path / "d.csv"))
    assert {request.congress for request in found} == {UNSET}
    assert found[-1].to_json() == {
        "area_type": "custom",
        "area_id": "mine",
        "display_name": "mine",
        "filters": [{"field": "county", "op": "eq", "value": "37063"}],
        "package": "regional",
    }
    newer = requests(table(tmp_path / "d.csv", "120", "120"))
    assert [replace(request, congress=UNSET) for request in newer] == list(found)
    assert [to_builtins(request) == to_builtins(before) for request, before in zip(newer, found, strict=True)] == [
        False
    ] * len(found), "another fingerprint"


@pytest.mark.parametrize(
    ("congress", "message"),
    [
        (("119", "118"), "line 3: congress: expected 119, as in the line before, found 118"),
        (("", ""), "line 2: expected a district, found congress ''"),
        (("0", "0"), "found congress '0'"),
        (("119.0", "119.0"), r"found congress '119\.0'"),
        (("-1", "-1"), "found congress '-1'"),
        (("119th", "119th"), "found congress '119th', which is no number of a Congress, such as 119"),
        (("119", "²"), "line 3: expected a district, found congress '²'"),
    ],
)
def test_what_is_no_congress_is_refused_in_one_line(tmp_path: Path, congress: tuple[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_districts(table(tmp_path / "d.csv", *congress))


def test_other_columns_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "d.csv", "119", "119")
    path.write_text(path.read_text().replace("congress", "vintage"))
    with pytest.raises(ConfigError, match=r"columns: expected district, .*, and congress or not, found .*, vintage"):
        read_districts(path)


@settings(deadline=None)  # the first call imports
@given(st.integers(1, 10_000))
def test_a_request_with_a_congress_comes_back(congress: int) -> None:
    request = AreaBuildRequest(
        "district", "NC-01", "NC-01", (AreaFilter("district", "eq", ("3701",)),), "regional", congress
    )
    document = json.loads(json.dumps(request.to_json()))
    assert AreaBuildRequest.from_json(document) == request
    (item,) = read_items({"schema_version": 1, "areas": [{"request": document}]})
    assert item.request == request
    schemas.check("work_items", {"schema_version": 1, "areas": [{"request": document}]}, "x", RequestError)


@pytest.mark.parametrize("congress", [0, -1, "119", 119.5, None])
def test_a_request_with_another_congress_is_refused(congress: object) -> None:
    document = AreaBuildRequest("national", "US", "United States").to_json() | {"congress": congress}
    with pytest.raises(RequestError, match="congress"):
        AreaBuildRequest.from_json(document)
