"""With the real model: values split from a state equal a run on the district's own file, and sums equal the model's."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

from local_h5.build.area import build_area
from local_h5.config.settings import Settings
from local_h5.contracts.results import sidecar_path, write_sidecar
from local_h5.prepared.files import PreparedInputs
from local_h5.prepared.steps import takeup_from_snapshot
from local_h5.takeup.programmes import load_programmes
from local_h5.us import district_name
from local_h5.validation.targets.country_model import CountryModel
from local_h5.validation.targets.database import Constraint, Target
from local_h5.validation.targets.run import TargetRun

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[3]
DATABASE = ROOT / "tests" / "data" / "validation" / "policy_data.db"
DISTRICTS = {3701: "NC", 201: "AK", 5001: "VT"}
NOT_HERE = ["aca_ptc", "rent", "tax_unit_count"]
"""Left out to keep the run short; the others need snap, age, medicaid and adjusted_gross_income."""


@dataclass(frozen=True)
class Split:
    """A validated run of three states and a district of each."""

    run: TargetRun
    settings: Settings

    def path(self, area_id: str) -> Path:
        return self.settings.layout.output(next(r for r in self.settings.requests if r.area_id == area_id))


@pytest.fixture(scope="module")
def split(golden: Any, golden_inputs: PreparedInputs, tmp_path_factory: pytest.TempPathFactory) -> Split:
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config = copy.deepcopy(config)
    config["results"] = str(tmp_path_factory.mktemp("split") / "results")
    for section, name in (("areas", "districts"), ("takeup", "programmes")):
        config[section][name] = str(ROOT / config[section][name])
    config["variables"] = str(ROOT / config["variables"])
    config["validation"] |= {
        "level": "targets",
        "max_rel_abs_error": 1e9,
        "processes": 1,
        "exclude": [{"area_type": "national"}, {"variable": NOT_HERE}],
    }
    settings = Settings.load(config)
    wanted = {*DISTRICTS.values(), *map(district_name, DISTRICTS)}
    for request in settings.requests:
        if request.area_id in wanted:
            present = set(golden_inputs.clones.districts.tolist())
            codes = [value for value in request.filters[0].values if int(value) in present]
            assert codes, request.area_id
            part = type(request).from_json(
                {
                    **request.to_json(),
                    "filters": [{"field": "district", "op": "in", "value": codes}],
                },
                "test",
            )
            result = build_area(part, golden_inputs, settings.results)
            write_sidecar(settings.results / result.output.path, result)
            assert sidecar_path(settings.layout.output(request)).is_file()
    run = TargetRun.open(settings, DATABASE)
    model = CountryModel()
    assert run.simulate_part(0, lambda: model).problems == {}
    return Split(run, settings)


@pytest.fixture(scope="module")
def simulation_of() -> Callable[[str], Any]:
    """The model's own simulation of a file; each is set up and calculates once for all tests."""
    from policyengine_us import Microsimulation

    return cache(lambda dataset: Microsimulation(dataset=dataset))


def values(split: Split, area_id: str) -> Mapping[str, tuple[str, np.ndarray]]:
    request = next(r for r in split.settings.requests if r.area_id == area_id)
    _, area = split.run.read_area(request)
    return split.run.values_of(request, area)


def test_one_of_the_districts_has_binding_anchors(golden: Any, golden_inputs: PreparedInputs, tmp_path: Path) -> None:
    """Reported recipients take up there who would not have been drawn."""
    ignoring = takeup_from_snapshot(golden_inputs.snapshot, golden.geography, load_programmes(), reported="ignore")
    other = golden.inputs_without_takeup(golden_inputs.snapshot, ignoring)
    settings = Settings.load(_plain_config(tmp_path))
    request = next(r for r in settings.requests if r.area_id == "NC-01")
    name = "takes_up_medicaid_if_eligible/2024"
    drawn = []
    for number, inputs in enumerate((golden_inputs, other)):
        folder = tmp_path / str(number)
        build_area(request, inputs, folder)
        with h5py.File(folder / request.relative_path) as file:
            drawn.append(file[name][()])
    assert (drawn[0] & ~drawn[1]).any()


def _plain_config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config["results"] = str(folder / "results")
    for section, name in (("areas", "districts"), ("takeup", "programmes")):
        config[section][name] = str(ROOT / config[section][name])
    config["variables"] = str(ROOT / config["variables"])
    return config


