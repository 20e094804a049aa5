"""Requests: JSON round trips, and one line for what is no request."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sentence import parts_of

from local_h5.errors import RequestError
from local_h5.requests import (
    AREA_TYPES,
    CODE_WIDTH,
    FILTER_FIELDS,
    FOLDERS,
    AreaBuildRequest,
    AreaFilter,
)

GOOD: dict[str, Any] = {
    "area_type": "custom",
    "area_id": "triangle",
    "display_name": "Research Triangle",
    "filters": [{"field": "county", "op": "in", "value": ["37063", "37135"]}],
    "package": "regional",
}


@st.composite
def filters(draw: st.DrawFn) -> AreaFilter:
    field = draw(st.sampled_from(FILTER_FIELDS))
    digits = st.text("0123456789", min_size=CODE_WIDTH.get(field, 3), max_size=CODE_WIDTH.get(field, 3))
    op = draw(st.sampled_from(["eq", "in"]))
    values = draw(st.lists(digits, min_size=1, max_size=1 if op == "eq" else 5, unique=True))
    return AreaFilter(field, op, tuple(values))


@given(
    st.sampled_from(AREA_TYPES),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True),
    st.text(),
    st.lists(filters(), max_size=3),
)
def test_json_gives_the_request_back(area_type: Any, area_id: str, name: str, chosen: list[AreaFilter]) -> None:
    request = AreaBuildRequest(area_type, area_id, name, tuple(chosen))
    assert AreaBuildRequest.from_json(json.loads(json.dumps(request.to_json()))) == request
    assert request.relative_path.parts == (FOLDERS[area_type], f"{area_id}.h5")


@given(st.sampled_from(sorted(CODE_WIDTH)), st.data())
def test_unpadded_digits_are_padded(field: Any, data: st.DataObject) -> None:
    code = data.draw(st.integers(0, 10 ** CODE_WIDTH[field] - 1))
    padded = f"{code:0{CODE_WIDTH[field]}d}"
    for value in (str(code), padded):
        assert AreaFilter.from_json({"field": field, "op": "eq", "value": value}).values == (padded,)
        assert AreaFilter(field, "eq", (value,)).values == (padded,)


CODES = {
    "block": "020130001001000", "tract": "02013000100", "county": "02013", "district": "0201", "state": "02",
    "puma": "01302", "place": "02400", "zcta": "02134", "cbsa": "35620", "sldu": "024", "sldl": "037",
}  # fmt: skip


@pytest.mark.parametrize("field", FILTER_FIELDS)
@pytest.mark.parametrize("read", [yaml.safe_load, json.loads])
def test_a_code_without_quotes_is_refused_with_the_line_to_write(field: Any, read: Any) -> None:
    code = CODES[field]
    number = read(code.lstrip("0")) if read is json.loads else read(f"value: {code}")["value"]
    for entry in ({"op": "eq", "value": number}, {"op": "in", "value": [number]}):
        with pytest.raises(RequestError) as refused:
            AreaFilter.from_json({"field": field, **entry}, "my.yaml")
        assert f'value: "{code}"' in parts_of(refused.value).remedy
        assert parts_of(refused.value).found == f"the number {number}"
        assert "\n" not in str(refused.value)


@given(st.sampled_from(FILTER_FIELDS), st.integers(0, 10**15))
def test_whatever_number_yaml_gives_no_code_is_guessed(field: Any, number: int) -> None:
    with pytest.raises(RequestError, match="the number"):
        AreaFilter(field, "in", (number,))


@pytest.mark.parametrize(
    ("field", "op", "values"),
    [
        ("county", "in", ("1", "nonsense")), ("county", "in", {"37063": 1}), ("county", "in", b"36061"),
        ("county", "in", "37063"), ("county", "eq", ("37063", "37135")), ("county", "eq", ()),
        ("county", "in", (b"37063",)),
        ("planet", "eq", ("1",)), ("county", "near", ("37063",)), ("puma", "eq", ("370240",)),
        ("place", "eq", ("37 2400",)),
        ("sldu", "eq", ("370024",)), ("sldu", "eq", ("XX024",)), ("sldl", "eq", ("0 1",)),
        ("sldl", "eq", ("-1",)), ("sldl", "eq", ("E/O",)), ("sldu", "eq", ("E.O",)), ("sldu", "eq", ("XXE-O",)),
        ("tract", "eq", ("3706300010x",)),
        ("county", "in", ("37063", None)), ("county", "in", (True,)), ("state", "in", (37.0,)),
    ],
)  # fmt: skip
def test_a_filter_that_is_built_directly_is_checked_too(field: Any, op: Any, values: Any) -> None:
    with pytest.raises(RequestError):
        AreaFilter(field, op, values)
    with pytest.raises(RequestError):
        AreaFilter.from_json({"field": field, "op": op, "value": values})


@pytest.mark.parametrize(
    ("field", "value", "parts"),
    [
        ("sldu", "37024", (37, "024")), ("sldu", "024", (None, "024")), ("sldl", "50ADD", (50, "ADD")),
        ("sldu", "E-O", (None, "E-O")),
        ("sldu", "50E-O", (50, "E-O")), ("sldl", "B-1", (None, "B-1")), ("sldl", "50W-C", (50, "W-C")),
        ("puma", "3701302", (37, "01302")), ("place", "0224230", (2, "24230")), ("place", "24230", (None, "24230")),
    ],
)  # fmt: skip
def test_codes_within_a_state_may_have_it_in_front(field: Any, value: str, parts: tuple) -> None:
    item = AreaFilter.from_json({"field": field, "op": "eq", "value": value})
    assert item.values == (value,)
    assert item.of_states() == (parts,)
    assert item.says_state == (parts[0] is not None)


@pytest.mark.parametrize(
    "change",
    [
        {"area_type": "planet"},
        {"area_type": ["state"]},
        {"area_id": "../up"},
        {"area_id": 37},
        {"display_name": None},
        {"package": 1},
        {"filters": None},
        {"filters": 5},
        {"filters": {"field": "county"}},
        {"filters": ["county"]},
        {"filters": [{"field": "county", "op": "in"}]},
        {"filters": [{"field": "planet", "op": "eq", "value": "1"}]},
        {"filters": [{"field": "county", "op": "near", "value": "37063"}]},
        {"filters": [{"field": "county", "op": ["in"], "value": ["37063"]}]},
        {"filters": [{"field": "county", "op": "in", "value": "37063"}]},
        {"filters": [{"field": "county", "op": "in", "value": []}]},
        {"filters": [{"field": "county", "op": "in", "value": [None]}]},
        {"filters": [{"field": "county", "op": "eq", "value": ["37063"]}]},
        {"filters": [{"field": "county", "op": "eq", "value": True}]},
        {"filters": [{"field": "county", "op": "eq", "value": -37063}]},
        {"filters": [{"field": "county", "op": "eq", "value": "Wake"}]},
        {"filters": [{"field": "county", "op": "eq", "value": "３７０６３"}]},
        {"filters": [{"field": "county", "op": "eq", "value": "370633"}]},
        {"filters": [{"field": "sldu", "op": "eq", "value": ""}]},
        {"filters": [{"field": "sldu", "op": "eq", "value": 12}]},
        {"more": 1},
    ],
    ids=repr,
)
def test_what_is_no_request_is_one_line(change: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as caught:
        AreaBuildRequest.from_json({**GOOD, **change}, "areas.yaml")
    error = caught.value
    assert "\n" not in str(error)
    assert all((parts_of(error).where, parts_of(error).expected, parts_of(error).found, parts_of(error).remedy))


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_every_key_is_needed(missing: str) -> None:
    with pytest.raises(RequestError, match=missing):
        AreaBuildRequest.from_json({key: value for key, value in GOOD.items() if key != missing})
