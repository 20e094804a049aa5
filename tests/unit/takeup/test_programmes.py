"""Programmes are data: the ones that are shipped, a new one by YAML alone, and every way to get one wrong."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from local_h5 import us
from local_h5.errors import InputError
from local_h5.takeup.assign import take_up
from local_h5.takeup.draws import seeds, uniforms
from local_h5.takeup.prepare import SourceFacts, prepare_takeup
from local_h5.takeup.programmes import (
    ModelVariable,
    load_programmes,
    required_eligibility,
    required_variables,
)
from local_h5.takeup.rates import CellRates, ConstantRate, StateRates

World = Any
CONFIG = Path(__file__).parents[3] / "config" / "takeup"
DEFAULTS = {programme.variable: programme for programme in load_programmes()}

ENTITIES = {
    "takes_up_snap_if_eligible": "spm_unit",
    "takes_up_aca_if_eligible": "tax_unit",
    "takes_up_dc_ptc": "tax_unit",
    "takes_up_head_start_if_eligible": "person",
    "takes_up_early_head_start_if_eligible": "person",
    "takes_up_ssi_if_eligible": "person",
    "would_file_taxes_voluntarily": "tax_unit",
    "takes_up_medicaid_if_eligible": "person",
    "takes_up_tanf_if_eligible": "spm_unit",
    "takes_up_housing_assistance_if_eligible": "spm_unit",
}


def test_the_shipped_programmes() -> None:
    assert {name: programme.entity for name, programme in DEFAULTS.items()} == ENTITIES
    reports = {name: p.reports.variable for name, p in DEFAULTS.items() if p.reports is not None}
    assert reports == {
        "takes_up_aca_if_eligible": "reported_has_subsidized_marketplace_health_coverage_at_interview",
        "takes_up_medicaid_if_eligible": "has_medicaid_health_coverage_at_interview",
        "takes_up_housing_assistance_if_eligible": "receives_housing_assistance",
    }
    assert [name for name, p in DEFAULTS.items() if p.eligibility] == ["takes_up_housing_assistance_if_eligible"]


def test_every_rate_but_voluntary_filing_cites_a_source() -> None:
    assert [name for name, p in DEFAULTS.items() if not p.sources] == ["would_file_taxes_voluntarily"]
    assert all(source.url for p in DEFAULTS.values() for source in p.sources)


def test_shipped_constants_of_2024() -> None:
    rates = {n: p.rate.at(n, 2024) for n, p in DEFAULTS.items() if isinstance(p.rate, ConstantRate)}
    assert rates == {
        "takes_up_snap_if_eligible": 0.82,
        "takes_up_aca_if_eligible": 0.672,
        "takes_up_dc_ptc": 0.32,
        "takes_up_head_start_if_eligible": 0.30,
        "takes_up_early_head_start_if_eligible": 0.09,
        "takes_up_ssi_if_eligible": 0.50,
        "takes_up_tanf_if_eligible": 0.22,
        "takes_up_housing_assistance_if_eligible": 0.28,
    }


def test_medicaid_has_a_rate_for_every_state() -> None:
    rate = DEFAULTS["takes_up_medicaid_if_eligible"].rate
    assert isinstance(rate, StateRates)
    codes = np.array(list(us.STATE_POSTAL))
    assert ((rate.of("v", codes) >= 0.53) & (rate.of("v", codes) <= 0.99)).all()
    assert np.isfinite(rate.by_fips).sum() == 51


def test_the_list_by_path_equals_the_installed_one() -> None:
    by_path = load_programmes(CONFIG / "programmes.yaml")
    assert [p.variable for p in by_path] == list(DEFAULTS)
    assert [p.sources for p in by_path] == [p.sources for p in DEFAULTS.values()]


def test_what_the_programmes_need() -> None:
    programmes = list(DEFAULTS.values())
    assert required_variables(programmes) == (
        ModelVariable("age_head", "tax_unit", "model", False),
        ModelVariable("employment_income", "person", "model", False),
        ModelVariable("has_medicaid_health_coverage_at_interview", "person", "model", True),
        ModelVariable("receives_housing_assistance", "spm_unit", "model", True),
        ModelVariable("reported_has_subsidized_marketplace_health_coverage_at_interview", "person", "file", True),
        ModelVariable("tax_unit_child_dependents", "tax_unit", "model", False),
    )
    assert required_eligibility(programmes) == {"housing_income_limits"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped programmes, to change."""
    return Path(shutil.copytree(CONFIG, tmp_path / "takeup"))