@pytest.mark.parametrize("district", [district_name(code) for code in DISTRICTS])
def test_a_split_is_a_direct_run(split: Split, simulation_of: Callable[[str], Any], district: str) -> None:
    request = next(r for r in split.settings.requests if r.area_id == district)
    assert not split.run.values_path(request).exists()  # nothing of it was calculated on its own
    found = values(split, district)
    model = CountryModel()
    model._simulation = simulation_of
    direct = model.calculate(split.path(district), model.in_order(found), split.run.database.year)
    assert found.keys() == direct.keys() >= {"snap", "age", "adjusted_gross_income"}
    for name, (_, array) in found.items():
        assert len(array) == len(direct[name])
        if array.dtype.kind == "f":
            np.testing.assert_allclose(array, direct[name], rtol=1e-5, atol=0.01, err_msg=name)
        else:
            assert np.array_equal(array, direct[name]), name


def test_twenty_random_targets_agree_with_the_model_itself(split: Split, simulation_of: Callable[[str], Any]) -> None:
    """Sums by the model's own weights and its own mapping between entities."""
    areas = ["NC-01", "AK-01", "VT-01", "NC", "AK", "VT"]
    every: list[tuple[str, Target]] = []
    for area_id in areas:
        request = next(r for r in split.settings.requests if r.area_id == area_id)
        every += [(area_id, t) for t in split.run.database.of(request) if t.variable not in NOT_HERE]
    chosen = np.random.default_rng(5).choice(len(every), 20, replace=False)
    simulations = {area_id: simulation_of(dataset=str(split.path(area_id))) for area_id in areas}
    records = {
        area_id: split.run.validate(next(r for r in split.settings.requests if r.area_id == area_id))
        for area_id in areas
    }
    kinds = set()
    for area_id, target in (every[number] for number in chosen):
        row = next(row for row in records[area_id].targets if row.target_id == target.target_id)
        kinds.add(target.variable)
        assert row.value == pytest.approx(_by_the_model(simulations[area_id], target), rel=1e-4, abs=1.0)
    assert len(kinds) >= 3


def _by_the_model(simulation: Any, target: Target) -> float:
    year = 2024
    mask = np.ones(len(simulation.calculate("person_id", year)), dtype=bool)
    for constraint in target.conditions:
        mask &= _holds(constraint, simulation.calculate(constraint.variable, year, map_to="person"))
    counted = target.measured.removesuffix("_count")
    if counted != target.measured:
        inside = (
            np.asarray(simulation.map_result(mask.astype(float), "person", counted)) if counted != "person" else mask
        )
        return float(np.asarray(simulation.calculate(f"{counted}_weight", year))[np.asarray(inside) > 0].sum())
    series = simulation.calculate(target.measured, year)
    entity = simulation.tax_benefit_system.variables[target.measured].entity.key
    inside = np.asarray(simulation.map_result(mask.astype(float), "person", entity)) if entity != "person" else mask
    return float((series * (np.asarray(inside) > 0)).sum())


def _holds(constraint: Constraint, series: Any) -> np.ndarray:
    # map_to divides or sums by kind of variable, so that only the sign of a unit's amount is looked at.
    number = {"True": 1.0, "False": 0.0}.get(constraint.value)
    number = float(constraint.value) if number is None else number
    found = np.asarray(series, dtype=float)
    return {
        "==": found == number, "!=": found != number, ">": found > number, ">=": found >= number,
        "<": found < number, "<=": found <= number,
    }[constraint.operation]  # fmt: skip


@pytest.mark.slow
def test_neutralising_by_defaults_is_what_a_reform_does(split: Split, simulation_of: Callable[[str], Any]) -> None:
    from policyengine_core.reforms import Reform
    from policyengine_us import Microsimulation

    class Without(Reform):  # type: ignore[misc]
        def apply(self) -> None:
            self.neutralize_variable("salt_deduction")

    path = split.path("NC")
    expected = np.asarray(Microsimulation(dataset=str(path), reform=Without).calculate("income_tax", 2024))
    found = CountryModel().income_tax_without(path, "salt_deduction", 2024)
    baseline = simulation_of(dataset=str(path)).calculate("income_tax", 2024, use_weights=False)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=0.01)
    assert (found != baseline).any()
