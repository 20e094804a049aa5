"""Columns of a source that say where its households live. Clones in other places must not carry them.

The tables name variables of the model by what they mean; a name that a version does not have is not looked for.
Checked against policyengine-us 2.68.0: ``tests/bad_input/test_source_places.py`` fails when the installed model has an
input in a folder of places that no table names, and prepare refuses a source that stores one.
"""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType
from typing import Annotated, Any

from local_h5.errors import SourceError
from local_h5.files import forms
from local_h5.files.forms import Form, Text
from local_h5.prepared.formulas import HIDDEN, FormulaReads

GEOGRAPHIC = frozenset(
    {
        "block_geoid", "tract_geoid", "county_fips", "state_fips", "county", "congressional_district_geoid",
        "cbsa_code", "sldu", "sldl", "place_fips", "vtd", "puma", "zcta", "zip_code",
    }
)  # fmt: skip
"""Places that every file gets from the calibration package's geography."""

DERIVED = frozenset(
    {
        "state_code", "state_code_str", "state_name", "state_group", "state_group_str", "county_str",
        "first_county_in_state", "in_nyc", "in_ny_mctd_zone_2", "three_digit_zip_code", "safmr_used_for_hcv",
        "tax_unit_state", "spm_unit_state_fips", "medicaid_rating_area",
    }
)  # fmt: skip
"""Places that the model computes from those in the files."""

_HOME = "a place of the source; no table gives it for a block"
_WORK = "a place of work in the source; the model uses it without asking for a state"

PLACE_INPUTS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("is_rural", "is_on_tribal_land", "average_home_energy_use_in_state"), _HOME),
        **dict.fromkeys(("ct_tfa_region", "or_erdc_provider_area"), _HOME),
        **dict.fromkeys(("in_denver", "in_wilmington", "in_yonkers", "wi_cts_tribal_area_i"), _HOME),
        **dict.fromkeys(
            (
                "co_denver_employee_occupational_privilege_tax_months",
                "co_glendale_employee_occupational_privilege_tax_months",
                "co_greenwood_village_employee_occupational_privilege_tax_months",
                "co_sheridan_employee_occupational_privilege_tax_months", "de_wilmington_nonresident_earnings",
                "mo_kansas_city_earnings_tax_taxable_earnings", "mo_st_louis_earnings_tax_credit",
                "mo_st_louis_earnings_tax_taxable_earnings", "ny_yonkers_nonresident_earnings",
                "pa_philadelphia_wage_tax_reduced_rate_eligible", "pa_philadelphia_wage_tax_resident",
                "pa_philadelphia_wage_tax_taxable_wages", "employer_ny_mctmt_zone_1_quarterly_payroll_expense",
                "employer_ny_mctmt_zone_2_quarterly_payroll_expense",
                "employer_total_co_denver_occupational_privilege_tax_employee_months",
                "employer_total_co_denver_occupational_privilege_tax_owner_months",
                "employer_total_co_glendale_occupational_privilege_tax_employee_months",
                "employer_total_co_glendale_occupational_privilege_tax_owner_months",
                "employer_total_co_greenwood_village_occupational_privilege_tax_employee_months",
                "employer_total_co_greenwood_village_occupational_privilege_tax_owner_months",
                "employer_total_co_sheridan_occupational_privilege_tax_employee_months",
                "employer_total_mo_st_louis_payroll_expense", "employer_total_or_lane_transit_district_taxable_wages",
                "employer_total_or_trimet_taxable_wages",
                "employer_total_wa_seattle_payroll_expense_current_year_total",
                "employer_total_wa_seattle_payroll_expense_lower_band_taxable_payroll",
                "employer_total_wa_seattle_payroll_expense_prior_year_total",
                "employer_total_wa_seattle_payroll_expense_upper_band_taxable_payroll",
                "employer_total_wa_seattle_social_housing_excess_compensation",
            ),
            _WORK,
        ),
    }
)  # fmt: skip
"""Inputs that are places and that no file has, with the reason. The model uses its default for them."""

NO_PLACES = frozenset({"is_homeless", "is_non_english_speaking_home", "lives_in_vehicle"})
"""Variables in the model's folder of places that are no places."""

_PROGRAMME = "an input of a programme of one state or locality"
_PRICE = "prices differ between places"
_TAX = "taxes differ between places"
_BENEFIT = "programmes differ between places"

REFLECTING: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "pre_subsidy_rent", "homeowners_insurance", "homeowners_association_fees", "mortgage_payments",
                "home_mortgage_interest", "first_home_mortgage_balance", "second_home_mortgage_balance",
                "primary_residence_value", "home_equity", "pre_subsidy_electricity_expense", "gas_expense",
                "metered_gas_expense", "bottled_gas_expense", "fuel_oil_expense", "coal_expense", "wood_expense",
                "other_heating_fuel_expense", "cooking_fuel_expense", "heating_cooling_expense",
                "heating_expense_last_year", "heating_expense_person", "water_expense", "sewage_expense",
                "trash_expense", "phone_cost", "broadband_cost", "current_home_energy_use", "heating_type",
                "pre_subsidy_childcare_expenses", "spm_unit_pre_subsidy_childcare_expenses",
                "pre_subsidy_transportation_expense", "pre_subsidy_care_expenses",
                "health_insurance_premiums_without_medicare_part_b", "employer_sponsored_insurance_premiums",
            ),
            _PRICE,
        ),
        **dict.fromkeys(
            (
                "real_estate_taxes", "e18500", "salt_refund_income", "e00700",
                "employer_state_unemployment_tax_rate_override",
                "employer_total_taxable_earnings_for_state_unemployment_tax",
            ),
            _TAX,
        ),
        **dict.fromkeys(
            (
                "receives_medicaid", "has_medicaid_health_coverage_at_interview", "receives_snap", "receives_tanf",
                "receives_ssi", "receives_wic", "receives_housing_assistance", "is_in_public_housing",
                "is_enrolled_in_ccdf", "spm_unit_snap", "spm_unit_energy_subsidy", "spm_unit_school_lunch_subsidy",
                "pfml_benefits",
            ),
            _BENEFIT,
        ),
        **dict.fromkeys(
            ("household_income_ami_ratio", "tax_unit_income_ami_ratio"), "the area's median income is in it"
        ),
    }
)  # fmt: skip
"""Inputs without a formula that are kept, although their values may depend on the source's place."""

