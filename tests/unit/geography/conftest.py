"""A small geography of real shape, in all three forms, and the tables that go with it."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sentence import parts_of

from local_h5.errors import LocalH5Error

HOUSEHOLDS, CLONES = 3, 2

BLOCKS = [
    "370010201001000",
    "020130001001000",
    "110010001011000",
    "370010201001001",
    "020130001001001",
    "370010201001000",
]
DISTRICTS = ["3701", "0200", "1198", "3702", "201", "3701"]
CANONICAL_DISTRICTS = [3701, 201, 1101, 3702, 201, 3701]

BLOCK_DISTRICTS = """\
cd_geoid,block_geoid,probability
200,020130001001000,0.5
200,020130001001001,0.5
3702,370010201001001,1.0
1198,110010001011000,1.0
3701,370010201001000,0.7
3701,370370207001000,0.3
"""

CROSSWALK = """\
block_geoid,sldu,sldl,place_fips,vtd,puma,zcta
020130001001000,00S,037,,000040,00400,99612
020130001001001,00S,037,00650,000040,00400,
370010201001000,024,063,09060,00012E,01500,27217
370010201001001,024,,,00012E,01500,27217
370010201001002,024,0064,,00012E,01500,27217
"""

COUNTY_CBSA = "stcofips,CBSA Code,CBSA Title\n37001,15500,Burlington\n37037,20500,Durham\n"


def one_line(error: LocalH5Error, where: object, field: str | None) -> bool:
    """Whether an error says file, field, expected, found and remedy, in one line."""
    text = str(error)
    parts = parts_of(error)
    given = [str(where), *([field] if field else [])]
    return "\n" not in text and parts.remedy != "" and all(" ".join(part.split()) in text for part in given)


@pytest.fixture(name="one_line")
def one_line_fixture() -> Any:
    return one_line


def npz_fields(**changes: Any) -> dict[str, Any]:
    """The arrays of a saved geography, as calibration writes them: blocks are an object array."""
    return {
        "block_geoid": np.array(BLOCKS, dtype=object),
        "cd_geoid": np.array(DISTRICTS),
        "county_fips": np.array([block[:5] for block in BLOCKS]),
        "state_fips": np.array([int(block[:2]) for block in BLOCKS]),
        "n_records": np.array([HOUSEHOLDS]),
        "n_clones": np.array([CLONES]),
        **changes,
    }


def package(**changes: Any) -> dict[str, Any]:
    """A calibration package with everything a real one has."""
    frame = pd.DataFrame(
        {
            "variable": ["snap", "medicaid"],
            "geographic_id": ["3701", None],
            "value": [1.5, 2.5],
            "period": [2024, 2024],
            "geo_level": pd.Categorical(["district", "state"]),
        }
    )
    return {
        "X_sparse": scipy.sparse.csr_matrix(np.arange(12.0).reshape(2, 6) % 4),
        "targets_df": frame,
        "target_names": ["snap/3701", "medicaid/37"],
        "metadata": {"dataset": "source.h5", "created": "2026-01-01", "options": {"seed": 42}},
        "initial_weights": np.ones(6),
        "cd_geoid": np.array(DISTRICTS),
        "block_geoid": np.array(BLOCKS, dtype=object),
        **changes,
    }


@dataclass(frozen=True)
class Made:
    """Writes inputs into a folder."""

    folder: Path

    def npz(self, name: str = "geography.npz", drop: tuple[str, ...] = (), **changes: Any) -> Path:
        fields = {key: value for key, value in npz_fields(**changes).items() if key not in drop}
        np.savez_compressed(self.folder / name, **fields)
        return self.folder / name

    def package(self, protocol: int = 5, drop: tuple[str, ...] = (), **changes: Any) -> Path:
        content = {key: value for key, value in package(**changes).items() if key not in drop}
        return self.pickle(content, protocol)

    def pickle(self, content: object, protocol: int = 5) -> Path:
        path = self.folder / "calibration_package.pkl"
        path.write_bytes(pickle.dumps(content, protocol=protocol))
        return path

    def blocks(self, blocks: Any = BLOCKS) -> Path:
        np.save(self.folder / "stacked_blocks.npy", np.asarray(blocks), allow_pickle=True)
        return self.folder / "stacked_blocks.npy"

    def file(self, name: str, content: str | bytes) -> Path:
        data = content.encode() if isinstance(content, str) else content
        (self.folder / name).write_bytes(data)
        return self.folder / name

    def block_districts(self, content: str = BLOCK_DISTRICTS) -> Path:
        return self.file("block_districts.csv", content)

    def crosswalk(self, content: str = CROSSWALK) -> Path:
        return self.file("crosswalk.csv", content)

    def county_cbsa(self, content: str = COUNTY_CBSA) -> Path:
        return self.file("county_cbsa.csv", content)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)
