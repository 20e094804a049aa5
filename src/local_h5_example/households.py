"""From sampled tax units to the arrays of a PolicyEngine source dataset: six entities and the model's inputs.

Facts that the microdata does not have are imputed by simple rules (:data:`IMPUTED`), which the file lists.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from local_h5_example.microdata import ADULT, BANDS, TaxUnits

IMPUTED = (
    "age of dependents: drawn uniformly inside the age band that is known of them",
    "spouse of a joint unit whose age is missing: given the age of the head",
    "Social Security: to the head and spouse of 62 or more, shared equally, else to the head",
    "pensions and IRA distributions: to the older of head and spouse",
    "other amounts of a tax unit: to its head",
    "Medicaid coverage: the number of covered persons is known, the youngest are taken",
    "WIC: the youngest member of a unit with WIC benefits",
    "disability: SSI below 65, or Social Security below 62",
    "SPM units: families of the household; a family of minors only joins the first family with an adult",
)
"""Facts that are not in the microdata, and the rule for each."""

HEAD, SPOUSE = 0, 1
_ROLES = np.array([b"HEAD", b"SPOUSE", b"DEPENDENT"], dtype="S9")
OLD = 65
_RETIREMENT_AGE = 62
_MEDICAID_VALUE = 7204
"""Dollars in the file for each covered person, in every state."""

_SINGLE_SEPARATE = 3

_HEAD_AMOUNTS: Mapping[str, str] = {
    "taxable_interest_income": "e00300",
    "tax_exempt_interest_income": "e00400",
    "qualified_dividend_income": "e00650",
    "non_sch_d_capital_gains": "e01100",
    "unemployment_compensation": "e02300",
    "alimony_income": "e00800",
    "ssi_reported": "ssi_ben",
    "veterans_benefits": "vet_ben",
    "student_loan_interest": "e03210",
    "traditional_ira_contributions_desired": "e03150",
    "self_employed_pension_contributions_desired": "e03300",
    "real_estate_taxes": "e18500",
    "home_mortgage_interest": "e19200",
    "charitable_cash_donations": "e19800",
    "charitable_non_cash_donations": "e20100",
}
"""Model input of the head → column of the tax unit."""

_EARNINGS: Mapping[str, str] = {
    "employment_income": "e00200",
    "self_employment_income": "e00900",
    "farm_operations_income": "e02100",
}
"""Model input → column, with suffix p for the head and s for the spouse."""


@dataclass(frozen=True, slots=True)
class Source:
    """Arrays of a source dataset, persons ordered by household, tax unit, role.

    Attributes:
        variables: model input → (entity, values by row of that entity).
        household_persons: persons of each household, int64 (n_households,).
        imputed_ages: number of persons whose age is imputed.
    """

    variables: Mapping[str, tuple[str, np.ndarray]]
    household_persons: np.ndarray
    imputed_ages: int

    def values(self, variable: str) -> np.ndarray:
        """Values of one variable by row of its entity."""
        return self.variables[variable][1]

    def with_weight(self, household_weight: np.ndarray) -> "Source":
        """The same with ``household_weight`` (float64 (n_households,), stored as float32)."""
        weight = ("household", household_weight.astype(np.float32))
        return replace(self, variables={**self.variables, "household_weight": weight})

    def age_counts(self) -> np.ndarray:
        """Persons of 0-17, 18-64 and 65 or more in each household, int64 (n_households, 3)."""
        household = self.values("person_household_id") - 1
        group = np.digitize(self.values("age"), (ADULT, OLD))
        return np.bincount(household * 3 + group, minlength=3 * len(self.household_persons)).reshape(-1, 3)


def usable_households(units: TaxUnits) -> np.ndarray:
    """Households with an adult and a positive weight, bool (n_households,).

    The model's poverty step fails on a household of minors only.
    """
    adults = np.bincount(units.household, units.adults(), units.n_households)
    return (adults > 0) & (np.bincount(units.household, units.weight, units.n_households) > 0)


def build_source(units: TaxUnits, random: np.random.Generator) -> Source:
    """Build every array of the source but ``household_weight``.

    Args:
        units: the sampled tax units; every household has an adult.
        random: source of the dependents' ages.
    """
    slots = np.column_stack([np.ones(len(units), np.int64), units.spouse, units.dependents])
    unit = np.repeat(np.arange(len(units)), slots.sum(axis=1))
    slot = np.repeat(np.tile(np.arange(slots.shape[1]), len(units)), slots.ravel())
    household = units.household[unit]
    age = _ages(units, unit, slot, random)

    persons = _amounts(units, unit, slot, age)
    persons |= _conditions(units, unit, slot, age, persons)
    persons["age"] = age.astype(np.float32)
    persons["tax_unit_role_input"] = _ROLES[np.minimum(slot, 2)]
    persons["is_household_head"] = np.diff(household, prepend=-1) != 0
    persons["person_id"] = np.arange(1, len(unit) + 1, dtype=np.int32)

    family_key = household * 100 + units.columns["ffpos"][unit]
    links = {
        "household": household,
        "tax_unit": unit,
        "family": _dense(family_key),
        "spm_unit": _dense(_with_adults(family_key, household, age)),
        "marital_unit": np.cumsum(slot != SPOUSE) - 1,
    }
    variables = {name: ("person", values) for name, values in persons.items()}
    for entity, link in links.items():
        variables[f"person_{entity}_id"] = ("person", (link + 1).astype(np.int32))
        variables[f"{entity}_id"] = (entity, np.arange(1, link.max() + 2, dtype=np.int32))

    first = np.flatnonzero(persons["is_household_head"])
    n_spm_units = int(links["spm_unit"].max()) + 1
    housing = units.columns["housing_ben"][unit] > 0
    variables["state_fips"] = ("household", units.columns["fips"][unit][first].astype(np.int32))
    variables["receives_housing_assistance"] = (
        "spm_unit",
        np.bincount(links["spm_unit"], housing, n_spm_units) > 0,
    )
    return Source(
        variables=variables,
        household_persons=np.bincount(household),
        imputed_ages=int((slot > SPOUSE).sum()),
    )


def _ages(units: TaxUnits, unit: np.ndarray, slot: np.ndarray, random: np.random.Generator) -> np.ndarray:
    low = np.array([0, 0, *(band[0] for band in BANDS)])[slot]
    high = np.array([0, 0, *(band[1] for band in BANDS)])[slot]
    age: np.ndarray = low + np.floor(random.random(len(slot)) * (high - low + 1)).astype(np.int64)
    age = np.where(slot == HEAD, units.columns["age_head"][unit], age)
    return np.where(slot == SPOUSE, units.spouse_age()[unit], age)


def _amounts(units: TaxUnits, unit: np.ndarray, slot: np.ndarray, age: np.ndarray) -> dict[str, np.ndarray]:
    columns = units.columns
    head_age, spouse_age = columns["age_head"], units.spouse_age()
    result: dict[str, np.ndarray] = {}

    def of_unit(values: np.ndarray, who: np.ndarray) -> np.ndarray:
        return np.where(who, values[unit], 0).astype(np.float32)

    for name, column in _HEAD_AMOUNTS.items():
        result[name] = of_unit(columns[column], slot == HEAD)
    result["non_qualified_dividend_income"] = of_unit(columns["e00600"] - columns["e00650"], slot == HEAD)
    for name, column in _EARNINGS.items():
        result[name] = of_unit(columns[f"{column}p"], slot == HEAD)
        result[name] += of_unit(columns[f"{column}s"], slot == SPOUSE)

    older = slot == np.where(spouse_age > head_age, SPOUSE, HEAD)[unit]
    result["taxable_private_pension_income"] = of_unit(columns["e01700"], older)
    result["tax_exempt_private_pension_income"] = of_unit(columns["e01500"] - columns["e01700"], older)
    result["taxable_ira_distributions"] = of_unit(columns["e01400"], older)

    retired = (slot <= SPOUSE) & (age >= _RETIREMENT_AGE)
    n_retired = np.bincount(unit, retired, len(units))
    share = np.divide(columns["e02400"], n_retired, out=np.zeros(len(units)), where=n_retired > 0)
    result["social_security_retirement"] = of_unit(share, retired)
    alone = (slot == HEAD) & (n_retired[unit] == 0)
    result["social_security_disability"] = of_unit(columns["e02400"], alone & (age >= ADULT))
    result["social_security_dependents"] = of_unit(columns["e02400"], alone & (age < ADULT))
    return result


def _conditions(
    units: TaxUnits,
    unit: np.ndarray,
    slot: np.ndarray,
    age: np.ndarray,
    amounts: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    columns = units.columns
    head = slot == HEAD
    youngest_first = np.lexsort((age, unit))
    rank = np.empty(len(unit), dtype=np.int64)
    rank[youngest_first] = np.arange(len(unit)) - np.searchsorted(unit, unit)
    covered = np.rint(columns["mcaid_ben"] / _MEDICAID_VALUE)
    return {
        "has_medicaid_health_coverage_at_interview": rank < covered[unit],
        "receives_wic": (rank == 0) & (columns["wic_ben"][unit] > 0),
        "is_blind": (head & (columns["blind_head"][unit] > 0))
        | ((slot == SPOUSE) & (columns["blind_spouse"][unit] > 0)),
        "is_disabled": ((amounts["ssi_reported"] > 0) & (age < OLD)) | (amounts["social_security_disability"] > 0),
        "is_separated": head & (columns["MARS"][unit] == _SINGLE_SEPARATE),
        "claimed_as_dependent_on_another_return": head & (columns["DSI"][unit] > 0),
    }


def _with_adults(family: np.ndarray, household: np.ndarray, age: np.ndarray) -> np.ndarray:
    """Families, those without an adult merged into the household's first family that has one."""
    adult = age >= ADULT
    has_adult = np.isin(family, family[adult])
    order = np.lexsort((family[adult], household[adult]))
    homes, first = np.unique(household[adult][order], return_index=True)
    host = family[adult][order][first][np.searchsorted(homes, household)]
    return np.where(has_adult, family, host)


def _dense(key: np.ndarray) -> np.ndarray:
    return np.unique(key, return_inverse=True)[1]
