"""Take-up is what the calibration believed when it fitted the weights.

A calibration package is made here by the calibration's rules, with plain loops and numpy's own generators: for every
household clone, who takes up SNAP, Medicaid and ACA, whatever its weight; counts of them become the rows of its matrix.
The package is read back through the library, files are built from it by the facade, and both must agree, clone by clone
and as weighted sums for a district, a state and the nation.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import yaml
from joins import unit_rows
from plain_model import snapshot_without_model
from random_world import random_assignment, random_columns, random_weights, write_random_tables
from tiny_world import write_source

import local_h5
from foreign_pickle import read_frame, read_sparse
from local_h5 import facade
from local_h5.inputs.geography.load import load_package

CONFIG = Path(__file__).parents[2] / "config" / "takeup"
N_HOUSEHOLDS, N_CLONES = 50, 5
N = N_HOUSEHOLDS * N_CLONES
POSTAL = {"02": "AK", "06": "CA", "11": "DC", "37": "NC"}
PROGRAMMES = {
    "takes_up_snap_if_eligible": "spm_unit",
    "takes_up_medicaid_if_eligible": "person",
    "takes_up_aca_if_eligible": "tax_unit",
}
AREAS = {
    "district": ("3701", ["3701"]),
    "state": ("37", ["3701", "3712"]),
    "nation": ("US", None),
}
MASK = (1 << 64) - 1


def rate(name: str) -> dict:
    return yaml.safe_load((CONFIG / f"{name}.yaml").read_text())["rate"]


def draws(variable: str, household_id: int, clone: int, count: int) -> list[float]:
    value = 0
    for byte in f"{variable}:{household_id}:{clone}".encode("ascii"):
        value = (31 * value + byte) & MASK
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD & MASK
    value ^= value >> 33
    return np.random.default_rng(value % 2**63).random(count).tolist()


def adjusted_rate(rate: float, recipients: list[bool]) -> float:
    others = len(recipients) - sum(recipients)
    need = max(0, int(rate * len(recipients)) - sum(recipients))
    return need / others if others else 0.0


@dataclass
class Calibration:
    """What the calibration knows: units of every household in source row order, their reports, and the geography."""

    columns: dict
    blocks: list[str]

    def units(self, entity: str, reports: str | None) -> list[list[bool]]:
        """For every household, whether each of its units of ``entity`` reports receipt."""
        get = {name: periods["2024"].tolist() for name, periods in self.columns.items()}
        reported = get[reports] if reports else [False] * len(get["person_id"])
        ids = get[f"{entity}_id"]
        links = ids if entity == "person" else get[f"person_{entity}_id"]
        found = []
        for household in get["household_id"]:
            of_household = {}
            for link, owner, report in zip(links, get["person_household_id"], reported, strict=True):
                if owner == household:
                    of_household[link] = of_household.get(link, False) or report
            found.append([of_household[unit] for unit in ids if unit in of_household])
        return found

    def takes_up(self, variable: str) -> list[list[bool]]:
        """For every row of the package, whether each unit of the household takes up."""
        ids = self.columns["household_id"]["2024"].tolist()
        reports = {
            "takes_up_medicaid_if_eligible": "has_medicaid_health_coverage_at_interview",
            "takes_up_aca_if_eligible": "reported_has_subsidized_marketplace_health_coverage_at_interview",
        }.get(variable)
        units = self.units(PROGRAMMES[variable], reports)
        rows = []
        for clone in range(N_CLONES):
            blocks = self.blocks[clone * N_HOUSEHOLDS : (clone + 1) * N_HOUSEHOLDS]
            if variable == "takes_up_medicaid_if_eligible":
                groups = [POSTAL[block[:2]] for block in blocks]
                rates = rate("medicaid")["by_state"]
            else:
                groups = ["all"] * N_HOUSEHOLDS
                name = "aca" if reports else "snap"
                rates = {"all": list(rate(name)["constant"].values())[-1]}
            limits = {
                group: adjusted_rate(rates[group], [r for h, g in enumerate(groups) if g == group for r in units[h]])
                if reports
                else rates[group]
                for group in set(groups)
            }
            for household in range(N_HOUSEHOLDS):
                drawn = draws(variable, ids[household], clone, len(units[household]))
                limit = limits[groups[household]]
                rows.append([r or u < limit for r, u in zip(units[household], drawn, strict=True)])
        return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Source, tables and a calibration package with its matrix."""
    folder = tmp_path_factory.mktemp("belief")
    columns = random_columns(5, N_HOUSEHOLDS)
    write_source(folder / "source.h5", columns)
    write_random_tables(folder / "tables")
    geography = random_assignment(6, N_HOUSEHOLDS, N_CLONES)
    calibration = Calibration(columns, geography.block_geoid.tolist())
    rows, names = [], []
    for variable in PROGRAMMES:
        counts = np.array([sum(units) for units in calibration.takes_up(variable)], dtype=float)
        for level, (code, districts) in AREAS.items():
            inside = np.ones(N, bool) if districts is None else np.isin(geography.cd_geoid, districts)
            rows.append(counts * inside)
            names.append((variable, level, code))
    package = {
        "X_sparse": scipy.sparse.csr_matrix(np.array(rows)),
        "targets_df": pd.DataFrame(names, columns=["variable", "geo_level", "geographic_id"]),
        "target_names": ["/".join(name) for name in names],
        "metadata": {"dataset": "source.h5"},
        "initial_weights": np.ones(N),
        "cd_geoid": geography.cd_geoid,
        "block_geoid": geography.block_geoid.astype(object),
    }
    (folder / "calibration_package.pkl").write_bytes(pickle.dumps(package))
    return folder


