"""A tiny area-coded nation: tables of entities, with a weight and places for every household, in the real layouts.

Nine households in Alaska, DC, North Carolina and Los Angeles. Three do not know their district, and three their county.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

Form = Literal["table", "fixed"]

N = 9
OWNER = np.array([0, 0, 1, 2, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8])
"""Household of each person, by row."""

NONE = np.nan
STATE = np.array([2, 11, 37, 37, 37, 37, 6, 6, 6])
DISTRICT = np.array([200, 1198, 3701, 3701, 3712, NONE, 634, NONE, NONE])
COUNTY = np.array([2013, 11001, 37001, NONE, 37119, NONE, 6037, 6037, NONE])
PUMA = np.array(["00400", "00101", "01500", "01500", "03102", "02400", "03745", "03745", "03745"])
WEIGHT = np.array([10.5, 20.25, 30.0, 41.0, 52.0, 63.5, 71.0, 8.0, 9.75])
FIRST = {"household": 101, "person": 1001, "tax_unit": 2001, "spm_unit": 3001, "family": 4001, "marital_unit": 5001}
"""The first id of each entity; ids count up from there, as the households do."""


def frames() -> dict[str, pd.DataFrame]:
    """Entity → its table. A test changes what it wants to be wrong."""
    tables = {
        entity: pd.DataFrame({f"{entity}_id": FIRST[entity] + np.arange(N)})
        for entity in ("household", "tax_unit", "spm_unit", "family", "marital_unit")
    }
    person = pd.DataFrame({"person_id": FIRST["person"] + np.arange(len(OWNER))})
    for entity, table in tables.items():
        person[f"person_{entity}_id"] = table[f"{entity}_id"].to_numpy()[OWNER]
    rows = np.arange(len(OWNER))
    person["age"] = np.where(np.diff(OWNER, prepend=-1) > 0, 40, 9) + rows % 5
    person["employment_income"] = 1_000.0 * rows
    person["is_female"] = rows % 2 == 0
    person["takes_up_medicaid_if_eligible"] = rows % 3 == 0
    person["unheard_of"] = rows
    tables["household"] = tables["household"].assign(
        household_weight=WEIGHT,
        state_fips=STATE,
        congressional_district_geoid=DISTRICT,
        county_fips=COUNTY,
        puma=PUMA,
        household_note=["x", "", "zz", "x", "y", "y", "x", "", "x"],
    )
    tables["spm_unit"]["takes_up_snap_if_eligible"] = np.arange(N) % 2 == 0
    tables["spm_unit"]["spm_unit_tenure_type"] = ["RENTER"] * N
    return {"person": person, **tables}


@dataclass
class CodedWorld:
    """Writes the file, and has the arguments of ``build_h5``."""

    folder: Path
    tables: dict[str, pd.DataFrame] = field(default_factory=frames)
    form: Form = "table"
    index: bool = False
    """Whether tables have the search indexes that pandas adds: nobody reads them, and they take most of the time."""
    year: int | None = 2024
    years: tuple[int, ...] = ()
    others: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    after: Callable[["CodedWorld"], None] | None = None

    @property
    def source(self) -> Path:
        return self.folder / "populace.h5"

    @property
    def output(self) -> Path:
        return self.folder / "out" / "area.h5"

    def write(self) -> dict[str, Any]:
        columns = {"data_columns": True, "index": self.index} if self.form == "table" else {}
        with pd.HDFStore(str(self.source), mode="w") as store:
            for year in self.years or (None,):
                suffix = "" if year is None else f"/{year}"
                for entity, table in self.tables.items():
                    if len(table):
                        store.put(f"{entity}{suffix}", table, format=self.form, **columns)
                if year is not None:
                    store.put(
                        f"time_period/{year}", pd.Series([year]), format="table", data_columns=True, index=self.index
                    )
            if self.year is not None and not self.years:
                store.put("_time_period", pd.Series([self.year]), format="table", index=self.index)
            for key, value in self.others.items():
                store.put(key, pd.Series([value]), format="table", index=self.index)
            for name, text in self.attributes.items():
                setattr(store.get_node("/")._v_attrs, name, text)
        if self.after is not None:
            self.after(self)
        return {
            "weights": None, "geography": None, "dataset_path": self.source, "output_path": self.output, **self.options,
        }  # fmt: skip