NO_RESPONSE = frozenset(
    {
        "labor_supply_behavioral_response", "capital_gains_behavioral_response",
        "employment_income_behavioral_response", "self_employment_income_behavioral_response",
        "sstb_self_employment_income_behavioral_response", "weekly_hours_worked_behavioural_response",
    }
)  # fmt: skip
"""Responses to a reform. They are 0 in a file; else all earnings would depend on the place through net income."""


Name = Annotated[str, forms.matching("[a-z][a-z0-9_]*")]
"""Of a variable of the source."""


class Kept(Form, frozen=True):
    """Why a column with a formula is kept as an input, and with which other column it is not.

    Attributes:
        unless: a variable; where the source has it, the model computes the column from it.
    """

    because: Text
    unless: Name | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """Columns of a source that are left out, or kept and listed, because of its place.

    Attributes:
        left_out: variable → reason.
        reflecting: kept variable → why it may reflect the source's place.
    """

    left_out: Mapping[str, str]
    reflecting: Mapping[str, str]


def place_columns(
    stored: Mapping[str, Any], reads: FormulaReads, kept: Mapping[str, Kept], where: object = "source"
) -> Placed:
    """Decide which stored columns are kept for household clones in other places.

    A place is left out, by the tables above. A variable with a formula is left out when the formula can read a place:
    the stored value was true where the household lived, and the model computes the value where the clone lives. An
    input is kept.

    Args:
        stored: name → the model's variable, of every column that the source stores.
        reads: of the same model.
        kept: variables with a formula that are inputs of the source nevertheless (``config/variables.yaml``).
        where: the source, for messages.

    Raises:
        SourceError: an input lies in the model's folder of places, and no table says whether it is one.
    """
    left_out: dict[str, str] = {}
    reflecting: dict[str, str] = {}
    targets = {HIDDEN, *PLACE_INPUTS, *GEOGRAPHIC, *DERIVED}
    for name, variable in stored.items():
        if reason := _as_place(name):
            left_out[name] = reason
        elif has_formula(variable):
            chain = reads.chain(name, targets, stops=NO_RESPONSE)
            rule = kept.get(name)
            if chain is None:
                continue
            if rule is None:
                way = f" by way of {chain[1]}" if len(chain) > 2 else ""
                left_out[name] = f"the model computes it from the place: it can read {chain[-1]}{way}"
            elif rule.unless in stored:
                left_out[name] = f"the model computes it from the place and from {rule.unless}"
            else:
                reflecting[name] = rule.because
        elif name in kept:
            continue
        elif in_folder_of_places(variable) and name not in NO_PLACES:
            raise SourceError(
                f"{where}: {name}: expected a variable that is known to be a place or not, because clones live "
                f"elsewhere, found '{variable.label}', which this version of local-h5 does not know. Add it to "
                "'calculated' in config/variables.yaml, to leave it out, or to 'kept'."
            )
        elif reason := REFLECTING.get(name) or (_PROGRAMME if _of_state(variable) else None):
            reflecting[name] = reason
    return Placed(left_out, reflecting)


def _as_place(name: str) -> str | None:
    if name in GEOGRAPHIC:
        return "written from the calibration package"
    if name in DERIVED:
        return "a place of the source; the model computes it from the places in the file"
    return PLACE_INPUTS.get(name)


def unclassified(variables: Mapping[str, Any]) -> Iterator[str]:
    """Inputs in the model's folders of places and of localities that no table names."""
    for name, variable in variables.items():
        named = _as_place(name) or name in NO_PLACES or name in REFLECTING
        if not has_formula(variable) and not named and in_folder_of_places(variable):
            yield name


def has_formula(variable: Any) -> bool:
    """Whether the model can compute a variable."""
    return bool(variable.formulas or variable.adds or variable.subtracts)


def in_folder_of_places(variable: Any) -> bool:
    """Whether the model keeps a variable among its places."""
    path = _folder(variable)
    return "geographic" in path.parts or path.name == "geography.py"


def _of_state(variable: Any) -> bool:
    return bool({"states", "local", "territories"} & set(_folder(variable).parts))


def _folder(variable: Any) -> PurePath:
    """File of a variable's class, below the model's folder of variables."""
    try:
        path = PurePath(inspect.getfile(type(variable)))
    except (TypeError, OSError):  # made in memory: in no folder
        return PurePath()
    parts = path.parts
    return PurePath(*parts[parts.index("variables") :]) if "variables" in parts else PurePath()
