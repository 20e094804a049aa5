"""Take-up of a file equals a plain loop over its units, written from the rules."""

import math
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from local_h5.errors import InputError
from local_h5.inputs import chunks
from local_h5.inputs.membership import EntityRows
from local_h5.takeup.assign import AreaUnits, inputs_digest, take_up, thresholds
from local_h5.takeup.prepare import CloneGeography, SourceFacts

World = Any
RATE = {
    "takes_up_snap_if_eligible": ("spm_unit", 0.82),
    "takes_up_aca_if_eligible": ("tax_unit", 0.672),
    "takes_up_dc_ptc": ("tax_unit", 0.32),
    "takes_up_head_start_if_eligible": ("person", 0.30),
    "takes_up_early_head_start_if_eligible": ("person", 0.09),
    "takes_up_ssi_if_eligible": ("person", 0.50),
    "takes_up_medicaid_if_eligible": ("person", {2: 0.88, 6: 0.78, 37: 0.94, 56: 0.7}),
    "takes_up_tanf_if_eligible": ("spm_unit", 0.22),
    "takes_up_housing_assistance_if_eligible": ("spm_unit", 0.28),
}
HOUSING = "takes_up_housing_assistance_if_eligible"
MEDICAID = "takes_up_medicaid_if_eligible"
ACA = "takes_up_aca_if_eligible"
FILING = "would_file_taxes_voluntarily"
CELLS = {
    (False, "zero"): (0.2, 0.05),
    (False, "low"): (0.24, 0.04),
    (False, "medium"): (0.0, 0.0),
    (False, "high"): (0.0, 0.005),
    (True, "zero"): (0.5, 0.075),
    (True, "low"): (0.6, 0.06),
    (True, "medium"): (0.0, 0.0),
    (True, "high"): (0.025, 0.0037),
}


def plain_seed(text: str) -> int:
    x = 0
    for byte in text.encode("ascii"):
        x = (31 * x + byte) % 2**64
    x ^= x >> 33
    x = (x * 0xFF51AFD7ED558CCD) % 2**64
    x ^= x >> 33
    return x % 2**63


