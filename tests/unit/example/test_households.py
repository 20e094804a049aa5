import numpy as np
import pytest
from example_tiny import many_units, units
from hypothesis import given, settings
from hypothesis import strategies as st

from local_h5_example.households import build_source, usable_households
from local_h5_example.microdata import BANDS

FAMILY = {"MARS": 2, "age_head": 45, "age_spouse": 44, "n21": 2}


def build(*rows: dict[str, int], growth: float = 1.0):
    return build_source(units(*rows, growth=growth), np.random.default_rng(3))


def test_dependents_are_counted_by_band_and_their_ages_lie_in_it() -> None:
    table = units(FAMILY | {"n21": 4, "nu06": 1, "nu13": 3, "nu18": 6, "n24": 5, "n1820": 1, "elderly_dependents": 1})
    assert table.dependents.tolist() == [[1, 2, 2, 1, 1, 1, 1]]
    source = build_source(table, np.random.default_rng(0))
    ages = source.values("age")[2:]
    bands = [band for band, count in zip(BANDS, table.dependents[0], strict=True) for _ in range(count)]
    assert all(low <= age <= high for age, (low, high) in zip(ages, bands, strict=True))
    assert source.imputed_ages == 9
    assert source.values("tax_unit_role_input").tolist() == [b"HEAD", b"SPOUSE", *[b"DEPENDENT"] * 9]


def test_minor_heads_are_not_counted_as_dependents() -> None:
    assert units({"age_head": 16, "n21": 0, "nu18": 1, "n24": 1}).dependents.sum() == 0
    assert units({"age_head": 19, "n21": 0, "n1820": 1}).dependents.sum() == 0


def test_a_joint_unit_without_the_age_of_the_spouse_has_one_as_old_as_the_head() -> None:
    source = build({"MARS": 2, "age_head": 33})
    assert source.values("age").tolist() == [33, 33]


def test_amounts_go_to_who_earned_them_and_are_aged() -> None:
    source = build(
        FAMILY
        | {"e00200p": 1000, "e00200s": 300, "e00900s": -50, "e00600": 90, "e00650": 60, "e01500": 70, "e01700": 40},
        growth=2.0,
    )
    assert source.values("employment_income").tolist() == [2000, 600]
    assert source.values("self_employment_income").tolist() == [0, -100]
    assert source.values("qualified_dividend_income").tolist() == [120, 0]
    assert source.values("non_qualified_dividend_income").tolist() == [60, 0]
    assert source.values("taxable_private_pension_income").tolist() == [80, 0]
    assert source.values("tax_exempt_private_pension_income").tolist() == [60, 0]


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        ((70, 66), {"social_security_retirement": [50, 50]}),
        ((50, 66), {"social_security_retirement": [0, 100]}),
        ((50, 40), {"social_security_disability": [100, 0]}),
    ],
)
def test_social_security(ages: tuple[int, int], expected: dict[str, list[float]]) -> None:
    source = build(FAMILY | {"age_head": ages[0], "age_spouse": ages[1], "e02400": 100})
    names = ("social_security_retirement", "social_security_disability", "social_security_dependents")
    assert {name: source.values(name).tolist() for name in names if source.values(name).any()} == expected
    assert source.values("is_disabled").tolist() == [ages == (50, 40), False]


def test_benefit_receipt() -> None:
    source = build(
        FAMILY | {"nu06": 1, "nu13": 1, "nu18": 2, "n24": 2, "mcaid_ben": 2 * 7204 + 1, "wic_ben": 9, "housing_ben": 5},
        {"h_seq": 1, "ssi_ben": 800, "age_head": 30, "blind_head": 1},
        {"h_seq": 2, "ssi_ben": 800, "age_head": 80, "DSI": 1, "MARS": 3},
    )
    ages = source.values("age")[:4]
    assert source.values("has_medicaid_health_coverage_at_interview")[:4].tolist() == (ages < 18).tolist()
    assert source.values("receives_wic")[:4].tolist() == (ages == ages.min()).tolist()
    assert source.values("receives_housing_assistance").tolist() == [True, False, False]
    assert source.values("is_disabled")[4:].tolist() == [True, False]
    assert source.values("is_blind")[4:].tolist() == [True, False]
    assert source.values("claimed_as_dependent_on_another_return")[4:].tolist() == [False, True]
    assert source.values("is_separated")[4:].tolist() == [False, True]


def test_a_family_of_minors_joins_the_first_family_with_an_adult() -> None:
    minor = {"age_head": 9, "n21": 0, "nu18": 1, "n24": 1}
    source = build(
        minor | {"a_lineno": 1, "ffpos": 1},
        {"a_lineno": 2, "ffpos": 2},
        {"a_lineno": 3, "ffpos": 3},
        {"h_seq": 1, "a_lineno": 1},
    )
    assert source.values("person_family_id").tolist() == [1, 2, 3, 4]
    assert source.values("person_spm_unit_id").tolist() == [1, 1, 2, 3]
    assert source.values("is_household_head").tolist() == [True, False, False, True]


def test_households_without_adult_or_weight_are_not_usable() -> None:
    minor = {"age_head": 15, "n21": 0, "nu18": 1, "n24": 1}
    table = units(minor, {"h_seq": 1}, minor | {"h_seq": 2, "n21": 1})
    assert usable_households(table).tolist() == [False, True, True]
    assert usable_households(table.of_households(np.array([True, False, True]))).tolist() == [False, True]


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 60), seed=st.integers(0, 1000))
def test_every_link_is_complete_and_every_unit_lies_in_one_household(n: int, seed: int) -> None:
    table = many_units(n, (1, 2), seed)
    source = build_source(table, np.random.default_rng(seed))
    household = source.values("person_household_id")
    assert np.array_equal(source.household_persons, np.bincount(household)[1:])
    assert source.household_persons.sum() == table.persons().sum() == len(source.values("person_id"))
    for entity in ("household", "tax_unit", "spm_unit", "family", "marital_unit"):
        link, ids = source.values(f"person_{entity}_id"), source.values(f"{entity}_id")
        assert np.array_equal(np.unique(link), ids)
        assert len(np.unique(np.stack([link, household]), axis=1).T) == len(ids)
    roles = source.values("tax_unit_role_input")
    assert np.array_equal(np.bincount(source.values("person_tax_unit_id"), roles == b"HEAD")[1:], np.ones(len(table)))
    adults = np.bincount(source.values("person_spm_unit_id"), source.values("age") >= 18)[1:]
    assert np.all(adults > 0)
