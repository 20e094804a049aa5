"""A tiny source, geography, weights and block tables, in the real formats, that a test can break one part of.

Six households in Alaska, DC, North Carolina and Los Angeles, three clones, two of the households with units that
split. Nothing here needs the model.
"""

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

N_HOUSEHOLDS = 6
N_CLONES = 3
HOUSEHOLDS = np.array([40, 7, 19, 52, 3, 88])
OWNER = np.array([40, 40, 7, 19, 19, 19, 52, 3, 3, 88, 88, 7])
"""Household of each person: household 7's second person comes last."""

BLOCKS = {
    # block: (district in the table, sldu, sldl, place, vtd, puma, zcta)
    "020130001001000": (200, "0S", "037", "", "000040", "00400", "99612"),
    "110010001011000": (1198, "", "", "", "", "", ""),
    "370010201001000": (3701, "024", "063", "09060", "00012E", "01500", "27217"),
    "370370207001000": (3701, "024", "064", "", "00012E", "01500", "27217"),
    "371190001001000": (3712, "040", "100", "12000", "000077", "03102", "28202"),
    "060372011101000": (634, "026", "051", "44000", "", "03745", "90031"),
}
CBSA = {"37001": "15500", "37037": "20500", "37119": "16740", "06037": "31080", "11001": "47900"}

GROUPS: dict[str, dict[int, int]] = {
    # unit of each person, by person row; persons of a household share a unit unless listed
    "tax_unit": {5: 1},
    "spm_unit": {},
    "family": {8: 1},
    "marital_unit": {5: 1, 4: 2, 10: 1, 11: 1},
}


def source_columns() -> dict[str, dict[str, np.ndarray]]:
    """variable → period → values of a source that the model loads; rows of every entity in shuffled id order."""
    columns: dict[str, np.ndarray] = {
        "household_id": HOUSEHOLDS,
        "person_id": 100 + 3 * np.arange(len(OWNER)),
        "person_household_id": OWNER,
        "household_weight": np.full(len(HOUSEHOLDS), 100.0, np.float32),
    }
    for entity, second in GROUPS.items():
        unit = OWNER * 10 + np.array([second.get(row, 0) for row in range(len(OWNER))])
        ids = np.random.default_rng(len(entity)).permutation(np.unique(unit))
        columns[f"{entity}_id"] = ids
        columns[f"person_{entity}_id"] = unit
    n_spm = len(columns["spm_unit_id"])
    columns |= {
        "age": np.array([44, 41, 70, 35, 33, 8, 28, 51, 16, 62, 61, 72]),
        "is_female": np.arange(len(OWNER)) % 2 == 0,
        "employment_income": np.array([52e3, 9e3, 0, 31e3, 14e3, 0, 22e3, 18e3, 0, 0, 5e3, 0], np.float32),
        "is_household_head": np.array([1, 0, 1, 1, 0, 0, 1, 1, 0, 1, 0, 0], bool),
        "has_medicaid_health_coverage_at_interview": np.array([0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0], bool),
        "reported_has_subsidized_marketplace_health_coverage_at_interview": np.arange(len(OWNER)) == 6,
        "receives_housing_assistance": np.arange(n_spm) == 2,
        "spm_unit_tenure_type": np.array([b"RENTER", b"OWNER_WITH_MORTGAGE"] * n_spm)[:n_spm],
        "receives_wic": np.arange(len(OWNER)) == 5,
        "state_fips": np.full(len(HOUSEHOLDS), 6),
    }
    return {name: {"2024": values} for name, values in columns.items()}


def write_source(path: Path, columns: dict[str, dict[str, Any]]) -> Path:
    with h5py.File(path, "w") as file:
        for name, periods in columns.items():
            for period, values in periods.items():
                file[f"{name}/{period}"] = values
    return path


@dataclass
class Assignment:
    """What callers of the facade pass as ``geography``: plain attributes."""

    block_geoid: Any
    cd_geoid: Any
    county_fips: Any
    state_fips: Any
    n_records: Any = N_HOUSEHOLDS
    n_clones: Any = N_CLONES


def assignment(seed: int = 3) -> Assignment:
    names = list(BLOCKS)
    # every block is used by clone 0; the other clones shuffle
    rng = np.random.default_rng(seed)
    rows = np.concatenate([np.arange(6), *(rng.permutation(6) for _ in range(N_CLONES - 1))])
    blocks = np.array([names[row] for row in rows])
    return Assignment(
        blocks,
        np.array([str(BLOCKS[block][0]) for block in blocks]),
        np.array([block[:5] for block in blocks]),
        np.array([int(block[:2]) for block in blocks]),
    )


def write_tables(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    districts = ["cd_geoid,block_geoid,probability", *(f"{row[0]},{block},1.0" for block, row in BLOCKS.items())]
    known = {block: row for block, row in BLOCKS.items() if any(row[1:])}  # the crosswalk does not have DC
    crosswalk = ["block_geoid,sldu,sldl,place_fips,vtd,puma,zcta"]
    crosswalk += [",".join([block, *row[1:]]) for block, row in known.items()]
    cbsa = ["stcofips,CBSA Code", *(f"{county},{code}" for county, code in CBSA.items())]
    for name, lines in (("block_cd_distributions.csv.gz", districts), ("block_crosswalk.csv.gz", crosswalk)):
        with gzip.open(folder / name, "wt") as stream:
            stream.write("\n".join(lines) + "\n")
    (folder / "msa_definitions.csv").write_text("\n".join(cbsa) + "\n")
    return folder


@dataclass
class World:
    """Arguments of ``build_h5`` that work; a test changes what it wants to be wrong."""

    folder: Path
    columns: dict[str, dict[str, Any]] = field(default_factory=source_columns)
    geography: Any = field(default_factory=assignment)
    weights: Any = field(default_factory=lambda: np.linspace(0.5, 9.0, N_CLONES * len(HOUSEHOLDS)))
    options: dict[str, Any] = field(default_factory=dict)
    after: Callable[["World"], None] | None = None
    """Runs when the inputs are on disk, to damage them."""

    @property
    def source(self) -> Path:
        return self.folder / "source.h5"

    @property
    def tables(self) -> Path:
        return self.folder / "tables"

    @property
    def output(self) -> Path:
        return self.folder / "out" / "area.h5"

    def write(self) -> dict[str, Any]:
        """Put the inputs on disk and return the arguments."""
        write_source(self.source, self.columns)
        write_tables(self.tables)
        if self.after is not None:
            self.after(self)
        return {
            "weights": self.weights,
            "geography": self.geography,
            "dataset_path": self.source,
            "output_path": self.output,
            "block_tables": self.tables,
            **self.options,
        }
