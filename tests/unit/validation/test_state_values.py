"""Inputs by state: written by where a clone lives, in every file alike, and only where the source has none."""

from pathlib import Path

import h5py
import numpy as np
from joins import unit_rows
from plain_model import STATE_COST, snapshot_without_model
from tiny_world import World, source_columns, write_source
from validation_world import ROOT, Run

from local_h5.contracts.results import read_sidecar, sidecar_path
from local_h5.files.arrays import open_arrays, write_arrays
from local_h5.inputs.source import read_source
from local_h5.prepared.model import MEDICAID_COST, MedicaidCost
from local_h5.prepared.snapshot import SourceSnapshot
from local_h5.prepared.steps import load_variable_rules
from local_h5.takeup.programmes import load_programmes
from local_h5.validation.structural.common_schema import common_schema

AREAS = ("AK-01", "CA-34", "DC-01", "NC-01", "NC-12", "NC", "US")


def snapshot_of(path: Path, medicaid_cost: MedicaidCost = "state_average") -> SourceSnapshot:
    rules = load_variable_rules(ROOT / "config" / "variables.yaml")
    return snapshot_without_model(read_source(path), rules, load_programmes(), medicaid_cost)


def test_every_person_has_the_value_of_the_state_of_the_clone(finished: Run) -> None:
    for area in AREAS:
        with h5py.File(finished.path(area)) as file:
            state, link = file["state_fips/2024"][()], unit_rows(file, "household")
            stored = file[MEDICAID_COST]["2024"][()]
            assert list(file[MEDICAID_COST]) == ["2024"]
        assert stored.dtype == np.float32
        assert stored.tolist() == STATE_COST[state[link]].tolist()
        assert read_sidecar(sidecar_path(finished.path(area))).validation.status == "passed"


def test_it_is_a_column_of_the_run_like_any_other(finished: Run) -> None:
    expected = common_schema(finished.inputs).columns[MEDICAID_COST]
    column = next(c for c in read_sidecar(sidecar_path(finished.path("NC-01"))).columns if c.variable == MEDICAID_COST)
    assert (expected.entity, expected.dtype, expected.periods) == (column.entity, column.dtype, column.periods)
    assert (column.entity, column.dtype, column.periods) == ("person", "float32", ("2024",))


def test_a_file_without_it_fails_its_structure(run: Run) -> None:
    with h5py.File(run.path("NC-01"), "r+") as file:
        del file[MEDICAID_COST]
    run.match_sidecar("NC-01")
    run.check("NC-01")
    record = run.settings.layout.record("structural", run.request("NC-01")).read_text()
    assert f"variables of the run that the file lacks: {MEDICAID_COST}" in record


def test_switched_off_no_file_has_it(left_to_the_model: Run) -> None:
    run = left_to_the_model
    for area in AREAS:
        assert MEDICAID_COST not in h5py.File(run.path(area))
        assert read_sidecar(sidecar_path(run.path(area))).validation.status == "passed"
    assert MEDICAID_COST not in common_schema(run.inputs).columns


def test_the_sources_own_column_comes_first(tmp_path: Path) -> None:
    columns = source_columns()
    own = np.arange(len(columns["person_id"]["2024"]), dtype=np.float32)
    columns[MEDICAID_COST] = {"2024": own}
    write_source(tmp_path / "source.h5", columns)
    snapshot = snapshot_of(tmp_path / "source.h5")
    assert snapshot.state_values == ()
    assert [column.variable for column in snapshot.columns].count(MEDICAID_COST) == 1


def test_a_snapshot_keeps_them(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write()
    for choice, kept in (("state_average", [MEDICAID_COST]), ("model", [])):
        write_arrays(tmp_path / "snapshot.h5", snapshot_of(world.source, choice))
        opened = open_arrays(tmp_path / "snapshot.h5", SourceSnapshot)
        assert [item.variable for item in opened.state_values] == kept
        for item in opened.state_values:
            assert np.array_equal(item.by_fips, STATE_COST)
