"""A tiny finished run on disk, its target database, and a model that counts its runs: what validation is tested on."""

import copy
import json
import shutil
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import yaml
from joins import unit_rows
from msgspec import structs
from plain_model import snapshot_without_model
from tiny_world import World

from local_h5.areas import DISTRICT_COLUMNS
from local_h5.build.area import build_area
from local_h5.config.settings import Settings
from local_h5.contracts.config import Config
from local_h5.contracts.records import write_record
from local_h5.contracts.results import OutputFile, WeightSummary, read_sidecar, sidecar_path, write_sidecar
from local_h5.errors import ModelError, RequestError
from local_h5.files.atomic import sha256_of
from local_h5.inputs.geography.blocks import build_block_table
from local_h5.inputs.geography.canonical import Geography
from local_h5.inputs.geography.tables import BlockTableFiles
from local_h5.inputs.source import read_source
from local_h5.prepared.clones import CloneIndex
from local_h5.prepared.files import PreparedInputs
from local_h5.prepared.model import MedicaidCost
from local_h5.prepared.steps import load_variable_rules, takeup_from_snapshot
from local_h5.requests import AreaBuildRequest
from local_h5.takeup.programmes import load_programmes
from local_h5.takeup.table import Scope
from local_h5.us import STATE_FIPS
from local_h5.validation.structural.common_schema import common_schema
from local_h5.validation.structural.verdict import StructuralPolicy, validate_structure

ROOT = Path(__file__).parents[2]
CODES = {"AK-01": 201, "CA-34": 634, "DC-01": 1101, "NC-01": 3701, "NC-12": 3712}


@dataclass
class FakeModel:
    """Values by plain arithmetic on a household's own rows; refuses a file with a person of age 99."""

    runs: int = 0
    reforms: int = 0
    persons: int = 0

    ENTITIES: ClassVar[Mapping[str, str]] = {
        "age": "person",
        "employment_income_before_lsr": "person",
        "snap": "spm_unit",
        "income_tax": "tax_unit",
    }

    def entity_of(self, variable: str) -> str | None:
        return "tax_unit" if variable == "salt_deduction" else self.ENTITIES.get(variable)

    def in_order(self, variables: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(variables))

    def calculate(self, path: Path, variables: Iterable[str], year: int) -> Mapping[str, np.ndarray]:
        self.runs += 1
        with h5py.File(path) as file:
            age, income = (file[f"{name}/2024"][()] for name in ("age", "employment_income"))
            unit, tax = (unit_rows(file, name) for name in ("spm_unit", "tax_unit"))
            takes_up = file["takes_up_snap_if_eligible/2024"][()]
            for name in ("household_id", "person_id", "tax_unit_id"):
                ids = file[f"{name}/2024"][()]
                assert len(np.unique(ids)) == len(ids), f"{name}: the model refuses an id that is there twice"
            self.persons += len(age)
        if (age == 99).any():
            raise ModelError(f"{path}: found a person of 99")
        values = {
            "age": age.astype(np.float32),
            "employment_income_before_lsr": income,
            "snap": np.maximum(20_000.0 - np.bincount(unit, income, len(takes_up)), 0) * takes_up,
            "income_tax": 0.1 * np.bincount(tax, income),
        }
        return {name: values[name] for name in variables}

    def income_tax_without(self, path: Path, variable: str, year: int) -> np.ndarray:
        self.reforms += 1
        self.runs -= 1
        return self.calculate(path, ("income_tax",), year)["income_tax"] + 7.0


@dataclass
class Run:
    """A finished run in a folder."""

    folder: Path
    config: dict[str, Any]
    inputs: PreparedInputs

    @property
    def settings(self) -> Settings:
        """The run's settings, with its configuration as it is now."""
        return Settings.load(self.config)

    def request(self, area_id: str) -> AreaBuildRequest:
        """An area by its id."""
        return next(request for request in self.settings.requests if request.area_id == area_id)

    def path(self, area_id: str) -> Path:
        """An area's H5."""
        return self.settings.layout.output(self.request(area_id))

    def build(self, *area_ids: str) -> None:
        """Build areas and check their structure, as the area jobs do."""
        settings = self.settings
        structural = StructuralPolicy.from_config(Config.from_json(self.config).structural)
        for request in settings.requests:
            if area_ids and request.area_id not in area_ids:
                continue
            try:
                result = build_area(request, self.inputs, settings.results)
            except RequestError:
                continue  # nobody lives in New York here
            path = settings.layout.output(request)
            judged, record = validate_structure(path, result, common_schema(self.inputs), structural)
            write_record(settings.layout.record("structural", request), record)
            write_sidecar(path, judged)

    def check(self, area_id: str) -> None:
        """Check an area's structure as it is now, and write its record."""
        path = self.path(area_id)
        structural = StructuralPolicy.from_config(Config.from_json(self.config).structural)
        result = read_sidecar(sidecar_path(path))
        _, record = validate_structure(path, result, common_schema(self.inputs), structural)
        write_record(self.settings.layout.record("structural", result.output.path), record)

    def edit(self, area_id: str, variable: str, change: Any, period: str = "2024") -> None:
        """Change a dataset of a built file, and make its sidecar match."""
        path = self.path(area_id)
        with h5py.File(path, "r+") as file:
            values = change(file[variable][period][()])
            del file[variable][period]
            file[variable][period] = values
        self.match_sidecar(area_id)

    def match_sidecar(self, area_id: str) -> None:
        """Let an area's sidecar say what its file holds: digest and weights."""
        path = self.path(area_id)
        result = read_sidecar(sidecar_path(path))
        with h5py.File(path) as file:
            weight = file["household_weight/2024"][()].astype(np.float64)
            persons = float(weight[unit_rows(file, "household")].sum())
        weights = WeightSummary(
            float(weight.sum()),
            persons,
            float(weight.sum() ** 2 / (weight**2).sum()),
            float(weight.max() / weight.sum()),
        )
        output = OutputFile(result.output.path, sha256_of(path), path.stat().st_size)
        write_sidecar(path, structs.replace(result, output=output, weights=weights))

    def save_config(self) -> Path:
        """Write the configuration where the scripts look for it."""
        path = self.settings.layout.prepared / "config.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.config))
        return path


