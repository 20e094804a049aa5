"""Ids as the installed model uses them: which variables hold some, which formulas read them, and that files agree."""

import importlib.util
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from joins import unit_rows
from tiny_world import OWNER, World, source_columns, write_source

import local_h5
from local_h5.errors import SourceError
from local_h5.inputs.id_columns import may_hold_ids
from local_h5.inputs.source import STRUCTURAL, read_source
from local_h5.prepared.given import VariableRules
from local_h5.prepared.places import GEOGRAPHIC
from local_h5.prepared.steps import load_variable_rules, prepare_snapshot
from local_h5.takeup.programmes import load_programmes

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[2]
RULES = load_variable_rules(ROOT / "config" / "variables.yaml")
ENTITIES = ("household", "person", "tax_unit", "spm_unit", "family", "marital_unit")
MONTHS = [f"2024-{month:02d}" for month in range(1, 13)]
BY_MONTH = "is_receiving_unemployment_compensation"
PERSONS = 100 + 3 * np.arange(len(OWNER))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """North Carolina's first district, and everything, with a child that names its parent and people out of work."""
    world = World(tmp_path_factory.mktemp("ids"))
    world.columns["unemployment_compensation"] = {"2024": np.full(len(OWNER), 4000.0, np.float32)}
    world.columns["weeks_unemployed"] = {"2024": np.array([13, 20, 9, 26, 5, 17, 30, 11, 22, 8, 15, 19])}
    world.columns["parent_1_id"] = {"2024": np.where(np.arange(len(OWNER)) == 5, PERSONS[3], 0)}
    arguments = world.write()
    builder = local_h5.H5Builder()
    builder.build_h5(**arguments, cd_subset=["3701"])
    builder.build_h5(**arguments | {"output_path": world.folder / "all.h5"})
    return world


def loaded(path: Path) -> Any:
    from policyengine_us import Microsimulation

    return Microsimulation(dataset=str(path))


def test_a_district_and_the_whole_agree_where_the_model_hashes_ids(world: World) -> None:
    starts = []
    for path in (world.output, world.folder / "all.h5"):
        simulation = loaded(path)
        months = np.array([np.asarray(simulation.calculate(BY_MONTH, month)) for month in MONTHS]).T
        starts.append(dict(zip(np.asarray(simulation.calculate("person_id", 2024)).tolist(), months, strict=True)))
    district, whole = starts
    assert set(district) < set(whole)
    assert all(np.array_equal(months, whole[person]) for person, months in district.items())
    assert len({tuple(months.tolist()) for months in district.values()}) > 3  # not everybody has all months or none


def test_parents_are_found(world: World) -> None:
    """A parent is one because of the child's column: the model finds the id that the file gave the parent."""
    from policyengine_us.variables.household.demographic.person._parent_links import linked_child_count

    simulation = loaded(world.folder / "all.h5")
    ids = np.asarray(simulation.calculate("person_id", 2024))
    parents = ids[linked_child_count(simulation.persons, "2024") > 0]
    assert sorted(((parents - 1) % len(OWNER)).tolist()) == [3, 3, 3]  # one a clone


@pytest.mark.slow
def test_but_for_the_hash_the_model_gives_what_it_gave_under_row_numbers(world: World, tmp_path: Path) -> None:
    """All that the model needs for these, on the file and on a copy whose ids are row numbers, as they used to be."""
    counted = tmp_path / "counted.h5"
    shutil.copy(world.folder / "all.h5", counted)
    with h5py.File(counted, "r+") as file:
        links = {entity: unit_rows(file, entity) for entity in ENTITIES if entity != "person"}
        person = {0: 0} | {int(name): row + 1 for row, name in enumerate(file["person_id/2024"][()])}
        for entity in ENTITIES:
            file[f"{entity}_id/2024"][...] = np.arange(len(file[f"{entity}_id/2024"])) + (entity == "person")
        for entity, rows in links.items():
            file[f"person_{entity}_id/2024"][...] = rows
        file["parent_1_id/2024"][...] = [person[int(name)] for name in file["parent_1_id/2024"][()]]
    pair = [loaded(path) for path in (world.folder / "all.h5", counted)]
    months = [np.array([np.asarray(one.calculate(BY_MONTH, month)) for month in MONTHS]) for one in pair]
    assert (months[0] != months[1]).any()
    pair[1] = loaded(counted)
    for month, values in zip(MONTHS, months[0], strict=True):
        pair[1].set_input(BY_MONTH, month, values)
    for simulation in pair:
        for name in ("household_net_income", "snap", "medicaid", "spm_unit_net_income"):
            simulation.calculate(name, 2024)
    different, compared = set(), 0
    for name in pair[0].tax_benefit_system.variables:
        holders = [simulation.get_holder(name) for simulation in pair]
        for period in set(holders[0].get_known_periods()) & set(holders[1].get_known_periods()):
            one, other = (np.asarray(holder.get_array(period)) for holder in holders)
            compared += 1
            if not np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
                different.add(name)
    assert compared > 3000
    assert different <= STRUCTURAL | {"parent_1_id"}


