"""A small random source and its geography, with units in an order that is not the households'."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from local_h5.inputs.membership import Membership, entity_rows, join_on_ids
from local_h5.takeup.assign import AreaUnits
from local_h5.takeup.eligibility import PackedEligibility
from local_h5.takeup.prepare import CloneGeography, SourceFacts, prepare_takeup
from local_h5.takeup.programmes import load_programmes
from local_h5.takeup.table import Takeup

COUNTIES = np.array([2020, 6001, 6037, 37001, 37063, 56001])
UNITS = ("tax_unit", "spm_unit", "family", "marital_unit")


@dataclass(frozen=True)
class World:
    """A source, a geography of ``n_clones`` clones, and everything that the programmes ask for."""

    household_ids: np.ndarray
    membership: Membership
    facts: SourceFacts
    geography: CloneGeography
    eligible: dict[int, np.ndarray]
    n_clones: int

    def prepare(self, **options: Any) -> Takeup:
        return prepare_takeup(load_programmes(), 2024, self.facts, self.geography, **options)

    def area(self, rows: np.ndarray) -> AreaUnits:
        """Household clones by their rows in the clone-major order."""
        clones, households = np.divmod(rows, len(self.household_ids))
        return AreaUnits(
            household_ids=self.household_ids[households],
            clones=clones,
            state=self.geography.state[rows],
            county=self.geography.county[rows],
            rows=entity_rows(self.membership, households),
        )


def make_world(seed: int, n_households: int = 25, n_clones: int = 4) -> World:
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 5, n_households)
    owner = rng.permutation(np.repeat(np.arange(n_households), size))
    household_ids = 7 + 3 * rng.permutation(n_households).astype(np.int32)
    ids = {"household": household_ids, "person": rng.permutation(owner.size) + 500}
    links = {"household": household_ids[owner]}
    for entity in UNITS:
        # one or two units per household; the rows of the units in random order
        keys, unit = np.unique(owner * 2 + rng.integers(0, 2, owner.size), return_inverse=True)
        ids[entity] = rng.permutation(keys.size) * 10 + 3
        links[entity] = ids[entity][unit]
    membership = join_on_ids("a source of the tests", ids=ids, person_links=links)
    n_tax, n_spm = ids["tax_unit"].size, ids["spm_unit"].size
    eligible = {int(county): rng.random(n_spm) < 0.5 for county in COUNTIES}
    county = rng.choice(COUNTIES, n_households * n_clones)
    values = {
        "tax_unit_child_dependents": rng.integers(0, 3, n_tax),
        "employment_income": rng.choice([0, 9_000, 15_000, 40_000], owner.size).astype(np.float32),
        "age_head": rng.integers(18, 90, n_tax),
        "receives_housing_assistance": rng.random(n_spm) < 0.2,
        "has_medicaid_health_coverage_at_interview": rng.random(owner.size) < 0.3,
        "reported_has_subsidized_marketplace_health_coverage_at_interview": rng.random(owner.size) < 0.1,
    }
    tables = {"housing_income_limits": PackedEligibility.pack(eligible.items(), n_spm)}
    return World(
        household_ids=household_ids,
        membership=membership,
        facts=SourceFacts(membership, values, tables),
        geography=CloneGeography(state=county // 1000, county=county),
        eligible=eligible,
        n_clones=n_clones,
    )


@pytest.fixture(scope="session")
def worlds() -> Callable[[int], World]:
    return make_world


@pytest.fixture(scope="session")
def world() -> World:
    return make_world(11)


@pytest.fixture(scope="session")
def all_rows(world: World) -> np.ndarray:
    return np.arange(world.geography.state.size)
