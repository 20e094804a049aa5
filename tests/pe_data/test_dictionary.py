"""What variables mean: the document, where it is found, and that it is told as it was written."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pe_data.documents.dictionary import Dictionary, Variable
from pe_data.errors import InvalidDocumentError
from pe_data.names.digests import canonical_json

AGE = Variable("age", "person", "year", label="age of a person", unit="year", source="source dataset")
STATUS = Variable("filing_status", "tax_unit", "year", label="filing status", values=("SINGLE", "JOINT"))
BARE = Variable("person_id", "person", "eternity")


def test_a_dictionary_reads_back_and_says_nothing_that_nobody_said() -> None:
    whole = Dictionary((AGE, STATUS, BARE))
    assert Dictionary.from_bytes(whole.to_bytes()) == whole
    assert whole.to_json()["variables"][2] == {"name": "person_id", "entity": "person", "period": "eternity"}
    assert whole.variable("age") == AGE
    assert whole.variable("agee") is None


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("label", "a\nb", "field variables.0.label: expected one printable line of at most 500 characters, found"),
        ("label", 3, "field variables.0.label: expected text, found the number 3"),
        ("unit", "", "field variables.0.unit: expected text, found ''"),
        ("entity", None, "field variables.0.entity: expected text, found nothing"),
        ("period", "week", "field variables.0.period: expected one of year, month, eternity, found 'week'"),
        ("values", [], "field variables.0.values: expected a list of texts, found a list of 0"),
        ("values", ["A", "A"], "field variables.0.values: expected each value once, found 'A' twice"),
        ("values", ["A", "\x1b[2J"], "field variables.0.values.1: expected one printable line"),
        ("description", "x" * 10_001, "field variables.0.description: expected one printable line of at most 10000"),
    ],
)
def test_what_is_refused(field: str, value: Any, says: str) -> None:
    row = {"name": "age", "entity": "person", "period": "year", field: value}
    raw = canonical_json({"schema_version": 1, "kind": "dictionary", "variables": [row]})
    with pytest.raises(InvalidDocumentError) as caught:
        Dictionary.from_bytes(raw, "d.json")
    assert str(caught.value).startswith(f"d.json: {says}")
    assert "\x1b" not in str(caught.value)


def test_a_variable_twice_and_a_newer_dictionary_are_refused() -> None:
    row = {"name": "age", "entity": "person", "period": "year"}
    with pytest.raises(InvalidDocumentError, match="field variables: expected each variable once, found 'age' twice"):
        Dictionary.from_json({"schema_version": 1, "kind": "dictionary", "variables": [row, row]}, "d.json")
    with pytest.raises(InvalidDocumentError, match="upgrade it"):
        Dictionary.from_json({"schema_version": 2, "kind": "dictionary", "variables": [row]}, "d.json")


line = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable() and bool(text.strip()))
maybe = st.none() | line
variables = st.builds(
    Variable,
    line,
    line,
    st.sampled_from(["year", "month", "eternity"]),
    label=maybe,
    unit=maybe,
    description=maybe,
    values=st.none() | st.lists(line, min_size=1, max_size=5, unique=True).map(tuple),
    source=maybe,
)


@given(st.lists(variables, max_size=5, unique_by=lambda one: one.name).map(tuple))
def test_whatever_can_be_said_survives(found: tuple[Variable, ...]) -> None:
    assert Dictionary.from_bytes(Dictionary(found).to_bytes()).variables == found


@pytest.mark.parametrize(
    ("words", "found"),
    [("", [AGE, STATUS, BARE]), ("AGE person", [AGE]), ("filing status", [STATUS]), ("person", [AGE, BARE]),
     ("currency", [])],
)  # fmt: skip
def test_search_takes_every_word_wherever_it_stands(words: str, found: list[Variable]) -> None:
    assert [one for one in (AGE, STATUS, BARE) if one.holds(words)] == found