def test_every_variable_that_may_hold_ids_is_classified() -> None:
    from policyengine_us.system import system

    found = {name for name, variable in system.variables.items() if may_hold_ids(variable)}
    known = STRUCTURAL | GEOGRAPHIC | RULES.ids.keys() | RULES.no_ids | RULES.calculated
    assert found <= known
    assert RULES.ids.keys() | RULES.no_ids <= found
    assert {system.variables[name].value_type for name in RULES.ids} == {int}
    assert {system.variables[name].default_value for name in RULES.ids} == {0}


def readers() -> Iterator[str]:
    """Modules of the installed model that name an id in quotes, as a formula does."""
    (folder,) = importlib.util.find_spec("policyengine_us").submodule_search_locations  # type: ignore[union-attr]
    quoted = re.compile(rf"[\"'](?:person_)?(?:{'|'.join(ENTITIES)})_id[\"']")
    for path in (Path(folder) / "variables").rglob("*.py"):
        if quoted.search(path.read_text(encoding="utf-8")):
            yield path.stem


def test_every_reader_of_ids_is_known() -> None:
    """The decision's table stands on this list: a new reader may hash ids, or ask for ids that files do not have."""
    assert set(readers()) == {
        # equality of tax units and of parents, for Medicaid
        "_claiming_tax_unit", "_non_filer_household", "_parent_links", "ca_medicaid_household_pregnancies",
        "medicaid_claimed_by_parent_in_tax_unit", "medicaid_has_known_claiming_tax_unit", "medicaid_household_income",
        "medicaid_household_size", "medicaid_tax_dependent_exception_living_with_both_parents",
        # a hash, a tie
        "is_receiving_unemployment_compensation", "wi_cts_caretaker_children",
        # given back
        "tax_unit_household_id", "taxsim_taxsimid",
    }  # fmt: skip


def snapshot(folder: Path, rules: VariableRules, **columns: Any) -> Any:
    stored = source_columns() | {name: {"2024": values} for name, values in columns.items()}
    return prepare_snapshot(read_source(write_source(folder / "source.h5", stored)), rules, load_programmes())


@pytest.mark.parametrize("variable", ["parent_2_id", "medicaid_claiming_tax_unit_id", "ss_calculator_worker_id"])
def test_a_column_that_nobody_classified_is_refused(tmp_path: Path, variable: str) -> None:
    """As a variable of a newer model would be."""
    rules = VariableRules(RULES.calculated, RULES.moved)
    with pytest.raises(SourceError, match=f"{variable}: expected a variable that is known to hold ids") as caught:
        snapshot(tmp_path, rules, **{variable: np.full(len(OWNER), b"" if variable.startswith("ss_") else 0)})
    assert "config/variables.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ids_that_the_model_gives_back_are_left_out_and_texts_are_kept(tmp_path: Path) -> None:
    units = len(source_columns()["tax_unit_id"]["2024"])
    made = snapshot(
        tmp_path,
        RULES,
        tax_unit_household_id=np.arange(units),
        taxsim_taxsimid=np.arange(units),
        ss_calculator_worker_id=np.array([b"record 7"] * len(OWNER)),
    )
    reasons = {item.variable: item.reason for item in made.excluded}
    assert reasons["tax_unit_household_id"] == reasons["taxsim_taxsimid"] == "calculated by the model"
    assert "ss_calculator_worker_id" in {column.variable for column in made.columns}


@pytest.mark.slow
def test_any_source_ids_give_the_same_snapshot(tmp_path: Path) -> None:
    """Beyond int32, negative: a file's ids do not depend on the source's, but for households, which take-up is drawn
    by."""
    plain = snapshot(tmp_path, RULES, parent_1_id=np.where(np.arange(len(OWNER)) == 5, PERSONS[3], 0))
    columns = source_columns() | {"parent_1_id": {"2024": np.where(np.arange(len(OWNER)) == 5, PERSONS[3], 0)}}
    for name in ("person_id", "parent_1_id"):
        values = columns[name]["2024"]
        columns[name] = {"2024": np.where(values == 0, 0, 10**12 - 10**9 * values)}
    for name in ("tax_unit_id", "person_tax_unit_id"):
        columns[name] = {"2024": -1 - columns[name]["2024"]}
    path = write_source(tmp_path / "other.h5", columns)
    other = prepare_snapshot(read_source(path), RULES, load_programmes())
    assert other.columns == plain.columns
    assert all(np.array_equal(other.matrices[name], matrix) for name, matrix in plain.matrices.items())
    assert all(np.array_equal(other.values[name], values) for name, values in plain.values.items())
