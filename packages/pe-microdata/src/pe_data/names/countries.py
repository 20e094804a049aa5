"""The one table of countries: everything here that is particular to one of them.

No other module of this package names a country, its entities or its model. Anything not
listed here is read from the data files: entities, for example, from their columns. The
examples in help texts come from here too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pe_data.errors import InputError

Access = Literal["public", "gated"]

UNSPECIFIED = "unspecified"
"""The licence of an artifact whose publisher named none."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms the data of a gated country may be read."""

    licence: str
    """That is usual there; what was published names its own."""
    how_to_apply: str


@dataclass(frozen=True, slots=True)
class Country:
    """What is particular to a country."""

    code: str
    name: str
    entities: tuple[str, ...]
    """Of its model, `person` first."""
    access: Access
    """Of artifacts whose publisher says nothing else."""
    model_package: str
    example: str
    """A dataset, for help texts."""
    terms: Terms | None = None
    """Of a gated one."""


COUNTRIES: Mapping[str, Country] = {
    country.code: country
    for country in (
        Country(
            code="us",
            name="United States",
            entities=("person", "family", "household", "marital_unit", "spm_unit", "tax_unit"),
            access="public",
            model_package="policyengine-us",
            example="enhanced_cps_2024",
        ),
        Country(
            code="uk",
            name="United Kingdom",
            entities=("person", "benunit", "household"),
            access="gated",
            model_package="policyengine-uk",
            example="enhanced_frs_2023",
            terms=Terms(
                "UK Data Service End User Licence",
                "register with the UK Data Service (https://ukdataservice.ac.uk), apply for the survey there, then ask "
                "whoever runs the store for a token",
            ),
        ),
    )
}

PUBLIC_EXAMPLE = COUNTRIES["us"]
GATED_EXAMPLE = COUNTRIES["uk"]
MEMBER_EXAMPLE = "districts/NC-01"
COLLECTION_EXAMPLE = f"{PUBLIC_EXAMPLE.code}/local_areas"
DATASET_EXAMPLE = f"{PUBLIC_EXAMPLE.code}/{PUBLIC_EXAMPLE.example}"


def access_of(code: str) -> Access:
    """The access of artifacts of a country; one that the table does not have is gated."""
    country = COUNTRIES.get(code)
    return country.access if country else "gated"


def terms_of(code: str) -> Terms:
    """What the table says of reading a gated country's data; for one that it does not have, whom to ask."""
    country = COUNTRIES.get(code)
    usual = country.terms if country else None
    return usual or Terms(UNSPECIFIED, "ask whoever runs the store on which terms it may be read, and for a token")


def gated_codes() -> tuple[str, ...]:
    """The codes of the countries that are gated."""
    return tuple(country.code for country in COUNTRIES.values() if country.access == "gated")


def check_terms(country: str, dataset: str, access: Access, licence: str) -> None:
    """Raise InputError for a gated artifact that does not say under which licence it is."""
    if access == "gated" and licence == UNSPECIFIED:
        raise InputError(
            f"{country}/{dataset}: licence: expected the name of the licence that its readers are bound by, as for "
            "every gated artifact, found none. Say --licence"
        )