def test_a_programme_is_added_by_yaml_alone(folder: Path, world: World, all_rows: np.ndarray) -> None:
    (folder / "wic.yaml").write_text(
        """
variable: would_claim_wic
entity: person
rate:
  by_cell:
    axes:
      - name: pay
        variable: employment_income
        entity: person
        levels:
          - {name: none, at_most: 0}
          - {name: some}
    rates: {none: 0.9, some: 0.1}
sources:
  - title: A survey
"""
    )
    (folder / "chip.yaml").write_text(
        """
variable: takes_up_chip
entity: family
rate: {by_state: {AK: 0.1, CA: 0.9, NC: 0.5, WY: 0.2}}
reports: {variable: has_chip, entity: person, source: model}
sources: []
"""
    )
    with (folder / "programmes.yaml").open("a") as listing:
        listing.write("  would_claim_wic: wic.yaml\n  takes_up_chip: chip.yaml\n")
    programmes = load_programmes(folder / "programmes.yaml")
    assert ModelVariable("has_chip", "person", "model", True) in required_variables(programmes)

    n_persons = world.facts.values["employment_income"].size
    has_chip = np.arange(n_persons) % 5 == 0
    facts = SourceFacts(world.membership, {**world.facts.values, "has_chip": has_chip}, world.facts.eligible)
    area = world.area(all_rows)
    columns = take_up(prepare_takeup(programmes, 2024, facts, world.geography), area)
    assert list(columns) == [*ENTITIES, "would_claim_wic", "takes_up_chip"]

    persons = area.rows["person"]
    draws = uniforms(seeds("would_claim_wic", area.household_ids, area.clones), persons.counts)
    unpaid = world.facts.values["employment_income"][persons.source_row] <= 0
    expected = draws < np.where(unpaid, np.float32(0.9), np.float32(0.1))
    assert (columns["would_claim_wic"] == expected).all()
    families = np.zeros(world.membership.members["family"].rows.size, dtype=bool)
    families[world.membership.person_unit["family"][has_chip]] = True
    assert columns["takes_up_chip"][families[area.rows["family"].source_row]].all()


