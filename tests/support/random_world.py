"""A random source and geography of real form: households of several sizes and split units, in shuffled order."""

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tiny_world import Assignment

DISTRICTS: Mapping[int, tuple[str, ...]] = {
    201: ("02013",),
    634: ("06037",),
    652: ("06073",),
    1101: ("11001",),
    3701: ("37001", "37037"),
    3712: ("37119",),
}
"""District → its counties."""

BLOCKS = {
    f"{county}0001001{place:03d}": district
    for district, counties in DISTRICTS.items()
    for county in counties
    for place in range(3)
}


def random_columns(seed: int, n_households: int) -> dict[str, dict[str, Any]]:
    """variable → period → values, as :func:`tiny_world.write_source` writes them."""
    rng = np.random.default_rng(seed)
    owner = rng.permutation(np.repeat(np.arange(n_households), rng.integers(1, 6, n_households)))
    household_id = 11 + 3 * rng.permutation(n_households)
    columns: dict[str, np.ndarray] = {
        "household_id": household_id,
        "person_id": 7 + 2 * rng.permutation(owner.size),
        "person_household_id": household_id[owner],
        "household_note": rng.choice(np.array([b"a", b"bb", b"ccc"]), n_households),
    }
    for entity in ("tax_unit", "spm_unit", "family", "marital_unit"):
        keys, unit = np.unique(owner * 3 + rng.integers(0, 3, owner.size), return_inverse=True)
        ids = 5 + 4 * rng.permutation(keys.size)
        columns |= {f"{entity}_id": ids, f"person_{entity}_id": ids[unit]}
    n_spm = columns["spm_unit_id"].size
    columns |= {
        "age": rng.integers(0, 90, owner.size),
        "employment_income": rng.choice([0, 9_000, 25_000, 60_000], owner.size).astype(np.float32),
        "has_medicaid_health_coverage_at_interview": rng.random(owner.size) < 0.3,
        "reported_has_subsidized_marketplace_health_coverage_at_interview": rng.random(owner.size) < 0.1,
        "receives_housing_assistance": rng.random(n_spm) < 0.2,
        "spm_unit_tenure_type": rng.choice(np.array([b"RENTER", b"OWNER_WITH_MORTGAGE"]), n_spm),
        "receives_wic": rng.random(owner.size) < 0.1,
    }
    return {name: {"2024": values} for name, values in columns.items()}


def random_assignment(seed: int, n_households: int, n_clones: int) -> Assignment:
    rng = np.random.default_rng(seed)
    blocks = rng.choice(list(BLOCKS), n_households * n_clones)
    return Assignment(
        blocks,
        np.array([f"{BLOCKS[block]:04d}" for block in blocks]),
        np.array([block[:5] for block in blocks]),
        np.array([int(block[:2]) for block in blocks]),
        n_households,
        n_clones,
    )


def random_weights(seed: int, size: int) -> np.ndarray:
    """Multiples of 1/8, a third of them zero: sums are exact in float64, and single weights in float32."""
    rng = np.random.default_rng(seed)
    return rng.integers(1, 4_000, size) / 8 * (rng.random(size) < 2 / 3)


def write_random_tables(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "block_cd_distributions.csv.gz": [
            "cd_geoid,block_geoid,probability",
            *(f"{district},{block},1.0" for block, district in BLOCKS.items()),
        ],
        "block_crosswalk.csv.gz": [
            "block_geoid,sldu,sldl,place_fips,vtd,puma,zcta",
            *(
                f"{block},0{block[-1]},,{block[5:10]},{'V' * int(block[-1])},{block[2:5]}00,{block[:5]}"
                for block in BLOCKS
                if not block.startswith("11")
            ),
        ],
    }
    for name, lines in tables.items():
        with gzip.open(folder / name, "wt") as stream:
            stream.write("\n".join(lines) + "\n")
    (folder / "msa_definitions.csv").write_text("stcofips,CBSA Code\n06037,31080\n37001,15500\n37037,20500\n")
    return folder