@pytest.fixture
def build(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(facade, "prepare_snapshot", snapshot_without_model)

    def build(name: str, weights: np.ndarray, districts: list[str] | None, **options: str) -> dict[str, np.ndarray]:
        path = local_h5.build_h5(
            weights,
            folder / "calibration_package.pkl",
            folder / "source.h5",
            folder / f"{name}.h5",
            cd_subset=districts,
            block_tables=folder / "tables",
            **options,
        )
        with h5py.File(path) as file:
            return {name: file[name]["2024"][()] for name in file if "2024" in file[name]} | {
                f"row of {entity}": unit_rows(file, entity) for entity in ("household", "tax_unit", "spm_unit")
            }

    return build


def by_household(file: dict[str, np.ndarray], variable: str) -> np.ndarray:
    """Number of units that take up, by household of the file."""
    entity = PROGRAMMES[variable]
    owner = file["row of household"]
    if entity != "person":
        of_person, owner = owner, np.empty(len(file[f"{entity}_id"]), int)
        owner[file[f"row of {entity}"]] = of_person
    return np.bincount(owner, file[variable], minlength=len(file["household_id"]))


def test_weights_times_matrix_are_the_sums_of_the_files(folder: Path, build) -> None:
    package = load_package(folder / "calibration_package.pkl")
    weights = random_weights(7, N)
    believed = read_sparse(package["X_sparse"], "package").times(weights)
    targets = read_frame(package["targets_df"], "package")
    files = {level: build(level, weights, districts) for level, (_, districts) in AREAS.items()}
    sums = [
        float(by_household(files[level], variable) @ files[level]["household_weight"].astype(float))
        for variable, level in zip(targets["variable"], targets["geo_level"], strict=True)
    ]
    assert len(sums) == 9
    assert min(sums) > 0
    assert sums == believed.tolist()


def test_every_clone_takes_up_as_its_column_says(folder: Path, build) -> None:
    """Also the clones whose weight calibration set to zero: with all weights positive, the nation has every column."""
    package = load_package(folder / "calibration_package.pkl")
    rows, columns, values = read_sparse(package["X_sparse"], "package").triplets()
    matrix = np.zeros((9, N))
    matrix[rows, columns] = values
    nation = build("everybody", np.ones(N), None)
    for place, variable in enumerate(PROGRAMMES):
        assert np.array_equal(by_household(nation, variable), matrix[3 * place + 2]), variable


def test_other_groups_would_be_noticed(folder: Path, build) -> None:
    """The same sums with rates adjusted by file, or without reports, are not what the calibration believed."""
    weights = random_weights(7, N)
    believed = build("clone", weights, ["3701"])
    for options in ({"scope": "area"}, {"reported": "ignore"}):
        other = build("other", weights, ["3701"], **options)
        assert not np.array_equal(other["takes_up_medicaid_if_eligible"], believed["takes_up_medicaid_if_eligible"])
        assert np.array_equal(other["takes_up_snap_if_eligible"], believed["takes_up_snap_if_eligible"])


def test_reported_recipients_take_up(build, folder: Path) -> None:
    nation = build("reports", np.ones(N), None)
    reported = nation["has_medicaid_health_coverage_at_interview"]
    assert reported.any()
    assert nation["takes_up_medicaid_if_eligible"][reported].all()
