"""The installed model against its table: which values depend on who else is in the file, and Medicaid in built files.

Slow, because the model calculates some thousand variables twice. Whoever installs another version runs it: a failure
names what ``src/local_h5/defaults/models/<version>.yaml`` has to say.
"""

import importlib.metadata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from local_h5 import us
from local_h5.build.area import build_area
from local_h5.prepared.files import PreparedInputs
from local_h5.prepared.model import MEDICAID_COST
from local_h5.prepared.snapshot import SourceSnapshot
from local_h5.requests import AreaBuildRequest, AreaFilter
from local_h5.validation.targets.loaded_area import AreaFile
from local_h5.validation.targets.model_facts import ModelFacts
from local_h5.validation.targets.model_source import Source, read_source

pytestmark = [pytest.mark.model, pytest.mark.slow]

FACTS = ModelFacts.of(importlib.metadata.version("policyengine-us"))
NATION = AreaBuildRequest("national", us.NATIONAL_ID, "Nation")
LONG = (
    "behavior", "behaviour", "cliff", "elasticit", "household_state_income_tax", "_lsr", "marginal",
    "mo_tanf_if_non_parent", "mtr", "prior_year", "relative_", "ss_aime", "ss_earnings_test", "ss_pia",
    "ss_retirement_benefit", "tax_revenue", "taxsim", "tob_revenue", "tx_child_care_subsidies",
)  # fmt: skip
"""Parts of names of variables that calculate much of the model again, in branches or for other years: minutes each."""
UPSTREAM = ("income_tax", "household_net_income", "household_net_income_including_health_benefits")
"""Asked for first: the model takes their parts in branches otherwise."""


@pytest.fixture(scope="module")
def source(golden_snapshot: SourceSnapshot) -> Source:
    """Read after the model has run: what its formulas name must not depend on that."""
    from policyengine_us.system import system

    return read_source(system.variables, system.parameters)


def test_the_table_knows_every_candidate(source: Source) -> None:
    known = FACTS.whole_file.keys() | FACTS.own.keys()
    new = {name: signs for name, signs in source.signs.items() if name not in known}
    assert new == {}, "compare a part with the whole, and say in the table which they are"
    assert FACTS.own.keys() == source.signs.keys() - FACTS.whole_file.keys()


def test_the_table_follows_them_to_all_that_read_them(source: Source) -> None:
    roots = {name for name, item in FACTS.whole_file.items() if item.scope is not None}
    assert source.closure(roots) == FACTS.whole_file.keys()
    for name, item in FACTS.whole_file.items():
        assert set(item.reads) == source.reads[name] & FACTS.whole_file.keys(), name


def test_names_that_moved_are_in_the_model(source: Source) -> None:
    for name, now in FACTS.meaning.items():
        assert {name, now} <= source.reads.keys()
        assert now in source.closure([name])


