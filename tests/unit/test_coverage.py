"""Fields that a whole state lacks."""

import pytest

from local_h5.contracts.coverage import empty_fields


def test_a_state_with_values_everywhere_is_not_named() -> None:
    assert empty_fields({"NC": {"puma": 1.0, "place": 0.001}}) == []


def test_every_empty_field_of_a_state_is_named() -> None:
    (sentence,) = empty_fields({"DC": {"puma": 0.0, "sldu": 0, "cbsa_code": 1.0}, "NC": {"puma": 0.5}})
    assert sentence.startswith("DC has no value of puma, sldu anywhere")


@pytest.mark.parametrize(("field", "n_sentences"), [("sldl", 0), ("sldu", 1)])
def test_what_a_state_does_not_have_is_no_warning(field: str, n_sentences: int) -> None:
    """Nebraska's legislature has one chamber."""
    assert len(empty_fields({"NE": {field: 0.0}})) == n_sentences
