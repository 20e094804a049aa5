"""Example source dataset: sample, convert, rake, write (period-grouped H5 with a JSON sidecar)."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from local_h5.errors import InputError
from local_h5.files.atomic import atomic_output, sha256_of, write_text
from local_h5.files.hdf5 import create_h5
from local_h5_example.acs import Population
from local_h5_example.households import IMPUTED, Source, build_source, usable_households
from local_h5_example.microdata import FILE_YEAR, YEAR, TaxUnits
from local_h5_example.raking import rake
from local_h5_example.sampling import draw_sample

SCHEMA_VERSION = 1
_STREAM = 0

NOTICE: Mapping[str, str] = {
    "purpose": "demonstration of the workflow; not an estimate of anything",
    "geography": "synthetic: households of a state, not of a smaller area; blocks are drawn at random",
    "ages": "partly imputed: the ages of dependents are drawn inside known age bands",
    "source": "public Current Population Survey 2012-2014 as tax units (cps.csv.gz of Tax-Calculator)",
    "licence": "CC0-1.0",
}
"""The notice in every example file."""

_TOTALS = (
    *("employment_income", "self_employment_income", "taxable_interest_income"),
    *("qualified_dividend_income", "taxable_private_pension_income", "social_security_retirement"),
    *("social_security_disability", "unemployment_compensation", "ssi_reported"),
)


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """How the example source is sampled.

    Attributes:
        households: number of households.
        seed: of every random draw.
        certainty_amount: households with an amount above this (dollars of the file's year) are all taken.
        minimum_per_state: households drawn from each state besides those.
    """

    households: int = 4000
    seed: int = 20240701
    certainty_amount: float = 300_000.0
    minimum_per_state: int = 20


@dataclass(frozen=True, slots=True)
class Converted:
    """The example source, and counts for its sidecar.

    Attributes:
        source: arrays with ``household_weight``.
        measured: counts and weighted sums for the sidecar.
    """

    source: Source
    measured: Mapping[str, Any]


def convert(units: TaxUnits, states: Population, settings: SourceSettings) -> Converted:
    """Sample households, build the model's inputs, and rake the weights to state population and the nation's ages.

    Args:
        units: all tax units of the microdata.
        states: population of every state.
        settings: sample size, seed and so on.

    Raises:
        ConfigError: the sample is too small or larger than the file.
        InputError: a state has no household in the microdata or no population.
    """
    random = np.random.Generator(np.random.PCG64((settings.seed, _STREAM)))
    kept = units.of_households(usable_households(units))
    first = np.searchsorted(kept.household, np.arange(kept.n_households))
    persons = np.bincount(kept.household, kept.persons())
    weight = np.bincount(kept.household, kept.persons() * kept.weight) / persons
    income = sum(kept.columns[name] for name in ("e00200p", "e00200s", "e00900p", "e02400", "e01500"))
    largest = np.zeros(kept.n_households)
    np.maximum.at(largest, kept.household, kept.largest)
    sample = draw_sample(
        state=kept.columns["fips"][first],
        weight=weight,
        amount=largest,
        order=np.bincount(kept.household, income),
        size=settings.households,
        certainty_amount=settings.certainty_amount,
        minimum_per_state=settings.minimum_per_state,
        random=random,
    )
    chosen = np.zeros(kept.n_households, dtype=bool)
    chosen[sample.rows] = True
    source = build_source(kept.of_households(chosen), random)
    raked, ages_met = rake_states(sample.weight, source, states)
    source = source.with_weight(raked)
    measured = {
        "households_in_microdata": units.n_households,
        "households_dropped": units.n_households - kept.n_households,
        "households_taken_with_certainty": sample.certain,
        "certainty_amount": {"dollars": sample.certainty_amount, "dollar_year": FILE_YEAR},
        "rows": {entity: len(ids) for name, (entity, ids) in source.variables.items() if name == f"{entity}_id"},
        "persons_with_imputed_age": source.imputed_ages,
        "raking": {
            "margins": "persons by state; persons of 0-17 and of 65+ in the nation",
            "ages_met": ages_met,
            "weight_before": float(sample.weight.sum()),
            "ratio_min": float((raked / sample.weight).min()),
            "ratio_max": float((raked / sample.weight).max()),
        },
        "weighted": {
            "households": float(raked.sum()),
            "persons": float(raked @ source.household_persons),
            **weighted_totals(source),
        },
    }
    return Converted(source, measured)


def rake_states(weight: np.ndarray, source: Source, states: Population) -> tuple[np.ndarray, bool]:
    """Rake household weights to the population of every state and to the nation's minors and elderly.

    Ages are met for the nation only: in a state of 30 households they would make some weights ten times as large.

    Returns:
        float64 weights, and whether ages are met; when no positive weights can do both, state totals alone are.

    Raises:
        InputError: a state of the sample has no population, or the other way round.
    """
    household_state = source.values("state_fips")
    different = set(household_state.tolist()) ^ set(states.code.tolist())
    if different:
        raise InputError(
            "population of states: expected the same states as the sample, found in one of the two only: "
            f"{sorted(different)}"
        )
    ages = source.age_counts()
    persons = ages.sum(axis=1)
    in_state = persons[:, None] * (household_state[:, None] == states.code)
    goal = np.array([*states.total, states.under_18.sum(), states.from_65.sum()], dtype=np.float64)
    raked = rake(weight, np.column_stack([in_state, ages[:, [0, 2]]]), goal)
    if raked.met:
        return raked.weights, True
    reached = weight @ in_state
    return weight * (states.total / reached)[np.searchsorted(states.code, household_state)], False


def weighted_totals(source: Source) -> dict[str, float]:
    """Weighted sums of the main amounts, in dollars."""
    weight = source.values("household_weight").astype(np.float64)
    by_person = weight[source.values("person_household_id") - 1]
    return {name: float(by_person @ source.values(name)) for name in _TOTALS}


def write_source(path: Path, converted: Converted, settings: SourceSettings, inputs: Mapping[str, str]) -> None:
    """Write the H5 and, last, its sidecar ``<path>.json``. Equal content gives equal bytes.

    Args:
        path: the H5.
        converted: what to write.
        settings: recorded.
        inputs: input file name → sha256, recorded.
    """
    with atomic_output(path) as temporary, create_h5(temporary) as file:
        for name, text in NOTICE.items():
            file.attrs[name] = text
        file.attrs["seed"] = settings.seed
        file.attrs["imputed"] = "; ".join(IMPUTED)
        for name, (_, values) in sorted(converted.source.variables.items()):
            file.create_dataset(f"{name}/{YEAR}", data=values)
    sidecar = {
        "schema_version": SCHEMA_VERSION,
        "notice": dict(NOTICE),
        "imputed": list(IMPUTED),
        "year": YEAR,
        "settings": asdict(settings),
        "inputs": dict(inputs),
        "output": {"file": path.name, "sha256": sha256_of(path), "bytes": path.stat().st_size},
        "measured": dict(converted.measured),
    }
    write_text(path.with_name(f"{path.name}.json"), json.dumps(sidecar, indent=2, sort_keys=True) + "\n")
