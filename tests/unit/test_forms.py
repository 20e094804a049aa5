"""Documents as structures: what is read is what was written, and what is no such document is one line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentence import parts_of

from local_h5.contracts.results import Fingerprint
from local_h5.contracts.typed import typed
from local_h5.errors import LocalH5Error
from local_h5.files import forms
from local_h5.files.forms import Count, Form, Share, Text
from local_h5.requests import AreaBuildRequest


class Part(Form, frozen=True):
    """A part."""

    share: Share
    code: Annotated[str, forms.matching("[a-z]+")] = "a"


class Whole(Form, frozen=True):
    """A whole."""

    count: Count
    kind: Literal["one", "two"] = "one"
    parts: tuple[Part, ...] = ()
    named: Mapping[Annotated[str, forms.matching("[a-z]+")], Part] = {}
    text: Text | None = None
    several: int | tuple[int, ...] = 0


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "f: count: expected a value, found nothing. Do it."),
        ({"cuont": 1, "count": 1}, "f: cuont: expected one of count, kind, named, parts, several, text, found an "
         "unknown key. Did you mean count? Do it."),
        ({"count": -1}, "f: count: expected at least 0, found -1. Do it."),
        ({"count": True}, "f: count: expected integer, found True (bool). Do it."),
        ({"count": 1.5}, "f: count: expected integer, found 1.5 (float). Do it."),
        ({"count": 1, "kind": "six"}, "f: kind: expected one of one, two, found 'six'. Do it."),
        ({"count": 1, "parts": [{"share": 0}, {"share": 2}]}, "f: parts.1.share: expected at most 1, found 2. Do it."),
        ({"count": 1, "named": {"a": {"share": 0}, "b": {}}}, "f: named.b.share: expected a value, found nothing. "
         "Do it."),
        ({"count": 1, "named": {"B": {"share": 0}}}, 'f: named.B: found "B" does not match "^[a-z]+$". Do it.'),
        ({"count": 1, "parts": [{"share": 0, "code": "a\n"}]}, r'f: parts.0.code: found "a\n" does not match '
         '"^[a-z]+$". Do it.'),
        ({"count": 1, "text": ""}, "f: text: expected at least 1 characters, found ''. Do it."),
        ({"count": 1, "text": 3}, "f: text: expected string or null, found 3 (int). Put texts in quotes. Do it."),
        ({"count": 1, "several": [1, "x"]}, "f: several.1: expected integer, found 'x' (str). Do it."),
        ({1: 2}, "f: 1: expected string, found 1 (int). Put texts in quotes. Do it."),
        ([], "f: expected object, found [] (list). Do it."),
        (None, "f: expected object, found None (NoneType). Do it."),
    ],
)  # fmt: skip
def test_what_is_refused_is_said_with_its_place(data: Any, sentence: str) -> None:
    with pytest.raises(LocalH5Error) as caught:
        forms.convert(data, Whole, "f", LocalH5Error, "Do it.")
    assert str(caught.value) == sentence


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["count", "parts", "share", "named", "text", "several", "a"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_anything_is_a_structure_or_one_line(data: Any) -> None:
    said = ""
    try:
        found = forms.convert(data, Whole, "f", LocalH5Error, "Do it.")
        assert forms.convert(forms.plain(found, "f", LocalH5Error), Whole, "f", LocalH5Error) == found
    except LocalH5Error as error:
        said = str(error)
    assert "\n" not in said
    assert said.startswith("f: ") == bool(said)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"count": 1, "count": 2}', "the key 'count' twice"),
        ('{"count": 1, "parts": [{"share": 0, "share": 0}]}', "the key 'share' twice"),
        ('{"count": NaN}', "NaN"), ('{"count": -Infinity}', "-Infinity"), ('{"count": 1e999}', "1e999"),
        ('{"count": ' + "1" * 5000 + "}", "digits"), ("[" * 100_000, "too many levels"), ('{"a":' * 100_000, "levels"),
        ('{"count": 1} 2', "Extra data"), ('{"count": 1', "delimiter"), ("", "Expecting value"),
        ('\ufeff{"count": 1}', "BOM"), (b"\xff{}", "codec"),
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_what_is_no_json_is_one_line(text: str | bytes, found: str, tmp_path: Path) -> None:
    path = tmp_path / "whole.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(LocalH5Error) as caught:
        forms.read(path, Whole, LocalH5Error, "a whole", "Do it.")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    said = parts_of(caught.value)
    assert (said.where, said.expected, said.remedy) == (str(path), "a whole", "Do it.")
    assert found in said.found


@pytest.mark.parametrize(
    "text", ["count: 1\ncount: 2\n", "count: .nan", "count: .inf", "{", "[" * 50_000, "&a [*a]", "caf\udce9"], ids=repr
)
def test_what_is_no_yaml_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "whole.yaml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(LocalH5Error) as caught:
        forms.read_yaml(path, Whole, LocalH5Error, "Do it.")
    assert "\n" not in str(caught.value)
    assert parts_of(caught.value).remedy == "Do it."


def test_dates_and_numbers_as_keys_stay_text_in_yaml(tmp_path: Path) -> None:
    path = tmp_path / "dates.yaml"
    path.write_text("2018-01-01: 1\n2018: 2\n")
    assert forms.read_yaml(path, dict[str, int], LocalH5Error, "") == {"2018-01-01": 1, "2018": 2}


@pytest.mark.parametrize(
    "whole",
    [Whole(-1), Whole("1"), Whole(1, "six"), Whole(1, parts=(Part(2.0),)), Whole(1, parts=(Part(float("nan")),)),
     Whole(1, text=""), Whole(np.int64(1)), Whole(1, parts=(Part(np.float32(0.5)),))],
    ids=repr,
)  # fmt: skip
def test_nothing_is_written_that_would_not_be_read(whole: Whole) -> None:
    with pytest.raises(LocalH5Error) as caught:
        forms.text(whole, "whole.json", LocalH5Error)
    assert str(caught.value).startswith("whole.json: ")
    assert "\n" not in str(caught.value)


def test_the_text_of_a_structure() -> None:
    whole = Whole(1, parts=(Part(np.float64(0.1)),))
    assert forms.text(whole, "-", LocalH5Error, indent=None, sort=True) == (
        '{"count": 1, "kind": "one", "named": {}, "parts": [{"code": "a", "share": 0.1}], "several": 0, "text": null}\n'
    )


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_written_as_python_writes_them(number: float) -> None:
    """Sidecars of before stay the same byte by byte."""
    written = forms.text({"a": number}, "-", LocalH5Error, indent=None)
    assert written == json.dumps({"a": number}) + "\n"
    assert forms.parse(written) == {"a": number}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [(int, "10", 10), (float, "10", 10), (int, "1.5", 1.5), (str, "10", "10"), (bool, "no", False), (str, "no", "no"),
     (str | None, "null", None), (str, "null", "null"), (Literal["a", "no"], "no", "no"), (Literal[1, 2], "1", 1),
     (Any, "1", "1"), (float, "[1", "[1")],
)  # fmt: skip
def test_a_text_gets_the_type_that_its_place_has_room_for(kind: Any, text: str, value: Any) -> None:
    found = typed(kind, text)
    assert (found, type(found)) == (value, type(value))
    assert typed(Mapping[str, kind], {"x": text}) == {"x": value}
    assert typed(tuple[kind, ...], [text, text]) == [value, value]


def test_requests_are_values() -> None:
    one, other = (AreaBuildRequest("state", "NC", "x") for _ in range(2))
    assert {one: 1}[other] == 1
    assert (one.name, one.key, str(one.relative_path)) == ("states/NC", "states/NC.h5", "states/NC.h5")
    with pytest.raises(AttributeError):
        one.area_id = "SC"  # type: ignore[misc]
    assert msgspec.structs.replace(one, area_id="SC").package == "regional"


def test_differences_of_fingerprints() -> None:
    mark = Fingerprint("0" * 64, {"code": "1" * 64, "weights": "2" * 64})
    assert mark.differences(mark.components) == []
    assert mark.differences({"code": "1" * 64, "blocks": "3" * 64}) == ["blocks", "weights"]


VALUES = st.builds(
    Whole,
    count=st.integers(0, 10**6),
    kind=st.sampled_from(["one", "two"]),
    parts=st.lists(st.builds(Part, share=st.floats(0, 1), code=st.sampled_from(["a", "bc"])), max_size=2).map(tuple),
    text=st.none() | st.sampled_from(["a text", "ä “text”"]),
)


@given(value=VALUES, other=VALUES, sort=st.booleans())
def test_a_file_is_as_written_or_is_not(
    value: Whole, other: Whole, sort: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("forms") / "whole.json"
    assert not forms.is_written(path, value, LocalH5Error, sort=sort)
    path.write_text(forms.text(value, path, LocalH5Error, sort=sort), encoding="utf-8")
    assert forms.is_written(path, value, LocalH5Error, sort=sort)
    assert forms.is_written(path, other, LocalH5Error, sort=sort) == (other == value)
    path.write_bytes(path.read_bytes()[:-1])
    assert not forms.is_written(path, value, LocalH5Error, sort=sort)