SNAP = "variable: takes_up_snap_if_eligible\nentity: spm_unit\nsources: []\n"
CELL = SNAP + "rate: {by_cell: {axes: [{name: a, variable: v, entity: %s, levels: %s}], rates: %s}}\n"
TWO = "[{name: x, below: 1}, {name: y}]"
BAD = {
    "no file": (None, "snap.yaml: expected a YAML file, found no file"),
    "not YAML": ("{", "snap.yaml: expected a YAML file"),
    "not UTF-8": ("caf\udce9", "snap.yaml: expected a YAML file"),
    "empty": ("", "expected object, found None"),
    "unknown key": (SNAP + "rate: {constant: {2018-01-01: 0.5}}\nrates: 1\n", "rates: expected one of"),
    "repeated key": (SNAP + "rate: {constant: {2018-01-01: 0.5}}\nentity: person\n", "repeated key entity"),
    "no rate": (SNAP, "rate: expected a value, found nothing"),
    "two kinds": (
        SNAP + "rate: {constant: {2018-01-01: 0.5}, by_state: {AK: 0.1}}\n",
        "rate: expected one of constant, by_state, by_cell, found constant, by_state",
    ),
    "above one": (SNAP + "rate: {constant: {2018-01-01: 82}}\n", "expected at most 1, found 82"),
    "not a number": (SNAP + "rate: {constant: {2018-01-01: .nan}}\n", "snap.yaml: expected a YAML file"),
    "text": (SNAP + "rate: {constant: {2018-01-01: most}}\n", "expected number, found 'most'"),
    "year for a date": (SNAP + "rate: {constant: {2018: 0.5}}\n", '"2018" does not match'),
    "state": (
        SNAP + "rate: {by_state: {AK: 0.1, XX: 0.1}}\n",
        "rate.by_state: expected postal codes of states, found XX",
    ),
    "household": (
        SNAP.replace("spm_unit", "household") + "rate: {by_state: {AK: 0.1}}\n",
        "expected one of person",
    ),
    "other variable": (
        SNAP.replace("snap", "tanf") + "rate: {by_state: {AK: 0.1}}\n",
        "variable: expected takes_up_snap_if_eligible, as in the list, found takes_up_tanf_if_eligible",
    ),
    "reports of another unit": (
        SNAP + "rate: {by_state: {AK: 0.1}}\nreports: {variable: v, entity: family, source: model}\n",
        "reports.entity: expected spm_unit or person, found family",
    ),
    "reports and cells": (
        CELL % ("spm_unit", TWO, "{x: 0.1, y: 0.2}") + "reports: {variable: v, entity: person, source: model}\n",
        "rate: expected constant or by_state together with reports, found by_cell",
    ),
    "axis of another unit": (CELL % ("family", TWO, "{x: 0.1, y: 0.2}"), "axes.a.entity: expected spm_unit or person"),
    "persons without aggregate": (
        CELL % ("person", TWO, "{x: 0.1, y: 0.2}"),
        "axes.a.aggregate: expected an aggregate",
    ),
    "aggregate of its own": (
        CELL % ("spm_unit, aggregate: sum", TWO, "{x: 0.1, y: 0.2}"),
        "axes.a.aggregate: expected an aggregate exactly when",
    ),
    "falling bounds": (
        CELL % ("spm_unit", "[{name: x, below: 2}, {name: y, below: 1}, {name: z}]", "{x: 0.1, y: 0.2, z: 0.3}"),
        "axes.a.levels: expected different names, rising bounds",
    ),
    "no last level": (CELL % ("spm_unit", "[{name: x, below: 2}]", "{x: 0.1}"), "axes.a.levels"),
    "two last levels": (CELL % ("spm_unit", "[{name: x}, {name: y}]", "{x: 0.1, y: 0.2}"), "axes.a.levels"),
    "one name twice": (CELL % ("spm_unit", "[{name: x, below: 2}, {name: x}]", "{x: 0.1}"), "axes.a.levels"),
    "two bounds": (CELL % ("spm_unit", "[{name: x, below: 2, at_most: 2}, {name: y}]", "{x: 0.1, y: 0.2}"), "axes.0"),
    "missing level": (CELL % ("spm_unit", TWO, "{x: 0.1}"), "rate.by_cell.rates: expected the levels x, y, found x"),
    "shallow": (
        CELL % ("spm_unit", TWO, "0.5"),
        "rate.by_cell.rates",
    ),
    "deep": (
        CELL % ("spm_unit", TWO, "{x: 0.1, y: {z: 0.2}}"),
        "rate.by_cell.rates.y: expected a rate",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_wrong_programme_files(folder: Path, text: str | None, message: str) -> None:
    path = folder / "snap.yaml"
    path.unlink()
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError) as caught:
        load_programmes(folder / "programmes.yaml")
    line = str(caught.value)
    assert str(path) in line
    assert message in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("programmes: {}\n", "programmes"),
        ("programmes: {v: ../elsewhere.yaml}\n", "does not match"),
        ("programmes: {takes_up_snap_if_eligible: none.yaml}\n", "none.yaml: expected a YAML file, found no file"),
        ("programmes: [snap.yaml]\n", "expected object, found"),
    ],
)
def test_wrong_lists(folder: Path, text: str, message: str) -> None:
    (folder / "programmes.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        load_programmes(folder / "programmes.yaml")
    assert message in str(caught.value)


def test_a_variable_wanted_from_two_places_is_an_error() -> None:
    medicaid = DEFAULTS["takes_up_medicaid_if_eligible"]
    assert medicaid.reports is not None
    other = replace(medicaid, variable="other", reports=structs.replace(medicaid.reports, source="file"))
    with pytest.raises(InputError, match=r"^other: has_medicaid_health_coverage_at_interview: expected entity person"):
        required_variables([medicaid, other])


def test_a_variable_needed_by_cells_is_not_optional() -> None:
    filing = DEFAULTS["would_file_taxes_voluntarily"]
    assert isinstance(filing.rate, CellRates)
    medicaid = DEFAULTS["takes_up_medicaid_if_eligible"]
    assert medicaid.reports is not None
    reports = structs.replace(medicaid.reports, variable="employment_income")
    needed = required_variables([replace(medicaid, reports=reports), filing])
    assert {v.variable: v.optional for v in needed}["employment_income"] is False