def test_part_and_whole(
    source: Source, golden_inputs: PreparedInputs, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Of 160 households and of 60 among them: what differs is what the table says, and nothing else."""
    inputs = replace(golden_inputs, snapshot=replace(golden_inputs.snapshot, state_values=()))
    result = build_area(NATION, inputs, tmp_path)
    nation = AreaFile.read(tmp_path / result.output.path, result)
    chosen = np.random.default_rng(3).permutation(len(nation.weight))
    whole, part = np.isin(np.arange(len(chosen)), chosen[:160]), np.isin(np.arange(len(chosen)), chosen[:60])
    asked = sorted(name for name in source.closure(source.signs) if not any(word in name for word in LONG))
    values = {}
    rows = {}
    for name, households in (("whole", whole), ("part", part)):
        nation.take(households).write(tmp_path / f"{name}.h5")  # ids stay, so formulas see the same ones in every part
        rows[name] = {entity: np.flatnonzero(households[nation.household_of(entity)]) for entity in nation.entities}
        values[name] = calculated(tmp_path / f"{name}.h5", asked)
    shared = {entity: np.isin(rows["whole"][entity], rows["part"][entity]) for entity in nation.entities}
    differ, compared = set(), 0
    failing = {name for name in asked if any(name not in found for found in values.values())}
    assert len(failing) < 0.02 * len(asked), (
        failing
    )  # the model fails on some where a state has rows, and not elsewhere
    from policyengine_us.system import system

    for name in sorted(set(asked) - failing):
        left, right = values["whole"][name], values["part"][name]
        compared += 1
        left = left[shared[system.variables[name].entity.key]]
        if left.dtype.kind == "f":
            same = np.allclose(left, right, rtol=1e-4, atol=0.01, equal_nan=True)
        else:
            same = np.array_equal(left, right)
        if not same:
            differ.add(name)
    record_property("variables compared on part and whole", compared)
    record_property("variables that differ", sorted(differ))
    assert differ <= FACTS.whole_file.keys()
    assert {"household_income_decile", "spm_unit_income_decile", "medicaid", MEDICAID_COST} <= differ
    assert compared > 3000


def calculated(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Values of a year, or of its first month; without those that the model itself fails on."""
    from policyengine_us import Microsimulation
    from policyengine_us.system import system

    simulation = Microsimulation(dataset=str(path))
    values = {}
    for name in (*UPSTREAM, *names):
        period: Any = "2024-01" if system.variables[name].definition_period == "month" else 2024
        try:
            found = simulation.calculate(name, period, use_weights=False)
        except (TypeError, ValueError, KeyError, AttributeError):
            continue
        decode = getattr(found, "decode_to_str", None)
        values[name] = np.asarray(decode() if decode is not None else found)
    return values


# --- Medicaid in files that the model loads


@pytest.fixture(scope="module")
def idaho(golden_inputs: PreparedInputs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    """The state and each of its districts in the model."""
    folder = tmp_path_factory.mktemp("idaho")
    fips = us.STATE_FIPS["ID"]
    codes = [int(code) for code in golden_inputs.clones.districts if code // 100 == fips]
    requests = [AreaBuildRequest("state", "ID", "Idaho", (AreaFilter("state", "eq", (f"{fips:02d}",)),))]
    for code in codes:
        name = us.district_name(code)
        requests.append(AreaBuildRequest("district", name, name, (AreaFilter("district", "eq", (f"{code:04d}",)),)))
    assert len(requests) > 2
    asked = ("medicaid", "medicaid_enrolled", "person_weight", *UPSTREAM[1:], "household_weight")
    return {
        request.area_id: calculated(folder / build_area(request, golden_inputs, folder).output.path, asked)
        for request in requests
    }


def test_medicaid_of_districts_adds_up_to_their_state(idaho: dict[str, dict[str, np.ndarray]]) -> None:
    totals = {area: float(values["person_weight"].astype(float) @ values["medicaid"]) for area, values in idaho.items()}
    state = totals.pop("ID")
    assert state > 0
    assert sum(totals.values()) == pytest.approx(state, rel=1e-6)
    assert max(totals.values()) < state


def test_net_income_with_health_benefits_is_sane(
    idaho: dict[str, dict[str, np.ndarray]], golden_snapshot: SourceSnapshot
) -> None:
    (cost,) = (item.by_fips[us.STATE_FIPS["ID"]] for item in golden_snapshot.state_values)
    for values in idaho.values():
        assert set(values["medicaid"].tolist()) <= {0.0, float(cost)}
        assert (values["medicaid"] > 0).tolist() == (values["medicaid_enrolled"] > 0).tolist()
        health = values[UPSTREAM[2]].astype(float) - values[UPSTREAM[1]]
        weight = values["household_weight"].astype(float)
        assert 0 < weight @ health < 0.5 * (weight @ values[UPSTREAM[1]])


@pytest.mark.parametrize("state", ["NC", "CA", "NY", "DC"])
def test_it_is_what_the_model_takes_for_a_person_alone(golden_snapshot: SourceSnapshot, state: str) -> None:
    from policyengine_us import Simulation

    people = {"people": {"a": {"age": {"2024": 30}}}}
    situation = {**people, "households": {"h": {"members": ["a"], "state_code": {"2024": state}}}}
    (cost,) = (item.by_fips[us.STATE_FIPS[state]] for item in golden_snapshot.state_values)
    assert float(Simulation(situation=situation).calculate(MEDICAID_COST, 2024)[0]) == pytest.approx(cost, rel=1e-5)