class Plain:
    """The rules of take-up, one unit at a time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.values = world.facts.values
        self.n_households = len(world.household_ids)
        members = world.membership.members
        self.units = {
            entity: [rows.rows[rows.indptr[h] : rows.indptr[h + 1]].tolist() for h in range(self.n_households)]
            for entity, rows in members.items()
        }

    def persons(self, entity: str, unit: int) -> list[int]:
        return np.flatnonzero(self.world.membership.person_unit[entity] == unit).tolist()

    def reported(self, variable: str, unit: int) -> bool | None:
        if variable == MEDICAID:
            return bool(self.values["has_medicaid_health_coverage_at_interview"][unit])
        if variable == HOUSING:
            return bool(self.values["receives_housing_assistance"][unit])
        if variable == ACA:
            coverage = self.values["reported_has_subsidized_marketplace_health_coverage_at_interview"]
            return any(coverage[person] for person in self.persons("tax_unit", unit))
        return None

    def eligible(self, variable: str, row: int, unit: int) -> bool:
        if variable != HOUSING:
            return True
        return bool(self.world.eligible[int(self.world.geography.county[row])][unit] or self.reported(variable, unit))

    def rate(self, variable: str, row: int, unit: int) -> float:
        if variable == FILING:
            wages = sum(self.values["employment_income"][p] for p in self.persons("tax_unit", unit))
            level = "zero" if wages <= 0 else "low" if wages < 15_000 else "medium" if wages < 30_000 else "high"
            young, old = CELLS[bool(self.values["tax_unit_child_dependents"][unit] > 0), level]
            return float(np.float32(old if self.values["age_head"][unit] >= 65 else young))
        rate = RATE[variable][1]
        return rate[int(self.world.geography.state[row])] if isinstance(rate, dict) else rate

    def group(self, variable: str, row: int, scope: str) -> tuple[int, int]:
        by_state = isinstance(RATE[variable][1], dict)
        return (
            row // self.n_households if scope == "clone" else 0,
            int(self.world.geography.state[row]) if by_state else 0,
        )

    def adjusted(self, variable: str, rows: Collection[int], scope: str) -> dict[tuple[int, int], float]:
        tally = defaultdict(lambda: [0, 0, 0.0])
        for row in range(len(self.world.geography.state)) if scope == "clone" else rows:
            for unit in self.units[RATE[variable][0]][row % self.n_households]:
                entry = tally[self.group(variable, row, scope)]
                entry[0] += self.eligible(variable, row, unit)
                entry[1] += bool(self.reported(variable, unit))
                entry[2] = self.rate(variable, row, unit)
        return {
            group: max(0, math.trunc(rate * eligible) - reported) / (eligible - reported)
            if eligible > reported
            else 0.0
            for group, (eligible, reported, rate) in tally.items()
        }

    def column(self, variable: str, rows: list[int], mode: str, scope: str) -> list[bool]:
        entity = "tax_unit" if variable == FILING else RATE[variable][0]
        anchored = mode == "anchor" and variable in (MEDICAID, HOUSING, ACA)
        adjusted = self.adjusted(variable, rows, scope) if anchored else {}
        result = []
        for row in rows:
            clone, household = divmod(row, self.n_households)
            generator = np.random.default_rng(plain_seed(f"{variable}:{self.world.household_ids[household]}:{clone}"))
            for unit in self.units[entity][household]:
                u = generator.random()
                eligible = self.eligible(variable, row, unit)
                if anchored:
                    takes = u < adjusted[self.group(variable, row, scope)]
                    result.append(bool(self.reported(variable, unit) or (eligible and takes)))
                else:
                    result.append(bool(eligible and u < self.rate(variable, row, unit)))
        return result


@pytest.mark.parametrize("mode", ["anchor", "ignore"])
@pytest.mark.parametrize("scope", ["clone", "area"])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_programme_equals_a_plain_loop(worlds: Callable[[int], World], mode: str, scope: str, seed: int) -> None:
    world = worlds(seed)
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(world.geography.state.size, 60, replace=False))
    columns = take_up(world.prepare(reported=mode, scope=scope), world.area(rows))
    plain = Plain(world)
    assert set(columns) == {*RATE, FILING}
    for variable, column in columns.items():
        assert column.dtype == np.bool_
        assert column.tolist() == plain.column(variable, rows.tolist(), mode, scope), variable


def by_unit(world: World, rows: np.ndarray, columns: dict[str, np.ndarray]) -> dict[tuple[str, int, int], bool]:
    area = world.area(rows)
    return {
        (variable, int(rows[position]), int(unit)): bool(value)
        for variable, column in columns.items()
        for entity in ["tax_unit" if variable == FILING else RATE[variable][0]]
        for position, unit, value in zip(
            area.rows[entity].clone_position, area.rows[entity].source_row, column, strict=True
        )
    }


@given(st.integers(0, 50), st.data())
@settings(max_examples=25, deadline=None)
def test_any_part_of_a_file_agrees_with_the_whole(worlds: Callable[[int], World], seed: int, data: Any) -> None:
    world = worlds(seed)
    n = world.geography.state.size
    part = np.array(sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1))))
    takeup = world.prepare()
    whole = by_unit(world, np.arange(n), take_up(takeup, world.area(np.arange(n))))
    assert by_unit(world, part, take_up(takeup, world.area(part))).items() <= whole.items()


def test_area_scope_depends_on_the_file(world: World, all_rows: np.ndarray) -> None:
    takeup = world.prepare(scope="area")
    part = all_rows[: all_rows.size // 3]
    whole = by_unit(world, all_rows, take_up(takeup, world.area(all_rows)))
    assert not by_unit(world, part, take_up(takeup, world.area(part))).items() <= whole.items()


def test_recipients_take_up_and_keep_the_others_draws(world: World, all_rows: np.ndarray) -> None:
    area = world.area(all_rows)
    anchored = take_up(world.prepare(), area)
    ignoring = take_up(world.prepare(reported="ignore"), area)
    coverage = world.facts.values["has_medicaid_health_coverage_at_interview"][area.rows["person"].source_row]
    assert anchored[MEDICAID][coverage].all()
    assert not ignoring[MEDICAID][coverage].all()
    for variable in (set(RATE) | {FILING}) - {MEDICAID, HOUSING, ACA}:
        assert (anchored[variable] == ignoring[variable]).all()


@pytest.mark.parametrize("scope", ["clone", "area"])
def test_any_number_of_stretches_gives_the_same(
    world: World, all_rows: np.ndarray, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    area, takeup = world.area(all_rows), world.prepare(scope=scope)
    at_once = take_up(takeup, area, [MEDICAID, FILING, HOUSING])
    for rows in (1, 2, 7):
        monkeypatch.setattr(chunks, "CHUNK", rows)
        in_parts = take_up(takeup, area, [MEDICAID, FILING, HOUSING])
        assert {name: column.tolist() for name, column in in_parts.items()} == {
            name: column.tolist() for name, column in at_once.items()
        }


def test_filter_makes_the_others_true(world: World, all_rows: np.ndarray) -> None:
    area, takeup = world.area(all_rows), world.prepare()
    full = take_up(takeup, area)
    some = take_up(takeup, area, [MEDICAID, FILING])
    assert list(some) == list(full)
    for variable, column in some.items():
        assert column.shape == full[variable].shape
        assert (column == (full[variable] if variable in (MEDICAID, FILING) else True)).all()
    assert all(column.all() for column in take_up(takeup, area, []).values())


def test_unknown_name_in_the_filter(world: World, all_rows: np.ndarray) -> None:
    with pytest.raises(
        InputError, match=r"^takeup_filter: expected names among .*takes_up_dc_ptc.*, found snap, wic\."
    ):
        take_up(world.prepare(), world.area(all_rows), ["wic", "snap", MEDICAID])


def test_bare_string_as_filter(world: World, all_rows: np.ndarray) -> None:
    with pytest.raises(InputError, match=f"^takeup_filter: expected a list of names, found the text '{MEDICAID}'"):
        take_up(world.prepare(), world.area(all_rows), MEDICAID)


@pytest.mark.parametrize("options", [{}, {"scope": "area"}, {"reported": "ignore"}])
def test_state_without_a_rate(world: World, options: dict[str, str]) -> None:
    state = world.geography.state.copy()
    state[:3] = 72
    broken = replace(world, geography=CloneGeography(state, world.geography.county))
    with pytest.raises(InputError, match=r"^takes_up_medicaid_if_eligible: rate.by_state: .*FIPS 72"):
        take_up(broken.prepare(**options), broken.area(np.arange(3)))


def test_county_without_eligibility(world: World) -> None:
    county = world.geography.county.copy()
    county[0] = 1001
    broken = replace(world, geography=CloneGeography(world.geography.state, county))
    with pytest.raises(InputError, match="first 01001"):
        take_up(world.prepare(), broken.area(np.arange(3)))


def test_reports_that_the_source_lacks(world: World, all_rows: np.ndarray) -> None:
    values = {k: v for k, v in world.facts.values.items() if not k.startswith("reported_has")}
    facts = SourceFacts(world.membership, values, world.facts.eligible)
    lacking = replace(world, facts=facts)
    takeup, area = lacking.prepare(), world.area(all_rows)
    status = {table.variable: table.reports for table in takeup.programmes}
    assert (status[ACA], status[MEDICAID], status["takes_up_dc_ptc"]) == ("absent", "anchor", "none")
    expected = take_up(world.prepare(reported="ignore"), area)[ACA]
    assert (take_up(takeup, area)[ACA] == expected).all()


@pytest.mark.parametrize(
    ("variable", "wrong", "message"),
    [
        ("has_medicaid_health_coverage_at_interview", np.zeros(3, dtype=bool), "values of entity person, found shape"),
        ("receives_housing_assistance", np.array(["YES"]), "expected true or false"),
        ("receives_housing_assistance", np.array([0.5]), "expected true or false"),
    ],
)
def test_wrong_reports(world: World, variable: str, wrong: np.ndarray, message: str) -> None:
    facts = SourceFacts(world.membership, {**world.facts.values, variable: wrong}, world.facts.eligible)
    with pytest.raises(InputError, match=f"^{variable}: .*{message}"):
        replace(world, facts=facts).prepare()


def test_reports_as_numbers(world: World, all_rows: np.ndarray) -> None:
    name = "has_medicaid_health_coverage_at_interview"
    numbers = {**world.facts.values, name: world.facts.values[name].astype(np.float32)}
    as_numbers = replace(world, facts=SourceFacts(world.membership, numbers, world.facts.eligible))
    area = world.area(all_rows)
    assert (take_up(as_numbers.prepare(), area)[MEDICAID] == take_up(world.prepare(), area)[MEDICAID]).all()


def test_missing_eligibility_table(world: World) -> None:
    facts = SourceFacts(world.membership, world.facts.values, {})
    with pytest.raises(InputError, match=rf"^{HOUSING}: eligibility: expected a table housing_income_limits"):
        replace(world, facts=facts).prepare()


def test_thresholds_follow_the_clone_of_every_unit(world: World) -> None:
    tables = {table.variable: table for table in world.prepare(reported="ignore").programmes}
    area = AreaUnits(
        household_ids=np.array([1, 2]),
        clones=np.array([0, 0]),
        state=np.array([6, 2]),
        county=np.array([6001, 2020]),
        rows={"person": EntityRows(np.array([3, 2, 1]), np.array([0, 0, 1]), np.array([2, 1]))},
    )
    assert thresholds(tables[MEDICAID], area).tolist() == [0.78, 0.78, 0.88]


def test_digest_changes_with_what_concerns_the_area(world: World, all_rows: np.ndarray) -> None:
    takeup = world.prepare()
    alaska = all_rows[world.geography.state == 2]
    before = inputs_digest(takeup, world.area(alaska))
    assert before == inputs_digest(world.prepare(), world.area(alaska))
    assert before != inputs_digest(takeup, world.area(alaska), [MEDICAID])

    other_rate = [structs.replace(t, rate=0.33) if t.variable == "takes_up_dc_ptc" else t for t in takeup.programmes]
    assert inputs_digest(structs.replace(takeup, programmes=tuple(other_rate)), world.area(alaska)) != before

    def with_report(row: int) -> World:
        household = row % len(world.household_ids)
        members = world.membership.members["person"]
        person = members.rows[members.indptr[household]]
        values = dict(world.facts.values)
        name = "has_medicaid_health_coverage_at_interview"
        values[name] = values[name].copy()
        values[name][person] ^= True
        return replace(world, facts=SourceFacts(world.membership, values, world.facts.eligible))

    assert inputs_digest(with_report(alaska[0]).prepare(), world.area(alaska)) != before
    # moving a household clone between other states of another clone changes nothing here
    state, county = world.geography.state.copy(), world.geography.county.copy()
    moved = all_rows[state == 6][0]
    state[moved], county[moved] = 37, 37001
    elsewhere = replace(world, geography=CloneGeography(state, county))
    after = elsewhere.prepare()
    only_medicaid = [MEDICAID]
    assert inputs_digest(after, world.area(alaska), only_medicaid) == inputs_digest(
        takeup, world.area(alaska), only_medicaid
    )
    carolina = all_rows[
        (world.geography.state == 37) & (all_rows // len(world.household_ids) == moved // len(world.household_ids))
    ]
    assert inputs_digest(after, world.area(carolina), only_medicaid) != inputs_digest(
        takeup, world.area(carolina), only_medicaid
    )