def make_run(
    folder: Path,
    *,
    scope: Scope = "clone",
    scale: Mapping[str, float] | None = None,
    medicaid_cost: MedicaidCost = "state_average",
) -> Run:
    """Build a run of five districts, four states and the nation.

    Args:
        folder: for everything.
        scope: of take-up.
        scale: factor on the weights of a district's clones, after the population reference was made.
        medicaid_cost: whether files store what a person costs Medicaid.
    """
    folder.mkdir(parents=True, exist_ok=True)
    world = World(folder / "inputs")
    world.folder.mkdir(exist_ok=True)
    world.write()
    source = read_source(world.source)
    geography = Geography.from_arrays(**vars(world.geography))
    tables = ("block_cd_distributions.csv.gz", "block_crosswalk.csv.gz", "msa_definitions.csv")
    blocks = build_block_table(geography, BlockTableFiles(*(world.tables / name for name in tables)))
    programmes = load_programmes()
    rules = load_variable_rules(ROOT / "config" / "variables.yaml")
    snapshot = snapshot_without_model(source, rules, programmes, medicaid_cost)
    takeup = takeup_from_snapshot(snapshot, geography, programmes, scope=scope)
    weights = np.asarray(world.weights, dtype=np.float64)
    size = np.diff(source.membership.members["person"].indptr)
    persons = {code: float((weights * np.tile(size, 3))[geography.district == code].sum()) for code in CODES.values()}
    lines = [",".join(DISTRICT_COLUMNS)]
    for name, code in CODES.items():
        lines.append(f"{name},{code},{name[:2]},{STATE_FIPS[name[:2]]},{round(persons[code])}")
    (folder / "districts.csv").write_text("\n".join(lines) + "\n")
    for name, factor in (scale or {}).items():
        weights = np.where(geography.district == CODES[name], weights * factor, weights)
    config: dict[str, Any] = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config["results"] = str(folder / "results")
    config["areas"]["districts"] = str(folder / "districts.csv")
    config["variables"] = str(ROOT / config["variables"])
    config["takeup"]["programmes"] = str(ROOT / config["takeup"]["programmes"])
    run = Run(folder, config, PreparedInputs(snapshot, blocks, CloneIndex.build(weights, geography, blocks), takeup))
    run.config["validation"]["population"]["max_rel_error"] = 0.02  # the reference is in whole persons
    run.build()
    return run


def copy_of(run: Run, folder: Path) -> Run:
    """A copy of a run, to be damaged."""
    shutil.copytree(run.folder, folder, dirs_exist_ok=True)
    config = copy.deepcopy(run.config)
    config["results"] = str(folder / "results")
    return Run(folder, config, run.inputs)


def policy_of(run: Run) -> StructuralPolicy:
    """What decides the structural verdicts of a run."""
    return StructuralPolicy.from_config(Config.from_json(run.config).structural)


def with_validation(run: Run, **fields: Any) -> Run:
    """The run under another policy."""
    config = copy.deepcopy(run.config)
    config["validation"] |= fields
    return replace(run, config=config)


def write_database(
    path: Path, targets: Sequence[tuple[str, Sequence[tuple[str, str, str]], float | None]], *, period: int = 2024
) -> Path:
    """A target database: (variable, constraints, value); ``reform:x`` as variable is a reform target of x."""
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as connection:
        connection.executescript(files("local_h5_example").joinpath("targets_schema.sql").read_text())
        for table in ("stratum_constraints", "targets"):
            for kind in ("insert", "update"):
                connection.execute(f"DROP TRIGGER validate_{table}_{kind}")
        for number, (variable, constraints, value) in enumerate(targets, start=1):
            connection.execute("INSERT INTO strata VALUES (?, ?, NULL, NULL)", (number, f"{number:064x}"))
            connection.executemany(
                "INSERT INTO stratum_constraints VALUES (?, ?, ?, ?, NULL)", [(number, *item) for item in constraints]
            )
            reform = int(variable.startswith("reform:"))
            row = (number, variable.removeprefix("reform:"), period, number, reform, value)
            connection.execute("INSERT INTO targets VALUES (?, ?, ?, ?, ?, ?, 1, NULL, NULL, NULL)", row)
    connection.close()
    return path
