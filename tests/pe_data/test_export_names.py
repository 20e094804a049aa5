"""Names that a format admits: unique, within its limits, the same where they may stay."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pe_data.exports.names import DUCKDB, FILES, PLAIN, STATA, STATA_WORDS, Rules, fitted, renamed

WORDS = st.one_of(
    st.text(max_size=50),
    st.sampled_from(sorted(STATA_WORDS)),
    st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,60}(@20[0-9]{2}-[0-9]{2})?", fullmatch=True),
    st.sampled_from(
        ["age", "Age", "AGE", "a" * 33, "a" * 32, "a" * 34, "str5", "str2045", "1st", "@", "@2024-01", "v_2"]
    ),
)


@pytest.mark.parametrize("rules", [STATA, DUCKDB, PLAIN, FILES], ids=["stata", "duckdb", "plain", "files"])
@settings(max_examples=40)
@given(names=st.lists(WORDS, max_size=30))
def test_names_are_admitted_and_unique(rules: Rules, names: list[str]) -> None:
    made = fitted(names, rules)
    assert set(made) == set(names)
    assert all(rules.admit(new) for new in made.values())
    assert len({rules.fold(new) for new in made.values()}) == len(made)
    for name, new in renamed(made).items():
        assert not rules.admit(name) or any(rules.fold(other) == rules.fold(name) and other != name for other in names)
        assert len(new) <= rules.limit


def test_what_people_see() -> None:
    long = "self_employed_pension_contributions_desired"
    made = fitted(
        ["age", long, f"{long}_too", "receives_wic@2024-01", f"{long}@2024-01", f"{long}@2024-02", "in"], STATA
    )
    assert list(made.values()) == [
        "age",
        "self_employed_pension_contributi",
        "self_employed_pension_contribu_2",
        "receives_wic_2024_01",
        "self_employed_pension_co_2024_01",
        "self_employed_pension_co_2024_02",
        "in_2",
    ]
    assert fitted(["Age", "age"], DUCKDB) == {"Age": "Age", "age": "age_2"}
    assert fitted(["Age", "age"], STATA) == {"Age": "Age", "age": "age"}


def test_a_name_that_may_stay_is_not_taken_by_one_that_is_cut() -> None:
    whole = "a" * 32
    assert fitted([whole + "b", whole], STATA)[whole] == whole


def test_the_words_of_stata_are_those_that_pandas_refuses_and_more() -> None:
    from pandas.io.stata import StataParser

    assert StataParser().RESERVED_WORDS <= STATA_WORDS
    assert all(re.fullmatch(r"[A-Za-z_#]+", word) for word in STATA_WORDS)
    assert all(not STATA.admit(word) for word in (*STATA_WORDS, "str1", "str2045", "1a", "a b", "é", ""))
